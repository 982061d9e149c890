"""What can be taken back, and done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

S = TypeVar("S")

ONE_STEP = 1.0
"""Seconds in which changes of one thing, as by a slider that is dragged, are one step."""
STEPS_KEPT = 200


class History(Generic[S]):
    """States that were. A state is never changed, so that keeping it costs nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: monotonic seconds."""
        self._clock = clock
        self._past: list[S] = []
        self._future: list[S] = []
        self._last: tuple[str, float] = ("", 0.0)

    def __len__(self) -> int:
        """How many steps can be taken back."""
        return len(self._past)

    def leave(self, state: S, step: str = "") -> None:
        """``state`` is about to be replaced. ``step``: what is changed; the same again in a moment is the same
        step."""
        now = self._clock()
        last, at = self._last
        if not (step and step == last and now - at < ONE_STEP and self._past):
            self._past.append(state)
            del self._past[:-STEPS_KEPT]
        self._last = (step, now)
        self._future.clear()

    def undo(self, state: S) -> S:
        """The state before ``state``, which redo brings back. The same where there is none."""
        return self._move(state, self._past, self._future)

    def redo(self, state: S) -> S:
        """The state that was taken back. The same where there is none."""
        return self._move(state, self._future, self._past)

    def _move(self, state: S, source: list[S], target: list[S]) -> S:
        if not source:
            return state
        self._last = ("", 0.0)
        target.append(state)
        return source.pop()

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return bool(self._future)
