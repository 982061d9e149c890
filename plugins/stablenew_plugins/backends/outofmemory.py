"""What running out of memory looks like, server by server and device by device: one table for all backends."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"out[ _]?of[ _]?memory"  # OutOfMemoryError; "CUDA/HIP/MPS backend/XPU out of memory"
    r"|not enough (?:gpu video |gpu |video )?memory"  # DirectML; A1111's split attention
    r"|could not allocate tensor with \d+ bytes"  # DirectML
    r"|DefaultCPUAllocator|can't allocate memory"  # torch on the CPU
    r"|(?:cuda|hip)ErrorMemoryAllocation|(?:cuda|hip)ErrorOutOfMemory"
    r"|CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED|(?:ROCBLAS|HIPBLAS)_STATUS_(?:ALLOC_FAILED|MEMORY_ERROR)"
    r"|OUT_OF_(?:DEVICE|HOST)_MEMORY|PI_ERROR_OUT_OF_RESOURCES|UR_RESULT_ERROR_OUT_OF_RESOURCES"
    r"|HSA_STATUS_ERROR_OUT_OF_RESOURCES|allocation on device"  # ROCm; ComfyUI
    r"|invalid buffer size"  # MPS, one tensor too large
    r"|failed to allocate|memory allocation of \d+ bytes failed|\bMemoryError\b"
    r"|\bOOM\b",
    re.IGNORECASE,
)


def is_out_of_memory(text: str) -> bool:
    """Whether an error text of a server, or of the library below it, says that memory ran out."""
    return _WORDS.search(text) is not None
