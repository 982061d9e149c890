"""Prompts of several units in the one text that a stage has.

Without ``[UNIT]`` a text is that of every unit. Else it is ``MAIN [UNIT] FIRST [UNIT] SECOND [UNIT] REST``: the
row's prompt, the texts of the units, and what is added to each of those, so that a text appended to the whole
(a global negative prompt, trigger words) reaches every unit. The row's prompt stands there once, and units
name it ``[PROMPT]``: each choice in it is made once, as in txt2img. In a unit's text ``[SEP]`` separates the
texts of its finds, as in ADetailer; what is added is added to each of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stablenew_plugins.stages.common import join_prompts

UNIT, SEP, SKIP, PROMPT = "[UNIT]", "[SEP]", "[SKIP]", "[PROMPT]"

_SKIP = re.compile(r"\s*\[SKIP\]\s*")


def joined(main: str, texts: Sequence[str]) -> str:
    """The one text for ``texts``, one a unit; an empty one stands for ``main``."""
    texts = [text.strip() for text in texts]
    return f" {UNIT} ".join([main, *texts, ""]).rstrip() if any(texts) else main


def parted(text: str, units: int) -> list[str]:
    """The texts of ``units`` units, final. Raises ValueError if it was not made for so many."""
    if UNIT not in text:
        return [text] * units
    main, *found, rest = (part.strip() for part in text.split(UNIT))
    if len(found) != units:
        raise ValueError(f"the text has {len(found)} parts, and there are {units} units")
    rest = rest.removeprefix(",").strip()
    return [
        f" {SEP} ".join(_with(part.strip().replace(PROMPT, main) or main, rest) for part in one.split(SEP))
        for one in found
    ]


def _with(text: str, rest: str) -> str:
    return text if _SKIP.fullmatch(text) else join_prompts(text, rest)


def of_find(text: str, index: int) -> str | None:
    """The text of find ``index`` (from 0) of a unit; the last one goes on. None: it is left out."""
    parts = [part.strip() for part in text.split(SEP)]
    found = parts[min(index, len(parts) - 1)]
    return None if _SKIP.fullmatch(found) else found
