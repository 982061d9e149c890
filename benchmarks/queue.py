"""A long queue: how fast it fills, the kernel's memory with 100,000 queued jobs, and whether claiming stays
flat up to 1,000,000.

Planning is timed from the client's call until the answer, which comes after the commit, with the queue paused.
What others wait meanwhile is measured by a second thread, which has the kernel commit something small again and
again (it pauses the paused queue) while a 100,000-row pack is being submitted.

Memory is the resident set of a real kernel process: idle, at its peak while a 100,000-row pack is submitted to
a paused queue, and after that. Claiming is measured on the store itself, again and again: read the next 256
queued jobs, lease the first 64 of them, commit. The ratio is the time of that with a million queued over that
with a thousand, once as it is and once without the commit, whose ``fsync`` costs the same in both and may hide
a difference.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import psutil

from benchmarks.common import (
    NOOP_PRESET,
    Cluster,
    at_most,
    describe_machine,
    emit,
    emit_median,
    interleave,
    options,
    parser,
    ratios,
    request,
)
from stablenew_api.clock import SystemClock
from stablenew_api.ids import uuid7
from stablenew_api.jobs import JobSpec, JobState, StageSpec
from stablenew_client import KernelClient
from stablenew_kernel.domain.link import QueuedJob, Transition
from stablenew_kernel.store import jobs, runs
from stablenew_kernel.store.database import Database

TARGET_PLAN_SECONDS = 3.0
TARGET_MEGABYTES = 300.0
TARGET_RATIO = 1.5
READ = 256
"""Jobs the kernel reads at a time."""
LEASE = 64
"""Jobs leased in one commit."""


# --- memory ---------------------------------------------------------------------------------------------------


class Peak:
    """The largest resident set of a process while this lives, looked at every few milliseconds."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = Event()
        self.bytes = self._process.memory_info().rss
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(psutil.NoSuchProcess):
            while not self._over.wait(0.005):
                self.bytes = max(self.bytes, self._process.memory_info().rss)


def measure_memory(chosen: argparse.Namespace) -> None:
    """A real kernel, paused, and a long pack."""
    with Cluster(agents=0, folder=chosen.folder) as cluster:
        process = psutil.Process(cluster.kernel_pid)
        cluster.client.set_paused(True, "benchmark")
        idle = process.memory_info().rss / 1e6
        begun = time.perf_counter()
        with Peak(cluster.kernel_pid) as peak:
            cluster.client.submit(request(chosen.jobs, NOOP_PRESET))
        seconds = time.perf_counter() - begun
        queued = cluster.client.status().queue.queued
        after = process.memory_info().rss / 1e6
    emit("queue.kernel_memory", after, "MB", jobs=queued, idle=idle, **at_most(after, TARGET_MEGABYTES))
    emit("queue.kernel_memory_peak", peak.bytes / 1e6, "MB", jobs=queued, when="while the run is submitted")
    emit("queue.submit", seconds, "s", jobs=queued, per_second=queued / seconds)


# --- planning -------------------------------------------------------------------------------------------------


class OtherCommits:
    """Small commits, one after the other, while this lives: what each took, in seconds."""

    def __init__(self, client: KernelClient) -> None:
        self._client = client
        self._over = Event()
        self.seconds: list[float] = []
        self._thread = Thread(target=self._commit, daemon=True)

    def __enter__(self) -> OtherCommits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _commit(self) -> None:
        while not self._over.wait(0.02):
            begun = time.perf_counter()
            self._client.set_paused(True, "benchmark")
            self.seconds.append(time.perf_counter() - begun)


def measure_planning(chosen: argparse.Namespace) -> None:
    """Long packs into a paused queue, and what others wait meanwhile."""
    with Cluster(agents=0, folder=chosen.folder) as cluster:
        cluster.client.set_paused(True, "benchmark")
        seconds = []
        for number in range(chosen.rounds):
            asked = request(chosen.planned, NOOP_PRESET, name=f"bench{number}")
            begun = time.perf_counter()
            cluster.client.submit(asked)
            seconds.append(time.perf_counter() - begun)
        target = at_most(statistics.median(seconds), TARGET_PLAN_SECONDS)
        emit_median("queue.plan", seconds, "s", jobs=chosen.planned, durable="synchronous=FULL", **target)
        asked = request(chosen.jobs, NOOP_PRESET)
        with OtherCommits(cluster.client) as others:
            cluster.client.submit(asked)
    waits = [wait * 1000 for wait in others.seconds] or [0.0]
    emit(
        "queue.commit_while_planning", statistics.median(waits), "ms", min=min(waits), max=max(waits),
        commits=len(others.seconds), jobs=chosen.jobs,
    )  # fmt: skip


# --- claiming -------------------------------------------------------------------------------------------------


def _new_jobs(count: int) -> Iterator[jobs.NewJob]:
    at = datetime.now(UTC)
    spec = JobSpec(
        stages=(StageSpec("noop", "1.0", "bench", "", 1, {}),),
        run_timeout=60.0,
        provenance={"row": 1, "template": "bench"},
    )
    body, digest = spec.canonical(), spec.sha256
    for number in range(count):
        yield jobs.NewJob(uuid7(at), number, body, digest, spec.needs, ("noop",), 60.0)


def _leased(job: QueuedJob) -> Transition:
    return Transition(
        job.job_id, job.run_id, JobState.QUEUED, JobState.LEASED, job.attempt + 1, "node", "node",
        "scheduler", "node: idle", 0, 0, None, None,
    )  # fmt: skip


class Queue:
    """A store with so many queued jobs."""

    def __init__(self, path: Path, count: int) -> None:
        self.database = Database.open(path, SystemClock())
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        run_id = uuid7(datetime.now(UTC))

        def fill(connection: sqlite3.Connection) -> None:
            runs.insert_run(connection, runs.NewRun(run_id, "bench", str(path.parent), 0, b"{}"), at)
            jobs.insert_jobs(connection, run_id, _new_jobs(count), at=at)

        self.database.write(fill).result()

    def claim(self) -> tuple[float, float]:
        """Seconds to read and lease one batch: in all, and without the commit."""
        inside = 0.0

        def lease(connection: sqlite3.Connection) -> None:
            nonlocal inside
            entered = time.perf_counter()
            found = jobs.queued(connection, READ)
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            jobs.apply(connection, [_leased(job) for job in found[:LEASE]], at)
            inside = time.perf_counter() - entered

        begun = time.perf_counter()
        self.database.write(lease).result()
        return time.perf_counter() - begun, inside


def measure_claiming(chosen: argparse.Namespace) -> None:
    """The same batches in a short and a long queue, turn by turn."""
    with tempfile.TemporaryDirectory(prefix="stablenew-bench-", dir=chosen.folder) as scratch:
        # It still has about a thousand when the last batch is leased.
        short_count = min(1000, chosen.million) + LEASE * (chosen.batches + 1)
        short = Queue(Path(scratch) / "short.sqlite3", short_count)
        with closing(short.database):
            begun = time.perf_counter()
            long = Queue(Path(scratch) / "long.sqlite3", chosen.million)
            filled = time.perf_counter() - begun
            with closing(long.database):
                short.claim()
                long.claim()
                few: list[tuple[float, float]] = []
                many: list[tuple[float, float]] = []
                interleave(
                    chosen.batches, [lambda: few.append(short.claim()), lambda: many.append(long.claim())]
                )
    for column, suffix in ((0, ""), (1, "_without_commit")):
        slow, fast = [pair[column] for pair in many], [pair[column] for pair in few]
        per_job = 1e6 / LEASE
        emit_median(f"queue.claim_short{suffix}", [s * per_job for s in fast], "us/job", queued=short_count)
        emit_median(f"queue.claim_long{suffix}", [s * per_job for s in slow], "us/job", queued=chosen.million)
        # The ratio of the medians: a single batch of either may meet a checkpoint of the write-ahead log.
        ratio = statistics.median(slow) / statistics.median(fast)
        by_round = ratios(slow, fast)
        emit(
            f"queue.claim_ratio{suffix}", ratio, "x", min=min(by_round), max=max(by_round),
            rounds=len(by_round), **at_most(ratio, TARGET_RATIO),
        )  # fmt: skip
    emit("queue.fill", filled, "s", jobs=chosen.million, per_second=chosen.million / filled)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        planned=(10_000, 100, "jobs in the planning figure"),
        rounds=(3, 1, "rounds of it"),
        jobs=(100_000, 300, "jobs in the memory figure"),
        million=(1_000_000, 3_000, "jobs in the long queue"),
        batches=(21, 2, "batches claimed from each queue"),
    )
    chosen = options(made, argv)
    describe_machine(Path(chosen.folder))
    measure_planning(chosen)
    measure_memory(chosen)
    measure_claiming(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
