"""Who has the device, and when: the rules one by one, and any order of steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_agent.running import Recorder
from stablenew_agent.turns import HEAD_START, EventToken, Turns, Work
from stablenew_api.backend import Backend, Capabilities, GenerationResult, Progress
from stablenew_api.errors import Cancelled

WAIT = 30.0
"""Seconds that a step gets to happen on a busy machine."""
SHORT = 0.05
"""Seconds in which something that must not happen would have happened."""


def job(number: int) -> Work:
    return Work({"op": "job", "job": f"j{number}", "attempt": 1}, EventToken())


class Aside:
    """A call in a thread of its own, that may wait."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self.result = call()
        except Cancelled as error:
            self.result = error

    def waits(self) -> bool:
        self._thread.join(SHORT)
        return self._thread.is_alive()

    def over(self) -> Any:
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "it waits for ever"
        return self.result


def two() -> tuple[Turns, Work, Work, list[float]]:
    """The first of two jobs has the device."""
    pauses: list[float] = []
    turns, first, second = Turns(pauses.append), job(1), job(2)
    turns.put(first)
    turns.put(second)
    assert turns.next() == (first, False)
    return turns, first, second, pauses


def test_the_next_job_begins_when_the_device_is_let_go() -> None:
    turns, first, second, pauses = two()
    other = Aside(turns.next)
    assert other.waits()
    turns.release(first)
    assert other.over() == (second, True), "and the agent is told, since the first one is still here"
    assert pauses == [HEAD_START]
    turns.release(first)
    assert pauses == [HEAD_START], "what it does not have it cannot let go of"


def test_nobody_pauses_for_a_job_that_is_not_there() -> None:
    pauses: list[float] = []
    turns, only = Turns(pauses.append), job(1)
    turns.put(only)
    turns.next()
    turns.release(only)
    assert pauses == []


def test_a_job_that_ends_with_the_device_hands_it_on_in_the_same_thread() -> None:
    turns, first, second, pauses = two()
    other = Aside(turns.next)
    assert turns.next(first) == (second, False), "no line: the agent has the first one's end"
    assert other.waits()
    assert pauses == []


def test_a_second_call_of_the_last_stage_goes_before_a_job_that_has_not_started() -> None:
    turns, first, second, _ = two()
    turns.release(first)
    assert turns.next() == (second, True)
    turns.put(job(3))
    again, third = Aside(lambda: turns.take(first)), Aside(turns.next)
    assert again.waits()
    turns.release(second)
    again.over()
    assert third.waits()
    turns.release(first)
    assert third.over()[0].key == ("j3", 1)


def test_cancelled_while_it_waits_for_the_device() -> None:
    turns, first, second, _ = two()
    turns.release(first)
    turns.next()
    again = Aside(lambda: turns.take(first))
    assert again.waits()
    assert turns.cancel(("j1", 1)) is first
    assert isinstance(again.over(), Cancelled)
    third = job(3)
    turns.put(third)
    assert turns.next(second)[0] is third, "it does not stand in the way"


def test_a_job_is_taken_back_or_begins_never_both() -> None:
    turns, first, second, _ = two()
    assert not turns.take_back(("j1", 1)), "it has begun"
    assert turns.take_back(("j2", 1))
    assert not turns.take_back(("j2", 1))
    turns.release(first)
    assert Aside(turns.next).waits()
    assert turns.cancel(("j2", 1)) is None
    assert second.token is not None
    assert not second.token.cancelled


def test_an_interrupt_holds_the_device_until_it_is_made() -> None:
    """Otherwise it could hit the next job."""
    turns, first, second, _ = two()
    entered, go_on, hit = threading.Event(), threading.Event(), []

    def interrupt() -> None:
        entered.set()
        go_on.wait(WAIT)
        hit.append(turns._holder)

    interrupting = Aside(lambda: turns.guarded(first, interrupt))
    assert entered.wait(WAIT)
    release, begin = Aside(lambda: turns.release(first)), Aside(turns.next)
    assert release.waits()
    assert begin.waits()
    go_on.set()
    interrupting.over()
    release.over()
    assert begin.over()[0] is second
    assert hit == [first]
    turns.guarded(first, lambda: hit.append(None))
    assert hit == [first], "it has the device no more: there is nothing of it to interrupt"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("put", "next", "release", "take", "end", "back", "cancel")), st.integers(0, 3)
        )
    )
)
def test_any_order_of_steps(steps: list[tuple[str, int]]) -> None:
    """At most one has the device, each job begins once, in order, or is taken back; nobody waits without cause.
    One thread plays all parts, and does only what does not wait."""
    turns = Turns(lambda seconds: None)
    ready: list[Work] = []
    inside: list[Work] = []
    holder: Work | None = None
    count = 0
    for step, which in steps:
        if step == "put":
            count += 1
            ready.append(job(count))
            turns.put(ready[-1])
        elif step == "next" and holder is None and ready:
            holder, accompanied = turns.next()
            assert holder is ready.pop(0)
            assert accompanied == bool(inside)
            inside.append(holder)
        elif step == "back" and ready:
            work = ready.pop(which % len(ready))
            assert turns.take_back(("j0", 1)) is False
            assert work.key is not None
            assert turns.take_back(work.key)
        elif inside:
            work = inside[which % len(inside)]
            assert work.key is not None
            if step == "release":
                turns.release(work)
                holder = None if holder is work else holder
            elif step == "take" and (holder is None or holder is work):
                turns.take(work)
                holder = work
            elif step == "cancel":
                assert turns.cancel(work.key) is work
                assert not turns.take_back(work.key)
            elif step == "end" and ready and (holder is None or holder is work):
                inside.remove(work)
                holder, accompanied = turns.next(work)
                assert holder is ready.pop(0)
                assert accompanied == bool(inside)
                inside.append(holder)
        assert turns._holder is holder
        asked: list[Work] = []
        for work in inside:
            turns.guarded(work, partial(asked.append, work))
        assert asked == ([holder] if holder else [])


# --- the backend as a job sees it -----------------------------------------------------------------------------


class Told:
    """Notes what is asked of the device."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def take(self) -> None:
        self.said.append("take")

    def release(self) -> None:
        self.said.append("release")


class Fake(Backend):
    name, version, title = "fake", "1", "Fake"

    def __init__(self, told: Told, fails: bool = False, silent: bool = False) -> None:
        self.config = None  # type: ignore[assignment]
        self._told, self._fails, self._silent = told, fails, silent

    def identify(self) -> Any: ...
    def capabilities(self) -> Any: ...

    def upscale(self, request: Any, progress: Progress, cancel: Any) -> GenerationResult:
        self._told.said.append("call")
        if self._fails:
            raise OSError("no")
        if not self._silent:
            progress.received()
        self._told.said.append("decode")
        return GenerationResult(None, {"Model": "m"}, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "fake", "said"),
    [
        (True, {}, "take call release decode release"),
        (True, {"silent": True}, "take call decode release"),
        (True, {"fails": True}, "take call"),
        (False, {}, "take call decode"),
        (False, {"fails": True}, "take call"),
    ],
)
def test_when_a_call_lets_go_of_the_device(last: bool, fake: dict[str, bool], said: str) -> None:
    """In the last stage that needs it, as soon as the backend says so, and at the end of the call at the
    latest; in an earlier stage never: another job would put its model on the device in between. A call that
    fails keeps it: the worker may ask the backend how it is."""
    told = Told()
    seen = Recorder(Fake(told, **fake), told, Capabilities)
    seen.last = last
    try:
        seen.upscale(object(), Progress(), EventToken())  # type: ignore[arg-type]
    except OSError:
        assert fake.get("fails")
    else:
        assert (seen.model, seen.peak_vram) == ("m", 5)
    assert " ".join(told.said) == said
