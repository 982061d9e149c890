"""The images of one row: which slots it has, how many combinations, and what each image takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.randomizer import Randomizer, Slot, Turn
from stablenew_kernel.domain.randomizer.grammar import MODES
from stablenew_kernel.domain.randomizer.settings import Randomization
from stablenew_kernel.domain.randomizer.space import Compiler, Space, SpaceSlot
from stablenew_kernel.domain.summary import factor_of

JOINT = "matrix"
"""Id of the one slot that a matrix is when its mode is not fanout: the walk goes over its combinations."""


_SIGNS = {mode: sign for sign, mode in MODES.items()}


@dataclass(frozen=True, slots=True)
class _Group:
    """The slots of one mode."""

    mode: str
    strategy: Randomizer
    slots: tuple[Slot, ...]
    members: Mapping[str, tuple[SpaceSlot, ...]]
    """By joint slot, the slots it stands for; the others stand for themselves."""

    def size(self) -> int:
        """Combinations that the strategy asks for."""
        try:
            size = self.strategy.size(self.slots)
        except Exception as error:  # a plugin's: whatever it raises, the plan ends with its name
            raise PluginError(f"randomizer {self.mode}: size failed: {error!r}") from error
        if type(size) is not int or size < 1:
            raise PluginError(f"randomizer {self.mode}: size gave {size!r}, not 1 or more")
        return size

    def picks(self, turn: Turn) -> dict[str, int]:
        """The option of each slot."""
        try:
            chosen = self.strategy.pick(self.slots, turn)
            fits = len(chosen) == len(self.slots) and all(
                0 <= option < slot.size for option, slot in zip(chosen, self.slots, strict=True)
            )
        except Exception as error:  # as in size()
            raise PluginError(f"randomizer {self.mode}: pick failed: {error!r}") from error
        if not fits:
            raise PluginError(f"randomizer {self.mode}: pick gave {chosen!r}: no options of its slots")
        picks: dict[str, int] = {}
        for slot, option in zip(self.slots, chosen, strict=True):
            for member in reversed(self.members.get(slot.id, ())):
                option, picks[member.id] = divmod(option, member.part.size)
            if slot.id not in self.members:
                picks[slot.id] = option
        return picks


@dataclass(frozen=True, slots=True)
class Variant:
    """What one image takes."""

    texts: Sequence[str]
    """As a backend gets them."""
    combination: int
    choices: tuple[Mapping[str, JsonValue], ...]
    """``{"slot", "mode", "index", "value"}`` a slot."""


class RowVariants:
    """All variants of one row, worked out when asked for."""

    def __init__(self, row: int, space: Space, groups: Sequence[_Group], limit: int, plan_seed: int) -> None:
        """Use :class:`Variants`."""
        self._row, self._space, self._groups, self._plan_seed = row, space, groups, plan_seed
        sizes = [group.size() for group in groups]
        size = math.prod(sizes)
        self.combinations = min(size, limit) if limit else size
        """Combinations the row is made in."""
        self._modes = {
            slot.id: group.mode
            for group in groups
            for joint in group.slots
            for slot in group.members.get(joint.id, (joint,))
        }
        fanning = [group for group, own in zip(groups, sizes, strict=True) if own > 1]
        self.fanned = tuple(factor_of(slot) for group in fanning for slot in group.slots)
        """Slots that multiply the images."""
        self.drawn = tuple(
            slot.id for group in groups if group.mode != "off" for slot in group.slots if slot.size > 1
        )
        """Slots that vary at all."""

    def variant(self, image: int, images: int) -> Variant:
        """Image ``image`` (from 0) of the row, with ``images`` of each combination."""
        combination = image // images
        picks: dict[str, int] = {}
        for group in self._groups:
            picks.update(group.picks(Turn(self._plan_seed, self._row, combination, image)))
        choices = tuple(
            {
                "slot": slot.id,
                "mode": self._modes[slot.id],
                "index": picks[slot.id],
                "value": slot.label(picks[slot.id]),
            }
            for slot in self._space.slots
        )
        return Variant(self._space.texts(picks), combination, choices)


class Variants:
    """Makes :class:`RowVariants`, over one set of definitions and strategies."""

    def __init__(
        self,
        randomization: Randomization,
        strategies: Mapping[str, type[Randomizer]],
        plan_seed: int,
        source: str,
    ) -> None:
        self._randomization = randomization
        self._strategies = strategies
        self._made: dict[str, Randomizer] = {}
        self._plan_seed = plan_seed
        self._source = source
        self._compiler = Compiler(randomization.definitions)

    def prepare(self, positive: str, negative: str) -> tuple[str, str]:
        """A row's texts as its stages get them: with the matrix' own prompt, rules written out as choices."""
        texts = [self._randomization.prompt(positive), negative]
        for search, replacements in self._randomization.rules:
            sign = _SIGNS[self._randomization.modes["rule"]]
            choice = f"{{{sign}{'|'.join(replacements)}}}"
            texts = [text.replace(search, choice) for text in texts]
        return texts[0], texts[1]

    def row(self, number: int, texts: Sequence[tuple[str, str]]) -> RowVariants:
        """The variants of row ``number``, whose stages have these positive and negative ``texts``.

        Raises SpaceError for what is wrong in them, UserError for a mode that nobody provides."""
        space = self._compiler.compile(
            [text for positive, negative in texts for text in ((positive, ""), (negative, "neg:"))]
        )
        wanted: dict[str, list[Slot]] = {}
        joint: list[SpaceSlot] = []
        own = self._randomization.slot_modes
        matrix = self._randomization.modes["slot"]
        for slot in space.slots:
            mode = slot.mode or own.get(slot.id, "") or self._randomization.modes[slot.kind]
            if slot.kind == "slot" and slot.id not in own and matrix not in ("off", "fanout"):
                joint.append(slot)
            else:
                wanted.setdefault(mode, []).append(slot.to_slot())
        members: dict[str, tuple[SpaceSlot, ...]] = {}
        if joint:
            # By name: moving a slot about in the text changes no pick.
            members[JOINT] = tuple(sorted(joint, key=lambda slot: slot.id))
            size = math.prod(slot.part.size for slot in joint)
            wanted.setdefault(matrix, []).insert(0, Slot(JOINT, size, str))
        groups = [
            _Group(mode, self._strategy(mode), tuple(slots), members if JOINT in {s.id for s in slots} else {})
            for mode, slots in wanted.items()
        ]
        return RowVariants(number, space, groups, self._randomization.limit, self._plan_seed)

    def _strategy(self, mode: str) -> Randomizer:
        if mode not in self._made:
            kind = self._strategies.get(mode)
            if kind is None:
                known = ", ".join(sorted(self._strategies)) or "none"
                where = f"{self._source}: " if self._source else ""
                raise UserError(f"{where}no plugin provides the randomizer mode {mode!r}; known: {known}")
            self._made[mode] = kind()
        return self._made[mode]
