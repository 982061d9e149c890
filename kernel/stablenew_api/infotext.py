"""The A1111 infotext, the ``parameters`` text that every tool of the ecosystem reads: its grammar, both ways.

Source: ``modules/infotext_utils.py`` and ``create_infotext`` of ``modules/processing.py`` of the AUTOMATIC1111
WebUI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from stablenew_api.jobs import JsonValue

NEGATIVE = "Negative prompt:"

KEY = re.compile(r"\w[\w \-/]+")
"""What a key must look like for a reader to find it."""

_PAIR = re.compile(
    r'\s*(\w[\w \-/]++):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
    # What can begin no pair is passed over in one go: without that, a long line takes quadratic time.
    r"|[\w \-/]++(?!:)|[\s\-/]++"
)
"""A1111's own, and the two alternatives that find nothing."""
_SIZE = re.compile(r"(\d+)x(\d+)")
FEWEST_PAIRS = 3
"""A last line with fewer is taken for a part of the prompt."""

DEFAULTS = {"Clip skip": "1", "RNG": "GPU", "Schedule type": "Automatic", "Hires sampler": "Use same sampler"}
"""What a reader takes a missing key to mean."""


@dataclass(frozen=True, slots=True)
class Infotext:
    """An infotext, read."""

    prompt: str
    negative_prompt: str
    pairs: tuple[tuple[str, str], ...]
    """As written, in order, unquoted. Empty when the text has no line of parameters."""

    @property
    def parameters(self) -> dict[str, str]:
        """As A1111's reader gives them: ``Size: 512x768`` becomes Size-1 and Size-2, defaults are filled in."""
        result: dict[str, str] = {}
        for key, value in self.pairs:
            if size := _SIZE.fullmatch(value):
                result[f"{key}-1"], result[f"{key}-2"] = size[1], size[2]
            else:
                result[key] = value
        return {**{key: value for key, value in DEFAULTS.items() if key not in result}, **result}


def format_infotext(prompt: str, negative_prompt: str, pairs: Iterable[tuple[str, JsonValue]]) -> str:
    """The ``parameters`` text. ``None`` values are left out; an empty negative prompt leaves out its line.

    Raises ValueError for a key that readers would not find, and for fewer than three pairs, which readers would
    take for prompt text.
    """
    written = []
    for key, value in pairs:
        if value is None:
            continue
        if not KEY.fullmatch(key):
            raise ValueError(f"infotext key {key!r}: letters, digits, blanks, - and / only, at least two")
        written.append(key if key == str(value) else f"{key}: {quote(value)}")
    if len(written) < FEWEST_PAIRS:
        raise ValueError(f"an infotext needs {FEWEST_PAIRS} pairs or more, here are {len(written)}")
    negative = f"\n{NEGATIVE} {negative_prompt}" if negative_prompt else ""
    # PNG forbids NUL in a text, and JSON (a preset's negative prompt) may hold one: no image is lost for that.
    return f"{prompt}{negative}\n{', '.join(written)}".strip().replace("\0", "\N{REPLACEMENT CHARACTER}")


def quote(value: JsonValue) -> str:
    """``value`` as it stands behind its key: JSON-quoted when it has a comma, a colon or a line break.

    Also when it is empty, begins with a quotation mark, or white space would be lost: every reader unquotes.
    """
    text = str(value)
    plain = text and text == text.strip() and not text.startswith('"') and not re.search(r"[,:\x00-\x1f]", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _unquote(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def parse_infotext(text: str) -> Infotext:
    """Read a ``parameters`` text as A1111 does. Never fails: what is no infotext is all prompt."""
    *lines, last = text.strip().split("\n")
    pairs = [(key, _unquote(value.strip())) for key, value in _PAIR.findall(last) if key]
    if len(pairs) < FEWEST_PAIRS:
        lines.append(last)
        pairs = []
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(NEGATIVE):
            into = negative
            line = line[len(NEGATIVE) :].strip()
        into.append(line)
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), tuple(pairs))
