"""Weights in steps, brackets that belong together, and what is not finished yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.packs.attention import weigh
from stablenew_plugins.desktop.models.packs.brackets import PAIRS, is_balanced, pair_at, pairs_of
from stablenew_plugins.desktop.models.packs.unfinished import is_unfinished


def stepped(marked: str, steps: int) -> str | None:
    """``weigh`` of a text whose selection, or place, is between two bars."""
    before, selected, behind = marked.split("¦") if marked.count("¦") == 2 else (*marked.split("¦"), None)
    if behind is None:
        selected, behind = "", selected
    found = weigh(before + selected + behind, len(before), len(before + selected), steps)
    if found is None:
        return None
    cut = [found.text[: found.start], found.text[found.start : found.end], found.text[found.end :]]
    return "¦".join(cut if found.start != found.end else [cut[0], cut[2]])


@pytest.mark.parametrize(
    ("before", "steps", "after"),
    [
        ("a red¦ cat", 1, "a (red¦:1.1) cat"),
        ("a (red¦:1.1) cat", 1, "a (red¦:1.2) cat"),
        ("a (red¦:1.1) cat", -1, "a red¦ cat"),
        ("a (red:1.¦1) cat", -1, "a red¦ cat"),
        ("a re¦d cat", -1, "a (re¦d:0.9) cat"),
        ("a ¦red cat¦, b", 1, "a (¦red cat¦:1.1), b"),
        ("a (¦red cat¦:1.1), b", 2, "a (¦red cat¦:1.3), b"),
        ("a (¦red¦ cat:1.1)", 1, "a ((¦red¦:1.1) cat:1.1)"),
        ("¦(red:1.2)¦ cat", 1, "(¦red¦:1.3) cat"),
        ("a (re¦d) cat", 1, "a (re¦d:1.2) cat"),
        ("a (re¦d) cat", -1, "a re¦d cat"),
        ("<lora:neon_¦v2:0.8>", 1, "<lora:neon_¦v2:0.9>"),
        ("<lora:neon_¦v2:0.1>", -2, "<lora:neon_¦v2:-0.1>"),
        ("<lora:neon_¦v2>", 1, "<lora:neon_¦v2:1.1>"),
        ("¦<lora:a:0.75>¦", 1, "¦<lora:a:0.85>¦"),
        ("a __sk¦y__ b", 1, "a (__sk¦y__:1.1) b"),
        ("a __s¦ky__ b¦, c", 1, "a (¦__sky__ b¦:1.1), c"),
        ("[[ti¦me]]", 1, "([[ti¦me]]:1.1)"),
        ("{re¦d|green}", 1, "{(re¦d:1.1)|green}"),
        ("¦{red|green}¦", 1, "(¦{red|green}¦:1.1)"),
        ("(a¦:0)", -1, "(a¦:0)"),
        (r"a \(re¦d\) cat", 1, r"a (\(re¦d\):1.1) cat"),
        ("a ,¦ , b", 1, None),
        ("(a ¦b) (c¦ d)", 1, None),
        ("{a ¦b|c¦ d}", 1, None),
        ("<lora:a:¦1:2>", 1, None),
        ("¦", 1, None),
    ],
)
def test_a_step_changes_the_weight_of_what_is_meant(before: str, steps: int, after: str | None) -> None:
    assert stepped(before, steps) == after


_PROMPTS = st.lists(
    st.sampled_from(
        [*"()[]{}<>|\\,:. ab1", "(a:1.2)", "<lora:x:0.8>", "__sky__", "[[t]]", "{a|b}", r"\(", "(a b)", ":1.1)"]
    ),
    max_size=14,
).map("".join)


@given(text=_PROMPTS, data=st.data())
def test_a_step_breaks_no_brackets_and_loses_no_words(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = weigh(text, start, end, data.draw(st.sampled_from([-3, -1, 1, 2])))
    if found is None:
        return
    assert 0 <= found.start <= found.end <= len(found.text)
    if is_balanced(text):
        assert is_balanced(found.text)
    assert len(pairs_of(found.text)[1]) <= len(pairs_of(text)[1])
    assert [letter for letter in found.text if letter in "abxskyt|\\"] == [
        letter for letter in text if letter in "abxskyt|\\"
    ]


@given(steps=st.lists(st.sampled_from([1, -1]), min_size=1, max_size=12))
def test_steps_back_and_forth_end_where_they_began(steps: list[int]) -> None:
    text, start, end = "a red cat, b", 2, 9
    weight = 10
    for step in steps:
        found = weigh(text, start, end, step)
        assert found is not None
        text, start, end = found.text, found.start, found.end
        weight = max(0, weight + step)
        assert text[start:end] == "red cat"
        assert text == ("a red cat, b" if weight == 10 else f"a (red cat:{weight / 10:g}), b")


@given(text=_PROMPTS)
def test_brackets_that_belong_together_nest_and_are_of_a_kind(text: str) -> None:
    found, alone = pairs_of(text)
    places = [at for pair in found for at in pair]
    assert len(set(places)) == len(places)
    assert not set(places) & set(alone)
    for first, last in found:
        assert text[last] == PAIRS[text[first]]
        assert all((first < a < last) == (first < b < last) for a, b in found)
    for caret in range(len(text) + 1):
        pair = pair_at(text, caret)
        assert pair is None or (pair in found and (caret in pair or caret - 1 in pair))
        assert pair is not None or not {caret, caret - 1} & set(places)


def test_the_partner_of_the_bracket_at_the_caret_is_found() -> None:
    assert pair_at("(a [b])", 0) == (0, 6)
    assert pair_at("(a [b])", 7) == (0, 6)
    assert pair_at("(a [b])", 6) == (0, 6)
    assert pair_at("(a [b])", 3) == (3, 5)
    assert pair_at(r"\(a)", 1) is None
    assert pair_at("[[time]]", 1) == (1, 6)
    assert pair_at("a > b", 2) is None


@pytest.mark.parametrize(
    ("text", "at", "caret", "expected"),
    [
        ("a __we", 2, 6, True),
        ("a __we", 2, 2, False),
        ("a __we b", 2, 8, True),
        ("a __we__ b", 2, 9, False),
        ("<lora:ne", 0, 8, True),
        ("[[ti", 0, 4, True),
        ("(a, b", 0, 5, True),
        ("(a), b", 0, 6, False),
        ("a )", 2, 3, False),
    ],
)
def test_what_is_open_at_the_caret_is_not_finished(text: str, at: int, caret: int, expected: bool) -> None:
    assert is_unfinished(text, at, caret) is expected
