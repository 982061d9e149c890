"""Work in other threads, whose results come back to the one that draws."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stablenew_plugins.desktop.models.core.background import Threads
from stablenew_plugins.desktop.models.core.mailbox import Mailbox


class Office:
    """A pool with its mailbox."""

    def __init__(self, threads: int = 2) -> None:
        self.box = Mailbox()
        self.threads = Threads(self.box, threads)
        self.done: list[object] = []
        self.failed: list[Exception] = []

    def run(self, work: object, key: object = None) -> None:
        self.threads.run(work, self.done.append, self.failed.append, key)  # type: ignore[arg-type]

    def read(self, count: int) -> None:
        """Read the mailbox until ``count`` results are there."""
        until = time.monotonic() + 60
        while len(self.done) + len(self.failed) < count and time.monotonic() < until:
            self.box.wait(0.05)
            self.box.drain(time.monotonic, 1.0, self.failed.append)
        assert len(self.done) + len(self.failed) == count


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.threads.close()


def test_work_is_done_elsewhere_and_told_here(office: Office) -> None:
    where: list[int] = []
    office.threads.run(
        threading.get_ident,
        lambda ident: where.extend([ident, threading.get_ident()]),
        office.failed.append,
    )
    until = time.monotonic() + 60
    while not where and time.monotonic() < until:
        office.box.wait(0.05)
        office.box.drain(time.monotonic, 1.0, office.failed.append)
    assert where[0] != threading.get_ident() == where[1]


def test_an_error_comes_back_as_it_is(office: Office) -> None:
    def work() -> None:
        raise ValueError("broken")

    office.run(work)
    office.read(1)
    assert [str(error) for error in office.failed] == ["broken"]


def test_of_one_key_only_the_newest_counts(office: Office) -> None:
    go, begun = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go.wait(60)
        return "old"

    office.run(slow, "plan")
    assert begun.wait(60)
    never: list[str] = []
    for number in range(5):
        office.run(lambda number=number: f"new {number}", "plan")
    office.run(lambda: "other", "else")
    go.set()
    office.read(2)
    time.sleep(0.05)
    office.box.drain(time.monotonic, 1.0, office.failed.append)
    assert sorted(map(str, office.done)) == ["new 4", "other"]
    assert not office.failed
    assert not never


def test_a_newer_one_makes_void_what_lies_unread(office: Office) -> None:
    office.run(lambda: "old", "plan")
    assert office.box.wait(60)
    office.run(lambda: "new", "plan")
    office.read(1)
    assert office.done == ["new"]


def test_closing_waits_for_nothing() -> None:
    office = Office(1)
    go, begun = threading.Event(), threading.Event()
    ended: list[bool] = []

    def work() -> None:
        begun.set()
        ended.append(go.wait(60))

    office.run(work)
    office.run(lambda: "never")
    assert begun.wait(60)
    office.threads.close()
    assert ended == [], "the work goes on behind it"
    go.set()
