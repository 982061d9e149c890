"""Texts cut to the room that there is."""

from __future__ import annotations

from functools import lru_cache

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.theme.fonts import MONO, foreign, measured


def width_of(ui: Ui, words: str, font: str) -> float:
    """How wide ``words`` are, in pixels. Characters for which a font is still being looked for count as what
    they will be, so that nothing has to be fitted again."""
    size = dpg.get_text_size(words, font=ui.fonts[font])
    if size is not None and (size[0] > 0 or not words):
        return float(size[0]) + _to_come(ui, words, font)
    return measured(words, font, ui.scale)  # nothing was drawn with it yet


def _to_come(ui: Ui, words: str, font: str) -> float:
    lacking = ui.fonts.lack(words, font == MONO)
    wide = {letter: width for letter in lacking if (width := foreign(letter, font, ui.scale))}
    if not wide:
        return 0.0
    instead = float(dpg.get_text_size("?", font=ui.fonts[font])[0])
    return sum(wide[letter] - instead for letter in words if letter in wide)


def fit(ui: Ui, words: str, font: str, width: float) -> str:
    """``words`` if they fit into ``width`` pixels, else their beginning with an ellipsis."""
    if width_of(ui, words, font) <= width:
        return words
    least, most = 0, len(words)
    while least < most:
        middle = (least + most + 1) // 2
        if width_of(ui, words[:middle].rstrip() + "…", font) <= width:
            least = middle
        else:
            most = middle - 1
    return words[:least].rstrip() + "…"


@lru_cache(maxsize=4096)
def shorten(words: str, most: int) -> str:
    """``words`` in at most ``most`` characters, cut at a blank if there is one near the end."""
    if len(words) <= most:
        return words
    cut = words[: most - 1]
    blank = cut.rfind(" ")
    return (cut[:blank] if blank > most * 0.75 else cut).rstrip(" ,") + "…"
