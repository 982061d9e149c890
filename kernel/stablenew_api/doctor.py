"""What ``stablenew doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, FIX = "ok", "note", "fix"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``level`` is :data:`OK`, :data:`NOTE` (worth knowing) or :data:`FIX` (must
    be mended)."""

    level: str
    topic: str
    text: str
    advice: str = ""
    """What to do."""
