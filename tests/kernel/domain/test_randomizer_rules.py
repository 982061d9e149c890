"""The randomizer: what the grammar means, that the count is the truth, and that picks stand for themselves."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_stages import STAGES

from stablenew_api.errors import PluginError, UserError
from stablenew_api.randomizer import Slot, Turn
from stablenew_api.shuffle import key_of, permute
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run, refuse_too_many
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.randomizer.compiler import Compiler, Definitions
from stablenew_kernel.domain.randomizer.grammar import MAX_DEPTH, parse
from stablenew_kernel.domain.randomizer.space import Space, SpaceError
from stablenew_plugins.randomizers import Fanout, Off, RandomPicks

STRATEGIES = {strategy.name: strategy for strategy in (Off, Fanout, RandomPicks)}


def space(text: str, **definitions: list[str]) -> Space:
    """``slot_x`` defines [[x]], everything else a wildcard."""
    slots = {name.removeprefix("slot_"): values for name, values in definitions.items() if "slot_" in name}
    wildcards = {name: values for name, values in definitions.items() if "slot_" not in name}
    return Compiler(Definitions(slots, wildcards)).compile([(text, "")])


def every(text: str, **definitions: list[str]) -> list[str]:
    """All variants in the order of nested loops."""
    made = space(text, **definitions)
    numbers = itertools.product(*(range(slot.part.size) for slot in made.slots))
    ids = [slot.id for slot in made.slots]
    return [made.texts(dict(zip(ids, picks, strict=True)))[0] for picks in numbers]


def plan(pack: str, seed: int | None = 5, **more: Any) -> Plan:
    randomization = more.pop("randomization", None)
    preset = {"randomization": randomization} if randomization is not None else None
    request = PlanRequest(
        parse_pack("p.txt", pack.encode()), preset, "p.json" if preset else "", seed=seed, **more
    )
    return plan_run(request, STAGES, rng=Random(3), randomizers=STRATEGIES)


def prompts(made: Plan) -> list[str]:
    return [job.spec.stages[0].prompt for job in made.jobs]


# --- grammar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # As the combinatorial generator of dynamicprompts 0.31 gives them.
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("{2$$a|b}", ["a,b", "b,a"]),
        ("{2$$ and $$a|b|c}", ["a and b", "a and c", "b and a", "b and c", "c and a", "c and b"]),
        ("{0-1$$a|b}", ["", "a", "b"]),
        ("{3$$a|b}", ["a,b", "b,a"]),
        ("{a|}!", ["a!", "!"]),
        ("{{a|b}}", ["a", "b"]),
        ("{a|{b|c} d}", ["a", "b d", "c d"]),
        ("{2$$a|{b|c}}", ["a,b", "a,c", "b,a", "c,a"]),
        ("{0.5::a|2::b}", ["a", "b"]),
        ("{0::a|b}", ["b"]),
        # Ours.
        (r"\{a\|b\} \$5 \__w__", ["{a|b} $5 __w__"]),
        ("<lora:my__lora__v1:1> {x|y}", ["<lora:my__lora__v1:1> x", "<lora:my__lora__v1:1> y"]),
        ("[a|b] (c:1.2) | }", ["[a|b] (c:1.2) | }"]),
        ("__w__, __w__", ["1, 1", "1, 2", "2, 1", "2, 2"]),
        ("__w*__", ["1", "2", "3"]),
        ("[[ Time-of day]] [[time_of_day]]", ["dawn dawn", "noon noon"]),
        ("{x|[[time of day]]}", ["x", "x", "dawn", "noon"]),
        ("<embedding:deep> {a}", ["deep a"]),
    ],
)
def test_what_it_means(text: str, expected: list[str]) -> None:
    found = every(text, w=["1", "2"], w2=["3"], slot_time_of_day=["dawn", "noon"])
    assert sorted(found) == sorted(expected) if "{x|[[" in text else found == expected


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("a {b|c", 2, "never closed"),
        ("a {2$$}", 2, "no options"),
        ("{3-1$$a|b|c|d}", 0, "runs backwards"),
        ("{a|-2::b}", 3, "weight of -2"),
        ("{0::a|0::b}", 0, "weighs more than 0"),
        ("x ${y={a|b}", 2, "never closed"),
        ("%{a … b}", 0, "no $$"),
        ("{" * 60 + "}" * 60, MAX_DEPTH, "nested more than 50 deep"),
    ],
)
def test_what_is_wrong_has_its_place(text: str, at: int, reason: str) -> None:
    problem = parse(text).problems[0]
    assert (problem.at, reason in problem.reason) == (at, True), problem


@pytest.mark.parametrize(
    ("text", "definitions", "says"),
    [
        ("[[nobody]]", {}, "nobody defines the matrix slot [[nobody]]"),
        ("__nobody__", {"w": ["1"]}, "there is no wildcard __nobody__"),
        ("__a__", {"a": ["__b__"], "b": ["x __a__"]}, "leads back to itself (__a__ > __b__ > __a__)"),
        ("[[a]]", {"slot_a": ["[[a]]"]}, "leads back to itself"),
        ("__a__", {"a": ["fine", "{x"]}, "value 2 of __a__, character 1: this { is never closed"),
    ],
)
def test_a_name_that_leads_nowhere(text: str, definitions: Any, says: str) -> None:
    with pytest.raises(SpaceError) as caught:
        space(text, **definitions)
    assert says in caught.value.finding.reason


grammar_shaped = st.text(st.sampled_from(list("ab{}|$:_[]<>\\~!@-0123 .")), max_size=60)


@given(st.one_of(st.text(max_size=60), grammar_shaped))
def test_any_text_is_a_space_or_a_finding(text: str) -> None:
    template = parse(text)
    if template.problems:
        assert all(0 <= problem.at <= len(text) for problem in template.problems)
        return
    try:
        made = space(text, w=["1"])
    except SpaceError:  # a name that nobody defined
        assert "__" in text or "[[" in text
        return
    for pick in (0, -1):
        picks = {slot.id: pick % slot.part.size for slot in made.slots}
        assert made.texts(picks) == made.texts(picks)


options = st.recursive(
    st.sampled_from(["a", "b", "c", ""]),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda found: "{" + "|".join(found) + "}"),
    max_leaves=6,
)


@given(options, options, st.integers(0, 2**32))
def test_the_count_is_the_truth_and_a_draw_is_one_of_them(one: str, two: str, seed: int) -> None:
    one, two = f"1{one}", f"2{two}"
    made = space(f"{{2$$-$${one}|{two}|x}}")
    (slot,) = made.slots
    texts = [slot.part.render(index, {}) for index in range(slot.part.size)]
    ones, twos = every(one), every(two)
    pairs = [(ones, twos), (ones, ["x"]), (twos, ones), (twos, ["x"]), (["x"], ones), (["x"], twos)]
    assert sorted(texts) == sorted(f"{a}-{b}" for left, right in pairs for a in left for b in right)
    assert 0 <= slot.part.sample(Random(seed)) < slot.part.size


# --- shuffle and strategies -----------------------------------------------------------------------------------


@given(st.integers(1, 300), st.binary(min_size=32, max_size=32))
def test_a_permutation_has_every_number_once(size: int, key: bytes) -> None:
    assert sorted(permute(index, size, key) for index in range(size)) == list(range(size))


def test_permutations_differ_and_are_well_mixed() -> None:
    assert len({tuple(permute(i, 5, key_of(k)) for i in range(5)) for k in range(500)}) > 100
    first = Counter(permute(0, 4, key_of("x", k)) for k in range(2000))
    assert all(400 < first[option] < 600 for option in range(4)), first
    assert len({permute(i, 10**24, b"k" * 32) for i in range(1000)}) == 1000
    with pytest.raises(ValueError, match="not in range"):
        permute(5, 5, b"k" * 32)


def draws(slot: Slot, images: int) -> list[int]:
    return [RandomPicks().pick([slot], Turn(7, 1, 0, image), {})[0] for image in range(images)]


def test_random_draws_every_option_before_one_comes_again() -> None:
    found = draws(Slot("s", 7, str), 28)
    for start in range(0, 28, 7):
        assert sorted(found[start : start + 7]) == list(range(7))
    assert found[:7] != found[7:14]


def test_weights_hold() -> None:
    (slot,) = space("{3::a|b|{c|d}}").slots
    found = Counter(slot.label(pick) for pick in draws(slot.to_slot(), 2000))
    assert 1100 < found["a"] < 1300
    assert 350 < found["b"] < 450
    assert 150 < found["c"] < 250


# --- plans ----------------------------------------------------------------------------------------------------


def test_fanout_is_nested_loops_and_the_line_says_so() -> None:
    matrix = {"matrix": {"slots": [{"name": "time", "values": ["dawn", "noon"]}]}}
    made = plan("[[time]] {!red|green|blue}\n\n[[time]] {!red|green|blue} x\n", count=2, randomization=matrix)
    assert made.line == "2 rows x 2 times x 3 options (red, green, blue) x 2 seeds = 24 images"
    assert prompts(made)[:8:2] == ["dawn red", "dawn green", "dawn blue", "noon red"]
    assert made.jobs[3].spec.provenance["choices"] == [
        {"slot": "time", "mode": "fanout", "index": 0, "value": "dawn"},
        {"slot": "{!red|green|blue}", "mode": "fanout", "index": 1, "value": "green"},
    ]
    assert [job.spec.stages[0].seed for job in made.jobs][:13] == [*range(5, 17), 5]


def test_the_old_section_in_all_its_forms() -> None:
    old = {
        "enabled": True,
        "prompt_sr": {"enabled": True, "mode": "fanout", "raw_text": "castle => tower | keep\n# no\n"},
        "wildcards": {"enabled": True, "mode": "fanout", "raw_text": "__mood__: happy | sad"},
        "matrix": {
            "enabled": True,
            "mode": "fanout",
            "limit": 3,
            "raw_text": "Time: dawn | noon",
            "base_prompt": "[[time]]",
            "prompt_mode": "append",
        },
        "unknown": {"kept": 1},
    }
    assert prompts(plan("castle __mood__", randomization=old)) == [
        "tower happy dawn",
        "tower happy noon",
        "tower sad dawn",
    ]
    assert prompts(plan("castle __mood__", randomization={**old, "enabled": False})) == ["castle happy"]


def test_the_matrix_of_a_newer_sidecar() -> None:
    sidecar = parse_settings(
        "p.json",
        b'{"pack_data": {"matrix": {"enabled": true, "mode": "random", "slots": [{"name": "a", "values":'
        b' ["1", "2"]}, {"name": "b", "values": ["x", "y", "z"]}]}}, "preset_data": {"txt2img": {"steps": 3}}}',
    )
    request = PlanRequest(parse_pack("p.txt", b"[[a]][[b]]"), sidecar=sidecar, seed=1, count=12)
    made = prompts(plan_run(request, STAGES, rng=Random(1), randomizers=STRATEGIES))
    both = {"1x", "1y", "1z", "2x", "2y", "2z"}
    assert set(made[:6]) == set(made[6:]) == both, "each combination once before one comes again"
    assert made[:6] != made[6:]


def test_later_stages_take_the_same_picks() -> None:
    made = plan("{a|b} [[s]]", count=6, sets=["img2img.enabled=1", "img2img.prompt_adjust=soft [[s]]"],
                randomization={"matrix": {"mode": "random", "raw_text": "s: 1 | 2"}})  # fmt: skip
    for job in made.jobs:
        first, second = job.spec.stages
        assert second.prompt == f"{first.prompt} soft {first.prompt[-1]}"


def test_problems_name_their_place() -> None:
    with pytest.raises(UserError, match=r"pack p\.txt, row 2, line 4, column 3: there is no wildcard __w__"):
        plan("fine\n\ntwo\n  __w__")
    with pytest.raises(UserError, match="line 1, column 1: prompt of img2img, character 3: nobody defines"):
        plan("a", sets=["img2img.enabled=1", "img2img.prompt_adjust=[[s]]"])
    with pytest.raises(UserError, match=r"no plugin provides the randomizer mode 'rotate'; known: fanout, off"):
        plan("{@a|b}")
    with pytest.raises(UserError, match=r"preset p\.json: randomization\.matrix\.limit: input should be"):
        plan("a", randomization={"matrix": {"limit": -1}})
    with pytest.raises(
        UserError, match=r"preset p\.json: randomization\.prompt_sr\.mode: 'x' is not one of fan"
    ):
        plan("a", randomization={"prompt_sr": {"mode": "x", "raw_text": "a => b"}})
    with pytest.raises(UserError, match="two slots are called 'A b'"):
        plan("a", randomization={"matrix": {"raw_text": "a_b: 1\nA b: 2"}})


def test_a_huge_space_is_counted_previewed_and_sampled() -> None:
    rows = " ".join(f"{{!{'|'.join(f'{slot}{option}' for option in range(10))}}}" for slot in "abcdefghijkl")
    with pytest.raises(UserError, match=r"1,000,000,000,000 images are more than .* --sample 500"):
        refuse_too_many(plan(rows).count)
    assert plan(rows).jobs[-1].index == 10**12 - 1
    begun = time.thread_time()
    made = plan(rows, sample=200)
    assert made.line.startswith("10 options (a0, a1, a2, …) x 10 options (b0, ")
    assert made.line.endswith(" = 1,000,000,000,000 images; 200 of them, drawn")
    assert len(set(prompts(made))) == len(made.jobs) == 200
    assert time.thread_time() - begun < 2
    assert prompts(plan(rows, limit=3))[2].endswith("k0 l2")


slots = st.lists(st.sampled_from(["{a|b|c}", "{~d|e}", "__w__", "[[m]]", "{!f|g}", "{2$$h|i}"]), max_size=4)
WITH = {"wildcards": {"raw_text": "w: 1 | 2 | 3"}, "matrix": {"raw_text": "m: x | y"}}


@given(st.lists(slots, min_size=1, max_size=3), st.integers(1, 3), st.integers(-1, 99), st.integers(0, 9))
def test_count_preview_and_queue_are_one(rows: list[list[str]], count: int, seed: int, sample: int) -> None:
    pack = "\n\n".join(" ".join(["row", *row]) for row in rows)
    made = plan(pack, seed, count=count, sample=sample, randomization=WITH)
    queued = list(made.jobs)
    assert [job.index for job in queued] == list(range(len(made.jobs)))
    assert [made.jobs[index] for index in range(len(queued))] == queued == list(made.jobs[:])
    assert queued == list(plan(pack, seed, count=count, sample=sample, randomization=WITH).jobs)
    whole = list(plan(pack, seed, count=count, randomization=WITH).jobs)
    assert len(queued) == (min(sample, len(whole)) if sample else len(whole))
    left = iter(job.spec for job in whole)
    assert all(job.spec in left for job in queued), "some of the whole, in its order"
    assert f"= {len(whole)} image" in made.line


@given(st.permutations(["{a|b|c}", "{d|e}", "__w__", "{2$$h|i}"]), st.integers(0, 4), st.integers(0, 2**53))
def test_a_slot_more_or_elsewhere_changes_no_other_pick(order: list[str], kept: int, seed: int) -> None:
    def picks(texts: list[str]) -> list[dict[str, int]]:
        made = plan(" ".join(["row", *texts]), seed, count=7, randomization=WITH)
        return [
            {str(choice["slot"]): int(choice["index"]) for choice in job.spec.provenance["choices"]}
            for job in made.jobs
        ]

    whole = picks(["{a|b|c}", "{d|e}", "__w__", "{2$$h|i}"])
    for few, all_of_them in zip(picks(order[:kept]), whole, strict=True):
        assert few == {slot: all_of_them[slot] for slot in order[:kept]}


@pytest.mark.parametrize(
    ("size", "picks", "says"),
    [
        (0, [0], "size gave 0"),
        (1, [2], "pick gave [2]"),
        (1, [], "pick gave []"),
        (1, None, "pick failed: TypeError"),
        (None, [0], "size failed: ZeroDivisionError"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_named(size: int | None, picks: Any, says: str) -> None:
    class Broken(RandomPicks):
        def size(self, slots: Any) -> int:
            return 1 // 0 if size is None else size

        def pick(self, slots: Any, turn: Turn, memory: Any) -> Any:
            return picks

    request = PlanRequest(parse_pack("p.txt", b"{a|b}"), seed=1)
    with pytest.raises(PluginError, match=re.escape(f"randomizer random: {says}")):
        list(plan_run(request, STAGES, rng=Random(1), randomizers={"random": Broken}).jobs)
