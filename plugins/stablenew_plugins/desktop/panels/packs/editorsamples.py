"""What a run makes of the row that is edited, below its texts."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    column,
    draw_words,
    enable_button,
    row,
    set_text,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.littext import LINE, column_width, draw_lines
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.packs.editor import EditorModel
from stablenew_plugins.desktop.models.packs.samples import Expanded
from stablenew_plugins.desktop.models.prompt.choices import telling, wrapped
from stablenew_plugins.desktop.text import _, formula
from stablenew_plugins.desktop.theme import icons

NUMBER = 28
"""Width of the column of the numbers."""
PAD_X, PAD_Y = 12, 8
GAP = 6
ELLIPSES = 4
"""Letters that stay free for them."""
BAR = 11
"""Beside them, for the scroll bar."""
MOST_LINES = 4
"""Of a prompt; of a longer one those in which something was chosen."""


class SampleList:
    """See above. It takes all the height that is left."""

    def __init__(self, ui: Ui, model: EditorModel, width: int) -> None:
        """In the current container; ``width`` in pixels."""
        self._ui, self._model, self._width = ui, model, width
        self._drawn: Expanded | None = None
        self.wanted_height = 10**6
        """Pixels in which all of them can be seen; without any, those of the samples before."""
        c = ui.colours
        with row(ui, 10):
            text(ui, _("WHAT A RUN MAKES OF THIS ROW"), "micro", c.faint, beside_frame=21)
            self._others = button(
                ui,
                _("Draw others"),
                model.draw_others,
                "chip",
                icon=icons.SHUFFLE,
                font="small_medium",
                tag="editor.others",
                tip=_("Other prompts that this row can become. The next run takes what it draws itself."),
            )
            self._line = text(ui, "", "small", c.muted, beside_frame=21, tag="editor.line")
            self._line_tip = tooltip(ui, self._line, "", width=520)
        with (
            dpg.child_window(
                border=False, width=width + ui.px(BAR), height=-1, tag="editor.samples"
            ) as self.item,
            column(ui, GAP, tag="editor.expanded") as self._list,
        ):
            pass

    def apply(self) -> None:
        """Bring it up to date."""
        ui, c, model = self._ui, self._ui.colours, self._model
        found = model.expanded
        enable_button(self._others, found.images > 1 and not model.samples.is_asking)
        dpg.configure_item(self._others, show=found.images > 1)
        broken = any(problem.severity == "error" for problem in model.readings.problems("positive"))
        if found.problem:
            words = _("nothing before it is mended") if broken else found.problem
        else:
            words = formula(found.line)
        room = self._width - ui.px(250) - (ui.px(130) if found.images > 1 else 0)
        colour = c.red if found.problem and not broken else c.muted
        set_text(self._line, fit(ui, words, "small", room), colour)
        dpg.set_value(self._line_tip, words)
        if found is not self._drawn:
            self._drawn = found
            self._fill(found)

    def _fill(self, found: Expanded) -> None:
        ui = self._ui
        dpg.delete_item(self._list, children_only=True)
        dpg.set_y_scroll(self.item, 0)
        dpg.push_container_stack(self._list)
        heights = []
        try:
            letter = column_width(ui)
            for number, sample in enumerate(found.samples, 1):
                columns = int((self._width - ui.px(NUMBER + 2 * PAD_X)) / letter) - ELLIPSES
                lines = telling(wrapped(sample.prompt, sample.lit, columns), MOST_LINES)
                heights.append(self._draw(number, lines) + ui.px(GAP))
        finally:
            dpg.pop_container_stack()
        if heights:
            self.wanted_height = sum(heights)

    def _draw(self, number: int, lines: list[list[tuple[str, bool]]]) -> int:
        ui, c = self._ui, self._ui.colours
        height = ui.px(2 * PAD_Y) + len(lines) * ui.px(LINE)
        drawing: Item = dpg.add_drawlist(self._width, height)
        dpg.draw_rectangle(
            (0.5, 0.5),
            (self._width - 0.5, height - 0.5),
            rounding=ui.px(8),
            color=c.line_soft,
            fill=c.inset,
            parent=drawing,
        )
        draw_words(ui, drawing, (ui.px(PAD_X), ui.px(PAD_Y + 1)), f"{number}", c.faint, "small_medium")
        draw_lines(ui, drawing, lines, (ui.px(NUMBER + PAD_X), ui.px(PAD_Y)))
        return height
