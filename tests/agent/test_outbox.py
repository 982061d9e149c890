"""Facts on disk, and the identity file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_agent.identity import Identity
from stablenew_agent.outbox import Outbox
from stablenew_api.errors import UserError
from stablenew_api.leases import Fact, LeaseKey, LeaseState, Outcome
from stablenew_client import wire


def fact(number: int) -> Fact:
    outcome = Outcome(LeaseState.SUCCEEDED, report=b'{"seed":18446744073709551615}')
    return Fact(number, LeaseKey(f"job-{number}", 1), outcome)


def test_facts_come_back_in_order_after_reopening(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.sqlite3")
    assert (box.next_fact_id, list(box.load())) == (1, [])
    box.append([wire.fact_to_proto(fact(1))])
    box.append([wire.fact_to_proto(fact(2)), wire.fact_to_proto(fact(3))], forget_up_to=1)
    box.close()
    box = Outbox(tmp_path / "o.sqlite3")
    assert box.load() == [fact(2), fact(3)]
    assert box.next_fact_id == 4
    box.close()


def test_ids_are_never_used_again(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        box = Outbox(tmp_path / "o.sqlite3")
        assert box.next_fact_id == expected
        box.append([wire.fact_to_proto(fact(expected))])
        box.append([], forget_up_to=expected)
        assert list(box.load()) == []
        box.close()


@given(st.lists(st.one_of(st.integers(1, 4), st.floats(0, 1)), max_size=25))
def test_holds_exactly_what_was_stored_and_not_forgotten(steps: list[int | float]) -> None:
    """An int stores so many facts; a float forgets up to that share of all ids."""
    box = Outbox(Path(":memory:"))
    last = forgotten = 0
    for step in steps:
        if isinstance(step, int):
            box.append([wire.fact_to_proto(fact(last + n)) for n in range(1, step + 1)])
            last += step
        else:
            forgotten = max(forgotten, int(last * step))
            box.append([], forgotten)
        assert [f.fact_id for f in box.load()] == list(range(forgotten + 1, last + 1))
        assert box.next_fact_id == last + 1
    box.close()


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.sqlite3")
    box.append([wire.fact_to_proto(fact(1))])
    box._connection.execute("PRAGMA query_only=ON")  # what a full or read-only disk looks like from here
    with pytest.raises(sqlite3.Error):
        box.append([wire.fact_to_proto(fact(2))], forget_up_to=1)
    box._connection.execute("PRAGMA query_only=OFF")
    assert box.load() == [fact(1)]
    box.append([wire.fact_to_proto(fact(2))], forget_up_to=1)
    assert box.load() == [fact(2)]
    box.close()


def test_a_file_that_is_no_outbox(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite3"
    path.write_bytes(b"not a database, and long enough to be seen as none" * 100)
    with pytest.raises(UserError, match=r"o\.sqlite3: cannot be opened"):
        Outbox(path)


def test_epochs_are_on_disk_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    identity = Identity(path)
    assert identity.next_epoch() == 1
    assert Identity(path).epoch == 1
    assert identity.next_epoch() == 2
    again = Identity(path)
    assert (again.node_id, again.next_epoch()) == (identity.node_id, 3)


@pytest.mark.parametrize("text", ["", "{}", '{"node_id": "x", "epoch": 1}', "[]"])
def test_a_broken_identity_is_not_replaced_in_silence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"node\.json: cannot be read"):
        Identity(path)
    assert path.read_text(encoding="utf-8") == text
