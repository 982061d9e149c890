"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made. Until Python 3.14's uuid7."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID


def uuid7(now: datetime, random_bits: int | None = None) -> str:
    """A UUIDv7 for ``now`` (aware). ``random_bits`` (74 bits) replaces the system's randomness in tests."""
    milliseconds = int(now.timestamp() * 1000)
    bits = secrets.randbits(74) if random_bits is None else random_bits & ((1 << 74) - 1)
    value = (
        (milliseconds & ((1 << 48) - 1)) << 80
        | 0x7 << 76
        | (bits >> 62) << 64
        | 0b10 << 62
        | bits & ((1 << 62) - 1)
    )
    return str(UUID(int=value))
