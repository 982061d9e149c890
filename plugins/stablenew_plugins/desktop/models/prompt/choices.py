"""Which parts of a planned prompt were chosen: to show them in colour, and in lines that fit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stablenew_plugins.desktop.models.core import scripts
from stablenew_plugins.desktop.models.packs.textedit import wrap

Span = tuple[int, int]
"""Beginning and end, in characters."""

_AXIS = re.compile(r"\w+\.\w+")
"""Slots that are settings; no slot of a text has such a name."""

_TAGS = frozenset({"lora", "embedding", "negative_embedding", "hypernetwork"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What a slot took for an image."""

    slot: str
    value: str
    mode: str = ""

    @property
    def is_setting(self) -> bool:
        """Whether it is no part of the prompt."""
        return self.slot in _TAGS or _AXIS.fullmatch(self.slot) is not None


def choices_of(spec_json: bytes) -> tuple[Sequence[Choice], str]:
    """What the slots of a planned job took, and the text in which they stand. Nothing for a job that does not
    tell."""
    if not spec_json:
        return (), ""
    provenance: dict[str, Any] = json.loads(spec_json).get("provenance", {})
    choices = [
        Choice(str(one["slot"]), str(one["value"]), str(one.get("mode", "")))
        for one in provenance.get("choices", [])
    ]
    return choices, str(provenance.get("template", ""))


def spans(prompt: str, choices: Sequence[Choice], template: str = "") -> Sequence[Span]:
    """Where in ``prompt`` the values of ``choices`` stand, in order; none overlaps another. ``template``: the
    text that the prompt was made from.

    Slots are given in the order in which the text names them, so each is looked for behind the one before it
    first, and behind what stands between the two in the template: "one red balloon, {red|golden} sky" has a red
    that nobody chose. A value of which nothing is found, because another choice changed it again, is left out.
    """
    taken: list[Span] = []
    behind = read = 0
    for choice in choices:
        value = choice.value.strip()
        if choice.is_setting or choice.slot.startswith("neg:"):
            continue
        at = template.find(choice.slot, read)
        if at >= 0:
            behind = _after(prompt, template[read:at], behind)
            read = at + len(choice.slot)
        if not value:
            continue
        span = _find(prompt, value, behind, taken) or _find(prompt, value, 0, taken)
        if span is not None:
            taken.append(span)
            behind = span[1]
    return sorted(taken)


def _after(prompt: str, words: str, start: int) -> int:
    """Where ``words`` of a pack's file end in ``prompt``, at or behind ``start``; its lines are one there. If
    not all are there, as some were changed, those of the last line count; else ``start``."""
    for part in (words, words.rpartition("\n")[2]):
        pattern = r"\s+".join(map(re.escape, part.split()))
        if pattern and (found := re.compile(pattern).search(prompt, start)):
            return found.end()
    return start


def _find(prompt: str, value: str, start: int, taken: Sequence[Span]) -> Span | None:
    """``value`` as whole words, at or behind ``start``, where nothing else is taken."""
    while (at := prompt.find(value, start)) >= 0:
        end = at + len(value)
        whole = not (_joined(prompt, at) or _joined(prompt, end))
        if whole and all(end <= first or at >= last for first, last in taken):
            return at, end
        start = at + 1
    return None


def _joined(text: str, at: int) -> bool:
    """Whether the place ``at`` is inside a word."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


Piece = tuple[str, bool]
"""Text, and whether it was chosen."""


def wrapped(prompt: str, lit: Sequence[Span], columns: int, most: int = 0) -> list[list[Piece]]:
    """``prompt`` in lines of at most ``columns`` columns (at least 8), as :func:`.textedit.wrap` makes them, in
    pieces, without the blanks at their ends. ``most`` lines, the last one ending in an ellipsis; 0: all."""
    columns = max(columns, 8)
    text = prompt.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    found = wrap(text, columns)
    ends = [line.start + len(text[line.start : line.end].rstrip(" ")) for line in found]
    bounds = [(line.start, end) for line, end in zip(found, ends, strict=True) if line.start < end]
    cut = bool(most) and len(bounds) > most
    lines = [_pieces(text, span, lit) for span in (bounds[:most] if cut else bounds)]
    if cut:
        words, is_lit = lines[-1][-1]
        over = sum(scripts.columns(piece) for piece, _lit in lines[-1]) - columns + 1
        lines[-1][-1] = ((words[:-over] if over > 0 else words).rstrip() + "…", is_lit)
    return lines


def telling(lines: Sequence[list[Piece]], most: int) -> list[list[Piece]]:
    """At most ``most`` of ``lines``: those with something lit, and else the first ones. An ellipsis stands
    where some are left out."""
    if len(lines) <= most:
        return list(lines)
    lit = [number for number, line in enumerate(lines) if any(is_lit for _words, is_lit in line)]
    chosen = sorted([*lit, *(number for number in range(len(lines)) if number not in lit)][:most])
    made: list[list[Piece]] = []
    before = -1
    for number in chosen:
        made.append([("… ", False), *lines[number]] if number > before + 1 else list(lines[number]))
        before = number
    if before + 1 < len(lines):
        made[-1].append((" …", False))
    return made


def _pieces(text: str, line: Span, lit: Sequence[Span]) -> list[Piece]:
    made: list[Piece] = []
    at, end = line
    for first, last in lit:
        first, last = max(first, at), min(last, end)
        if first >= last:
            continue
        if first > at:
            made.append((text[at:first], False))
        made.append((text[first:last], True))
        at = last
    if at < end:
        made.append((text[at:end], False))
    return made
