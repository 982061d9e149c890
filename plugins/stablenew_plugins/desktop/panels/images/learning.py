"""The tab Learning: review, rate, compare, promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Stars,
    button,
    card,
    checkbox,
    column,
    empty_state,
    enable_button,
    row,
    set_text,
    space,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import combo, put, text_field
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.keyboard import is_held
from stablenew_plugins.desktop.components.ratecard import TagChips
from stablenew_plugins.desktop.components.thumbs import ThumbGrid, Tile
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import PAD_CARD

MARGIN = 20
TOP = 18
FIELDS = ("pack", "model", "preset", "tag")
ORDER_WIDTH, STARS_WIDTH = 140, 150


class LearningPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.review, bench.learning, bench.ratings)
        self._bench = bench
        self._review, self._learning = bench.review, bench.learning
        self._width, self._height = ui.px(560), ui.px(600)
        self._choices: dict[str, dict[str, str]] = {}
        """Of each combo: the value behind what it shows."""
        self._cursor_seen = self._review.cursor_revision
        self._foot = 0
        self._empty: object = None
        self._grid = ThumbGrid(ui, "learning.grid", self._tile, self._clicked, self._review.open)
        self._tags = TagChips(ui, "learning.tags", self._review.toggle_tag, self._review.add_tag)

    # --- building -------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with column(ui, 12, pos=(ui.px(MARGIN), ui.px(TOP)), tag="learning.page"):
            with column(ui, 12, tag="learning.head"):
                self._build_head()
                self._build_filter()
            self._grid.build()
            dpg.add_group(tag="learning.empty", show=False)
            with card(ui, (PAD_CARD, 10), tag="learning.foot"), column(ui, 8):
                self._build_foot()
        self.resized()

    def _build_head(self) -> None:
        ui, review = self.ui, self._review
        with row(ui, 8):
            with column(ui, 4):
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

    def _build_filter(self) -> None:
        ui, review = self.ui, self._review
        with row(ui, 8):
            self._words = text_field(
                ui,
                review.wanted.words,
                lambda words: review.want(replace(review.wanted, words=words)),
                hint=_("Words of the prompt, or steps>=30, seed=42"),
                width=200,
                tag="learning.words",
            )
            self._combo("stars", [], self._choose_stars, STARS_WIDTH)
            self._combo("order", [], self._choose_order, ORDER_WIDTH)
        with row(ui, 8):
            for field in FIELDS:
                self._combo(field, [], partial(self._choose, field), 100)

    def _combo(self, name: str, items: Sequence[str], change: Callable[[str], None], width: float) -> None:
        combo(self.ui, items, "", change, width=width, tag=f"learning.{name}")

    def _build_foot(self) -> None:
        ui, review = self.ui, self._review
        with row(ui, 8):
            self._place = text(ui, "", "medium", beside_frame=True, tag="learning.place")
            self._left = space(ui, 0, 10)
            self._stars = Stars(ui, review.rate, "learning.star")
            self._right = space(ui, 0, 10)
            button(
                ui,
                _("Compare"),
                review.compare,
                "soft",
                icon=icons.COLUMNS_2,
                tip=_("Side by side (C)"),
                tag="learning.compare",
            )
            button(
                ui,
                _("Promote"),
                review.promote,
                "soft",
                icon=icons.WAND_SPARKLES,
                tip=_("Send what is chosen through further stages (P)"),
                tag="learning.promote",
            )
            button(ui, "", review.promote_keepers, "soft", icon=icons.HEART, tag="learning.keepers")
            tooltip(ui, "learning.keepers", _("Send all images with four stars or more through further stages"))
        self._tags.build()
        with row(ui, 12):
            checkbox(
                ui,
                review.moves_on,
                review.set_moves_on,
                _("A rating moves on to the next image"),
                tag="learning.moves",
            )
            dpg.bind_item_font("learning.moves", ui.fonts["small"])
            self._hint = text(
                ui,
                _("1–5 rate, letters tag, Space enlarges, Shift and Ctrl choose several, Ctrl+Z takes back"),
                "small",
                ui.colours.faint,
                beside_frame=21,
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
        rest = self._width - ui.px(STARS_WIDTH) - ui.px(ORDER_WIDTH) - 2 * ui.px(8)
        dpg.configure_item(self._words, width=max(rest, ui.px(80)))
        each = (self._width - 3 * ui.px(8)) // 4
        for field in FIELDS:
            dpg.configure_item(f"learning.{field}", width=each)
        dpg.configure_item("learning.foot", width=self._width)
        self._foot = 0
        self.apply()

    def _lay_out(self) -> None:
        """Give the grid what head and foot leave. Their heights are known behind their first frame."""
        ui = self.ui
        head = dpg.get_item_rect_size("learning.head")[1] or ui.px(134)
        foot = self._foot_height
        height = self._height - ui.px(TOP) - head - foot - 2 * ui.px(12) - ui.px(16)
        self._grid.place(self._width, max(height, ui.px(80)), self._review.total)
        self._review.columns = self._grid.columns
        for item, tip in ((self._hint, 640),):
            dpg.configure_item(item, show=self._width > ui.px(tip + 150))

    @property
    def _foot_height(self) -> int:
        # A card as high as what is in it tells no size: the place of its last item does.
        top, last = dpg.get_item_pos("learning.foot"), dpg.get_item_rect_max("learning.moves")
        corner = dpg.get_item_rect_min("learning.place")
        if not last or last[1] <= 0 or top is None:
            return self.ui.px(140)
        return int(last[1] - corner[1] + self.ui.px(22 + 8))

    # --- bringing up to date --------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        self._apply_head()
        self._apply_filter()
        self._apply_foot()
        self._apply_empty()
        self._lay_out()

    def _apply_head(self) -> None:
        ui, review, learning = self.ui, self._review, self._learning
        rated, everything = review.rated
        told = _("{n} of {all} rated").format(n=f"{rated:,}", all=f"{everything:,}")
        if rated:
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

    def _apply_filter(self) -> None:
        review = self._review
        wanted, facets = review.wanted, review.facets
        put(self._words, wanted.words)
        found: dict[str, Any] = {"pack": (), "model": (), "preset": (), "tag": ()}
        if facets is not None:
            found = {"pack": facets.packs, "model": facets.models, "preset": facets.presets, "tag": facets.tags}
        every = {
            "pack": _("All packs"),
            "model": _("All models"),
            "preset": _("All presets"),
            "tag": _("Any tag"),
        }
        for field in FIELDS:
            now = getattr(wanted, field)
            shown = {"": every[field]}
            for facet in found[field]:
                name = facet.value.removesuffix(".json") if field == "preset" else facet.value
                shown[facet.value] = f"{name}  ({facet.images:,})"
            shown.setdefault(now, now)
            self._show_combo(field, shown, now)
        stars = {"": _("Any rating"), "unrated": _("Not rated")}
        for number in range(1, 6):
            stars[str(number)] = "★" * number + ("" if number == 5 else _(" or more"))
        self._show_combo("stars", stars, "unrated" if wanted.unrated else str(wanted.min_stars or ""))
        self._show_combo("order", {"newest": _("Newest first"), "best": _("Best first")}, wanted.order)

    def _show_combo(self, name: str, shown: dict[str, str], now: str) -> None:
        item = f"learning.{name}"
        if self._choices.get(name) != shown:
            self._choices[name] = shown
            dpg.configure_item(item, items=list(shown.values()))
        put(item, shown[now])

    def _value(self, name: str, shown: str) -> str:
        return next((value for value, words in self._choices[name].items() if words == shown), "")

    def _choose(self, field: str, shown: str) -> None:
        values: dict[str, Any] = {field: self._value(field, shown)}
        self._review.want(replace(self._review.wanted, **values))

    def _choose_stars(self, shown: str) -> None:
        value = self._value("stars", shown)
        least = int(value) if value.isdigit() else 0
        self._review.want(replace(self._review.wanted, min_stars=least, unrated=value == "unrated"))

    def _choose_order(self, shown: str) -> None:
        best = self._value("order", shown) == "best"
        self._review.want(replace(self._review.wanted, order="best" if best else "newest"))

    def _apply_foot(self) -> None:
        ui, review = self.ui, self._review
        chosen = len(review.selected)
        place = many("{n} image chosen", "{n} images chosen", chosen) if chosen else review.place
        set_text(self._place, place)
        targets = review.targets
        opinions = [review.ratings.of(image) for image in targets]
        stars = {opinion.stars for opinion in opinions}
        one = stars.pop() if len(stars) == 1 else 0
        if one != self._stars.stars:
            self._stars.show(one)
        lit = [
            tag
            for tag in (opinions[0].tags if opinions else ())
            if all(tag in other.tags for other in opinions)
        ]
        self._tags.show(review.ratings.tags, lit, self._width - 2 * ui.px(PAD_CARD), review.letters)
        keepers = many("{n} keeper", "{n} keepers", review.keepers)
        enable_button("learning.keepers", review.keepers > 0)
        enable_button("learning.promote", bool(targets))
        enable_button("learning.compare", review.total > 1)
        inner = self._width - 2 * ui.px(PAD_CARD)
        stars_wide = 5 * ui.px(32) + 4 * ui.px(2)
        words = text_width(ui, place, "medium")
        long = {
            "compare": f"{icons.COLUMNS_2}  {_('Compare')}",
            "promote": f"{icons.WAND_SPARKLES}  {_('Promote')}",
            "keepers": f"{icons.HEART}  {keepers}",
        }
        short = {
            "compare": icons.COLUMNS_2,
            "promote": icons.WAND_SPARKLES,
            "keepers": f"{icons.HEART} {review.keepers}",
        }
        free = 0
        for labels in (long, short):  # where there is no room for words, the icons say it
            buttons = sum(text_width(ui, label, "medium") + 2 * ui.px(10) for label in labels.values())
            free = inner - words - stars_wide - buttons - 6 * ui.px(8)
            for name, label in labels.items():
                dpg.configure_item(f"learning.{name}", label=label)
            if free >= 0:
                break
        left = max(0, min((inner - stars_wide) // 2 - words - ui.px(8), free))
        dpg.configure_item(self._left, width=max(1, left))
        dpg.configure_item(self._right, width=max(1, free - left))

    def _apply_empty(self) -> None:
        review = self._review
        shown = review.total == 0
        dpg.configure_item("learning.grid", show=not shown)
        dpg.configure_item("learning.empty", show=shown)
        dpg.configure_item("learning.foot", show=not shown)
        state = (review.problem, review.is_loading, review.wanted.is_empty, self._bench.state.is_connected)
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
            empty_state(ui, icons.PLUG, _("No kernel yet"), _("Your images are shown as soon as it answers."))
        elif review.is_loading:
            empty_state(ui, icons.LOADER, _("Looking for your images"), _("One moment."))
        elif not review.wanted.is_empty:
            empty_state(
                ui,
                icons.LIST_FILTER,
                _("No image is like that"),
                _("Nothing that was made here fits all of the filter."),
                _("Clear the filter"),
                review.clear_filter,
            )
        else:
            empty_state(
                ui,
                icons.IMAGES,
                _("Nothing to review yet"),
                _("Every image that is made appears here, to be rated, compared and sent on."),
            )

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
        foot = self._foot_height + dpg.get_item_rect_size("learning.head")[1]
        if foot != self._foot:
            self._foot = foot
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
