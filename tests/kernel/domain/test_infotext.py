"""What is said about an image, in which order; and the JSON that a job is replayed from."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_api.infotext import KEY, format_infotext, parse_infotext
from stablenew_api.jobs import JobSpec
from stablenew_kernel.domain.infotext import (
    KEY_ORDER,
    describe,
    prompts,
    stablenew_chunk,
    stored_spec,
)
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run

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
        "stages": [{"name": "txt2img", "version": "1.0", "seconds": 0.5, "node": "attic"}],
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
