"""The counts in memory are those that a recount gives, whatever happens in whatever order."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.jobs import Artifact, JobState
from stablenew_api.leases import LeaseState, Outcome
from stablenew_kernel.app.board import RunBoard
from stablenew_kernel.domain.link import Transition
from stablenew_kernel.store.runs import RunRow

NEXT: dict[JobState, tuple[JobState, ...]] = {
    JobState.QUEUED: (JobState.LEASED, JobState.CANCELLED),
    JobState.LEASED: (JobState.RUNNING, JobState.QUEUED, JobState.UNKNOWN, JobState.DONE, JobState.FAILED),
    JobState.RUNNING: (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN, JobState.QUEUED),
    JobState.UNKNOWN: (JobState.RUNNING, JobState.QUEUED, JobState.DONE, JobState.CANCELLED),
}
IMAGE = Artifact("image.png", "image/png", "0" * 64, 1)


@dataclass
class Job:
    run_id: str
    state: JobState = JobState.QUEUED
    pending: int = 0


class Store:
    """What the database would say."""

    def __init__(self, sizes: list[int]) -> None:
        self.jobs = [Job(f"r{number}") for number, size in enumerate(sizes) for _ in range(size)]
        self.run_ids = sorted({job.run_id for job in self.jobs})

    def row(self, run_id: str) -> RunRow:
        mine = [job for job in self.jobs if job.run_id == run_id]
        states = Counter(job.state for job in mine)
        saving = sum(job.pending for job in mine)
        return RunRow(
            run_id=run_id,
            name=run_id,
            folder="",
            state="running",
            priority=0,
            total=len(mine),
            queued=states[JobState.QUEUED],
            active=sum(states[state] for state in JobState if state.active),
            done=states[JobState.DONE] - saving,
            saving=saving,
            failed=states[JobState.FAILED],
            cancelled=states[JobState.CANCELLED],
            request=b"{}",
            files=(),
            cancel_requested=False,
            created_at="",
            ended_at="",
        )

    def step(self, rng: random.Random) -> Transition | None:
        job = rng.choice(self.jobs)
        if job.state.final:
            return None
        before, job.state = job.state, rng.choice(NEXT[job.state])
        outcome = None
        if job.state is JobState.DONE:
            outcome = Outcome(LeaseState.SUCCEEDED, (IMAGE,))
            job.pending = 1
        return Transition(
            str(id(job)), job.run_id, before, job.state, 1, "n", "n", "t", "t", 0, 0, outcome=outcome
        )


@A_THIRD
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 2**32))
def test_counts_equal_a_recount(sizes: list[int], seed: int) -> None:
    rng = random.Random(seed)
    store, board = Store(sizes), RunBoard()
    board.set_totals(Counter(job.state for job in store.jobs))
    known = set(store.run_ids[: rng.randint(0, len(store.run_ids))])
    for run_id in known:
        board.put(store.row(run_id))
    for _ in range(60):
        kind = rng.randrange(10)
        if kind < 6:
            group = [step for step in (store.step(rng) for _ in range(rng.randint(1, 4))) if step]
            assert board.apply(group) == {step.run_id for step in group} & known
        elif kind < 8:
            saving = [job for job in store.jobs if job.pending]
            if saving:
                job = rng.choice(saving)
                job.pending = 0
                assert (board.saved(job.run_id) is not None) == (job.run_id in known)
        elif kind == 8:  # found at start, or opened again by a retry
            run_id = rng.choice(store.run_ids)
            known.add(run_id)
            board.put(store.row(run_id))
        else:
            board.set_totals(Counter(job.state for job in store.jobs))
        states = Counter(job.state for job in store.jobs)
        queue = board.queue(False, "")
        assert queue.queued == states[JobState.QUEUED]
        assert queue.active == sum(states[state] for state in JobState if state.active)
        assert (queue.done, queue.failed, queue.cancelled) == (
            states[JobState.DONE],
            states[JobState.FAILED],
            states[JobState.CANCELLED],
        )
        for run_id in known:
            row, run = store.row(run_id), board.get(run_id)
            assert run is not None
            shown = run.to_proto()
            assert (shown.queued, shown.active, shown.done) == (row.queued, row.active + row.saving, row.done)
            assert (shown.failed, shown.cancelled, shown.total) == (row.failed, row.cancelled, row.total)
            assert run.settled is row.complete
        assert {run.row.run_id for run in board} == known
