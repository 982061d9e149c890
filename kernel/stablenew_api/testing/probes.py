"""A GPU for tests."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.probe import GpuReading, Probe

GIB = 1024**3


class FakeProbe(Probe):
    """A probe that reads what the test put into :attr:`readings`; by default one GPU with 8 GiB, idle."""

    name, title = "fake_gpu", "Fake GPU for tests"

    def __init__(self, readings: Sequence[GpuReading] | None = None, reason: str | None = None) -> None:
        self.readings: list[GpuReading] = list(
            readings
            if readings is not None
            else [GpuReading("GPU-fake-0", "Fake GPU", 8 * GIB, GIB, utilization=0.0, temperature_c=40.0)]
        )
        self.reason = reason
        """What :meth:`available` answers."""
        self.failure: Exception | None = None
        """Raised by :meth:`read` as long as it is set."""

    def available(self) -> str | None:
        """:attr:`reason`."""
        return self.reason

    def read(self) -> Sequence[GpuReading]:
        """:attr:`readings`."""
        if self.failure is not None:
            raise self.failure
        return tuple(self.readings)
