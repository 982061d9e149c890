"""Figures of the machine: GPUs through probe plugins, CPU, memory and disk through psutil.

They are read in a thread of their own: a driver that hangs makes figures old, never the agent slow.
"""

from __future__ import annotations

import logging
import platform
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from stablenew_api.probe import GpuReading, Probe

log = logging.getLogger(__name__)

READ_EVERY = 2.0
"""Seconds between two readings."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The machine at one moment."""

    gpus: tuple[GpuReading, ...] = ()
    cpu_load: float = 0.0
    """0 to 1."""
    ram_free_bytes: int = 0
    disk_free_bytes: int = 0


def choose_probes(kinds: Sequence[type[Probe]], wanted: Sequence[str]) -> tuple[list[Probe], list[str]]:
    """Instances of the probes that can read here, and a line for each wanted one that cannot.

    ``wanted`` empty: every available one but ``fake``, which is for tests and demos and must be asked for.
    """
    chosen: list[Probe] = []
    complaints: list[str] = []
    by_name = {kind.name: kind for kind in kinds}
    for name in wanted or [name for name in by_name if name != "fake"]:
        if name not in by_name:
            complaints.append(
                f"probe {name!r} is not installed; there are: {', '.join(sorted(by_name)) or 'none'}"
            )
            continue
        try:
            probe = by_name[name]()
            reason = probe.available()
        except Exception as error:
            log.exception("probe %s broke while it was asked whether it can read here", name)
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            chosen.append(probe)
        elif wanted:
            complaints.append(f"probe {name!r} cannot read here: {reason}")
        else:
            log.info("probe %s is left out: %s", name, reason)
    return chosen, complaints


class Telemetry:
    """Reads every :data:`READ_EVERY` seconds; :attr:`latest` is always there at once."""

    def __init__(self, probes: Sequence[Probe], disk: Path, on_gpus: Callable[[], None] | None = None) -> None:
        """``disk`` is a folder on the disk whose free space counts. ``on_gpus`` is called, in the reading
        thread, when the set of GPUs changed after the first reading."""
        self.latest = Vitals()
        self.first = threading.Event()
        """Set after the first reading."""
        self._probes = list(probes)
        self._disk = disk
        self._on_gpus = on_gpus
        self._last: dict[str, tuple[GpuReading, ...]] = {}
        self._failing: set[str] = set()
        self._stop = threading.Event()
        # A daemon: a driver call that never returns must not keep the agent from ending.
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()

    def _run(self) -> None:
        psutil.cpu_percent(None)  # the first call only sets the mark that the next one measures from
        while True:
            known = {gpu.uuid for gpu in self.latest.gpus}
            self.latest = self.read()
            if self.first.is_set() and self._on_gpus and known != {gpu.uuid for gpu in self.latest.gpus}:
                self._on_gpus()
            self.first.set()
            if self._stop.wait(READ_EVERY):
                return

    def read(self) -> Vitals:
        """One reading. A probe that raises keeps its last figures, and is logged once until it works again."""
        for probe in self._probes:
            try:
                self._last[probe.name] = tuple(probe.read())
                self._failing.discard(probe.name)
            except Exception:
                if probe.name not in self._failing:
                    self._failing.add(probe.name)
                    log.exception("probe %s cannot read; its last figures are kept", probe.name)
        try:
            disk_free = psutil.disk_usage(str(self._disk)).free
        except OSError:
            disk_free = 0
        return Vitals(
            gpus=tuple(gpu for readings in self._last.values() for gpu in readings),
            cpu_load=min(1.0, psutil.cpu_percent(None) / 100),
            ram_free_bytes=psutil.virtual_memory().available,
            disk_free_bytes=disk_free,
        )


def host_name() -> str:
    """This machine's name in the network."""
    return socket.gethostname()


def operating_system() -> str:
    """``Linux 6.1``, ``Windows 11``, ``Darwin 24.1``."""
    release = platform.release()
    if platform.system() == "Linux":
        release = ".".join(release.split(".")[:2])
    return f"{platform.system()} {release}".strip()
