"""The pool: which jobs wait, and which worker gets the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.reports import PoolEvents, WorkerResult
from stablenew_agent.pool.setup import WorkerSetup
from stablenew_agent.pool.slot import Slot
from stablenew_api.leases import LeaseKey, LeaseState


class WorkerPool:
    """The workers. :meth:`start`, then :meth:`run`, :meth:`cancel`, :meth:`drop`; :meth:`stop` at the end."""

    def __init__(self, slots: int, setup: WorkerSetup, events: PoolEvents) -> None:
        self.events = events
        self.watched = False
        """Whether somebody looks at previews; :meth:`watch` changes it."""
        self._waiting: deque[Job] = deque()
        self._slots = [Slot(index, setup, self) for index in range(slots)]
        self.loaded_model = ""
        """Model that a worker used last."""

    def start(self) -> None:
        """Start the workers, so that they are warm when the first job comes."""
        for slot in self._slots:
            slot.supervisor.spawn()

    def run(self, job: Job) -> None:
        """Run ``job`` as soon as a worker can; one that is busy may hold it ready meanwhile."""
        self._waiting.append(job)
        self.hand_out()

    def cancel(self, lease: LeaseKey, grace: float, reason: str) -> None:
        """Ask the worker to stop, kill it after ``grace`` seconds. A lease that is not here is left alone: its
        end has been told already. Repeats are harmless."""
        if self._forget_waiting(lease):
            self.events.ended(lease, WorkerResult(LeaseState.CANCELLED))
        for slot, job in self._held(lease):
            slot.ask_to_stop(job, grace, reason)

    def take_back(self, lease: LeaseKey) -> None:
        """End the job as CANCELLED if it has not started. A lease that is not here is left alone."""
        if self._forget_waiting(lease):
            self.events.ended(lease, WorkerResult(LeaseState.CANCELLED))
        for slot, job in self._held(lease):
            slot.take_back(job)

    def drop(self, lease: LeaseKey) -> None:
        """Forget the lease without a word, and stop its job: at once, unless its worker has another one."""
        self._forget_waiting(lease)
        for slot, job in self._held(lease):
            slot.drop(job)

    def _forget_waiting(self, lease: LeaseKey) -> bool:
        for job in self._waiting:
            if job.lease == lease:
                self._waiting.remove(job)
                return True
        return False

    def _held(self, lease: LeaseKey) -> list[tuple[Slot, Job]]:
        return [
            (slot, job) for slot in self._slots for job in slot.jobs if job.lease == lease and not job.dropped
        ]

    def watch(self, previews: bool) -> None:
        """Whether somebody looks at previews."""
        self.watched = previews
        for slot in self._slots:
            slot.send_watch()

    async def stop(self, grace: float = 2.0) -> None:
        """End all workers: idle ones let go of their backend first, busy ones end at once. Jobs that run or
        wait are forgotten. Kills what is left after ``grace`` seconds."""
        self._waiting.clear()
        for slot in self._slots:
            slot.close()
        gone = [slot.supervisor.gone.wait() for slot in self._slots]
        try:
            async with asyncio.timeout(grace):
                await asyncio.gather(*gone)
        except TimeoutError:
            for slot in self._slots:
                slot.supervisor.kill()
            await asyncio.gather(*(slot.supervisor.gone.wait() for slot in self._slots))

    @property
    def problem(self) -> str:
        """Why no worker can do anything, or empty."""
        problems = [slot.problem for slot in self._slots]
        return problems[0] if all(problems) else ""

    @property
    def ready(self) -> bool:
        """Whether some worker has loaded its plugins and its backend answers."""
        return any(slot.described for slot in self._slots)

    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [process.pid for slot in self._slots if (process := slot.supervisor.process) is not None]

    # --- for the slots -------------------------------------------------------------------------------------

    def wait_again(self, jobs: Sequence[Job]) -> None:
        """These wait once more: before all others, in their order."""
        self._waiting.extendleft(reversed(jobs))

    def has_idle(self) -> bool:
        """Whether some worker has nothing to do."""
        return any(slot.available and not slot.jobs for slot in self._slots)

    def model_used(self, model: str) -> None:
        """A worker has just used it."""
        self.loaded_model = model

    def hand_out(self) -> None:
        """Give the jobs that wait to workers, in their order: to one that has none, else to one that can hold
        it ready."""
        while self._waiting:
            job = self._waiting[0]
            slot = min(
                (slot for slot in self._slots if slot.takes(job)), key=lambda slot: len(slot.jobs), default=None
            )
            if slot is None:
                return
            slot.give(self._waiting.popleft())
        idle = sum(slot.available and not slot.jobs for slot in self._slots)
        if idle and len(self._slots) > 1:
            self._level(idle)

    def _level(self, idle: int) -> None:
        """Get jobs back that are ready behind others, for workers that have nothing to do."""
        idle -= sum(job.moving for slot in self._slots for job in slot.jobs)
        for slot in self._slots:
            for job in slot.jobs[1:]:
                if idle > 0 and not job.started and not job.returning:
                    slot.move_later(job)
                    idle -= 1
