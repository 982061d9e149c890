"""What estimates are made from, read from the store, at the same small cost whatever else is in it."""

from __future__ import annotations

import json
import sqlite3

from store_kit import Store, make_spec

from stablenew_kernel.store import history


def test_done_jobs_come_back_newest_first_with_what_they_took(store: Store) -> None:
    store.submit(5)
    first, second, third, *_ = store.queued()
    for job in (second, first, third):
        store.finish(job)
    found = store.read(lambda connection: history.timed_jobs(connection, ("txt2img",)))
    assert [json.loads(row.spec)["stages"][0]["seed"] for row in found] == [2, 1, 0]
    assert found[0].spec == make_spec(2).canonical()
    assert {(row.node_id, row.run_time, row.report) for row in found} == {
        ("n1", 1.5, b'{"backend": "embedded"}')
    }
    assert all(row.ended_at for row in found)
    assert store.read(lambda connection: history.timed_jobs(connection)) == found
    assert store.read(lambda connection: history.timed_jobs(connection, limit=2)) == found[:2]
    assert store.read(lambda connection: history.timed_jobs(connection, ("txt2img", "upscale"))) == []


def test_a_job_with_two_images_counts_once(store: Store) -> None:
    store.submit(1)
    store.finish(store.queued()[0], images=2)
    assert len(store.read(lambda connection: history.timed_jobs(connection))) == 1


def test_neither_a_long_queue_nor_a_long_history_is_walked_through(store: Store) -> None:
    store.submit(3)
    for job in store.queued():
        store.finish(job)
    store.submit(3000)

    def steps(connection: sqlite3.Connection) -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        connection.set_progress_handler(count, 10)
        try:
            history.timed_jobs(connection, ("txt2img",), limit=2)
        finally:
            connection.set_progress_handler(None, 0)
        return counted * 10

    assert store.read(steps) < 500, "virtual machine steps of SQLite; some 100 for two rows"


def test_the_middle_job_of_each_run(store: Store) -> None:
    one, two = store.submit(5), store.submit(1)
    found = store.read(lambda connection: history.middle_specs(connection, [one, two, "nobody"]))
    assert found == {one: make_spec(2).canonical(), two: make_spec(0).canonical()}
