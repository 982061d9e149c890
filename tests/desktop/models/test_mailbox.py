"""What other threads leave for the one that draws."""

from __future__ import annotations

import threading

import pytest
from desk_kit import Clock
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.mailbox import Mailbox


def unexpected(error: Exception) -> None:
    raise AssertionError(error)


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.integers()), max_size=40))
def test_nothing_is_lost_but_what_a_newer_one_of_its_key_replaced(posted: list[tuple[str | None, int]]) -> None:
    box, got = Mailbox(), list[tuple[str | None, int]]()
    for key, number in posted:
        box.post(lambda key=key, number=number: got.append((key, number)), key)  # type: ignore[misc]
    box.drain(Clock(), 1.0, unexpected)
    assert [one for one in got if one[0] is None] == [one for one in posted if one[0] is None]
    for key in ("a", "b"):
        of_key = [one for one in posted if one[0] == key]
        assert [one for one in got if one[0] == key] == of_key[-1:]
    assert len(box) == 0


def test_a_full_box_drops_the_oldest_and_counts_them() -> None:
    box, got = Mailbox(largest=3), list[int]()
    for number in range(5):
        box.post(lambda number=number: got.append(number))  # type: ignore[misc]
    assert box.dropped == 2
    box.drain(Clock(), 1.0, unexpected)
    assert got == [2, 3, 4]


def test_a_budget_leaves_the_rest_for_the_next_frame_but_one_is_always_done() -> None:
    clock, box, got = Clock(), Mailbox(), list[int]()
    for number in range(4):
        box.post(lambda number=number: (got.append(number), clock.move(0.002)))  # type: ignore[misc]
    assert box.drain(clock, 0.003, unexpected) == 2
    assert box.wait(0), "there is more"
    assert box.drain(clock, 0.0, unexpected) == 1
    assert box.drain(clock, 1.0, unexpected) == 1
    assert got == [0, 1, 2, 3]


def test_a_message_that_fails_stops_no_other() -> None:
    box, got, failed = Mailbox(), list[str](), list[Exception]()

    def fail() -> None:
        raise ValueError("broken")

    box.post(fail)
    box.post(lambda: got.append("after"))
    assert box.drain(Clock(), 1.0, failed.append) == 2
    assert got == ["after"]
    assert [str(error) for error in failed] == ["broken"]


def test_waiting_ends_with_a_message() -> None:
    box = Mailbox()
    assert not box.wait(0.0)
    timer = threading.Timer(0.02, box.post, [lambda: None])
    timer.start()
    assert box.wait(10.0)
    timer.join()
    box.drain(Clock(), 1.0, unexpected)
    assert not box.wait(0.0)


@pytest.mark.parametrize("threads", [4])
def test_many_threads_at_once(threads: int) -> None:
    box, got = Mailbox(), list[tuple[int, int]]()

    def post(thread: int) -> None:
        for number in range(200):
            box.post(lambda: got.append((thread, number)))  # noqa: B023
            box.post(lambda: None, ("progress", thread))

    running = [threading.Thread(target=post, args=[number]) for number in range(threads)]
    for one in running:
        one.start()
    while any(one.is_alive() for one in running):
        box.drain(Clock(), 1.0, unexpected)
    box.drain(Clock(), 1.0, unexpected)
    assert len(got) == threads * 200
    assert {thread for thread, _number in got} == set(range(threads))
