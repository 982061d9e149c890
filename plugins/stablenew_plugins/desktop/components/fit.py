"""Texts cut to the room that there is."""

from __future__ import annotations

from functools import lru_cache

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.theme.fonts import measured


def width_of(ui: Ui, words: str, font: str) -> float:
    """How wide ``words`` are, in pixels."""
    size = dpg.get_text_size(words, font=ui.fonts[font])
    if size is not None and (size[0] > 0 or not words):
        return float(size[0])
    return measured(words, font, ui.scale)  # nothing was drawn with it yet


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


def broken(ui: Ui, words: str, font: str, width: float) -> str:
    """``words`` in lines of at most ``width`` pixels, broken at blanks alone: Dear PyGui would break ``0.7``
    behind its point, too. A word that is too long for a line is left to it."""
    blank = width_of(ui, "a a", font) - width_of(ui, "aa", font)
    lines: list[list[str]] = [[]]
    used = 0.0
    for word in words.split():
        wide = width_of(ui, word, font)
        if lines[-1] and used + blank + wide > width:
            lines.append([])
            used = 0.0
        used += wide + (blank if lines[-1] else 0.0)
        lines[-1].append(word)
    return "\n".join(" ".join(line) for line in lines)


@lru_cache(maxsize=4096)
def shorten(words: str, most: int) -> str:
    """``words`` in at most ``most`` characters, cut at a blank if there is one near the end."""
    if len(words) <= most:
        return words
    cut = words[: most - 1]
    blank = cut.rfind(" ")
    return (cut[:blank] if blank > most * 0.75 else cut).rstrip(" ,") + "…"
