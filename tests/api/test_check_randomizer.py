"""The contract check of randomizer strategies: a good one passes, each broken rule is named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random

import pytest

from stablenew_api.jobs import JsonValue
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Use
from stablenew_api.testing import check_randomizer

_calls = count()


class Walk(Randomizer):
    name, title, remembers = "walk", "Walk", True

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        return [self.at(slot, memory.get(slot.id), turn.uses[slot.id].images) for slot in slots]

    def at(self, slot: Slot, kept: JsonValue, use: int) -> int:
        return (self.place(kept) + use) % slot.size

    def place(self, kept: JsonValue) -> int:
        return int(kept.get("place", 0)) if isinstance(kept, dict) else 0

    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        return {"place": self.place(kept) + used.images}

    def describe(self, kept: JsonValue) -> str:
        return f"at {self.place(kept)}"


def test_a_good_strategy_passes() -> None:
    check_randomizer(Walk)


class OutOfRange(Walk):
    def at(self, slot: Slot, kept: JsonValue, use: int) -> int:
        return self.place(kept) + use


class TrustsWhatIsKept(Walk):
    def at(self, slot: Slot, kept: JsonValue, use: int) -> int:
        return self.place(kept) if kept else 0


class TooFew(Walk):
    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        return [0]


class Moody(Walk):
    def at(self, slot: Slot, kept: JsonValue, use: int) -> int:
        return next(_calls) % slot.size


class CountsItsCalls(Walk):
    def __init__(self) -> None:
        self.calls = 0

    def at(self, slot: Slot, kept: JsonValue, use: int) -> int:
        self.calls += 1
        return self.calls % slot.size


class Shared(Walk):
    """One source of numbers for all slots: what one takes depends on those before it."""

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        rng = Random(turn.image)
        return [rng.randrange(slot.size) for slot in slots]


class ChangesItsMemory(Walk):
    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        kept = kept or {"place": 0}
        kept["place"] = used.images
        return kept


class ForgetsWhatItWasGiven(Walk):
    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        return next(_calls)


class NoJson(Walk):
    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        return {"place": (1, 2)}


class Silent(Walk):
    def describe(self, kept: JsonValue) -> str:
        return ""


class Zero(Walk):
    def size(self, slots: Sequence[Slot]) -> int:
        return 0


class Multiplies(Walk):
    def size(self, slots: Sequence[Slot]) -> int:
        return 2


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (OutOfRange, "pick() gave"),
        (TrustsWhatIsKept, "pick() gave"),
        (TooFew, "pick() gave 1 options for"),
        (Moody, "two answers for the same arguments"),
        (CountsItsCalls, "two answers for the same arguments"),
        (Shared, "change with the slots beside it"),
        (ChangesItsMemory, "remember() changed what it was given"),
        (ForgetsWhatItWasGiven, "remember() depends on something else"),
        (NoJson, "does not survive as JSON"),
        (Silent, "describe() says nothing"),
        (Zero, "must be a whole number, 1 or more"),
        (Multiplies, "what remembers cannot multiply images too"),
    ],
)
def test_a_strategy_that_breaks_a_rule_is_told_which(strategy: type[Randomizer], text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_randomizer(strategy)
    assert text in str(caught.value)
    assert "randomizer walk" in str(caught.value)
