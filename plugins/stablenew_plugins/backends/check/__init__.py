"""``stablenew backend check URL``: whether a WebUI or a ComfyUI is usable, and what to change if not;
``stablenew backend use URL``: the settings that make the local agent use it; and what ``stablenew doctor`` says
of servers.

``probe`` asks the server (all the I/O there is), ``evaluate`` makes findings of the answers, ``doctor`` looks
for servers, ``settings`` has the lines of settings.toml, ``command`` shows all that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablenew_api import hookimpl

if TYPE_CHECKING:
    from stablenew_api.doctor import Finding


@hookimpl
def stablenew_commands(cli: Any) -> None:
    """The group ``backend``, with its commands ``check`` and ``use``."""
    from stablenew_plugins.backends.check.command import backend

    cli.add_command(backend)


@hookimpl
def stablenew_doctor(backend: str, options: Mapping[str, str]) -> Sequence[Finding]:
    """The server that is set, if one is; else those on this machine."""
    from stablenew_plugins.backends.check.doctor import examine

    return examine(backend, options)
