"""What was used least comes first, counted over all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Use
from stablenew_api.shuffle import key_of, permute

MAX_OPTIONS = 10_000
"""Each option is counted by its text, and the counts are kept."""

_SHOWN = 6
"""Options that :meth:`LeastUsed.describe` names."""


class LeastUsed(Randomizer):
    """Each image takes an option that was used least so far, in this run and all before it: none comes again
    before all have come. Which one of several is drawn. Options are known by their text, so that values may be
    added, taken out or moved; one that is new counts as used as often as the least used one."""

    name = "least_used"
    title = "Least used"
    description = "Each image takes an option that was used least, in this run and all before it."
    remembers = True

    def __init__(self) -> None:
        self._counters: dict[str, tuple[JsonValue, int, _Counter]] = {}

    def size(self, slots: Sequence[Slot]) -> int:
        """1; refuses slots with more than 10,000 options."""
        for slot in slots:
            if slot.size > MAX_OPTIONS:
                raise UserError(
                    f"mode least_used counts every option, and {slot.id} has {slot.size:,}; at most "
                    f"{MAX_OPTIONS:,} will do: use random or rotate for it"
                )
        return 1

    def pick(self, slots: Sequence[Slot], turn: Turn, memory: Memory) -> Sequence[int]:
        """For each slot the option of its n-th use in this run."""
        return [
            self._counter(slot, memory.get(slot.id)).nth(turn.uses[slot.id].images, turn.plan_seed)
            for slot in slots
        ]

    def remember(self, slot: Slot, used: Use, plan_seed: int, kept: JsonValue) -> JsonValue:
        """``used``, times by text; ``head``, what an option that came later had ahead."""
        return self._counter(slot, kept).after(used.images, plan_seed)

    def describe(self, kept: JsonValue) -> str:
        """``black not used, blond used 3 times``, the least used first."""
        used = sorted(_numbers(kept, "used").items(), key=lambda item: (item[1], item[0]))
        times = {0: "not used", 1: "used once", 2: "used twice"}
        said = [f"{text or '(nothing)'} {times.get(n, f'used {n:,} times')}" for text, n in used[:_SHOWN]]
        more = f" and {len(used) - _SHOWN:,} more" if len(used) > _SHOWN else ""
        return ", ".join(said) + more

    def _counter(self, slot: Slot, kept: JsonValue) -> _Counter:
        known = self._counters.get(slot.id)
        if known is None or known[0] is not kept or known[1] != slot.size:
            known = self._counters[slot.id] = kept, slot.size, _Counter(slot, kept)
        return known[2]


class _Counter:
    """The counts of one slot before a run, and what a run makes of them.

    Uses fill the counts up like water: first the lowest, until it is level with the next, and so on. So the
    n-th use follows from the counts by arithmetic, without the uses before it.
    """

    def __init__(self, slot: Slot, kept: JsonValue) -> None:
        self._slot = slot.id
        self._options: dict[str, int] = {}
        for option in range(slot.size):
            self._options.setdefault(slot.label(option), option)
        self._used, self._head = _numbers(kept, "used"), _numbers(kept, "head")
        known = [self._level(text) for text in self._options if text in self._used]
        for text in self._options.keys() - self._used.keys():
            if known:
                self._head[text] = min(known)
        self._levels = {text: self._level(text) for text in self._options}
        steps = sorted(set(self._levels.values()))
        # (level, texts not above it, how many uses until the next step); the last goes on for ever.
        self._steps: list[tuple[int, list[str], int | None]] = []
        for low, high in pairwise([*steps, None]):
            texts = [text for text in self._options if self._levels[text] <= (low or 0)]
            self._steps.append((low or 0, texts, None if high is None else (high - (low or 0)) * len(texts)))

    def _level(self, text: str) -> int:
        return self._used.get(text, 0) + self._head.get(text, 0)

    def _find(self, use: int) -> tuple[int, list[str], int]:
        """The level that use ``use`` (from 0) is taken from, the texts on it, and its place among them."""
        for low, texts, uses in self._steps:
            if uses is None or use < uses:
                rounds, place = divmod(use, len(texts))
                return low + rounds, texts, place
            use -= uses
        raise AssertionError("the last step has no end")

    def _drawn(self, level: int, texts: list[str], place: int, plan_seed: int) -> str:
        key = key_of("least used", plan_seed, self._slot, level)
        return texts[permute(place, len(texts), key)]

    def nth(self, use: int, plan_seed: int) -> int:
        """The option of use ``use`` (from 0) of the run."""
        level, texts, place = self._find(use)
        return self._options[self._drawn(level, texts, place, plan_seed)]

    def after(self, uses: int, plan_seed: int) -> JsonValue:
        """What to keep after ``uses`` uses."""
        level, texts, place = self._find(uses)
        ahead = {self._drawn(level, texts, at, plan_seed) for at in range(place)}
        used = dict(self._used)
        for text in self._options:
            reached = max(self._levels[text], level) if text in texts else self._levels[text]
            used[text] = reached + (text in ahead) - self._head.get(text, 0)
        return {"used": used, "head": {text: n for text, n in self._head.items() if n}}


def _numbers(kept: JsonValue, name: str) -> dict[str, int]:
    found = kept.get(name) if isinstance(kept, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {text: number for text, number in found.items() if isinstance(number, int) and number >= 0}
