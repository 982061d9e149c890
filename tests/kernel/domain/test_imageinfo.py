"""Two images compared: one form of names, words, what a silent file means."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_kernel.domain.imageinfo import (
    OwnStory,
    Story,
    compare_words,
    difference,
    in_order,
    own_story,
    show_words,
)


def story(**txt2img: Any) -> Story:
    return Story("x", "a cat", "", {"txt2img": txt2img}, {}, ())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sampler_name": "DPM++ 2M Karras"}, {"sampler_name": "dpmpp_2m", "scheduler": "karras"}),
        ({"sampler_name": "Euler a"}, {"sampler_name": "euler_ancestral", "scheduler": "Automatic"}),
        ({"model": r"a\dream.safetensors [6ce0161689]"}, {"model": "dream"}),
        ({"steps": 20, "cfg_scale": 7}, {"steps": 20.0, "cfg_scale": 7.0}),
        ({"steps": 20}, {"steps": 20, "clip_skip": 1, "enable_hr": False, "hr_scale": 2, "vae": "Automatic"}),
        ({"steps": 20}, {"steps": 20, "subseed": 5, "subseed_strength": 0, "denoising_strength": 0.7}),
        ({"steps": 20, "refiner_checkpoint": "None", "refiner_switch_at": 0.8}, {"steps": 20, "batch_size": 1}),
    ],
)  # fmt: skip
def test_the_same_said_differently(first: dict[str, Any], second: dict[str, Any]) -> None:
    for a, b in ((first, second), (second, first)):
        found = difference(story(**a), story(**b))
        assert found.same
        assert (found.only_first, found.only_second) == ({}, {})
        assert found.equal > 0


def test_what_differs_and_what_one_alone_tells() -> None:
    found = difference(
        story(steps=20, enable_hr=False, clip_skip=1, mood="calm"),
        story(steps=30, enable_hr=True, hr_scale=2.0, clip_skip=2),
    )
    assert found.settings == {
        "txt2img.steps": (20, 30),
        "txt2img.enable_hr": (False, True),
        "txt2img.clip_skip": (1, 2),
    }
    assert found.only_first == {"txt2img.mood": "calm"}
    assert found.only_second == {"txt2img.hr_scale": 2.0}
    assert not found.same


def test_hashes_compare_by_their_beginning() -> None:
    def with_hash(value: str) -> Story:
        return Story("x", "", "", {}, {"model": value}, ())

    long = "6CE0161689B3853ACAA03779EC93EAFE75A02F4CED659BEE03F50797806FA2FA"
    assert difference(with_hash("6ce0161689"), with_hash(long)).same
    assert difference(with_hash("0x6ce0161689"), with_hash(long)).equal == 1
    assert difference(with_hash("6ce0161680"), with_hash(long)).hashes == {"model": ("6ce0161680", long)}


words = st.lists(st.sampled_from(["a", "cat", ",", "<lora:a b:1>", "(hat:1.2)", "BREAK"]), max_size=12)


@given(words, words)
@A_THIRD
def test_the_pieces_make_up_both_prompts(first: list[str], second: list[str]) -> None:
    pieces = compare_words(" ".join(first), "  ".join(second))
    assert (not pieces) is (first == second)
    for change, prompt in (("removed", first), ("added", second)):
        kept = [piece.text for piece in pieces if piece.change in ("same", change)]
        if pieces:
            assert "".join("".join(kept).split()) == "".join("".join(prompt).split())


def test_words_as_people_see_them() -> None:
    assert show_words(compare_words("a, b, c", "a, x, c")) == "a, [-b-] {+x+}, c"
    assert show_words(compare_words("", "a b")) == "{+a b+}"
    assert compare_words("a,b", "a , b") == ()


def test_long_prompts_are_compared_in_time() -> None:
    first = "start " + " ".join(f"w{number}" for number in range(100_000)) + " end"
    second = "start " + " ".join(f"v{number}" for number in range(100_000)) + " end"
    begin = time.thread_time()
    pieces = compare_words(first, second)
    assert [piece.change for piece in pieces] == ["same", "removed", "added", "same"]
    assert time.thread_time() - begin < 2


def test_the_order_for_people() -> None:
    settings = {
        "txt2img": {"mood": 1, "seed": 3, "height": 8, "width": 6, "model": "m"},
        "pipeline": {"txt2img_enabled": True},
        "odd": 3,
    }
    assert in_order(settings) == [("txt2img", [("model", "m"), ("size", "6x8"), ("seed", 3), ("mood", 1)])]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["job_id", "stages", "backend", "seconds", "attempt"]), inner, max_size=4
            )
        ),
    )
)
@A_THIRD
def test_any_text_is_a_story_or_none(value: Any) -> None:
    found = own_story(json.dumps(value))
    assert (found is None) is (not isinstance(value, dict))
    assert found is None or isinstance(found, OwnStory)
    assert own_story("{") is None
