"""What people liked: stars on average by model, preset and pack."""

from __future__ import annotations

from itertools import groupby

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import Bar, column, row, space, text, tooltip
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.learning import Liked
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _

NAME_WIDTH, BAR_WIDTH = 250, 150
FEW = 5
"""Below so many rated images an average says little, and is shown pale."""


class LikedPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.learning)
        self._learning = bench.learning
        self._overlay = Overlay(
            ui,
            _("What was liked"),
            bench.view.close,
            width=640,
            height=500,
            tag="liked",
            sub=_(
                "Stars on average, with the number of rated images. A few ratings prove little: those are pale."
            ),
        )
        self.build()

    def build(self) -> None:
        """Make the items."""
        with self._overlay, dpg.child_window(border=False) as area:
            dpg.bind_item_theme(area, self.ui.themes.panel((0, 0, 0, 0)))
            dpg.add_group(tag="liked.rows")

    def apply(self) -> None:
        """Bring it up to date."""
        ui, liked = self.ui, self._learning.liked
        dpg.delete_item("liked.rows", children_only=True)
        dpg.push_container_stack("liked.rows")
        try:
            with column(ui, 8):
                if liked is None:
                    text(ui, _("Counting…"), "small", ui.colours.muted)
                elif not any(row.rated for row in liked):
                    text(ui, _("Nothing is rated yet."), "medium")
                    text(ui, _("Give some images stars, and come back."), "small", ui.colours.muted)
                else:
                    for kind, rows in groupby(liked, key=lambda row: row.kind):
                        text(ui, kind, "h2")
                        for one in rows:
                            self._show(one)
                        space(ui, 6)
        finally:
            dpg.pop_container_stack()

    def _show(self, one: Liked) -> None:
        ui, c = self.ui, self.ui.colours
        sure = one.rated >= FEW
        with row(ui, 12):
            shown = shortened(ui, one.name, ui.px(NAME_WIDTH), "body")
            name = text(ui, shown, "body", c.text if one.rated else c.faint)
            if shown != one.name:
                tooltip(ui, name, one.name)
            dpg.add_spacer(width=max(0, ui.px(NAME_WIDTH) - text_width(ui, shown, "body")))
            Bar(ui, BAR_WIDTH, c.star if sure else c.faint).show(one.stars / 5)
            stars = f"{one.stars:.1f} ★" if one.rated else "–"
            text(ui, stars, "medium", c.amber if sure else c.faint)
            told = _("n = {n} of {all}").format(n=f"{one.rated:,}", all=f"{one.images:,}")
            text(ui, told, "small", c.muted)

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()
