"""What people liked: stars on average by model, sampler, steps and the like; a line shows its images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    column,
    empty_state,
    row,
    set_text,
    space,
    text,
    tooltip,
    within,
)
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.overlay import MARGIN, Overlay
from stablenew_plugins.desktop.components.strip import strip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.images.liked import Kind, Liked
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, tint

WIDTH, HEIGHT = 1180, 800
TWO_COLUMNS = 860
"""Least width for two of them, before scaling; so are the following."""
BETWEEN = 36
LINE, TITLE = 44, 34
BAR, STARS, COUNT = 130, 54, 74
FOOT = 50
SCROLLBAR = 14


class LikedPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.liked)
        self._liked, self._close = bench.liked, bench.view.close
        self._shown: object = None
        self.build()

    def build(self) -> None:
        """Make the window over the window."""
        ui, c = self.ui, self.ui.colours
        room = dpg.get_viewport_client_height() - 2 * ui.px(MARGIN)
        height = min(ui.px(HEIGHT), room)
        self._overlay = Overlay(
            ui, _("What was liked"), self._close, width=WIDTH, height=height / ui.scale, tag="liked", sub=" "
        )
        self._inner = self._overlay.width - 2 * ui.px(22)
        with self._overlay, column(ui, 10):
            with area(ui, height=height - ui.px(92 + FOOT), tag="liked.area"):
                dpg.add_group(tag="liked.rows")
            self._legend = text(
                ui,
                _(
                    "The bar is the average, the thin line where it may well be in truth (95 %), the tick the"
                    " average of all that are rated. It proves nothing: a setting may be liked for what was"
                    " changed with it. A click shows the images."
                ),
                "small",
                c.muted,
                wrap=self._inner,
                show=False,
            )

    def apply(self) -> None:
        """Bring it up to date."""
        liked = self._liked
        set_text("liked.sub", self._told())
        shown = (liked.kinds, liked.problem)
        if shown == self._shown:
            return
        self._shown = shown
        dpg.configure_item(self._legend, show=bool(liked.kinds and liked.rated and not liked.problem))
        dpg.delete_item("liked.rows", children_only=True)
        dpg.push_container_stack("liked.rows")
        try:
            self._build_rows()
        finally:
            dpg.pop_container_stack()

    def _told(self) -> str:
        liked = self._liked
        if liked.kinds is None:
            return _("Counting …")
        told = [_("{n} of {all} rated").format(n=f"{liked.rated:,}", all=f"{sum(liked.counts):,}")]
        if liked.rated:
            told.append(_("{n} stars on average").format(n=f"{liked.stars:.1f}"))
        if liked.wanted.told:
            told.append(_("only {filter}").format(filter=liked.wanted.told))
        if liked.leaves_stars:
            told.append(_("whatever their stars, which the filter asks for"))
        return "  ·  ".join(told)

    def _build_rows(self) -> None:
        ui, liked = self.ui, self._liked
        if liked.problem:
            empty_state(ui, icons.PLUG, _("The kernel could not tell"), liked.problem)
            return
        if liked.kinds is None:
            return
        if not liked.rated:
            words = _("Give some images stars, and come back.")
            empty_state(ui, icons.STAR, _("Nothing is rated yet"), words)
            return
        room = self._inner - ui.px(SCROLLBAR)
        columns = 2 if self._inner >= ui.px(TWO_COLUMNS) else 1
        wide = (room - (columns - 1) * ui.px(BETWEEN)) // columns
        lists: list[tuple[Item, Kind]] = []
        with row(ui, BETWEEN, show=False) as page:
            for kinds in _in_columns(liked.kinds, columns):
                with column(ui, 0) as place:
                    lists += [(place, kind) for kind in kinds]
        ui.in_turn(page, self._build_kinds(page, lists, wide))

    def _build_kinds(self, page: Item, lists: Sequence[tuple[Item, Kind]], wide: int) -> Iterator[None]:
        """One after the other; then they are shown."""
        for place, kind in lists:
            within(place, partial(self._build_kind, kind, wide))
            yield
        dpg.configure_item(page, show=True)

    def _build_kind(self, kind: Kind, wide: int) -> None:
        ui = self.ui
        text(ui, kind.title, "h2")
        space(ui, 4)
        for place, line in enumerate(kind.lines):
            self._build_line(line, wide, f"liked.{kind.name}.{place}")
        if kind.more:
            told = many("and {n} more with fewer ratings", "and {n} more with fewer ratings", kind.more)
            text(ui, told, "small", ui.colours.faint)
        space(ui, 14)

    def _build_line(self, line: Liked, wide: int, tag: str) -> None:
        ui, c = self.ui, self.ui.colours
        sure = line.is_sure
        pad = ui.px(8)
        right = ui.px(BAR) + ui.px(STARS) + ui.px(COUNT)
        room = wide - right - 2 * pad
        with strip(ui, wide, ui.px(LINE)):
            item = button(
                ui,
                "",
                partial(self._liked.choose, line),
                "ghost",
                width=wide / ui.scale,
                height=LINE - 2,
                tag=tag,
            )
            dpg.set_item_pos(item, [0, 0])
            shown = shortened(ui, line.name, room, "medium")
            if shown != line.name:
                tooltip(ui, item, line.name)
            text(ui, shown, "medium", c.text if line.rated else c.muted, pos=(pad, ui.px(5)))
            remark = shortened(ui, line.remark, room, "small")
            text(ui, remark, "small", c.muted if sure else c.faint, pos=(pad, ui.px(24)))
            self._build_bar(line, wide - right - pad)
            stars = f"{line.stars:.1f} ★" if line.rated else "–"
            at = wide - ui.px(COUNT) - pad - text_width(ui, stars, "medium")
            text(ui, stars, "medium", c.amber if sure else c.faint, pos=(at, ui.px(13)))
            count = _("{n} of {all}").format(n=f"{line.rated:,}", all=f"{line.images:,}")
            at = wide - pad - text_width(ui, count, "small")
            text(ui, count, "small", c.muted, pos=(at, ui.px(14)))

    def _build_bar(self, line: Liked, left: int) -> None:
        """The average as a bar, where it may be as a line over it, and the average of all as a tick."""
        ui, c = self.ui, self.ui.colours
        wide, high = ui.px(BAR - 10), ui.px(18)
        middle, half = high / 2, ui.px(6) / 2

        def across(stars: float) -> float:
            return wide * stars / 5

        with dpg.group(pos=(left, ui.px(12))), dpg.drawlist(wide, high):
            top, bottom = middle - half, middle + half
            dpg.draw_rectangle((0, top), (wide, bottom), rounding=half, fill=c.track_off, color=NONE)
            if line.rated:
                colour = c.star if line.is_sure else c.star_off
                dpg.draw_rectangle(
                    (0, top), (across(line.stars), bottom), rounding=half, fill=colour, color=NONE
                )
                low, high_end = (across(end) for end in line.interval)
                whisker = tint(c.text, 190 if line.is_sure else 110)
                thick = ui.px(1.5)
                dpg.draw_line((low, middle), (high_end, middle), color=whisker, thickness=thick)
                for end in (low, high_end):
                    dpg.draw_line((end, top), (end, bottom), color=whisker, thickness=thick)
            tick = across(self._liked.stars)
            dpg.draw_line((tick, 1), (tick, high - 1), color=c.muted, thickness=ui.px(1))

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()


def _in_columns(kinds: Sequence[Kind], columns: int) -> Sequence[Sequence[Kind]]:
    """Each where there is the most room left, in their order."""
    made: list[list[Kind]] = [[] for _column in range(columns)]
    heights = [0] * columns
    for kind in kinds:
        at = heights.index(min(heights))
        made[at].append(kind)
        heights[at] += TITLE + LINE * len(kind.lines)
    return made
