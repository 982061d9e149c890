"""Rows inside a sidecar of the newer shape: ``pack_data.slots``.

Each slot has ``text``, ``negative``, ``positive_embeddings``, ``negative_embeddings`` (names, or name and
weight) and ``loras`` (name and weight). A row is what the program that writes these files puts into its
``.txt``: the embeddings as ``<embedding:NAME>``, the text, then the LoRAs as ``<lora:NAME:WEIGHT>``; slots
without any of it are no rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.jsontext import JsonText, Node
from stablenew_kernel.domain.packs.model import LONGEST_PROMPT, Piece, Places, Problem, Row
from stablenew_kernel.domain.packs.text import split_lines

SLOTS = ("pack_data", "slots")
FIELDS = ("positive_embeddings", "text", "loras", "negative_embeddings", "negative")
"""Fields that a row is made of, in the order in which it has them: three of the prompt, two of the negative."""

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_TAG_SIGNS = re.compile(r"[<>:\r\n]")


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that is a row."""

    index: int
    """Its place in the list, from 0."""
    parts: Mapping[str, tuple[str, ...]]
    """By field, the texts that the row has of it."""
    row: Row


class _Wrong(Exception):
    """A value of a slot is not what it should be."""

    def __init__(self, at: int, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.at, self.reason, self.fix = at, reason, fix


def has_slots(doc: JsonText) -> bool:
    """Whether the file has rows of its own, or a place for them."""
    pack = doc.value.get("pack_data")
    return isinstance(pack, dict) and isinstance(pack.get("slots"), list)


def slot_rows(name: str, text: str, problems: list[Problem]) -> tuple[Row, ...]:
    """The rows of ``NAME.json``. What is wrong in a slot goes to ``problems``, and its row stays empty.

    Raises PackError for what is no JSON object, and for one without slots."""
    doc = JsonText(f"pack {name}", text)
    return tuple(slot.row for slot in read_slots(doc, problems))


def read_slots(doc: JsonText, problems: list[Problem]) -> list[Slot]:
    """As :func:`slot_rows`, with where each row comes from."""
    node = doc.find(SLOTS)
    if node is None or node.value == []:
        raise doc.wrong(
            doc.start,
            "no rows in it (pack_data.slots): this is a sidecar or a preset",
            "give the .txt or .tsv file beside it",
        )
    if not isinstance(node.value, list):
        raise doc.wrong(node.start, "pack_data.slots is no list", "write [{...}, {...}]")
    slots: list[Slot] = []
    places: dict[int, Places] = {}
    for element in doc.children(node.start):
        if element.value is None or element.value == {}:
            continue
        number = len(slots) + 1
        line, _ = doc.place(element.start)
        parts: dict[str, list[Piece]] = {field: [] for field in FIELDS}
        try:
            if not isinstance(element.value, dict):
                raise _Wrong(element.start, "a slot that is no object", 'write {"text": "..."}')
            if not any(element.value.get(field) for field in FIELDS):
                continue
            for member in doc.children(element.start):
                if member.key in FIELDS:
                    parts[str(member.key)] = list(_pieces(doc, member))
        except _Wrong as wrong:
            place = doc.place(wrong.at)
            problems.append(Problem(*place, wrong.reason, wrong.fix, number))
            parts = {field: [] for field in FIELDS}
        positive = [piece for field in FIELDS[:3] for piece in parts[field]]
        negative = [piece for field in FIELDS[3:] for piece in parts[field]]
        places[number] = positive, negative
        texts = [" ".join([piece.text for piece in pieces]) for pieces in (positive, negative)]
        template = texts[0] + (f"\nneg: {texts[1]}" if texts[1] else "")
        row = Row(number, line, texts[0], texts[1], template, lambda number, line: places[number])
        own = {field: tuple(piece.text for piece in pieces) for field, pieces in parts.items()}
        if positive or negative or (problems and problems[-1].row == number):
            slots.append(Slot(element_index(element), own, row))
    return slots


def element_index(node: Node) -> int:
    """The number of an element of a list."""
    assert isinstance(node.key, int)
    return node.key


def _pieces(doc: JsonText, member: Node) -> Iterator[Piece]:
    field, value = member.key, member.value
    if value is None:
        return
    if field in ("text", "negative"):
        if not isinstance(value, str):
            raise _Wrong(member.start, f"{field} is no text", f'write "{field}": "..."')
        yield from _text(doc, member, value)
        return
    if not isinstance(value, list):
        raise _Wrong(member.start, f"{field} is no list", f'write "{field}": []')
    for element in doc.children(member.start) if value else ():
        kind = "lora" if field == "loras" else "embedding"
        name, weight = _named(element.value)
        if name is None:
            raise _Wrong(element.start, f"no {kind} in {field}", 'write a name, or ["NAME", 0.8]')
        _refuse_unwritable(doc, _first(doc, element), name)
        if not name.strip() or _TAG_SIGNS.search(name):
            raise _Wrong(element.start, f"{name!r} is no name of a {kind}", "take out <, > and :")
        yield Piece(f"<{kind}:{name.strip()}{weight}>", *doc.place(element.start))


def _first(doc: JsonText, node: Node) -> Node:
    """The string that ``node`` is, or the first one in it."""
    return doc.children(node.start)[0] if isinstance(node.value, list) else node


def _named(value: JsonValue) -> tuple[str | None, str]:
    """Name and ``:WEIGHT`` of an entry: a name, or a list of name and perhaps weight."""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, list) and 1 <= len(value) <= 2 and isinstance(value[0], str):
        weight = value[1] if len(value) == 2 else None
        if weight is None:
            return value[0], ""
        if isinstance(weight, (int, float)) and not isinstance(weight, bool):
            return value[0], f":{json.dumps(weight)}"
    return None, ""


def _text(doc: JsonText, member: Node, text: str) -> Iterator[Piece]:
    _refuse_unwritable(doc, member, text)
    found: list[tuple[int, str]] = []
    offset = 0
    for line in split_lines(text):
        words = line.strip()
        if words:
            offset = text.index(words, offset)
            found.append((offset, words))
            offset += len(words)
    if len(text) > LONGEST_PROMPT:  # nobody will look for a place in it
        found = [(0, " ".join(words for _, words in found))]
    places = doc.inside(member.start, member.end, [offset for offset, _ in found])
    for (_, words), at in zip(found, places, strict=True):
        yield Piece(words, *doc.place(at))


def _refuse_unwritable(doc: JsonText, node: Node, text: str) -> None:
    bad = _UNWRITABLE.search(text)
    if bad is not None:
        what = "a NUL character" if bad[0] == "\0" else "half of a surrogate pair"
        (at,) = doc.inside(node.start, node.end, [bad.start()])
        raise _Wrong(at, f"{what}, which no prompt can hold", "take it out")


def new_slot(index: int, positive: str, negative: str) -> dict[str, JsonValue]:
    """A slot as the program that writes these files has it."""
    return {
        "index": index,
        "text": positive,
        "negative": negative,
        "positive_embeddings": [],
        "negative_embeddings": [],
        "loras": [],
    }


def next_index(slots: Sequence[JsonValue]) -> int:
    """An ``index`` that no slot has yet."""
    used = [slot["index"] for slot in slots if isinstance(slot, dict) and isinstance(slot.get("index"), int)]
    return max([len(slots) - 1, *(number for number in used if isinstance(number, int))]) + 1
