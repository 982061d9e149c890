"""Interface of a probe: reads GPU figures on a node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment. None where the driver does not tell."""

    uuid: str
    name: str
    vram_total_bytes: int
    vram_used_bytes: int
    utilization: float | None = None
    """0 to 1."""
    temperature_c: float | None = None
    power_w: float | None = None


class Probe(ABC):
    """Reads the GPUs that one driver knows. Made once an agent; ``read`` is called every 2 s off the loop."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def available(self) -> str | None:
        """None when the probe can read here, else the reason why not. Must not raise, must not install."""

    @abstractmethod
    def read(self) -> Sequence[GpuReading]:
        """The GPUs now. An exception is logged and the last reading is kept."""
