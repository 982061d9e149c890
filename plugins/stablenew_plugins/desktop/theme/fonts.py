"""The fonts: Inter with the icons of Lucide in it, so that one stands in a text like a letter; JetBrains Mono.

``assets/build_fonts.py`` makes them."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.theme.metrics import Metrics

FOLDER = Path(__file__).parent.parent / "assets" / "fonts"

FACES = {
    "body": ("Regular", 15),
    "medium": ("Medium", 15),
    "small": ("Regular", 13),
    "small_medium": ("Medium", 13),
    "micro": ("SemiBold", 11),
    "h1": ("SemiBold", 22),
    "h2": ("SemiBold", 16),
    "logo": ("Bold", 18),
    "icon": ("Regular", 18),
    "icon_large": ("Regular", 20),
    "star": ("Regular", 24),
}
"""Weight and size, before scaling, by what it is for."""

MONO = "mono"
MONO_SIZE = 13


def size_of(font: str) -> int:
    """How high its letters are, before scaling."""
    return MONO_SIZE if font == MONO else FACES[font][1]


ICON_WIDTH = 0.955
"""How wide an icon is, of the height of its font. It is drawn in the middle of that, and of the height."""


@lru_cache(maxsize=16)
def _face(name: str) -> Metrics:
    weight = FACES[name][0] if name in FACES else ""
    return Metrics(FOLDER / (f"StableNewUI-{weight}.ttf" if weight else "JetBrainsMono-Regular.ttf"))


def measured(words: str, font: str, scale: float) -> int:
    """How wide ``words`` are in whole pixels, from the font's file: before Dear PyGui has drawn with it."""
    face = _face(font)
    widest = max(face.width(line) for line in words.split("\n"))
    return math.ceil(widest * round(size_of(font) * scale) / face.height)


class Fonts:
    """All of them, loaded for one scale; see :func:`fonts_at`. Glyphs are drawn when they are first needed."""

    def __init__(self, scale: float) -> None:
        self._by_name: dict[str, int | str] = {}
        with dpg.font_registry() as self.registry:
            for name, (weight, size) in FACES.items():
                path = FOLDER / f"StableNewUI-{weight}.ttf"
                self._by_name[name] = dpg.add_font(str(path), round(size * scale))
            self._by_name[MONO] = dpg.add_font(
                str(FOLDER / "JetBrainsMono-Regular.ttf"), round(MONO_SIZE * scale)
            )

    def __getitem__(self, name: str) -> int | str:
        """The font called ``name``: one of :data:`FACES`, or :data:`MONO`."""
        return self._by_name[name]


_loaded: dict[float, Fonts] = {}


def fonts_at(scale: float) -> Fonts:
    """The fonts at ``scale``. They stay loaded: Dear PyGui 2.3.1 crashes in the frame after a font that was in
    use is deleted, and there are no more scales than a person tries."""
    fonts = _loaded.get(scale)
    if fonts is None or not dpg.does_item_exist(fonts.registry):
        fonts = _loaded[scale] = Fonts(scale)
    return fonts


def forget_fonts() -> None:
    """The context that had them is gone, and they with it."""
    _loaded.clear()
