"""A job on its way through a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stablenew_api.jobs import JsonValue
from stablenew_api.leases import LeaseKey


@dataclass(slots=True)
class Job:
    """One lease on its way through a worker."""

    lease: LeaseKey
    spec: bytes
    """Canonical JSON: passed on as it is."""
    run_timeout: float
    out: str
    """Beginning of the paths of its output files."""
    inputs: Sequence[str] = ()
    """Paths of its input images."""
    resume: Mapping[str, JsonValue] | None = None
    """Where to go on: ``stages`` that are done, paths of their ``images``, their ``report``."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    started: bool = False
    """Its worker has begun with it. Until then it is held ready there, or waits here."""
    announced: bool = False
    returning: bool = False
    """We asked the worker to have it back if it has not started; the answer is under way."""
    moving: bool = False
    """And that was for another worker of ours."""
    cancel_reason: str | None = None
    timed_out: bool = False
    dropped: bool = False
    """Nobody wants to hear of it any more."""
    blamed: bool = False
    """Its worker is killed because of it."""
    alone: bool = False
    """Its worker died, perhaps because of it: it gets one to itself."""

    def stop_timers(self) -> None:
        """The job is over."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def begin_again(self) -> None:
        """Its worker is gone, through no fault of its own: it waits once more."""
        self.stop_timers()
        self.started = self.announced = self.returning = self.moving = False
