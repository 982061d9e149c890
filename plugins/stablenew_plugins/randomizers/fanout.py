"""Every combination, once each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn


class Fanout(Randomizer):
    """All combinations, as nested loops do them: the first slot is the slowest."""

    name = "fanout"
    title = "Fan out"
    description = "Each row is made in every combination of its options."

    def size(self, slots: Sequence[Slot]) -> int:
        """The product of the slots' sizes."""
        return math.prod(slot.size for slot in slots)

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """The digits of the combination's number, in the mixed radix of the slots' sizes."""
        number = turn.combination
        picks = []
        for slot in reversed(slots):
            number, option = divmod(number, slot.size)
            picks.append(option)
        return picks[::-1]
