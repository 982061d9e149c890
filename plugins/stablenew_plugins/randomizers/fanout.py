"""Every combination, once each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Turns


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

    def columns(self, slots: Sequence[Slot], turns: Turns, memory: Memory) -> Sequence[Sequence[int]]:
        """The same for many images. Combinations that follow each other need no arithmetic: a slot's options
        come in runs."""
        numbers: Sequence[int] = turns.combinations
        columns: list[Sequence[int]] = []
        run = 1
        for slot in reversed(slots):
            if isinstance(numbers, range) and numbers.step == 1:
                columns.append(_runs(numbers, run, slot.size))
                run *= slot.size
            else:
                columns.append([number % slot.size for number in numbers])
                numbers = [number // slot.size for number in numbers]
        return columns[::-1]


def _runs(numbers: range, run: int, size: int) -> list[int]:
    """``number // run % size`` of all ``numbers``, which follow each other by one."""
    if run * size <= len(numbers):
        once = [option for option in range(size) for _ in range(run)]
        start = numbers.start % len(once)
        return (once * (len(numbers) // len(once) + 2))[start : start + len(numbers)]
    column: list[int] = []
    number = numbers.start
    while number < numbers.stop:
        length = min(run - number % run, numbers.stop - number)
        column += [number // run % size] * length
        number += length
    return column
