"""Nothing varies."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn


class Off(Randomizer):
    """The first option, always."""

    name = "off"
    title = "Off"
    description = "Each slot keeps its first option."

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """The first options."""
        return [0] * len(slots)
