"""When the next frame may leave: at once on a quiet link, a little later on a busy one, and fuller for it.

A gRPC message costs some 0.2 ms of CPU at either end, whatever is in it. Jobs that take seconds never notice;
with jobs that take no time, frames a millisecond apart would spend the machine on envelopes.
"""

from __future__ import annotations

from collections import deque

BURST = 4
"""Frames that may leave within one WINDOW."""

WINDOW = 0.032
"""Seconds. 4 frames in 32 ms are 125 a second while a node is busy; to and from an idle one none ever waits."""

LAZY = 0.02
"""Seconds that news may wait which nobody waits for: an ack alone, a job's first sign of life."""


class Pace:
    """Keeps the pace of one direction of one stream. Times are monotonic seconds."""

    def __init__(self, burst: int = BURST, window: float = WINDOW) -> None:
        self._window = window
        self._left: deque[float] = deque(maxlen=burst)

    def delay(self, now: float) -> float:
        """Seconds until a frame may leave; 0 or less: at once."""
        if len(self._left) < (self._left.maxlen or 0):
            return 0.0
        return self._left[0] + self._window - now

    def sent(self, now: float) -> None:
        """A frame leaves."""
        self._left.append(now)
