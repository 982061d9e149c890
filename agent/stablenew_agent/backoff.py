"""When to try again, and when not to. Pure: the clock's reading and the random source are passed in."""

from __future__ import annotations

import random
from collections.abc import Mapping

UNRECOVERABLE: Mapping[str, str] = {
    "UNAUTHENTICATED": "the kernel does not know this agent: pair it first",
    "PERMISSION_DENIED": "the kernel refuses this agent: it was revoked, or never accepted",
    "UNIMPLEMENTED": "this agent and the kernel speak different protocol versions: update the older one",
    "FAILED_PRECONDITION": "the kernel cannot work with this agent as it is set up",
}
"""gRPC status codes after which dialling again cannot help, and what they mean. INTERNAL and UNAVAILABLE are
not here on purpose: a proxy or a kernel that is just starting says that too (Buildkite's ``codeUnrecoverable``
has the same gap)."""


def give_up(code: str, text: str) -> str | None:
    """One line for people if ``code`` (name of a gRPC status code) is unrecoverable; None: dial again."""
    meaning = UNRECOVERABLE.get(code)
    if meaning is None:
        return None
    return f"{meaning} ({text or code})"


class Backoff:
    """Windowed full jitter, as Buildkite's agent does it: in the n-th window, of ``base * 2**n`` seconds and at
    most ``cap``, dial at a uniform point, and let the rest of the window pass before the next one begins.

    Fresh jitter from the moment of each failure would let agents that failed together stay close together; with
    whole windows the load on a returning kernel is even over the window.
    """

    def __init__(
        self, rng: random.Random, base: float = 1.0, cap: float = 30.0, healthy_after: float = 60.0
    ) -> None:
        self._rng = rng
        self._base = base
        self._cap = cap
        self._healthy_after = healthy_after
        self._count = 0
        self._window_end = 0.0
        self._connected_at: float | None = None

    @classmethod
    def for_peer(cls, rng: random.Random, loopback: bool) -> Backoff:
        """1 to 30 s for a kernel elsewhere; at most 2 s, starting at 0.1 s, for one on this machine: nobody to
        spare."""
        return cls(rng, base=0.1, cap=2.0) if loopback else cls(rng)

    def welcomed(self, now: float) -> None:
        """The kernel took us in."""
        self._connected_at = now

    def delay(self, now: float) -> float:
        """Seconds to wait before the next dial. Call once after each failed dial and each lost link."""
        if self._connected_at is not None:
            if now - self._connected_at >= self._healthy_after:
                self._count = 0
                self._window_end = now
            self._connected_at = None
        window = min(self._cap, self._base * 2.0 ** min(self._count, 32))
        self._count += 1
        # A dial that hung longer than its window has used up the rest of it.
        start = max(now, self._window_end)
        self._window_end = start + window
        return start - now + self._rng.uniform(0.0, window)


class Doubling:
    """Delays between tries of something on this machine: ``first`` seconds, then twice as long each time, and
    ``longest`` at most, however often it fails."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def delay(self) -> float:
        """Seconds to wait before the next try. Call once after each failed one."""
        delay = self._next
        self._next = min(self._longest, 2.0 * delay)
        return delay

    def worked(self) -> None:
        """The next failure is the first one again."""
        self._next = self._first
