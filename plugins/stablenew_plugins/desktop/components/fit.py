"""Texts cut to the room that there is."""

from __future__ import annotations

from collections.abc import Callable
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
    return cut(words, width, lambda part: width_of(ui, part, font))


def cut(text: str, width: float, measure: Callable[[str], float]) -> str:
    """``text``, cut with an ellipsis where it is wider than ``width``. ``measure``: how wide a text is."""
    if measure(text) <= width:
        return text
    least, most = 0, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        if measure(text[:middle].rstrip() + "…") <= width:
            least = middle
        else:
            most = middle - 1
    return text[:least].rstrip() + "…"


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
    first = words[: most - 1]
    blank = first.rfind(" ")
    return (first[:blank] if blank > most * 0.75 else first).rstrip(" ,") + "…"
