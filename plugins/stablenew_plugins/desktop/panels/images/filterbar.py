"""The filter of the tab Learning: words, and a chip for each thing that images can be found by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import button, column, row, set_text, space, text
from stablenew_plugins.desktop.components.fields import combo, put, text_field
from stablenew_plugins.desktop.components.filterchip import HEIGHT, FilterChip
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.review import ReviewModel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

FIELDS = ("pack", "model", "preset", "tag")
ORDER_WIDTH = 140
GAP = 6
LEAST_CHIP = 64


class FilterBar:
    """See above."""

    def __init__(self, ui: Ui, review: ReviewModel) -> None:
        self._ui, self._review = ui, review
        self._width = 0
        self._chips = {
            "stars": FilterChip(ui, "learning.stars", self._choose_stars),
            **{field: FilterChip(ui, f"learning.{field}", partial(self._choose, field)) for field in FIELDS},
        }
        self._names = {
            "stars": _("Rating"),
            "pack": _("Pack"),
            "model": _("Model"),
            "preset": _("Preset"),
            "tag": _("Tag"),
        }
        self._orders = {"newest": _("Newest first"), "best": _("Best first")}

    def build(self) -> None:
        """Make it in the current container."""
        ui, review = self._ui, self._review
        with column(ui, 10):
            with row(ui, 8):
                self._words = text_field(
                    ui,
                    review.wanted.words,
                    lambda words: review.want(replace(review.wanted, words=words)),
                    hint=_("Words of the prompt, or steps>=30, seed=42"),
                    width=200,
                    tag="learning.words",
                )
                combo(
                    ui,
                    list(self._orders.values()),
                    self._orders[review.wanted.order],
                    self._choose_order,
                    width=ORDER_WIDTH,
                    tag="learning.order",
                )
            with row(ui, GAP):
                for chip in self._chips.values():
                    chip.build()
                self._space = space(ui)
                self._found = text(ui, "", "small", ui.colours.muted, beside_frame=HEIGHT, tag="learning.found")
                button(
                    ui,
                    _("Clear"),
                    review.clear_filter,
                    "ghost",
                    icon=icons.X,
                    font="small_medium",
                    height=HEIGHT,
                    tip=_("Clear all filters"),
                    show=False,
                    tag="learning.clear",
                )

    def place(self, width: int) -> None:
        """Give it so many pixels."""
        self._width = width
        ui = self._ui
        dpg.configure_item(self._words, width=max(width - ui.px(ORDER_WIDTH) - ui.px(8), ui.px(80)))

    def apply(self) -> None:
        """Bring it up to date."""
        ui, review = self._ui, self._review
        wanted = review.wanted
        put(self._words, wanted.words)
        put("learning.order", self._orders[wanted.order])
        shown = {"stars": self._stars(), **{field: self._values(field) for field in FIELDS}}
        values: dict[str, str] = {field: getattr(wanted, field) for field in FIELDS}
        values["stars"] = "unrated" if wanted.unrated else str(wanted.min_stars or "")
        words = self._names | {
            name: _without_count(shown[name][value]) for name, value in values.items() if value
        }
        if wanted.min_stars and not wanted.unrated:
            words["stars"] = f"{wanted.min_stars} ★" if wanted.min_stars == 5 else f"{wanted.min_stars}+ ★"
        widths = [chip.natural_width(words[name]) for name, chip in self._chips.items()]
        active = not wanted.is_empty
        clear = f"{icons.X}  " + _("Clear")
        found = self._told() if active else ""
        behind = text_width(ui, clear, "small_medium") + 2 * ui.px(10) if active else 0
        told = text_width(ui, found, "small") + ui.px(8) if found else 0
        room = self._width - len(widths) * ui.px(GAP)
        if sum(widths) + told + behind + ui.px(GAP) > room:  # what is found stands at the foot, too
            found, told = "", 0
        widths = _capped(widths, room - behind - ui.px(GAP), ui.px(LEAST_CHIP))
        for (name, chip), width in zip(self._chips.items(), widths, strict=True):
            chip.show(shown[name], values[name], words[name], width, lit=bool(values[name]))
        set_text(self._found, found)
        dpg.configure_item(self._found, show=bool(found))
        free = room - sum(widths) - told - behind - (2 if found else 1) * ui.px(GAP)
        dpg.configure_item(self._space, width=max(1, free))
        dpg.configure_item("learning.clear", show=active)

    def _told(self) -> str:
        review = self._review
        if review.is_loading or not review.total:
            return ""
        return many("{n} image found", "{n} images found", review.total)

    def _stars(self) -> Mapping[str, str]:
        stars = {"": _("Any rating"), "unrated": _("Not rated")}
        for number in range(1, 6):
            stars[str(number)] = "★" * number + ("" if number == 5 else _(" or more"))
        return stars

    def _values(self, field: str) -> Mapping[str, str]:
        """What stands for each value of ``field``."""
        facets = self._review.facets
        now = getattr(self._review.wanted, field)
        every = {
            "pack": _("All packs"),
            "model": _("All models"),
            "preset": _("All presets"),
            "tag": _("Any tag"),
        }
        shown = {"": every[field]}
        if facets is not None:
            found: Mapping[str, Any] = {
                "pack": facets.packs,
                "model": facets.models,
                "preset": facets.presets,
                "tag": facets.tags,
            }
            for facet in found[field]:
                name = facet.value.removesuffix(".json") if field == "preset" else facet.value
                shown[facet.value] = f"{name}  ({facet.images:,})"
        shown.setdefault(now, now)
        return shown

    def _choose(self, field: str, value: str) -> None:
        values: dict[str, Any] = {field: value}
        self._review.want(replace(self._review.wanted, **values))

    def _choose_stars(self, value: str) -> None:
        least = int(value) if value.isdigit() else 0
        self._review.want(replace(self._review.wanted, min_stars=least, unrated=value == "unrated"))

    def _choose_order(self, shown: str) -> None:
        is_best = shown == self._orders["best"]
        self._review.want(replace(self._review.wanted, order="best" if is_best else "newest"))


def _without_count(words: str) -> str:
    """``demo  (12)`` without its number: that of all images is not that of those that are found."""
    return words.rpartition("  (")[0] or words


def _capped(widths: Sequence[int], room: int, least: int) -> list[int]:
    """``widths``, the largest cut so that all of them are within ``room``; none below ``least`` for that."""
    cap = max(widths)
    while cap > least and sum(min(width, cap) for width in widths) > room:
        cap -= 1
    return [min(width, cap) for width in widths]
