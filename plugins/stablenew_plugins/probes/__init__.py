"""The built-in probes: ``nvidia``, ``amd_sysfs`` and ``fake``."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.probe import Probe
from stablenew_plugins.probes.amd_sysfs import AmdSysfsProbe
from stablenew_plugins.probes.fake import FakeProbe
from stablenew_plugins.probes.nvidia import NvidiaProbe

__all__ = ["AmdSysfsProbe", "FakeProbe", "NvidiaProbe"]


@hookimpl
def stablenew_probes() -> Sequence[type[Probe]]:
    """The three probes above."""
    return [NvidiaProbe, AmdSysfsProbe, FakeProbe]
