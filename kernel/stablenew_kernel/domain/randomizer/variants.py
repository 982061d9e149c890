"""The images of one row: which slots it has, how many combinations, and what each image takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Turns, Use
from stablenew_kernel.domain.randomizer.axes import Axes, Axis
from stablenew_kernel.domain.randomizer.compiler import Compiler
from stablenew_kernel.domain.randomizer.space import Space, SpaceSlot
from stablenew_kernel.domain.randomizer.wildcards import Wildcards
from stablenew_kernel.domain.summary import factor_of

MATRIX = "matrix"
"""The matrix slots without a mode of their own: they walk together where the mode lets them."""

Place = tuple[str, str]
"""Mode and slot id: what a strategy remembers of one slot is kept under."""

_ID = re.compile(r"(?:neg:)?(.*?)(?:#\d+)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Group:
    """The slots of one mode."""

    mode: str
    strategy: Randomizer
    slots: tuple[Slot, ...]
    memory: Memory

    def size(self) -> int:
        """Combinations that the strategy asks for."""
        try:
            size = self.strategy.size(self.slots)
        except UserError:
            raise
        except Exception as error:  # a plugin's: whatever it raises, the plan ends with its name
            raise PluginError(f"randomizer {self.mode}: size failed: {error!r}") from error
        if type(size) is not int or size < 1:
            raise PluginError(f"randomizer {self.mode}: size gave {size!r}, not 1 or more")
        return size

    def picks(self, turn: Turn) -> dict[str, int]:
        """The option of each slot."""
        try:
            chosen = self.strategy.pick(self.slots, turn, self.memory)
            fits = len(chosen) == len(self.slots) and all(
                0 <= option < slot.size for option, slot in zip(chosen, self.slots, strict=True)
            )
        except Exception as error:  # as in size()
            raise PluginError(f"randomizer {self.mode}: pick failed: {error!r}") from error
        if not fits:
            raise PluginError(f"randomizer {self.mode}: pick gave {chosen!r}: no options of its slots")
        picks: dict[str, int] = {}
        for slot, option in zip(self.slots, chosen, strict=True):
            for part in reversed(slot.parts):
                option, picks[part.id] = divmod(option, part.size)
            if not slot.parts:
                picks[slot.id] = option
        return picks

    def columns(self, turns: Turns) -> dict[str, Sequence[int]]:
        """The options of each slot in many images."""
        try:
            chosen = self.strategy.columns(self.slots, turns, self.memory)
            fits = len(chosen) == len(self.slots) and all(
                len(column) == len(turns.images) and all(0 <= option < slot.size for option in set(column))
                for column, slot in zip(chosen, self.slots, strict=True)
            )
        except Exception as error:  # as in size()
            raise PluginError(f"randomizer {self.mode}: columns failed: {error!r}") from error
        if not fits:
            raise PluginError(f"randomizer {self.mode}: columns gave something else than options of its slots")
        columns: dict[str, Sequence[int]] = {}
        for slot, column in zip(self.slots, chosen, strict=True):
            for part in reversed(slot.parts):
                columns[part.id] = [option % part.size for option in column]
                column = [option // part.size for option in column]
            if not slot.parts:
                columns[slot.id] = column
        return columns


@dataclass(frozen=True, slots=True)
class Variant:
    """What one image takes."""

    picks: Mapping[str, int]
    """The option of each slot, by its id."""
    combination: int
    choices: tuple[Mapping[str, JsonValue], ...]
    """``{"slot", "mode", "index", "value"}`` a slot, of one that remembers also ``"use"``."""


@dataclass(frozen=True, slots=True)
class Uses:
    """How often the run used the slots of a row before that row, in the order of :attr:`RowVariants.kept`."""

    before: tuple[Use, ...] = ()


class RowVariants:
    """All variants of one row, worked out when asked for."""

    def __init__(
        self,
        row: int,
        slots: Sequence[Slot],
        groups: Sequence[_Group],
        limit: int,
        plan_seed: int,
    ) -> None:
        """Use :class:`Variants`."""
        self._row, self._slots, self._groups, self._plan_seed = row, slots, groups, plan_seed
        self._sizes = [group.size() for group in groups]
        self._size = size = math.prod(self._sizes)
        self.combinations = min(size, limit) if limit else size
        """Combinations the row is made in."""
        modes = [(part.id, group) for group in groups for slot in group.slots for part in slot.parts or (slot,)]
        self._modes = {slot: group.mode for slot, group in modes}
        self.slots: tuple[tuple[Slot, str], ...] = tuple((slot, self._modes[slot.id]) for slot in slots)
        """Every slot with its mode: axes, then those of the texts."""
        self._walks = {
            part.id: slot.id
            for group in groups
            if group.strategy.remembers
            for slot in group.slots
            for part in slot.parts or (slot,)
        }
        fanning = {group.mode for group, own in zip(groups, self._sizes, strict=True) if own > 1}
        self.fanned = tuple(
            factor_of(slot) for group in groups if group.mode in fanning for slot in group.slots
        )
        """Slots that multiply the images."""
        self.drawn = tuple(
            part.id
            for group in groups
            if group.mode not in ("off", *fanning)
            for slot in group.slots
            for part in slot.parts or (slot,)
            if part.size > 1
        )
        """Slots that vary without multiplying the images."""
        self.walked = tuple(self._walks)
        """Those of them that go on from run to run."""
        self.kept: tuple[tuple[Place, Slot], ...] = tuple(
            ((group.mode, slot.id), slot)
            for group in groups
            if group.strategy.remembers
            for slot in group.slots
        )
        """Slots of which something is remembered."""

    def variant(self, image: int, images: int, rank: int, uses: Uses) -> Variant:
        """Image ``image`` (from 0) of the row, with ``images`` of each combination. ``rank`` images of the row
        are made before it, and ``uses`` tells of the rows before."""
        combination = image // images
        now = {
            slot.id: Use(use.rows, use.images + rank)
            for (_, slot), use in zip(self.kept, uses.before, strict=True)
        }
        left, picks = combination, dict[str, int]()
        for group, size in zip(reversed(self._groups), reversed(self._sizes), strict=True):
            left, own = divmod(left, size)
            picks.update(group.picks(Turn(self._plan_seed, self._row, own, image, now)))
        return Variant(picks, combination, self._choices(picks, now))

    def many(self, images: Sequence[int], per: int, columns: Mapping[str, Sequence[int]]) -> Iterator[Variant]:
        """These images, as :meth:`variant` has them, of their :meth:`columns`."""
        for number, image in enumerate(images):
            picks = {slot: column[number] for slot, column in columns.items()}
            yield Variant(picks, image // per, self._choices(picks, {}))

    def _choices(self, picks: Mapping[str, int], now: Mapping[str, Use]) -> tuple[Mapping[str, JsonValue], ...]:
        choices = []
        for slot in self._slots:
            choice: dict[str, JsonValue] = {
                "slot": slot.id,
                "mode": self._modes[slot.id],
                "index": picks[slot.id],
                "value": slot.label(picks[slot.id]),
            }
            if slot.id in self._walks:
                choice["use"] = now[self._walks[slot.id]].images
            choices.append(choice)
        return tuple(choices)

    def columns(self, images: Sequence[int], per: int) -> dict[str, Sequence[int]]:
        """The picks of many images at once, a column a slot, as :meth:`variant` has them; ``per`` images of
        each combination. Only for rows without :attr:`kept` slots: their picks follow from those before."""
        left: Sequence[int] = images if per == 1 else [image // per for image in images]
        columns: dict[str, Sequence[int]] = {}
        for group, size in zip(reversed(self._groups), reversed(self._sizes), strict=True):
            own: Sequence[int] = [0] * len(images)
            if size == self._size:  # the only one that has more than one combination
                own = left
            elif size > 1:
                own, left = [number % size for number in left], [number // size for number in left]
            columns.update(group.columns(Turns(self._plan_seed, self._row, own, images)))
        return columns


@dataclass(frozen=True, slots=True)
class _Entry:
    slot: Slot
    mode: str
    joint: str


class Variants:
    """Makes :class:`RowVariants`, over one set of definitions, axes and strategies."""

    def __init__(
        self,
        axes: Axes,
        strategies: Mapping[str, type[Randomizer]],
        plan_seed: int,
        memory: Mapping[Place, JsonValue],
    ) -> None:
        self._axes = axes
        self._randomization = axes.randomization
        self._strategies = strategies
        self._made: dict[str, Randomizer] = {}
        self._plan_seed = plan_seed
        self._memory = memory
        self._compiler = Compiler(self._randomization.definitions)
        self.asked: set[str] = set(axes.asked)
        """Slots that ``randomization.modes`` names and that are there, as far as rows were made."""
        self._axis_entries = [_Entry(_axis_slot(axis), axis.mode, axis.joint) for axis in axes.settings]
        for axis in axes.settings:
            self.strategy(axis.mode, axis.source)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Settings that vary."""
        return self._axes.settings

    @property
    def wildcards(self) -> Wildcards:
        """What is known by name."""
        return self._compiler.wildcards

    @property
    def adds_tags(self) -> bool:
        """Whether :meth:`prepare` adds tags of axes behind the texts."""
        return any(self._axes.added)

    def prepare(self, positive: str, negative: str) -> tuple[str, str]:
        """A row's texts as its stages get them: with the matrix' own prompt and the tags of axes, rules written
        out as choices."""
        texts = [self._randomization.prompt(positive), negative]
        for rule in self._randomization.rules:
            texts = [text.replace(rule.search, rule.choice) for text in texts]
        added = self._axes.added
        return (texts[0] + added[0]).lstrip() if added[0] else texts[0], texts[1] + added[1]

    def space(self, texts: Sequence[tuple[str, str]]) -> Space:
        """The space of these positive and negative texts. Raises SpaceError for what is wrong in them."""
        return self._compiler.compile(
            [text for positive, negative in texts for text in ((positive, ""), (negative, "neg:"))]
        )

    def row(self, number: int, space: Space) -> RowVariants:
        """The variants of row ``number``. Raises UserError for a mode that nobody provides, or that cannot
        serve the row's slots."""
        randomization = self._randomization
        order = {name: place for place, name in enumerate(randomization.definitions.slots)}
        # As the text has them; but matrix slots among each other as the section lists them.
        matrix = iter(sorted((s for s in space.slots if s.kind == "slot"), key=lambda slot: order[slot.id]))
        found = [next(matrix) if slot.kind == "slot" else slot for slot in space.slots]
        # By mode, then by what walks together: most slots walk alone.
        wanted: dict[str, dict[tuple[str, str], list[Slot]]] = {}
        for entry in (*self._axis_entries, *map(self._entry, found)):
            together = entry.joint and self.strategy(entry.mode, randomization.source).together
            walk = ("joint", entry.joint) if together else ("slot", entry.slot.id)
            wanted.setdefault(entry.mode, {}).setdefault(walk, []).append(entry.slot)
        groups = []
        for mode, walks in wanted.items():
            slots = tuple(_join(parts) for parts in walks.values())
            strategy = self.strategy(mode, randomization.source)
            kept = {slot.id: self._memory.get((mode, slot.id)) for slot in slots if strategy.remembers}
            memory = {slot: place for slot, place in kept.items() if place is not None}
            groups.append(_Group(mode, strategy, slots, memory))
        shown = [entry.slot for entry in self._axis_entries] + [slot.to_slot() for slot in space.slots]
        return RowVariants(number, shown, groups, randomization.limit, self._plan_seed)

    def _entry(self, slot: SpaceSlot) -> _Entry:
        """With the mode that ``randomization.modes`` has for it, else that of its sampler sign, else of its own
        entry in the section, else of its kind."""
        key = slot_name(slot.id)
        forced = self._randomization.own_modes.get(key, "")
        if forced:
            self.asked.add(key)
        own = forced or self._randomization.slot_modes.get(key, "")
        mode = forced or slot.mode or own or self._randomization.modes[slot.kind]
        joint = self._axes.joints.get(slot.id, "")
        return _Entry(slot.to_slot(), mode, MATRIX if slot.kind == "slot" and not own else joint)

    def strategy(self, mode: str, source: str) -> Randomizer:
        """The strategy of ``mode``, one instance a plan. Raises UserError if nobody provides it."""
        if mode not in self._made:
            kind = self._strategies.get(mode)
            if kind is None:
                known = ", ".join(sorted(self._strategies)) or "none"
                where = f"{source}: " if source else ""
                raise UserError(f"{where}no plugin provides the randomizer mode {mode!r}; known: {known}")
            self._made[mode] = kind()
        return self._made[mode]

    def remember(self, place: Place, slot: Slot, used: Use) -> JsonValue:
        """What to keep of ``slot`` after the run. Raises PluginError if the strategy fails."""
        mode, _ = place
        try:
            return self._made[mode].remember(slot, used, self._plan_seed, self._memory.get(place))
        except Exception as error:  # a plugin's, as above
            raise PluginError(f"randomizer {mode}: remember failed: {error!r}") from error


def slot_name(slot: str) -> str:
    """A slot's id as the section knows it: ``neg:__hair__#2`` is the second ``__hair__`` of a negative."""
    found = _ID.fullmatch(slot)
    return found[1] if found else slot


def _axis_slot(axis: Axis) -> Slot:
    return Slot(axis.id, len(axis.options), axis.labels.__getitem__)


def _join(parts: Sequence[Slot]) -> Slot:
    """One slot of several; one of one is that slot."""
    if len(parts) == 1:
        return parts[0]

    def label(option: int) -> str:
        texts = []
        for part in reversed(parts):
            option, own = divmod(option, part.size)
            texts.append(part.label(own))
        return ", ".join(reversed(texts))

    size = math.prod(part.size for part in parts)
    return Slot(" x ".join(part.id for part in parts), size, label, parts=tuple(parts))
