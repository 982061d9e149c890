"""The window: the next queued jobs, in memory, in queue order. The rest of the queue stays in the store.

A queue of a million jobs costs the memory of a few hundred. The price is that the window can be wrong in two
ways, and both are dealt with here:

* **It is older than the store.** A read is under way while jobs are leased, put back and cancelled. Whatever
  memory did to a job since the read was asked for (``_touched``) wins over what the read says. A read that was
  asked for before a cancel, a move or a retry (an older *generation*) is thrown away and asked for again.
* **Its jobs fit no free node** while a job far behind would. So when a node is hungry (free slots, nothing in
  the window for it), the window goes on page by page, *passing over* what it cannot use, and starts again from
  the head when a node that was not looking then gets hungry. A node for which a whole pass found nothing is
  *barren* until the queue or the node changes: otherwise it would page through the queue for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from stablenew_api.scheduler import JobView
from stablenew_kernel.domain.link import FillWindow, QueuedJob
from stablenew_kernel.domain.matching import Matcher, Requirement
from stablenew_kernel.domain.pace import kind_of


class Waiting:
    """A queued job in the window."""

    __slots__ = ("job", "promised", "requirement", "view")

    def __init__(self, job: QueuedJob, requirement: Requirement, promised: str = "") -> None:
        self.job = job
        self.requirement = requirement
        self.promised = promised
        """Idle node that it was taken back for; nobody else gets it while that node is waiting for it."""
        needs = job.needs
        if job.min_vram > needs.vram_bytes:
            needs = replace(needs, vram_bytes=job.min_vram)
        self.view = JobView(
            job.job_id,
            job.run_id,
            job.priority,
            needs,
            job.stages,
            job.attempt,
            kind_of(job.stages, job.needs),
        )


class Window:
    """The next queued jobs."""

    def __init__(self, limit: int, matcher: Matcher) -> None:
        self._limit = limit
        self._low = max(1, limit // 4)
        self._matcher = matcher
        self.jobs: dict[str, Waiting] = {}
        """In queue order."""
        self._generation = 1
        self._pending = False
        self._asked_after = ""
        self._asked_generation = 0
        self._touched: set[str] = set()
        self._cursor = ""
        """The last job that was read; it may be leased, done or cancelled by now."""
        self._cursor_priority = 0
        self._more = True  # until the first read says otherwise
        self._from_head = True  # the next read must start there
        self._passed_over = False
        self._searching: set[str] = set()
        self._barren: set[str] = set()

    # --- what memory does ---

    def take(self, job_id: str) -> Waiting:
        """Remove a job that is being leased."""
        if self._pending:
            self._touched.add(job_id)
        return self.jobs.pop(job_id)

    def put_back(self, job: QueuedJob, promised: str = "") -> None:
        """A job is queued again. It was leased before all that wait here, so it goes before its equals."""
        if self._pending:
            self._touched.add(job.job_id)
        self._insert(self._waiting(job, promised))

    def drop(self, match: Callable[[QueuedJob], bool]) -> list[QueuedJob]:
        """Remove jobs that are being cancelled, and distrust a read that is under way: it may know others like
        them."""
        gone = [waiting.job for waiting in self.jobs.values() if match(waiting.job)]
        for job in gone:
            del self.jobs[job.job_id]
        self._generation += 1
        return gone

    def changed(self) -> None:
        """Anything may have changed in the store: order, attempts, new jobs."""
        self._generation += 1
        self._from_head = True
        self._barren.clear()

    def added(self, jobs: Sequence[QueuedJob]) -> None:
        """These, in queue order, were added behind all others of their priority. Spares a read where the window
        reaches to the end of the queue, so that a single job submitted to an idle kernel is offered at once."""
        self._barren.clear()
        first = jobs[0].priority
        if self._pending or self._from_head:
            self._from_head = True  # after the read under way: that one may or may not see them
        elif self._more:
            # Behind the cursor they will be read when the window gets there.
            self._from_head = first > self._cursor_priority
        elif self.jobs and first > next(reversed(self.jobs.values())).job.priority:
            self._from_head = True
        else:
            room = max(0, self._limit - len(self.jobs))
            for job in jobs[:room]:
                self.jobs[job.job_id] = self._waiting(job)
                self._cursor, self._cursor_priority = job.job_id, job.priority
            self._more = len(jobs) > room

    def node_changed(self, node_id: str) -> None:
        """A node is new, or can do other things than before: what was passed over may be for it."""
        self._from_head = self._from_head or self._passed_over
        self._barren.discard(node_id)
        self._searching.discard(node_id)

    # --- reads ---

    def want(self, hungry: Iterable[str]) -> FillWindow | None:
        """The read to ask for now, if any. ``hungry``: nodes with free slots for which nothing is in the
        window."""
        if self._pending:
            return None
        looking = set(hungry) - self._barren
        if self._from_head:
            return self._ask("", looking)
        if self._more and (len(self.jobs) < self._low or looking):
            return self._ask(self._cursor, None)
        if looking and self._passed_over:
            self._barren |= looking & self._searching
            looking -= self._barren
            if looking:
                return self._ask("", looking)
        return None

    def fill(self, generation: int, jobs: Sequence[QueuedJob], more: bool, active: Container[str]) -> None:
        """Take in a read. ``active``: ids of the leased jobs."""
        if not self._pending or generation != self._asked_generation:
            return  # not the answer to our question
        self._pending = False
        touched, self._touched = self._touched, set()
        if generation != self._generation:
            # Asked before a cancel, a move or a retry was committed: it may hold jobs that are cancelled by
            # now.
            self._from_head = True
            return
        # Read before a lease of ours was committed: the store still calls the job queued, while it runs or is
        # even done. Memory knows better.
        fresh = [job for job in jobs if job.job_id not in touched and job.job_id not in active]
        old = self.jobs
        if self._asked_after:
            keep = list(old.values())
            if len(keep) + len(fresh) > self._limit + self._low:
                self._passed_over = True
                keep = keep[: self._low]
            self.jobs = {waiting.job.job_id: waiting for waiting in keep}
            back = [
                waiting for waiting in old.values() if waiting.promised and waiting.job.job_id not in self.jobs
            ]
        else:
            self._passed_over = False
            self.jobs = {}
            back = [waiting for job_id, waiting in old.items() if job_id in touched or waiting.promised]
        for job in fresh:
            if job.job_id not in self.jobs:
                self.jobs[job.job_id] = self._waiting(job)
        for waiting in back:
            self.jobs.pop(waiting.job.job_id, None)
            self._insert(waiting)
        if jobs:  # not of the fresh ones alone: a page without any must not be read twice
            self._cursor, self._cursor_priority = jobs[-1].job_id, jobs[-1].priority
        self._more = more and bool(jobs)

    @property
    def all_here(self) -> bool:
        """Whether the store has no queued job that is not in the window."""
        return not (self._more or self._pending or self._from_head or self._passed_over)

    def nothing_for(self, node_id: str) -> bool:
        """Whether the rest of the queue has nothing for a node for which the window has nothing."""
        return self.all_here or node_id in self._barren

    def _ask(self, after: str, looking: set[str] | None) -> FillWindow:
        self._pending = True
        self._touched.clear()
        self._asked_after = after
        self._asked_generation = self._generation
        if looking is not None:
            self._from_head = False
            self._searching = looking
        return FillWindow(self._generation, after, self._limit)

    def _waiting(self, job: QueuedJob, promised: str = "") -> Waiting:
        return Waiting(
            job, self._matcher.requirement(job.needs, job.min_vram, job.stages, job.run_id), promised
        )

    def _insert(self, waiting: Waiting) -> None:
        """Before the first that is not more urgent. Rare, so the whole order is made again."""
        priority = waiting.job.priority
        order = list(self.jobs.values())
        place = next((i for i, other in enumerate(order) if other.job.priority <= priority), len(order))
        order.insert(place, waiting)
        self.jobs = {other.job.job_id: other for other in order}
