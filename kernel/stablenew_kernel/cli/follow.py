"""Staying with a run until it ends: the live view of ``run``, ``replay`` and ``queue watch``."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import KernelUnavailable, StableNewError
from stablenew_kernel.cli.context import App
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.interrupts import Interrupts
from stablenew_kernel.cli.runview import RunView, failure_text, run_seconds
from stablenew_kernel.cli.screens import Screen, state_line

if TYPE_CHECKING:
    from stablenew_client import KernelClient, WatchStream
    from stablenew_proto.v1 import kernel_pb2 as pb

TICK = 0.1
"""Seconds between drawings, and the longest that a Ctrl-C waits to be seen."""

IDLE = 2.0
"""Seconds in which nothing runs before we ask why."""

PATIENCE = 30.0
"""Seconds that a kernel may be away (crashed, started again) before we stop waiting for it."""

FAILURES_SHOWN = 5
"""Different failures named at the end; the rest is in ``stablenew queue list``."""


class Follower:
    """Watches one run. ``cancel_on_interrupt``: the first Ctrl-C cancels the run; otherwise it only leaves."""

    def __init__(
        self,
        app: App,
        kernel: KernelClient,
        run_id: str,
        screen: Screen,
        interrupts: Interrupts,
        *,
        cancel_on_interrupt: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._kernel = kernel
        self._screen = screen
        self._interrupts = interrupts
        self._cancel_on_interrupt = cancel_on_interrupt
        self._clock = clock
        self._cancel_sent = False
        self._note = ""
        self._idle_since: float | None = None
        self._own_kernel = False
        self.view = RunView(run_id)

    def follow(self, expected: float = 0.0) -> ExitCode:
        """Show the run until it ends, and return how this command ends.

        ``expected``: seconds that the kernel thinks it takes, told until its speed is seen; 0: not known.

        Raises KernelUnavailable, with the run's id, if the kernel goes away and stays away.
        """
        run_id = self.view.run_id
        if expected:
            self.view.expected_end = self._clock() + expected
        try:
            with self._screen:
                while not self.view.ended:
                    try:
                        self._watch()
                    except KernelUnavailable as error:
                        self._reconnect(error)
                summary = summarize(self._kernel, self.view)
                self._screen.ended(self.view, summary)
        except _Left as left:
            self._screen.note(f"{left}: stablenew queue watch {run_id}")
            return ExitCode.CANCELLED
        finally:
            if self._own_kernel:
                self._kernel.close()
        if summary["failed"]:
            return ExitCode.FAILED
        return ExitCode.CANCELLED if summary["cancelled"] or summary["state"] == "cancelled" else ExitCode.OK

    def _watch(self) -> None:
        """Follow one stream to the end of the run. Raises KernelUnavailable when the stream ends first."""
        stream = self._kernel.watch(self.view.run_id, jobs=True, progress=True)
        inbox: queue.SimpleQueue[pb.WatchResponse | StableNewError] = queue.SimpleQueue()
        # Read in a thread of its own: gRPC's iterator cannot be left for a moment to draw or to hear a Ctrl-C.
        reader = threading.Thread(target=_read, args=(stream, inbox), daemon=True, name="watch")
        reader.start()
        try:
            drawn = 0.0
            while not self.view.ended:
                self._heed_interrupt()
                self._take(inbox)
                now = self._clock()
                self._explain_idleness(now)
                if now - drawn >= TICK:
                    self._screen.refresh(self.view, now)
                    drawn = now
        finally:
            stream.close()
            reader.join(timeout=5)

    def _take(self, inbox: queue.SimpleQueue[pb.WatchResponse | StableNewError]) -> None:
        """Wait a tick at most, then take in all that came."""
        timeout = TICK
        while True:
            try:
                item = inbox.get(timeout=timeout) if timeout else inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, StableNewError):
                raise item
            for news in self.view.apply(item, self._clock()):
                self._screen.news(self.view, news)
            if self.view.ended:
                return
            timeout = 0.0

    def _heed_interrupt(self) -> None:
        if not self._interrupts.asked:
            return
        if not self._cancel_on_interrupt:
            raise _Left("left; the run goes on")
        if not self._cancel_sent:
            self._say_once("cancelling; waiting for what runs to stop (Ctrl-C again: do not wait)")
            self._kernel.change_jobs("cancel", run_id=self.view.run_id, reason="Ctrl-C at the command line")
            self._cancel_sent = True  # not before: a kernel that was away is asked again
        if self._interrupts.insisted:
            raise _Left("not waiting; the kernel still cancels the run")

    def _explain_idleness(self, now: float) -> None:
        """Ask why nothing runs, once nothing has for a while, and say it each time the answer changes."""
        run = self.view.run
        if run is None or self.view.running or not run.queued:
            self._idle_since = None
            return
        if self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= IDLE:
            self._idle_since = now
            waiting = self._kernel.jobs(self.view.run_id, states=["queued"], limit=1).jobs
            self.view.waiting_reason = waiting[0].waiting_reason if waiting else ""
            self._say_once(state_line(self.view))

    def _say_once(self, text: str) -> None:
        if text and text != self._note:
            self._note = text
            self._screen.note(text)

    def _reconnect(self, error: KernelUnavailable) -> None:
        """Find the kernel again. A kernel that crashed leaves its word in the data folder, one that was stopped
        takes it away: that one is not waited for."""
        run_id = self.view.run_id
        advice = f"the run is kept; see it again with: stablenew kernel start, stablenew queue watch {run_id}"
        self._screen.note("the kernel is out of touch; looking for it again")
        deadline = self._clock() + PATIENCE
        while True:
            try:
                kernel = self._app.connect()
                break
            except KernelUnavailable:
                if self._app.data.read_kernel() is None:
                    raise KernelUnavailable(f"the kernel was stopped; {advice}") from error
                if self._clock() >= deadline:
                    raise KernelUnavailable(f"the kernel went away; {advice}") from error
            if self._interrupts.insisted or (self._interrupts.asked and not self._cancel_sent):
                raise KernelUnavailable(f"the kernel is out of touch; {advice}") from error
            time.sleep(TICK * 2)
        if self._own_kernel:
            self._kernel.close()
        self._kernel, self._own_kernel = kernel, True


class _Left(Exception):
    """The person does not want to wait; the text says what becomes of the run."""


def _read(stream: WatchStream, inbox: queue.SimpleQueue[pb.WatchResponse | StableNewError]) -> None:
    """Move ``stream`` into ``inbox``; its end is an error like any other, since a run's watch has none."""
    try:
        for message in stream:
            inbox.put(message)
    except StableNewError as error:
        inbox.put(error)
    else:
        inbox.put(KernelUnavailable("the kernel closed the connection"))


def summarize(kernel: KernelClient, view: RunView) -> dict[str, Any]:
    """How the run ended, for people and for ``--json``."""
    run = view.run
    assert run is not None
    took = run_seconds(run)
    summary: dict[str, Any] = {
        "run_id": run.run_id,
        "name": run.name,
        "state": run.state,
        "total": run.total,
        "done": run.done,
        "failed": run.failed,
        "cancelled": run.cancelled,
        "seconds": took,
        "images_per_minute": round(run.done / took * 60, 2) if took and run.done else None,
        "out_dir": run.out_dir,
        "files": list(run.files),
        "failures": [],
    }
    if run.failed:
        failures: dict[str, dict[str, Any]] = {}
        for job in kernel.jobs(run.run_id, states=["failed"], limit=1000).jobs:
            text = failure_text(job.failure)
            entry = failures.setdefault(
                text, {"text": text, "kind": job.failure.kind, "count": 0, "job_id": job.job_id}
            )
            entry["count"] += 1
        summary["failures"] = sorted(failures.values(), key=lambda entry: -entry["count"])[:FAILURES_SHOWN]
    return summary
