"""The randomizer's card: what varies, how, and how many images that makes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    badge,
    button,
    card,
    column,
    label,
    row,
    set_text,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import combo, int_field, put, text_field
from stablenew_plugins.desktop.components.fit import width_of
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.chosen import LARGEST_COUNT, Many, Seeds
from stablenew_plugins.desktop.models.prompt.randomizer import AS_WRITTEN, MIXED
from stablenew_plugins.desktop.models.prompt.slots import MODES, Line, mode_help, mode_title
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.prompt.axisdraft import AxisForm
from stablenew_plugins.desktop.panels.prompt.slotline import SlotLine, as_written
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

HEAD = 44
MOST_LINES = 40
"""Lines that are shown; a pack with more is rather a list of choices that nobody sets one by one."""


def how_many() -> dict[str, Many]:
    """What stands in the list, and what it means."""
    return {
        _("All of them"): "all",
        _("At most so many a prompt"): "per_prompt",
        _("The first so many"): "first",
        _("So many, drawn"): "sample",
    }


def seed_modes() -> dict[str, Seeds]:
    """What stands in the list, and what it means."""
    return {
        _("As the pipeline says"): "as_set",
        _("New ones"): "new",
        _("Counting up from"): "counting",
        _("The same for all"): "fixed",
    }


class RandomizerCard:
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench, self._model = ui, bench, bench.randomizer
        self._width = ui.px(800)
        self._lines: list[SlotLine] = []
        self._shapes: Sequence[object] | None = None
        self._places_shown: object = None
        self._axis = AxisForm(ui, bench.variants.draft)

    # --- making it ------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui, c = self._ui, self._ui.colours
        with card(ui, tag="randomizer.card") as self._card, column(ui, 8):
            with strip(ui, self._width, ui.px(HEAD)) as self._head:
                put_at(badge(ui, icons.SHUFFLE, c.green, 38), 0, 0)
                put_at(text(ui, _("Randomizer"), "h2"), ui.px(50), ui.px(1))
                self._summary = text(ui, "", "small", c.muted, tag="randomizer.summary")
                put_at(self._summary, ui.px(50), ui.px(23))
                with dpg.group() as self._switch:
                    self._toggle = Toggle(
                        ui,
                        self._model.chosen.enabled,
                        self._model.enable,
                        tip=_("Let things vary, or give each slot its first option (Ctrl+R)"),
                        tag="randomizer.toggle",
                    )
                self._titles = {mode_title(mode): mode for mode in MODES}
                self._all_label = label(ui, _("Everything"))
                self._all = combo(
                    ui,
                    [as_written(), *self._titles],
                    as_written(),
                    self._choose_all,
                    width=128,
                    tag="randomizer.all",
                )
                helps = "\n".join(f"{mode_title(mode)}: {mode_help(mode)}" for mode in MODES)
                tooltip(ui, self._all, helps)
            with dpg.group() as self._body, column(ui, 8):
                with dpg.group() as self._list:
                    pass
                self._empty = text(
                    ui,
                    _("Put {red|green}, __hair__ or [[time]] into a prompt, or let a setting vary."),
                    "small",
                    c.faint,
                )
                self._axis.build()
            self._line = dpg.add_drawlist(10, 1)
            self._numbers()
            with dpg.group(show=False) as self._places:
                pass

    def _numbers(self) -> None:
        ui, model = self._ui, self._model
        self._many, self._seeds = how_many(), seed_modes()
        with dpg.group(horizontal=True, horizontal_spacing=ui.px(18)) as self._row:
            with column(ui, 5):
                dpg.add_spacer(height=0)  # or each column stands on the line of the one before
                label(ui, _("How many variants?"))
                with row(ui, 6):
                    self._how = combo(
                        ui, list(self._many), "", self._choose_many, width=190, tag="randomizer.many"
                    )
                    self._number = self._int(
                        model.chosen.number, model.choose_number, 1, LARGEST_COUNT, "randomizer.number"
                    )
            with column(ui, 5):
                dpg.add_spacer(height=0)
                words = label(ui, _("Images of each"))
                self._count = text_field(
                    ui,
                    self._count_words(),
                    lambda typed: model.choose_count(int("".join(filter(str.isdigit, typed))[:9] or 0)),
                    hint=_("as the pipeline says"),
                    width=160,
                    decimal=True,
                    no_spaces=True,
                    tag="randomizer.count",
                )
                tip = _("Images of each combination. Empty: as many as the pipeline says.")
                tooltip(ui, words, tip)
                tooltip(ui, self._count, tip)
            with column(ui, 5):
                dpg.add_spacer(height=0)
                label(ui, _("Seeds"))
                with row(ui, 6):
                    self._seed_mode = combo(
                        ui, list(self._seeds), "", self._choose_seeds, width=176, tag="randomizer.seeds"
                    )
                    self._seed = text_field(
                        ui, str(model.chosen.seed), self._type_seed, width=176, tag="randomizer.seed"
                    )
                self._seed_problem = text(
                    ui, "", "small", ui.colours.red, show=False, tag="randomizer.seed.problem"
                )

    def _type_seed(self, words: str) -> None:
        problem = self._model.type_seed(words)
        set_text(self._seed_problem, problem)
        dpg.configure_item(self._seed_problem, show=bool(problem))

    def _count_words(self) -> str:
        count = self._model.chosen.count
        return f"{count}" if count else ""

    def _int(self, value: int, change: Any, least: int, largest: int, tag: str, width: float = 84) -> Item:
        largest = min(largest, 2**31 - 1)  # what such a field can hold
        item = int_field(self._ui, value, change, least, largest, tag=tag)
        dpg.configure_item(item, width=self._ui.px(width))
        return item

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        ui = self._ui
        self._width = inner = width - ui.px(34)
        dpg.configure_item(self._card, width=width)
        dpg.configure_item(self._head, width=inner)
        put_at(self._switch, inner - ui.px(36), ui.px(9))
        put_at(self._all, inner - ui.px(36 + 14 + 128), ui.px(2))
        put_at(self._all_label, inner - ui.px(36 + 14 + 128 + 70), ui.px(12))
        dpg.configure_item(self._line, width=inner)
        dpg.delete_item(self._line, children_only=True)
        dpg.draw_line((0, 0), (inner, 0), color=ui.colours.line_soft, parent=self._line)
        dpg.configure_item(self._row, horizontal=inner > ui.px(700))
        self._axis.resized(inner)
        if self._shapes is not None:
            self._shapes = None
            self._places_shown = None
            self.apply()

    # --- what is chosen -------------------------------------------------------------------------------------

    def _choose_all(self, title: str) -> None:
        self._model.choose_all(self._titles.get(title, AS_WRITTEN))

    def _choose_many(self, title: str) -> None:
        self._model.choose_many(self._many[title])

    def _choose_seeds(self, title: str) -> None:
        self._model.choose_seeds(self._seeds[title])

    # --- bringing it up to date -----------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring it up to date."""
        ui, model, chosen = self._ui, self._model, self._model.chosen
        set_text(self._summary, model.summary)
        if self._toggle.is_on != chosen.enabled:
            self._toggle.show(chosen.enabled)
        overall = model.overall
        title = {AS_WRITTEN: as_written(), MIXED: _("Mixed")}.get(overall, mode_title(overall))
        put(self._all, title)
        shown = chosen.enabled and bool(model.lines)
        dpg.configure_item(self._all, show=shown)
        # Where the summary is long and the window narrow, the tooltip says what the combo is for.
        free = self._width - ui.px(50 + 36 + 14 + 128 + 70 + 12) - width_of(ui, model.summary, "small")
        dpg.configure_item(self._all_label, show=shown and free >= 0)
        dpg.configure_item(self._body, show=chosen.enabled)
        dpg.configure_item(self._empty, show=not model.lines)
        self._show_lines(model.lines[:MOST_LINES])
        self._axis.apply()
        self._show_numbers()
        self._show_places()

    def _show_lines(self, lines: Sequence[Line]) -> None:
        shapes = [SlotLine.shape(line) for line in lines]
        # While its values are typed a line stays as it is made: what is typed into must not go away.
        edited = self._model.edited
        keys = [line.key for line in lines]
        same = self._shapes is not None and [one.line.key for one in self._lines] == keys
        if shapes != self._shapes and not (same and edited and self._only_edited(shapes)):
            self._shapes = shapes
            dpg.delete_item(self._list, children_only=True)
            dpg.push_container_stack(self._list)
            try:
                with column(self._ui, 0):
                    self._lines = [
                        SlotLine(self._ui, self._model, place, line, self._width)
                        for place, line in enumerate(lines)
                    ]
            finally:
                dpg.pop_container_stack()
        for item, line in zip(self._lines, lines, strict=True):
            item.show(line)

    def _only_edited(self, shapes: Sequence[object]) -> bool:
        """Whether nothing but the line that is edited has another shape."""
        known = self._shapes or ()
        return all(
            new == old or one.line.key == self._model.edited
            for new, old, one in zip(shapes, known, self._lines, strict=True)
        )

    def _show_numbers(self) -> None:
        chosen = self._model.chosen
        put(self._how, next(title for title, many_ in self._many.items() if many_ == chosen.many))
        put(self._seed_mode, next(title for title, seeds in self._seeds.items() if seeds == chosen.seeds))
        put(self._number, chosen.number)
        put(self._count, self._count_words())
        if not dpg.is_item_shown(self._seed_problem):
            put(self._seed, str(chosen.seed))
        dpg.configure_item(self._number, show=chosen.many != "all")
        dpg.configure_item(self._seed, show=chosen.seeds in ("counting", "fixed"))

    def _show_places(self) -> None:
        ui, c, model = self._ui, self._ui.colours, self._model
        shown = [(place.pack, place.slot, place.mode, place.state) for place in model.places]
        if shown == self._places_shown:
            return
        self._places_shown = shown
        dpg.delete_item(self._places, children_only=True)
        dpg.configure_item(self._places, show=bool(shown))
        if not shown:
            return
        dpg.push_container_stack(self._places)
        try:
            with column(ui, 4):
                space(ui, 2)
                with row(ui, 10):
                    text(ui, _("GOES ON FROM RUN TO RUN"), "micro", c.faint, beside_frame=21)
                    button(
                        ui,
                        _("Begin all anew"),
                        model.reset_places,
                        "chip",
                        font="small_medium",
                        tag="randomizer.places.reset",
                    )
                for number, (pack, slot, mode, state) in enumerate(shown[:MOST_LINES]):
                    with strip(ui, self._width, ui.px(30)):
                        put_at(text(ui, slot[:24], "mono", c.accent_high), 0, ui.px(7))
                        name = f"{pack}  ·  {mode_title(mode)}"
                        put_at(text(ui, name, "small", c.muted), ui.px(180), ui.px(6))
                        put_at(text(ui, state, "small"), ui.px(400), ui.px(6))
                        item = button(
                            ui,
                            _("Begin anew"),
                            partial(model.reset_places, pack, slot),
                            "chip",
                            font="small_medium",
                            tag=f"randomizer.places.{number}",
                        )
                        put_at(item, self._width - ui.px(100), ui.px(2))
                if len(shown) > MOST_LINES:
                    more = many("and {n} more", "and {n} more", len(shown) - MOST_LINES)
                    text(ui, more, "small", c.muted)
        finally:
            dpg.pop_container_stack()
