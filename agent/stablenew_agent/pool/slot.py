"""One worker after the other, and the jobs that it has."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from stablenew_agent.backoff import Doubling
from stablenew_agent.pool import ends, lines
from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.process import WorkerProcess
from stablenew_agent.pool.reports import PoolEvents, StepReport
from stablenew_agent.pool.setup import WorkerSetup
from stablenew_agent.pool.supervisor import Supervisor

log = logging.getLogger(__name__)

JOBS_A_WORKER = 2
"""One that has the device, and one that is ready for it or finishes. More would only hold more images."""

TIMEOUT_GRACE = 5.0
"""Seconds between asking a worker that used up its run_timeout to stop, and killing it."""

DROP_GRACE = 5.0
"""Seconds that a job which nobody wants any more gets to stop, when its worker has another job, too."""

ANNOUNCE_AFTER = 0.05
"""Seconds after which a job that said nothing yet is announced as running: no-op jobs never are."""

MOVE_AFTER = 0.05
"""Seconds that a job waits behind a running one before it is moved to a worker that has none: jobs that take no
time are not moved about."""

DESCRIBE_DELAYS = (2.0, 60.0)
"""Seconds before a backend that did not answer is asked again: first, and at most (doubling)."""


class SlotOwner(Protocol):
    """What a slot tells its pool, and asks of it."""

    @property
    def events(self) -> PoolEvents:
        """Who hears what becomes of the jobs."""

    @property
    def watched(self) -> bool:
        """Whether somebody looks at previews."""

    def wait_again(self, jobs: Sequence[Job]) -> None:
        """These wait once more: before all others, in their order."""

    def hand_out(self) -> None:
        """A worker may have room now."""

    def has_idle(self) -> bool:
        """Whether some worker has nothing to do."""

    def model_used(self, model: str) -> None:
        """A worker has just used it."""


class Slot:
    """One worker after the other, and its jobs."""

    def __init__(self, index: int, setup: WorkerSetup, owner: SlotOwner) -> None:
        self.index = index
        self.jobs: list[Job] = []
        """In the order in which they were given: the first has started."""
        self.supervisor = Supervisor(index, setup, self)
        self.described = False
        """Its backend answers."""
        self.problem = ""
        """Why it cannot do anything, or empty."""
        self._owner = owner
        self._watch_sent = False
        self._describe_delays = Doubling(*DESCRIBE_DELAYS)

    @property
    def available(self) -> bool:
        """Whether its worker takes jobs. A backend that does not answer gets jobs all the same: they fail for a
        reason people can read, and the kernel stops sending once our report says unhealthy."""
        return self.supervisor.usable

    def takes(self, job: Job) -> bool:
        """Whether it can take the job now."""
        if not self.available:
            return False
        if job.alone or any(other.alone for other in self.jobs):
            return not self.jobs
        return len(self.jobs) < JOBS_A_WORKER

    # --- the worker ----------------------------------------------------------------------------------------

    def spawned(self) -> None:
        """A worker runs; it takes no jobs yet."""
        self._watch_sent = False
        self.send_watch()

    def cannot_start(self, problem: str) -> None:
        """There is none for now."""
        self._set_problem(f"no worker can be started: {problem}")

    def died(self, process: WorkerProcess, code: int | None, stderr: str) -> None:
        """The worker is gone: some of its jobs go back to those that wait, the others are over."""
        self.described = False
        jobs, self.jobs = self.jobs, []
        if not self.supervisor.replace(process, code, stderr, idle=not jobs):
            return
        again, over = ends.share_out(jobs)
        self._owner.wait_again(again)
        for job in over:
            self._owner.events.ended(job.lease, ends.by_death(job, code, stderr))
        self._owner.hand_out()

    def send_watch(self) -> None:
        """Tell the worker whether previews are wanted; it starts with no."""
        if self._owner.watched or self._watch_sent:
            self._watch_sent = True
            self.supervisor.write(lines.encode({"op": "watch", "previews": self._owner.watched}))

    def close(self) -> None:
        """End the worker for good, and forget its jobs."""
        busy, self.jobs = self.jobs, []
        for job in busy:
            job.stop_timers()
        self.supervisor.close(at_once=bool(busy))

    def _set_problem(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._owner.events.health_changed()

    # --- jobs ----------------------------------------------------------------------------------------------

    def give(self, job: Job) -> None:
        """Write ``job`` to the worker. If that has another one, it holds this one ready."""
        assert self.available
        self.supervisor.write(lines.job_line(job))
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self._begun(job)

    def _begun(self, job: Job) -> None:
        """The worker has begun with it."""
        job.returning = job.moving = False
        if job.started:
            return
        job.started = True
        loop = asyncio.get_running_loop()
        job.timers.append(loop.call_later(ANNOUNCE_AFTER, self._announce, job))
        job.timers.append(loop.call_later(job.run_timeout, self._timed_out, job))
        if not job.dropped:
            self._owner.events.started(job.lease)

    def _announce(self, job: Job) -> None:
        if job in self.jobs and not job.announced and not job.dropped:
            job.announced = True
            self._owner.events.progressed(job.lease, StepReport("", 0, 0, 0, 0, 0.0, -1.0))

    def _timed_out(self, job: Job) -> None:
        if job in self.jobs and job.cancel_reason is None:
            job.timed_out = True
            self.ask_to_stop(job, TIMEOUT_GRACE, "run_timeout")

    def ask_to_stop(self, job: Job, grace: float, reason: str) -> None:
        """Ask, and kill after ``grace`` seconds."""
        if job.cancel_reason is not None:
            return
        job.cancel_reason = reason
        self._say("cancel", job)
        job.timers.append(asyncio.get_running_loop().call_later(max(0.0, grace), self._out_of_grace, job))

    def take_back(self, job: Job) -> None:
        """Ask for it back, if it has not started."""
        if not job.started:
            job.moving = False  # whoever asks now wants its end
            if not job.returning:
                job.returning = True
                self._say("take_back", job)

    def move_later(self, job: Job) -> None:
        """Ask for it back for another worker, if it still waits here in a moment."""
        job.moving = True
        job.timers.append(asyncio.get_running_loop().call_later(MOVE_AFTER, self._move, job))

    def _move(self, job: Job) -> None:
        if job not in self.jobs or not job.moving or job.returning:
            return
        if self._owner.has_idle():
            job.returning = True
            self._say("take_back", job)
        else:
            job.moving = False

    def drop(self, job: Job) -> None:
        """Stop it, and say nothing more about it."""
        job.dropped = True
        if len(self.jobs) > 1:
            # The other one has done nothing wrong.
            self.ask_to_stop(job, DROP_GRACE, "dropped")
        else:
            job.stop_timers()
            job.blamed = True
            self.supervisor.kill()

    def _say(self, op: str, job: Job) -> None:
        self.supervisor.write(lines.about(op, job))

    def _out_of_grace(self, job: Job) -> None:
        if job in self.jobs:
            log.warning("worker %d did not stop in its grace time and is killed", self.index)
            job.blamed = True
            self.supervisor.kill()

    # --- lines from the worker -----------------------------------------------------------------------------

    def line(self, data: bytes) -> None:
        """One line. Raises ValueError, KeyError or TypeError when it makes no sense; the worker is killed
        then."""
        message = json.loads(data)
        op = message["op"]
        if op == "done":
            self._done(message)
        elif op == "progress":
            self._progress(message)
        elif op == "stage":
            self._stage(message)
        elif op == "started":
            if (job := self._job_of(message)) is not None:
                self._begun(job)
        elif op in ("ready", "unready"):
            self._described(message)
        else:
            raise ValueError(f"unknown line {op!r}")

    def _job_of(self, message: Mapping[str, Any]) -> Job | None:
        """None: over, and its last line crossed ours."""
        job_id, attempt = message["job"], message["attempt"]
        for job in self.jobs:
            if job.lease.job_id == job_id and job.lease.attempt == attempt:
                return job
        return None

    def _stage(self, message: Mapping[str, Any]) -> None:
        job = self._job_of(message)
        if job is None or job.dropped:
            return
        self._begun(job)
        job.announced = True
        self._owner.events.stage_made(job.lease, lines.stage_files_of(message))

    def _done(self, message: Mapping[str, Any]) -> None:
        job = self._job_of(message)
        if job is None:
            return
        result = ends.by_word(job, message)
        job.stop_timers()
        self.jobs.remove(job)
        # The worker goes on to the one that was ready. It says so itself only if we could not know.
        if self.jobs and not self.jobs[0].returning:
            self._begun(self.jobs[0])
        if message["model"]:
            self._owner.model_used(message["model"])
        if job.moving and not job.started and job.cancel_reason is None:
            job.begin_again()
            self._owner.wait_again([job])
            self._owner.hand_out()
            return
        # The next job goes out before anybody looks at this one's result: the GPU shall not wait for an upload.
        self._owner.hand_out()
        if job.dropped:
            for file in result.files:
                file.path.unlink(missing_ok=True)
        else:
            self._owner.events.ended(job.lease, result)

    def _progress(self, message: Mapping[str, Any]) -> None:
        job = self._job_of(message)
        if job is None or job.dropped:
            return
        self._begun(job)
        job.announced = True
        self._owner.events.progressed(job.lease, lines.step_of(message))

    def _described(self, message: Mapping[str, Any]) -> None:
        process = self.supervisor.process
        assert process is not None
        process.loaded = True
        inventory = lines.inventory_of(message)
        self.described = message["op"] == "ready"
        if self.described:
            self._describe_delays.worked()
        else:
            delay = self._describe_delays.delay()
            asyncio.get_running_loop().call_later(delay, self._ask_again, process)
        self._set_problem(inventory.problem)
        self._owner.events.described(inventory)
        self._owner.hand_out()

    def _ask_again(self, process: WorkerProcess) -> None:
        if self.supervisor.process is process:
            process.write(lines.encode({"op": "describe"}))
