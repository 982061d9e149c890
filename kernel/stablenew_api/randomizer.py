"""Interface of a randomizer strategy: which option each slot takes in which image.

A *slot* is a place of a prompt, or an axis of the settings, that can take one of several options. A strategy
decides for all slots of a row that chose it. It is pure: what it answers depends on its arguments alone, so the
dry run, the count, the preview and the run cannot differ. What it wants to know of earlier runs (the place
where the last one stopped, how often an option was used) the kernel keeps for it, for each pack and slot, and
hands it over. Tools for writing one are in :mod:`stablenew_api.shuffle`, a complete one in ``docs/plugins.md``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from stablenew_api.jobs import JsonValue


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that can take one of several options."""

    id: str
    """Stable: does not change when other slots are added, removed or moved."""
    size: int
    """Options, 1 or more. May be huge: an option may itself hold choices, and each resolution counts."""
    label: Callable[[int], str] = field(compare=False)
    """Text of option ``index``, from 0."""
    sample: Callable[[Random], int] | None = field(default=None, compare=False)
    """Draws an option by the weights that its text gives; None: all weigh the same."""
    parts: tuple[Slot, ...] = ()
    """Not empty: these slots walk together, as a matrix does. ``size`` is then the product of their sizes, and
    an option is the number of a combination, as nested loops count them, the first part the slowest."""


@dataclass(frozen=True, slots=True)
class Use:
    """How often a run has used a slot in this mode."""

    rows: int = 0
    """Rows before the one at hand."""
    images: int = 0
    """Images before the one at hand, in this row and in those before it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The image that is asked for, counted in each way that a strategy may need."""

    plan_seed: int
    """0 to 2**64 - 1. All that is drawn must follow from it."""
    row: int
    """Number of the row in its pack, from 1."""
    combination: int
    """Which of the :meth:`Randomizer.size` combinations of this strategy, from 0."""
    image: int
    """Image of the row, from 0: over all its combinations and repeats."""
    uses: Mapping[str, Use] = field(default_factory=dict)
    """By slot id. Only images that are made count: with ``--sample 5`` there are five."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Many images at once, as :class:`Turn` has one."""

    plan_seed: int
    row: int
    combinations: Sequence[int]
    """Of each image; a ``range`` where they follow each other by one."""
    images: Sequence[int]


Memory = Mapping[str, JsonValue]
"""What a strategy kept after earlier runs of the same pack, by slot id. A slot of which nothing is kept yet is
not in it."""


class Randomizer(ABC):
    """A strategy such as fanout, rotate or random. Called by the kernel at plan time, from any thread; an
    instance serves one plan."""

    name: ClassVar[str]
    """The mode's name in files: ``mode = "fanout"``."""
    title: ClassVar[str]
    description: ClassVar[str] = ""
    """One plain sentence: what a person sees happen."""
    remembers: ClassVar[bool] = False
    """Whether :meth:`remember` is called when a run is queued, and its answers kept."""
    together: ClassVar[bool] = False
    """Whether the slots of a matrix come as one slot with :attr:`Slot.parts`: its combinations are walked."""

    def size(self, slots: Sequence[Slot]) -> int:
        """How many combinations of ``slots`` each row is to be made in; 1 unless the strategy multiplies the
        images as fanout does. Must cost O(number of slots), whatever their sizes. Raises UserError for slots
        that it cannot serve."""
        return 1

    @abstractmethod
    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """The option of each of ``slots``, in their order; ``0 <= option < slot.size``.

        ``memory`` may come from an older version of the pack: options may have come, gone or moved since."""

    def columns(self, slots: Sequence[Slot], turns: Turns, memory: Memory) -> Sequence[Sequence[int]]:
        """What :meth:`pick` answers for many images: for each slot a column of options, one an image. Override
        it where that can be done faster. Not called for a strategy that :attr:`remembers`."""
        picks = [
            self.pick(slots, Turn(turns.plan_seed, turns.row, combination, image), memory)
            for combination, image in zip(turns.combinations, turns.images, strict=True)
        ]
        return list(zip(*picks, strict=True)) if picks else [()] * len(slots)

    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        """What to keep of ``slot`` once a run is queued that used it in ``used.rows`` rows and ``used.images``
        images. ``kept`` is what :meth:`pick` was given; None: nothing.

        Called once a run and slot, never for a dry run, a replay, or a submit that fails."""
        return kept

    def describe(self, kept: JsonValue) -> str:
        """What :meth:`remember` answered, in plain words: ``next is 4 of 12``."""
        return ""
