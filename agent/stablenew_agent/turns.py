"""Whose turn it is: the jobs of one worker, and the device that one of them has at a time.

A worker holds two jobs at most: one has the device, and the other one either waits for it (*ready*) or has let
go of it and finishes (decodes, hashes, writes its files). Two threads run them. Neither belongs to a job:
whoever is free takes the next job *once the device is free*. So jobs that never let go early, those that take
no time above all, follow each other in one thread, without a hand-over.

Races, and who wins:

* A take-back (or a cancel) meets the start of a ready job: both happen under one lock, so it has started or it
  never will.
* A cancel meets the end of the device's part. :meth:`Turns.guarded` holds the device until the interrupt has
  been made, so it cannot hit the next job.
* A job wants the device again after it let go (its last stage calls the backend twice): it waits for whoever
  has it, and goes before jobs that have not started.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from stablenew_api.cancel import CancelToken
from stablenew_api.errors import Cancelled

HEAD_START = 0.002
"""Seconds for which a job that lets go of the device leaves the processor to the next one, if there is one.
Decoding a reply holds Python's lock for milliseconds at a time, and the next request would wait behind it; to
build and send one takes about a millisecond."""


class EventToken(CancelToken):
    """Set by the thread that reads the agent's lines."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, waking on cancel."""
        return self._event.wait(max(0.0, seconds))

    def cancel(self) -> None:
        """Cancel. From any thread."""
        self._event.set()


class Work:
    """Something that the worker was asked for: a job, or (without a token) a question of the agent."""

    __slots__ = ("guard", "message", "token")

    def __init__(self, message: Mapping[str, Any], token: EventToken | None = None) -> None:
        self.message = message
        self.token = token
        self.guard = threading.Lock()
        """Held while the backend is interrupted for its sake: it keeps the device for so long."""

    @property
    def key(self) -> tuple[str, int] | None:
        """Job id and attempt; None for what is no job."""
        return (self.message["job"], self.message["attempt"]) if self.token is not None else None


class Turns:
    """Who has the device, and who comes next. Thread-safe."""

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        """``pause`` is how a job leaves the processor to the next one for some seconds."""
        self._pause = pause
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[Work] = deque()
        self._holder: Work | None = None
        self._again: deque[Work] = deque()
        """Jobs that wait for the device once more, oldest first."""
        self._inside: list[Work] = []
        """Begun and not over."""

    # --- the reader's side ---------------------------------------------------------------------------------

    def put(self, work: Work) -> None:
        """Something to do, behind all the rest."""
        with self._changed:
            self._ready.append(work)
            if self._holder is None:
                self._changed.notify()

    def take_back(self, key: tuple[str, int]) -> bool:
        """Take a job out that has not started. False: it has, or it is not here."""
        with self._changed:
            for work in self._ready:
                if work.key == key:
                    self._ready.remove(work)
                    return True
        return False

    def cancel(self, key: tuple[str, int]) -> Work | None:
        """Cancel a job that has started. None: it is not here."""
        with self._changed:
            for work in self._inside:
                if work.key == key and work.token is not None:
                    work.token.cancel()
                    self._changed.notify_all()  # it may be waiting for the device
                    return work
        return None

    def guarded(self, work: Work, interrupt: Callable[[], object]) -> None:
        """Call ``interrupt`` if ``work`` has the device, which it keeps until that is over."""
        with work.guard:
            if self._holder is work:
                interrupt()

    # --- the runners' side ---------------------------------------------------------------------------------

    def next(self, over: Work | None = None) -> tuple[Work, bool]:
        """``over`` is done with; wait until the device is free and somebody is ready; give it to them.

        Returns the work, and whether another job is still here: then the agent cannot tell by itself that this
        one has begun.
        """
        if over is not None:
            with over.guard, self._changed:
                if self._holder is over:
                    self._holder = None
                self._inside.remove(over)
                if self._again:
                    self._changed.notify_all()
        with self._changed:
            while self._holder is not None or self._again or not self._ready:
                self._changed.wait()
            work = self._ready.popleft()
            self._holder = work
            accompanied = bool(self._inside)
            self._inside.append(work)
            return work, accompanied

    def has(self, work: Work) -> bool:
        """Whether ``work`` has the device. Only for the thread that runs it: nobody else gives it away."""
        return self._holder is work

    def release(self, work: Work) -> None:
        """``work`` needs the device no more, for now. Leaves the processor to the next one for a moment, if
        there is one."""
        if self._let_go(work):
            self._pause(HEAD_START)

    def take(self, work: Work) -> None:
        """Have the device (again). Raises Cancelled if the job is cancelled while it waits."""
        if self._holder is work:
            return
        assert work.token is not None
        with self._changed:
            self._again.append(work)
            try:
                while self._holder is not None or self._again[0] is not work:
                    if work.token.cancelled:
                        raise Cancelled("cancelled")
                    self._changed.wait()
                self._holder = work
            finally:
                self._again.remove(work)
                self._changed.notify_all()

    def _let_go(self, work: Work) -> bool:
        """Whether somebody waits for what ``work`` had."""
        if self._holder is not work:  # nobody but this thread gives it away
            return False
        with work.guard, self._changed:
            self._holder = None
            wanted = bool(self._ready or self._again)
            if wanted:
                self._changed.notify_all()
            return wanted
