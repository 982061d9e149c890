"""The fonts: Inter with the icons of Lucide in it, so that one stands in a text like a letter; JetBrains Mono.

``assets/build_fonts.py`` makes them."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.models.core.letters import Faces
from stablenew_plugins.desktop.models.core.scripts import columns_of
from stablenew_plugins.desktop.theme.metrics import LARGER, Metrics

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


PLAIN = frozenset({"logo", "icon", "icon_large", "star"})
"""Those in which nothing is written that a person or a file says."""


def file_of(name: str) -> Path:
    """The file of ours that the font called ``name`` is loaded from."""
    return FOLDER / (f"StableNewUI-{FACES[name][0]}.ttf" if name in FACES else "JetBrainsMono-Regular.ttf")


def copies_of(stem: str) -> int:
    """How many fonts are loaded from the file of that name, where one with more characters takes its place."""
    return sum(file_of(name).stem == stem for name in (*FACES, MONO) if name not in PLAIN)


@lru_cache(maxsize=16)
def _face(name: str) -> Metrics:
    return Metrics(file_of(name))


@lru_cache(maxsize=2)
def characters(mono: bool) -> frozenset[str]:
    """What our fonts have: those for texts of all kinds, or the one whose letters are all as wide."""
    return frozenset(_face(MONO if mono else "body").characters)


def measured(words: str, font: str, scale: float) -> int:
    """How wide ``words`` are in whole pixels, from the font's file: before Dear PyGui has drawn with it. What
    the file does not have is as wide as it is in other fonts: see :func:`foreign`."""
    face = _face(font)
    size = round(size_of(font) * scale)
    own = characters(font == MONO)
    widest = 0.0
    for line in words.split("\n"):
        letters, others = line, 0.0
        if not line.isascii():
            letters = "".join(letter for letter in line if letter in own or columns_of(letter) == 1)
            others = sum(foreign(letter, font, scale) for letter in line if letter not in own)
        widest = max(widest, face.width(letters) * size / face.height + others)
    return math.ceil(widest)


def foreign(letter: str, font: str, scale: float) -> float:
    """How wide a character that ours do not have is, in pixels, once a font of the system draws it: a square if
    it is Chinese, 0 if it stands over another one or that is not known."""
    if columns_of(letter) != 2:
        return 0.0
    face = _face(font)
    em = 2 * face.width("0") if font == MONO else LARGER * face.em
    return em * round(size_of(font) * scale) / face.height


class Fonts:
    """All of them, loaded for one scale; see :func:`fonts_at`. Glyphs are drawn when they are first needed."""

    def __init__(self, scale: float, faces: Faces | None = None) -> None:
        """``faces``: what to load instead of ours."""
        self._scale, self._faces = scale, faces
        self._prepared: dict[str, int | str] = {}
        with dpg.font_registry() as self.registry:
            self._by_name = {name: self._load(name, faces) for name in (*FACES, MONO)}
        self._mono = {self._by_name[MONO]}

    def _load(self, name: str, faces: Faces | None) -> int | str:
        path = file_of(name)
        if faces is not None and name not in PLAIN:
            path = faces.files.get(path.stem, path)
        font: int | str = dpg.add_font(str(path), round(size_of(name) * self._scale))
        return font

    def __getitem__(self, name: str) -> int | str:
        """The font called ``name``: one of :data:`FACES`, or :data:`MONO`."""
        return self._by_name[name]

    def lack(self, words: str, mono: bool) -> set[str]:
        """The characters of ``words`` that the fonts do not have: those for texts of all kinds, or the one
        whose letters are all as wide."""
        if words.isascii():
            return set()
        lacking = set(words) - characters(mono)
        return lacking - self._faces.letters if self._faces is not None else lacking

    def is_mono(self, font: int | str | None) -> bool:
        """Whether ``font``, as Dear PyGui names it, is the one whose letters are all as wide, or has been."""
        return font in self._mono

    def prepare(self, faces: Faces) -> None:
        """Load others, for :meth:`switch` behind the next frame: nothing is known of their letters before."""
        names = [name for name in self._by_name if name not in PLAIN]
        dpg.push_container_stack(self.registry)
        try:
            self._prepared = {name: self._load(name, faces) for name in names}
        finally:
            dpg.pop_container_stack()

    def switch(self, faces: Faces) -> dict[int | str, int | str]:
        """Use what :meth:`prepare` has loaded. The new font for each old one, which stays loaded."""
        moves = {self._by_name[name]: font for name, font in self._prepared.items()}
        self._by_name |= self._prepared
        self._prepared, self._faces = {}, faces
        self._mono.add(self._by_name[MONO])
        return moves

    def has(self, faces: Faces | None) -> bool:
        """Whether ``faces`` are what it draws with."""
        return self._faces is faces


_loaded: dict[float, Fonts] = {}


def fonts_at(scale: float, faces: Faces | None = None) -> Fonts:
    """The fonts at ``scale``, with ``faces`` in the place of ours. They stay loaded: Dear PyGui 2.3.1 crashes
    in the frame after a font that was in use is deleted, and there are no more scales than a person tries."""
    fonts = _loaded.get(scale)
    if fonts is None or not fonts.has(faces) or not dpg.does_item_exist(fonts.registry):
        fonts = _loaded[scale] = Fonts(scale, faces)
    return fonts


def forget_fonts() -> None:
    """The context that had them is gone, and they with it."""
    _loaded.clear()
