"""Lines of a prompt in letters of one width, with parts of it lit: drawn, so that thousands cost little."""

from __future__ import annotations

from collections.abc import Sequence

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import draw_words
from stablenew_plugins.desktop.components.fit import width_of
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.scripts import columns
from stablenew_plugins.desktop.models.prompt.choices import Piece
from stablenew_plugins.desktop.theme.fonts import MONO
from stablenew_plugins.desktop.theme.tokens import NONE

LINE = 19
"""Height of a line, before scaling."""


def column_width(ui: Ui) -> float:
    """How wide a letter is, in pixels; a Chinese one takes two columns of it."""
    return width_of(ui, "m" * 40, MONO) / 40


def draw_lines(ui: Ui, parent: Item, lines: Sequence[Sequence[Piece]], place: tuple[float, float]) -> None:
    """Draw ``lines`` into a drawing, one below the other, from ``place`` on, in its pixels."""
    c, column = ui.colours, column_width(ui)
    for number, line in enumerate(lines):
        x, y = place[0], place[1] + number * ui.px(LINE)
        for words, lit in line:
            wide = columns(words) * column
            if lit:
                dpg.draw_rectangle(
                    (x - ui.px(1), y - ui.px(1)),
                    (x + wide + ui.px(1), y + ui.px(16)),
                    rounding=ui.px(4),
                    fill=c.accent_soft,
                    color=NONE,
                    parent=parent,
                )
            draw_words(ui, parent, (x, y), words, c.accent_high if lit else c.text, MONO)
            x += wide
