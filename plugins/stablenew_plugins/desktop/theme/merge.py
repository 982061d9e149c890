"""A program of its own: adds characters of the system's fonts to ours.

``python -m stablenew_plugins.desktop.theme.merge`` reads one JSON object on its standard input and writes one;
see :mod:`.merging`. It takes seconds of computing and a hundred megabytes, neither of which the window has.
"""

from __future__ import annotations

import json
import struct
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fontTools.misc.roundTools import otRound
from fontTools.misc.transform import Transform
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables._g_l_y_f import Glyph

from stablenew_plugins.desktop.models.core.scripts import columns_of, is_invisible
from stablenew_plugins.desktop.theme.metrics import LARGER

MIDDLE = 0.38
"""Of a square character above the line, in em."""
ERROR = 1.5
"""How far a curve may be off, in 2,048th of an em: nobody sees it at these sizes."""
BROKEN = (
    TTLibError,
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    struct.error,
    TypeError,
    ValueError,
)
"""What fontTools raises for files that are half, or of a kind that it does not know."""
OUTLINES = ("glyf", "CFF ", "CFF2")
REGIONS: Mapping[str, frozenset[str]] = {
    "ja": frozenset({"JP", "J", "JA"}),
    "ko": frozenset({"KR", "K"}),
    "zh-Hans": frozenset({"SC", "CN", "GB"}),
    "zh-Hant": frozenset({"TC", "TW", "HK", "MO"}),
}
"""What stands in the names of fonts that are made for one language."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A glyph as it stands in the file, so that several fonts can take it as it is."""

    data: bytes
    left: int
    points: int
    contours: int

    @classmethod
    def of(cls, glyph: Any) -> Outline:
        """That of a glyph of fontTools."""
        glyph.recalcBounds(None)
        points = len(glyph.coordinates) if glyph.numberOfContours else 0
        data = glyph.compile(None, recalcBBoxes=False, optimizeSize=True)
        return cls(data, getattr(glyph, "xMin", 0), points, glyph.numberOfContours)


NOTHING = Outline(b"", 0, 0, 0)


class Source:
    """A font that characters are taken from."""

    def __init__(self, font: TTFont, letters: frozenset[str] | None = None) -> None:
        """``letters``: those that may be taken; all, if it is None."""
        weight = any(axis.axisTag == "wght" for axis in font["fvar"].axes) if "fvar" in font else False
        self._glyphs = font.getGlyphSet(location={"wght": 400} if weight else None)
        self._names: Mapping[int, str] = font.getBestCmap() or {}
        self._cubic = "glyf" not in font
        self._letters = letters
        self._last = ""
        self._drawn: tuple[DecomposingRecordingPen, float] | None = None
        self._made: dict[Transform, Outline] = {}
        """Glyphs of the last letter: several faces take the same."""
        self.em: int = font["head"].unitsPerEm

    def has(self, letter: str) -> bool:
        """Whether it has a glyph for ``letter``; it may turn out to be empty."""
        return (self._letters is None or letter in self._letters) and ord(letter) in self._names

    def outline(self, letter: str) -> tuple[DecomposingRecordingPen, float]:
        """What is drawn for ``letter``, and its width, in units of the font. Raises whatever a broken font
        makes fontTools raise."""
        if self._drawn is None or letter != self._last:
            glyph = self._glyphs[self._names[ord(letter)]]
            recording = DecomposingRecordingPen(self._glyphs)
            glyph.draw(recording)
            self._last, self._drawn, self._made = letter, (recording, glyph.width), {}
        return self._drawn

    def glyph(self, letter: str, transform: Transform) -> Outline:
        """The outline of ``letter`` as a glyph of a TrueType font."""
        recording, _width = self.outline(letter)
        if transform not in self._made:
            pen = TTGlyphPen(None)
            # Outlines of the other kind run the other way round.
            target = Cu2QuPen(pen, ERROR, reverse_direction=True) if self._cubic else pen
            recording.replay(TransformPen(target, transform))
            self._made[transform] = Outline.of(pen.glyph())
        return self._made[transform]


class Face:
    """One of our fonts, to which characters are added."""

    def __init__(self, path: Path) -> None:
        self.font = TTFont(path, recalcTimestamp=False, recalcBBoxes=False)
        self._em: int = self.font["head"].unitsPerEm
        self._capital: int = self.font["OS/2"].sCapHeight
        self._cmap: dict[int, str] = dict(self.font.getBestCmap())
        self.own = frozenset(map(chr, self._cmap))
        self._column: int = self.font["hmtx"][self._cmap[ord("0")]][0] if self.font["post"].isFixedPitch else 0
        """How wide all its letters are; 0: as wide as they need."""

    def add(self, letter: str, source: Source) -> bool:
        """Add ``letter`` as ``source`` draws it. Whether there is anything to be seen of it."""
        recording, width = source.outline(letter)
        blank = unicodedata.category(letter) == "Zs"
        if not recording.value and not blank:
            return False
        square = columns_of(letter) == 2
        scale = self._em / source.em * (LARGER if square else 1.0)
        rise = self._capital / 2 - MIDDLE * LARGER * self._em if square else 0.0
        width *= scale
        narrow, shift = 1.0, 0.0
        if self._column:
            room = columns_of(letter) * self._column
            if room:
                narrow = min(1.0, room / max(width, 1))
                shift = (room - width * narrow) / 2
            width = room
        self._put(letter, source.glyph(letter, Transform(scale * narrow, 0, 0, scale, shift, rise)), width)
        return True

    def add_nothing(self, letter: str) -> None:
        """Let nothing be seen of ``letter``."""
        self._put(letter, NOTHING, 0)

    def _put(self, letter: str, outline: Outline, width: float) -> None:
        name = f"u{ord(letter):05X}.added"
        self.font["glyf"][name] = Glyph(outline.data)
        self.font["hmtx"][name] = (otRound(width), outline.left)
        self._cmap[ord(letter)] = name
        limits = self.font["maxp"]
        limits.maxPoints = max(limits.maxPoints, outline.points)
        limits.maxContours = max(limits.maxContours, outline.contours)

    def save(self, path: Path) -> None:
        """Write it. Characters are found by a table that has room for all of them; the old one keeps ours."""
        table = CmapSubtable.newSubtable(12)
        table.platformID, table.platEncID, table.language, table.cmap = 3, 10, 0, self._cmap
        self.font["cmap"].tables.append(table)
        self.font["post"].formatType = 3.0  # without names of glyphs
        self.font["maxp"].numGlyphs = len(self.font.getGlyphOrder())
        self.font.save(path)


def opened(file: BinaryIO, languages: Sequence[str]) -> TTFont | None:
    """The font in a file, which is read while the font is used; of a collection that for the first of
    ``languages``, neither bold nor thin. None if there is none with outlines in it."""
    try:
        collection = file.read(4) == b"ttcf"
        file.seek(0)
        fonts = TTCollection(file, lazy=True).fonts if collection else [TTFont(file, lazy=True)]
        usable = [font for font in fonts if any(table in font for table in OUTLINES) and "cmap" in font]
        return min(usable, key=lambda font: _unlike(font, languages), default=None)
    except (OSError, *BROKEN):
        return None


def _unlike(font: TTFont, languages: Sequence[str]) -> tuple[int, bool, float]:
    """How far ``font`` is from what is wanted: of another region, of one width, too bold or too thin."""
    name = str(font["name"].getDebugName(4) or font["name"].getDebugName(1) or "") if "name" in font else ""
    words = set(name.upper().replace("-", " ").split())
    region = next((number for number, one in enumerate(languages) if words & REGIONS[one]), len(languages))
    weight = font["OS/2"].usWeightClass if "OS/2" in font else 400
    return region, "mono" in name.lower(), abs(weight - 400)


def sources(files: Sequence[Path], needed: set[str], languages: Sequence[str], used: ExitStack) -> list[Source]:
    """Fonts of ``files`` until all that is ``needed`` was found. The files stay open until ``used`` is left."""
    found, left = [], set(needed)
    for path in files:
        if not left:
            break
        with ExitStack() as tried, suppress(OSError, *BROKEN):
            font = opened(tried.enter_context(path.open("rb")), languages)
            source = Source(font) if font is not None else None
            has = {letter for letter in left if source.has(letter)} if source is not None else set()
            if source is not None and has:
                left -= has
                found.append(source)
                used.push(tried.pop_all())
    return found


def merge(request: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Make the fonts that ``request`` asks for in ``folder``. What could be added, and what is left."""
    needed, likely = set(request["needed"]), set(request["likely"])
    faces = [Face(Path(path)) for path in request["faces"]]
    wanted: set[str] = set()
    for face in faces:
        wanted |= needed - face.own
    # What one of our fonts has and another has not: it fits better than any other.
    ours = Source(faces[0].font, frozenset(letter for letter in faces[0].own if not _is_icon(letter)))
    left = {letter for letter in wanted if not is_invisible(letter) and not ours.has(letter)}
    added: set[str] = set()
    with ExitStack() as used:
        files = [Path(path) for path in request["files"]]
        found = [ours, *sources(files, left, request["languages"], used)]
        for letter in sorted(needed | likely):
            for face in faces:
                if letter in face.own:
                    continue
                if is_invisible(letter):
                    face.add_nothing(letter)
                    added.add(letter)
                elif _take(face, letter, found):
                    added.add(letter)
    for path, face in zip(request["faces"], faces, strict=True):
        face.save(folder / Path(path).name)
        face.font.close()
    return {"letters": "".join(sorted(added)), "lacking": "".join(sorted(wanted - added))}


def _is_icon(letter: str) -> bool:
    return unicodedata.category(letter) == "Co"


def _take(face: Face, letter: str, found: Sequence[Source]) -> bool:
    for source in found:
        if source.has(letter):
            # Fonts of the system are as they are: one broken glyph must not keep the others from being drawn.
            with suppress(*BROKEN):
                if face.add(letter, source):
                    return True
    return False


def main() -> None:
    """See above. ``{"folder": where to write, "faces": our fonts, "files": fonts to look into, the best first,
    "needed": characters, "likely": more of them, "languages": ...}``; the answer is that of :func:`merge`."""
    request = json.loads(sys.stdin.buffer.read())
    answer = merge(request, Path(request["folder"]))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
