"""A pack from the bytes of its file, whichever format it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from stablenew_kernel.domain.packs.model import LONGEST_PROMPT, Pack, PackError, Problem, Row, located
from stablenew_kernel.domain.packs.slots import slot_rows
from stablenew_kernel.domain.packs.text import decode, tsv_rows, txt_rows
from stablenew_kernel.domain.randomizer.grammar import Finding, has_grammar, parse
from stablenew_kernel.domain.tokens import embedding_slips

ENDINGS = (".txt", ".tsv", ".json")
"""Endings of a pack; a ``.json`` is one if it has rows of its own."""

_SHAPES = {
    ".txt": "write one prompt a block",
    ".tsv": "write one prompt a line, a tab before its negative prompt",
    ".json": "write slots with a text",
}


def ending_of(name: str) -> str:
    """``.txt``, ``.tsv`` or ``.json``: the format that a file's name says; ``.txt`` for any other ending."""
    ending = name[name.rfind(".") :].lower()
    return ending if ending in ENDINGS else ".txt"


def parse_pack(name: str, data: bytes) -> Pack:
    """Read a pack. ``name`` is its file name; its ending chooses the format.

    A byte order mark, Windows line ends and odd white space are fine. Raises PackError, with line and column,
    for what is no UTF-8 text (or, in a ``.json``, no JSON object with slots), and for a pack without a single
    row. Rows that cannot be run (a brace that is never closed) are listed in :attr:`Pack.problems`; planning
    refuses them.
    """
    text = decode(f"pack {name}", data)
    rows, problems = read_rows(name, text)
    if not rows:
        raise PackError(f"pack {name}", Problem(1, 1, "no prompt in it", _SHAPES[ending_of(name)]))
    return Pack(name, hashlib.sha256(data).hexdigest(), rows, problems)


def read_rows(name: str, text: str) -> tuple[tuple[Row, ...], tuple[Problem, ...]]:
    """The rows of the pack ``name``, none for an empty one, and the errors in them."""
    ending = ending_of(name)
    problems: list[Problem] = []
    if ending == ".json":
        rows = slot_rows(name, text, problems)
    else:
        rows = tuple((tsv_rows if ending == ".tsv" else txt_rows)(text))
    for row in rows:
        for which, text in enumerate((row.positive, row.negative)):
            if "<" in text or has_grammar(text) or len(text) > LONGEST_PROMPT:
                problems.extend(located(row.number, found, row.places[which]) for found in _findings(text))
    return rows, tuple(problems)


def _findings(text: str) -> Iterator[Finding]:
    if len(text) > LONGEST_PROMPT:
        yield Finding(
            0,
            f"a prompt of {len(text):,} characters, all in one row",
            f"at most {LONGEST_PROMPT:,} can be read; separate the prompts with blank lines",
        )
        return
    if has_grammar(text):
        yield from parse(text).problems
    if "<" in text:
        for slip in embedding_slips(text):
            yield Finding(*slip)
