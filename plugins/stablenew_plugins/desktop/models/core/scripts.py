"""Scripts of the world: which one a character belongs to, how wide it is among letters of one width, and which
characters are likely to come once one of them was seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Set
from functools import lru_cache
from typing import Literal

from stablenew_plugins.desktop.text import _

Language = Literal["ja", "ko", "zh-Hans", "zh-Hant"]
"""Languages that write the same characters in shapes of their own."""

LANGUAGES: tuple[Language, ...] = ("zh-Hans", "ja", "zh-Hant", "ko")

BLOCK = 0x80
"""How many neighbours of a character come with it, where a script has no list of its own."""


@lru_cache(maxsize=8192)
def columns_of(letter: str) -> int:
    """How many columns ``letter`` takes in a font of one width: 2 for a Chinese one, 0 for an accent that goes
    over the letter before it."""
    if letter.isascii():
        return 1
    if is_invisible(letter) or unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def columns(words: str) -> int:
    """How many columns ``words`` take."""
    return len(words) if words.isascii() else sum(map(columns_of, words))


def is_invisible(letter: str) -> bool:
    """Whether ``letter`` only says how others are to be shown: joiners, directions, variants."""
    return unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f"


def can_be_drawn(letter: str) -> bool:
    """Whether some font may have ``letter``: it is none for private use, no control character, and assigned."""
    return unicodedata.category(letter) not in ("Cc", "Cn", "Co", "Cs")


def is_han(letter: str) -> bool:
    """Whether it is one of the characters that Chinese, Japanese and Korean share."""
    return (
        "\u3400" <= letter <= "\u9fff"
        or "\uf900" <= letter <= "\ufaff"
        or "\U00020000" <= letter <= "\U000323af"
    )


def is_kana(letter: str) -> bool:
    """Whether it is a Japanese syllable."""
    return "\u3041" <= letter <= "\u30ff" or "\u31f0" <= letter <= "\u31ff" or "\uff66" <= letter <= "\uff9f"


def is_hangul(letter: str) -> bool:
    """Whether it is a Korean syllable, or a part of one."""
    return "\uac00" <= letter <= "\ud7af" or "\u3131" <= letter <= "\u318e" or "\u1100" <= letter <= "\u11ff"


def languages_of(letters: Iterable[str]) -> list[Language]:
    """The languages that ``letters`` are likely to be of. Kana are Japanese, Hangul is Korean; what several of
    them share is Chinese if Japanese has not got it, or nothing else is Japanese: the traditional one, if
    simplified Chinese has not got it."""
    seen = set(letters)
    han = set(filter(is_han, seen))
    found: list[Language] = []
    if any(map(is_kana, seen)):
        found.append("ja")
        han -= _whole("euc_jp")
    if any(map(is_hangul, seen)):
        found.append("ko")
    simplified = _whole("gb2312") if han else frozenset()
    if han & simplified:
        found.append("zh-Hans")
    if (han - simplified) & (_whole("big5") if han else frozenset()):
        found.append("zh-Hant")
    return found


def everyday(letters: Set[str], languages: Iterable[Language]) -> frozenset[str]:
    """What is likely to come next to ``letters``: the everyday characters of ``languages``, and for other
    scripts those that stand beside them. Without ``letters`` themselves."""
    likely: set[str] = set()
    for language in languages:
        likely |= _everyday(language)
    for letter in letters:
        if not (is_han(letter) or is_hangul(letter)):
            first = ord(letter) // BLOCK * BLOCK
            likely.update(filter(can_be_drawn, map(chr, range(first, first + BLOCK))))
    return frozenset(likely - letters)


@lru_cache(maxsize=4)
def _everyday(language: Language) -> frozenset[str]:
    """The characters that a standard of the language has put first, about 2,400 to 5,400, and punctuation."""
    shared = {
        chr(code) for area in ((0x3000, 0x3040), (0xFF01, 0xFF61), (0xFFE0, 0xFFE7)) for code in range(*area)
    }
    shared = set(filter(can_be_drawn, shared))
    if language == "ja":
        kana = {chr(code) for code in range(0x3041, 0x3100) if can_be_drawn(chr(code))}
        return frozenset(shared | kana | _area("euc_jp", 0xB0, 0xCF))
    if language == "ko":
        return frozenset(shared | _area("euc_kr", 0xB0, 0xC8))
    if language == "zh-Hant":
        return frozenset(shared | _area("big5", 0xA4, 0xC6, 0x40))
    return frozenset(shared | _area("gb2312", 0xB0, 0xD7))


def _area(encoding: str, first: int, last: int, second: int = 0xA1) -> set[str]:
    """The characters of ``encoding`` in two bytes, of which the first is ``first`` to ``last``."""
    pairs = (bytes((high, low)) for high in range(first, last + 1) for low in range(second, 0xFF))
    return {
        letter for pair in pairs if len(letter := pair.decode(encoding, "ignore")) == 1 and ord(letter) > 0x7F
    }


@lru_cache(maxsize=3)
def _whole(encoding: str) -> frozenset[str]:
    return frozenset(_area(encoding, 0xA1, 0xFE, 0x40))


_NAMES = {
    "HEBREW": _("Hebrew letters"),
    "ARABIC": _("Arabic letters"),
    "THAI": _("Thai letters"),
    "LAO": _("Lao letters"),
    "DEVANAGARI": _("Devanagari letters"),
    "BENGALI": _("Bengali letters"),
    "TAMIL": _("Tamil letters"),
    "GEORGIAN": _("Georgian letters"),
    "ARMENIAN": _("Armenian letters"),
    "ETHIOPIC": _("Ethiopic letters"),
    "KHMER": _("Khmer letters"),
    "GREEK": _("Greek letters"),
    "CYRILLIC": _("Cyrillic letters"),
    "LATIN": _("Latin letters"),
}


def name_of(letter: str) -> str:
    """What the script of ``letter`` is called, in a sentence; empty if it is no letter, but a symbol."""
    if is_kana(letter):
        return _("Japanese characters")
    if is_hangul(letter):
        return _("Korean characters")
    if is_han(letter):
        return _("Chinese characters")
    if unicodedata.category(letter)[0] != "L":
        return ""
    first = unicodedata.name(letter, "").partition(" ")[0]
    return _NAMES.get(first) or _("{script} letters").format(script=first.capitalize())
