"""What changed, for whoever looks: a mailbox a watcher, in which the latest replaces what was not read yet.

A slow reader gets the latest state and never makes the kernel wait or grow. News that somebody waits for (a
job ended, a run ended, an image was saved) goes out at once; counts and progress at most :data:`CALM` a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from stablenew_proto.v1 import kernel_pb2 as pb

CALM = 0.05
"""Seconds between messages that nobody waits for."""

JOBS_KEPT = 2_000
"""Job changes kept for one reader; above it the oldest are dropped, the run's counts still tell the sum."""


class Watcher:
    """The mailbox of one reader."""

    def __init__(self, request: pb.WatchRequest) -> None:
        self.run_id = request.run_id
        self.wants_jobs = request.jobs
        self.wants_progress = request.progress
        self.wants_previews = request.progress and request.previews
        self._runs: dict[str, pb.Run] = {}
        self._jobs: dict[str, pb.Job] = {}
        self._progress: dict[str, pb.RunningJob] = {}
        self._nodes: dict[str, pb.Node] = {}
        self._images: list[pb.SavedImage] = []
        self._queue: pb.QueueSummary | None = None
        self._ended = False
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()

    def concerns(self, run_id: str) -> bool:
        """Whether this reader looks at that run."""
        return not self.run_id or self.run_id == run_id

    def put_run(self, run: pb.Run) -> None:
        """A run's counts or state changed."""
        if self.concerns(run.run_id):
            self._runs[run.run_id] = run
            self._wake(run.state != "running")

    def put_job(self, job: pb.Job, *, final: bool) -> None:
        """A job's state changed."""
        if self.wants_jobs and self.concerns(job.run_id):
            self._jobs[job.job_id] = job
            while len(self._jobs) > JOBS_KEPT:
                del self._jobs[next(iter(self._jobs))]
            self._wake(final)

    def put_progress(self, running: pb.RunningJob) -> None:
        """A running job moved on."""
        for wanted in self.progress_of([running]):
            self._progress[wanted.job_id] = wanted
            self._wake(urgent=False)

    def progress_of(self, running: Iterable[pb.RunningJob]) -> list[pb.RunningJob]:
        """Those that this reader wants to see, without previews if it wants none."""
        if not self.wants_progress:
            return []
        return [
            _without_preview(job) if job.progress.preview_jpeg and not self.wants_previews else job
            for job in running
            if self.concerns(job.run_id)
        ]

    def drop_progress(self, job_id: str) -> None:
        """That job does not run any more."""
        self._progress.pop(job_id, None)

    def put_node(self, node: pb.Node) -> None:
        """A node came, went or reported."""
        if not self.run_id:
            self._nodes[node.node_id] = node
            self._wake(urgent=False)

    def put_image(self, image: pb.SavedImage) -> None:
        """An image stands in its folder."""
        if self.concerns(image.run_id):
            self._images.append(image)
            del self._images[:-JOBS_KEPT]
            self._wake(urgent=True)

    def put_queue(self, queue: pb.QueueSummary) -> None:
        """The queue's counts or its pause changed."""
        self._queue = queue
        self._wake(urgent=False)

    def _wake(self, urgent: bool) -> None:
        self._news.set()
        if urgent:
            self._urgent.set()

    def end(self) -> None:
        """The kernel stops: tell what is left, and that is all."""
        self._ended = True
        self._wake(urgent=True)

    async def messages(self) -> AsyncIterator[pb.WatchResponse]:
        """What changed since the last message, until :meth:`end`."""
        while True:
            await self._news.wait()
            ended = self._ended
            yield self._take()
            if ended:
                return
            if not self._urgent.is_set():
                try:
                    async with asyncio.timeout(CALM):
                        await self._urgent.wait()
                except TimeoutError:
                    continue

    def _take(self) -> pb.WatchResponse:
        self._news.clear()
        self._urgent.clear()
        message = pb.WatchResponse(
            runs=self._runs.values(),
            jobs=self._jobs.values(),
            progress=self._progress.values(),
            nodes=self._nodes.values(),
            images=self._images,
            queue=self._queue,
        )
        for mailbox in (self._runs, self._jobs, self._progress, self._nodes):
            mailbox.clear()
        self._images.clear()
        self._queue = None
        return message


def _without_preview(running: pb.RunningJob) -> pb.RunningJob:
    """A copy: others may want the preview."""
    copy = pb.RunningJob()
    copy.CopyFrom(running)
    copy.progress.ClearField("preview_jpeg")
    return copy
