"""A table over any number of rows, drawn with as many as the screen holds.

A few dozen rows exist; those above and below are two empty ones, as high as all that they stand for, so that
the scroll bar is true. A cell is written only when it changes: what a frame costs does not depend on how long
the list is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import area
from stablenew_plugins.desktop.components.rowdrag import SLACK, Ground, Mouse, RowDrag
from stablenew_plugins.desktop.components.tablecells import FONT_SIZE, Cell, CellItems, Cells, Column, Row
from stablenew_plugins.desktop.components.ui import Item, Ui, number_of
from stablenew_plugins.desktop.theme.tokens import NONE, tint

How = Literal["one", "toggle", "range"]
"""How a click selects: it alone, it as well (Ctrl), all up to it (Shift)."""

ROWS_A_FRAME = 5
"""Rows that are made in one frame: all at once would hold it up. The table is shown when it has all of them."""
SPARE = 3
"""Rows beyond those that fill its height: one before them, and those of which only a part is to be seen."""
PAD = 8
"""What is above and below all that stands in a cell."""
HEAD = FONT_SIZE + 2 * PAD
"""Height of the line of titles, before scaling."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are drawn."""

    first: int
    above: float
    """Pixels of the rows before them."""
    below: float
    """Pixels of the rows behind them."""


def span(scroll: float, row_height: float, count: int, pool: int) -> Span:
    """Which of ``count`` rows ``pool`` of them show, when ``scroll`` pixels are above the edge.

    One row before the first that can be seen is drawn as well, so that a little scrolling shows no gap.
    """
    first = min(max(0, math.floor(scroll / row_height) - 1), max(0, count - pool))
    shown = min(pool, count - first)
    return Span(first, first * row_height, (count - first - shown) * row_height)


@dataclass(slots=True)
class _Line:
    """One of the rows that exist, and what it shows now."""

    item: Item
    selectable: Item
    tip: Item
    tip_box: Item
    cells: list[CellItems]
    shown: Row | None = None
    visible: bool = True
    lit: bool = False
    """Whether it looks selected, also with the pointer on it."""


@dataclass(frozen=True, slots=True)
class Drag:
    """What becomes of rows that are taken with the mouse; see :class:`~.rowdrag.RowDrag`."""

    begin: Callable[[int], bool]
    land: Callable[[int], int | None]
    drop: Callable[[int], None]
    end: Callable[[], None] = lambda: None


@dataclass(slots=True)
class _Calls:
    row: Callable[[int], Row | None]
    select: Callable[[int, How], None]
    open: Callable[[int], None]
    menu: Callable[[int], None]
    sort: Callable[[str], None]


@dataclass(slots=True)
class _State:
    count: int = 0
    first: int = 0
    width: float = 0
    height: float = 0
    dirty: bool = True
    widths: list[float] = field(default_factory=list)
    scroll_to: float | None = None


class VirtualTable:
    """See above. Made in the current container; call :meth:`frame` in each frame while it is to be seen."""

    def __init__(
        self,
        ui: Ui,
        columns: Sequence[Column],
        *,
        row: Callable[[int], Row | None],
        select: Callable[[int, How], None],
        open: Callable[[int], None] = lambda _index: None,
        menu: Callable[[int], None] = lambda _index: None,
        sort: Callable[[str], None] = lambda _order: None,
        order: str = "",
        drag: Drag | None = None,
        row_height: float = 32,
        tag: str = "table",
    ) -> None:
        """``row``: what stands in a row, None: it is not there yet. ``select``, ``open`` and ``menu`` are
        called with the row that was clicked, double-clicked, right-clicked; ``sort`` with what to sort by
        (see :attr:`~.tablecells.Column.orders`), at first ``order``. ``drag``: rows can be taken and put
        elsewhere. ``row_height`` before scaling."""
        self._ui, self._columns = ui, columns
        self._calls = _Calls(row, select, open, menu, sort)
        self._state = _State()
        self._drag = (
            RowDrag(drag.begin, drag.land, drag.drop, drag.end, ui.px(SLACK)) if drag is not None else None
        )
        self._live: set[Hashable] = set()
        self.row_height = ui.px(row_height)
        self._lines: list[_Line] = []
        self._wanted = 0
        """How many rows fit."""
        self._by_item: dict[Item, int] = {}  # handlers are told of an item by its tag
        self._tag = tag
        # No more than fits: a text that is higher than its row makes all rows higher than the scroll bar knows.
        self._inner = self.row_height - 2 * ui.px(PAD)
        self._cells = Cells(ui, self._inner)
        self._looks()
        with dpg.item_handler_registry() as self._handlers:
            dpg.add_item_double_clicked_handler(dpg.mvMouseButton_Left, callback=self._double_clicked)
            dpg.add_item_clicked_handler(dpg.mvMouseButton_Right, callback=self._right_clicked)
            if self._drag is not None:
                dpg.add_item_clicked_handler(dpg.mvMouseButton_Left, callback=self._pressed)
        self._rules: list[Item] = []
        self._ruled: tuple[float, ...] = ()
        with area(ui, no_scrollbar=True, tag=f"{tag}.area") as self.box:
            # The columns of a table can be resized only with lines between them, in the colour of those between
            # its rows. So it has none, and below it lines are drawn between the rows.
            with area(ui, pos=(0, ui.px(HEAD)), no_scrollbar=True, no_scroll_with_mouse=True) as self._below_it:
                self._paper = dpg.add_drawlist(1, 1)
            with dpg.draw_layer(show=False, parent=self._paper, tag=f"{tag}.landing") as self._landing:
                c = ui.colours.accent_high
                self._landing_line = dpg.draw_line((0, 0), (1, 0), color=c, thickness=ui.px(2))
                self._landing_dot = dpg.draw_circle((0, 0), ui.px(4), color=c, fill=c)
            with area(ui, pos=(0, 0), no_scrollbar=True) as self._around:
                self.item = dpg.add_table(
                    tag=tag,
                    header_row=True,
                    scrollY=True,
                    freeze_rows=1,
                    resizable=True,
                    sortable=any(column.orders for column in columns),
                    callback=self._sorted,
                    policy=dpg.mvTable_SizingFixedFit,
                    pad_outerX=False,
                )
        dpg.push_container_stack(self.item)
        try:
            dpg.bind_item_theme(self.item, self._table_theme)
            dpg.bind_item_font(self.item, ui.fonts["small"])
            dpg.add_table_column(
                label="", width_fixed=True, init_width_or_weight=ui.px(6), no_resize=True, no_sort=True
            )
            self._column_items = [self._column(column, order) for column in columns]
            with dpg.table_row(height=1) as self._above:
                pass
            with dpg.table_row(height=1) as self._below:
                pass
        finally:
            dpg.pop_container_stack()
        for item in (self._around, self._below_it):
            dpg.configure_item(item, show=False)

    # --- making ---------------------------------------------------------------------------------------------

    def _looks(self) -> None:
        ui, c = self._ui, self._ui.colours
        themes = ui.themes
        self._lit_theme = themes.theme({"HeaderHovered": tint(c.accent, 60)}, {}, dpg.mvSelectable)
        self._table_theme = themes.theme(
            {
                "TableHeaderBg": c.bg,
                "Text": c.muted,
                "TableBorderLight": NONE,
                "TableBorderStrong": NONE,
                "SeparatorHovered": c.accent_line,
                "SeparatorActive": c.accent,
                "TableRowBg": NONE,
                "TableRowBgAlt": NONE,
                "Header": c.accent_soft,
                "HeaderHovered": tint(c.muted, 22),
                "HeaderActive": tint(c.accent, 60),
            },
            # What is selected is drawn half of this higher and lower than it is: as high as its row.
            {"CellPadding": (6, PAD), "ItemSpacing": (6, 2 * PAD)},
        )

    def _column(self, column: Column, order: str) -> Item:
        now = column.orders.index(order) if column.orders is not None and order in column.orders else None
        down = now == 1 or (now is None and column.downwards)
        return dpg.add_table_column(
            label=column.title,
            width_fixed=bool(column.width),
            width_stretch=not column.width,
            init_width_or_weight=self._ui.px(column.width) if column.width else 1,
            no_sort=column.orders is None,
            default_sort=now is not None,
            prefer_sort_ascending=not down,
            prefer_sort_descending=down,
        )

    def _grow(self) -> Sequence[int]:
        """Make some of the rows that are still to be made. Returns which."""
        made = range(len(self._lines), min(len(self._lines) + ROWS_A_FRAME, self._needed))
        for number in made:
            self._add_line(number)
        if made and self._is_complete:
            for item in (self._around, self._below_it):
                dpg.configure_item(item, show=True)
        return made

    @property
    def _needed(self) -> int:
        """How many rows there are to be: as many as the list has, one at least."""
        return min(self._wanted, max(1, self._state.count))

    @property
    def _is_complete(self) -> bool:
        return len(self._lines) >= self._needed

    def _add_line(self, number: int) -> None:
        with dpg.table_row(height=self.row_height, parent=self.item, before=self._below) as item:
            selectable = dpg.add_selectable(
                span_columns=True,
                height=self._inner,
                callback=partial(self._clicked, number),
                tag=f"{self._tag}.{number}",
            )
            cells = [self._cells.make(column) for column in self._columns]
        dpg.bind_item_handler_registry(selectable, self._handlers)
        with dpg.tooltip(selectable, delay=0.7) as box:
            dpg.bind_item_theme(box, self._ui.themes.theme({}, {"WindowPadding": (10, 8)}))
            tip = dpg.add_text("", wrap=self._ui.px(420), color=self._ui.colours.text)
            dpg.bind_item_font(tip, self._ui.fonts["small"])
        self._by_item[f"{self._tag}.{number}"] = number
        self._lines.append(_Line(item, selectable, tip, box, cells))

    # --- what is asked of it --------------------------------------------------------------------------------

    def resize(self, width: float, height: float) -> None:
        """Its size in pixels."""
        width, height = max(1, int(width)), max(self._ui.px(HEAD) + self.row_height, int(height))
        if (width, height) == (self._state.width, self._state.height):
            return
        self._state.width, self._state.height = width, height
        dpg.configure_item(self.box, width=width, height=height)
        dpg.configure_item(self.item, width=width, height=height)
        for column, item in zip(self._columns, self._column_items, strict=True):
            dpg.configure_item(item, enabled=width >= self._ui.px(column.needs))
        dpg.configure_item(self._around, width=width, height=height)
        for item in (self._below_it, self._paper):
            dpg.configure_item(item, width=width, height=height - self._ui.px(HEAD))
        self._wanted = max(self._wanted, math.ceil(height / self.row_height) + SPARE)
        self._state.dirty = True

    def update(self, count: int) -> None:
        """There are ``count`` rows, and what stands in them may have changed."""
        self._state.count, self._state.dirty = count, True

    @property
    def shown(self) -> tuple[int, int]:
        """The first row that can be seen, and how many."""
        first = max(0, math.floor(self._scroll() / self.row_height))
        return first, max(1, math.ceil(self._state.height / self.row_height))

    def reveal(self, index: int) -> None:
        """Scroll as far as needed for row ``index`` to be seen whole."""
        top = index * self.row_height
        room = self._state.height - self._ui.px(HEAD) - self.row_height / 2
        scroll = self._scroll()
        if top < scroll:
            self._state.scroll_to = float(top)
        elif top + self.row_height > scroll + room:
            self._state.scroll_to = top + self.row_height - room

    def _scroll(self) -> float:
        return float(dpg.get_y_scroll(self.item))

    # --- a frame --------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """Follow the scroll bar and write what changed."""
        state = self._state
        made = self._grow()
        if not self._lines:
            return  # it has no size yet
        scroll = self._scroll() if state.scroll_to is None else state.scroll_to
        if state.scroll_to is not None and self._is_complete:
            dpg.set_y_scroll(self.item, state.scroll_to)
            state.scroll_to = None
        now = span(scroll, self.row_height, state.count, self._wanted)
        widths = self._measure_columns()
        if state.dirty or now.first != state.first or widths != state.widths:
            state.dirty, state.first, state.widths = False, now.first, widths
            self._height(self._above, now.above)
            self._height(self._below, now.below)
            made = range(len(self._lines))
        for number in made:
            self._write(self._lines[number], now.first + number)
        self._rule(scroll)
        self._follow_drag(scroll)
        self._pictures()

    def _rule(self, scroll: float) -> None:
        """Draw the lines between the rows where the rows are now."""
        state, height = self._state, self.row_height
        ruled = (scroll, state.count, state.width, state.height)
        if ruled == self._ruled:
            return
        self._ruled = ruled
        first = math.floor(scroll / height)
        wanted = math.ceil(state.height / height) + 1
        while len(self._rules) < wanted:
            line = dpg.draw_line((0, 0), (1, 0), color=tint(self._ui.colours.line, 190), parent=self._paper)
            self._rules.append(line)
        for number, line in enumerate(self._rules):
            y = (first + number + 1) * height - scroll - 0.5
            shown = number < wanted and first + number < state.count
            dpg.configure_item(line, p1=(0, y), p2=(state.width, y), show=shown)

    def _height(self, item: Item, height: float) -> None:
        dpg.configure_item(item, height=max(1, int(height)), show=height > 0)

    def _measure_columns(self) -> list[float]:
        """How wide the cells are: from where those of the first row stand."""
        line = self._lines[1 if self._state.count > 1 else 0]
        starts = [
            float(dpg.get_item_state(cell.around).get("rect_min", (0, 0))[0])
            if self._state.width >= self._ui.px(column.needs)
            else 0.0
            for cell, column in zip(line.cells, self._columns, strict=True)
        ]
        if not any(starts):
            return []  # nothing is drawn yet
        pad = self._ui.px(12)
        used = [
            (number, start)
            for number, (start, column) in enumerate(zip(starts, self._columns, strict=True))
            if self._state.width >= self._ui.px(column.needs)
        ]
        widths = [0.0] * len(starts)
        for (number, start), (_next, end) in itertools.pairwise(used):
            widths[number] = round(end - start - pad)
        if used:
            last = self._columns[used[-1][0]]
            widths[used[-1][0]] = self._ui.px(last.width) if last.width else 0
        return widths

    def _write(self, line: _Line, index: int) -> None:
        visible = index < self._state.count
        if visible != line.visible:
            line.visible = visible
            dpg.configure_item(line.item, show=visible)
        if not visible:
            line.shown = None
            return
        row = self._calls.row(index) or Row([Cell("…", self._ui.colours.faint)])
        if line.shown is None or row.tip != line.shown.tip:
            dpg.set_value(line.tip, row.tip)
            dpg.configure_item(line.tip_box, show=bool(row.tip))
        if dpg.get_value(line.selectable) != row.selected:
            dpg.set_value(line.selectable, row.selected)
        if line.lit != row.selected:
            line.lit = row.selected
            dpg.bind_item_theme(line.selectable, self._lit_theme if row.selected else 0)
        for number, items in enumerate(line.cells):
            cell = row.cells[number] if number < len(row.cells) else Cell()
            width = self._state.widths[number] if self._state.widths else 0
            self._cells.write(items, cell, width, self._columns[number])
        line.shown = row

    def _pictures(self) -> None:
        """Show the thumbnails that have come, and let go of those that are made of rows that went."""
        live: set[Hashable] = set()
        for line in self._lines:
            for items, cell in zip(
                line.cells, line.shown.cells if line.shown is not None else (), strict=False
            ):
                self._cells.show_picture(items, cell)
                if items.live is not None:
                    live.add(items.live)
            if line.shown is None:
                for items in line.cells:
                    self._cells.hide_picture(items)
        for slot in self._live - live:
            self._ui.textures.end_live(slot)
        self._live = live

    # --- dragging -------------------------------------------------------------------------------------------

    def _pressed(self, _sender: Any, data: Any, _user: Any) -> None:
        if self._drag is not None and (number := self._by_item.get(data[1])) is not None and _how() == "one":
            self._drag.press(self._state.first + number, _mouse())

    def _follow_drag(self, scroll: float) -> None:
        drag, state = self._drag, self._state
        ground = self._ground(scroll) if drag is not None else None
        if drag is None or ground is None:
            return
        drag.frame(_mouse(), ground)
        if drag.scroll_by:
            furthest = max(0.0, state.count * self.row_height - ground.height)
            state.scroll_to = min(max(scroll + drag.scroll_by, 0.0), furthest)
        shown = drag.dragging and drag.target is not None
        if shown and drag.target is not None:
            y, dot = max(drag.target * self.row_height - scroll, self._ui.px(1)), self._ui.px(5)
            dpg.configure_item(self._landing_line, p1=(dot, y), p2=(state.width, y))
            dpg.configure_item(self._landing_dot, center=(dot, max(y, dot)))
        dpg.configure_item(self._landing, show=shown)

    def _ground(self, scroll: float) -> Ground | None:
        """Where the rows are: told by one that is drawn."""
        state = self._state
        index = min(math.ceil(scroll / self.row_height), state.count - 1)
        if not 0 <= index - state.first < len(self._lines):
            return None
        found = dpg.get_item_state(self._lines[index - state.first].selectable)
        if not found.get("visible") or "rect_min" not in found:
            return None
        middle = (found["rect_min"][1] + found["rect_max"][1]) / 2
        top = middle - (index + 0.5) * self.row_height + scroll
        height = state.height - self._ui.px(HEAD)
        return Ground(found["rect_min"][0], top, state.width, height, self.row_height, scroll, state.count)

    # --- clicks ---------------------------------------------------------------------------------------------

    def _clicked(self, number: int, _sender: Any, _value: Any, _user: Any) -> None:
        line = self._lines[number]
        index = self._state.first + number
        if line.shown is not None:
            dpg.set_value(line.selectable, line.shown.selected)  # whether it is, the model says
        self._state.dirty = True
        self._calls.select(index, _how())

    def _sorted(self, _sender: Any, data: Any, _user: Any) -> None:
        if not data:
            return
        item, direction = data[0]
        orders = self._columns[[number_of(one) for one in self._column_items].index(number_of(item))].orders
        if orders is not None:
            self._calls.sort(orders[0] if direction > 0 else orders[1])

    def _double_clicked(self, _sender: Any, data: Any, _user: Any) -> None:
        if (number := self._by_item.get(data[1])) is not None:
            self._calls.open(self._state.first + number)

    def _right_clicked(self, _sender: Any, data: Any, _user: Any) -> None:
        if (number := self._by_item.get(data[1])) is None:
            return
        index = self._state.first + number
        line = self._lines[number]
        if line.shown is not None and not line.shown.selected:
            self._calls.select(index, "one")
        self._calls.menu(index)

    def close(self) -> None:
        """Take away what is not inside the table."""
        for slot in self._live:
            self._ui.textures.end_live(slot)
        dpg.delete_item(self._handlers)


def _mouse() -> Mouse:
    x, y = dpg.get_mouse_pos(local=False)
    return Mouse(x, y, dpg.is_mouse_button_down(dpg.mvMouseButton_Left), dpg.is_key_down(dpg.mvKey_Escape))


def _how() -> How:
    if any(dpg.is_key_down(key) for key in (dpg.mvKey_LControl, dpg.mvKey_RControl)):
        return "toggle"
    if any(dpg.is_key_down(key) for key in (dpg.mvKey_LShift, dpg.mvKey_RShift)):
        return "range"
    return "one"
