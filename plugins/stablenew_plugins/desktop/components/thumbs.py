"""Thumbnails: a grid of thousands, and a strip. Only what is to be seen is drawn and decoded.

Each is one drawing with as many tiles as fit; scrolling gives the tiles other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import scroll_into_sight
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, WHITE, Colour, tint

TILES_A_FRAME = 12
"""That are made in one frame, at most: all at once would hold it up."""
SHADE: Colour = (8, 10, 16, 190)
"""Behind what is written on an image."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What is to be seen of one image."""

    path: Path
    stars: int = 0
    tags: int = 0
    """How many."""
    marked: bool = False
    """Chosen with others."""
    ringed: bool = False
    """The one that keys work on."""


class _Drawn:
    """The items of one tile."""

    def __init__(self, ui: Ui, parent: Item, size: int) -> None:
        self._ui, self._size = ui, size
        c = ui.colours
        options: dict[str, Any] = {"parent": parent, "show": False}
        self._back = dpg.draw_rectangle(
            (0, 0), (1, 1), color=c.line_soft, fill=c.inset, rounding=ui.px(8), **options
        )
        self._icon = dpg.draw_text((0, 0), icons.IMAGE, color=c.faint, size=ui.px(20), **options)
        self._image = dpg.draw_image(ui.textures.empty, (0, 0), (1, 1), **options)
        self._pill = dpg.draw_rectangle((0, 0), (1, 1), color=NONE, fill=SHADE, rounding=ui.px(9), **options)
        self._told = dpg.draw_text((0, 0), "", color=(246, 185, 85, 255), size=ui.px(13), **options)
        self._ring = dpg.draw_rectangle(
            (0, 0), (1, 1), color=c.accent, rounding=ui.px(10), thickness=ui.px(2.5), **options
        )
        self._disc = dpg.draw_circle((0, 0), ui.px(11), color=WHITE, fill=c.accent_low, **options)
        self._check = dpg.draw_text((0, 0), icons.CHECK, color=WHITE, size=ui.px(14), **options)
        dpg.bind_item_font(self._icon, ui.fonts["icon_large"])
        for item in (self._told, self._check):
            dpg.bind_item_font(item, ui.fonts["medium"])
        self._seen: tuple[object, ...] = ()

    def hide(self) -> None:
        """Show nothing."""
        self._put((), {})

    def show(self, x: int, y: int, tile: Tile | None) -> None:
        """Show ``tile`` at that place; None: an image that is not known yet."""
        ui, size = self._ui, self._size
        picture = None if tile is None else ui.textures.thumbnail(tile.path, size, ui.px(8))
        failed = tile is not None and picture is None and bool(ui.textures.failure(tile.path))
        seen = (x, y, tile, None if picture is None else picture.texture, failed)
        if seen == self._seen:
            return
        end = (x + size, y + size)
        glyph = ui.px(20)
        middle = (x + (size - glyph * 1.16) / 2, y + (size - glyph * 1.2) / 2)
        shown: dict[Item, dict[str, Any]] = {
            self._back: {"pmin": (x, y), "pmax": end},
            self._icon: {
                "pos": middle,
                "text": icons.IMAGE_OFF if failed else icons.IMAGE,
                "color": ui.colours.faint if failed else tint(ui.colours.faint, 90),
            },
        }
        if picture is not None:
            shown = {self._image: {"texture_tag": picture.texture, "pmin": (x, y), "pmax": end}}
        if tile is not None:
            self._add_marks(shown, x, y, tile)
        self._put(seen, shown)

    def _add_marks(self, shown: dict[Item, dict[str, Any]], x: int, y: int, tile: Tile) -> None:
        ui, size = self._ui, self._size
        told = "★" * tile.stars + (f" {icons.TAG}" if tile.tags else "")
        if told and size >= ui.px(100):
            wide = ui.px(12.5 * tile.stars + (17 if tile.tags else 0) + 12)
            top = y + size - ui.px(26)
            shown[self._pill] = {"pmin": (x + ui.px(6), top), "pmax": (x + ui.px(6) + wide, top + ui.px(19))}
            shown[self._told] = {"pos": (x + ui.px(12), top + ui.px(1.5)), "text": told}
        if tile.ringed:
            out = ui.px(3)
            shown[self._ring] = {"pmin": (x - out, y - out), "pmax": (x + size + out, y + size + out)}
        if tile.marked:
            centre = (x + ui.px(18), y + ui.px(18))
            shown[self._disc] = {"center": centre}
            shown[self._check] = {"pos": (centre[0] - ui.px(8), centre[1] - ui.px(8.5))}

    def _put(self, seen: tuple[object, ...], shown: dict[Item, dict[str, Any]]) -> None:
        if not shown and not self._seen:
            return
        self._seen = seen
        for item in (
            self._back,
            self._icon,
            self._image,
            self._pill,
            self._told,
            self._ring,
            self._disc,
            self._check,
        ):
            dpg.configure_item(item, show=item in shown, **shown.get(item, {}))


class _Tiles:
    """What grid and strip have in common: a drawing with a pool of tiles, and who was clicked."""

    def __init__(self, ui: Ui, click: Callable[[int], None], open_: Callable[[int], None]) -> None:
        self.ui = ui
        self._click, self._open = click, open_
        self.drawing: Item = 0
        self._pool: list[_Drawn] = []
        with dpg.item_handler_registry() as self._handlers:
            dpg.add_item_clicked_handler(dpg.mvMouseButton_Left, callback=lambda *_: self._clicked(self._click))
            dpg.add_item_double_clicked_handler(
                dpg.mvMouseButton_Left, callback=lambda *_: self._clicked(self._open)
            )

    def _make_drawing(self, width: int, height: int, tag: str) -> None:
        self.drawing = dpg.add_drawlist(width, height, tag=tag)
        dpg.bind_item_handler_registry(self.drawing, self._handlers)

    def _clicked(self, call: Callable[[int], None]) -> None:
        mouse, corner = dpg.get_mouse_pos(local=False), dpg.get_item_rect_min(self.drawing)
        index = self.index_at(mouse[0] - corner[0], mouse[1] - corner[1])
        if index is not None:
            call(index)

    def index_at(self, x: float, y: float) -> int | None:
        """Which image is at that place of the drawing; None: none."""
        raise NotImplementedError

    def _grow(self, tiles: int, size: int) -> None:
        """Make some of those that are missing of so many."""
        for _number in range(min(tiles - len(self._pool), TILES_A_FRAME)):
            self._pool.append(_Drawn(self.ui, self.drawing, size))

    def _empty_pool(self) -> None:
        dpg.delete_item(self.drawing, children_only=True)
        self._pool.clear()

    def close(self) -> None:
        """Take away what is not in the container."""
        dpg.delete_item(self._handlers)


class ThumbGrid(_Tiles):
    """Rows of square thumbnails in an area that scrolls."""

    GAP, ROOM = 10, 5
    """Between tiles; around all of them, for the ring."""

    def __init__(
        self,
        ui: Ui,
        tag: str,
        tile: Callable[[int], Tile | None],
        click: Callable[[int], None],
        open_: Callable[[int], None],
        size: float = 168,
    ) -> None:
        """``tile``: what the image of that place looks like. ``size`` before scaling, about: whole columns fill
        the width. Its area is ``tag``, its drawing ``TAG.drawing``."""
        super().__init__(ui, click, open_)
        self._tile, self._wanted = tile, size
        self._tag = tag
        self.columns = 1
        self._side = 0
        self._count = -1
        self.first = self.last = 0
        """Images that are to be seen: from, and up to but without."""

    def build(self) -> None:
        """Make it in the current container."""
        with dpg.child_window(tag=self._tag, border=False, no_scroll_with_mouse=False) as self._area:
            dpg.bind_item_theme(self._area, self.ui.themes.panel(NONE))
            self._make_drawing(10, 10, f"{self._tag}.drawing")

    def place(self, width: int, height: int, count: int) -> None:
        """Give it that room, for so many images."""
        ui = self.ui
        gap, room = ui.px(self.GAP), ui.px(self.ROOM)
        inner = max(width - 2 * room - ui.px(12), ui.px(60))
        columns = max(1, (inner + gap) // (ui.px(self._wanted) + gap))
        side = (inner + gap) // columns - gap
        dpg.configure_item(self._area, width=width, height=height)
        if (columns, side, count) == (self.columns, self._side, self._count):
            return
        if side != self._side:
            self._empty_pool()
        self.columns, self._side, self._count = columns, side, count
        rows = -(-count // columns)
        total = rows * (side + gap) - gap + 2 * room if rows else 1
        dpg.configure_item(self.drawing, width=inner + 2 * room, height=max(total, 1))

    def frame(self) -> None:
        """Show what is to be seen. Call it in each frame."""
        ui = self.ui
        pitch = self._side + ui.px(self.GAP)
        if not self._side:
            return
        top = dpg.get_y_scroll(self._area)
        height = dpg.get_item_height(self._area) or 0
        first = max(0, int((top - ui.px(self.ROOM)) // pitch))
        rows = height // pitch + 2
        self.first = min(first * self.columns, self._count)
        self.last = min((first + rows) * self.columns, self._count)
        pool = rows * self.columns
        self._grow(pool, self._side)
        used = set()
        for index in range(self.first, self.last):
            slot = index % max(pool, len(self._pool))
            if slot >= len(self._pool):
                continue  # it comes in one of the next frames
            used.add(slot)
            row, column = divmod(index, self.columns)
            room = ui.px(self.ROOM)
            self._pool[slot].show(room + column * pitch, room + row * pitch, self._tile(index))
        for slot, drawn in enumerate(self._pool):
            if slot not in used:
                drawn.hide()

    @property
    def rows(self) -> int:
        """That are to be seen whole, at least one."""
        height = dpg.get_item_height(self._area) or 0
        return max(1, height // max(self._side + self.ui.px(self.GAP), 1))

    @property
    def at_top(self) -> bool:
        """Whether the first row is to be seen."""
        return bool(dpg.get_y_scroll(self._area) < self.ui.px(40))

    def scroll_to(self, index: int) -> None:
        """Bring the image of that place into sight."""
        pitch = self._side + self.ui.px(self.GAP)
        height = dpg.get_item_height(self._area) or 0
        top = (index // self.columns) * pitch
        scroll_into_sight(self._area, top, pitch + self.ui.px(self.ROOM), height)

    def index_at(self, x: float, y: float) -> int | None:
        """See above."""
        pitch = self._side + self.ui.px(self.GAP)
        room = self.ui.px(self.ROOM)
        column, row = int((x - room) // pitch), int((y - room) // pitch)
        inside = (x - room) % pitch < self._side and (y - room) % pitch < self._side
        index = row * self.columns + column
        return index if inside and 0 <= column < self.columns and 0 <= index < self._count else None


class ThumbStrip(_Tiles):
    """One row of small thumbnails; the wheel moves it, and it follows the one that is chosen."""

    SIZE, GAP, ROOM = 64, 8, 4

    def __init__(
        self, ui: Ui, tag: str, tile: Callable[[int], Tile | None], click: Callable[[int], None]
    ) -> None:
        """Its drawing is ``tag``; otherwise as :class:`ThumbGrid`."""
        super().__init__(ui, click, click)
        self._tile, self._tag = tile, tag
        self._width = 10
        self._count = 0
        self.first = 0
        with dpg.handler_registry() as self._wheel:
            dpg.add_mouse_wheel_handler(callback=lambda _s, notches, _u: self._turned(notches))

    @property
    def height(self) -> int:
        """Pixels that it takes."""
        return self.ui.px(self.SIZE + 2 * self.ROOM)

    def build(self) -> None:
        """Make it in the current container."""
        self._make_drawing(10, self.height, self._tag)

    @property
    def shown(self) -> int:
        """How many fit."""
        pitch = self.ui.px(self.SIZE) + self.ui.px(self.GAP)
        return max(1, (self._width - 2 * self.ui.px(self.ROOM) + self.ui.px(self.GAP)) // pitch)

    def place(self, width: int, count: int, chosen: int) -> None:
        """Give it that room, for so many images, with ``chosen`` in sight."""
        self._width, self._count = width, count
        dpg.configure_item(self.drawing, width=width)
        if chosen >= 0:
            self.first = min(max(self.first, chosen - self.shown + 1), chosen)
        self.first = max(0, min(self.first, count - self.shown))

    def frame(self) -> None:
        """Show what is to be seen. Call it in each frame."""
        ui = self.ui
        size, room = ui.px(self.SIZE), ui.px(self.ROOM)
        shown = min(self.shown, self._count)
        spare = self._width - 2 * room - self.shown * size
        gap = spare / (self.shown - 1) if self.shown > 1 else 0
        self._pitch = size + gap
        self._grow(self.shown, size)
        for place, drawn in enumerate(self._pool):
            if place < shown:
                drawn.show(round(room + place * self._pitch), room, self._tile(self.first + place))
            else:
                drawn.hide()

    def _turned(self, notches: float) -> None:
        if dpg.is_item_hovered(self.drawing):
            step = 1 if notches < 0 else -1
            self.first = max(0, min(self.first + step, self._count - self.shown))

    def index_at(self, x: float, y: float) -> int | None:
        """See above."""
        place = int((x - self.ui.px(self.ROOM)) // self._pitch)
        index = self.first + place
        return index if 0 <= place < self.shown and 0 <= index < self._count else None

    def close(self) -> None:
        """See above."""
        super().close()
        dpg.delete_item(self._wheel)
