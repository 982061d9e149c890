"""A text that is being edited: caret, selection, lines that are wrapped for the eye alone, undo.

Dear PyGui's fields neither wrap nor tell where the caret is, so the prompt editor has its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stablenew_plugins.desktop.models.core.scripts import columns, columns_of

Where = Literal["left", "right", "word_left", "word_right", "home", "end", "up", "down", "start", "finish"]

_WORDS = re.compile(r"\w+|[^\w\s]")
UNDO = 200
"""Steps back."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is shown: ``text[start:end]``."""

    start: int
    end: int


def wrap(text: str, columns: int) -> list[Line]:
    """``text`` in lines of at most ``columns`` columns (at least 1), broken behind blanks if there are any.

    A letter takes as many columns as :func:`columns_of` says. The lines are the whole text, one behind the
    other: nothing is added, nothing left out. Blanks at the end of a line may stand out of it.
    """
    lines: list[Line] = []
    start, size = 0, len(text)
    while (reach := _reach(text, start, columns)) < size:
        # The last blank within reach; those behind it hang over the edge.
        cut = text.rfind(" ", start, reach + 1)
        end = cut + 1 if cut >= start else reach
        while cut >= start and end < size and text[end] == " ":
            end += 1
        lines.append(Line(start, end))
        start = end
    lines.append(Line(start, size))
    return lines


def _reach(text: str, start: int, columns: int) -> int:
    """Where a line that begins at ``start`` has to end: at least one letter behind it."""
    if text[start : start + columns + 1].isascii():
        return min(start + columns, len(text))
    used, at = 0, start
    while at < len(text):
        used += columns_of(text[at])
        if used > columns and at > start:
            break
        at += 1
    return at


class TextEdit:
    """Positions are characters, 0 to ``len(text)``. A line break is a blank: a prompt is one line."""

    def __init__(self, text: str = "", columns: int = 80) -> None:
        self.text = text
        self.caret = len(text)
        self.anchor = self.caret
        """The other end of the selection; at the caret if nothing is selected."""
        self.columns = columns
        self._past: list[tuple[str, int, int]] = []
        self._future: list[tuple[str, int, int]] = []
        self._typing = False
        self._goal: int | None = None
        self._lines: tuple[str, int, list[Line]] = ("", 0, [])

    # --- what is shown --------------------------------------------------------------------------------------

    @property
    def lines(self) -> Sequence[Line]:
        """As they are shown."""
        if self._lines[:2] != (self.text, self.columns) or not self._lines[2]:
            self._lines = (self.text, self.columns, wrap(self.text, max(1, self.columns)))
        return self._lines[2]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a position. Where a line is wrapped, the beginning of the next one."""
        lines = self.lines
        for number, line in enumerate(lines):
            if at < line.end or number == len(lines) - 1:
                return number, at - line.start
        raise AssertionError("there is always a line")

    def at(self, line: int, column: int) -> int:
        """The position nearest to a place; lines and columns that are not there are those at the edge."""
        number = min(max(line, 0), len(self.lines) - 1)
        one = self.lines[number]
        last = one.end if number == len(self.lines) - 1 else one.end - 1
        return min(max(one.start + column, one.start), max(last, one.start))

    def column_at(self, line: int, columns: float) -> int:
        """How many letters of a line stand before a place that is so many columns from its left; the nearer
        side of the one that is there. Behind the end of the line it goes on with letters of one column."""
        one = self.lines[min(max(line, 0), len(self.lines) - 1)]
        passed = 0.0
        for number, letter in enumerate(self.text[one.start : one.end]):
            width = columns_of(letter)
            if columns < passed + width / 2:
                return number
            passed += width
        return one.end - one.start + max(0, round(columns - passed))

    def columns_before(self, line: int, column: int) -> int:
        """How many columns the first ``column`` letters of a line take."""
        start = self.lines[line].start
        return columns(self.text[start : start + column])

    @property
    def selection(self) -> tuple[int, int]:
        """Its beginning and end."""
        return min(self.caret, self.anchor), max(self.caret, self.anchor)

    @property
    def selected(self) -> str:
        """The text that is selected."""
        start, end = self.selection
        return self.text[start:end]

    # --- moving ---------------------------------------------------------------------------------------------

    def move(self, where: Where, *, select: bool = False) -> None:
        """Move the caret; with ``select`` the selection grows or shrinks."""
        self._typing = False
        start, end = self.selection
        goal = None
        if where in ("left", "right") and not select and start != end:
            to = start if where == "left" else end
        elif where in ("up", "down"):
            line, column = self.place(self.caret)
            goal = self.columns_before(line, column) if self._goal is None else self._goal
            line += -1 if where == "up" else 1
            outside = 0 if line < 0 else len(self.text)
            to = self.at(line, self.column_at(line, goal)) if 0 <= line < len(self.lines) else outside
        else:
            to = self._target(where)
        self.caret = to
        if not select:
            self.anchor = to
        self._goal = goal

    def _target(self, where: Where) -> int:
        line, _column = self.place(self.caret)
        if where == "left":
            return max(0, self.caret - 1)
        if where == "right":
            return min(len(self.text), self.caret + 1)
        if where == "word_left":
            starts = [word.start() for word in _WORDS.finditer(self.text) if word.start() < self.caret]
            return starts[-1] if starts else 0
        if where == "word_right":
            return next(
                (word.end() for word in _WORDS.finditer(self.text) if word.end() > self.caret), len(self.text)
            )
        if where == "home":
            return self.lines[line].start
        if where == "end":
            return self.at(line, self.lines[line].end - self.lines[line].start)
        return 0 if where == "start" else len(self.text)

    def put(self, at: int, *, select: bool = False) -> None:
        """Put the caret at a position."""
        self._typing, self._goal = False, None
        self.caret = min(max(at, 0), len(self.text))
        if not select:
            self.anchor = self.caret

    def select_all(self) -> None:
        """All of it."""
        self.anchor, self.caret, self._typing = 0, len(self.text), False

    def select_word(self) -> None:
        """The word at the caret."""
        for word in _WORDS.finditer(self.text):
            if word.start() <= self.caret <= word.end():
                self.anchor, self.caret, self._typing = word.start(), word.end(), False
                return

    # --- changing -------------------------------------------------------------------------------------------

    def insert(self, words: str) -> None:
        """Put ``words`` in the place of the selection."""
        flat = re.sub(r"[\r\n\t\f\v\u2028\u2029]+", " ", words)
        start, end = self.selection
        together = self._typing and len(flat) == 1 and flat != " " and start == end
        self._replace(start, end, flat, together=together)
        self._typing = len(flat) == 1

    def erase(self, *, forward: bool = False, word: bool = False) -> None:
        """Take the selection out, else the character or the word before the caret, or behind it."""
        start, end = self.selection
        if start == end:
            where: Where = ("word_right" if word else "right") if forward else ("word_left" if word else "left")
            start, end = sorted((self.caret, self._target(where)))
        self._replace(start, end, "", together=False)

    def replace(self, start: int, end: int, words: str) -> None:
        """Put ``words`` in the place of ``text[start:end]``, with the caret behind them."""
        self._replace(start, end, words, together=False)

    def rewrite(self, text: str, anchor: int, caret: int) -> None:
        """Let ``text`` be all of it, with this selection. One step back."""
        if text != self.text:
            self._replace(0, len(self.text), text, together=False)
        self.anchor, self.caret = anchor, caret

    def _replace(self, start: int, end: int, words: str, *, together: bool) -> None:
        if start == end and not words:
            return
        if not together:
            self._past.append((self.text, self.caret, self.anchor))
            del self._past[:-UNDO]
        self._future.clear()
        self._typing, self._goal = False, None
        self.text = self.text[:start] + words + self.text[end:]
        self.caret = self.anchor = start + len(words)

    def undo(self) -> None:
        """Take the last change back."""
        self._swap(self._past, self._future)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._swap(self._future, self._past)

    def _swap(self, source: list[tuple[str, int, int]], other: list[tuple[str, int, int]]) -> None:
        if source:
            other.append((self.text, self.caret, self.anchor))
            self.text, self.caret, self.anchor = source.pop()
            self._typing, self._goal = False, None

    def load(self, text: str) -> None:
        """Begin with another text."""
        self.text = text
        self.caret = self.anchor = len(text)
        self._past.clear()
        self._future.clear()
        self._typing, self._goal = False, None
