"""fake: a made-up card, for tests and demos. An agent uses it only when asked to (``--probe fake``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stablenew_api.probe import GpuReading, Probe

_GIB = 1024**3


class FakeProbe(Probe):
    """Shows ``count`` cards of ``vram_total_bytes``; ``used`` gives the bytes in use and ``utilization`` the
    load."""

    name, version, title = "fake", "1.0", "Made-up card (tests and demos)"

    def __init__(
        self,
        vram_total_bytes: int = 8 * _GIB,
        used: Callable[[], int] = lambda: _GIB,
        utilization: Callable[[], float] = lambda: 0.0,
        count: int = 1,
    ) -> None:
        self._total = vram_total_bytes
        self._used = used
        self._utilization = utilization
        self._count = count

    def available(self) -> str | None:
        """None: it can always read. An agent leaves it out unless it is asked for by name, so that a made-up
        card never slips into a real house."""
        return None

    def read(self) -> Sequence[GpuReading]:
        """The made-up cards."""
        return [
            GpuReading(
                uuid=f"FAKE-{index}",
                name="Fake GPU",
                vram_total_bytes=self._total,
                vram_used_bytes=min(self._total, self._used()),
                utilization=self._utilization(),
                temperature_c=40.0,
                power_w=None,
            )
            for index in range(self._count)
        ]
