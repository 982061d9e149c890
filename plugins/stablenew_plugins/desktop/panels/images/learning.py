"""The tab Learning: review, rate, compare, promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    column,
    empty_state,
    row,
    set_text,
    space,
    style_button,
    text,
    tooltip,
    within,
)
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.keyboard import is_held
from stablenew_plugins.desktop.components.thumbs import ThumbGrid, Tile
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.images.filterbar import FilterBar
from stablenew_plugins.desktop.panels.images.ratebar import RateBar
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

MARGIN = 20
TOP = 18
LOOSENINGS = 4
"""That are offered at most."""


class LearningPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.review, bench.learning, bench.ratings)
        self._bench = bench
        self._review, self._learning = bench.review, bench.learning
        self._width, self._height = ui.px(560), ui.px(600)
        self._cursor_seen = self._review.cursor_revision
        self._taken = 0
        """Height of what is not the grid."""
        self._empty: object = None
        self._grid = ThumbGrid(ui, "learning.grid", self._tile, self._clicked, self._review.open)
        self._filter, self._bar = FilterBar(ui, self._review), RateBar(ui, self._review)

    # --- building -------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with column(ui, 12, pos=(ui.px(MARGIN), ui.px(TOP)), tag="learning.page") as self._page:
            with column(ui, 12, tag="learning.head") as self._head:
                self._build_head()
            self._grid.build()
            dpg.add_group(tag="learning.empty", show=False)

    def pieces(self) -> Sequence[Callable[[], None]]:
        """The filter, and what rates."""
        return (partial(within, self._head, self._filter.build), partial(within, self._page, self._bar.build))

    def _build_head(self) -> None:
        ui, review = self.ui, self._review
        with row(ui, 8):
            with column(ui, 6):
                text(ui, _("Learning"), "h1")
                self._sub = text(ui, "", "small", ui.colours.muted, tag="learning.sub")
            self._head_space = space(ui, 0, 10)
            with column(ui, 4), row(ui, 6):
                button(
                    ui,
                    "",
                    review.show_new,
                    "chip_on",
                    font="small_medium",
                    height=28,
                    show=False,
                    tip=_("They wait, so that nothing moves while you work further down"),
                    tag="learning.new",
                )
                for mode in self._learning.modes:
                    item = button(
                        ui,
                        mode.title,
                        partial(self._learning.choose, mode.name),
                        "chip",
                        font="small_medium",
                        height=28,
                        tag=f"learning.mode.{mode.name}",
                    )
                    tooltip(ui, item, "", width=300, tag=f"learning.mode.{mode.name}.what")
                button(
                    ui,
                    _("What was liked"),
                    self._bench.liked.open,
                    "ghost",
                    icon=icons.CHART_BAR,
                    font="small_medium",
                    height=28,
                    tag="learning.liked",
                )

    # --- arrangement ----------------------------------------------------------------------------------------

    def resized(self) -> None:
        """See :class:`Panel`."""
        ui = self.ui
        area = dpg.get_item_configuration("area.learning")
        if area["width"] <= 1:
            return
        self._width = area["width"] - 2 * ui.px(MARGIN)
        self._height = area["height"]
        self._filter.place(self._width)
        self._bar.place(self._width)
        self._taken = 0
        self.apply()

    def _lay_out(self) -> None:
        """Give the grid what head and foot leave. Their heights are known behind their first frame."""
        ui = self.ui
        head = dpg.get_item_rect_size("learning.head")[1] or ui.px(134)
        height = self._height - ui.px(TOP) - head - self._bar.height - 2 * ui.px(12) - ui.px(16)
        self._grid.place(self._width, max(height, ui.px(80)), self._review.total)
        self._review.columns, self._review.rows = self._grid.columns, self._grid.rows

    # --- bringing up to date --------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        self._apply_head()
        self._filter.apply()
        self._bar.apply()
        self._apply_empty()
        self._lay_out()

    def _apply_head(self) -> None:
        ui, review, learning = self.ui, self._review, self._learning
        rated, everything = review.rated
        told = _("{n} of {all} rated").format(n=f"{rated:,}", all=f"{everything:,}")
        if not everything:
            told = _("No images")
        elif rated:
            told += "  ·  " + _("{n} stars on average").format(n=f"{review.average:.1f}")
        set_text(self._sub, told)
        used = max(text_width(ui, told, "small"), text_width(ui, _("Learning"), "h1"))
        for mode in learning.modes:
            item = f"learning.mode.{mode.name}"
            style_button(ui, item, "chip_on" if mode.name == learning.mode else "chip")
            what = f"{mode.what}\n{mode.why_not}" if mode.why_not else mode.what
            set_text(f"{item}.what", what)
            dpg.configure_item(item, enabled=not mode.why_not)
            used += text_width(ui, mode.title, "small_medium") + 2 * ui.px(11) + ui.px(6)
        new = f"{icons.ARROW_UP}  " + many("{n} new image", "{n} new images", review.new)
        dpg.configure_item("learning.new", label=new, show=review.new > 0)
        if review.new:
            used += text_width(ui, new, "small_medium") + 2 * ui.px(11) + ui.px(6)
        used += text_width(ui, f"{icons.CHART_BAR}  " + _("What was liked"), "small_medium") + 2 * ui.px(10)
        dpg.configure_item(self._head_space, width=max(ui.px(8), self._width - used - 2 * ui.px(8) - ui.px(4)))

    def _apply_empty(self) -> None:
        review = self._review
        shown = review.total == 0
        dpg.configure_item("learning.grid", show=not shown)
        dpg.configure_item("learning.empty", show=shown)
        dpg.configure_item("learning.foot", show=not shown)
        connected = self._bench.state.is_connected
        state = (review.problem, review.is_loading, review.wanted, connected, tuple(review.loosenings))
        if not shown or state == self._empty:
            return
        self._empty = state
        dpg.delete_item("learning.empty", children_only=True)
        dpg.push_container_stack("learning.empty")
        try:
            self._build_empty()
        finally:
            dpg.pop_container_stack()

    def _build_empty(self) -> None:
        ui, review = self.ui, self._review
        if review.problem:
            empty_state(
                ui,
                icons.CIRCLE_ALERT,
                _("That filter can't be used"),
                review.problem,
                _("Clear the filter"),
                review.clear_filter,
            )
        elif not self._bench.state.is_connected:
            empty_state(
                ui, icons.PLUG, _("No kernel answers yet"), _("Your images are shown as soon as one does.")
            )
        elif review.is_loading:
            empty_state(ui, icons.LOADER, _("Looking for your images"), _("One moment."))
        elif not review.wanted.is_empty:
            self._build_nothing_found()
        else:
            empty_state(
                ui,
                icons.IMAGES,
                _("Nothing to review yet"),
                _("Every image that is made appears here, to be rated, compared and sent on."),
            )

    def _build_nothing_found(self) -> None:
        """The filter as it is, and which of its conditions to do without."""
        ui, review = self.ui, self._review
        empty_state(
            ui,
            icons.LIST_FILTER,
            _("No image is like that"),
            _("Looked for: {filter}.").format(filter=review.wanted.told),
        )
        with column(ui, 8):
            space(ui, 6)
            for place, one in enumerate(review.loosenings[:LOOSENINGS]):
                with row(ui, 10):
                    button(
                        ui,
                        _("Without {condition}").format(
                            condition=shortened(ui, one.told, ui.px(280), "medium")
                        ),
                        partial(review.want, one.wanted),
                        "soft",
                        tag=f"learning.loosen.{place}",
                    )
                    told = many("{n} image", "{n} images", one.images)
                    text(ui, told, "small", ui.colours.muted, beside_frame=True)
            button(ui, _("Clear all filters"), review.clear_filter, "ghost" if review.loosenings else "soft")

    # --- the grid -------------------------------------------------------------------------------------------

    def _tile(self, index: int) -> Tile | None:
        review = self._review
        image = review.at(index)
        if image is None:
            return None
        opinion = review.ratings.of(image)
        return Tile(
            Path(image.path),
            opinion.stars,
            len(opinion.tags),
            marked=review.is_selected(image),
            ringed=index == review.cursor,
        )

    def _clicked(self, index: int) -> None:
        self._review.click(index, extend=is_held("Shift"), toggle=is_held("Ctrl"))

    def frame(self) -> None:
        """Follow the scroll bar and the cursor."""
        review = self._review
        taken = self._bar.height + dpg.get_item_rect_size("learning.head")[1]
        if taken != self._taken:
            self._taken = taken
            self._lay_out()
        if review.total == 0:
            return
        if review.cursor_revision != self._cursor_seen:
            self._cursor_seen = review.cursor_revision
            self._grid.scroll_to(review.cursor)
        self._grid.frame()
        if review.at_top != self._grid.at_top:
            review.at_top = self._grid.at_top
            if review.at_top and review.new:
                review.show_new()

    def close(self) -> None:
        """See :class:`Panel`."""
        self._grid.close()
