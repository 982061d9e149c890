"""Prompts of several units in the one text that a stage has.

Without ``[UNIT]`` a text is that of every unit. ``FIRST [UNIT] SECOND [UNIT] REST``: the last part is what is
added to each of the others, so that a text appended to the whole (a global negative prompt, trigger words)
reaches every unit. In a unit's text ``[SEP]`` separates the texts of its finds, as in ADetailer; what is added
is added to each of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stablenew_plugins.stages.common import join_prompts

UNIT, SEP, SKIP, PROMPT = "[UNIT]", "[SEP]", "[SKIP]", "[PROMPT]"

_SKIP = re.compile(r"\s*\[SKIP\]\s*")


def filled(text: str, main: str) -> str:
    """A unit's own text: nothing means ``main``, which also stands for ``[PROMPT]``; so in each part."""
    return f" {SEP} ".join(part.strip().replace(PROMPT, main) or main for part in text.split(SEP))


def joined(texts: Sequence[str]) -> str:
    """The one text for ``texts``, one a unit."""
    if len(set(texts)) == 1 and SEP not in texts[0]:
        return texts[0]
    return f" {UNIT} ".join([*texts, ""]).rstrip()


def parted(text: str, units: int) -> list[str]:
    """The texts of ``units`` units. Raises ValueError if it was not made for so many."""
    *found, rest = text.split(UNIT)
    if not found:
        return [text] * units
    if len(found) != units:
        raise ValueError(f"the text has {len(found)} parts, and there are {units} units")
    rest = rest.strip().removeprefix(",").strip()
    return [f" {SEP} ".join(_with(part.strip(), rest) for part in one.split(SEP)) for one in found]


def _with(text: str, rest: str) -> str:
    return text if _SKIP.fullmatch(text) else join_prompts(text, rest)


def of_find(text: str, index: int) -> str | None:
    """The text of find ``index`` (from 0) of a unit; the last one goes on. None: it is left out."""
    parts = [part.strip() for part in text.split(SEP)]
    found = parts[min(index, len(parts) - 1)]
    return None if _SKIP.fullmatch(found) else found
