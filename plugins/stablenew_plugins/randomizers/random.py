"""Something else each time."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn
from stablenew_api.shuffle import key_of, permute, random_of


class RandomPicks(Randomizer):
    """Each slot draws on its own, anew for each image. Without weights as from a bag: every option comes once
    before one comes again. With weights each draw stands for itself, so that the weights hold.

    Slots that walk together (a matrix) are drawn so that no combination comes again before all have come. Two
    wishes cannot both be had there: that, and that no slot's draw depends on another slot. (Three slots of two
    values each, each a sequence of its own in which every pair of images has both values: for some two of them
    the second pair of images repeats the first.) So the slots are drawn one after the other, by name: the first
    as if it were alone, each other one from a bag for each combination of those before it. Where a slot stands
    changes nothing; one that is added or taken out changes only those whose name comes after its own.
    """

    name = "random"
    title = "Random"
    description = "Each image draws its options; none comes again before all have come."
    together = True

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """One draw a slot; depends on the plan seed, the row, the slot's id and the image's number."""
        return [_together(slot, turn) if slot.parts else _draw(slot, turn) for slot in slots]


def _draw(slot: Slot, turn: Turn) -> int:
    if slot.sample is not None:
        return slot.sample(random_of("draw", turn.plan_seed, turn.row, slot.id, turn.image))
    bag, place = divmod(turn.image, slot.size)
    return permute(place, slot.size, key_of("bag", turn.plan_seed, turn.row, slot.id, bag))


def _together(slot: Slot, turn: Turn) -> int:
    drawn: dict[str, int] = {}
    use = turn.image  # which use it is of the combination drawn so far
    for part in sorted(slot.parts, key=lambda part: part.id):
        bag, place = divmod(use, part.size)
        key = key_of("bag", turn.plan_seed, turn.row, part.id, bag, *drawn.values())
        drawn[part.id] = permute(place, part.size, key)
        use = bag
    option = 0
    for part in slot.parts:
        option = option * part.size + drawn[part.id]
    return option
