"""Remove one rule of the randomizer, and a test of ``test_randomizer_rules`` or ``test_plan`` must fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import test_plan
import test_randomizer_rules
from hypothesis import Phase, settings

import stablenew_kernel.domain.plan as plan_module
import stablenew_kernel.domain.planned as planned
import stablenew_kernel.domain.randomizer.compiler as compiler
import stablenew_kernel.domain.randomizer.grammar as grammar
import stablenew_kernel.domain.randomizer.parts as parts
import stablenew_kernel.domain.randomizer.space as space
import stablenew_kernel.domain.randomizer.variants as variants
import stablenew_plugins.randomizers.random as random_picks
from stablenew_api.errors import UserError
from stablenew_api.randomizer import Memory, Slot, Turn
from stablenew_api.shuffle import key_of, permute, random_of
from stablenew_kernel.domain.randomizer.wildcards import Value, WildcardList, Wildcards
from stablenew_plugins.randomizers import Fanout, RandomPicks

Patch = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[str, tuple[Patch, Callable[..., None]]] = {}


def mutant(caught_by: Callable[..., None]) -> Callable[[Patch], Patch]:
    """Register a mutant under its function's name, with the test that must not pass with it."""

    def register(make: Patch) -> Patch:
        MUTANTS[make.__name__] = make, caught_by
        return make

    return register


@mutant(test_randomizer_rules.test_fanout_is_nested_loops_and_the_line_says_so)
def the_first_slot_is_the_fastest(patch: pytest.MonkeyPatch) -> None:
    """Fanout in the other order: the same images, but not where old files expect them."""

    def pick(self: Any, slots: Any, turn: Turn, memory: Memory) -> list[int]:
        number, picks = turn.combination, []
        for slot in slots:
            number, option = divmod(number, slot.size)
            picks.append(option)
        return picks

    patch.setattr(Fanout, "pick", pick)


@mutant(test_randomizer_rules.test_a_slot_more_or_elsewhere_changes_no_other_pick)
def picks_follow_the_place_of_a_slot(patch: pytest.MonkeyPatch) -> None:
    """What a slot takes depends on how many stand before it."""
    original = RandomPicks.pick

    def pick(self: Any, slots: Any, turn: Turn, memory: Memory) -> Any:
        return original(self, [replace(slot, id=str(place)) for place, slot in enumerate(slots)], turn, memory)

    patch.setattr(RandomPicks, "pick", pick)


@mutant(test_randomizer_rules.test_a_slot_more_or_elsewhere_changes_no_other_pick)
def all_slots_drink_from_one_source(patch: pytest.MonkeyPatch) -> None:
    """One random generator for all slots of an image."""

    def pick(self: Any, slots: Any, turn: Turn, memory: Memory) -> list[int]:
        rng = random_of(turn.plan_seed, turn.row, turn.image)
        return [rng.randrange(slot.size) for slot in slots]

    patch.setattr(RandomPicks, "pick", pick)


@mutant(test_randomizer_rules.test_random_draws_every_option_before_one_comes_again)
def a_draw_may_come_again_at_once(patch: pytest.MonkeyPatch) -> None:
    """No bag: each draw stands for itself."""

    def draw(slot: Slot, turn: Turn) -> int:
        return random_of(turn.plan_seed, turn.row, slot.id, turn.image).randrange(slot.size)

    patch.setattr(random_picks, "_draw", draw)


@mutant(test_randomizer_rules.test_random_draws_every_option_before_one_comes_again)
def every_bag_is_the_same(patch: pytest.MonkeyPatch) -> None:
    """The second bag comes in the order of the first."""

    def draw(slot: Slot, turn: Turn) -> int:
        return permute(turn.image % slot.size, slot.size, key_of(turn.plan_seed, turn.row, slot.id))

    patch.setattr(random_picks, "_draw", draw)


@mutant(test_randomizer_rules.test_weights_hold)
def weights_are_not_heeded(patch: pytest.MonkeyPatch) -> None:
    """An option of weight 3 is as likely as one of weight 1."""
    original = parts.OneOf.__init__

    def init(self: Any, options: Any, weights: Any) -> None:
        original(self, options, [1.0] * len(weights))

    patch.setattr(parts.OneOf, "__init__", init)


@mutant(test_randomizer_rules.test_what_it_means)
def escapes_stay(patch: pytest.MonkeyPatch) -> None:
    r"""``\{`` reaches the backend as it is written."""
    patch.setattr(space, "resolve", lambda text: text)


@mutant(test_randomizer_rules.test_what_it_means)
def tags_are_looked_into(patch: pytest.MonkeyPatch) -> None:
    """``<lora:my__lora__v1:1>`` holds a wildcard."""
    pattern = grammar._SPECIAL.pattern.replace("(?P<tag>", "(?P<tag>(?!)")
    assert pattern != grammar._SPECIAL.pattern
    patch.setattr(grammar, "_SPECIAL", re.compile(pattern, re.DOTALL))


@mutant(test_randomizer_rules.test_what_it_means)
def names_of_slots_are_taken_to_the_letter(patch: pytest.MonkeyPatch) -> None:
    """``[[Time-of day]]`` and ``[[time_of_day]]`` are two."""
    patch.setattr(compiler, "normalize", lambda name: name)


@mutant(test_randomizer_rules.test_the_count_is_the_truth_and_a_draw_is_one_of_them)
def some_of_several_are_counted_without_their_order(patch: pytest.MonkeyPatch) -> None:
    """``{2$$a|b}`` is one way, not two."""
    original = parts.SomeOf.__init__

    def init(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        self.size = max(1, self.size // 2)

    patch.setattr(parts.SomeOf, "__init__", init)


@mutant(test_randomizer_rules.test_what_is_wrong_has_its_place)
def nesting_has_no_bound(patch: pytest.MonkeyPatch) -> None:
    """As deep as the text goes."""
    patch.setattr(grammar, "MAX_DEPTH", 10**6)


@mutant(test_randomizer_rules.test_a_name_that_leads_nowhere)
def what_nobody_defined_is_left_as_it_stands(patch: pytest.MonkeyPatch) -> None:
    """An unknown wildcard is no error, as in other programs."""
    original = Wildcards.find

    def find(self: Wildcards, path: str) -> Any:
        return original(self, path) or (WildcardList(path, "", (Value(path),)),)

    patch.setattr(Wildcards, "find", find)


@mutant(test_randomizer_rules.test_later_stages_take_the_same_picks)
def each_stage_picks_for_itself(patch: pytest.MonkeyPatch) -> None:
    """The slots of a later stage's prompt are others than those of the first."""
    original = compiler.Compiler.compile

    def compile_apart(self: Any, texts: Any) -> Any:
        return original(self, [(text, f"{prefix}{number}:") for number, (text, prefix) in enumerate(texts)])

    patch.setattr(compiler.Compiler, "compile", compile_apart)


@mutant(test_randomizer_rules.test_the_old_section_in_all_its_forms)
def the_limit_of_a_matrix_is_not_heeded(patch: pytest.MonkeyPatch) -> None:
    """All combinations, whatever the section says."""
    original = variants.RowVariants.__init__

    def init(self: Any, row: int, made: Any, groups: Any, limit: int, *rest: Any, **more: Any) -> None:
        original(self, row, made, groups, 0, *rest, **more)

    patch.setattr(variants.RowVariants, "__init__", init)


@mutant(test_randomizer_rules.test_count_preview_and_queue_are_one)
def the_sample_holds_some_twice(patch: pytest.MonkeyPatch) -> None:
    """Drawn with putting back."""
    patch.setattr(plan_module, "permute", lambda index, size, key: index // 2)


@mutant(test_plan.test_drawn_seeds_follow_from_the_plan_seed_and_the_row_alone)
def seeds_are_drawn_one_after_the_other(patch: pytest.MonkeyPatch) -> None:
    """A row that is left out moves the seeds of those behind it."""
    rng = Random(1)
    patch.setattr(planned, "draw_seed", lambda plan_seed, row: rng.getrandbits(32))


# --- each is caught -------------------------------------------------------------------------------------------

QUICK: dict[str, Any] = {
    "max_examples": 100,
    "phases": [Phase.generate],
    "database": None,
    "derandomize": True,
    "deadline": None,
    "report_multiple_bugs": False,
}
"""Settings of hypothesis under which a failure is looked for, and not the least one nor its cause."""

SETTINGS = "_hypothesis_internal_use_settings"
"""Where a property has them."""

CAUGHT = (AssertionError, UserError, space.SpaceError, IndexError, pytest.fail.Exception)
"""How those tests fail (IndexError: no problem was found). A TypeError, say, would be a fault of the mutant."""


@pytest.fixture
def rested() -> Iterator[None]:
    """No text parsed under other rules is remembered."""
    grammar.parse.cache_clear()
    yield
    grammar.parse.cache_clear()


def run_test(function: Callable[..., None], patch: pytest.MonkeyPatch) -> None:
    """A test function with each of its parameters, as pytest would call it."""
    own = getattr(function, SETTINGS, None)
    if own is not None:  # a property; it has the settings that it was defined with, whatever the profile is now
        patch.setattr(function, SETTINGS, settings(own, **QUICK))
    [mark] = [one for one in getattr(function, "pytestmark", []) if one.name == "parametrize"] or [None]
    for values in mark.args[1] if mark is not None else [()]:
        function(*values)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str, monkeypatch: pytest.MonkeyPatch, rested: None) -> None:
    apply, caught_by = MUTANTS[name]
    with monkeypatch.context() as patch:
        apply(patch)
        try:
            run_test(caught_by, patch)
        except CAUGHT:
            return
    pytest.fail(f"{caught_by.__name__} passes without this rule: {name}")


CATCHERS = dict.fromkeys(test for _, test in MUTANTS.values())


@pytest.mark.parametrize("function", CATCHERS, ids=lambda function: function.__name__)
def test_with_all_rules_they_pass(
    function: Callable[..., None], monkeypatch: pytest.MonkeyPatch, rested: None
) -> None:
    """Called in just this way, or their failures above would mean nothing."""
    with monkeypatch.context() as patch:
        run_test(function, patch)
