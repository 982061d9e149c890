"""The space of a prompt's variants: counted without being walked, any of them rendered by its number."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate
from random import Random

from stablenew_api.randomizer import Slot
from stablenew_kernel.domain.randomizer.grammar import (
    Choice,
    Finding,
    Node,
    Nodes,
    SlotRef,
    Wildcard,
    normalize,
    parse,
)
from stablenew_kernel.domain.tokens import resolve

_LONGEST_ID = 40


class SpaceError(Exception):
    """A text cannot be resolved."""

    def __init__(self, text: int, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.text = text
        """Which of the texts, from 0."""
        self.finding = finding


class _Unknown(Exception):
    """Something that a definition names is wrong."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


# --- what a node can become -----------------------------------------------------------------------------------


class _Part(ABC):
    """A piece of text that can become ``size`` texts, numbered from 0."""

    size: int
    weighted: bool = False

    @abstractmethod
    def render(self, index: int, slots: Mapping[str, str]) -> str:
        """Text ``index``; ``slots`` has what the matrix slots in it became."""

    def sample(self, rng: Random) -> int:
        """Draw a number by the weights inside."""
        return rng.randrange(self.size)


class _Text(_Part):
    size = 1

    def __init__(self, text: str) -> None:
        self._text = text

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        return self._text


class _SlotText(_Part):
    """A matrix slot inside something else: it takes the slot's own value, and varies with nothing else."""

    size = 1

    def __init__(self, slot: str) -> None:
        self.slot = slot

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        return slots[self.slot]


class _Row(_Part):
    """Parts one after the other; the last one varies fastest."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        self.size = math.prod(part.size for part in parts)
        self.weighted = any(part.weighted for part in parts)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        texts = []
        for part in reversed(self._parts):
            index, own = divmod(index, part.size)
            texts.append(part.render(own, slots))
        return "".join(reversed(texts))

    def sample(self, rng: Random) -> int:
        index = 0
        for part in self._parts:
            index = index * part.size + part.sample(rng)
        return index


class _OneOf(_Part):
    """One of several parts, by weight."""

    def __init__(self, parts: Sequence[_Part], weights: Sequence[float]) -> None:
        self._parts, self._weights = parts, weights
        self._ends = list(accumulate(part.size for part in parts))
        self.size = self._ends[-1]
        # Uneven also when one option holds more variants than another: each option is as likely as its weight.
        uneven = len(set(weights)) > 1 or len({part.size for part in parts}) > 1
        self.weighted = uneven or any(part.weighted for part in parts)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        which = bisect_right(self._ends, index)
        part = self._parts[which]
        return part.render(index - self._ends[which] + part.size, slots)

    def sample(self, rng: Random) -> int:
        (which,) = rng.choices(range(len(self._parts)), self._weights)
        part = self._parts[which]
        return self._ends[which] - part.size + part.sample(rng)


class _SomeOf(_Part):
    """``low`` to ``high`` of several parts, in any order, none twice: all of the shorter ones first, then as
    ``itertools.permutations`` has them."""

    def __init__(
        self, parts: Sequence[_Part], weights: Sequence[float], low: int, high: int, separator: str
    ) -> None:
        self._parts, self._weights, self._separator = parts, weights, separator
        self._low, self._high = low, high
        every = range(len(parts))
        self._ends = list(accumulate(self._ways(every, count) for count in range(low, high + 1)))
        self.size = self._ends[-1]
        self.weighted = low < high or any(part.weighted for part in parts) or len(set(weights)) > 1

    def _ways(self, options: Iterable[int], count: int) -> int:
        """Ordered selections of ``count`` of ``options``, each in all its variants: count! times the elementary
        symmetric polynomial of their sizes."""
        sums = [1] + [0] * count
        for option in options:
            for picked in range(count, 0, -1):
                sums[picked] += sums[picked - 1] * self._parts[option].size
        return sums[count] * math.factorial(count)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        block = bisect_right(self._ends, index)
        left = self._low + block
        index -= self._ends[block - 1] if block else 0
        options = list(range(len(self._parts)))
        texts = []
        while left:
            left -= 1
            for option in options:
                rest = self._ways((other for other in options if other != option), left)
                if index < self._parts[option].size * rest:
                    own, index = divmod(index, rest)
                    texts.append(self._parts[option].render(own, slots))
                    options.remove(option)
                    break
                index -= self._parts[option].size * rest
        return self._separator.join(texts)

    def sample(self, rng: Random) -> int:
        left = rng.randint(self._low, self._high)
        index = self._ends[left - self._low - 1] if left > self._low else 0
        options = list(range(len(self._parts)))
        while left:
            left -= 1
            weights = [self._weights[option] for option in options]
            (chosen,) = rng.choices(options, weights if any(weights) else None)
            for option in options:
                rest = self._ways((other for other in options if other != option), left)
                if option == chosen:
                    index += self._parts[option].sample(rng) * rest
                    break
                index += self._parts[option].size * rest
            options.remove(chosen)
        return index


# --- definitions and spaces -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Definitions:
    """What names stand for. Values are templates themselves."""

    slots: Mapping[str, Sequence[str]]
    """By normalized name."""
    wildcards: Mapping[str, Sequence[str]]
    """By name, without the underscores."""


@dataclass(frozen=True, slots=True)
class SpaceSlot:
    """A slot of a space."""

    id: str
    kind: str
    """slot, wildcard or choice."""
    mode: str
    """By its sampler sign; empty: none."""
    part: _Part
    needs: tuple[str, ...]
    """Ids of the matrix slots inside it."""

    def to_slot(self) -> Slot:
        """As strategies know it."""
        return Slot(self.id, self.part.size, self.label, self.part.sample if self.part.weighted else None)

    def label(self, index: int) -> str:
        """Option ``index`` as text; matrix slots inside it stay names."""
        return self.part.render(index, {slot: f"[[{slot}]]" for slot in self.needs})


class Space:
    """Several texts and their slots."""

    def __init__(self, texts: Sequence[Sequence[str | SpaceSlot]], slots: Mapping[str, SpaceSlot]) -> None:
        """Use :meth:`Compiler.compile`."""
        self._texts = texts
        self._by_id = slots
        self.slots: tuple[SpaceSlot, ...] = tuple(slots.values())
        """In the order in which they first appear."""

    def texts(self, picks: Mapping[str, int]) -> list[str]:
        """The texts, with ``picks`` (slot id to option), as a backend gets them."""
        values: dict[str, str] = {}
        return [
            resolve(
                "".join(
                    piece if isinstance(piece, str) else self._value(piece, picks, values) for piece in text
                )
            )
            for text in self._texts
        ]

    def _value(self, slot: SpaceSlot, picks: Mapping[str, int], values: dict[str, str]) -> str:
        if slot.id not in values:
            inner = {name: self._value(self._by_id[name], picks, values) for name in slot.needs}
            values[slot.id] = slot.part.render(picks[slot.id], inner)
        return values[slot.id]


class Compiler:
    """Compiles texts over one set of definitions. Each definition is read once, however often it is named."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._named: dict[str, tuple[_Part, tuple[str, ...]]] = {}

    def compile(self, texts: Sequence[tuple[str, str]]) -> Space:
        """The space of ``texts``, each with the prefix that sets its nameless slots apart (``neg:``).

        Raises SpaceError for what is wrong in them and for names that nobody defined.
        """
        slots: dict[str, SpaceSlot] = {}
        compiled: list[list[str | SpaceSlot]] = []
        for number, (text, prefix) in enumerate(texts):
            template = parse(text)
            if template.problems:
                raise SpaceError(number, template.problems[0])
            pieces: list[str | SpaceSlot] = []
            # Counted anew in each text: a later stage's prompt begins with the row's, and takes the same picks.
            used: dict[str, int] = {}
            for node in template.nodes:
                if isinstance(node, str):
                    pieces.append(node)
                    continue
                try:
                    pieces.append(self._slot(node, prefix, slots, used))
                except _Unknown as error:
                    raise SpaceError(number, Finding(node.at, error.reason, error.fix)) from error
            compiled.append(pieces)
        return Space(compiled, slots)

    def _slot(
        self, node: SlotRef | Wildcard | Choice, prefix: str, slots: dict[str, SpaceSlot], used: dict[str, int]
    ) -> SpaceSlot:
        part, needs = self._part(node, ())
        if isinstance(node, SlotRef):
            name, kind, mode = normalize(node.name), "slot", ""
        else:
            kind = "wildcard" if isinstance(node, Wildcard) else "choice"
            name, mode = prefix + short_id(node.source), node.mode
            used[name] = used.get(name, 0) + 1
            if used[name] > 1:
                name = f"{name}#{used[name]}"
        if name not in slots:
            # What a slot needs comes behind it: its own place is where it was first read.
            slots[name] = SpaceSlot(name, kind, mode, part, needs)
            for inner in needs:
                self._slot(SlotRef(inner, node.at), "", slots, used)
        return slots[name]

    def _row(self, nodes: Nodes, stack: tuple[str, ...]) -> tuple[_Part, tuple[str, ...]]:
        found = [self._inner(node, stack) for node in nodes]
        needs = tuple(dict.fromkeys(name for _, names in found for name in names))
        return (found[0][0] if len(found) == 1 else _Row([part for part, _ in found])), needs

    def _inner(self, node: Node, stack: tuple[str, ...]) -> tuple[_Part, tuple[str, ...]]:
        """A node inside another one."""
        if isinstance(node, str):
            return _Text(node), ()
        if isinstance(node, SlotRef):
            self._part(node, stack)  # it must exist, and not lead back here
            name = normalize(node.name)
            return _SlotText(name), (name,)
        return self._part(node, stack)

    def _part(self, node: SlotRef | Wildcard | Choice, stack: tuple[str, ...]) -> tuple[_Part, tuple[str, ...]]:
        if isinstance(node, SlotRef):
            name = normalize(node.name)
            values = self._definitions.slots.get(name)
            if not values:
                known = ", ".join(sorted(self._definitions.slots)) or "none"
                raise _Unknown(
                    f"nobody defines the matrix slot [[{node.name}]]",
                    rf"define it in randomization.matrix.slots (defined: {known}), or write \[ for a bracket",
                )
            return self._definition(f"[[{name}]]", values, stack)
        if isinstance(node, Wildcard):
            values = self._wildcard(node.path)
            if not values:
                known = ", ".join(sorted(self._definitions.wildcards)) or "none"
                raise _Unknown(
                    f"there is no wildcard __{node.path}__",
                    rf"define it in randomization.wildcards.tokens (defined: {known}), or write \__",
                )
            return self._definition(f"__{node.path}__", values, stack)
        found = [self._row(inner, stack) for _, inner in node.options]
        needs = tuple(dict.fromkeys(name for _, names in found for name in names))
        kept = [
            (part, weight) for (part, _), (weight, _) in zip(found, node.options, strict=True) if weight > 0
        ]
        parts, weights = [part for part, _ in kept], [weight for _, weight in kept]
        if node.low == node.high == 1:
            return _OneOf(parts, weights), needs
        high = min(node.high, len(parts))
        return _SomeOf(parts, weights, min(node.low, high), high, node.separator), needs

    def _wildcard(self, path: str) -> Sequence[str]:
        wildcards = self._definitions.wildcards
        if "*" not in path:
            return wildcards.get(path, ())
        return [value for name in sorted(wildcards) if fnmatchcase(name, path) for value in wildcards[name]]

    def _definition(
        self, name: str, values: Sequence[str], stack: tuple[str, ...]
    ) -> tuple[_Part, tuple[str, ...]]:
        if name in stack:
            loop = " > ".join((*stack[stack.index(name) :], name))
            raise _Unknown(f"{name} leads back to itself ({loop})", "take one out of the other's values")
        if name not in self._named:
            found = []
            for number, value in enumerate(values, 1):
                template = parse(value)
                if template.problems:
                    problem = template.problems[0]
                    raise _Unknown(
                        f"value {number} of {name}, character {problem.at + 1}: {problem.reason}", problem.fix
                    )
                found.append(self._row(template.nodes, (*stack, name)))
            needs = tuple(dict.fromkeys(inner for _, names in found for inner in names))
            self._named[name] = _OneOf([part for part, _ in found], [1.0] * len(found)), needs
        return self._named[name]


def short_id(source: str) -> str:
    """``source``, or its beginning and a hash: the id of a slot that has no name."""
    if len(source) <= _LONGEST_ID:
        return source
    return f"{source[:24]}…{hashlib.sha256(source.encode('utf-8')).hexdigest()[:8]}"
