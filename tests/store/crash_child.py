"""Queues jobs for ever and prints each id once its commit is done. The crash test kills it."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from stablenew_api.clock import SystemClock
from stablenew_api.ids import uuid7
from stablenew_api.jobs import JobSpec, Needs, StageSpec
from stablenew_kernel.store import jobs, runs
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.meta import timestamp


def main() -> None:
    clock = SystemClock()
    database = Database.open(Path(sys.argv[1]), clock)
    run_id = uuid7(clock.now())
    spec = JobSpec((StageSpec("txt2img", "1.0", "a prompt " * 40, "", 1, {}),), Needs())
    new_run = runs.NewRun(run_id, "crash", "/out", 0, b"{}")
    database.write(lambda c: runs.insert_run(c, new_run, timestamp(clock))).result()
    index = 0
    while True:
        group = []
        for _ in range(3):
            job = jobs.NewJob.of(uuid7(clock.now()), index, spec)
            index += 1

            def insert(connection: sqlite3.Connection, job: jobs.NewJob = job) -> None:
                jobs.insert_jobs(connection, run_id, [job], at=timestamp(clock))

            group.append((job.job_id, database.write(insert)))
        for job_id, future in group:
            future.result()
            print(job_id, flush=True)


main()
