"""What is wrong with a pack, or probably not meant: the report of ``stablenew packs check``.

An error is what a run refuses, so the row cannot run; a warning is a row that runs and may disappoint.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.jsontext import JsonText
from stablenew_kernel.domain.packs.model import LONGEST_PROMPT, Pack, PackError, Piece, Problem, Row, located
from stablenew_kernel.domain.packs.read import ending_of, parse_pack
from stablenew_kernel.domain.packs.slots import has_slots, read_slots
from stablenew_kernel.domain.packs.text import decode
from stablenew_kernel.domain.presets import overlay, parse_settings
from stablenew_kernel.domain.randomizer.grammar import (
    Finding,
    SlotRef,
    Wildcard,
    normalize,
    parse,
    references,
    shorten,
)
from stablenew_kernel.domain.randomizer.settings import Randomization, parse_randomization
from stablenew_kernel.domain.randomizer.space import Compiler, Definitions, SpaceError

LONG_PROMPT = 5_000
"""Characters of a prompt that are worth a word: dozens of times what a model reads at once (75 tokens)."""

ATTENTION_RANGE = (0.0, 3.0)
"""Weights of ``(words:1.2)`` that make sense; beyond them pictures burn or words work against themselves."""

LORA_RANGE = (-5.0, 5.0)
"""Weights of a LoRA that make sense; sliders are used with negative ones."""

MOST = 20
"""Warnings about one text; more of them say nothing."""

_TAG = re.compile(r"<([A-Za-z][\w-]*):([^<>]*)>")
_OPEN_TAG = re.compile(r"<(?:lora|lyco|hypernet):(?![^<>]*>)", re.IGNORECASE)
_HALF_TAG = re.compile(r"(?<![<\w])(?:lora|lyco|hypernet|embedding):[^<>\s]*>", re.IGNORECASE)
_BRACKET = re.compile(r"\\.|<[A-Za-z][\w-]*:[^<>]*>|\(+|\)+|\[+|\]+|\{+|\}+", re.DOTALL)
_ANY_BRACKET = re.compile(r"[()\[\]{}]")
_PLAIN_PAIR = re.compile(r"\([^()\[\]{}\\]*\)|\[[^()\[\]{}\\]*\]|\{[^()\[\]{}\\]*\}")
_ATTENTION = re.compile(r":\s*([+-]?[\d.]+)\s*\)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_INSIDE_TAG = re.compile(r"[{}]|\[\[")
# Zero width joiners belong into some scripts and emoji; beside plain letters they are leftovers of a web page.
_INVISIBLE = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00a0\u00ad\u034f\u061c\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f"
    "\u205f-\u2064\u2066-\u206f\u3000\ufeff\ufff9-\ufffd]|[\u200c\u200d](?![^\x00-\x7f])"
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_CLOSING = {closing: opening for opening, closing in _PAIRS.items()}
_MODEL_ENDING = re.compile(r"\.(?:safetensors|ckpt|pt|pth|bin|gguf)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Names of what the nodes have; None: nobody knows."""

    loras: Collection[str] | None = None
    embeddings: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    pack: Pack | None
    """None: it cannot be read."""
    problems: tuple[Problem, ...]
    """By line; those of the sidecar last."""
    slots: tuple[str, ...] = ()
    """Matrix slots that the rows name, as written, each once."""
    wildcards: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        """How many of the problems keep something from running."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many of the problems do not."""
        return len(self.problems) - self.errors


def check_pack(
    name: str,
    data: bytes,
    *,
    sidecar_name: str = "",
    sidecar: bytes = b"",
    preset: JsonValue = None,
    wildcards: Collection[str] | None = (),
    inventory: Inventory | None = None,
) -> Report:
    """Look at the pack ``name`` with content ``data``. Never raises for what is wrong in the files.

    ``sidecar`` is the content of the ``.json`` beside it (empty: none), ``preset`` the sections of the preset
    it will be run with. ``wildcards`` are names that files define; None: they cannot be known. ``inventory``:
    what nodes have; None: nobody knows.
    """
    try:
        pack = parse_pack(name, data)
    except PackError as error:
        return Report(None, (error.problem,))
    beside = _Sidecar(sidecar_name, sidecar if sidecar_name != name else data)
    randomization = beside.randomization(preset)
    looked = _Rows(pack, randomization, wildcards, inventory or Inventory())
    found = [*pack.problems, *looked.problems()]
    found.sort(key=lambda problem: (problem.line, problem.column))
    if ending_of(name) != ".json":
        found.extend(beside.differences(pack))
    found.extend(beside.problems)
    if randomization is not None:
        found.extend(beside.unused(randomization, looked.used))
    return Report(pack, tuple(found), tuple(looked.slots), tuple(looked.wildcards))


# --- the sidecar ----------------------------------------------------------------------------------------------


class _Sidecar:
    """The .json beside a pack, with what is wrong in it."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._doc: JsonText | None = None
        self._data = data
        if not data:
            return
        try:
            self._doc = JsonText(name, decode(name, data))
        except PackError as error:
            self._say(error.problem)

    def randomization(self, preset: JsonValue) -> Randomization | None:
        """The definitions of sidecar and preset together; None: they cannot be read."""
        layers = [preset] if isinstance(preset, dict) else []
        if self._data:
            if self._doc is None:
                return None
            try:
                layers.append(parse_settings(self.name, self._data))
            except UserError as error:
                self._wrong(("preset_data",), error)
                return None
        section = overlay({}, *layers).get("randomization")
        if section is None:
            section = {}
        clashes = list(self._clashes())
        self.problems.extend(clashes)
        try:
            if not isinstance(section, dict):
                raise UserError(f"{self.name}: randomization is no object of settings")
            return parse_randomization(section, self.name)
        except UserError as error:
            if not clashes:
                self._wrong(self._section(), error)
            return None

    def _section(self) -> tuple[str, ...]:
        for path in (("pack_data", "matrix"), ("preset_data", "randomization"), ("randomization",)):
            if self._doc is not None and self._doc.find(path) is not None:
                return path
        return ()

    def _matrix(self) -> tuple[str, ...]:
        path = self._section()
        return path if path[:1] == ("pack_data",) else (*path, "matrix")

    def _names(self) -> list[tuple[str, int]]:
        """The matrix slots that the sidecar itself defines, each with its place in the text."""
        if self._doc is None or (slots := self._doc.find((*self._matrix(), "slots"))) is None:
            return []
        found = []
        for element in self._doc.children(slots.start) if isinstance(slots.value, list) else ():
            if isinstance(element.value, dict) and isinstance(name := element.value.get("name"), str):
                found.append((name, element.start))
        return found

    def _clashes(self) -> Iterator[Problem]:
        first: dict[str, str] = {}
        for name, at in self._names():
            other = first.get(normalize(name))
            first.setdefault(normalize(name), name)
            if self._doc is not None and other is not None:
                reason = (
                    f"the matrix slots {shorten(other)!r} and {shorten(name)!r} have one name (case, - and _ "
                    "do not count)"
                )
                yield Problem(*self._doc.place(at), reason, "rename one", file=self.name)

    def unused(self, randomization: Randomization, used: Collection[str]) -> Iterator[Problem]:
        """Slots that the sidecar defines and nothing names."""
        if self._doc is None:
            return
        wanted = set(used) | _named(randomization, [randomization.base_prompt])
        waiting = list(wanted)
        while waiting:  # a slot that is used may have values that name others
            for name in _named(randomization, randomization.definitions.slots.get(waiting.pop(), ())):
                if name not in wanted:
                    wanted.add(name)
                    waiting.append(name)
        for name, at in self._names():
            if normalize(name) not in wanted:
                yield Problem(
                    *self._doc.place(at),
                    f"no row uses the matrix slot {shorten(name)!r}",
                    f"write [[{shorten(name)}]] where it belongs, or take it out",
                    severity="warning",
                    file=self.name,
                )

    def differences(self, pack: Pack) -> Iterator[Problem]:
        """Where the rows that the sidecar has of its own are not those of the pack, which is what runs."""
        if self._doc is None or not has_slots(self._doc) or self._doc.find(("pack_data", "slots", 0)) is None:
            return
        slots = [slot.row for slot in read_slots(self._doc, [])]
        what = f"{ending_of(pack.name)} is what runs; bring the sidecar's slots in line, or take them out"
        for row, slot in zip(pack.rows, slots, strict=False):
            if (row.positive, row.negative) != (slot.positive, slot.negative):
                reason = (
                    f"the sidecar has another text for this row (line {slot.line}): {shorten(slot.positive)!r}"
                )
                yield Problem(row.line, 1, reason, f"the {what}", row.number, "warning")
        if slots and len(slots) != len(pack.rows):
            reason = f"the sidecar has {len(slots)} rows, the pack {len(pack.rows)}"
            at = self._doc.where(("pack_data", "slots"))
            yield Problem(*self._doc.place(at), reason, f"the {what}", severity="warning", file=self.name)

    def _wrong(self, path: Sequence[str], error: UserError) -> None:
        """An error whose text says the field; the place is that of the section."""
        text = str(error).removeprefix(f"{self.name}: ")
        reason, _, fix = text.rpartition("; ")
        place = (1, 1) if self._doc is None else self._doc.place(self._doc.where(path))
        self._say(Problem(*place, reason or text, fix if reason else "correct it"))

    def _say(self, problem: Problem) -> None:
        self.problems.append(Problem(problem.line, problem.column, problem.reason, problem.fix, file=self.name))


def _named(randomization: Randomization, texts: Sequence[str]) -> set[str]:
    """The matrix slots that ``texts`` name, also by way of wildcards that the settings define."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(texts)
    while waiting:
        for reference in references(parse(waiting.pop()).nodes):
            if isinstance(reference, SlotRef):
                found.add(normalize(reference.name))
            elif reference.path not in seen:
                seen.add(reference.path)
                waiting.extend(randomization.definitions.wildcards.get(reference.path, ()))
    return found


def _without_prompt(row: Row) -> Problem:
    """It runs, with an empty prompt, which hardly anybody wants."""
    if row.negative:
        reason = "this row has a negative prompt and no prompt"
        fix = "write one, or take out the blank line above if it belongs to the row before"
    else:
        reason, fix = "this row is empty", "write a prompt, or take it out"
    return Problem(row.line, 1, reason, fix, row.number, "warning")


# --- the rows -------------------------------------------------------------------------------------------------


class _Rows:
    """Looks at each row."""

    def __init__(
        self,
        pack: Pack,
        randomization: Randomization | None,
        wildcards: Collection[str] | None,
        inventory: Inventory,
    ) -> None:
        self._pack = pack
        self._randomization = randomization
        self._files = wildcards
        self._known = {
            kind: None if names is None else {plain_name(name): name for name in names}
            for kind, names in (("lora", inventory.loras), ("embedding", inventory.embeddings))
        }
        definitions = randomization.definitions if randomization is not None else Definitions({}, {})
        # What files define is not looked into here: a stand-in text for each takes its place.
        files = dict.fromkeys(wildcards or (), ("x",))
        self._definitions = Definitions(definitions.slots, {**files, **definitions.wildcards})
        self._compiler = Compiler(self._definitions)
        self.used: set[str] = set()
        """Normalized names of matrix slots that the rows name."""
        self.slots: dict[str, None] = {}
        self.wildcards: dict[str, None] = {}

    def problems(self) -> Iterator[Problem]:
        """All of them, row by row."""
        first: dict[tuple[str, str], int] = {}
        for row in self._pack.rows:
            for text, pieces in zip((row.positive, row.negative), row.places, strict=True):
                if text and len(text) <= LONGEST_PROMPT:
                    yield from self._text(row, text, pieces)
            if not row.positive:
                yield _without_prompt(row)
            other = first.setdefault((row.positive, row.negative), row.number)
            if other != row.number:
                reason = f"the same as row {other}"
                yield Problem(row.line, 1, reason, "take one out, or change it", row.number, "warning")

    def _text(self, row: Row, text: str, pieces: Sequence[Piece]) -> Iterator[Problem]:
        if "{" in text or "__" in text or "[[" in text:
            yield from self._randomized(row, text, pieces)
        for number, (at, reason, fix) in enumerate(self._looks(text)):
            if number == MOST:
                reason, fix = f"more than {MOST} things to say about this row", "mend those above first"
            yield located(row.number, Finding(at, reason, fix), pieces, "warning")
            if number == MOST:
                return

    def _looks(self, text: str) -> Iterator[tuple[int, str, str]]:
        if len(text) > LONG_PROMPT:
            yield (
                0,
                f"a prompt of {len(text):,} characters",
                "models read 75 tokens at once and blur what is longer; shorten it, or separate the rows",
            )
        if not (text.isascii() and text.isprintable()):
            yield from _invisible(text)
        if "(" in text or ")" in text or "[" in text or "]" in text or "}" in text:
            yield from _brackets(text)
        if ":" in text:
            yield from _weights(text)
        if "<" in text:
            yield from self._tags(text)
        if ">" in text:
            for tag in _HALF_TAG.finditer(text):
                yield tag.start(), f"{shorten(tag[0])} lacks its <", f"write <{shorten(tag[0])}"

    def _randomized(self, row: Row, text: str, pieces: Sequence[Piece]) -> Iterator[Problem]:
        template = parse(text)
        if template.problems:
            return  # among the pack's own
        named = list(references(template.nodes))
        unknown = list(self._unknown(named))
        for finding, severity in unknown:
            yield located(row.number, finding, pieces, "error" if severity else "warning")
        if named and not unknown and self._randomization is not None:
            try:
                self._compiler.compile([(text, "")])
            except SpaceError as error:  # in the values: a cycle, a brace that is never closed
                yield located(row.number, error.finding, pieces)

    def _unknown(self, named: Sequence[SlotRef | Wildcard]) -> Iterator[tuple[Finding, bool]]:
        """Names that nobody defines, and whether that is sure."""
        for reference in named:
            if isinstance(reference, SlotRef):
                name = normalize(reference.name)
                self.used.add(name)
                self.slots.setdefault(reference.name)
                if self._randomization is not None and not self._definitions.slots.get(name):
                    yield (
                        Finding(
                            reference.at,
                            f"nobody defines the matrix slot [[{shorten(reference.name)}]]",
                            _hint(name, self._definitions.slots, "define it in randomization.matrix.slots"),
                        ),
                        True,
                    )
                continue
            self.wildcards.setdefault(reference.path)
            if self._randomization is not None:
                self.used |= _named(self._randomization, self._definitions.wildcards.get(reference.path, ()))
            known = self._definitions.wildcards
            if self._randomization is None or "*" in reference.path or known.get(reference.path):
                continue
            finding = Finding(
                reference.at,
                f"there is no wildcard __{shorten(reference.path)}__",
                _hint(reference.path, known, "define it in randomization.wildcards.tokens"),
            )
            yield finding, self._files is not None

    def _tags(self, text: str) -> Iterator[tuple[int, str, str]]:
        for tag in _OPEN_TAG.finditer(text):
            yield (
                tag.start(),
                f"the tag {shorten(text[tag.start() : tag.start() + 40])} is never closed",
                "add its >",
            )
        for tag in _TAG.finditer(text):
            kind, (name, *rest) = tag[1].lower(), [part.strip() for part in tag[2].split(":")]
            if _INSIDE_TAG.search(tag[2]) and kind in ("lora", "lyco", "hypernet", "embedding"):
                reason = f"choices inside <{kind}:...> are not looked at"
                yield tag.start(), reason, f"write whole tags as options: {{<{kind}:a:1>|<{kind}:b:1>}}"
                continue
            if kind in ("lora", "lyco"):
                if not name:
                    yield tag.start(), "a LoRA without a name", "write <lora:NAME:0.8>"
                for weight in rest:
                    if "=" not in weight:
                        yield from _weight(tag.start(), f"the weight {weight!r} of a LoRA", weight, LORA_RANGE)
                yield from self._missing("lora", "LoRA", name, tag.start())
            elif kind == "embedding":
                for weight in rest:
                    if _NUMBER.fullmatch(weight):  # anything else is an error already
                        what = f"the weight {weight!r} of an embedding"
                        yield from _weight(tag.start(), what, weight, ATTENTION_RANGE)
                yield from self._missing("embedding", "embedding", name, tag.start())

    def _missing(self, kind: str, title: str, name: str, at: int) -> Iterator[tuple[int, str, str]]:
        known = self._known[kind]
        if known is not None and name and plain_name(name) not in known:
            hint = _hint(plain_name(name), known, "install it, or write the name as the node has it")
            yield at, f"no node has the {title} {shorten(name)!r}", hint


def plain_name(name: str) -> str:
    """The name of a model file as it is compared: without folder and ending, whatever the case."""
    return _MODEL_ENDING.sub("", re.split(r"[/\\]", name.strip())[-1]).casefold()


def _hint(name: str, known: Collection[str], otherwise: str) -> str:
    close = get_close_matches(name, known, n=1) if len(known) <= 10_000 else []
    return f"did you mean {shorten(close[0])} ?" if close else otherwise


def _invisible(text: str) -> Iterator[tuple[int, str, str]]:
    found = list(_INVISIBLE.finditer(text))
    if found:
        first = found[0][0]
        name = unicodedata.name(first, "").lower() or f"control character U+{ord(first):04X}"
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield (
            found[0].start(),
            f"a character that nobody sees: {name}{more}",
            "delete it, or type a plain space",
        )


def _brackets(text: str) -> Iterator[tuple[int, str, str]]:
    """The first bracket of each kind that has no partner."""
    if not _ANY_BRACKET.search(_PLAIN_PAIR.sub("", text)):
        return  # most prompts
    depth = dict.fromkeys(_PAIRS, 0)
    outer: dict[str, int] = {}
    stray: dict[str, tuple[int, int]] = {}
    for match in _BRACKET.finditer(text):
        sign, count = match[0][0], match.end() - match.start()
        if sign in depth:
            if not depth[sign]:
                outer[sign] = match.start()
            depth[sign] += count
        elif sign in _CLOSING:
            opening = _CLOSING[sign]
            extra = count - depth[opening]
            depth[opening] = max(0, -extra)
            if extra > 0:
                at, before = stray.get(sign, (match.end() - extra, 0))
                stray[sign] = at, before + extra
    for sign, (at, count) in stray.items():
        more = f" ({count} of them)" if count > 1 else ""
        yield at, f"this {sign} closes nothing{more}", rf"take it out, or write \{sign} for the character"
    for sign in ("(", "["):
        if depth[sign]:
            more = f" ({depth[sign]} of them)" if depth[sign] > 1 else ""
            effect = "x1.1" if sign == "(" else "/1.1"
            reason = f"this {sign} is never closed{more}; all behind it counts {effect}"
            yield outer[sign], reason, rf"add a {_PAIRS[sign]}, or write \{sign} for the character"


def _weights(text: str) -> Iterator[tuple[int, str, str]]:
    for match in _ATTENTION.finditer(text):
        yield from _weight(match.start(1), f"the weight {match[1]} of (...)", match[1], ATTENTION_RANGE)


def _weight(at: int, what: str, text: str, sense: tuple[float, float]) -> Iterator[tuple[int, str, str]]:
    if not _NUMBER.fullmatch(text):
        yield at, f"{what} is no number", "write for example 1.2"
        return
    low, high = sense
    if not low <= float(text) <= high:
        digits = text.lstrip("+-")
        meant = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 and digits.isdigit() else ""
        hint = f"did you mean {meant} ?" if meant and low <= float(meant) <= high else ""
        yield at, f"{what} makes little sense", hint or f"use {low:g} to {high:g}"
