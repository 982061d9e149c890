"""The words that images are searched with, and the facts that they are found by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_kernel.domain.gallery import Comparison, facts_of, parse_query, searchable


def compared(text: str) -> Comparison:
    query = parse_query(text)
    assert not query.words
    (comparison,) = query.comparisons
    return comparison


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps>=30", Comparison("", "steps", ">=", 30, "30")),
        ("txt2img.width>1024", Comparison("txt2img", "width", ">", 1024, "1024")),
        ("seed=42", Comparison("", "seed", "=", 42, "42")),
        (f"seed={2**64 - 1}", Comparison("", "seed", "=", 2**64 - 1, str(2**64 - 1))),
        ("cfg_scale==7.5", Comparison("", "cfg_scale", "=", 7.5, "7.5")),
        ("denoising_strength<.5", Comparison("", "denoising_strength", "<", 0.5, ".5")),
        ("clip_skip!=1", Comparison("", "clip_skip", "!=", 1, "1")),
        ('sampler_name="Euler A"', Comparison("", "sampler_name", "=", None, "euler a")),
        ("enable_hr=true", Comparison("", "enable_hr", "=", None, "true")),
    ],
)
def test_a_setting_is_compared(text: str, expected: Comparison) -> None:
    assert compared(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a castle", ("a", "castle")),
        ('"blue hour" castle', ("blue hour", "castle")),
        ("(castle:1.2), fog", ("(castle:1.2),", "fog")),
        ("<lora:ink:0.5>", ("<lora:ink:0.5>",)),
        ('"steps>=30"', ("steps>=30",)),
        ("... , !", ()),
    ],
)
def test_all_else_are_words(text: str, words: tuple[str, ...]) -> None:
    query = parse_query(text)
    assert (query.words, query.comparisons) == (words, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps>=", "steps>=: nothing to compare with"),
        ("steps>many", "'many' is no number; text can be compared with = and != only"),
        ("seed=4.5", "'4.5' is no whole number"),
        ("seed=high", "'high' is no whole number"),
    ],
)
def test_what_cannot_be_compared_is_said(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_query(text)
    assert says in str(caught.value)


@given(st.text(), st.text())
def test_no_text_breaks_the_search(words: str, more: str) -> None:
    try:
        query = parse_query(f"{words} {more}")
    except UserError:
        return
    assert query.match.count('"') == 2 * len(query.words)
    assert bool(query.match) == bool(query.words)


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=2), max_size=5))
def test_words_come_out_in_order_whatever_the_space_between_them(words: list[str]) -> None:
    assert parse_query("  ".join(words)).words == tuple(words)
    assert parse_query("\t\n".join(words)) == parse_query(" ".join(words))


def test_letters_of_languages_without_spaces_are_words() -> None:
    assert searchable("猫の森").split() == ["猫", "の", "森"]
    assert searchable("a cat, 猫!").split() == ["a", "cat,", "猫", "!"]


def spec(seed: int = 7, **config: object) -> JobSpec:
    first = StageSpec("txt2img", "1", "a castle", "fog", seed, {"steps": 20, "seed": seed, **config})
    later = StageSpec("upscale", "1", "", "", seed, {"upscaling_resize": 2.0, "upscaler": "Lanczos"})
    return JobSpec((first, later), provenance={"preset": "day.json"})


def test_facts_are_what_was_used() -> None:
    facts = facts_of(
        spec(enable_hr=False, styles=["x"]), [("Model", "sdxl"), ("Sampler", "Euler")], "demo_1.png"
    )
    assert (facts.seed, facts.model, facts.preset) == (7, "sdxl", "day.json")
    assert facts.stages == ("txt2img", "upscale")
    assert facts.settings == (
        ("txt2img", "enable_hr", "false"),
        ("txt2img", "steps", 20),
        ("upscale", "upscaler", "lanczos"),
        ("upscale", "upscaling_resize", 2.0),
    )
    assert facts.words.split() == ["a", "castle", "fog", "sdxl", "Euler", "demo_1.png"]


def test_what_cannot_be_stored_costs_no_image() -> None:
    strange = JobSpec((StageSpec("txt2img", "1", "a", "", 2**70, {"x": float(2**70), "y": 2**70, "z": None}),))
    facts = facts_of(strange, [("Model", "half \ud800 pair")], "x.png")
    assert facts.seed == 2**64 - 1
    assert facts.model == "half ? pair"
    assert facts.settings == (("txt2img", "x", float(2**70)), ("txt2img", "y", float(2**70)))
    facts.words.encode("utf-8")


def test_images_that_differ_in_seed_and_prompt_alone_share_their_setup() -> None:
    def setup(made: JobSpec) -> str:
        return facts_of(made, [], "x.png").setup_sha256

    assert setup(spec(1, adetailer_prompt="x" * 200)) == setup(spec(2, adetailer_prompt="y" * 200))
    assert setup(spec(1)) != setup(spec(1, steps=21))


def test_an_image_made_of_an_image_was_made_with_both() -> None:
    later = StageSpec("upscale", "1", "", "", 9, {"upscaler": "Lanczos"})
    source = {"prompt": "a tower", "stages": ["txt2img"], "made_with": {"sampler_name": "Euler a"}}
    facts = facts_of(JobSpec((later,), provenance={"source": source}), [], "x.png")
    assert facts.stages == ("txt2img", "upscale")
    assert ("txt2img", "sampler_name", "euler a") in facts.settings
    assert facts.words.startswith("a tower")
