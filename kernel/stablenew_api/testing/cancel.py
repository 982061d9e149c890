"""A cancel token for tests."""

from __future__ import annotations

import queue

from stablenew_api.cancel import CancelToken


class ManualCancel(CancelToken):
    """A cancel token in the test's hand: :meth:`cancel` fires it, from any thread.

    ``after=n`` fires it by itself at the n-th look (1 is the first), so that a cancel in the middle of a stage
    needs neither threads nor time. :attr:`cancelled`, ``raise_if_cancelled()`` and ``wait()`` are looks.
    """

    def __init__(self, *, after: int | None = None) -> None:
        if after is not None and after < 1:
            raise ValueError("after counts looks, from 1")
        self._after = after
        self._fired = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.looks = 0
        """How often the token was looked at."""

    def cancel(self) -> None:
        """Fire the token and wake whoever waits."""
        self._fired = True
        self._wake.put(None)

    @property
    def cancelled(self) -> bool:
        """Whether the token has fired. Counts as a look."""
        self.looks += 1
        if self._after is not None and self.looks >= self._after:
            self._fired = True
        return self._fired

    def wait(self, seconds: float) -> bool:
        """Really wait up to ``seconds``, or until :meth:`cancel`. Counts as one look."""
        if self.cancelled:
            return True
        try:
            self._wake.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return self._fired
        self._wake.put(None)  # for the next one that waits
        return True
