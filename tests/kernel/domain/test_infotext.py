"""The A1111 text: grammar, order, quoting; and the JSON that a job is replayed from."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec
from stablenew_kernel.domain.infotext import (
    KEY,
    KEY_ORDER,
    describe,
    format_infotext,
    parse_infotext,
    prompts,
    quote,
    stablenew_chunk,
    stored_spec,
)
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run

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
@settings(max_examples=300, deadline=None)
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


# --- describe ------------------------------------------------------------------------------------------------


def spec(*sets: str) -> JobSpec:
    pack = parse_pack("demo.txt", b"a castle <embedding:x>\nneg: fog\n")
    request = PlanRequest(pack, sets=["txt2img.model=dream", *sets], seed=9)
    return plan_run(request, STAGES, rng=Random(1)).jobs[0].spec


BASE = {"Steps": 20, "Sampler": "Euler a", "Seed": 9, "Size": "512x512", "Model hash": "abc"}


def described(job: JobSpec, stages: list[dict[str, Any]], **more: Any) -> list[tuple[str, Any]]:
    report = {"stages": stages, "backend": {"name": "embedded", "version": "1.0", "stand_in": True}}
    return describe(job, report, version="0.1.0", job_id="J", node="attic", **more)


def test_without_a_report_the_job_speaks() -> None:
    pairs = describe(spec(), {}, version="0.1.0", job_id="J", node="attic")
    assert pairs == [
        ("Steps", 20),
        ("Sampler", "Euler a"),
        ("CFG scale", 7.0),
        ("Seed", 9),
        ("Size", "512x512"),
        ("Model", "dream"),
        ("StableNew stages", "txt2img"),
        ("StableNew node", "attic"),
        ("StableNew job", "J"),
        ("StableNew pack", "demo.txt"),
        ("StableNew template", "a castle <embedding:x>\nneg: fog"),
        ("Version", "StableNew 0.1.0"),
    ]


def test_what_was_really_used_wins_and_the_order_is_that_of_a1111() -> None:
    info = {
        "Sampler": "DPM++ 2M",
        "Clip skip": 1,
        "Schedule type": "Karras",
        "bad.key": 1,
        "Model": "dream2",
        "User": "me",
    }
    pairs = described(
        spec(),
        [{"name": "txt2img", "info": {**info, "Lora hashes": "a: b"}}],
        extra={"Mood": "calm", "Steps": 1},
    )
    keys = [key for key, _ in pairs]
    assert dict(pairs)["Sampler"] == "DPM++ 2M"
    assert dict(pairs)["Model"] == "dream2"
    assert dict(pairs)["Steps"] == 20
    assert dict(pairs)["StableNew backend"] == "embedded 1.0 (stand-in, no AI model)"
    assert "Clip skip" not in keys
    assert "bad.key" not in keys
    known = [key for key in keys if key in KEY_ORDER]
    assert known == sorted(known, key=KEY_ORDER.index)
    assert keys.index("Model") < keys.index("Lora hashes") < keys.index("StableNew job") < keys.index("Version")
    assert keys.index("Mood") < keys.index("StableNew stages")
    assert keys[-2:] == ["Version", "User"]


@pytest.mark.parametrize("adds_up", [True, False])
def test_later_stages_add_keys_and_never_replace_those_of_the_first(adds_up: bool) -> None:
    job = spec("img2img.enabled=1", "upscale.enabled=1")
    refined = {"Steps": 5, "Denoising strength": 0.3}
    enlarged = {"Hires upscaler": "Lanczos"}
    carried = (
        [BASE, {**BASE, **refined}, {**BASE, **refined, **enlarged}] if adds_up else [BASE, refined, enlarged]
    )
    pairs = dict(
        described(job, [{"name": s.name, "info": i} for s, i in zip(job.stages, carried, strict=True)])
    )
    assert pairs["Steps"] == 20
    assert pairs["img2img Steps"] == 5
    assert pairs["Denoising strength"] == 0.3
    assert pairs["Hires upscaler"] == "Lanczos"
    assert "upscale Steps" not in pairs
    text = format_infotext(*prompts(job), pairs.items())
    assert parse_infotext(text).parameters["img2img Steps"] == "5"
    assert parse_infotext(text).prompt == "a castle x"
    assert parse_infotext(text).negative_prompt == "fog"
    assert all(KEY.fullmatch(key) for key in pairs)


# --- our JSON ------------------------------------------------------------------------------------------------


def chunk(job: JobSpec) -> dict[str, Any]:
    report = {
        "backend": {"name": "embedded", "version": "1.0", "stand_in": True},
        "stages": [{"name": "txt2img", "version": "1.0", "seconds": 0.5, "info": BASE}],
        "stablenew": "0.1.0",
    }
    text = stablenew_chunk(
        job, report, version="0.1.0", job_id="J", run_id="R", node="attic", attempt=2, image_sha256="ab" * 32
    )
    assert text.isascii()
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_chunk_holds_all_there_is_to_say() -> None:
    job = spec()
    assert chunk(job) == {
        "format": 1,
        "version": "0.1.0",
        "job_id": "J",
        "run_id": "R",
        "spec_sha256": job.sha256,
        "spec": job.to_json(),
        "template": "a castle <embedding:x>\nneg: fog",
        "choices": [],
        "node": "attic",
        "attempt": 2,
        "worker_version": "0.1.0",
        "backend": {"name": "embedded", "version": "1.0", "stand_in": True},
        "stages": [{"name": "txt2img", "version": "1.0", "seconds": 0.5}],
        "image_sha256": "ab" * 32,
    }


def test_the_job_comes_back_to_the_byte() -> None:
    job = spec()
    assert stored_spec(json.dumps(chunk(job)), "a.png") == job.canonical()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2, "version": "9.0"}, r"newer StableNew \(9\.0\)"),
        ({"spec_sha256": "0" * 64}, "was changed"),
        ({"spec": {}}, "cannot be read"),
        ({"format": None}, "cannot be read"),
    ],
)
def test_a_chunk_that_cannot_be_used(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=rf"a\.png.*{words}"):
        stored_spec(json.dumps({**chunk(spec()), **change}), "a.png")
    with pytest.raises(UserError, match="cannot be read"):
        stored_spec("parameters", "a.png")
