"""Prompts of the real stage adetailer through the whole plan: picks, global negative, several units, needs."""

from __future__ import annotations

from random import Random
from typing import Any

from stablenew_api.jobs import JobSpec
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import GlobalNegative
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_plugins.randomizers import stablenew_randomizers
from stablenew_plugins.stages import ADetailer, stablenew_stages
from stablenew_plugins.stages.common import PlainTexts

BUILT_IN = {stage.name: stage for stage in stablenew_stages()}
STRATEGIES = {strategy.name: strategy for strategy in stablenew_randomizers()}


def job(*sets: str, text: str = "a {red|blue} fox\nneg: fog\n", **sections: Any) -> JobSpec:
    request = PlanRequest(
        parse_pack("p.txt", text.encode()),
        preset=sections,
        preset_name="p.json",
        sets=("adetailer.enabled=true", *sets),
        global_negative=GlobalNegative("worst", "global_negative.txt"),
    )
    return plan_run(request, BUILT_IN, rng=Random(3), randomizers=STRATEGIES).jobs[0].spec


def units(spec: JobSpec) -> list[tuple[str, str]]:
    stage = next(stage for stage in spec.stages if stage.name == "adetailer")
    config = ADetailer.Config.model_validate(stage.config)
    made = config.all_units(PlainTexts(stage.prompt, stage.negative_prompt))  # type: ignore[attr-defined]
    return [(unit.prompt, unit.negative_prompt) for unit in made]


def test_the_detailer_draws_what_txt2img_drew() -> None:
    spec = job()
    drawn = spec.stages[0].prompt
    assert drawn in ("a red fox", "a blue fox")
    assert units(spec) == [(drawn, "fog")]
    assert (spec.stages[1].prompt, spec.stages[1].negative_prompt) == (drawn, "fog")


def test_the_global_negative_reaches_every_unit_and_every_find() -> None:
    section = {
        "ad_negative_prompt": "[PROMPT], mud [SEP] ash",
        "units": [{"ad_model": "hand_yolov8n.pt", "ad_prompt": "a {left|left} hand [SEP] [PROMPT]"}],
    }
    spec = job("pipeline.apply_global_negative_adetailer=true", adetailer=section)
    drawn = spec.stages[0].prompt
    assert units(spec) == [
        (drawn, "fog, mud, worst [SEP] ash, worst"),
        (f"a left hand [SEP] {drawn}", "fog, worst"),
    ]
    assert spec.stages[0].negative_prompt == "fog", "asked for adetailer alone"
    assert "[[" not in spec.stages[1].prompt


def test_what_the_chain_needs_is_the_union() -> None:
    spec = job("txt2img.enable_hr=true", "txt2img.hr_upscaler=ESRGAN", "sharpen.enabled=true")
    assert spec.needs.features == {"txt2img", "hires", "detailing"}
    assert spec.needs.names == {"samplers:DPM++ 2M", "hires_upscalers:ESRGAN", "detectors:face_yolov8n.pt"}
    own = job("adetailer.detector=own")
    assert own.needs.features == {"txt2img", "img2img", "inpaint", "detector"}
    assert job("adetailer.detector=extension").needs.features == {"txt2img", "detail"}
