"""Messages at the edge of the window."""

from __future__ import annotations

import pytest
from desk_kit import Clock
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.toasts import MOST, SECONDS, Level, Toasts


@pytest.mark.parametrize("level", ["info", "good", "warning"])
def test_a_message_goes_when_its_time_is_over(level: Level) -> None:
    clock = Clock()
    toasts = Toasts(clock)
    toasts.say("done", level)
    clock.move(SECONDS[level] - 0.1)
    toasts.tick()
    assert len(toasts.shown) == 1
    clock.move(0.2)
    seen = toasts.revision
    toasts.tick()
    assert not toasts.shown
    assert toasts.revision == seen + 1


def test_an_error_stays_until_it_is_closed() -> None:
    clock = Clock()
    toasts = Toasts(clock)
    toasts.say("broken", "error")
    clock.move(1e6)
    toasts.tick()
    [toast] = toasts.shown
    toasts.close(toast.number)
    assert not toasts.shown


def test_the_same_words_again_are_one_message_that_stays_longer() -> None:
    clock = Clock()
    toasts = Toasts(clock)
    done: list[str] = []
    toasts.say("saved", "good", action="Undo", act=lambda: done.append("first"))
    clock.move(3)
    toasts.say("saved", "good", action="Undo", act=lambda: done.append("second"))
    [toast] = toasts.shown
    assert toast.times == 2
    toast.act()
    assert done == ["second"], "the button belongs to what happened last"
    clock.move(3)
    toasts.tick()
    assert toasts.shown


def test_another_hint_is_another_message() -> None:
    toasts = Toasts(Clock())
    toasts.say("cannot", hint="a")
    toasts.say("cannot", hint="b")
    assert len(toasts.shown) == 2


@given(st.lists(st.sampled_from("abcdefgh"), max_size=20))
def test_the_latest_are_shown_and_each_has_its_number(texts: list[str]) -> None:
    toasts = Toasts(Clock())
    for text in texts:
        toasts.say(text)
    assert len(toasts.shown) <= MOST
    assert len({toast.number for toast in toasts.shown}) == len(toasts.shown)
    assert len({toast.text for toast in toasts.shown}) == len(toasts.shown)
    assert not texts or texts[-1] in {toast.text for toast in toasts.shown}


def test_nothing_to_do_costs_no_redraw() -> None:
    toasts = Toasts(Clock())
    toasts.say("a")
    seen = toasts.revision
    for _frame in range(10):
        toasts.tick()
    assert toasts.revision == seen
