"""The contract check of randomizer strategies."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.jobs import canonical_json
from stablenew_api.kinds import class_problem
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Use
from stablenew_api.testing.rules import global_random


def check_randomizer(randomizer: type[Randomizer], *, cases: int = 100) -> None:
    """Check that a randomizer strategy keeps its contract, over ``cases`` rows of slots (always the same ones).
    Raises AssertionError naming the rule that it breaks.

    A strategy that remembers is run three times over each row, each run with what the last one left, and then
    with what is left of another version of the pack.
    """
    problem = class_problem("randomizer", randomizer)
    assert not problem, problem
    who = f"randomizer {randomizer.name}"
    for case in range(cases):
        draw = random.Random(case)  # noqa: S311 - test data, nothing secret
        slots = _slots(draw, 12)
        memory: dict[str, Any] = {}
        for seed in (case, case + 1, 2**64 - 1):
            memory = _check_run(who, randomizer, slots, memory, seed)
        others = [Slot(slot.id, draw.randint(1, 12), lambda option: f"new {option}") for slot in slots]
        _check_run(who, randomizer, others, memory, case)
        _check_run(who, randomizer, slots, {slot: {"of": "somebody else"} for slot in memory}, case)
    huge = [Slot(f"huge {n}", 10**12, str) for n in range(6)]
    try:
        size = randomizer().size(huge)
    except UserError:
        return  # it says that it cannot serve them
    assert size >= 1, f"{who}: size() must be 1 or more, not {size}"
    turn = Turn(1, 1, size - 1, 10**12, {slot.id: Use(10**6, 10**6) for slot in huge})
    _check_picks(who, randomizer().pick(huge, turn, {}), huge)


def _slots(draw: random.Random, most: int) -> list[Slot]:
    slots = [Slot(f"slot {n}", draw.randint(1, most), str) for n in range(draw.randint(1, 4))]
    if draw.random() < 0.3:
        slots.append(Slot("weighted", 3, str, lambda rng: rng.choices(range(3), (1, 2, 3))[0]))
    if draw.random() < 0.3:
        parts = (Slot("a", 2, str), Slot("b", 3, str))
        slots.append(Slot("a x b", 6, str, parts=parts))
    return slots


def _check_run(
    who: str, randomizer: type[Randomizer], slots: Sequence[Slot], memory: Memory, seed: int
) -> dict[str, Any]:
    """A run of two rows; returns what it leaves."""
    before = canonical_json(memory)
    strategy = randomizer()
    size = strategy.size(slots)
    assert type(size) is int and size >= 1, f"{who}: size() must be a whole number, 1 or more, not {size!r}"  # noqa: PT018
    assert strategy.size(slots) == size, f"{who}: size() gave two answers for the same slots"
    assert not strategy.remembers or size == 1, f"{who}: what remembers cannot multiply images too"
    images = min(2 * size, 24)
    turns = [
        Turn(seed, row + 1, image % size, image, {slot.id: Use(row, row * images + image) for slot in slots})
        for row in range(2)
        for image in range(images)
    ]
    found = [list(strategy.pick(slots, turn, memory)) for turn in turns]
    for picks in found:
        _check_picks(who, picks, slots)
    with global_random(seed % 2**32):
        again = [list(randomizer().pick(slots, turn, memory)) for turn in reversed(turns)]
    assert found == again[::-1], (
        f"{who}: pick() gave two answers for the same arguments; depend on them alone, not on earlier calls"
    )
    if size == 1:
        for place, slot in enumerate(slots):
            alone = [randomizer().pick([slot], turn, memory)[0] for turn in turns]
            assert alone == [picks[place] for picks in found], (
                f"{who}: the picks of {slot.id} change with the slots beside it; let each follow from its id"
            )
    assert canonical_json(memory) == before, f"{who}: changed the memory that it was given; return a new one"
    if not strategy.remembers:
        return {}
    used = Use(2, len(turns))
    kept = {slot.id: strategy.remember(slot, used, seed, memory.get(slot.id)) for slot in slots}
    assert canonical_json(memory) == before, f"{who}: remember() changed what it was given; return a new value"
    for slot in slots:
        value = kept[slot.id]
        assert randomizer().remember(slot, used, seed, memory.get(slot.id)) == value, (
            f"{who}: remember() depends on something else than its arguments"
        )
        assert json.loads(canonical_json(value)) == value, f"{who}: {value!r} does not survive as JSON"
        words = strategy.describe(value)
        assert words.strip(), f"{who}: describe() says nothing of {value!r}; people read it"
        assert "\n" not in words, f"{who}: describe() must be one line"
    return kept


def _check_picks(who: str, picks: Sequence[int], slots: Sequence[Slot]) -> None:
    assert len(picks) == len(slots), f"{who}: pick() gave {len(picks)} options for {len(slots)} slots"
    for pick, slot in zip(picks, slots, strict=True):
        assert type(pick) is int and 0 <= pick < slot.size, (  # noqa: PT018
            f"{who}: pick() gave {pick!r} for {slot.id}, which has {slot.size} options, from 0"
        )
