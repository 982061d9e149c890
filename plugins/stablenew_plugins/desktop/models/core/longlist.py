"""A long list of the kernel's, of which a part is here: the rows that are looked at, and some around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model

if TYPE_CHECKING:
    from stablenew_client import KernelClient

T = TypeVar("T")

MARGIN = 60
"""Rows that are asked for before and behind those that are looked at."""
PERIOD = 0.35
"""Seconds between two questions for the same rows, at least."""
PATIENCE = 2.0
"""Seconds after a question that failed."""
AWAY = 0.5
"""Seconds after the last look at which nobody is taken to look any more."""
PAGE = 500
"""Rows a question, where many are selected that are not here."""

How = Literal["one", "toggle", "range"]

Fetch = Callable[["KernelClient", int, int], tuple[Sequence[T], int]]
"""``(kernel, limit, offset)`` gives rows, and how many there are."""


@dataclass(slots=True)
class _Asked:
    at: float = float("-inf")
    waits: bool = False
    """For an answer."""
    stale: bool = True
    round: int = 0
    """Answers of earlier rounds are of another list."""
    looked: float = float("-inf")
    first: int = 0
    count: int = 40


@dataclass(slots=True)
class _Selection:
    keys: dict[str, None] = field(default_factory=dict)
    anchor: int = 0
    cursor: int = -1
    key: str = ""
    """Of the row at the cursor: where that goes, the cursor goes."""
    wanted: int | None = None
    """A row that is to be selected once it is here."""


class RowsModel(Model, Generic[T]):
    """See above. Rows are asked for while somebody looks: :meth:`look` says so, :meth:`tick` asks."""

    def __init__(self, desk: Desk, name: str, fetch: Fetch[T], key: Callable[[T], str]) -> None:
        """``key``: what a row is known by. ``name``: of the list, unique in the window."""
        super().__init__()
        self._desk, self._name, self._fetch, self._key = desk, name, fetch, key
        self._asked = _Asked()
        self._selection = _Selection()
        self.rows: list[T] = []
        """Those that are here."""
        self.offset = 0
        """Place in the whole list of the first of them."""
        self.total = 0
        self.loaded = False
        """Whether the kernel has answered since the list became another one."""
        self.problem: Exception | None = None
        """Why it could not, the last time."""
        self.reveals = 0
        """Grows when somebody went to another row, which is then to be seen."""

    # --- rows -----------------------------------------------------------------------------------------------

    def row(self, index: int) -> T | None:
        """The row at ``index`` of the whole list; None: it is not here yet."""
        place = index - self.offset
        return self.rows[place] if 0 <= place < len(self.rows) else None

    def index_of(self, key: str) -> int | None:
        """Where the row ``key`` stands; None: not here."""
        for place, row in enumerate(self.rows):
            if self._key(row) == key:
                return self.offset + place
        return None

    def look(self, first: int, count: int) -> None:
        """Rows from ``first`` on are looked at, ``count`` of them. Called each frame."""
        self._asked.looked = self._desk.clock()
        self._asked.first, self._asked.count = max(0, first), max(1, count)

    def refresh(self) -> None:
        """Something in the list changed: it is asked for again, not more often than a few times a second."""
        self._asked.stale = True

    def restart(self) -> None:
        """It is another list from now on (another filter): what is here is of no use."""
        self._asked = _Asked(looked=self._asked.looked, count=self._asked.count, round=self._asked.round + 1)
        self._selection = _Selection()
        self.rows, self.offset, self.total, self.loaded, self.problem = [], 0, 0, False, None
        self.touch()

    def patch(self, row: T) -> bool:
        """Put ``row`` in the place of what is known of it. Returns whether it was here."""
        key = self._key(row)
        for place, old in enumerate(self.rows):
            if self._key(old) == key:
                self.rows[place] = row
                self.touch()
                return True
        return False

    def tick(self) -> None:
        """Ask, if something is to be asked."""
        asked, now = self._asked, self._desk.clock()
        if asked.waits or now - asked.looked > AWAY or now - asked.at < PERIOD:
            return
        if self.problem is not None and now - asked.at < PATIENCE:
            return
        if not (asked.stale or self._lacks_rows()):
            return
        offset = max(0, asked.first - MARGIN)
        limit = asked.count + 2 * MARGIN
        number = asked.round

        def done(answer: tuple[Sequence[T], int]) -> None:
            if number == self._asked.round:
                self._take(offset, answer)

        def failed(error: Exception) -> None:
            if number == self._asked.round:
                self._asked.waits, self.problem = False, error
                self.touch()

        asked.waits, asked.at, asked.stale = True, now, False
        if not self._desk.ask(lambda kernel: self._fetch(kernel, limit, offset), done, failed):
            asked.waits, asked.stale = False, True

    def _lacks_rows(self) -> bool:
        asked = self._asked
        end = min(asked.first + asked.count, self.total)
        near = MARGIN // 3
        return (
            max(0, asked.first - near) < self.offset
            or min(end + near, self.total) > self.offset + len(self.rows)
            or not self.loaded
        )

    def _take(self, offset: int, answer: tuple[Sequence[T], int]) -> None:
        rows, total = answer
        self._asked.waits = False
        self.rows, self.offset, self.total = list(rows), offset, total
        self.loaded, self.problem = True, None
        if self._asked.first >= total:
            self._asked.first = max(0, total - self._asked.count)
        chosen = self._selection
        if (wanted := chosen.wanted) is not None and self.row(wanted) is not None:
            chosen.wanted = None
            self.select(wanted, "one")
        elif chosen.key and (place := self.index_of(chosen.key)) is not None and place != chosen.cursor:
            chosen.anchor += place - chosen.cursor
            chosen.cursor = place
        self.touch()

    # --- selection ------------------------------------------------------------------------------------------

    @property
    def selected(self) -> Sequence[str]:
        """Keys of the selected rows, in the order of the list as far as they are here."""
        places = {self._key(row): place for place, row in enumerate(self.rows)}
        return sorted(self._selection.keys, key=lambda key: places.get(key, len(places)))

    @property
    def chosen(self) -> int:
        """How many rows are selected."""
        return len(self._selection.keys)

    @property
    def selected_rows(self) -> Sequence[T]:
        """Those of them that are here, in the order of the list."""
        return [row for row in self.rows if self._key(row) in self._selection.keys]

    @property
    def cursor(self) -> int:
        """The row that keys move from; -1: none."""
        return self._selection.cursor

    def is_selected(self, key: str) -> bool:
        """Whether the row ``key`` is."""
        return key in self._selection.keys

    def select(self, index: int, how: How = "one") -> None:
        """Select the row at ``index``: alone, as well, or all up to it."""
        index = max(0, min(index, self.total - 1))
        chosen = self._selection
        self.reveals += 1
        row = self.row(index)
        chosen.key = self._key(row) if row is not None else ""
        if how == "range" and self.total:
            chosen.cursor = index
            self._select_range(min(chosen.anchor, index), max(chosen.anchor, index))
            return
        if row is None:
            chosen.wanted, chosen.cursor, chosen.anchor = index, index, index
            self.touch()
            return
        key = self._key(row)
        if how == "toggle" and key in chosen.keys:
            del chosen.keys[key]
        elif how == "toggle":
            chosen.keys[key] = None
        else:
            chosen.keys = {key: None}
        chosen.cursor = chosen.anchor = index
        self.touch()

    def move(self, rows: int, *, extend: bool = False) -> None:
        """Select the row so many further down (negative: up); ``extend``: and all between."""
        if self.total:
            start = self._selection.cursor if self._selection.cursor >= 0 else (-1 if rows > 0 else self.total)
            self.select(start + rows, "range" if extend else "one")

    def select_all(self) -> None:
        """Every row of the list, those that are not here as well."""
        if self.total:
            self._selection.anchor, self._selection.cursor = 0, self.total - 1
            self._select_range(0, self.total - 1)

    def select_none(self) -> None:
        """No row."""
        self._selection = _Selection()
        self.touch()

    def drop(self, key: str) -> None:
        """The row ``key`` is gone from the list: it is not selected any more."""
        if self._selection.keys.pop(key, self) is None:
            self.touch()

    def _select_range(self, first: int, last: int) -> None:
        here = [self.row(index) for index in range(first, last + 1)] if last - first < 10 * PAGE else [None]
        if all(row is not None for row in here):
            self._selection.keys = {self._key(row): None for row in here if row is not None}
            self.touch()
            return
        number = self._asked.round

        def work(kernel: KernelClient) -> list[str]:
            keys: list[str] = []
            for offset in range(first, last + 1, PAGE):
                rows, total = self._fetch(kernel, min(PAGE, last + 1 - offset), offset)
                keys += [self._key(row) for row in rows]
                if offset + PAGE >= total:
                    break
            return keys

        def done(keys: list[str]) -> None:
            if number == self._asked.round:
                self._selection.keys = dict.fromkeys(keys)
                self.touch()

        self._desk.ask(work, done, key=("select", self._name))
