"""Brackets of a prompt: which belong together, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_CLOSING = {closing: opening for opening, closing in PAIRS.items()}
_SIGN = re.compile(r"\\.|[()\[\]{}]|<(?=[A-Za-z])|>", re.DOTALL)

Pair = tuple[int, int]
"""Places of the two, in characters."""


def pairs_of(text: str) -> tuple[Sequence[Pair], Sequence[int]]:
    """All brackets that belong together, and the places of those without a partner, both in order. One behind a
    backslash is a letter, and so is a ``<`` that begins no tag and a ``>`` that ends none."""
    found: list[Pair] = []
    alone: list[int] = []
    opened: list[int] = []
    for match in _SIGN.finditer(text):
        sign, at = match[0], match.start()
        if sign in PAIRS:
            opened.append(at)
        elif sign in _CLOSING:
            place = next((n for n, one in enumerate(reversed(opened)) if text[one] == _CLOSING[sign]), None)
            if place is None:
                if sign != ">":
                    alone.append(at)
                continue
            del opened[len(opened) - place :]  # what was opened in between and never closed
            found.append((opened.pop(), at))
    within = {at for pair in found for at in pair}
    openings = (match.start() for match in _SIGN.finditer(text) if match[0] in PAIRS)
    return sorted(found), sorted([*alone, *(at for at in openings if at not in within)])


def pair_at(text: str, caret: int) -> Pair | None:
    """The bracket beside ``caret``, the one behind it first, with its partner; None: there is none."""
    if not any(sign in text[max(0, caret - 1) : caret + 1] for sign in "()[]{}<>"):
        return None
    found, _alone = pairs_of(text)
    for at in (caret, caret - 1):
        for pair in found:
            if at in pair:
                return pair
    return None


def is_balanced(text: str) -> bool:
    """Whether each bracket in ``text`` has its partner in it."""
    return not pairs_of(text)[1]
