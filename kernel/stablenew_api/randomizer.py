"""Interface of a randomizer strategy: which option each slot takes in which image.

A *slot* is a place of a prompt, or an axis of the settings, that can take one of several options. A strategy
decides for all slots of a row that chose it. It is pure: what it answers depends on its arguments alone, so the
dry run, the count, the preview and the run cannot differ. Tools for writing one are in
:mod:`stablenew_api.shuffle`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar


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


@dataclass(frozen=True, slots=True)
class Turn:
    """The image that is asked for, counted in each way that a strategy may need."""

    plan_seed: int
    """0 to 2**64 - 1. All that is drawn must follow from it."""
    row: int
    """Number of the row in its pack, from 1."""
    combination: int
    """Which of the row's :meth:`Randomizer.size` combinations of this strategy, from 0."""
    image: int
    """Image of the row, from 0: over all its combinations and repeats."""


class Randomizer(ABC):
    """A strategy such as fanout, rotate or random. Called by the kernel at plan time, from any thread."""

    name: ClassVar[str]
    """The mode's name in files: ``mode = "fanout"``."""
    title: ClassVar[str]
    description: ClassVar[str] = ""
    """One plain sentence: what a person sees happen."""

    def size(self, slots: Sequence[Slot]) -> int:
        """How many combinations of ``slots`` each row is to be made in; 1 unless the strategy multiplies the
        images as fanout does. Must cost O(number of slots), whatever their sizes."""
        return 1

    @abstractmethod
    def pick(self, slots: Sequence[Slot], turn: Turn) -> Sequence[int]:
        """The option of each of ``slots``, in their order; ``0 <= option < slot.size``."""
