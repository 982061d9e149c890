"""What is done with a run as a whole: its jobs are cancelled, queued again, made once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from stablenew_api.errors import NotConfirmed
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.queue.jobwords import ACTIVE, WAITING
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

AGAIN = 500
"""Jobs of a run that is made once more, at most: each is asked for."""
WHO = "in the desktop"
"""Stands behind what was done to a job, in its history."""


class Say(Protocol):
    """Tells what became of an order: ``notes`` of the kernel, and how it is taken back, if it can be."""

    def __call__(self, text: str, notes: Sequence[str], undo: Callable[[], None] | None = None) -> None: ...


class QueueRuns:
    """See above."""

    def __init__(self, desk: Desk, say: Say, queue_again: Callable[[Sequence[str]], None]) -> None:
        """``queue_again`` gets ids of jobs."""
        self._desk, self._say, self._queue_again = desk, say, queue_again

    def cancel(self, run: pb.Run) -> None:
        """Cancel what is left of it."""
        if run.state != "running":
            return

        def work(kernel: KernelClient) -> tuple[list[str], pb.ChangeJobsResponse]:
            left = [job.job_id for job in _all_jobs(kernel, run.run_id, (*ACTIVE, *WAITING))]
            return left, kernel.change_jobs("cancel", run_id=run.run_id, reason=f"cancelled {WHO}")

        def done(answer: tuple[list[str], pb.ChangeJobsResponse]) -> None:
            ids, response = answer
            text = _("Run {name}: {text}").format(
                name=run.name, text=many("{n} job cancelled.", "{n} jobs cancelled.", response.changed)
            )
            self._say(text, response.notes, undo=lambda: self._queue_again(ids))

        self._desk.order(work, done)

    def retry(self, run: pb.Run) -> None:
        """Queue again what failed of it."""
        if not run.failed:
            self._desk.toasts.say(_("Nothing of this run has failed."))
            return

        def work(kernel: KernelClient) -> pb.ChangeJobsResponse:
            return kernel.change_jobs(
                "retry", [job.job_id for job in _all_jobs(kernel, run.run_id, ("failed",))]
            )

        self._desk.order(
            work,
            lambda answer: self._say(
                many("{n} job queued again.", "{n} jobs queued again.", answer.changed), answer.notes
            ),
        )

    def again(self, run: pb.Run, *, confirmed: bool = False) -> None:
        """Make all its images once more, with the same seeds, as a new run."""
        if run.total > AGAIN:
            self._desk.toasts.say(
                _("This run has {n} images; here at most {most} are made again.").format(
                    n=f"{run.total:,}", most=AGAIN
                ),
                "warning",
                hint=_("Choose its pack on the left and run it."),
            )
            return

        def work(kernel: KernelClient) -> pb.ReplayResponse | NotConfirmed:
            from stablenew_proto.v1 import kernel_pb2 as pb

            jobs = sorted(_all_jobs(kernel, run.run_id, ()), key=lambda job: job.index)
            specs = [
                pb.NamedFile(name=f"{job.index + 1:05d}", content=kernel.job(job.job_id).spec_json)
                for job in jobs
            ]
            request = pb.ReplayRequest(specs=specs, source_name=run.name, confirmed=confirmed)
            try:
                return kernel.replay_batch(request)
            except NotConfirmed as question:
                return question

        def done(answer: pb.ReplayResponse | NotConfirmed) -> None:
            if isinstance(answer, NotConfirmed):
                again = partial(self.again, run, confirmed=True)
                self._desk.toasts.say(str(answer), "warning", action=_("Queue it"), act=again)
            else:
                self._say(many("{n} image queued.", "{n} images queued.", answer.summary.jobs), ())

        self._desk.order(work, done)


def _all_jobs(kernel: KernelClient, run_id: str, states: Sequence[str]) -> Sequence[pb.Job]:
    """Every job of a run that is in one of ``states`` (none: in any), a page at a time."""
    found: list[pb.Job] = []
    while True:
        answer = kernel.jobs(run_id, states, 500, len(found))
        found += answer.jobs
        if not answer.jobs or len(found) >= answer.total:
            return found
