"""What randomizer strategies keep between runs: it moves with a run or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_kit import AT, FixedClock

from stablenew_kernel.domain.plan import PlanMemory, Remembered
from stablenew_kernel.store import places
from stablenew_kernel.store.database import Connection, Database

LATER = "2026-01-03T00:00:00.000+00:00"


def moves(*slots: Remembered, pack: str = "demo") -> PlanMemory:
    return PlanMemory(pack, slots)


def advance(database: Database, memory: PlanMemory, at: str = AT) -> None:
    database.write(lambda connection: places.advance(connection, memory, at)).result()


def listed(database: Database, **which: str) -> list[places.PlaceRow]:
    return database.read(lambda connection: places.list_places(connection, **which)).result()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database.open(tmp_path / "kernel.sqlite3", FixedClock())
    yield made  # type: ignore[misc]
    made.close()


def test_a_place_moves_from_where_it_is(database: Database) -> None:
    advance(
        database, moves(Remembered("rotate", "hair", None, {"next": 1}), Remembered("least_used", "é", None, 3))
    )
    advance(database, moves(Remembered("rotate", "hair", {"next": 1}, {"next": 2})), LATER)
    assert database.read(lambda connection: places.recall(connection, "demo")).result() == {
        ("rotate", "hair"): {"next": 2},
        ("least_used", "é"): 3,
    }
    assert [(row.slot, row.changed_at) for row in listed(database)] == [("hair", LATER), ("é", AT)]
    assert database.read(lambda connection: places.recall(connection, "other")).result() == {}


def test_a_plan_that_stood_on_an_older_place_moves_nothing(database: Database) -> None:
    advance(database, moves(Remembered("rotate", "hair", None, 1), Remembered("rotate", "eyes", None, 1)))
    before = listed(database)
    for stale in (
        moves(Remembered("rotate", "eyes", 1, 2), Remembered("rotate", "hair", None, 7)),
        moves(Remembered("rotate", "eyes", 1, 2), Remembered("rotate", "hair", 0, 7)),
        moves(Remembered("rotate", "eyes", 1, 2), Remembered("sequential", "hair", 1, 7)),
    ):
        assert not database.read(lambda connection, stale=stale: places.hold(connection, stale)).result()
        with pytest.raises(places.PlacesMoved, match="pack demo: another run moved its places"):
            advance(database, stale)
    assert listed(database) == before


def test_it_goes_with_the_rest_of_the_transaction(database: Database) -> None:
    def fail(connection: Connection) -> None:
        places.advance(connection, moves(Remembered("rotate", "hair", None, 1)), AT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(fail).result()
    assert listed(database) == []


def test_list_and_reset_of_one_pack_one_slot_or_all(database: Database) -> None:
    for pack in ("a", "b"):
        advance(
            database, moves(Remembered("rotate", "x", None, 1), Remembered("rotate", "y", None, 1), pack=pack)
        )
    assert [(row.pack, row.slot) for row in listed(database, slot="x")] == [("a", "x"), ("b", "x")]
    assert [row.slot for row in listed(database, pack="b")] == ["x", "y"]
    reset = database.write(lambda connection: places.reset(connection, "a", "y")).result()
    assert (reset, len(listed(database))) == (1, 3)
    assert database.write(lambda connection: places.reset(connection)).result() == 3
    assert listed(database) == []
