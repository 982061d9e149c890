"""Something else each time."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.randomizer import Randomizer, Slot, Turn
from stablenew_api.shuffle import key_of, permute, random_of


class RandomPicks(Randomizer):
    """Each slot draws on its own, anew for each image. Without weights as from a bag: every option comes once
    before one comes again. With weights each draw stands for itself, so that the weights hold."""

    name = "random"
    title = "Random"
    description = "Each image draws its options; none comes again before all have come."

    def pick(self, slots: Sequence[Slot], turn: Turn) -> Sequence[int]:
        """One draw a slot; depends on the plan seed, the row, the slot's id and the image's number."""
        return [_draw(slot, turn) for slot in slots]


def _draw(slot: Slot, turn: Turn) -> int:
    if slot.sample is not None:
        return slot.sample(random_of("draw", turn.plan_seed, turn.row, slot.id, turn.image))
    bag, place = divmod(turn.image, slot.size)
    return permute(place, slot.size, key_of("bag", turn.plan_seed, turn.row, slot.id, bag))
