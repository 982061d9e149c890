"""The tab Prompt: what runs, the randomizer, and what will be made of it, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    column,
    set_text,
    space,
    text,
    tooltip,
    within,
)
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.prompt.hints import HintList
from stablenew_plugins.desktop.panels.prompt.randomizer import RandomizerCard
from stablenew_plugins.desktop.panels.prompt.variants import VariantsCard
from stablenew_plugins.desktop.panels.prompt.written import WhatRunsCard
from stablenew_plugins.desktop.text import _, formula
from stablenew_plugins.desktop.theme import icons

EDGE = 20
TOP = 94
"""Height of the head, which stays while the rest scrolls."""


class PromptPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        draft = bench.variants.draft
        super().__init__(
            ui, bench.packs, bench.randomizer, bench.randomizer.quick, bench.run, bench.variants, draft
        )
        self._bench = bench
        self._runs = WhatRunsCard(ui, bench)
        self._hints = HintList(ui, bench.randomizer.forget)
        self._randomizer = RandomizerCard(ui, bench)
        self._variants = VariantsCard(ui, bench)
        self._width = 0

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with column(ui, 6, pos=(ui.px(EDGE), ui.px(18))):
            text(ui, _("Prompt"), "h1")
            self._line = text(ui, "", "small_medium", tag="prompt.line")
            self._line_tip = tooltip(ui, self._line, "", width=520)
            self._formula = text(ui, "", "small", ui.colours.muted, tag="prompt.formula")
        self._reset = button(
            ui,
            _("Reset"),
            self._bench.randomizer.reset,
            "ghost",
            icon=icons.ROTATE_CCW,
            height=34,
            tag="prompt.reset",
            tip=_("Take back all that was changed in the randomizer"),
        )
        with (
            area(ui, tag="prompt.scroll", pos=(ui.px(EDGE), ui.px(TOP))),
            column(ui, 12) as self._page,
        ):
            self._runs.build()
            self._hints.build()

    def pieces(self) -> Sequence[Callable[[], None]]:
        """The other cards."""
        return (
            partial(within, self._page, self._randomizer.build),
            partial(within, self._page, self._variants.build),
            partial(within, self._page, partial(space, self.ui, 12)),
        )

    def resized(self) -> None:
        """The room for it has another size."""
        ui = self.ui
        width = dpg.get_item_width("area.prompt") or ui.px(900)
        height = dpg.get_item_height("area.prompt") or ui.px(800)
        dpg.configure_item(
            "prompt.scroll", width=max(width - ui.px(EDGE), 1), height=max(height - ui.px(TOP), 1)
        )
        dpg.set_item_pos(self._reset, [width - ui.px(EDGE + 14) - ui.px(96), ui.px(18)])
        # A scroll bar keeps its place, so that nothing moves when it comes.
        inner = width - 2 * ui.px(EDGE)
        if inner != self._width:
            self._width = inner
            for part in (self._runs, self._hints, self._randomizer, self._variants):
                part.resized(inner)

    def apply(self) -> None:
        """Bring them up to date."""
        ui, bench = self.ui, self._bench
        variants, run = bench.variants, bench.run
        counted = formula(variants.line)
        words = "  ·  ".join(part for part in (variants.plain or counted, variants.time) if part)
        if not words and not run.sources:
            words = _("Choose packs on the left, or write a prompt")
        elif not words:
            words = _("Counting …") if run.is_planning else _("This cannot run yet")
        dpg.set_value(self._line_tip, "\n".join(dict.fromkeys((words, counted or words))))
        room = self._width - (ui.px(130) if bench.randomizer.is_changed else 0)
        set_text(
            self._line,
            fit(ui, words, "small_medium", room),
            ui.colours.faint if run.is_planning else ui.colours.text,
        )
        set_text(self._formula, fit(ui, counted, "small", room) if variants.plain else "")
        dpg.configure_item(self._reset, show=bench.randomizer.is_changed)
        self._runs.apply()
        self._hints.apply(variants.hints)
        self._randomizer.apply()
        self._variants.apply()

    def frame(self) -> None:
        """Widths of letters are known when the first frame is drawn."""
        self._variants.frame()
