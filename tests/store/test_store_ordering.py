"""The order of the queue, changed by hand."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from store_kit import AT, FixedClock, Store, new_jobs

from stablenew_api.errors import UserError
from stablenew_kernel.store import jobs, ordering, runs
from stablenew_kernel.store.changes import Changed, Selection
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.errors import NotFound


def select(*job_ids: str) -> Selection:
    return Selection(job_ids=frozenset(job_ids))


def order(store: Store) -> list[tuple[str, int]]:
    """The queue, read two jobs at a time: a job that shared its place with another one would be left out."""
    found: list[tuple[str, int]] = []
    while some := store.queued(2, found[-1][0] if found else ""):
        found += [(job.job_id, job.priority) for job in some]
    return found


def ids(store: Store) -> list[str]:
    return [job_id for job_id, _ in order(store)]


def before(store: Store, target: str, *moved: str) -> Changed:
    return store.write(lambda c: ordering.move_before(c, select(*moved), target, at=AT))


def places(store: Store, job_ids: list[str]) -> dict[str, int]:
    return store.read(lambda c: ordering.places(c, job_ids))


def test_jobs_go_before_another_one_and_take_its_priority(store: Store) -> None:
    store.submit(3, 0)
    store.submit(2, 9)
    a, b, c, d, e = ids(store)
    assert before(store, b, e, d) == Changed(2, (), frozenset(store.run_ids[:1]))
    assert order(store) == [(a, 9), (d, 9), (e, 9), (b, 9), (c, 0)]
    before(store, c, a)
    assert order(store) == [(d, 9), (e, 9), (b, 9), (a, 0), (c, 0)]
    events = store.read(lambda connection: jobs.get(connection, a)).events
    assert (events[-1].from_state, events[-1].to_state) == ("queued", "queued")
    assert events[-1].why == f"moved before job {c}"
    # What comes later stays behind, and the top is still the top.
    store.submit(1, 0)
    assert ids(store)[-1] not in (a, b, c, d, e)
    store.write(lambda connection: ordering.move(connection, select(c), top=True, at=AT))
    assert ids(store)[0] == c
    store.check_tallies()


def test_a_job_is_not_moved_before_itself(store: Store) -> None:
    store.submit(4)
    a, b, c, d = ids(store)
    changed = before(store, b, b, d)
    assert ids(store) == [a, d, b, c]
    assert (changed.changed, changed.notes) == (1, (f"{b}: the others go before it",))
    assert before(store, b, b).changed == 0


def test_there_is_no_place_before_a_job_that_does_not_wait(store: Store) -> None:
    store.submit(3)
    a, b, c = ids(store)
    store.lease(store.queued()[0])
    with pytest.raises(UserError, match=f"job {a} is leased"):
        before(store, a, c)
    with pytest.raises(NotFound):
        before(store, "f" * 32, c)
    changed = before(store, b, a, c)
    assert (changed.changed, changed.notes) == (1, (f"{a}: started already",))


def test_priority_is_set(store: Store) -> None:
    first, second = store.submit(2), store.submit(2)
    a, b, c, d = ids(store)
    store.write(lambda connection: ordering.set_priority(connection, select(c), 5, at=AT))
    assert order(store) == [(c, 5), (a, 0), (b, 0), (d, 0)]
    whole = Selection(run_ids=frozenset([first]))
    changed = store.write(lambda connection: ordering.set_priority(connection, whole, -2, at=AT))
    assert (changed.changed, changed.run_ids) == (2, {first})
    assert order(store) == [(c, 5), (d, 0), (a, -2), (b, -2)]
    assert store.read(lambda connection: runs.get(connection, first)).priority == -2
    assert store.read(lambda connection: runs.get(connection, second)).priority == 0
    assert store.read(lambda connection: jobs.get(connection, a)).events[-1].why == "priority -2"
    everything = Selection(everything=True)
    store.write(lambda connection: ordering.set_priority(connection, everything, 1, at=AT))
    assert order(store) == [(a, 1), (b, 1), (c, 1), (d, 1)]
    with pytest.raises(UserError, match="priority 2147483648: must be"):
        store.write(lambda connection: ordering.set_priority(connection, everything, 2**31, at=AT))
    store.check_tallies()


def test_a_run_that_is_being_added_keeps_its_place_and_is_not_counted(store: Store) -> None:
    store.submit(4)
    hidden = runs.NewRun("ab", "hidden", "/h", 0, b"{}")
    first = store.write(lambda c: runs.begin_hidden(c, hidden, 4, AT))
    store.write(lambda c: jobs.insert_jobs(c, "ab", new_jobs(2, tag=77), at=AT, hidden_from=first))
    store.submit(4)
    found = ids(store)
    assert places(store, found) == {job_id: place for place, job_id in enumerate(found, 1)}
    before(store, found[6], found[7])
    before(store, found[1], found[5])
    before(store, found[7], found[0])
    expected = [found[n] for n in (5, 1, 2, 3, 4, 0, 7, 6)]
    assert ids(store) == expected
    store.write(lambda c: jobs.insert_jobs(c, "ab", new_jobs(2, 2, tag=77), at=AT, hidden_from=first))
    store.write(lambda c: runs.reveal(c, "ab"))
    assert [job_id for job_id in ids(store) if job_id in found] == expected
    assert len(ids(store)) == 12
    store.check_tallies()


Operation = tuple[str, set[int], int]
operations = st.lists(
    st.tuples(
        st.sampled_from(["before", "top", "end", "priority", "submit", "lease"]),
        st.sets(st.integers(0, 11), max_size=4),
        st.integers(0, 11),
    ),
    max_size=8,
)


@A_THIRD
@given(operations)
def test_what_is_not_moved_keeps_its_order(operations: list[Operation]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Database.open(Path(folder) / "x.sqlite3", FixedClock()) as database,
    ):
        store = Store(database)
        store.submit(4, 0)
        store.submit(3, 1)
        for operation in operations:
            _change_and_look(store, *operation)
        found = ids(store)
        everybody = [*found, *(job.job.job_id for job in store.read(jobs.active))]
        assert places(store, everybody[::-1]) == {job_id: place for place, job_id in enumerate(found, 1)}
        for number, job_id in enumerate(found, 1):
            assert places(store, [job_id]) == {job_id: number}
        store.check_tallies()


def _change_and_look(store: Store, name: str, chosen: set[int], number: int) -> None:
    was = dict(order(store))
    queue = list(was)
    moved = [job_id for place, job_id in enumerate(queue) if place in chosen]
    rest = [job_id for job_id in queue if job_id not in moved]
    if name == "submit":
        store.submit(1, number % 3)
    elif name == "lease" and queue:
        store.lease(store.queued()[0])
    elif name == "before" and queue:
        target = queue[number % len(queue)]
        moved = [job_id for job_id in moved if job_id != target]
        rest = [job_id for job_id in queue if job_id not in moved]
        assert before(store, target, *moved).changed == len(moved)
        place = rest.index(target)
        assert ids(store) == [*rest[:place], *moved, *rest[place:]]
        assert {dict(order(store))[job_id] for job_id in [*moved, target]} == {was[target]}
    elif name in ("top", "end"):
        store.write(lambda c: ordering.move(c, select(*moved), top=name == "top", at=AT))
        assert ids(store) == ([*moved, *rest] if name == "top" else [*rest, *moved])
    elif name == "priority":
        store.write(lambda c: ordering.set_priority(c, select(*moved), number % 3, at=AT))
        now = order(store)
        assert [job_id for job_id, _ in now if job_id in rest] == rest
        assert dict.fromkeys(moved, number % 3).items() <= dict(now).items()
        for priority in set(was.values()):
            alike = [job_id for job_id in moved if was[job_id] == priority]
            assert [job_id for job_id, _ in now if job_id in alike] == alike


@pytest.mark.slow
def test_places_of_a_page_cost_one_walk(store: Store) -> None:
    """In a queue of 50,000: the places of 100 jobs at its end take little more than that of one."""
    store.submit(50_000)
    last = [job.job_id for job in store.queued(50_000)[-100:]]

    def spent(connection: object, job_ids: list[str]) -> float:
        times = []
        for _ in range(5):
            begun = time.thread_time()
            found = ordering.places(connection, job_ids)  # type: ignore[arg-type]
            times.append(time.thread_time() - begun)
            assert found[last[-1]] == 50_000
        return min(times)

    assert store.read(lambda c: spent(c, last)) < 3 * store.read(lambda c: spent(c, last[-1:])) + 0.01
