"""What the store's tests share: builders of runs, jobs and transitions, and short ways to use a database."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from stablenew_api.ids import uuid7
from stablenew_api.jobs import Artifact, JobSpec, JobState, Needs, StageSpec
from stablenew_api.leases import LeaseState, Outcome
from stablenew_kernel.domain.link import QueuedJob, Transition
from stablenew_kernel.store import jobs, runs
from stablenew_kernel.store.database import Database

T = TypeVar("T")
AT = "2026-01-02T03:04:05.678+00:00"
START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class FixedClock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return START


def make_spec(seed: int, model: str = "") -> JobSpec:
    stage = StageSpec("txt2img", "1.0", f"a house, number {seed}", "blurry", seed, {"steps": 20})
    return JobSpec((stage,), Needs(model, 4 << 30, frozenset({"txt2img"})), run_timeout=60.0)


def new_jobs(count: int, start: int = 0, tag: int = 0) -> Iterator[jobs.NewJob]:
    """Jobs with ids that are the same in each test run."""
    for index in range(start, start + count):
        yield jobs.NewJob.of(uuid7(START, (tag << 40) | index), index, make_spec(index))


def image(job_id: str, index: int = 0) -> Artifact:
    digest = hashlib.sha256(f"{job_id} {index}".encode()).hexdigest()
    return Artifact("image.png", "image/png", digest, 1234, {"width": "8", "pixel_sha256": digest[::-1]})


def step(
    job: QueuedJob,
    from_state: JobState,
    to_state: JobState,
    attempt: int,
    outcome: Outcome | None = None,
    **more: Any,
) -> Transition:
    values: dict[str, Any] = {
        "node_id": "n1",
        "node_name": "box",
        "who": "kernel",
        "why": "test",
        "failures": job.failures,
        "min_vram": job.min_vram,
    }
    values.update(more)
    return Transition(job.job_id, job.run_id, from_state, to_state, attempt, outcome=outcome, **values)


def done_outcome(job_id: str, images: int = 1) -> Outcome:
    return Outcome(
        LeaseState.SUCCEEDED,
        tuple(image(job_id, index) for index in range(images)),
        report=b'{"backend": "embedded"}',
        run_time=1.5,
        peak_vram_bytes=99,
    )


@dataclass
class Store:
    """A database and short ways to use it."""

    database: Database
    run_ids: list[str] = field(default_factory=list)

    def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        return self.database.write(function).result(timeout=120)

    def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        return self.database.read(function).result(timeout=120)

    def submit(self, count: int, priority: int = 0) -> str:
        tag = len(self.run_ids) + 1
        run_id = uuid7(START, tag << 62)

        def insert(connection: sqlite3.Connection) -> None:
            runs.insert_run(
                connection, runs.NewRun(run_id, f"run{tag}", f"/out/{tag}", priority, b'{"a":1}'), AT
            )
            jobs.insert_jobs(connection, run_id, new_jobs(count, tag=tag), at=AT)

        self.write(insert)
        self.run_ids.append(run_id)
        return run_id

    def queued(self, limit: int = 1000, after: str = "") -> list[QueuedJob]:
        return self.read(lambda connection: jobs.queued(connection, limit, after))

    def apply(self, *transitions: Transition) -> None:
        self.write(lambda connection: jobs.apply(connection, transitions, AT))

    def lease(self, job: QueuedJob) -> None:
        self.apply(step(job, JobState.QUEUED, JobState.LEASED, job.attempt + 1))

    def finish(self, job: QueuedJob, images: int = 1) -> None:
        """Lease a queued job and end it well."""
        self.lease(job)
        attempt = job.attempt + 1
        outcome = done_outcome(job.job_id, images)
        self.apply(step(job, JobState.LEASED, JobState.DONE, attempt, outcome))

    def state(self, job_id: str) -> JobState:
        return self.read(lambda connection: jobs.get(connection, job_id)).row.state

    def check_tallies(self) -> None:
        """The counters say what counting says."""

        def compare(connection: sqlite3.Connection) -> None:
            counted = {
                (run_seq, state): n
                for run_seq, state, n in connection.execute(
                    "SELECT run_seq, state, count(*) FROM job WHERE cleared = 0 GROUP BY run_seq, state"
                    " UNION ALL SELECT 0, state, count(*) FROM job WHERE cleared = 0 GROUP BY state"
                    " UNION ALL SELECT run_seq, output.state, count(*) FROM output JOIN job ON seq = job_seq"
                    " WHERE cleared = 0 GROUP BY run_seq, output.state"
                    " UNION ALL SELECT 0, output.state, count(*) FROM output JOIN job ON job.seq = job_seq"
                    " WHERE cleared = 0 GROUP BY output.state"
                )
            }
            kept = {
                (run_seq, what): n
                for run_seq, what, n in connection.execute("SELECT run_seq, what, n FROM tally WHERE n > 0")
            }
            assert kept == counted

        self.read(compare)
