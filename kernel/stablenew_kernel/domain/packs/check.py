"""What is wrong with a pack, or probably not meant: the report of ``stablenew packs check``.

An error is what a run refuses, so the row cannot run; a warning is a row that runs and may disappoint.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from random import Random

from stablenew_api.errors import PluginError, UserError
from stablenew_api.randomizer import Randomizer
from stablenew_api.stage import Stage
from stablenew_kernel.domain.packs.jsontext import JsonText
from stablenew_kernel.domain.packs.model import LONGEST_PROMPT, Pack, PackError, Piece, Problem, Row, located
from stablenew_kernel.domain.packs.read import ending_of, parse_pack
from stablenew_kernel.domain.packs.slots import has_slots, read_slots
from stablenew_kernel.domain.packs.text import decode
from stablenew_kernel.domain.plan import PlanRequest, Prepared, prepare
from stablenew_kernel.domain.planned import JobMaker, RowError
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.randomizer.axes import named_slots
from stablenew_kernel.domain.randomizer.grammar import (
    Finding,
    SlotRef,
    has_grammar,
    named_in,
    normalize,
    parse,
    shorten,
)

LONG_PROMPT = 5_000
"""Characters of a prompt that are worth a word: dozens of times what a model reads at once (75 tokens)."""

ATTENTION_RANGE = (0.0, 3.0)
"""Weights of ``(words:1.2)`` that make sense; beyond them pictures burn or words work against themselves."""

LORA_RANGE = (-5.0, 5.0)
"""Weights of a LoRA that make sense; sliders are used with negative ones."""

ENOUGH = 200
"""Rows that the plan refuses until no more are tried: what is wrong so often is wrong everywhere."""

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
_PLACE = re.compile(r"line (\d+), column (\d+):? ")
_NUM = r"(?:[0-2](?:\.\d+)?)"
_FINE_WITHOUT_LORA = re.compile(
    rf"(?:[ !-'*-;=?-Z^-z|~]++|\([ !-'*-9;=?-Z^-z|~]*+(?::{_NUM})?\)|\[[ !-'*-;=?-Z^-z|~]*+\])*+"
)
"""What most texts are: letters, simple brackets with sensible weights. There is nothing to say about them."""
_FINE = re.compile(
    _FINE_WITHOUT_LORA.pattern.removesuffix(")*+") + r"|<lora:[\w./-]++(?::[0-4](?:\.\d+)?)?>)*+"
)
"""The same, and LoRAs."""
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
    prepared: Prepared | None = field(default=None, compare=False, repr=False)
    """The plan that was tried, with the rows that it compiled; None: it is refused, whatever the rows are."""

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
    stages: Mapping[str, type[Stage]],
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    *,
    sidecar_name: str = "",
    sidecar: bytes = b"",
    like: PlanRequest | None = None,
    inventory: Inventory | None = None,
    along: Callable[[Prepared, Pack], Callable[[int], None]] | None = None,
) -> Report:
    """Look at the pack ``name`` with content ``data``. Never raises for what is wrong in the files.

    Its errors are what its plan refuses: they come from the plan's own compiling of each row. ``stages`` and
    ``randomizers`` are those of the plan; ``sidecar`` is the content of the ``.json`` beside the pack (empty:
    none). ``like`` has the rest of what it will be run with: preset, wildcards, profiles. ``inventory``: what
    nodes have; None: nobody knows. ``along`` is given the plan and the pack, and what it returns is called
    behind the check of each row with its place from 0, while what the row was compiled to is at hand; what it
    raises is raised.
    """
    try:
        pack = parse_pack(name, data)
    except PackError as error:
        return Report(None, (error.problem,))
    beside = _Sidecar(sidecar_name, sidecar if sidecar_name != name else data)
    request = replace(like, pack=pack) if like is not None else PlanRequest(pack)
    prepared = beside.prepare(request, stages, randomizers)
    also = along(prepared, pack) if along is not None and prepared is not None else None
    looked = _Rows(pack, prepared, inventory or Inventory(), also)
    found = [*pack.problems, *looked.problems()]
    found.sort(key=lambda problem: (problem.line, problem.column))
    if ending_of(name) != ".json":
        found.extend(beside.differences(pack))
    found.extend(beside.problems)
    if prepared is not None:
        # What rows that cannot run would use is not known: whatever somebody names may be.
        named = named_slots(looked.refused, prepared.axes.randomization) if looked.refused else set()
        found.extend(beside.unused(looked.used | named | prepared.axes.of_matrix))
    return Report(pack, tuple(found), tuple(looked.slots), tuple(looked.wildcards), prepared)


def check_prompt(
    pack: Pack, prepared: Prepared | None, inventory: Inventory | None = None
) -> Iterator[Problem]:
    """What is wrong with the one row of :func:`prompt_pack`, as :func:`check_pack` would say it. ``prepared``:
    its plan; None: what names in it stand for is not known."""
    if has_grammar(pack.rows[0].positive) and prepared is None:
        for finding in parse(pack.rows[0].positive).problems:
            yield located(1, finding, pack.rows[0].places[0])
    for problem in _Rows(pack, prepared, inventory or Inventory()).problems():
        if problem.reason not in _OF_WHOLE_ROWS:
            yield problem


def prompt_pack(prompt: str) -> Pack:
    """``prompt`` as a pack of one row, whose places are those in ``prompt``."""
    pieces = [Piece(line, number, 1) for number, line in enumerate(prompt.split("\n"), 1)]
    row = Row(1, 1, prompt.replace("\n", " "), "", prompt, lambda number, line: (pieces, ()))
    return Pack("prompt", "", (row,))


def missing_models(prompt: str, inventory: Inventory) -> list[str]:
    """LoRAs and embeddings in tags of ``prompt`` that no node has, as written, each once."""
    known = {"lora": inventory.loras, "lyco": inventory.loras, "embedding": inventory.embeddings}
    found: dict[str, None] = {}
    for tag in _TAG.finditer(prompt):
        names = known.get(tag[1].lower())
        name = tag[2].partition(":")[0].strip()
        if names is None or not name or _INSIDE_TAG.search(tag[2]):
            continue
        if plain_name(name) not in {plain_name(one) for one in names}:
            found.setdefault(name)
    return list(found)


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

    def prepare(
        self,
        request: PlanRequest,
        stages: Mapping[str, type[Stage]],
        randomizers: Mapping[str, type[Randomizer]] | None,
    ) -> Prepared | None:
        """All of the plan but its rows; None: it is refused, whatever the rows are."""
        if self._data and self._doc is None:
            return None
        clashes = list(self._clashes())
        self.problems.extend(clashes)
        try:
            if self._data:
                values = parse_settings(self.name, self._data)
                request = replace(request, sidecar=values, sidecar_name=self.name)
            # No seed changes what is refused.
            return prepare(request, stages, rng=Random(0), randomizers=randomizers)  # noqa: S311
        except (UserError, PluginError) as error:
            if not clashes:
                self.problems.append(self._refused(str(error), request.preset_name))
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

    def unused(self, used: Collection[str]) -> Iterator[Problem]:
        """Slots that the sidecar defines and nothing names."""
        for name, at in self._names():
            if self._doc is not None and normalize(name) not in used:
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

    def _refused(self, text: str, preset: str) -> Problem:
        """What the plan says about settings: with the place that it names, else that of the section."""
        file, place = self.name, (1, 1)
        for kind, name in (("preset", preset), ("sidecar", self.name), ("", self.name)):
            start = f"{kind} {name}".strip()
            if name and text.startswith((f"{start}, ", f"{start}: ")):
                file, text = name, text[len(start) + 2 :]
                break
        if found := _PLACE.match(text):
            place, text = (int(found[1]), int(found[2])), text[found.end() :]
        elif self._doc is not None and file == self.name:
            named = text.partition(":")[0].split(".")[0]
            place = self._doc.place(self._doc.where(self._section() if named == "randomization" else (named,)))
        return Problem(*place, *_halves(text), file=file)

    def _say(self, problem: Problem) -> None:
        self.problems.append(Problem(problem.line, problem.column, problem.reason, problem.fix, file=self.name))


def _halves(text: str) -> tuple[str, str]:
    """What is wrong, and what to do: the halves of an error of the plan."""
    reason, _, fix = text.rpartition("; ")
    return (reason, fix) if reason else (text, "correct it")


_NO_PROMPT = "this row has a negative prompt and no prompt"
_EMPTY = "this row is empty"
_OF_WHOLE_ROWS = frozenset({_NO_PROMPT, _EMPTY})


def _without_prompt(row: Row) -> Problem:
    """It runs, with an empty prompt, which hardly anybody wants."""
    if row.negative:
        reason = _NO_PROMPT
        fix = "write one, or take out the blank line above if it belongs to the row before"
    else:
        reason, fix = _EMPTY, "write a prompt, or take it out"
    return Problem(row.line, 1, reason, fix, row.number, "warning")


# --- the rows -------------------------------------------------------------------------------------------------


class _Rows:
    """Looks at each row."""

    def __init__(
        self,
        pack: Pack,
        prepared: Prepared | None,
        inventory: Inventory,
        also: Callable[[int], None] | None = None,
    ) -> None:
        self._pack = pack
        self._also = also
        self._prepared = prepared
        self._known = {
            kind: None if names is None else {plain_name(name): name for name in names}
            for kind, names in (("lora", inventory.loras), ("embedding", inventory.embeddings))
        }
        self._fine = (_FINE if inventory.loras is None else _FINE_WITHOUT_LORA).fullmatch
        self.used: set[str] = set()
        """Normalized names of matrix slots that the rows use, by way of others and of wildcards, too."""
        self.refused: list[str] = []
        """Texts of rows that cannot run."""
        self.slots: dict[str, None] = {}
        self.wildcards: dict[str, None] = {}

    def problems(self) -> Iterator[Problem]:
        """All of them, row by row."""
        maker = self._prepared.maker if self._prepared is not None else None
        broken = {problem.row for problem in self._pack.problems}
        first: dict[str, int] = {}
        refused = 0
        for place, row in enumerate(self._pack.rows):
            positive, negative = row.positive, row.negative
            varies = maker is not None and maker.varies(place)
            if row.number in broken or (varies and refused > ENOUGH):
                self.refused += (positive, negative)
            elif maker is not None and varies:
                for problem in self._planned(maker, place, row):
                    refused += 1
                    yield problem
                if refused > ENOUGH:
                    reason = f"more than {ENOUGH} rows are refused; those behind were not tried"
                    yield Problem(row.line, 1, reason, "mend these first", row.number)
            for which, text in enumerate((positive, negative)):
                if refused <= ENOUGH and has_grammar(text):
                    self._name(text)
                if not (len(text) <= LONG_PROMPT and self._fine(text)) and len(text) <= LONGEST_PROMPT:
                    yield from self._doubts(row, which, text)
            if not positive and not (maker is not None and maker.prompt(row).strip()):
                yield _without_prompt(row)
            # Neither text has a line break in it.
            other = first.setdefault(f"{positive}\n{negative}", row.number)
            if other != row.number:
                reason = f"the same as row {other}"
                yield Problem(row.line, 1, reason, "take one out, or change it", row.number, "warning")
            if self._also is not None:
                self._also(place)

    def _planned(self, maker: JobMaker, place: int, row: Row) -> Iterator[Problem]:
        """Why the plan refuses the row, if it does."""
        try:
            planned = maker.row(place)
        except RowError as error:
            problem = error.problem
        except (UserError, PluginError) as error:
            reason, fix = _halves(str(error))
            problem = Problem(row.line, 1, reason, fix, row.number)
        else:
            for space in planned.spaces.values():
                self.used.update(slot.id for slot in space.slots if slot.kind == "slot")
            return
        self.refused += (row.positive, row.negative)
        yield problem

    def _name(self, text: str) -> None:
        """Remember what the text names."""
        for reference in named_in(text):
            if isinstance(reference, SlotRef):
                self.slots.setdefault(reference.name)
            else:
                self.wildcards.setdefault(reference.path)

    def _doubts(self, row: Row, which: int, text: str) -> Iterator[Problem]:
        for number, (at, reason, fix) in enumerate(self._looks(text)):
            if number == MOST:
                reason, fix = f"more than {MOST} things to say about this row", "mend those above first"
            yield located(row.number, Finding(at, reason, fix), row.places[which], "warning")
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
