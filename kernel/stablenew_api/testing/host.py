"""A host of plugins for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stablenew_api.discovery import Candidate
from stablenew_api.host import PluginHost


def host_of(*plugins: object, role: str = "kernel", disabled: Sequence[str] = ()) -> PluginHost:
    """A :class:`~stablenew_api.host.PluginHost` with exactly these modules or objects, without discovery.

    A plugin is called by the last part of its module name, or by its attribute ``plugin_name``.
    """

    def load(plugin: object) -> Callable[[], object]:
        return lambda: plugin

    candidates = []
    for plugin in plugins:
        own = getattr(plugin, "__name__", type(plugin).__name__)
        name = str(getattr(plugin, "plugin_name", own.rpartition(".")[2]))
        candidates.append(Candidate(name, distribution=f"object {own}", version="", load=load(plugin)))
    return PluginHost(role, candidates, disabled)
