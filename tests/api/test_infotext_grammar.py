"""The A1111 text: grammar and quoting, both ways."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.infotext import format_infotext, hashes_of, parse_infotext, quote

SAMPLE = """a castle, (stone:1.2)
on a hill
Negative prompt: blurry,
low quality
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 123, Size: 512x768, Model hash: 6ce0, \
Model: v1-5-pruned, Lora hashes: "a: 0123, b: 4567", Version: v1.10.1"""


def test_a_text_as_a1111_writes_it() -> None:
    read = parse_infotext(SAMPLE)
    assert read.prompt == "a castle, (stone:1.2)\non a hill"
    assert read.negative_prompt == "blurry,\nlow quality"
    assert dict(read.pairs)["Lora hashes"] == "a: 0123, b: 4567"
    assert [key for key, _ in read.pairs][:3] == ["Steps", "Sampler", "Schedule type"]
    assert read.parameters["Size-1"] == "512"
    assert read.parameters["Size-2"] == "768"
    assert "Size" not in read.parameters
    assert read.parameters["Clip skip"] == "1"
    assert read.parameters["RNG"] == "GPU"
    assert format_infotext(read.prompt, read.negative_prompt, read.pairs) == SAMPLE


def test_fewer_than_three_pairs_are_prompt() -> None:
    read = parse_infotext("a cat\nSteps: 20, Seed: 3")
    assert (read.prompt, read.pairs) == ("a cat\nSteps: 20, Seed: 3", ())
    with pytest.raises(ValueError, match="3 pairs"):
        format_infotext("a", "", [("Steps", 1), ("Seed", 2), ("Model", None)])


def test_nul_never_gets_into_a_png() -> None:
    assert "\0" not in format_infotext("a\0b", "c\0d", [("Steps", 1), ("Seed", 2), ("Model", "e\0f")])


@pytest.mark.parametrize("key", ["a", "a.b", "a(b)", "", " a", "a:b", "x,y"])
def test_keys_no_reader_would_find(key: str) -> None:
    with pytest.raises(ValueError, match="infotext key"):
        format_infotext("p", "", [("Steps", 1), ("Seed", 2), (key, 3)])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain words", "plain words"),
        (20, "20"),
        (7.5, "7.5"),
        ("a, b", '"a, b"'),
        ("a: b", '"a: b"'),
        ("a\nb", '"a\\nb"'),
        ("ü, 日", '"ü, 日"'),
        ('say "hi", you', '"say \\"hi\\", you"'),
        ("", '""'),
        ('"quoted"', '"\\"quoted\\""'),
        (" x ", '" x "'),
    ],
)
def test_quoting(value: Any, written: str) -> None:
    assert quote(value) == written


lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30).map(str.strip)
prompt_texts = st.lists(lines.filter(lambda line: not line.startswith("Negative prompt:")), max_size=3).map(
    lambda parts: "\n".join(parts).strip()
)
pair_keys = st.from_regex(re.compile(r"\w[\w \-/]*[\w\-/]", re.ASCII), fullmatch=True)
values = st.text(st.characters(codec="utf-8"), max_size=30) | st.integers().map(str)


@given(prompt_texts, prompt_texts, st.dictionaries(pair_keys, values, min_size=3, max_size=8))
@A_THIRD
def test_round_trip(prompt: str, negative: str, pairs: dict[str, str]) -> None:
    pairs = {key: value for key, value in pairs.items() if key != value}  # A1111 writes those as the key alone
    if len(pairs) < 3:
        return
    read = parse_infotext(format_infotext(prompt, negative, pairs.items()))
    assert (read.prompt, read.negative_prompt, dict(read.pairs)) == (prompt, negative, pairs)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_read(text: str) -> None:
    read = parse_infotext(text)
    assert len(read.pairs) == 0 or len(read.pairs) >= 3


AS_A1111 = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""``re_param`` of modules/infotext_utils.py, to the letter."""


@given(st.text(alphabet=' -/a1:,"\\\t', max_size=40))
@settings(max_examples=500, deadline=None)
def test_the_pairs_are_those_of_a1111(line: str) -> None:
    found = AS_A1111.findall(line.strip())
    expected = [key for key, _ in found] if len(found) >= 3 else []
    assert [key for key, _ in parse_infotext(line).pairs] == expected


@pytest.mark.parametrize("letter", ["a", "- ", "\t", "a:", "a b/", '"', "aa:", 'aa: "'])
def test_a_long_line_takes_no_long_time(letter: str) -> None:
    begin = time.process_time()
    parse_infotext(f"x{letter * 100_000}x")
    assert time.process_time() - begin < 6


# --- JSON without quotation marks ---------------------------------------------------------------------------

CIVITAI = (
    'p\nSteps: 20, Seed: 1, Size: 8x8, Hashes: {"model": "6ce0161689", "lora:ink, a": "0123456789ab"}, '
    'Version: x, Civitai resources: [{"type":"lora","weight":0.4}], Civitai metadata: {}'
)


def test_json_is_read_to_its_end_and_written_as_it_was() -> None:
    read = parse_infotext(CIVITAI)
    assert read.pairs[3:] == (
        ("Hashes", '{"model": "6ce0161689", "lora:ink, a": "0123456789ab"}'),
        ("Version", "x"),
        ("Civitai resources", '[{"type":"lora","weight":0.4}]'),
        ("Civitai metadata", "{}"),
    )
    assert format_infotext(read.prompt, "", read.pairs) == CIVITAI


@pytest.mark.parametrize("broken", ['{"model": "6ce', "[" * 20_000, "{]}", "none"])
def test_json_that_is_none_is_an_ordinary_value(broken: str) -> None:
    read = parse_infotext(f"p\nSteps: 20, Seed: 1, Size: 8x8, Hashes: {broken}, Version: x")
    assert dict(read.pairs)["Hashes"] == broken
    assert dict(read.pairs)["Version"] == "x"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
@A_THIRD
def test_json_comes_back(value: dict[str, Any]) -> None:
    text = format_infotext("p", "", [("Steps", 1), ("Seed", 2), ("Hashes", value), ("Version", "x")])
    pairs = dict(parse_infotext(text).pairs)
    assert json.loads(pairs["Hashes"]) == value
    assert pairs["Version"] == "x"


def test_hashes_of_every_kind() -> None:
    pairs = [
        ("Model hash", "6CE0161689"), ("VAE hash", "none of it"),
        ("Lora hashes", "a b: 0123456789ab, c: 00ff00ff"), ("TI hashes", "broken"),
        ("Hashes", {"lora:c": "11ff11ff", "embed:e": 3}),
    ]  # fmt: skip
    assert hashes_of(pairs) == {"model": "6CE0161689", "lora:a b": "0123456789ab", "lora:c": "11ff11ff"}
    assert hashes_of([("Hashes", "{")]) == hashes_of([("Hashes", [1])]) == {}
