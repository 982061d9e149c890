"""The demo pack and the shipped presets plan without a warning, with the built-in stages alone."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from stablenew_kernel.domain.naming import parse_pattern
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run
from stablenew_kernel.domain.presets import parse_settings
from stablenew_plugins.stages import stablenew_stages

ROOT = Path(__file__).resolve().parents[3]
STAGES = {stage.name: stage for stage in stablenew_stages()}
PRESETS = sorted((ROOT / "presets").glob("*.json"))


def demo(preset: Path | None = None) -> Plan:
    return plan_run(
        PlanRequest(
            parse_pack("demo.txt", (ROOT / "packs/demo.txt").read_bytes()),
            preset=parse_settings(preset.name, preset.read_bytes()) if preset else None,
            preset_name=preset.name if preset else "",
            sidecar=parse_settings("demo.json", (ROOT / "packs/demo.json").read_bytes()),
            sidecar_name="demo.json",
        ),
        STAGES,
        rng=Random(1),
    )


def test_the_demo() -> None:
    plan = demo()
    assert (plan.name, plan.line, plan.warnings) == ("demo", "6 rows = 6 images", ())
    for job in plan.jobs:
        assert [stage.name for stage in job.spec.stages] == [
            "txt2img",
            "img2img",
            "upscale",
            "sharpen",
            "frame",
        ]
        assert job.spec.stages[0].negative_prompt
        assert "fine detail" in job.spec.stages[1].prompt
    assert plan.jobs[3].spec.stages[0].negative_prompt == "dark frost, text"
    assert plan.jobs[5].spec.stages[0].prompt.endswith("reflection, one red balloon, crisp and quiet")


def test_there_are_presets() -> None:
    assert {path.stem for path in PRESETS} >= {"quick", "full", "everything"}


def test_the_demo_of_dev_py_runs_everything() -> None:
    job = demo(ROOT / "presets/everything.json").jobs[0].spec
    assert [stage.name for stage in job.stages] == [
        "txt2img",
        "img2img",
        "adetailer",
        "upscale",
        "sharpen",
        "frame",
    ]
    assert job.needs.features == {"txt2img", "hires", "img2img", "detailing", "upscale"}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset(preset: Path) -> None:
    settings = parse_settings(preset.name, preset.read_bytes())
    plan = plan_run(
        PlanRequest(parse_pack("p.txt", b"a\n\nb"), preset=settings, preset_name=preset.name),
        STAGES,
        rng=Random(1),
    )
    assert plan.warnings == ()
    assert len(plan.jobs) == 2 * settings["pipeline"]["images_per_prompt"]
    if plan.filename_pattern:
        parse_pattern(plan.filename_pattern)
    assert demo(preset).warnings == ()
