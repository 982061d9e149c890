"""Tools for randomizer strategies: numbers and permutations that follow from a key, and from nothing else."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from random import Random

_ROUNDS = 6
_ODD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: multiplying by it spreads neighbours (Knuth, TAOCP 3, section 6.4)."""


def key_of(*parts: object) -> bytes:
    """A key of 32 bytes from ``parts`` (numbers and texts). Equal parts, equal key, on every machine."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8")).digest()


def random_of(*parts: object) -> Random:
    """A source of random numbers that follows from ``parts``, on every machine. No secret comes from it."""
    return Random(int.from_bytes(key_of(*parts), "big"))  # noqa: S311


def permute(index: int, size: int, key: bytes) -> int:
    """Where ``index`` goes in the permutation of ``range(size)`` that ``key`` stands for.

    Every number below ``size`` comes out once. Needs no memory, whatever the size: a Feistel network over the
    next even power of two, walked on until the result is inside (Black and Rogaway, "Ciphers with arbitrary
    finite domains", 2002). ``key`` has 32 bytes, as of :func:`key_of`. Raises ValueError unless
    ``0 <= index < size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in range({size})")
    if size == 1:
        return 0
    half, mask, shift, wide, top, rounds = _schedule(size, key)
    while True:
        left, right = index >> half, index & mask
        for number, odd in rounds:
            mixed = ((right ^ number) * _ODD) & wide
            mixed = ((mixed ^ (mixed >> shift)) * odd) & wide
            left, right = right, left ^ (mixed >> top)
        index = left << half | right
        if index < size:
            return index


@lru_cache(maxsize=256)
def _schedule(size: int, key: bytes) -> tuple[int, int, int, int, int, tuple[tuple[int, int], ...]]:
    """What :func:`permute` makes of ``size`` and ``key``: a permutation is mostly walked, not asked once."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    # Wide halves need wide round keys, or most of their bits would go through unmixed.
    width = max(8, (half + 7) // 8)
    stream = hashlib.shake_256(key).digest(width * _ROUNDS)
    keys = [int.from_bytes(stream[start : start + width], "big") for start in range(0, len(stream), width)]
    bits = max(half, 64)
    rounds = tuple((number, number | 1) for number in keys)
    return half, (1 << half) - 1, bits // 2, (1 << bits) - 1, bits - half, rounds
