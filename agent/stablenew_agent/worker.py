"""The worker: the child process of an agent that loads the plugins and runs jobs. ``python -m
stablenew_agent.worker``.

It is a process of its own so that it can be killed: no plugin, however stuck, outlives its cancel.

Two jobs are here at most: one has the device, the other one waits for it or finishes; see
:mod:`stablenew_agent.turns`.

Protocol: JSON lines. From the agent: ``start`` once (backend, options, plugins, log file), then ``job``,
``cancel``, ``take_back`` (a job that has not started), ``watch``, ``stop`` and ``describe``. To the agent:
``ready`` (or ``unready`` with the reason) after ``start`` and ``describe``; then ``progress`` and one ``done``
a job, with ``unready`` before it if the backend has gone. ``started`` tells that a job has begun where that is
news: beside another one, or in answer to a ``take_back`` that comes too late. (A job that comes to an idle
worker, or whose predecessor is done, starts without a word.) The end of the input means that the agent is gone:
the worker ends at once, whatever it does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from stablenew_agent.running import JobRunner
from stablenew_agent.turns import EventToken, Turns, Work
from stablenew_api.backend import Backend, BackendIdentity, Capabilities
from stablenew_api.errors import StableNewError, StageFailure
from stablenew_api.faults import crash_point
from stablenew_api.host import PluginHost
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_api.jsonlog import log_to_file
from stablenew_api.memory import collect_rarely
from stablenew_api.stage import Stage

log = logging.getLogger(__name__)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our input and output, moved to private descriptors.

    A plugin's ``print``, a C library's ``printf`` or a child process that inherits descriptors 0 and 1 can then
    neither break the protocol nor eat from it: 0 is the null device, 1 is standard error.
    """
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without a standard error
        os.dup2(null, 1)
    os.close(null)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for the life of the process
    sys.stdout = sys.stderr
    return source, sink


class _Place:
    """A job's place at the device: what :class:`~stablenew_agent.running.Device` asks of one."""

    __slots__ = ("_turns", "_work")

    def __init__(self, turns: Turns, work: Work) -> None:
        self._turns, self._work = turns, work

    def take(self) -> None:
        self._turns.take(self._work)

    def release(self) -> None:
        self._turns.release(self._work)


class Worker:
    """Reads lines in one thread, runs jobs in the main thread and a second one."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._write_lock = threading.Lock()
        self._turns = Turns()
        self._watched = threading.Event()
        self._backend: Backend | None = None
        self._identity: BackendIdentity | None = None
        self._can: Capabilities | None = None
        """What the backend said last that it can do: asking may cost a server a dozen requests."""
        self._kinds: Sequence[type[Stage]] = ()
        self._stages: list[dict[str, str]] = []
        """Name and version of each of them."""

    def main(self) -> int:
        """Run until the agent is gone."""
        start = self._source.readline()
        if not start:
            return 0
        setup = json.loads(start)
        if setup["log"]:
            log_to_file(Path(setup["log"]))
        # From here on the end of the input ends the process, even while plugins load.
        threading.Thread(target=self._read, name="agent-lines", daemon=True).start()
        host = PluginHost.load(
            role="worker",
            plugin_folder=Path(setup["plugin_folder"]) if setup["plugin_folder"] else None,
            disabled=setup["disabled"],
        )
        kind = host.backend(setup["backend"])
        self._backend = backend = kind(kind.Config.model_validate(setup["options"]))
        runner = JobRunner(
            host.stages,
            backend,
            self._who,
            self._can_do,
            setup["version"],
            self._send,
            self._watched,
            setup.get("keep_after"),
        )
        host.started("worker")
        collect_rarely()
        self._kinds = tuple(host.stages.values())
        self._stages = [{"name": s.name, "version": s.version} for s in self._kinds]
        self._describe(backend)
        args = (host, runner, backend)
        threading.Thread(target=self._work_off, args=args, name="second-runner", daemon=True).start()
        self._work_off(*args)
        return 0

    def _work_off(self, host: PluginHost, runner: JobRunner, backend: Backend) -> None:
        """Take one thing after the other until the agent says stop."""
        over: Work | None = None
        try:
            while True:
                over, accompanied = self._turns.next(over)
                if over.token is not None:
                    self._run(runner, over, over.token, accompanied)
                elif over.message["op"] == "describe":
                    self._describe(backend)
                else:
                    host.stopping("worker")
                    backend.close()
                    # The other thread may be the main one, and waits for work that will not come.
                    _exit(0)
        except BaseException:
            traceback.print_exc()
            _exit(3)

    def _who(self) -> BackendIdentity:
        if self._identity is None:
            assert self._backend is not None
            self._identity = self._backend.identify()
        return self._identity

    def _can_do(self) -> Capabilities:
        if self._can is None:
            assert self._backend is not None
            self._can = self._backend.capabilities()
        return self._can

    def _run(self, runner: JobRunner, work: Work, token: EventToken, accompanied: bool) -> None:
        job = work.message
        if accompanied:
            self._started(job["job"], job["attempt"])
        crash_point("worker.job.received")
        done = runner.run(job, token, _Place(self._turns, work))
        if done.get("kind") == FailureKind.BACKEND and self._turns.has(work):
            self._tell_if_gone()
        crash_point("worker.result.before_send")
        self._send(done)

    def _tell_if_gone(self) -> None:
        """A backend failed: if it does not answer any more, say so before the job's end is told. The kernel
        then keeps this job, and all that follow, until the backend is back; else a server that is down for a
        moment would fail every job of the queue, three times each. Called with the device."""
        assert self._backend is not None
        try:
            self._backend.identify()
        except Exception as error:
            self._send({"op": "unready", "message": self._reason(error), "stages": self._stages})

    def _reason(self, error: Exception) -> str:
        """Why the backend cannot say what it is, for the node's report."""
        if isinstance(error, StageFailure):
            return str(error)
        log.error("the backend cannot say what it can do", exc_info=error)
        assert self._backend is not None
        return f"backend {self._backend.name}: {type(error).__name__}: {error}"

    def _started(self, job: str, attempt: int) -> None:
        self._send({"op": "started", "job": job, "attempt": attempt})

    def _describe(self, backend: Backend) -> None:
        stages = self._stages
        try:
            identity = self._identity = backend.identify()
            own = can = self._can = backend.capabilities()
            for stage in self._kinds:
                can |= stage.provides(own)
        except Exception as error:
            self._send({"op": "unready", "message": self._reason(error), "stages": stages})
            return
        self._send(
            {
                "op": "ready",
                "stages": stages,
                "identity": [identity.name, identity.version, identity.stand_in, identity.note],
                "capabilities": {
                    "features": sorted(can.features),
                    **{name: list(getattr(can, name)) for name in can.lists()},
                },
            }
        )

    def _send(self, line: Mapping[str, JsonValue]) -> None:
        data = (
            json.dumps(line, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
        )
        try:
            with self._write_lock:
                self._sink.write(data)
                self._sink.flush()
        except OSError:  # the agent is gone
            os._exit(0)

    def _read(self) -> None:
        """Take lines until the agent is gone, then end the process at once: nobody is left to want its work."""
        try:
            for line in self._source:
                self._take(json.loads(line))
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(4)
        os._exit(0)

    def _take(self, message: Mapping[str, Any]) -> None:
        op = message["op"]
        if op == "job":
            self._turns.put(Work(message, EventToken()))
        elif op == "cancel":
            self._cancel((message["job"], message["attempt"]))
        elif op == "take_back":
            self._take_back((message["job"], message["attempt"]))
        elif op == "watch":
            if message["previews"]:
                self._watched.set()
            else:
                self._watched.clear()
        elif op in ("describe", "stop"):
            self._turns.put(Work(message))
        else:
            raise ValueError(f"the agent sent {op!r}, which this worker does not know")

    def _take_back(self, lease: tuple[str, int]) -> None:
        if self._turns.take_back(lease):
            self._send(_not_run(lease))
        else:
            self._started(*lease)

    def _cancel(self, lease: tuple[str, int]) -> None:
        if self._turns.take_back(lease):
            self._send(_not_run(lease))
            return
        # A cancel may cross the job's end: the agent then already has, or is about to get, its ``done``.
        work = self._turns.cancel(lease)
        if work is not None and self._backend is not None:
            # A thread: interrupting a backend may be a request that takes its time, and this one must read on.
            threading.Thread(target=self._interrupt, args=(work, self._backend), daemon=True).start()

    def _interrupt(self, work: Work, backend: Backend) -> None:
        try:
            self._turns.guarded(work, backend.interrupt)
        except Exception:
            log.exception("the backend could not be interrupted; the agent kills this worker if need be")


def _not_run(lease: tuple[str, int]) -> dict[str, JsonValue]:
    """The ``done`` line of a job that never started."""
    job, attempt = lease
    return {
        "op": "done",
        "job": job,
        "attempt": attempt,
        "state": "cancelled",
        "run_time": 0.0,
        "peak_vram": 0,
        "model": "",
    }


def _exit(code: int) -> None:
    # Not sys.exit: a plugin's forgotten thread must not keep a process alive that has nothing left to do.
    sys.stderr.flush()
    os._exit(code)


def main() -> int:
    """Entry point. Exit codes: 0 the agent is gone or said stop; 3 the plugins or the backend could not be
    loaded; 4 the agent sent what this worker does not understand."""
    # Ctrl-C in a terminal goes to every process in it; the agent decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = take_pipes()
    try:
        return Worker(source, sink).main()
    except Exception as error:
        if not isinstance(error, StableNewError):
            traceback.print_exc()
        else:
            sys.stderr.write(f"{error}\n")
        return 3


if __name__ == "__main__":
    _exit(main())
