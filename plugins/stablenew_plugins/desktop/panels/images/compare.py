"""Two to four images side by side, and what differs between them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Stars,
    button,
    column,
    icon_button,
    row,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import shortened
from stablenew_plugins.desktop.components.overlay import MARGIN, Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.components.zoom import ZoomView
from stablenew_plugins.desktop.models.images.zoom import STEP
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

PADDING, GAP = 22, 12
HEAD = 92
TABLE_SHARE = 0.3
"""Of the height, for what differs."""
NAME_WIDTH = 170


class ComparePanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.compare)
        self._compare, self._bench = bench.compare, bench
        self._views: list[ZoomView] = []
        self._stars: list[Stars] = []
        self._names: list[Item] = []
        self._shown: tuple[str, ...] = ()
        self._rows: object = ()
        self.build()

    def build(self) -> None:
        """Make the window over the window."""
        ui, compare = self.ui, self._compare
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        margin = 2 * ui.px(MARGIN)
        height = room[1] - margin
        self._overlay = Overlay(
            ui,
            _("Compare"),
            self._bench.view.close,
            width=(room[0] - margin) / ui.scale,
            height=height / ui.scale,
            tag="compare",
            sub=_(
                "The wheel zooms all of them, dragging moves them. Keys rate the one with the coloured name."
            ),
        )
        self._inner = self._overlay.width - 2 * ui.px(PADDING)
        table = round(height * TABLE_SHARE)
        self._high = height - ui.px(HEAD) - table - ui.px(34 + 34 + 30)
        with self._overlay, column(ui, 8):
            dpg.configure_item(self._overlay.item, no_scrollbar=True, no_scroll_with_mouse=True)
            dpg.add_group(tag="compare.images")
            with row(ui, 4):
                text(ui, _("What differs"), "h2", beside_frame=True)
                space(ui, 0, 20)
                icon_button(
                    ui,
                    icons.ZOOM_OUT,
                    lambda: compare.zoom_by(1 / STEP),
                    _("Further away (-)"),
                    tag="compare.out",
                )
                icon_button(ui, icons.ZOOM_IN, lambda: compare.zoom_by(STEP), _("Closer (+)"), tag="compare.in")
                button(ui, _("Fit"), compare.fit, "ghost", tip=_("All of each (F)"), tag="compare.fit")
                button(
                    ui, "1:1", compare.toggle_pixels, "ghost", tip=_("Pixel by pixel (Z)"), tag="compare.pixels"
                )
            with dpg.child_window(border=False, height=table, tag="compare.table") as area:
                dpg.bind_item_theme(area, ui.themes.panel((0, 0, 0, 0)))
                dpg.add_group(tag="compare.rows")

    def _build_images(self) -> None:
        """A view, a name and stars for each."""
        ui, compare = self.ui, self._compare
        for view in self._views:
            view.close()
        dpg.delete_item("compare.images", children_only=True)
        self._views, self._stars, self._names = [], [], []
        count = len(compare.images)
        wide = (self._inner - (count - 1) * ui.px(GAP)) // max(count, 1)
        compare.room = (float(wide), float(self._high))
        dpg.push_container_stack("compare.images")
        try:
            with row(ui, GAP):
                for place in range(count):
                    with column(ui, 4):
                        self._build_image(place, wide)
        finally:
            dpg.pop_container_stack()

    def _build_image(self, place: int, wide: int) -> None:
        ui, compare = self.ui, self._compare
        image = compare.images[place]
        view = ZoomView(ui, f"compare.image.{place}", compare.point, compare.touch)
        view.build()
        view.place(wide, self._high)
        view.show(Path(image.path), image.width, image.height)
        self._views.append(view)
        stars_wide = 5 * ui.px(32) + 4 * ui.px(2)
        drops = len(compare.images) > 2
        room = wide - stars_wide - (ui.px(34 + 4) if drops else 0) - ui.px(16)
        with row(ui, 4):
            name = Path(image.path).name
            shown = shortened(ui, name, room, "small_medium")
            item = text(ui, shown, "small_medium", ui.colours.muted, beside_frame=True)
            tooltip(ui, item, image.path)
            self._names.append(item)
            used = dpg.get_text_size(shown, font=ui.fonts["small_medium"])
            dpg.add_spacer(width=max(1, room - round(used[0] if used else room)))
            self._stars.append(Stars(ui, partial(self._rate, place), f"compare.star.{place}"))
            if drops:
                icon_button(
                    ui,
                    icons.X,
                    partial(compare.drop, place),
                    _("Take it out (Delete)"),
                    tag=f"compare.drop.{place}",
                )

    def _rate(self, place: int, stars: int) -> None:
        self._compare.rate(stars, place)

    def apply(self) -> None:
        """Bring it up to date."""
        ui, compare = self.ui, self._compare
        shown = tuple(image.image_sha256 for image in compare.images)
        if shown != self._shown:
            self._shown = shown
            self._build_images()
        for place, image in enumerate(compare.images):
            stars = compare.ratings.of(image).stars
            if stars != self._stars[place].stars:
                self._stars[place].show(stars)
            lit = place == compare.focus
            dpg.configure_item(self._names[place], color=ui.colours.accent_high if lit else ui.colours.muted)
        if (compare.rows, shown) != self._rows:
            self._rows = (compare.rows, shown)
            self._build_rows()

    def _build_rows(self) -> None:
        ui, c, rows = self.ui, self.ui.colours, self._compare.rows
        dpg.delete_item("compare.rows", children_only=True)
        dpg.push_container_stack("compare.rows")
        try:
            if rows is None:
                text(ui, _("Reading their settings…"), "small", c.muted)
                return
            if not rows:
                text(ui, _("Nothing differs: the same settings, the same seed."), "small", c.muted)
                return
            count = len(self._compare.images)
            wide = (self._inner - ui.px(NAME_WIDTH) - ui.px(12)) // count
            with dpg.table(
                header_row=False, borders_innerH=True, policy=dpg.mvTable_SizingFixedFit, pad_outerX=False
            ) as table:
                dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 6)}, dpg.mvTable))
                dpg.add_table_column(width_fixed=True, init_width_or_weight=ui.px(NAME_WIDTH))
                for _place in range(count):
                    dpg.add_table_column(width_stretch=True)
                for one in rows:
                    with dpg.table_row():
                        text(ui, shortened(ui, one.name, ui.px(NAME_WIDTH - 12), "small"), "small", c.muted)
                        for value in one.values:
                            told = shortened(ui, value, wide - ui.px(16), "small")
                            item = text(ui, told, "small")
                            if told != " ".join(value.split()):
                                tooltip(ui, item, value)
        finally:
            dpg.pop_container_stack()

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
