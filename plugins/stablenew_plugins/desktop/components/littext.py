"""Lines of a prompt in letters of one width, with parts of it lit: drawn, so that thousands cost little."""

from __future__ import annotations

from collections.abc import Sequence

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.choices import Piece
from stablenew_plugins.desktop.theme.fonts import MONO_SIZE
from stablenew_plugins.desktop.theme.tokens import NONE, Colour

LINE = 19
"""Height of a line, before scaling."""


def draw_lines(
    ui: Ui, parent: Item, lines: Sequence[Sequence[Piece]], place: tuple[float, float], letter: float
) -> None:
    """Draw ``lines`` into a drawing, one below the other, from ``place`` on; ``letter`` pixels a letter."""
    c = ui.colours
    for number, line in enumerate(lines):
        x, y = place[0], place[1] + number * ui.px(LINE)
        for words, lit in line:
            wide = len(words) * letter
            if lit:
                dpg.draw_rectangle(
                    (x - ui.px(1), y - ui.px(1)),
                    (x + wide + ui.px(1), y + ui.px(16)),
                    rounding=ui.px(4),
                    fill=c.accent_soft,
                    color=NONE,
                    parent=parent,
                )
            draw_words(ui, parent, (x, y), words, c.accent_high if lit else c.text, "mono", MONO_SIZE)
            x += wide


def draw_words(
    ui: Ui, parent: Item, place: tuple[float, float], words: str, colour: Colour, font: str, size: float
) -> None:
    """Draw ``words`` into a drawing; ``size`` before scaling."""
    item = dpg.draw_text(place, words, color=colour, size=ui.px(size), parent=parent)
    dpg.bind_item_font(item, ui.fonts[font])
