"""Fonts for tests, made of squares: none need be installed."""

from __future__ import annotations

from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont


def square(pen: Any, side: int, curved: bool = False) -> Any:
    """A square from (0, 0), with a round corner if it is ``curved``."""
    pen.moveTo((0, 0))
    pen.lineTo((0, side))
    if curved:
        pen.curveTo((side // 2, side), (side, side), (side, side // 2))
    else:
        pen.lineTo((side, side))
    pen.lineTo((side, 0))
    pen.closePath()
    return pen


def font(
    letters: str, em: int = 1000, name: str = "Test Sans", weight: int = 400, cubic: bool = False
) -> TTFont:
    """A font in which each letter is a square as large as its em."""
    names = {letter: f"u{ord(letter):04X}" for letter in letters}
    builder = FontBuilder(em, isTTF=not cubic)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(letter): name for letter, name in names.items()})
    order = [".notdef", *names.values()]
    if cubic:
        drawn = {glyph: square(T2CharStringPen(em, None), em, curved=True).getCharString() for glyph in order}
        builder.setupCFF(name.replace(" ", ""), {}, drawn, {})
    else:
        builder.setupGlyf({glyph: square(TTGlyphPen(None), em).glyph() for glyph in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (em, 0)))
    builder.setupHorizontalHeader(ascent=em, descent=0)
    builder.setupNameTable({"familyName": name, "styleName": "Regular", "fullName": name})
    builder.setupOS2(usWeightClass=weight)
    builder.setupPost()
    made: TTFont = builder.font
    return made
