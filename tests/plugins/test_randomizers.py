"""Randomizer strategies: their contract, what each promises, and what is kept between runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.errors import UserError
from stablenew_api.randomizer import Randomizer, Slot, Turn, Use
from stablenew_api.testing import check_randomizer, host_of
from stablenew_plugins import randomizers
from stablenew_plugins.randomizers import Fanout, LeastUsed, RandomPicks, Rotate, Sequential


def slot(*options: str, name: str = "s") -> Slot:
    return Slot(name, len(options), options.__getitem__)


def run(strategy: type[Randomizer], of: Slot, rows: int, images: int, kept: Any = None, seed: int = 1) -> Any:
    """What a run takes, image by image, and what it leaves."""
    memory = {} if kept is None else {of.id: kept}
    picks = [
        strategy().pick([of], Turn(seed, row + 1, 0, image, {of.id: Use(row, row * images + image)}), memory)[0]
        for row in range(rows)
        for image in range(images)
    ]
    return [of.label(pick) for pick in picks], strategy().remember(of, Use(rows, rows * images), seed, kept)


@pytest.mark.parametrize("strategy", randomizers.stablenew_randomizers(), ids=lambda kind: kind.name)
def test_contract(strategy: type[Randomizer]) -> None:
    check_randomizer(strategy)


def test_they_come_through_the_hook() -> None:
    assert list(host_of(randomizers).randomizers) == [
        "off",
        "fanout",
        "random",
        "sequential",
        "rotate",
        "least_used",
    ]


# --- walks ----------------------------------------------------------------------------------------------------


def test_sequential_moves_once_a_row_and_goes_on_in_the_next_run() -> None:
    colours = slot("red", "green", "blue")
    first, kept = run(Sequential, colours, rows=2, images=2)
    assert first == ["red", "red", "green", "green"]
    assert (kept, Sequential().describe(kept)) == ({"next": 2, "of": 3}, "next is 3 of 3")
    second, kept = run(Sequential, colours, rows=2, images=1, kept=kept)
    assert second == ["blue", "red"]


def test_rotate_moves_once_an_image_and_wraps() -> None:
    colours = slot("red", "green", "blue")
    first, kept = run(Rotate, colours, rows=2, images=2)
    assert first == ["red", "green", "blue", "red"]
    assert Rotate().describe(kept) == "next is 2 of 3"
    assert run(Rotate, colours, rows=1, images=2, kept=kept)[0] == ["green", "blue"]


def test_a_place_survives_an_edit_of_the_list() -> None:
    assert run(Rotate, slot("a", "b"), 1, 1, {"next": 7, "of": 12})[0] == ["b"]
    for nonsense in (3, "x", [], {"next": -1}, {"next": "2"}, {}):
        assert run(Rotate, slot("a", "b"), 1, 1, nonsense)[0] == ["a"]


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), max_size=5))
def test_runs_one_after_the_other_are_one_long_walk(size: int, runs: list[tuple[int, int]]) -> None:
    of, kept, taken = Slot("s", size, str), None, list[str]()
    for rows, images in runs:
        picks, kept = run(Rotate, of, rows, images, kept)
        taken += picks
    assert taken == [str(n % size) for n in range(len(taken))]


# --- least used -----------------------------------------------------------------------------------------------


def test_least_used_counts_over_runs() -> None:
    hair = slot("blond", "red", "black")
    first, kept = run(LeastUsed, hair, rows=1, images=2)
    second, kept = run(LeastUsed, hair, rows=1, images=4, kept=kept)
    assert sorted([*first, second[0]]) == ["black", "blond", "red"]
    assert Counter([*first, *second]) == {"blond": 2, "red": 2, "black": 2}
    assert LeastUsed().describe(kept) == "black used twice, blond used twice, red used twice"
    assert (
        LeastUsed().describe({"used": {"a": 0, "b": 3, "": 1}})
        == "a not used, (nothing) used once, b used 3 times"
    )


def test_a_new_option_joins_the_round_and_is_not_made_up_for() -> None:
    _, kept = run(LeastUsed, slot("a", "b"), rows=1, images=40)
    found, kept = run(LeastUsed, slot("c", "b", "a"), rows=1, images=6, kept=kept)
    assert Counter(found) == {"a": 2, "b": 2, "c": 2}
    assert kept["used"] == {"a": 22, "b": 22, "c": 2}


def test_too_many_options_to_count() -> None:
    with pytest.raises(UserError, match=r"counts every option, and s has 10,001; at most 10,000"):
        LeastUsed().size([Slot("s", 10_001, str)])


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 6)),
    st.integers(1, 30),
    st.integers(0, 99),
)
def test_least_used_takes_what_a_person_would_take(
    options: list[str], used: dict[str, int], images: int, seed: int
) -> None:
    """Whatever the counts and however often: each use takes an option that no other one undercuts."""
    of = slot(*options)
    found, kept = run(LeastUsed, of, 1, images, {"used": used}, seed)
    known = [used[option] for option in options if option in used]
    counts = {option: used.get(option, min(known, default=0)) for option in options}
    for option in found:
        assert counts[option] == min(counts.values())
        counts[option] += 1
    taken = Counter(found)
    assert kept["used"] == {o: used.get(o, 0) + taken[o] for o in {*used, *options}}


# --- together -------------------------------------------------------------------------------------------------


def matrix(**sizes: int) -> Slot:
    parts = tuple(Slot(name, size, str) for name, size in sizes.items())
    size = 1
    for part in parts:
        size *= part.size
    return Slot("m", size, str, parts=parts)


def drawn(of: Slot, images: int, seed: int = 5) -> list[dict[str, int]]:
    found = []
    for image in range(images):
        (number,) = RandomPicks().pick([of], Turn(seed, 1, 0, image), {})
        picks = {}
        for part in reversed(of.parts):
            number, picks[part.id] = divmod(number, part.size)
        found.append(picks)
    return found


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4), min_size=1),
    st.integers(0, 2**53),
    st.sampled_from("abcd"),
)
def test_a_matrix_is_drawn_without_repeats_and_as_stable_as_that_allows(
    sizes: dict[str, int], seed: int, extra: str
) -> None:
    whole = matrix(**sizes)
    found = drawn(whole, 2 * whole.size, seed)
    for start in (0, whole.size):
        block = [tuple(sorted(picks.items())) for picks in found[start : start + whole.size]]
        assert len(set(block)) == whole.size, "each combination once before one comes again"
    moved = matrix(**dict(reversed(sizes.items())))
    assert drawn(moved, whole.size, seed) == found[: whole.size], "the order of the list changes nothing"
    fewer = {name: size for name, size in sizes.items() if name != extra}
    if fewer:
        for with_it, without in zip(found, drawn(matrix(**fewer), whole.size, seed), strict=False):
            same = {name: with_it[name] for name in fewer if name < extra}
            assert same == {name: without[name] for name in same}, "those before it by name keep their picks"


def test_the_first_of_a_matrix_is_drawn_as_if_it_were_alone() -> None:
    together = [picks["a"] for picks in drawn(matrix(a=5, b=3), 15)]
    assert together == [RandomPicks().pick([Slot("a", 5, str)], Turn(5, 1, 0, n), {})[0] for n in range(15)]


def test_fanout_is_nested_loops() -> None:
    slots = [Slot("a", 2, str), Slot("b", 3, str)]
    found = [Fanout().pick(slots, Turn(0, 1, n, n), {}) for n in range(Fanout().size(slots))]
    assert found == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
