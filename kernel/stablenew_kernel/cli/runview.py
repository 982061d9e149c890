"""What is to be seen of one run, built from the kernel's messages. No I/O, no clock of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stablenew_proto.v1 import common_pb2 as common
    from stablenew_proto.v1 import kernel_pb2 as pb

FINAL = frozenset({"done", "failed", "cancelled"})
"""States of a job that does not change by itself any more."""

RATE_WINDOW = 60.0
"""Seconds over which the speed is measured: long enough to be calm, short enough to see a node leave."""


@dataclass(frozen=True, slots=True)
class News:
    """Something worth a line: an image stands, a job failed for good, or an attempt failed and goes again."""

    kind: str
    """``image``, ``failed`` or ``retry``."""
    job_id: str
    text: str
    """The path, or the reason."""
    node: str = ""
    seconds: float = 0.0
    """Time in the worker; 0 when not known."""
    number: int = 0
    """With an image: how many of the run stand, this one included."""


@dataclass(slots=True)
class RunView:
    """One run as far as its messages tell."""

    run_id: str
    run: pb.Run | None = None
    running: dict[str, pb.RunningJob] = field(default_factory=dict)
    """By job id, in the order in which they started."""
    queue: pb.QueueSummary | None = None
    waiting_reason: str = ""
    """Why nothing runs; empty while something does."""
    expected_end: float | None = None
    """When the kernel thought that it ends, by the clock of ``now``; None: it did not say."""
    images: int = 0
    """Images that stand. Counted here, since the run's own counts may come a moment after the image."""
    _jobs: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Job id -> state and attempt, of jobs that changed while we looked."""
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, images done) over the last :data:`RATE_WINDOW`, oldest first."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.run is not None and self.run.state != "running"

    @property
    def settled(self) -> int:
        """Jobs that are done, failed or cancelled."""
        return 0 if self.run is None else self.run.done + self.run.failed + self.run.cancelled

    def apply(self, message: pb.WatchResponse, now: float) -> list[News]:
        """Take ``message`` in, at monotonic time ``now``, and return what is worth a line."""
        news: list[News] = []
        if message.snapshot:  # after a reconnect too: whatever ended meanwhile sent us nothing
            self.running.clear()
            self._jobs.clear()
            self.images = 0
        for running in message.progress:
            if running.run_id == self.run_id and self._jobs.get(running.job_id, ("", 0))[0] not in FINAL:
                self.running[running.job_id] = running
        for job in message.jobs:
            if job.run_id == self.run_id:
                news += self._job(job, first_look=message.snapshot)
        seconds = {job.job_id: (job.node, job.run_time) for job in message.jobs}
        for image in message.images:
            if image.run_id == self.run_id:
                self.running.pop(image.job_id, None)
                node, took = seconds.get(image.job_id, ("", 0.0))
                if not message.snapshot:
                    self.images += 1
                    news.append(News("image", image.job_id, image.path, node, took, self.images))
        for run in message.runs:
            if run.run_id == self.run_id:
                self.run = run
                self.images = max(self.images, run.done)
                self._mark(now, run.done)
        if message.HasField("queue"):
            self.queue = message.queue
        if self.running:
            self.waiting_reason = ""
        return news

    def per_second(self, now: float) -> float | None:
        """Images a second over the last minute; None before two moments can be compared."""
        if len(self._marks) < 2 or self._marks[-1][1] <= self._marks[0][1]:
            return None
        return (self._marks[-1][1] - self._marks[0][1]) / max(now - self._marks[0][0], 0.001)

    def eta(self, now: float) -> float | None:
        """Seconds until the run ends: at the present speed, and until that is seen, as the kernel estimated it;
        None when unknown."""
        speed = self.per_second(now)
        if self.run is None or speed is None:
            left = self.expected_end - now if self.expected_end is not None else 0.0
            return left if left > 0 else None  # an estimate that was too low is none any more
        return max(self.run.total - self.settled, 0) / speed

    def fraction(self) -> float:
        """How much of the run is done, 0 to 1, running jobs counted in part."""
        if self.run is None or self.run.total == 0:
            return 0.0
        parts = sum(min(max(job.progress.fraction, 0.0), 1.0) for job in self.running.values())
        return min((self.settled + parts) / self.run.total, 1.0)

    def _job(self, job: pb.Job, *, first_look: bool) -> list[News]:
        before, self._jobs[job.job_id] = self._jobs.get(job.job_id), (job.state, job.attempt)
        if job.state not in ("running", "leased"):
            self.running.pop(job.job_id, None)
        # A job is sent again for other reasons too (a new waiting reason): news only when it moved.
        if first_look or not job.HasField("failure") or before == (job.state, job.attempt):
            return []
        kind = {"failed": "failed", "queued": "retry"}.get(job.state)
        return [News(kind, job.job_id, failure_text(job.failure), job.node, job.run_time)] if kind else []

    def _mark(self, now: float, done: int) -> None:
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[0][0] < now - RATE_WINDOW:
            self._marks.popleft()


def run_seconds(run: pb.Run) -> float | None:
    """How long an ended run took, by the kernel's clock; None while it runs."""
    if not run.ended_at:
        return None
    try:
        begun, ended = datetime.fromisoformat(run.created_at), datetime.fromisoformat(run.ended_at)
        return max((ended - begun).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


FAILURE_WORDS = {
    "bad_input": "the job cannot be run as it is",
    "out_of_memory": "not enough VRAM",
    "backend": "the backend failed",
    "timeout": "took too long",
    "plugin": "a stage plugin broke",
    "lost": "its node was lost",
}
"""What a failure kind means, in plain words."""


def failure_text(failure: common.Failure) -> str:
    """A failure in one line: what it means, then what was said."""
    words = FAILURE_WORDS.get(failure.kind, failure.kind)
    return f"{words}: {failure.message}" if failure.message else words
