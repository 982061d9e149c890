"""Time, passed in. Durations are measured on :meth:`Clock.monotonic`; :meth:`Clock.now` is for records."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time from."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def now(self) -> datetime:
        """The date and time, UTC, aware."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def now(self) -> datetime:
        """The date and time, UTC, aware."""
        return datetime.now(UTC)
