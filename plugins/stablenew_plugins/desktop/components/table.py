"""A table over any number of rows, drawn with as many as the screen holds.

A few dozen rows exist; those above and below are two empty ones, as high as all that they stand for, so that
the scroll bar is true. A cell is written only when it changes: what a frame costs does not depend on how long
the list is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import area
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.theme.tokens import NONE, Colour, tint

How = Literal["one", "toggle", "range"]
"""How a click selects: it alone, it as well (Ctrl), all up to it (Shift)."""

POOL = 32
"""Rows at first; more are made where a window is higher."""
FONT_SIZE, PAD = 13, 8
"""Of its letters, and what is above and below them and all else in a cell."""
HEAD = FONT_SIZE + 2 * PAD
"""Height of the line of titles, before scaling."""
BAR = (72, 5)
"""Width and height of the bar in a cell, before scaling."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    width: float = 0
    """Before scaling; 0: what is left."""
    kind: Literal["text", "bar", "picture"] = "text"
    """What its cells have: a text; a bar and a text; a thumbnail."""
    font: str = "small"
    needs: float = 0
    """Shown only where the table is so wide, before scaling."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one cell."""

    text: str = ""
    colour: Colour | None = None
    """None: that of texts."""
    fraction: float | None = None
    """In a column with bars: how far it is filled, 0 to 1; None: there is no bar."""
    picture: Path | None = None
    """In a column with pictures."""


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in one row."""

    cells: Sequence[Cell]
    selected: bool = False
    tip: str = ""
    """Shown while the pointer rests on it."""


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


def shortened(text: str, width: float, measure: Callable[[str], float | None]) -> str:
    """``text``, cut with an ellipsis where it is wider than ``width``. ``measure``: how wide a text is; None:
    nobody knows yet, then it stays as it is."""
    whole = measure(text)
    if whole is None or whole <= width:
        return text
    least, most = 0, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        size = measure(text[:middle].rstrip() + "…")
        if size is not None and size <= width:
            least = middle
        else:
            most = middle - 1
    return text[:least].rstrip() + "…"


@dataclass(slots=True)
class _Line:
    """One of the rows that exist, and what it shows now."""

    item: Item
    selectable: Item
    tip: Item
    tip_box: Item
    cells: list[_CellItems]
    shown: Row | None = None
    visible: bool = True
    lit: bool = False
    """Whether it looks selected, also with the pointer on it."""


@dataclass(slots=True)
class _CellItems:
    text: Item | None = None
    bar: Item | None = None
    fill: Item | None = None
    image: Item | None = None
    texture: Any = None
    now: Cell | None = None
    width: float = -1


@dataclass(slots=True)
class _Calls:
    row: Callable[[int], Row | None]
    select: Callable[[int, How], None]
    open: Callable[[int], None]
    menu: Callable[[int], None]


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
        row_height: float = 32,
        tag: str = "table",
    ) -> None:
        """``row``: what stands in a row, None: it is not there yet. ``select``, ``open`` and ``menu`` are
        called with the row that was clicked, double-clicked, right-clicked. ``row_height`` before scaling."""
        self._ui, self._columns = ui, columns
        self._calls = _Calls(row, select, open, menu)
        self._state = _State()
        self.row_height = ui.px(row_height)
        self._lines: list[_Line] = []
        self._by_item: dict[Item, int] = {}  # handlers are told of an item by its tag
        self._tag = tag
        self._measured: dict[tuple[str, str], float | None] = {}
        self._looks()
        with dpg.item_handler_registry() as self._handlers:
            dpg.add_item_double_clicked_handler(dpg.mvMouseButton_Left, callback=self._double_clicked)
            dpg.add_item_clicked_handler(dpg.mvMouseButton_Right, callback=self._right_clicked)
        self._rules: list[Item] = []
        self._ruled: tuple[float, ...] = ()
        with area(ui, no_scrollbar=True, tag=f"{tag}.area") as self.box:
            # The columns of a table can be resized only with lines between them, in the colour of those between
            # its rows. So it has none, and below it lines are drawn between the rows.
            with area(ui, pos=(0, ui.px(HEAD)), no_scrollbar=True, no_scroll_with_mouse=True) as self._below_it:
                self._paper = dpg.add_drawlist(1, 1)
            with area(ui, pos=(0, 0), no_scrollbar=True) as self._around:
                self.item = dpg.add_table(
                    tag=tag,
                    header_row=True,
                    scrollY=True,
                    freeze_rows=1,
                    resizable=True,
                    policy=dpg.mvTable_SizingFixedFit,
                    pad_outerX=False,
                )
        dpg.push_container_stack(self.item)
        try:
            dpg.bind_item_theme(self.item, self._table_theme)
            dpg.bind_item_font(self.item, ui.fonts["small"])
            dpg.add_table_column(label="", width_fixed=True, init_width_or_weight=ui.px(6), no_resize=True)
            self._column_items = [self._column(column) for column in columns]
            with dpg.table_row(height=1) as self._above:
                pass
            with dpg.table_row(height=1) as self._below:
                pass
        finally:
            dpg.pop_container_stack()
        self._grow(POOL)

    # --- making ---------------------------------------------------------------------------------------------

    def _looks(self) -> None:
        ui, c = self._ui, self._ui.colours
        themes = ui.themes
        # No more than fits: a text that is higher than its row makes all rows higher than the scroll bar knows.
        self._inner = self.row_height - 2 * ui.px(PAD)
        middle = max(0, (self._inner - ui.px(FONT_SIZE)) // 2) / ui.scale
        self._text_theme = themes.theme({}, {"FramePadding": (0, middle)}, dpg.mvText)
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

    def _column(self, column: Column) -> Item:
        if column.width:
            return dpg.add_table_column(
                label=column.title, width_fixed=True, init_width_or_weight=self._ui.px(column.width)
            )
        return dpg.add_table_column(label=column.title, width_stretch=True, init_width_or_weight=1)

    def _grow(self, size: int) -> None:
        """Have at least ``size`` rows."""
        while len(self._lines) < size:
            number = len(self._lines)
            with dpg.table_row(height=self.row_height, parent=self.item, before=self._below) as item:
                selectable = dpg.add_selectable(
                    span_columns=True,
                    height=self._inner,
                    callback=partial(self._clicked, number),
                    tag=f"{self._tag}.{number}",
                )
                cells = [self._cell(column) for column in self._columns]
            dpg.bind_item_handler_registry(selectable, self._handlers)
            with dpg.tooltip(selectable, delay=0.7) as box:
                dpg.bind_item_theme(box, self._ui.themes.theme({}, {"WindowPadding": (10, 8)}))
                tip = dpg.add_text("", wrap=self._ui.px(420), color=self._ui.colours.text)
                dpg.bind_item_font(tip, self._ui.fonts["small"])
            self._by_item[f"{self._tag}.{number}"] = number
            self._lines.append(_Line(item, selectable, tip, box, cells))
            self._state.dirty = True

    def _cell(self, column: Column) -> _CellItems:
        ui = self._ui
        made = _CellItems()
        if column.kind == "picture":
            made.image = dpg.add_image(ui.textures.empty, width=self._inner, height=self._inner)
            return made
        with dpg.group(horizontal=True, horizontal_spacing=ui.px(8)):
            if column.kind == "bar":
                width, height = ui.px(BAR[0]), ui.px(BAR[1])
                top = self._inner / 2 - height / 2
                with dpg.drawlist(width, self._inner, show=False) as made.bar:
                    dpg.draw_rectangle(
                        (0, top),
                        (width, top + height),
                        rounding=height / 2,
                        fill=ui.colours.track_off,
                        color=NONE,
                    )
                    made.fill = dpg.draw_rectangle(
                        (0, top),
                        (1, top + height),
                        rounding=height / 2,
                        fill=ui.colours.accent,
                        color=NONE,
                        show=False,
                    )
            made.text = dpg.add_text("")
            dpg.bind_item_font(made.text, ui.fonts[column.font])
            dpg.bind_item_theme(made.text, self._text_theme)
        return made

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
        self._grow(math.ceil(height / self.row_height) + 3)
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

    def to_top(self) -> None:
        """Scroll to the first row."""
        self._state.scroll_to = 0.0

    def _scroll(self) -> float:
        return float(dpg.get_y_scroll(self.item))

    # --- a frame --------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """Follow the scroll bar and write what changed."""
        state = self._state
        if state.scroll_to is not None:
            dpg.set_y_scroll(self.item, state.scroll_to)
            scroll, state.scroll_to = state.scroll_to, None
        else:
            scroll = self._scroll()
        now = span(scroll, self.row_height, state.count, len(self._lines))
        widths = self._measure_columns()
        if state.dirty or now.first != state.first or widths != state.widths:
            state.dirty, state.first, state.widths = False, now.first, widths
            self._height(self._above, now.above)
            self._height(self._below, now.below)
            for number, line in enumerate(self._lines):
                self._write(line, now.first + number)
        self._rule(scroll)
        for line in self._lines:
            if line.visible and line.shown is not None:
                self._pictures(line, line.shown)

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
        lefts = []
        for cell in line.cells:
            item = cell.text or cell.image
            state = dpg.get_item_state(item) if item is not None else {}
            lefts.append(float(state.get("rect_min", (0, 0))[0]))
        if not any(lefts):
            return []  # nothing is drawn yet
        bars = [
            self._ui.px(BAR[0] + 8) if cell.now is not None and cell.now.fraction is not None else 0
            for cell in line.cells
        ]
        starts = [left - bar for left, bar in zip(lefts, bars, strict=True)]
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
            if items.now != cell or items.width != width:
                self._write_cell(items, cell, width, self._columns[number])
        line.shown = row

    def _write_cell(self, items: _CellItems, cell: Cell, width: float, column: Column) -> None:
        before, items.now, items.width = items.now, cell, width
        if items.text is None:
            return
        if items.bar is not None and items.fill is not None:
            self._write_bar(items.bar, items.fill, cell)
            width = width - self._ui.px(BAR[0] + 8) if cell.fraction is not None else width
        words = cell.text
        if width > 0:
            words = shortened(words, width, partial(self._text_width, column.font))
        if dpg.get_value(items.text) != words:
            dpg.set_value(items.text, words)
        if before is None or before.colour != cell.colour:
            dpg.configure_item(items.text, color=cell.colour or self._ui.colours.text)

    def _write_bar(self, bar: Item, fill: Item, cell: Cell) -> None:
        dpg.configure_item(bar, show=cell.fraction is not None)
        if cell.fraction is not None:
            width, height = self._ui.px(BAR[0]), self._ui.px(BAR[1])
            bottom = self._inner / 2 + height / 2
            part = width * min(max(cell.fraction, 0.0), 1.0)
            dpg.configure_item(fill, pmax=(part, bottom), show=part > 0)

    def _text_width(self, font: str, text: str) -> float | None:
        key = (font, text)
        if key not in self._measured:
            if len(self._measured) > 20_000:
                self._measured.clear()
            size = dpg.get_text_size(text, font=self._ui.fonts[font])
            if size is None:
                return None
            self._measured[key] = size[0]
        return self._measured[key]

    def _pictures(self, line: _Line, row: Row) -> None:
        """Show the thumbnails that have come. Each frame: one that nobody asks for is forgotten."""
        for items, cell in zip(line.cells, row.cells, strict=False):
            if items.image is None:
                continue
            picture = (
                self._ui.textures.thumbnail(cell.picture, self._inner, self._ui.px(4))
                if cell.picture is not None
                else None
            )
            texture = picture.texture if picture is not None else self._ui.textures.empty
            if texture != items.texture:
                items.texture = texture
                dpg.configure_item(items.image, texture_tag=texture)

    # --- clicks ---------------------------------------------------------------------------------------------

    def _clicked(self, number: int, _sender: Any, _value: Any, _user: Any) -> None:
        line = self._lines[number]
        index = self._state.first + number
        if line.shown is not None:
            dpg.set_value(line.selectable, line.shown.selected)  # whether it is, the model says
        self._state.dirty = True
        self._calls.select(index, _how())

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
        dpg.delete_item(self._handlers)


def _how() -> How:
    if any(dpg.is_key_down(key) for key in (dpg.mvKey_LControl, dpg.mvKey_RControl)):
        return "toggle"
    if any(dpg.is_key_down(key) for key in (dpg.mvKey_LShift, dpg.mvKey_RShift)):
        return "range"
    return "one"
