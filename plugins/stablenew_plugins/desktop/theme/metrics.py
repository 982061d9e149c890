"""How wide letters are, read from a TrueType file. A library for fonts takes longer to load than the window."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LARGER = 1.1
"""Square characters of other fonts, beside our letters of the same size: many strokes need the room."""


class Metrics:
    """Widths of the characters of one font. Raises OSError, and struct.error for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        count = self._read(">H", 4)[0]
        self._tables = {}
        for number in range(count):
            name, _checksum, offset, _length = self._read(">4sIII", 12 + 16 * number)
            self._tables[name.decode("ascii")] = offset
        ascent, descent = self._read(">hh", self._tables["hhea"] + 4)
        self.height: int = ascent - descent
        """From the highest to the lowest, in units of the font: what its size in pixels is about."""
        self.em: int = self._read(">H", self._tables["head"] + 18)[0]
        self._advances: int = self._read(">H", self._tables["hhea"] + 34)[0]
        self._glyphs = self._characters()

    def width(self, words: str) -> int:
        """How wide ``words`` are, in units of the font. What the font does not have is as wide as its box."""
        return sum(self._advance(self._glyphs.get(ord(letter), 0)) for letter in words)

    @property
    def characters(self) -> Iterable[str]:
        """What it has, of the first 65,536."""
        return map(chr, self._glyphs)

    def _advance(self, glyph: int) -> int:
        number = min(glyph, self._advances - 1)  # all behind the last one are as wide as it
        advance: int = self._read(">H", self._tables["hmtx"] + 4 * number)[0]
        return advance

    def _characters(self) -> dict[int, int]:
        """The glyph of each character: of the first table of format 4, which has the first 65,536."""
        start = self._tables["cmap"]
        for number in range(self._read(">H", start + 2)[0]):
            offset = start + self._read(">I", start + 8 + 8 * number)[0]
            if self._read(">H", offset)[0] == 4:
                return self._segments(offset)
        return {}

    def _segments(self, offset: int) -> dict[int, int]:
        count = self._read(">H", offset + 6)[0] // 2
        at = offset + 14
        ends = self._read(f">{count}H", at)
        begins = self._read(f">{count}H", at + 2 * count + 2)
        deltas = self._read(f">{count}H", at + 4 * count + 2)
        ranges = at + 6 * count + 2
        places = self._read(f">{count}H", ranges)
        found = {}
        for number, (begin, end, delta, place) in enumerate(zip(begins, ends, deltas, places, strict=True)):
            for code in range(begin, min(end, 0xFFFE) + 1):
                glyph = code
                if place:
                    glyph = self._read(">H", ranges + 2 * number + place + 2 * (code - begin))[0]
                    if not glyph:
                        continue
                found[code] = (glyph + delta) & 0xFFFF
        return found

    def _read(self, form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(form, self._data, offset)
