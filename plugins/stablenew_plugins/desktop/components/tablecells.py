"""What stands in the cells of a :class:`~.table.VirtualTable`, and how it is drawn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.fit import cut, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.theme.tokens import NONE, Colour

FONT_SIZE = 13
"""Of its letters."""
BAR = 3
"""Height of a bar, before scaling."""
BELOW = 2
"""Between a text and what stands below it in its cell."""
DOT = 8
"""Across a dot."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    width: float = 0
    """Before scaling; 0: what is left."""
    kind: Literal["text", "lines", "dot", "bar", "picture"] = "text"
    """What its cells have: a text; two of them, one below the other; a dot and a text; a text with a bar below;
    a thumbnail, or a text in its place."""
    font: str = "small"
    needs: float = 0
    """Shown only where the table is so wide, before scaling."""
    orders: tuple[str, str] | None = None
    """What sorting by it upwards and downwards is called; None: it is not sorted by."""
    downwards: bool = False
    """Whether the first click on its title sorts downwards."""


@dataclass(frozen=True, slots=True)
class Live:
    """A picture that changes while it is made."""

    slot: Hashable
    """What it is a picture of."""
    data: bytes = field(repr=False)
    """An image file."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one cell."""

    text: str = ""
    colour: Colour | None = None
    """None: that of texts."""
    fraction: float | None = None
    """In a column with bars: how far it is filled, 0 to 1; None: there is no bar."""
    picture: Path | Live | None = None
    """In a column with pictures."""
    note: str = ""
    """In a column with two lines: the second one."""
    note_colour: Colour | None = None
    dot: Colour | None = None
    """In a column with dots."""


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in one row."""

    cells: Sequence[Cell]
    selected: bool = False
    tip: str = ""
    """Shown while the pointer rests on it."""


@dataclass(slots=True)
class CellItems:
    """The items of one cell, and what they show now."""

    around: Item
    """A group: where it begins, the column begins."""
    text: Item
    note: Item | None = None
    bar: Item | None = None
    track: Item | None = None
    fill: Item | None = None
    dot: Item | None = None
    disc: Item | None = None
    frame: Item | None = None
    image: Item | None = None
    texture: int | str | None = None
    live: Hashable = None
    now: Cell | None = None
    width: float = -1


class Cells:
    """Makes cells and writes into them."""

    def __init__(self, ui: Ui, height: int) -> None:
        """``height``: of what is in a cell, in pixels."""
        self._ui, self.height = ui, height
        self._measured: dict[tuple[str, str], float] = {}
        middle = max(0, (height - ui.px(FONT_SIZE)) // 2) / ui.scale
        above_bar = max(0, (height - ui.px(FONT_SIZE) - ui.px(BAR + BELOW)) // 2) / ui.scale
        self._middle = ui.themes.theme({}, {"FramePadding": (0, middle)}, dpg.mvText)
        self._over_bar = ui.themes.theme({}, {"FramePadding": (0, above_bar)}, dpg.mvText)
        self._line = ui.themes.theme({}, {"FramePadding": (0, 0)}, dpg.mvText)
        self._close = ui.themes.theme({}, {"ItemSpacing": (6, BELOW)})

    def make(self, column: Column) -> CellItems:
        """The empty cell of a column, in the current row."""
        ui, height = self._ui, self.height
        across = column.kind in ("dot", "picture")
        with dpg.group(horizontal=across, horizontal_spacing=ui.px(7)) as around:
            made = CellItems(around, 0)
            if not across:
                dpg.bind_item_theme(around, self._close)
            if column.kind == "lines":
                dpg.add_spacer(height=0)  # without it the text goes where those of the cells before are
            elif column.kind == "picture":
                with dpg.drawlist(height, height, show=False) as made.frame:
                    made.image = dpg.draw_image(ui.textures.empty, (0, 0), (height, height))
            elif column.kind == "dot":
                side, middle = ui.px(DOT), height / 2
                with dpg.drawlist(side, height, show=False) as made.dot:
                    made.disc = dpg.draw_circle((side / 2, middle), side / 2 - 0.5, color=NONE, fill=NONE)
            made.text = dpg.add_text("")
            dpg.bind_item_font(made.text, ui.fonts[column.font])
            dpg.bind_item_theme(made.text, self._line if column.kind == "lines" else self._middle)
            if column.kind == "lines":
                made.note = dpg.add_text("")
                dpg.bind_item_font(made.note, ui.fonts["small"])
                dpg.bind_item_theme(made.note, self._line)
            elif column.kind == "bar":
                self._make_bar(made)
        return made

    def _make_bar(self, made: CellItems) -> None:
        ui, high = self._ui, self._ui.px(BAR)
        with dpg.drawlist(1, high, show=False) as made.bar:
            shape = {"rounding": high / 2, "color": NONE}
            made.track = dpg.draw_rectangle((0, 0), (1, high), fill=ui.colours.track_off, **shape)
            made.fill = dpg.draw_rectangle((0, 0), (1, high), fill=ui.colours.accent, show=False, **shape)

    def write(self, items: CellItems, cell: Cell, width: float, column: Column) -> None:
        """Show ``cell`` there, in a column of ``width`` pixels (0: not known yet)."""
        if items.now == cell and items.width == width:
            return
        before, items.now, items.width = items.now, cell, width
        room = width - self._ui.px(DOT + 7) if items.dot is not None and cell.dot is not None else width
        self._put(items.text, cell.text, column.font, room)
        if before is None or before.colour != cell.colour:
            dpg.configure_item(items.text, color=cell.colour or self._ui.colours.text)
        if items.note is not None:
            self._put(items.note, cell.note, "small", width)
            if before is None or before.note_colour != cell.note_colour:
                dpg.configure_item(items.note, color=cell.note_colour or self._ui.colours.muted)
        if items.dot is not None and items.disc is not None and (before is None or before.dot != cell.dot):
            dpg.configure_item(items.dot, show=cell.dot is not None)
            dpg.configure_item(items.disc, fill=cell.dot or NONE)
        if items.bar is not None:
            self._write_bar(items, before, cell, width)

    def _write_bar(self, items: CellItems, before: Cell | None, cell: Cell, width: float) -> None:
        assert items.bar is not None
        assert items.track is not None
        assert items.fill is not None
        has = cell.fraction is not None
        if before is None or (before.fraction is not None) != has:
            dpg.configure_item(items.bar, show=has)
            dpg.bind_item_theme(items.text, self._over_bar if has else self._middle)
        if cell.fraction is None:
            return
        width, high = max(1.0, width), self._ui.px(BAR)
        part = width * min(max(cell.fraction, 0.0), 1.0)
        dpg.configure_item(items.bar, width=int(width))
        dpg.configure_item(items.track, pmax=(width, high))
        dpg.configure_item(items.fill, pmax=(part, high), show=part > 0)

    def _put(self, item: Item, words: str, font: str, width: float) -> None:
        if width > 0:
            words = cut(words, width, partial(self._text_width, font))
        if dpg.get_value(item) != words:
            dpg.set_value(item, words)

    def _text_width(self, font: str, text: str) -> float:
        key = (font, text)
        if key not in self._measured:
            if len(self._measured) > 20_000:
                self._measured.clear()
            self._measured[key] = width_of(self._ui, text, font)
        return self._measured[key]

    # --- pictures -------------------------------------------------------------------------------------------

    def show_picture(self, items: CellItems, cell: Cell) -> None:
        """Show the thumbnail, once it has come. Each frame: one that nobody asks for is forgotten."""
        if items.frame is None or items.image is None:
            return
        textures, side, round_ = self._ui.textures, self.height, self._ui.px(4)
        live = cell.picture if isinstance(cell.picture, Live) else None
        if live is not None:
            picture = textures.live(live.slot, hash(live.data), live.data, side, side, round_)
        elif isinstance(cell.picture, Path):
            picture = textures.thumbnail(cell.picture, side, round_)
        else:
            picture = None
        items.live = live.slot if live is not None else None
        texture = picture.texture if picture is not None else textures.empty
        if texture != items.texture:
            items.texture = texture
            width, height = (picture.width, picture.height) if picture is not None else (side, side)
            left, top = (side - width) // 2, (side - height) // 2
            dpg.configure_item(
                items.image, texture_tag=texture, pmin=(left, top), pmax=(left + width, top + height)
            )
        if dpg.is_item_shown(items.frame) != (cell.picture is not None):
            dpg.configure_item(items.frame, show=cell.picture is not None)

    def hide_picture(self, items: CellItems) -> None:
        """The row shows nothing now."""
        if items.image is not None and items.texture is not None:
            items.texture, items.live = None, None
            dpg.configure_item(items.image, texture_tag=self._ui.textures.empty)
