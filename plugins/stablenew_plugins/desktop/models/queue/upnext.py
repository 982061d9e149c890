"""Which runs have images that wait, in the order in which those come: what a glance at the queue tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.plainwords import explain, explain_waiting
from stablenew_plugins.desktop.models.queue.jobwords import WAITING
from stablenew_plugins.desktop.text import many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

SHOWN = 3
"""Runs that are told one by one."""
OLDEST, NEWEST = 12, 4
"""Runs that the kernel is asked about: the oldest, which come first by themselves, and the newest, which
somebody may have put before them."""
PERIOD = 1.0
"""Seconds between two questions, at least."""
PATIENCE = 5.0
"""Seconds after a question that failed."""
AWAY = 0.5
"""Seconds after the last look at which nobody is taken to look any more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run with images that wait."""

    run_id: str
    name: str
    count: str
    """How many wait: ``72 images``."""
    note: str
    """The nodes that work on it; while none does, why it waits; empty: not known yet."""
    works: bool
    """Whether some of its images are being made."""


class UpNextModel(Model):
    """See above. The kernel is asked while somebody looks: :meth:`look` says so, :meth:`tick` asks."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.runs: Sequence[Waiting] = ()
        """The first :data:`SHOWN`."""
        self.more = ""
        """What is behind them: ``2 more runs``; empty: nothing."""
        self.problem = ""
        """Why their order is not known; empty: it is."""
        self._first: Mapping[str, pb.Job] = {}
        """The first job of each run that waits, as it was told last."""
        self._seen = -1
        self._asked_for = -1
        self._asks = False
        self._due = self._looked = float("-inf")

    def look(self) -> None:
        """Somebody looks. Called each frame."""
        self._looked = self._desk.clock()

    def tick(self) -> None:
        """Follow the kernel, and ask it for the order if jobs changed."""
        state, now = self._desk.state, self._desk.clock()
        if now - self._looked > AWAY:
            return
        if state.revision != self._seen:
            self._seen = state.revision
            self._show()
        if self._asks or now < self._due or state.jobs_revision == self._asked_for:
            return
        self._due = now + PERIOD
        waiting = self._waiting()
        ids = [run.run_id for run in (*waiting[:OLDEST], *waiting[OLDEST:][-NEWEST:])]
        before, self._asked_for = self._asked_for, state.jobs_revision
        if not ids:
            return
        self._asks = True  # before it is asked: where the answer comes at once, it is there behind this line
        if not self._desk.ask(lambda kernel: _first_jobs(kernel, ids), self._told, self._failed):
            self._asks, self._asked_for = False, before

    def _waiting(self) -> Sequence[pb.Run]:
        """Those that have images in the queue, the oldest first."""
        return [run for run in self._desk.state.runs.values() if run.state == "running" and run.queued]

    def _told(self, first: Mapping[str, pb.Job]) -> None:
        self._asks, self.problem, self._first = False, "", first
        self._show()
        self.touch()  # also where nothing but the problem is gone

    def _failed(self, error: Exception) -> None:
        self._asks, self.problem = False, explain(error).text
        self._due = self._desk.clock() + PATIENCE
        self._asked_for = -1
        self.touch()

    def _show(self) -> None:
        waiting = sorted(self._waiting(), key=self._place)
        runs = [self._line(run) for run in waiting[:SHOWN]]
        left = len(waiting) - len(runs)
        more = many("{n} more run", "{n} more runs", left) if left else ""
        if (runs, more) != (self.runs, self.more):
            self.runs, self.more = runs, more
            self.touch()

    def _place(self, run: pb.Run) -> int:
        job = self._first.get(run.run_id)
        return job.place if job is not None and job.place else 2**63

    def _line(self, run: pb.Run) -> Waiting:
        jobs = self._desk.state.running.values()
        nodes = sorted({job.node for job in jobs if job.run_id == run.run_id and job.node})
        first = self._first.get(run.run_id)
        why = explain_waiting(first.waiting_reason).text.rstrip(".") if first is not None else ""
        count = many("{n} image", "{n} images", run.queued)
        return Waiting(run.run_id, run.name, count, ", ".join(nodes) or why, bool(nodes or run.active))


def _first_jobs(kernel: KernelClient, ids: Sequence[str]) -> Mapping[str, pb.Job]:
    """The first waiting job of each run that still has one. Raises as the kernel does."""
    found = {run_id: kernel.jobs(run_id, WAITING, 1, 0).jobs for run_id in ids}
    return {run_id: jobs[0] for run_id, jobs in found.items() if jobs}
