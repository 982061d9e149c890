"""The database: group commit, errors, migrations, crash safety."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from store_kit import FixedClock, Store

from stablenew_kernel.store import jobs, meta
from stablenew_kernel.store.database import PRAGMAS, Database, migrate, migrations
from stablenew_kernel.store.errors import StoreError

PATIENCE = 60.0
"""Seconds that anything may take on a machine that does ten other things; what passes waits for none of it."""

CHILD = Path(__file__).with_name("crash_child.py")


def block(database: Database) -> tuple[threading.Event, Future[None]]:
    """Hold the writer inside a function; return the event that lets it go on."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        reached.set()
        assert go_on.wait(PATIENCE)

    held = database.write(hold)
    assert reached.wait(PATIENCE)
    return go_on, held


def test_what_waits_shares_one_commit(store: Store) -> None:
    database = store.database
    go_on, held = block(database)
    before = database.commits
    futures = [
        database.write(lambda connection, n=n: meta.put(connection, f"k{n}", str(n))) for n in range(100)
    ]
    go_on.set()
    held.result(timeout=PATIENCE)
    for future in futures:
        future.result(timeout=PATIENCE)
    assert database.commits == before + 2  # the one that was held, and one for all hundred
    assert database.writes >= 101
    assert store.read(lambda c: meta.get(c, "k99")) == "99"


def test_one_failing_function_fails_alone(store: Store) -> None:
    go_on, held = block(store.database)

    def fail(connection: sqlite3.Connection) -> None:
        meta.put(connection, "bad", "1")
        raise KeyError("mine")

    first = store.database.write(lambda c: meta.put(c, "first", "1"))
    bad = store.database.write(fail)
    last = store.database.write(lambda c: meta.put(c, "last", "1"))
    go_on.set()
    held.result(timeout=PATIENCE)
    first.result(timeout=PATIENCE)
    last.result(timeout=PATIENCE)
    with pytest.raises(KeyError, match="mine"):
        bad.result(timeout=PATIENCE)
    assert store.read(lambda c: [meta.get(c, key) for key in ("first", "bad", "last")]) == ["1", "", "1"]


def test_a_future_resolves_only_after_the_commit(store: Store, database_path: Path) -> None:
    seen: list[object] = []

    def look(future: Future[None]) -> None:
        other = sqlite3.connect(database_path)
        try:
            seen.append(other.execute("SELECT value FROM meta WHERE key = 'x'").fetchone())
        finally:
            other.close()

    go_on, held = block(store.database)
    future = store.database.write(lambda c: meta.put(c, "x", "1"))
    future.add_done_callback(look)
    go_on.set()
    held.result(timeout=PATIENCE)
    future.result(timeout=PATIENCE)
    store.write(lambda c: None)  # the callback ran on the writer thread, before this
    assert seen == [("1",)]


def test_a_failing_commit_fails_the_whole_group_and_names_the_file(store: Store, database_path: Path) -> None:
    def dangle(connection: sqlite3.Connection) -> None:
        # A foreign key that is checked at COMMIT makes COMMIT fail, as a full disk would.
        connection.execute("PRAGMA defer_foreign_keys = on")
        connection.execute("INSERT INTO job_spec (job_seq, spec) VALUES (12345, x'00')")

    go_on, held = block(store.database)
    good = store.database.write(lambda c: meta.put(c, "good", "1"))
    bad = store.database.write(dangle)
    go_on.set()
    held.result(timeout=PATIENCE)
    for future in (good, bad):
        with pytest.raises(StoreError, match=database_path.name):
            future.result(timeout=PATIENCE)
    assert store.read(lambda c: meta.get(c, "good")) == ""
    store.write(lambda c: meta.put(c, "good", "2"))  # and life goes on
    assert store.read(lambda c: meta.get(c, "good")) == "2"


def test_full_disk_says_so_and_loses_nothing(store: Store, database_path: Path) -> None:
    run = store.submit(5)
    store.write(
        lambda c: c.execute("PRAGMA max_page_count = 1").fetchall()
    )  # no more pages: as if the disk were full
    with pytest.raises(StoreError, match=rf"{database_path.name}: the disk is full; free some space"):
        store.submit(2000)
    store.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchall())
    assert len(store.queued()) == 5
    assert store.read(lambda c: jobs.list_jobs(c, run_id=run))[1] == 5
    store.check_tallies()
    store.submit(2000)
    assert store.read(meta.queue_state).counts["queued"] == 2005


def test_a_function_that_commits_by_itself_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="could not be committed"):
        store.write(lambda c: c.execute("COMMIT"))
    store.write(lambda c: meta.put(c, "x", "1"))


def test_reads_cannot_write_and_never_checkpoint(store: Store) -> None:
    with pytest.raises(StoreError, match="check its permissions"):
        store.read(lambda c: meta.put(c, "x", "1"))
    assert store.read(lambda c: c.execute("PRAGMA wal_autocheckpoint").fetchone()) == (0,)
    assert store.read(lambda c: c.execute("PRAGMA query_only").fetchone()) == (1,)


def test_a_read_is_one_snapshot(store: Store) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def look_twice(connection: sqlite3.Connection) -> tuple[str, str]:
        first = meta.get(connection, "x")
        reached.set()
        assert go_on.wait(PATIENCE)
        return first, meta.get(connection, "x")

    store.write(lambda c: meta.put(c, "x", "old"))
    pair = store.database.read(look_twice)
    assert reached.wait(PATIENCE)
    store.write(lambda c: meta.put(c, "x", "new"))  # readers never hold up the writer
    go_on.set()
    assert pair.result(timeout=PATIENCE) == ("old", "old")


@pytest.mark.parametrize("index", range(len(PRAGMAS)), ids=[name for name, _, _ in PRAGMAS])
def test_pragmas_took_effect(store: Store, index: int) -> None:
    name, value, reason = PRAGMAS[index]
    number = {"on": "1", "off": "0", "full": "2", "memory": "2"}.get(value, value)
    for run in (store.write, store.read):
        assert str(run(lambda c: c.execute(f"PRAGMA {name}").fetchone()[0])) == number
    assert reason


def test_asyncio_callers_are_woken_once_a_group(store: Store) -> None:
    async def main() -> tuple[int, list[int]]:
        loop = asyncio.get_running_loop()
        wakes = 0
        original = loop.call_soon_threadsafe

        def counting(*args: object, **kwargs: object) -> object:
            nonlocal wakes
            wakes += 1
            return original(*args, **kwargs)  # type: ignore[arg-type]

        go_on, _held = await asyncio.to_thread(block, store.database)
        loop.call_soon_threadsafe = counting  # type: ignore[method-assign, assignment]
        futures = [store.database.write_async(lambda c, n=n: n) for n in range(50)]
        cancelled = store.database.write_async(lambda c: meta.put(c, "cancelled", "still done"))
        cancelled.cancel()
        go_on.set()
        results = await asyncio.gather(*futures)
        return wakes, list(results)

    wakes, results = asyncio.run(main())
    assert results == list(range(50))
    assert wakes == 1
    assert store.read(lambda c: meta.get(c, "cancelled")) == "still done"


def test_a_write_that_is_not_begun_waits_its_turn_and_keeps_it(store: Store) -> None:
    database, order = store.database, list[str]()

    async def main() -> None:
        first = database.write_async(lambda _: order.append("first"), begin=False)
        assert not await asyncio.to_thread(lambda: order), "the writer was woken"
        second = database.write_async(lambda _: order.append("second"))
        await asyncio.gather(first, second)
        third = database.write_async(lambda _: order.append("third"), begin=False)
        database.begin()
        await third

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert order == ["first", "second", "third"]


def test_a_patient_write_is_committed_with_the_next_one(store: Store) -> None:
    database = store.database

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before, done = database.commits, asyncio.Event()

        def put(connection: sqlite3.Connection) -> None:
            meta.put(connection, "patient", "1")
            loop.call_soon_threadsafe(done.set)

        patient = database.write_async(put, patience=60.0)
        await done.wait()  # its work is done; only the commit waits
        assert await database.read_async(lambda c: meta.get(c, "patient")) == ""
        assert not patient.done()
        company = database.write_async(lambda c: meta.get(c, "patient"))
        assert await company == "1"
        assert patient.done()
        assert database.commits == before + 1

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_patience_ends(store: Store) -> None:
    async def main() -> None:
        await store.database.write_async(lambda c: meta.put(c, "alone", "1"), patience=0.001)
        with pytest.raises(KeyError, match="mine"):
            await store.database.write_async(lambda _: {}["mine"], patience=0.001)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert store.read(lambda c: meta.get(c, "alone")) == "1"


@pytest.mark.parametrize("patient_fails", [True, False])
def test_in_company_each_fails_alone(store: Store, patient_fails: bool) -> None:
    def put(connection: sqlite3.Connection, name: str, fails: bool) -> None:
        meta.put(connection, name, "1")
        if fails:
            raise KeyError(name)

    async def main() -> None:
        database, ran = store.database, asyncio.Event()
        loop = asyncio.get_running_loop()

        def first(connection: sqlite3.Connection) -> None:
            loop.call_soon_threadsafe(ran.set)
            put(connection, "first", patient_fails)

        patient = database.write_async(first, patience=60.0)
        await ran.wait()
        company = database.write_async(lambda c: put(c, "second", not patient_fails))
        results = await asyncio.gather(patient, company, return_exceptions=True)
        assert [isinstance(result, KeyError) for result in results] == [patient_fails, not patient_fails]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    kept = ["", "1"] if patient_fails else ["1", ""]
    assert store.read(lambda c: [meta.get(c, "first"), meta.get(c, "second")]) == kept


def test_close_waits_for_no_patience(database_path: Path) -> None:
    async def main() -> None:
        with Database.open(database_path, FixedClock()) as database:
            waiting = [
                database.write_async(lambda c: meta.put(c, "patient", "1"), patience=60.0),
                database.write_async(lambda c: meta.put(c, "not begun", "1"), begin=False),
            ]
        await asyncio.gather(*waiting)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    with Database.open(database_path, FixedClock()) as database:
        read = database.read(lambda c: [meta.get(c, "patient"), meta.get(c, "not begun")])
        assert read.result(timeout=PATIENCE) == ["1", "1"]


def test_asyncio_errors_and_reads(store: Store) -> None:
    async def main() -> str:
        with pytest.raises(ZeroDivisionError):
            await store.database.write_async(lambda c: 1 // 0)
        await store.database.write_async(lambda c: meta.put(c, "x", "1"))
        return await store.database.read_async(lambda c: meta.get(c, "x"))

    assert asyncio.run(main()) == "1"


def test_close_drains_and_then_refuses(database_path: Path) -> None:
    database = Database.open(database_path, FixedClock())
    go_on, _ = block(database)
    waiting = [database.write(lambda c, n=n: meta.put(c, f"k{n}", "1")) for n in range(10)]
    closer = threading.Thread(target=database.close)
    closer.start()
    go_on.set()
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert all(future.done() and future.exception() is None for future in waiting)
    with pytest.raises(StoreError, match="closed"):
        database.write(lambda c: None).result(timeout=PATIENCE)
    database.close()
    with Database.open(database_path, FixedClock()) as again:
        assert again.read(lambda c: meta.get(c, "k9")).result(timeout=PATIENCE) == "1"


# --- opening and migrating ------------------------------------------------------------------------------------


def test_newer_database_is_refused_and_left_alone(database_path: Path) -> None:
    Database.open(database_path, FixedClock()).close()
    with sqlite3.connect(database_path) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 7}")
    connection.close()
    before = database_path.read_bytes()
    with pytest.raises(StoreError, match=r"made by a newer StableNew .*upgrade StableNew"):
        Database.open(database_path, FixedClock())
    assert database_path.read_bytes() == before


def test_a_foreign_database_and_no_database_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.sqlite3"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(StoreError, match="of another program"):
        Database.open(foreign, FixedClock())
    text = tmp_path / "text.sqlite3"
    text.write_bytes(b"not a database at all, but long enough to have a header" * 100)
    with pytest.raises(StoreError, match="no SQLite database"):
        Database.open(text, FixedClock())
    with pytest.raises(StoreError, match="cannot be opened"):
        Database.open(tmp_path / "no" / "folder.sqlite3", FixedClock())


def test_a_migration_copies_the_file_first(database_path: Path) -> None:
    with Database.open(database_path, FixedClock()) as database:
        Store(database).submit(3)
    connection = sqlite3.connect(database_path, isolation_level=None)
    now = len(migrations())
    steps = [*migrations(), (now + 1, "CREATE TABLE extra (x TEXT) STRICT; INSERT INTO extra VALUES ('new');")]
    migrate(connection, database_path, FixedClock(), steps)
    assert connection.execute("SELECT x FROM extra").fetchone() == ("new",)
    assert connection.execute("PRAGMA user_version").fetchone() == (now + 1,)
    connection.close()
    copy = sqlite3.connect(database_path.with_name(f"{database_path.name}.v{now}.bak"))
    assert copy.execute("SELECT count(*) FROM job").fetchone() == (3,)
    assert copy.execute("PRAGMA user_version").fetchone() == (now,)
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()


def test_a_failing_migration_changes_nothing(database_path: Path) -> None:
    Database.open(database_path, FixedClock()).close()
    connection = sqlite3.connect(database_path, isolation_level=None)
    steps = [*migrations(), (len(migrations()) + 1, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")]
    with pytest.raises(StoreError, match="nothing was changed"):
        migrate(connection, database_path, FixedClock(), steps)
    assert not connection.in_transaction
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'half'").fetchone() is None
    assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
    connection.close()


def test_all_tables_are_strict(store: Store) -> None:
    tables = store.read(
        lambda c: c.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    )
    # What a full-text index is made of is SQLite's own.
    ours = {name: strict for name, strict in tables if not name.startswith(("sqlite_", "image_words"))}
    assert {"run", "job", "job_event", "job_spec", "output", "node", "meta", "queue", "tally"} <= set(ours)
    assert all(ours.values())


def test_meta_remembers_how_the_last_kernel_ended(database_path: Path) -> None:
    def start(clean: bool) -> meta.StartState:
        with Database.open(database_path, FixedClock()) as database:
            state = database.write(meta.begin).result(timeout=PATIENCE)
            database.write(lambda c: meta.put(c, meta.LAST_PORT, "4711")).result(timeout=PATIENCE)
            if clean:
                database.write(meta.end).result(timeout=PATIENCE)
            return state

    assert start(clean=True) == meta.StartState(clean=True, port=0)
    assert start(clean=False) == meta.StartState(clean=True, port=4711)
    assert start(clean=True) == meta.StartState(clean=False, port=4711)


def test_pause_survives(database_path: Path) -> None:
    with Database.open(database_path, FixedClock()) as database:
        database.write(lambda c: meta.set_paused(c, True, "disk full")).result(timeout=PATIENCE)
    with Database.open(database_path, FixedClock()) as database:
        state = database.read(meta.queue_state).result(timeout=PATIENCE)
        assert (state.paused, state.paused_reason, state.active) == (True, "disk full", 0)
        database.write(lambda c: meta.set_paused(c, False, "ignored")).result(timeout=PATIENCE)
        state = database.read(meta.queue_state).result(timeout=PATIENCE)
        assert (state.paused, state.paused_reason) == (False, "")


# --- kill -9 --------------------------------------------------------------------------------------------------


def test_kill_9_loses_nothing_that_was_acknowledged(database_path: Path) -> None:
    """A child queues jobs and prints each id after its commit; it is killed at a random line, ten times."""
    rng = random.Random(20260102)
    acked: set[str] = set()
    for kill in range(10):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(database_path), str(kill)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        try:
            for _ in range(rng.randint(1, 60)):
                line = child.stdout.readline()
                assert line.endswith("\n"), "the child ended by itself"
                acked.add(line.strip())
        finally:
            child.kill()
            rest, _ = child.communicate()
        acked.update(line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n"))
    with Database.open(database_path, FixedClock()) as database:
        store = Store(database)
        assert store.read(lambda c: c.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        assert store.read(lambda c: c.execute("PRAGMA foreign_key_check").fetchall()) == []
        stored = {job.job_id for job in store.queued(limit=10**6)}
        assert acked <= stored
        assert len(acked) >= 10
        store.check_tallies()
        events = store.read(lambda c: c.execute("SELECT count(*) FROM job_event").fetchone()[0])
        assert events == len(stored)
