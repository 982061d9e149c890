"""What images are found by: facts of each of them, and the words that people search with. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json
from stablenew_kernel.domain.infotext import prompts
from stablenew_kernel.domain.later import settings_of, stages_of

LONGEST = 100
"""Characters of a setting that is text; longer ones (prompts of their own) are found by no comparison."""

LARGEST_SEED = 2**64 - 1

SEED = "seed"
"""Compared with the seed of the image: each has its own."""

Setting = tuple[str, str, int | float | str]
"""Stage, name, and a number or text in lower case."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one image is found by."""

    seed: int
    """Of its first stage."""
    model: str
    """That was used, where the worker told it."""
    preset: str
    stages: tuple[str, ...]
    settings: tuple[Setting, ...]
    """Of all stages, but for seeds; sorted."""
    words: str
    """Prompts, model, sampler and file name, as :func:`searchable` has them."""

    @property
    def setup_sha256(self) -> str:
        """Names stages and settings: the same for all images that differ in prompt and seed alone."""
        return hashlib.sha256(canonical_json([self.stages, self.settings])).hexdigest()


def facts_of(spec: JobSpec, pairs: Iterable[tuple[str, JsonValue]], file_name: str) -> Facts:
    """Facts of an image: ``spec`` of its job, the ``pairs`` of its infotext, its file."""
    used = dict(pairs)
    model, sampler = _storable(str(used.get("Model", ""))), str(used.get("Sampler", ""))
    preset = spec.provenance.get("preset")
    settings = {
        (stage, str(name), found)
        for stage, values in settings_of(spec).items()
        if isinstance(values, Mapping)
        for name, value in values.items()
        if name != SEED and (found := _comparable(value)) is not None
    }
    return Facts(
        min(max(spec.stages[0].seed, 0), LARGEST_SEED),
        model,
        preset if isinstance(preset, str) else "",
        stages_of(spec),
        tuple(sorted(settings, key=lambda one: one[:2])),
        searchable(_storable(" ".join((*prompts(spec), model, sampler, file_name)))),
    )


def _storable(text: str) -> str:
    """What a worker told may have half a surrogate pair in it. An image is never lost for its label."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _comparable(value: JsonValue) -> int | float | str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value if abs(value) < 2**53 else float(value)
    if isinstance(value, float):
        return value
    if isinstance(value, str) and len(value) <= LONGEST:
        return value.casefold()
    return None


_NO_SPACES = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff])")
"""Letters of languages that are written without spaces: each is taken for a word."""


def searchable(text: str) -> str:
    """``text`` as it is taken apart into words: at all that is no letter or digit, and at each letter of a
    language without spaces."""
    return _NO_SPACES.sub(r" \1 ", text.replace("\0", " "))  # a NUL would end the text for SQLite


# --- what people search with ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """``txt2img.steps>=30``."""

    stage: str
    """Empty: any."""
    name: str
    sign: str
    """``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``."""
    number: int | float | None
    """None: it is compared as text, which only ``=`` and ``!=`` do."""
    text: str
    """In lower case."""


@dataclass(frozen=True, slots=True)
class Query:
    """What must hold, all of it."""

    words: tuple[str, ...] = ()
    """Each is the beginning of a word, or of several words in a row; a single letter is a whole word."""
    comparisons: tuple[Comparison, ...] = ()

    @property
    def match(self) -> str:
        """For a full-text search of the store; empty: every image will do."""
        # What begins with one letter is half of all words there are, and is not what anybody looks for.
        return " ".join(f'"{searchable(word)}"{" *" if len(word) > 1 else ""}' for word in self.words)


EVERYTHING = Query()

_PIECE = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')
_COMPARISON = re.compile(r"(?:([A-Za-z]\w*)\.)?([A-Za-z]\w*)(>=|<=|!=|==|=|<|>)(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")


def parse_query(text: str) -> Query:
    """``castle "blue hour" steps>=30 txt2img.width>1024``: words, and settings compared. What stands in double
    quotes is one word. Raises UserError for a comparison that can't be made."""
    words: list[str] = []
    comparisons: list[Comparison] = []
    for piece in _PIECE.findall(text):
        plain = piece.replace('"', "")
        compared = None if piece.startswith('"') else _COMPARISON.fullmatch(plain)
        if compared is not None:
            comparisons.append(_comparison(plain, *compared.groups(default="")))
        elif any(letter.isalnum() for letter in plain):
            words.append(plain)
    return Query(tuple(words), tuple(comparisons))


def _comparison(piece: str, stage: str, name: str, sign: str, value: str) -> Comparison:
    sign = "=" if sign == "==" else sign
    if not value:
        raise UserError(f"{piece}: nothing to compare with; a value must follow the {sign}, as in steps>=30")
    number: int | float | None = None
    if _NUMBER.fullmatch(value):
        number = float(value) if "." in value else int(value)
        if name != SEED and abs(number) >= 2**53:
            number = float(value)
    elif sign not in ("=", "!="):
        raise UserError(f"{piece}: {value!r} is no number; text can be compared with = and != only")
    if name == SEED and type(number) is not int:
        raise UserError(f"{piece}: {value!r} is no whole number, as a seed is")
    return Comparison(stage, name, sign, number, value.casefold())
