"""The place of one image: fitted, with round corners; alive while it is made; words where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.textures import Picture
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import ICON_WIDTH
from stablenew_plugins.desktop.theme.tokens import NONE, WHITE, Colour, tint

SHADE: Colour = (8, 10, 16, 185)
RADIUS = 10
NOTE = 34
"""Height of the line at the bottom, before scaling."""


class ImageStage:
    """See above. What was shown before stays until the next one is ready: nothing flickers."""

    def __init__(self, ui: Ui, tag: str, click: Callable[[], None]) -> None:
        self._ui, self._tag, self._click = ui, tag, click
        self._width = self._height = 1
        self._pixels = (1, 1)
        """Of the picture that is drawn."""
        self._before: Path | None = None
        self._seen: tuple[object, ...] = ()
        self._noted: tuple[object, ...] = ()

    def build(self) -> None:
        """Make it in the current container."""
        ui, c = self._ui, self._ui.colours
        with dpg.drawlist(1, 1, tag=self._tag) as self._drawing:
            self._back = dpg.draw_rectangle(
                (0, 0), (1, 1), color=c.line_soft, fill=c.inset, rounding=ui.px(RADIUS)
            )
            self._image = dpg.draw_image(ui.textures.empty, (0, 0), (1, 1), show=False)
            self._tile = dpg.draw_rectangle(
                (0, 0),
                (1, 1),
                color=tint(c.accent, 60),
                fill=tint(c.accent, 30),
                rounding=ui.px(12),
                show=False,
            )
            self._icon = dpg.draw_text((0, 0), "", color=c.accent, size=ui.px(24), show=False)
            self._title = dpg.draw_text((0, 0), "", color=c.text, size=ui.px(15), show=False)
            self._words = dpg.draw_text((0, 0), "", color=c.muted, size=ui.px(13), show=False)
            self._shade = dpg.draw_rectangle(
                (0, 0), (1, 1), color=NONE, fill=SHADE, rounding=ui.px(8), show=False
            )
            self._note = dpg.draw_text((0, 0), "", color=WHITE, size=ui.px(13), show=False)
            self._left = dpg.draw_text((0, 0), "", color=(190, 198, 216, 255), size=ui.px(13), show=False)
            self._track = dpg.draw_rectangle((0, 0), (1, 1), color=NONE, fill=(255, 255, 255, 50), show=False)
            self._bar = dpg.draw_rectangle((0, 0), (1, 1), color=NONE, fill=c.accent, show=False)
        fonts = ((self._icon, "icon_large"), (self._title, "medium"), (self._words, "small"))
        for item, font in (*fonts, (self._note, "small_medium"), (self._left, "small")):
            dpg.bind_item_font(item, ui.fonts[font])
        ui.on_click(self._drawing, self._click)

    def place(self, width: int, height: int) -> None:
        """Give it that room."""
        if (width, height) != (self._width, self._height):
            self._width, self._height = width, height
            dpg.configure_item(self._drawing, width=width, height=height)
            self._seen = self._noted = ()
            self._fit_image()  # until it is there in the new size

    def show_file(self, path: Path) -> None:
        """Show the image at ``path``. Call it in each frame."""
        textures, ui = self._ui.textures, self._ui
        picture = textures.fitted(path, self._width, self._height, ui.px(RADIUS))
        if picture is not None:
            self._before = path
            textures.end_live(self._tag)
            self._show_picture(picture)
        elif reason := textures.failure(path):
            there = _("The file can't be shown") if "No such file" not in reason else _("The file is gone")
            self.show_words(icons.IMAGE_OFF, there, path.name)
        elif self._before is not None:
            before = textures.fitted(self._before, self._width, self._height, ui.px(RADIUS))
            if before is not None:  # it must not be let go while it is on the screen
                self._show_picture(before)
        elif self._ui.textures.live_picture(self._tag) is None:
            self.show_words(icons.IMAGE, _("Reading the image"), path.name)

    def show_live(self, number: int, jpeg: bytes) -> None:
        """Show a preview. Call it in each frame; ``number``: another one for another preview."""
        ui = self._ui
        picture = ui.textures.live(self._tag, number, jpeg, self._width, self._height, ui.px(RADIUS))
        if picture is not None:
            self._show_picture(picture)

    def _show_picture(self, picture: Picture) -> None:
        seen = (picture.texture, picture.width, picture.height)
        if seen == self._seen:
            return
        self._seen = seen
        self._pixels = (picture.width, picture.height)
        dpg.configure_item(self._image, texture_tag=picture.texture, show=True)
        self._fit_image()
        for item in (self._tile, self._icon, self._title, self._words):
            dpg.configure_item(item, show=False)

    def _fit_image(self) -> None:
        """As large as fits, as the live one is: a small image does not jump when it is made."""
        factor = min(self._width / self._pixels[0], self._height / self._pixels[1])
        width, height = self._pixels[0] * factor, self._pixels[1] * factor
        left, top = (self._width - width) / 2, (self._height - height) / 2
        dpg.configure_item(self._image, pmin=(left, top), pmax=(left + width, top + height))
        # Where it leaves room, its place is to be seen, too: what is said over its bottom is as wide as that.
        framed = dpg.is_item_shown(self._image) and max(left, top) >= 1
        dpg.configure_item(self._back, pmin=(0, 0), pmax=(self._width, self._height), show=framed)

    def show_words(self, icon: str, title: str, words: str) -> None:
        """Show what is to be said in place of an image."""
        seen = (icon, title, words)
        if seen == self._seen:
            return
        self._seen, self._before = seen, None
        ui = self._ui
        dpg.configure_item(self._image, show=False, texture_tag=ui.textures.empty)
        dpg.configure_item(self._back, pmin=(0, 0), pmax=(self._width, self._height), show=True)
        x, y = self._width / 2, self._height / 2 - ui.px(46)
        side = ui.px(44)
        dpg.configure_item(self._tile, pmin=(x - side / 2, y), pmax=(x + side / 2, y + side), show=True)
        dpg.configure_item(
            self._icon, text=icon, pos=(x - ui.px(24 * ICON_WIDTH) / 2, y + ui.px(10)), show=True
        )
        self._centred(self._title, title, y + side + ui.px(14), "medium")
        self._centred(self._words, words, y + side + ui.px(38), "small")

    def _centred(self, item: Item, words: str, y: float, font: str) -> None:
        ui = self._ui
        shown = shortened(ui, words, self._width - ui.px(24), font) if words else ""
        x = (self._width - text_width(ui, shown, font)) / 2
        dpg.configure_item(item, text=shown, pos=(x, y), show=bool(shown))

    def show_note(self, words: str, right: str, fraction: float) -> None:
        """A line over the bottom of the image with a thin bar: how far it is. No ``words``: none."""
        if (words, right, fraction) == self._noted:
            return
        self._noted = (words, right, fraction)
        ui = self._ui
        for item in (self._shade, self._note, self._left, self._track, self._bar):
            dpg.configure_item(item, show=bool(words))
        if not words:
            return
        inset, pad = ui.px(8), ui.px(12)
        top, bottom = self._height - ui.px(NOTE) - inset, self._height - inset
        dpg.configure_item(self._shade, pmin=(inset, top), pmax=(self._width - inset, bottom))
        wide = text_width(ui, right, "small") if right else 0
        room = self._width - 2 * (inset + pad) - wide - ui.px(8)
        dpg.configure_item(
            self._note, text=shortened(ui, words, room, "small_medium"), pos=(inset + pad, top + ui.px(6))
        )
        dpg.configure_item(self._left, text=right, pos=(self._width - inset - pad - wide, top + ui.px(6)))
        x0, x1, y = inset + pad, self._width - inset - pad, bottom - ui.px(8)
        dpg.configure_item(self._track, pmin=(x0, y), pmax=(x1, y + ui.px(3)))
        dpg.configure_item(self._bar, pmin=(x0, y), pmax=(x0 + (x1 - x0) * fraction, y + ui.px(3)))

    def close(self) -> None:
        """Let the live picture go."""
        self._ui.textures.end_live(self._tag)
