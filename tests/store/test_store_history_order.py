"""The history as people read it: its orders, page by page, and how long a page takes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_kit import AT, FixedClock, new_jobs

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobState
from stablenew_kernel.store import jobs, runs
from stablenew_kernel.store.database import migrate

DONE, FAILED, CANCELLED, QUEUED = JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED
RANK = {FAILED: 0, CANCELLED: 1, DONE: 2}

History = list[tuple[JobState, int, float, bool]]
"""Of each job: how it ended, at which minute, after how many seconds, and whether it is cleared."""


def expected(history: History, order: str, states: frozenset[JobState]) -> list[int]:
    """Numbers of the jobs, as ``order`` says in plain words."""
    keys = {
        "newest": lambda n: (-history[n][1], -n),
        "oldest": lambda n: (history[n][1], n),
        "longest": lambda n: (-history[n][2], -history[n][1], -n),
        "shortest": lambda n: (history[n][2], -history[n][1], -n),
        "failed": lambda n: (RANK[history[n][0]], -history[n][1], -n),
        "done": lambda n: (-RANK[history[n][0]], -history[n][1], -n),
    }
    listed = (n for n, (state, _at, _took, cleared) in enumerate(history) if state in states and not cleared)
    return sorted(listed, key=keys[order])


def fill(connection: sqlite3.Connection, history: History) -> None:
    """Two runs that these jobs belong to in turn, ended as told; and one job that still waits."""
    for run_id in ("aa", "bb"):
        runs.insert_run(connection, runs.NewRun(run_id, run_id, "/o", 0, b"{}"), AT)
    for number, job in enumerate(new_jobs(len(history) + 1)):
        jobs.insert_jobs(connection, ("aa", "bb")[number % 2], [job], at=AT)
    for number, (state, at, took, cleared) in enumerate(history, 1):
        connection.execute(
            "UPDATE job SET state = ?, ended_at = ?, run_time = ?, cleared = ? WHERE seq = ?",
            (state, f"2026-01-02T03:{at:02}:00.000+00:00", took, cleared, number),
        )


JOBS = st.lists(
    st.tuples(
        st.sampled_from([DONE, FAILED, CANCELLED]),
        st.integers(0, 3),
        st.sampled_from([0.0, 1.5, 20.0]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
)
STATES = st.sets(st.sampled_from([DONE, FAILED, CANCELLED]), min_size=1).map(frozenset)


@pytest.fixture(scope="module")
def empty() -> Iterator[sqlite3.Connection]:
    """A database without a job."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path("nowhere"), FixedClock())
        yield connection


@contextmanager
def holding(empty: sqlite3.Connection, history: History) -> Iterator[sqlite3.Connection]:
    """A database with these jobs."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        empty.backup(connection)
        fill(connection, history)
        yield connection


def listed(connection: sqlite3.Connection, **query: Any) -> list[int]:
    """Numbers of the jobs on a page."""
    return [row.index for row in jobs.list_jobs(connection, **query)[0]]


@settings(max_examples=40)
@given(JOBS, STATES, st.sampled_from(sorted(jobs.ORDERS)), st.integers(1, 5))
def test_every_order_page_by_page(
    empty: sqlite3.Connection, history: History, states: frozenset[JobState], order: str, limit: int
) -> None:
    with holding(empty, history) as connection:
        for run_id in ("", "aa", "bb"):
            wanted = [n for n in expected(history, order, states) if run_id in ("", ("aa", "bb")[n % 2])]
            query = {"run_id": run_id, "states": states, "order": order, "limit": limit}
            found: list[int] = []
            while page := listed(connection, offset=len(found), **query):
                found += page
            assert found == wanted


def test_what_is_over_comes_the_newest_end_first_and_a_run_in_its_own_order(empty: sqlite3.Connection) -> None:
    with holding(empty, [(DONE, 2, 1.0, False), (FAILED, 3, 9.0, False), (DONE, 1, 2.0, False)]) as connection:
        assert listed(connection, states=[DONE, FAILED, CANCELLED]) == [1, 0, 2]
        assert listed(connection, states=[DONE]) == [0, 2]
        assert listed(connection, order="longest") == [1, 2, 0]
        assert listed(connection, run_id="aa", states=[DONE]) == [0, 2]
        assert listed(connection) == [3, 2, 1, 0], "with those that wait: the newest made first"
        (latest, *_others), _total = jobs.list_jobs(connection, order="newest")
        assert latest.ended_at == "2026-01-02T03:03:00.000+00:00"


def test_an_order_that_does_not_fit_is_refused(empty: sqlite3.Connection) -> None:
    with holding(empty, []) as connection:
        with pytest.raises(UserError, match="newest"):
            jobs.list_jobs(connection, order="newst")
        with pytest.raises(UserError, match="leave out the states queued"):
            jobs.list_jobs(connection, states=[QUEUED, DONE], order="oldest")


def test_a_page_of_a_hundred_thousand_is_found_in_a_moment(empty: sqlite3.Connection) -> None:
    with holding(empty, []) as connection:
        connection.execute(
            "WITH RECURSIVE n(n) AS (VALUES (10) UNION ALL SELECT n + 1 FROM n WHERE n < 100009)"
            " INSERT INTO job (seq, job_id, run_seq, idx, state, priority, position, spec_sha256, model, vram,"
            " features, stages, run_timeout, created_at, updated_at, ended_at, run_time)"
            " SELECT n, 'j' || n, 1, n, CASE n % 50 WHEN 0 THEN 'failed' ELSE 'done' END, 0, n, '', '', 0,"
            " '[]', '[]', 9, '', '', printf('2026-01-02T%09d', (n * 7919) % 100000), (n * 31) % 977 FROM n"
        )
        for query in (
            {"order": "newest"},
            {"order": "newest", "offset": 90_000},
            {"order": "newest", "states": [FAILED]},
            {"order": "longest"},
            {"order": "failed", "offset": 500},
            {"order": "oldest", "run_id": "aa"},
        ):
            begun = time.thread_time()
            listed(connection, limit=150, **query)
            print(f"{query}: {(time.thread_time() - begun) * 1000:.1f} ms")
            assert time.thread_time() - begun < 0.5, query
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT seq FROM job INDEXED BY job_ended WHERE ended_at IS NOT NULL AND"
            f" job.cleared = 0 ORDER BY {jobs.ORDERS['newest']} LIMIT 9"
        ).fetchall()
        assert [row[3] for row in plan] == ["SEARCH job USING COVERING INDEX job_ended (ended_at>?)"]
