"""The A1111 infotext, the ``parameters`` text that every tool of the ecosystem reads: its grammar, both ways.

Source: ``modules/infotext_utils.py`` and ``create_infotext`` of ``modules/processing.py`` of the AUTOMATIC1111
WebUI; for what is written as JSON without quotation marks, Civitai's ``automatic.metadata.ts``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
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

AS_JSON = ("Hashes", "Civitai resources", "Civitai metadata")
"""Keys whose value is JSON without quotation marks, since Civitai reads it so. A reader that does not know this
takes the first part of it for the value: they stand last, where that harms no other key."""
_NAMES = {"Lora hashes": "lora", "TI hashes": "embed"}
"""Keys with the hashes of several files, ``name: hash, name: hash``, and what Civitai calls each."""
_FILES = {"Model hash": "model", "VAE hash": "vae", "Refiner hash": "refiner", "Hypernet hash": "hypernet"}
_HASH = re.compile(r"[0-9A-Fa-f]{4,64}")
_DECODER = json.JSONDecoder()

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
        if key in AS_JSON:
            written.append(f"{key}: {_json(value)}")
        else:
            written.append(key if key == str(value) else f"{key}: {quote(value)}")
    if len(written) < FEWEST_PAIRS:
        raise ValueError(f"an infotext needs {FEWEST_PAIRS} pairs or more, here are {len(written)}")
    negative = f"\n{NEGATIVE} {negative_prompt}" if negative_prompt else ""
    # PNG forbids NUL in a text, and JSON (a preset's negative prompt) may hold one: no image is lost for that.
    return f"{prompt}{negative}\n{', '.join(written)}".strip().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(value: JsonValue) -> str:
    """``value`` as JSON on one line; a text that is JSON already stays as it is."""
    if isinstance(value, str):
        if _json_end(value, 0) == len(value):
            return value
        return quote(value)
    return json.dumps(value, ensure_ascii=False)


def _json_end(text: str, start: int) -> int:
    """Where the JSON object or list that begins at ``start`` ends; 0 if there is none."""
    if text[start : start + 1] not in ("{", "["):
        return 0
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return 0


def hashes_of(pairs: Iterable[tuple[str, JsonValue]]) -> dict[str, str]:
    """The hashes of files that the pairs tell, by Civitai's names: ``model``, ``vae``, ``lora:NAME``,
    ``embed:NAME``. What ``Hashes`` says wins; what is no hash is passed over."""
    told = dict(pairs)
    found: dict[str, str] = {}
    for key, name in _FILES.items():
        _put(found, name, told.get(key))
    for key, kind in _NAMES.items():
        for part in str(told.get(key) or "").split(","):
            name, colon, value = part.rpartition(":")
            if colon:
                _put(found, f"{kind}:{name.strip()}", value.strip())
    hashes = told.get("Hashes")
    if isinstance(hashes, str):
        try:
            hashes = json.loads(hashes)
        except (ValueError, RecursionError):
            hashes = None
    for name, value in hashes.items() if isinstance(hashes, Mapping) else ():
        _put(found, str(name), value)
    return found


def _put(found: dict[str, str], name: str, value: object) -> None:
    if isinstance(value, str) and name and _HASH.fullmatch(value):
        found[name] = value


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


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    at = 0
    while match := _PAIR.search(line, at):
        at = match.end()
        if not (key := match[1]):
            continue
        value = _unquote(match[2].strip())
        if key in AS_JSON and (end := _json_end(line, match.start(2))):
            value, at = line[match.start(2) : end], end
        yield key, value


def parse_infotext(text: str) -> Infotext:
    """Read a ``parameters`` text as A1111 does, and :data:`AS_JSON` as Civitai does. Never fails: what is no
    infotext is all prompt."""
    *lines, last = text.strip().split("\n")
    pairs = list(_pairs(last))
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
