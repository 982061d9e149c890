"""Bad input and huge spaces: always an answer or an error with a place, always soon; and picks that stay."""

from __future__ import annotations

import itertools
import math
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run
from stablenew_kernel.domain.randomizer.compiler import Compiler, Definitions
from stablenew_kernel.domain.randomizer.grammar import MAX_TEXT, parse, split_options
from stablenew_kernel.domain.randomizer.space import Space, SpaceError
from stablenew_plugins.randomizers import Fanout, Off, RandomPicks

SOON = 4.0
"""Seconds of this thread. What is guarded against takes minutes; a second is promised on a machine at rest."""

STRATEGIES = {strategy.name: strategy for strategy in (Off, Fanout, RandomPicks)}
MANY = [f"value {number}" for number in range(5000)]


def compiled(text: str, wildcards: Any = None, slots: Any = None, files: Any = None) -> Space:
    return Compiler(Definitions(slots or {}, wildcards or {}, [files or {}])).compile([(text, "")])


def size(space: Space) -> int:
    return math.prod(slot.part.size for slot in space.slots)


def doubling(levels: int, *leaves: str) -> dict[str, list[str]]:
    """Wildcards each of which names the next one twice."""
    return {f"w{n}": [f"__w{n + 1}__ __w{n + 1}__"] for n in range(levels)} | {f"w{levels}": list(leaves)}


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("a {b", 2, "never closed"),
        ("{" * 60 + "a" + "}" * 60, 50, "nested more than 50 deep"),
        ("${a=" * 60 + "a" + "}" * 60, 4, "set inside something else"),
        ("%{" * 60, 100, "nested more than 50 deep"),
        ("{2$$}", 0, "no options"),
        ("{2-1$$a|b}", 0, "runs backwards"),
        ("{-$$a|b}", 0, "no numbers"),
        ("{99999999$$a|b}", 0, "too large"),
        ("{" + "1" * 9999 + "$$a}", 0, "too large"),
        ("{$$a|b}", 1, "belongs to no count"),
        ("{0::a}", 0, "weighs more than 0"),
        ("{a|-1::b}", 3, "a weight of -1"),
        ("{1e999::a|b}", 1, "a weight of 1e999"),
        ("{" + "9" * 400 + "::a|b}", 1, "a weight of 999"),
        ("a __b", 2, "never closed"),
        ("__hair, blue eyes__", 0, "never closed"),
        ("a __", None, ""),
        ("____", None, ""),
        ("a_b__c", None, ""),
        ("${", 0, "begins no variable"),
        ("${=a}", 0, "begins no variable"),
        ("${x=a|b}", 5, "outside of a choice"),
        ("${x=a", 0, "never closed"),
        ("{a|${x=b}}", 3, "set inside something else"),
        ("%{", 0, "never closed"),
        ("%{a}", 0, "no $$"),
        ("%{a $$ b", 0, "never closed"),
        ("__w(x)__", 4, "without ="),
        ("$", None, ""),
        ("$5 $$ 5$", None, ""),
        ("<lora:my__lora:1>", None, ""),
        ("a" * MAX_TEXT + "{b|c}", MAX_TEXT, "at most 200,000"),
    ],
)
def test_each_slip_has_its_place(text: str, at: int | None, says: str) -> None:
    problems = parse(text).problems
    if at is None:
        assert problems == ()
        assert compiled(text).texts({}) == [text]
        return
    (problem,) = problems
    assert problem.at == at
    assert says in problem.reason + problem.fix


@pytest.mark.parametrize(
    ("text", "wildcards", "says"),
    [
        ("__w0__", doubling(50, "x"), "longer than 1,000,000 characters"),
        ("__w0__", doubling(40, "x", "y"), "too many to count"),
        ("__w0__", {f"w{n}": [f"__w{n + 1}__", "z"] for n in range(1000)} | {"w1000": ["x"]}, "more than 60"),
        # The inner ones are known already when the outer ones are read.
        (
            " ".join(f"__w{n}__" for n in range(999, -1, -1)),
            {f"w{n}": [f"__w{n + 1}__", "z"] for n in range(1000)} | {"w1000": ["x"]},
            "more than 60",
        ),
        ("__w0__", {f"w{n}": ["{" * 40 + f"__w{n + 1}__" + "}" * 40] for n in range(9)}, "more than 60"),
        ("__a__", {"a": ["__b__"], "b": ["{x|__c__}"], "c": ["__a__"]}, "__a__ > __b__ > __c__ > __a__"),
        ("${a=${b}}${b=${a}}${a}", {}, "${a} > ${b} > ${a}"),
        ("${a=!${b}}${b=!${a}}${a}", {}, "${a} > ${b} > ${a}"),
        (
            "${a=x}" + "".join(f"${{a{n}=!${{a{n - 1 if n else ''}}}{{|y}}}}" for n in range(99)) + "${a98}",
            {},
            "60",
        ),
        ("{400$$__w__}", {"w": MANY}, "too many to count"),
        (
            "{300$$__w__}",
            {"w": [f"{{{'|'.join(map(str, range(n % 30 + 1)))}}}" for n in range(5000)]},
            "too long to count",
        ),
        ("__{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}__", {}, "more than 1,000 names"),
        ("{a|b} " * 5000, {}, "too many to count"),
        ("{} " * 10_001, {}, "more than 10,000 choices"),
        ("__w__", {"w": [""]}, None),
        ("__w0(x=a)__", {f"w{n}": [f"__w{n + 1}(x=${{x}}a)__ __w{n + 1}(x=${{x}}b)__"] for n in range(70)}, ""),
    ],
    ids=range(16),
)
def test_what_blows_up_is_refused_and_soon(text: str, wildcards: Any, says: str | None) -> None:
    begun = time.thread_time()
    if says is None:
        assert compiled(text, wildcards).texts({text: 0}) == [""]
    else:
        with pytest.raises(SpaceError) as caught:
            compiled(text, wildcards)
        assert says in caught.value.finding.reason
    assert time.thread_time() - begun < SOON


@pytest.mark.parametrize(
    "text",
    [
        "{a|" * 60_000,
        "{}" * 99_999,
        "__a " * 50_000,
        "x__{ " * 40_000,
        "[[a" + " " * 199_000 + "{",
        "[[a b " * 30_000,
        "<a:" * 60_000 + "{",
        "${a=" * 50_000,
        "{1-" * 60_000,
        "{" + "1::" * 60_000,
        "{a" + "|" * 150_000 + "}",
    ],
    ids=range(11),
)
def test_long_texts_are_read_in_time(text: str) -> None:
    begun = time.thread_time()
    parse.__wrapped__(text)
    assert time.thread_time() - begun < SOON


def test_a_pack_says_row_line_and_column() -> None:
    pack = parse_pack("p.txt", b"fine\n\nfine\n  and __nobody__\n\n\nneg: {a|b} {2-1$$a|b}\n")
    (problem,) = pack.problems
    assert str(problem).startswith("row 3, line 7, column 12: the range 2-1 runs backwards")
    with pytest.raises(
        UserError, match=r"pack p\.txt, row 2, line 4, column 7: there is no wildcard __nobody__"
    ):
        plan_run(PlanRequest(pack, rows="2"), STAGES, rng=Random(1), randomizers=STRATEGIES)


SIGNS = "{ } | $$ ${ = =! x : %{ … __ w [[ ]] s 2 - 1:: <l: > \\ ( ) , ~ @ ! * / __w__ ${x} {a|b} __v(x=1)__ ."
pieces = st.sampled_from([*SIGNS.split(), " "])
texts = st.one_of(st.text(max_size=40), st.lists(pieces, max_size=25).map("".join))


def refused(error: SpaceError, text: str) -> None:
    assert 0 <= error.finding.at <= len(text)
    assert error.finding.reason
    assert error.finding.fix


@given(
    texts, st.lists(texts, min_size=1, max_size=3), st.lists(texts, min_size=1, max_size=3), st.integers(0, 99)
)
def test_anything_is_texts_or_an_error_with_a_place(
    text: str, values: list[str], lines: list[str], seed: int
) -> None:
    try:
        made = compiled(text, {"w": values}, {"s": values}, {"v.txt": "\n".join(lines).encode()})
    except SpaceError as error:
        refused(error, text)
        return
    for draw in (lambda slot: 0, lambda slot: slot.part.size - 1, lambda slot: slot.part.sample(Random(seed))):
        picks = {slot.id: draw(slot) for slot in made.slots}
        assert all(
            0 <= picks[slot.id] < slot.part.size and slot.label(picks[slot.id]) is not None
            for slot in made.slots
        )
        (first,) = made.texts(picks)
        assert [list(row) for row in made.columns({slot: [pick] for slot, pick in picks.items()}, 1)] == [
            [first]
        ]
    assert split_options(text) == split_options(text)


# --- the count is the truth -----------------------------------------------------------------------------------

nested = st.recursive(
    st.sampled_from(["a", "b", "c", "__w__", "${x}", "${y}", ""]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: "{" + "|".join(found) + "}"),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: "{1-2$$, $$" + "|".join(found) + "}"),
        st.tuples(inner, inner).map("+".join),
        inner.map(lambda text: f"%{{< … >$${text}}}"),
    ),
    max_leaves=5,
)
KNOWN: Any = {"w": ["1", "{2|3}", "${x}"]}


def walk(made: Space) -> list[str]:
    ids = [slot.id for slot in made.slots]
    picks = itertools.product(*(range(slot.part.size) for slot in made.slots))
    return [made.texts(dict(zip(ids, numbers, strict=True)))[0] for numbers in itertools.islice(picks, 3000)]


@given(nested, st.integers(0, 2**32))
def test_the_n_th_text_is_that_of_the_walk_and_no_number_is_lost(text: str, seed: int) -> None:
    made = compiled(f"${{x={{p|q}}}}${{y=!{{r|s}}}}{text}", KNOWN)
    if size(made) > 3000:
        return
    walked = walk(made)
    assert len(walked) == size(made)
    ids = [slot.id for slot in made.slots]
    columns = list(zip(*itertools.product(*(range(slot.part.size) for slot in made.slots)), strict=True))
    rows = made.columns(dict(zip(ids, columns, strict=False)), len(walked))
    assert [row[0] for row in rows] == walked
    rng = Random(seed)
    drawn = made.texts({slot.id: slot.part.sample(rng) for slot in made.slots})[0]
    assert drawn in walked


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_some_of_unlike_options_are_counted_and_numbered_once_each(
    sizes: list[int], low: int, more: int
) -> None:
    inner = [f"{chr(97 + n)}{{{'|'.join(map(str, range(own)))}}}" for n, own in enumerate(sizes)]
    (slot,) = compiled(f"{{{low}-{low + more}$$+$${'|'.join(inner)}}}").slots
    texts = [slot.part.render(index, {}) for index in range(slot.part.size)]
    assert len(texts) == len(set(texts))
    low, high = min(low, len(sizes)), min(low + more, len(sizes))
    expected = [
        "+".join(f"{chr(97 + option)}{own}" for option, own in zip(chosen, numbers, strict=True))
        for count in range(low, high + 1)
        for chosen in itertools.permutations(range(len(sizes)), count)
        for numbers in itertools.product(*(range(sizes[option]) for option in chosen))
    ]
    assert texts == expected


# --- huge spaces ----------------------------------------------------------------------------------------------


def test_huge_choices_are_counted_and_rendered_in_time() -> None:
    begun = time.thread_time()
    (slot,) = compiled("{50$$__w__}", {"w": MANY}).slots
    assert slot.part.size == math.perm(5000, 50)
    assert slot.label(slot.part.size - 1) == ",".join(MANY[:-51:-1])
    assert len(set(slot.label(slot.part.sample(Random(3))).split(","))) == 50
    (slot,) = compiled("{1-300$$__w__}", {"w": MANY}).slots
    assert slot.label(slot.part.size - 1).count(",") == 299
    assert slot.label(4999) == "value 4999"
    assert time.thread_time() - begun < SOON


def test_options_that_differ_in_size_too() -> None:
    begun = time.thread_time()
    (slot,) = compiled(
        "{50$$__w__}", {"w": [f"{n}{{{'|'.join('abcd'[: n % 4 + 1])}}}" for n in range(2000)]}
    ).slots
    assert len(set(slot.part.render(slot.part.size - 1, {}).split(","))) == 50
    assert len(set(slot.part.render(slot.part.sample(Random(1)), {}).split(","))) == 50
    assert time.thread_time() - begun < SOON


# --- picks that stay ------------------------------------------------------------------------------------------

WITH: Any = {"wildcards": {"raw_text": "tok: 1 | 2 | {3|4}"}, "matrix": {"raw_text": "m: x | y"}}
FILES = {"f.txt": b"a\nb\n__sub/g__\n", "sub/all.yaml": b"g: [2::c, d]"}
SLOTS = ["{a|b|c}", "__tok__", "__f__", "{2$$__f__}", "${v}", "{${v}|k}", "%{l … r$${h|i}}", "{n|{o|p|${w}}}"]
SET = "${v={q|r|s}}${w=!{t|u}}"


def planned(pack: str, seed: int) -> Plan:
    request = PlanRequest(
        parse_pack("p.txt", pack.encode()),
        {"randomization": WITH},
        "p.json",
        seed=seed,
        count=5,
        wildcards=[FILES],
    )
    return plan_run(request, STAGES, rng=Random(3), randomizers=STRATEGIES)


def picks(texts: list[str], seed: int) -> list[dict[str, str]]:
    return [
        {str(choice["slot"]): str(choice["value"]) for choice in job.spec.provenance["choices"]}
        for job in planned(" ".join(["row", SET, *texts]), seed).jobs
    ]


@A_THIRD
@given(st.permutations(SLOTS), st.integers(0, len(SLOTS)), st.integers(0, 2**53))
def test_a_slot_more_or_elsewhere_changes_no_other_pick(order: list[str], kept: int, seed: int) -> None:
    for few, whole in zip(picks(order[:kept], seed), picks(SLOTS, seed), strict=True):
        assert few.items() <= whole.items()


mixed = st.lists(
    st.sampled_from(["{!a|b|c}", "{~d|e}", "__tok__", "[[m]]", "{!f|{g|h}}", "${v}", "x"]), max_size=5
)


@A_THIRD
@given(mixed, st.integers(1, 3), st.integers(0, 2**53), st.integers(0, 300), st.integers(1, 40))
def test_many_at_once_are_the_same_as_one_by_one(
    texts: list[str], count: int, seed: int, start: int, step: int
) -> None:
    request = PlanRequest(
        parse_pack("p.txt", " ".join(["row", SET, *texts]).encode()),
        {"randomization": WITH},
        "p.json",
        seed=seed,
        count=count,
    )
    jobs = plan_run(request, STAGES, rng=Random(3), randomizers=STRATEGIES).jobs
    whole = list(jobs)
    assert whole == [jobs[number] for number in range(len(jobs))]
    assert whole[start::step] == list(jobs[start::step])
    assert whole[::-1] == list(jobs[::-1])


def test_what_is_drawn_once_means_the_same_wherever_it_is_used_first() -> None:
    files = {"w.txt": b"${v}"}
    made = compiled("${c=red}${v=!${c} {a|b}}__w(c=blue)__ ${v}", files=files)
    assert walk(made) == ["red a red a", "red b red b"]
    # Two texts of one row that say the same share it.
    text = "${c=red}${v=!${c} {a|b}}__w__ ${v}"
    both = Compiler(Definitions({}, {}, [files])).compile([(text, ""), (f"{text}, {{${{v}}}}", "")])
    assert len(both.slots) == 3
    assert both.texts({slot.id: slot.part.size - 1 for slot in both.slots})[1] == "red b red b, red b"


def test_ten_thousand_of_a_huge_plan_stream() -> None:
    choice = "{!" + "|".join("abcdefghij") + "}"
    request = PlanRequest(parse_pack("p.txt", " ".join([choice] * 12).encode()), seed=1, sample=10_000)
    begun = time.thread_time()
    plan = plan_run(request, STAGES, rng=Random(1), randomizers=STRATEGIES)
    assert "1,000,000,000,000 images" in plan.line
    seen = {job.spec.stages[0].prompt for job in itertools.islice(plan.jobs, 500)}
    assert len(seen) == 500
    assert time.thread_time() - begun < SOON
