"""VRAM: where weights wait, and whether an error says that it ran out. No torch is imported here."""

from __future__ import annotations

from typing import Literal

from stablenew_plugins.backends.outofmemory import is_out_of_memory
from stablenew_plugins.vram import BYTES_PER_PIXEL, GIB

Offload = Literal["none", "model", "sequential"]

RESERVE_BYTES = GIB // 2
"""VRAM left to the desktop, the allocator's gaps and the libraries' workspaces."""


def working_bytes(pixels: int) -> int:
    """Bytes that sampling and decoding a picture of ``pixels`` take besides the weights."""
    return BYTES_PER_PIXEL * pixels


def choose_offload(weights: int, largest: int, work: int, free: int) -> Offload:
    """Where weights wait so that ``work`` fits beside them. All in bytes: all weights, those of the largest
    part, what a picture takes, and what is free on the device."""
    usable = free - RESERVE_BYTES - work
    if weights <= usable:
        return "none"
    return "model" if largest <= usable else "sequential"


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out: torch's own class, and what CUDA, ROCm, Metal and the
    processor's allocator say in a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and is_out_of_memory(str(error))
