"""What is said about an image, in which order; and the JSON that a job is replayed from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
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


FULL_TEXT = """
Steps, Sampler, Schedule type, CFG scale, Image CFG scale, Seed, Face restoration, Size, Model hash,
Model, VAE hash, VAE, Variation seed, Variation seed strength, Denoising strength, Clip skip, RNG,
Styles, Hires checkpoint, Hires sampler, Hires schedule type, Hires upscale, Hires steps, Hires
upscaler, Refiner, Refiner switch at, ADetailer model, ADetailer prompt, ADetailer confidence,
ADetailer mask blur, ADetailer new thing, ADetailer model 2nd, ADetailer confidence 2nd, ADetailer
model 3rd, Lora hashes, TI hashes, Mood, Another, StableNew stages, StableNew backend, StableNew
node, StableNew job, StableNew pack, StableNew template, Version, Hashes
"""
FULL = " ".join(FULL_TEXT.split()).split(", ")


@given(st.permutations([key for key in FULL if not key.startswith(("StableNew", "Version", "Hashes"))]))
def test_the_whole_order_whatever_order_the_backend_tells_it_in(told: list[str]) -> None:
    values = {"Model hash": "6ce0161689", "VAE hash": "735e4c3a44", "Clip skip": 2}
    info = {key: values.get(key, f"{key.lower()}") for key in told}
    info |= {"Lora hashes": {"ink": "0123456789ab"}, "TI hashes": "easy: fedcba987654"}
    keys = [key for key, _ in described(spec(), [{"name": "txt2img", "info": info}])]
    unknown = [key for key in told if key in ("Mood", "Another")]
    at = FULL.index("Mood")
    assert keys == [*FULL[:at], *unknown, *FULL[at + 2 :]]


def test_hashes_are_told_as_civitai_reads_them() -> None:
    """Its expressions, from automatic.metadata.ts; what follows the last bracket would be lost."""
    info = {
        **BASE,
        "Model hash": "6ce0161689",
        "VAE hash": "735e4c3a44",
        "Lora hashes": {"ink": "0123456789ab", 'no"quote': "0123456789ab", "a}b": "0123456789ab"},
        "TI hashes": "easy: fedcba987654",
        "Civitai resources": [{"type": "checkpoint", "modelVersionId": 7}, {"type": "lora", "weight": 0.4}],
    }
    pairs = described(spec(), [{"name": "txt2img", "info": info}])
    line = format_infotext("p", "", pairs).splitlines()[-1]
    found = re.search(r", Hashes:\s*({[^}]+})", line)
    assert found is not None
    assert json.loads(found[1]) == {
        "model": "6ce0161689",
        "vae": "735e4c3a44",
        "lora:ink": "0123456789ab",
        "embed:easy": "fedcba987654",
    }
    resources = re.search(r", Civitai resources:\s*(\[\{.*?\}\])", line)
    assert resources is not None
    assert json.loads(resources[1]) == info["Civitai resources"]
    assert line.startswith("Steps: ")
    assert "ink: 0123456789ab" in dict(parse_infotext(f"p\n{line}").pairs)["Lora hashes"]


def test_no_hash_is_made_up() -> None:
    assert "Hashes" not in dict(described(spec(), [{"name": "txt2img", "info": {"Model hash": "unknown"}}]))


def asked(**config: Any) -> dict[str, Any]:
    stage = spec().stages[0]
    job = JobSpec((replace(stage, config={**stage.config, **config}),))
    return dict(describe(job, {}, version="0.1.0", job_id="J", node="attic"))


def test_what_was_asked_of_passes_is_told_where_the_backend_says_nothing() -> None:
    hires = {
        "enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "hr_sampler_name": "Use same sampler",
        "hr_second_pass_steps": 0, "denoising_strength": 0.4,
    }  # fmt: skip
    pairs = asked(**hires)
    assert {key: value for key, value in pairs.items() if key.startswith(("Hires", "Denoising"))} == {
        "Denoising strength": 0.4,
        "Hires upscale": 1.5,
        "Hires upscaler": "Latent",
    }
    fixed = asked(**hires, hr_resize_x=800, hr_resize_y=600)
    assert fixed["Hires resize"] == "800x600"
    assert "Hires upscale" not in fixed
    assert asked(**hires, hr_resize_x=800)["Hires resize"] == "800x0"
    off = asked(**{**hires, "enable_hr": False}, subseed=4, subseed_strength=0, refiner_checkpoint="None")
    assert not [key for key in off if key.startswith(("Hires", "Denoising", "Variation", "Refiner"))]
    more = asked(
        subseed=4, subseed_strength=0.2, refiner_checkpoint="r", refiner_switch_at=0.8, styles=["a", "b"],
        face_restoration_enabled=True, face_restoration_model="GFPGAN", vae="Automatic",
    )  # fmt: skip
    assert (more["Variation seed"], more["Variation seed strength"]) == (4, 0.2)
    assert (more["Refiner"], more["Refiner switch at"]) == ("r", 0.8)
    assert (more["Styles"], more["Face restoration"]) == ("a, b", "GFPGAN")
    assert "VAE" not in more


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
