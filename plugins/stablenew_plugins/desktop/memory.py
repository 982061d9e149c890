"""How the C library hands memory out: thousands of images are decoded in turn, each of some megabytes, in
several threads. Left alone, glibc keeps what they free, a heap for each thread."""

from __future__ import annotations

import ctypes
import sys

ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1
"""What ``mallopt`` of glibc calls them."""
ARENAS = 2
LARGE = 256 * 1024
"""Bytes from which on memory is given back to the system as soon as it is free."""


def give_back() -> bool:
    """From now on give memory back that is not needed any more. Whether that can be told here: glibc only."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl: gives back by itself
        return False
    wanted = {ARENA_MAX: ARENAS, MMAP_THRESHOLD: LARGE, TRIM_THRESHOLD: LARGE}
    return sum(mallopt(name, value) for name, value in wanted.items()) == len(wanted)
