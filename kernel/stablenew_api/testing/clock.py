"""A clock for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A :class:`~stablenew_api.clock.Clock` that stands still until the test moves it."""

    def __init__(self, monotonic: float = 0.0, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._monotonic = monotonic
        self._now = now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def now(self) -> datetime:
        """The date and time, UTC, aware."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both scales. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds} s")
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does; the monotonic scale does not notice."""
        self._now += timedelta(seconds=seconds)
