"""One option after the other, going on where the last run stopped."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.jobs import JsonValue
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Use


class _Walk(Randomizer):
    """Each slot has a place of its own, which moves by one a step; after the last option comes the first."""

    remembers = True
    together = True

    def steps(self, use: Use) -> int:
        """How far a run that has used a slot so often has walked."""
        raise NotImplementedError

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """The option at the place of each slot."""
        return [(_next(memory.get(slot.id)) + self.steps(turn.uses[slot.id])) % slot.size for slot in slots]

    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        """``next``, the option that comes next, from 0, and ``of``, how many there were."""
        return {"next": (_next(kept) + self.steps(used)) % slot.size, "of": slot.size}

    def describe(self, kept: JsonValue) -> str:
        """``next is 4 of 12``."""
        of = kept.get("of") if isinstance(kept, dict) else None
        return f"next is {_next(kept) + 1:,}" + (f" of {of:,}" if isinstance(of, int) else "")


class Sequential(_Walk):
    """One option a row: all images of the row have it."""

    name = "sequential"
    title = "Sequential"
    description = "Each row takes the next option, for all its images; the next run goes on from there."

    def steps(self, use: Use) -> int:
        """One a row."""
        return use.rows


class Rotate(_Walk):
    """One option an image."""

    name = "rotate"
    title = "Rotate"
    description = "Each image takes the next option; the next run goes on from there."

    def steps(self, use: Use) -> int:
        """One an image."""
        return use.images


def _next(kept: JsonValue) -> int:
    """The place kept; the first for what is no place."""
    place = kept.get("next") if isinstance(kept, dict) else None
    return place if isinstance(place, int) and place >= 0 else 0
