"""The worker processes of an agent: one a slot, started ahead of the first job, killed when they do not listen.

Everything runs on the agent's loop; nothing here waits. A job is given to :meth:`WorkerPool.run` and comes back
once, through ``PoolEvents.ended``, unless it was dropped.

A worker gets a second job ahead, which it holds *ready* until the first one lets go of the device; so the
device does not wait for us, and the first one finishes beside the second one. What is ready has not started: it
can be taken back, and outlives its worker.

Races, and who wins:

* A cancel crosses the job's ``done`` line: the line wins, since it tells what happened.
* A worker dies after it wrote ``done``: a death counts only once its output was read to the end.
* The grace time of a cancel ends while the result is in the pipe: the same; the result wins if it was written.
* A job is taken back while it starts: the worker alone knows, and answers with ``done`` or ``started``.
* A worker dies with two jobs that had started. If we killed it because of one, the other one runs again in the
  next worker. If it died by itself, nobody knows because of which: both run again, each with a worker to
  itself; whose worker dies again has failed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stablenew_agent.backoff import Doubling
from stablenew_api.jobs import Artifact, Failure, FailureKind, JsonValue
from stablenew_api.leases import LeaseKey, LeaseState
from stablenew_client.wire import shorten_detail

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

RESTART_DELAYS = (0.5, 30.0)
"""Seconds before a worker that ended before it was ready is started again: first, and at most (doubling)."""

DESCRIBE_DELAYS = (2.0, 60.0)
"""Seconds before a backend that did not answer is asked again: first, and at most (doubling)."""

STDERR_KEPT = 8 * 1024
"""Bytes of a worker's standard error that are kept, to explain its death."""

# mypy looks at one platform at a time, and only an `if` statement tells it which.
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0

WORKER_COMMAND = (sys.executable, "-m", "stablenew_agent.worker")


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What every worker of this agent is told at its start."""

    backend: str
    options: Mapping[str, JsonValue]
    version: str
    """Of StableNew: goes into reports."""
    plugin_folder: Path | None = None
    disabled: tuple[str, ...] = ()
    logs: Path | None = None
    """Folder for the workers' logs."""
    keep_after: float | None = None
    """Seconds of work behind which a worker keeps what it has between two stages. None: never."""

    def line(self, slot: int) -> bytes:
        """The ``start`` line. Options may hold a password, so they are not on the command line."""
        return _line(
            {
                "op": "start",
                "backend": self.backend,
                "options": dict(self.options),
                "version": self.version,
                "plugin_folder": str(self.plugin_folder) if self.plugin_folder else "",
                "disabled": list(self.disabled),
                "keep_after": self.keep_after,
                "log": str(self.logs / f"worker-{slot}.jsonl") if self.logs else "",
            }
        )


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


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A complete file that a worker wrote."""

    path: Path
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """How a job ended in its worker."""

    state: LeaseState
    files: tuple[OutputFile, ...] = ()
    failure: Failure | None = None
    report: bytes = b""
    """JSON, as the worker wrote it."""
    run_time: float = 0.0
    peak_vram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StageFiles:
    """What a worker has between two stages."""

    stages: int
    """How many are done."""
    files: tuple[OutputFile, ...]
    report: bytes


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a worker found when it started: what this node can run."""

    stages: tuple[tuple[str, str], ...]
    """(name, version)."""
    identity: tuple[str, str, bool, str] | None
    """Name, version, stand-in, note of the backend. None: it did not answer."""
    capabilities: Mapping[str, Sequence[str]]
    problem: str = ""
    """Why the backend did not answer."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far a job is; see JobProgress."""

    stage: str
    stage_index: int
    stage_count: int
    step: int
    steps: int
    fraction: float
    eta: float
    preview_jpeg: bytes = b""


class PoolEvents(Protocol):
    """Who hears what happens. All calls are on the loop."""

    def started(self, lease: LeaseKey) -> None:
        """A worker has begun with the job. Said again if it has to begin anew."""

    def progressed(self, lease: LeaseKey, report: StepReport) -> None:
        """A job moved on."""

    def stage_made(self, lease: LeaseKey, made: StageFiles) -> None:
        """A job is done with some of its stages, and goes on."""

    def ended(self, lease: LeaseKey, result: WorkerResult) -> None:
        """A job is over, and its worker has gone on to the next one if there was one."""

    def described(self, inventory: Inventory) -> None:
        """A worker told what this node can run."""

    def health_changed(self) -> None:
        """:attr:`WorkerPool.problem` changed."""


class WorkerPool:
    """The workers. :meth:`start`, then :meth:`run`, :meth:`cancel`, :meth:`drop`; :meth:`stop` at the end."""

    def __init__(self, slots: int, setup: WorkerSetup, events: PoolEvents) -> None:
        self._events = events
        self._waiting: deque[Job] = deque()
        self._slots = [_Slot(index, setup, self) for index in range(slots)]
        self._watched = False
        self.loaded_model = ""
        """Model that a worker used last."""

    def start(self) -> None:
        """Start the workers, so that they are warm when the first job comes."""
        for slot in self._slots:
            slot.spawn()

    def run(self, job: Job) -> None:
        """Run ``job`` as soon as a worker can; one that is busy may hold it ready meanwhile."""
        self._waiting.append(job)
        self._hand_out()

    def cancel(self, lease: LeaseKey, grace: float, reason: str) -> None:
        """Ask the worker to stop, kill it after ``grace`` seconds. A lease that is not here is left alone: its
        end has been told already. Repeats are harmless."""
        if self._forget_waiting(lease):
            self._events.ended(lease, WorkerResult(LeaseState.CANCELLED))
        for slot, job in self._held(lease):
            slot.ask_to_stop(job, grace, reason)

    def take_back(self, lease: LeaseKey) -> None:
        """End the job as CANCELLED if it has not started. A lease that is not here is left alone."""
        if self._forget_waiting(lease):
            self._events.ended(lease, WorkerResult(LeaseState.CANCELLED))
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

    def _held(self, lease: LeaseKey) -> list[tuple[_Slot, Job]]:
        return [
            (slot, job) for slot in self._slots for job in slot.jobs if job.lease == lease and not job.dropped
        ]

    def watch(self, previews: bool) -> None:
        """Whether somebody looks at previews."""
        self._watched = previews
        for slot in self._slots:
            slot.send_watch()

    async def stop(self, grace: float = 2.0) -> None:
        """End all workers: idle ones let go of their backend first, busy ones end at once. Jobs that run or
        wait are forgotten. Kills what is left after ``grace`` seconds."""
        self._waiting.clear()
        for slot in self._slots:
            slot.close()
        gone = [slot.gone.wait() for slot in self._slots]
        try:
            async with asyncio.timeout(grace):
                await asyncio.gather(*gone)
        except TimeoutError:
            for slot in self._slots:
                slot.kill()
            await asyncio.gather(*(slot.gone.wait() for slot in self._slots))

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
        return [slot.child.pid for slot in self._slots if slot.child is not None]

    def _hand_out(self) -> None:
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


class _Slot:
    """One worker after the other, and its jobs."""

    def __init__(self, index: int, setup: WorkerSetup, pool: WorkerPool) -> None:
        self.index = index
        self.jobs: list[Job] = []
        """In the order in which they were given: the first has started."""
        self.child: _Child | None = None
        self.described = False
        self.problem = ""
        self.gone = asyncio.Event()
        """No child lives and none will be started."""
        self._setup = setup
        self._pool = pool
        self._closing = False
        self._start_delays = Doubling(*RESTART_DELAYS)
        self._describe_delays = Doubling(*DESCRIBE_DELAYS)
        self._retry: asyncio.TimerHandle | None = None
        self._spawning: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether its worker takes jobs. A backend that does not answer gets jobs all the same: they fail for a
        reason people can read, and the kernel stops sending once our report says unhealthy."""
        return self.child is not None and self.child.loaded and not self.child.doomed

    def takes(self, job: Job) -> bool:
        """Whether it can take the job now."""
        if not self.available:
            return False
        if job.alone or any(other.alone for other in self.jobs):
            return not self.jobs
        return len(self.jobs) < JOBS_A_WORKER

    # --- the process ---------------------------------------------------------------------------------------

    def spawn(self) -> None:
        """Start a worker."""
        self._retry = None
        self._spawning = asyncio.ensure_future(self._spawn())

    async def _spawn(self) -> None:
        loop = asyncio.get_running_loop()
        child = _Child(self)
        try:
            await loop.subprocess_exec(
                lambda: child,
                *WORKER_COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=_CREATION_FLAGS,
            )
        except OSError as error:
            self._ended_early(f"a worker process cannot be started: {error}")
            return
        finally:
            self._spawning = None
        self.child = child
        if self._closing:
            child.close()
            return
        child.write(self._setup.line(self.index))
        self.send_watch()

    def send_watch(self) -> None:
        """Tell the worker whether previews are wanted; it starts with no."""
        if self.child is not None and (self._pool._watched or self.child.watch_sent):
            self.child.watch_sent = True
            self.child.write(_line({"op": "watch", "previews": self._pool._watched}))

    def close(self) -> None:
        """End the worker for good."""
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        busy, self.jobs = self.jobs, []
        for job in busy:
            job.stop_timers()
        if self.child is not None:
            if not busy and self.child.loaded:
                self.child.write(_line({"op": "stop"}))
            else:
                self.child.close()
        elif self._spawning is None:
            self.gone.set()

    def kill(self) -> None:
        """Kill the worker; a new one is started when it is gone."""
        if self.child is not None:
            self.child.kill()

    def died(self, child: _Child, code: int | None, stderr: str) -> None:
        """The worker is gone, and all it wrote was read."""
        self.child = None
        self.described = False
        jobs, self.jobs = self.jobs, []
        if self._closing:
            self.gone.set()
            return
        if child.loaded or child.doomed:
            self._start_delays.worked()
            if not jobs and not child.doomed:
                log.warning("worker %d ended by itself (%s); starting another", self.index, _exit(code))
            self.spawn()
        else:
            last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
            self._ended_early(last or f"a worker process ends while it starts ({_exit(code)})")
        self._settle(jobs, code, stderr)

    def _settle(self, jobs: Sequence[Job], code: int | None, stderr: str) -> None:
        """The worker died with these: some go back to those that wait, the others are over."""
        started = [job for job in jobs if job.started]
        blamed = any(job.blamed for job in jobs)
        again: list[Job] = []
        over: list[Job] = []
        for job in jobs:
            job.stop_timers()
            if job.dropped:
                continue
            if job.blamed or job.cancel_reason is not None:
                over.append(job)
            elif not job.started or blamed:
                again.append(job)
            elif len(started) > 1:
                job.alone = True
                again.append(job)
            else:
                over.append(job)
        for job in again:
            job.begin_again()
        self._pool._waiting.extendleft(reversed(again))
        for job in over:
            self._pool._events.ended(job.lease, _death(job, code, stderr))
        self._pool._hand_out()

    def _ended_early(self, problem: str) -> None:
        delay = self._start_delays.delay()
        log.error("worker %d: %s; trying again in %.1f s", self.index, problem, delay)
        self._retry = asyncio.get_running_loop().call_later(delay, self.spawn)
        self._set_problem(f"no worker can be started: {problem}")

    def _set_problem(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._pool._events.health_changed()

    # --- jobs ----------------------------------------------------------------------------------------------

    def give(self, job: Job) -> None:
        """Write ``job`` to the worker. If that has another one, it holds this one ready."""
        child = self.child
        assert child is not None
        lease = job.lease
        # The spec is spliced in as it is: reading it here would cost more than all the rest. A raw line break
        # in JSON can only be white space between tokens.
        spec = job.spec.replace(b"\n", b" ") if b"\n" in job.spec else job.spec
        head = json.dumps(
            {
                "op": "job",
                "job": lease.job_id,
                "attempt": lease.attempt,
                "out": job.out,
                "inputs": job.inputs,
                **({"resume": job.resume} if job.resume else {}),
            }
        )
        child.write(b'%s,"spec":%s}\n' % (head[:-1].encode("ascii"), spec))
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
            self._pool._events.started(job.lease)

    def _announce(self, job: Job) -> None:
        if job in self.jobs and not job.announced and not job.dropped:
            job.announced = True
            self._pool._events.progressed(job.lease, StepReport("", 0, 0, 0, 0, 0.0, -1.0))

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
        if any(slot.available and not slot.jobs for slot in self._pool._slots):
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
            self.kill()

    def _say(self, op: str, job: Job) -> None:
        if self.child is not None:
            self.child.write(_line({"op": op, "job": job.lease.job_id, "attempt": job.lease.attempt}))

    def _out_of_grace(self, job: Job) -> None:
        if job in self.jobs:
            log.warning("worker %d did not stop in its grace time and is killed", self.index)
            job.blamed = True
            self.kill()

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
        report = message["report"].encode("utf-8")
        self._pool._events.stage_made(job.lease, StageFiles(message["stages"], _files(message), report))

    def _done(self, message: Mapping[str, Any]) -> None:
        job = self._job_of(message)
        if job is None:
            return
        result = _result(job, message)
        job.stop_timers()
        self.jobs.remove(job)
        # The worker goes on to the one that was ready. It says so itself only if we could not know.
        if self.jobs and not self.jobs[0].returning:
            self._begun(self.jobs[0])
        if message["model"]:
            self._pool.loaded_model = message["model"]
        if job.moving and not job.started and job.cancel_reason is None:
            job.begin_again()
            self._pool._waiting.appendleft(job)
            self._pool._hand_out()
            return
        # The next job goes out before anybody looks at this one's result: the GPU shall not wait for an upload.
        self._pool._hand_out()
        if job.dropped:
            for file in result.files:
                file.path.unlink(missing_ok=True)
        else:
            self._pool._events.ended(job.lease, result)

    def _progress(self, message: Mapping[str, Any]) -> None:
        job = self._job_of(message)
        if job is None or job.dropped:
            return
        self._begun(job)
        job.announced = True
        preview = message.get("preview")
        self._pool._events.progressed(
            job.lease,
            StepReport(
                message["stage"],
                message["index"],
                message["count"],
                message["step"],
                message["steps"],
                message["fraction"],
                message["eta"],
                base64.b64decode(preview) if preview else b"",
            ),
        )

    def _described(self, message: Mapping[str, Any]) -> None:
        assert self.child is not None
        self.child.loaded = True
        ready = message["op"] == "ready"
        self.described = ready
        name, version, stand_in, note = message["identity"] if ready else ("", "", False, "")
        problem = "" if ready else str(message["message"])
        inventory = Inventory(
            stages=tuple((stage["name"], stage["version"]) for stage in message["stages"]),
            identity=(name, version, stand_in, note) if ready else None,
            capabilities=message["capabilities"] if ready else {},
            problem=problem,
        )
        if ready:
            self._describe_delays.worked()
        else:
            delay = self._describe_delays.delay()
            asyncio.get_running_loop().call_later(delay, self._ask_again, self.child)
        self._set_problem(problem)
        self._pool._events.described(inventory)
        self._pool._hand_out()

    def _ask_again(self, child: _Child) -> None:
        if self.child is child:
            child.write(_line({"op": "describe"}))


class _Child(asyncio.SubprocessProtocol):
    """One worker process: bytes to lines, and its end."""

    def __init__(self, slot: _Slot) -> None:
        self._slot = slot
        self._rest = b""
        self._stderr = bytearray()
        self._transport: Any = None
        self._stdin: Any = None
        self._exited = self._drained = False
        self.pid = 0
        self.loaded = False
        self.doomed = False
        """We killed it."""
        self.watch_sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = transport
        self._stdin = self._transport.get_pipe_transport(0)
        self.pid = self._transport.get_pid()

    def write(self, data: bytes) -> None:
        """Send one line. To a worker that is just dying it is lost; its death is told soon."""
        self._stdin.write(data)

    def close(self) -> None:
        """Close its input: it ends at once."""
        self._stdin.close()

    def kill(self) -> None:
        """Kill it."""
        self.doomed = True
        try:
            self._transport.kill()
        except ProcessLookupError:
            return  # it was faster

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Output."""
        if fd == 2:
            self._stderr += data
            del self._stderr[:-STDERR_KEPT]
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._slot.line(line)
            except (ValueError, KeyError, TypeError):
                log.exception("worker %d wrote what is no line of ours and is killed", self._slot.index)
                self.kill()
                return

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """One of its pipes ended."""
        if fd == 1:
            self._drained = True
            self._maybe_dead()

    def process_exited(self) -> None:
        """It ended; lines may still be in the pipe."""
        self._exited = True
        self._maybe_dead()

    def _maybe_dead(self) -> None:
        if self._exited and self._drained:
            code = self._transport.get_returncode()
            self._transport.close()
            self._slot.died(self, code, bytes(self._stderr).decode("utf-8", "replace"))


def _line(message: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def _exit(code: int | None) -> str:
    if code is not None and code < 0 and os.name == "posix":
        return f"signal {-code}"
    return f"exit code {code}"


def _timeout(job: Job, how: str) -> Failure:
    return Failure(
        FailureKind.TIMEOUT,
        f"used up its run_timeout of {job.run_timeout:g} s and {how}; "
        "raise run_timeout in settings.toml if it needs more",
    )


def _files(message: Mapping[str, Any]) -> tuple[OutputFile, ...]:
    return tuple(
        OutputFile(
            Path(file["path"]),
            Artifact(file["name"], "image/png", file["sha256"], file["size"], file["tags"]),
        )
        for file in message["files"]
    )


def _result(job: Job, message: Mapping[str, Any]) -> WorkerResult:
    state = LeaseState(message["state"])
    run_time, vram = message["run_time"], message["peak_vram"]
    if state is LeaseState.SUCCEEDED:
        # Even when it was cancelled meanwhile: the work is done, and the agent's final state is the truth.
        return WorkerResult(state, _files(message), None, message["report"].encode("utf-8"), run_time, vram)
    if job.timed_out:
        return WorkerResult(
            LeaseState.FAILED, (), _timeout(job, "was stopped"), run_time=run_time, peak_vram_bytes=vram
        )
    failure = None
    if state is LeaseState.FAILED:
        failure = Failure(FailureKind(message["kind"]), message["message"], shorten_detail(message["detail"]))
    return WorkerResult(state, (), failure, run_time=run_time, peak_vram_bytes=vram)


def _death(job: Job, code: int | None, stderr: str) -> WorkerResult:
    """What became of the job of a worker that died."""
    if job.timed_out:
        return WorkerResult(
            LeaseState.FAILED, (), _timeout(job, "did not stop when asked: its worker was killed")
        )
    if job.cancel_reason is not None:
        return WorkerResult(LeaseState.CANCELLED)
    return WorkerResult(
        LeaseState.FAILED,
        (),
        Failure(
            FailureKind.BACKEND,
            f"the worker process died ({_exit(code)}); the backend's own log may say why",
            shorten_detail(stderr),
        ),
    )
