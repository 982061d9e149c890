"""Two to four images side by side, and what differs between them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Stars,
    area,
    button,
    column,
    icon_button,
    row,
    set_text,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.overlay import MARGIN, Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.components.zoom import ZoomView
from stablenew_plugins.desktop.models.images.panes import Panes, panes_for
from stablenew_plugins.desktop.models.images.zoom import STEP
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.images.comparetable import CompareTable
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

PADDING, GAP = 22, 14
HEAD, HEADING, FOOT = 78, 48, 6
"""Heights of title and keys, of the line above the table, and below it; before scaling, as the following."""
BELOW, STARS = 44, 32
"""Caption and stars of an image; and the stars, where they stand below the caption."""
CAPTION = 110
"""Width of a caption that stands beside the stars, at least."""
FIRST_TABLE = 150
"""While it is not known what differs."""
TABLE_SHARE, LARGE_TABLE_SHARE = 0.3, 0.5
"""Of the height, for what differs where the images need the rest; and with what is the same."""


class ComparePanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.compare)
        self._compare, self._bench = bench.compare, bench
        self._table = CompareTable(ui, "compare.table")
        self._views: list[ZoomView] = []
        self._stars: list[Stars] = []
        self._captions: list[tuple[Item, Item]] = []
        self._caption_room = 0
        self._panes = Panes(1, 1, 1, 1)
        self._shown: tuple[str, ...] = ()
        self._told: object = None
        self.build()

    def build(self) -> None:
        """Make the window over the window."""
        ui, compare = self.ui, self._compare
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        margin = 2 * ui.px(MARGIN)
        self._height = room[1] - margin
        self._overlay = Overlay(
            ui,
            _("Compare"),
            self._bench.view.close,
            width=(room[0] - margin) / ui.scale,
            height=self._height / ui.scale,
            tag="compare",
            sub=" ",
        )
        self._inner = self._overlay.width - 2 * ui.px(PADDING)
        keys = _(
            "1–5 rate the framed one  ·  Left, Right frame another  ·  K keeps it  ·  X takes it out"
            "  ·  Z or a double click: 1:1  ·  the wheel zooms all, dragging moves them"
        )
        fit_all, pixels = _("Fit"), "1:1"
        wide = [text_width(ui, words, "medium") + 2 * ui.px(10) for words in (fit_all, pixels)]
        tools = 2 * ui.px(34) + sum(wide) + 3 * ui.px(4)
        set_text("compare.sub", shortened(ui, keys, self._inner - tools - ui.px(60), "small"))
        with self._overlay, column(ui, 0):
            dpg.configure_item(self._overlay.item, no_scrollbar=True, no_scroll_with_mouse=True)
            dpg.add_group(tag="compare.images")
            with row(ui, 12):
                text(ui, _("What differs"), "h2", beside_frame=True)
                self._count = text(ui, "", "small", ui.colours.muted, beside_frame=True, tag="compare.count")
                button(
                    ui, "", compare.toggle_equal, "ghost", font="small_medium", height=34, tag="compare.equal"
                )
            with area(ui, height=10, tag="compare.area"):
                self._table.build()
        with self._overlay, row(ui, 4, pos=(self._overlay.width - tools - ui.px(54 + 8), ui.px(16))):
            icon_button(
                ui, icons.ZOOM_OUT, lambda: compare.zoom_by(1 / STEP), _("Further away (-)"), tag="compare.out"
            )
            icon_button(ui, icons.ZOOM_IN, lambda: compare.zoom_by(STEP), _("Closer (+)"), tag="compare.in")
            button(ui, fit_all, compare.fit, "ghost", tip=_("All of each (F)"), tag="compare.fit")
            button(
                ui, pixels, compare.toggle_pixels, "ghost", tip=_("Pixel by pixel (Z)"), tag="compare.pixels"
            )

    # --- bringing up to date --------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring it up to date."""
        ui, compare = self.ui, self._compare
        shown = tuple(image.image_sha256 for image in compare.images)
        told = (shown, compare.settings, compare.problem, compare.shows_equal)
        if told != self._told:
            self._told = told
            self._show_count()
            self._lay_out(shown)
            self._show_captions()
        for place, image in enumerate(compare.images):
            stars = compare.ratings.of(image).stars
            if stars != self._stars[place].stars:
                self._stars[place].show(stars)
            lit = place == compare.focus
            self._views[place].put_frame(lit)
            first, _second = self._captions[place]
            dpg.configure_item(first, color=ui.colours.accent_high if lit else ui.colours.text)

    def _show_count(self) -> None:
        compare = self._compare
        rows, equal = compare.rows, len(compare.equal)
        if compare.problem:
            told = shortened(self.ui, compare.problem, self._inner // 2, "small")
        elif rows is None:
            told = _("Reading their settings …")
        elif not rows:
            told = _("Nothing: the same settings, the same seed")
        else:
            told = many("{n} setting", "{n} settings", len(rows))
        same = many("{n} is the same", "{n} are the same", equal)
        c = self.ui.colours
        set_text(self._count, told, c.red if compare.problem else c.muted)
        words = _("Hide what is the same") if compare.shows_equal else f"{same}: {_('show')}"
        dpg.configure_item("compare.equal", label=words, show=equal > 0)

    def _lay_out(self, shown: tuple[str, ...]) -> None:
        """Give the images what the table does not need."""
        ui, compare = self.ui, self._compare
        count = len(compare.images)
        gap = ui.px(GAP)
        wide = (self._inner - (count - 1) * gap) // max(count, 1)
        rows = list(compare.rows or ())
        rows += compare.equal if compare.shows_equal else []
        sizes = [(float(image.width or 1), float(image.height or 1)) for image in compare.images]
        room = self._height - ui.px(HEAD + HEADING + FOOT)
        share = LARGE_TABLE_SHARE if compare.shows_equal else TABLE_SHARE
        heads = [f"{number}.  {parts[0]}" for number, parts in enumerate(compare.captions, 1)]
        needed = self._table.show(rows, wide, gap, all_words=compare.shows_equal)
        if compare.settings is None:
            needed = ui.px(FIRST_TABLE)
        most = round(share * self._height)
        panes = panes_for(
            sizes, (self._inner, room), gap, self._below(wide), needed, most, self._table.heads_height
        )
        if panes.rows > 1 and compare.settings is not None:
            needed = self._table.show(rows, wide, gap, all_words=compare.shows_equal, heads=heads)
        used = panes.rows * (panes.height + self._below(panes.width)) + (panes.rows - 1) * gap
        table = max(ui.px(20), min(needed, room - used))
        dpg.configure_item("compare.area", height=table)
        dpg.configure_item(self._overlay.item, height=ui.px(HEAD + HEADING + FOOT) + used + table)
        if (shown, panes) != (self._shown, self._panes):
            self._shown, self._panes = shown, panes
            self._build_images()

    def _stars_width(self) -> int:
        """Pixels of the stars, with what takes an image out."""
        ui = self.ui
        drops = len(self._compare.images) > 2
        return 5 * ui.px(32) + 4 * ui.px(2) + (ui.px(34 + 4) if drops else 0)

    def _caption_beside(self, width: int) -> int:
        """Pixels for a caption beside the stars of an image of ``width``."""
        return width - self._stars_width() - self.ui.px(12)

    def _below(self, width: int) -> int:
        """Pixels below an image of ``width`` for its caption and its stars."""
        return self.ui.px(BELOW if self._caption_beside(width) >= self.ui.px(CAPTION) else BELOW + STARS)

    def _build_images(self) -> None:
        """A view, a caption and stars for each."""
        ui, compare, panes = self.ui, self._compare, self._panes
        for view in self._views:
            view.close()
        dpg.delete_item("compare.images", children_only=True)
        self._views, self._stars, self._captions = [], [], []
        compare.room = (float(panes.width), float(panes.height))
        dpg.push_container_stack("compare.images")
        try:
            with column(ui, GAP):
                for first in range(0, len(compare.images), panes.columns):
                    with row(ui, GAP):
                        for place in range(first, min(first + panes.columns, len(compare.images))):
                            with column(ui, 0):
                                self._build_image(place)
        finally:
            dpg.pop_container_stack()

    def _build_image(self, place: int) -> None:
        ui, compare, panes = self.ui, self._compare, self._panes
        image = compare.images[place]
        view = ZoomView(ui, f"compare.image.{place}", compare.point, compare.touch, quiet=True)
        view.build()
        view.place(panes.width, panes.height)
        view.show(Path(image.path), image.width, image.height)
        self._views.append(view)
        drops = len(compare.images) > 2 and panes.width >= self._stars_width()
        self._caption_room = self._caption_beside(panes.width)
        beside = self._caption_room >= ui.px(CAPTION)
        if not beside:
            self._caption_room = panes.width
        with dpg.group():
            space(ui, 6)
            with dpg.group(horizontal=beside, horizontal_spacing=ui.px(4)):
                with dpg.child_window(
                    border=False, width=self._caption_room, height=ui.px(BELOW - 8), no_scrollbar=True
                ) as around:
                    dpg.bind_item_theme(around, ui.themes.panel((0, 0, 0, 0)))
                    with column(ui, 3):
                        items = text(ui, "", "small_medium"), text(ui, "", "small", ui.colours.muted)
                tooltip(ui, items[0], image.path)
                self._captions.append(items)
                with row(ui, 4):
                    self._stars.append(Stars(ui, partial(self._rate, place), f"compare.star.{place}"))
                    if drops:
                        icon_button(
                            ui,
                            icons.X,
                            partial(compare.drop, place),
                            _("Take it out (X)"),
                            tag=f"compare.drop.{place}",
                        )

    def _show_captions(self) -> None:
        """Where each is from, and below as much of what sets it apart as there is room for."""
        ui, room = self.ui, self._caption_room
        numbered = self._panes.rows > 1  # then they do not stand above their columns
        for number, parts in enumerate(self._compare.captions, 1):
            first, second = self._captions[number - 1]
            name = f"{number}.  {parts[0]}" if numbered else parts[0]
            set_text(first, shortened(ui, name, room, "small_medium"))
            told = ""
            for part in parts[1:]:
                longer = f"{told}  ·  {part}" if told else part
                if told and text_width(ui, longer, "small") > room:
                    break
                told = longer
            set_text(second, shortened(ui, told, room, "small"))

    def _rate(self, place: int, stars: int) -> None:
        self._compare.rate(stars, place)

    def frame(self) -> None:
        """Follow mouse and keys."""
        for place, view in enumerate(self._views):
            view.frame()
            if view.is_hovered and dpg.is_mouse_button_clicked(dpg.mvMouseButton_Left):
                self._compare.look_at(place)

    def close(self) -> None:
        """Take it away."""
        for view in self._views:
            view.close()
        self._overlay.close()
