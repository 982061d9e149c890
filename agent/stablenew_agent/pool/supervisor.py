"""Keeps the worker process of a slot alive."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from stablenew_agent.backoff import Doubling
from stablenew_agent.pool.lines import encode
from stablenew_agent.pool.process import WorkerEvents, WorkerProcess, exit_text
from stablenew_agent.pool.setup import WorkerSetup

log = logging.getLogger(__name__)

RESTART_DELAYS = (0.5, 30.0)
"""Seconds before a worker that ended before it was ready is started again: first, and at most (doubling)."""


class SupervisorEvents(WorkerEvents, Protocol):
    """Who hears of the worker: its slot."""

    def spawned(self) -> None:
        """A process runs, and has its start line."""

    def cannot_start(self, problem: str) -> None:
        """A process could not be started or ended before it was ready; another one is tried later."""


class Supervisor:
    """Starts a worker, and another one when it has ended, until :meth:`close`."""

    def __init__(self, index: int, setup: WorkerSetup, events: SupervisorEvents) -> None:
        self.process: WorkerProcess | None = None
        """The one that lives."""
        self.gone = asyncio.Event()
        """No process lives and none will be started."""
        self._index = index
        self._setup = setup
        self._events = events
        self._closing = False
        self._delays = Doubling(*RESTART_DELAYS)
        self._retry: asyncio.TimerHandle | None = None
        self._spawning: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether a worker lives that has loaded its plugins and is not being killed."""
        return self.process is not None and self.process.loaded and not self.process.doomed

    def spawn(self) -> None:
        """Start a worker."""
        self._retry = None
        self._spawning = asyncio.ensure_future(self._spawn())

    async def _spawn(self) -> None:
        process = WorkerProcess(self._index, self._events)
        try:
            await process.start()
        except OSError as error:
            self._ended_early(f"a worker process cannot be started: {error}")
            return
        finally:
            self._spawning = None
        self.process = process
        if self._closing:
            process.close()
            return
        process.write(self._setup.line(self._index))
        self._events.spawned()

    def write(self, data: bytes) -> None:
        """Send one line, if a worker lives."""
        if self.process is not None:
            self.process.write(data)

    def kill(self) -> None:
        """Kill the worker; a new one is started when it is gone."""
        if self.process is not None:
            self.process.kill()

    def close(self, at_once: bool) -> None:
        """End the worker for good: ``at_once``, or after it has let go of its backend."""
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        if self.process is not None:
            if not at_once and self.process.loaded:
                self.process.write(encode({"op": "stop"}))
            else:
                self.process.close()
        elif self._spawning is None:
            self.gone.set()

    def replace(self, process: WorkerProcess, code: int | None, stderr: str, idle: bool) -> bool:
        """``process`` has died, ``idle`` if it had no job: start another one, at once if it had been ready.
        False: this is the end, and none is started."""
        self.process = None
        if self._closing:
            self.gone.set()
            return False
        if process.loaded or process.doomed:
            self._delays.worked()
            if idle and not process.doomed:
                log.warning("worker %d ended by itself (%s); starting another", self._index, exit_text(code))
            self.spawn()
        else:
            last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
            self._ended_early(last or f"a worker process ends while it starts ({exit_text(code)})")
        return True

    def _ended_early(self, problem: str) -> None:
        delay = self._delays.delay()
        log.error("worker %d: %s; trying again in %.1f s", self._index, problem, delay)
        self._retry = asyncio.get_running_loop().call_later(delay, self.spawn)
        self._events.cannot_start(problem)
