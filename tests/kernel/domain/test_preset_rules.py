"""Presets, sidecars and --set: reading, overlaying without changing anything, types and plain errors."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_api.stage import Phase, Stage
from stablenew_kernel.domain.pipeline import Pipeline, resolve_pipeline, sequence
from stablenew_kernel.domain.presets import Layer, overlay, parse_set, parse_settings

scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
keys = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)
sections = st.dictionaries(keys, trees, max_size=3)


def _spoil(value: Any) -> None:
    """Change everything that can be changed."""
    if isinstance(value, dict):
        for inner in value.values():
            _spoil(inner)
        value["spoilt"] = True
    elif isinstance(value, list):
        for inner in value:
            _spoil(inner)
        value.append("spoilt")


@given(sections, st.lists(sections, max_size=3))
@A_THIRD
def test_overlay_changes_nothing_and_shares_nothing(base: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    before = copy.deepcopy((base, layers))
    result = overlay(base, *layers)
    assert (base, layers) == before
    _spoil(result)
    assert (base, layers) == before


@given(sections, sections)
@A_THIRD
def test_overlay_is_key_by_key(base: dict[str, Any], layer: dict[str, Any]) -> None:
    result = overlay(base, layer)
    assert set(result) == set(base) | set(layer)
    for key, value in result.items():
        low, high = base.get(key), layer.get(key)
        if key not in layer:
            assert value == low
        elif isinstance(low, dict) and isinstance(high, dict):
            assert value == overlay(low, high)
        else:
            assert value == high


@given(sections)
@settings(max_examples=50, deadline=None)
def test_settings_written_are_settings_read(values: dict[str, Any]) -> None:
    assert parse_settings("p.json", json.dumps(values).encode("utf-8")) == values
    newer = json.dumps({"pack_data": {"name": "x"}, "preset_data": values}).encode("utf-8")
    assert parse_settings("p.json", b"\xef\xbb\xbf" + newer) == values


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{\n "a": 1,\n "b" 2\n}', ["p.json, line 3, column 6"]),
        (b"", ["line 1, column 1"]),
        (b"[1]", ["not a list"]),
        (b'{"preset_data": 3}', ["preset_data", "not a number"]),
        (b'{"a": NaN}', ["NaN is no JSON number"]),
        (b'{\n"a": "\xe9"}', ["line 2", "UTF-8"]),
        (b"[" * 200_000, ["nested too deeply"]),
        (b'{"a": ' + b"9" * 5000 + b"}", ["p.json"]),
    ],
)
def test_bad_json_says_where(data: bytes, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse_settings("p.json", data)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("text", ["", "txt2img", "txt2img.steps", "steps=3", ".steps=3", "txt2img.=3", "=3"])
def test_set_of_another_form(text: str) -> None:
    with pytest.raises(UserError, match=r"SECTION\.FIELD=VALUE"):
        parse_set(text)


# --- pipeline ------------------------------------------------------------------------------------------------


def resolved(*sets: str, **layers: dict[str, Any]) -> Pipeline:
    return resolve_pipeline([Layer(name, values) for name, values in layers.items()], sets, STAGES)


def config(pipeline: Pipeline, stage: str) -> Any:
    return next(planned.config for planned in pipeline.stages if planned.stage.name == stage)


def names(pipeline: Pipeline) -> list[str]:
    return [planned.stage.name for planned in pipeline.stages]


def test_without_anything_it_is_txt2img_alone() -> None:
    pipeline = resolved()
    assert names(pipeline) == ["txt2img"]
    assert (pipeline.images_per_row, pipeline.seed, pipeline.warnings) == (1, -1, ())


def test_precedence_default_preset_sidecar_set() -> None:
    preset = {"txt2img": {"steps": 30, "width": 768, "cfg_scale": 5}}
    sidecar = {"txt2img": {"steps": 40, "width": 640}}
    made = config(resolved("txt2img.steps=50", preset=preset, sidecar=sidecar), "txt2img")
    assert (made.steps, made.width, made.cfg_scale, made.height) == (50, 640, 5, 512)


def test_an_old_name_in_a_high_layer_wins_over_a_new_name_below() -> None:
    low, high = {"txt2img": {"model": "low"}}, {"txt2img": {"model_name": "high"}}
    assert config(resolved(low=low, high=high), "txt2img").model == "high"
    assert config(resolved(low=high, high=low), "txt2img").model == "low"
    assert config(resolved("txt2img.model_name=top", low=low, high=high), "txt2img").model == "top"
    both = {"txt2img": {"model_name": "old", "model": "new"}}
    assert config(resolved(low=both), "txt2img").model == "new"
    assert resolved(low=both).warnings == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"pipeline": {"img2img_enabled": True}}, ["txt2img", "img2img"]),
        ({"img2img": {"enabled": True}}, ["txt2img", "img2img"]),
        ({"img2img": {"img2img_enabled": True}}, ["txt2img", "img2img"]),
        ({"img2img": {"steps": 5}}, ["txt2img"]),
        ({"pipeline": {"img2img_enabled": False}, "img2img": {"enabled": True}}, ["txt2img"]),
        ({"pipeline": {"upscale_enabled": True, "img2img_enabled": True}}, ["txt2img", "img2img", "upscale"]),
        ({"pipeline": {"post_processors": ["frame", "film_grain"]}}, ["txt2img", "frame", "film_grain"]),
        ({"film_grain": {"enabled": True}, "frame": {"enabled": True}}, ["txt2img", "film_grain", "frame"]),
        ({"pipeline": {"post_processors": ["frame"], "frame_enabled": False}}, ["txt2img"]),
        ({"paint": {"enabled": True}}, ["paint"]),
        ({"pipeline": {"video_enabled": False, "adetailer_enabled": False}}, ["txt2img"]),
        ({"aesthetic": {"enabled": True}}, ["txt2img"]),
    ],
)
def test_which_stages_run(values: dict[str, Any], expected: list[str]) -> None:
    assert names(resolved(preset=values)) == expected


def test_the_highest_layer_that_speaks_decides() -> None:
    preset = {"pipeline": {"upscale_enabled": True, "frame_enabled": True}}
    sidecar = {"upscale": {"enabled": False}}
    assert names(resolved(preset=preset, sidecar=sidecar)) == ["txt2img", "frame"]
    assert names(resolved("upscale.enabled=yes", preset=preset, sidecar=sidecar)) == [
        "txt2img",
        "upscale",
        "frame",
    ]
    assert names(resolved("pipeline.frame_enabled=off", preset=preset, sidecar=sidecar)) == ["txt2img"]


@pytest.mark.parametrize(
    ("layers", "sets", "message"),
    [
        ({}, ["txt2img.steps=abc"], "--set txt2img.steps: 'abc' is not a whole number (1 to 150)"),
        ({}, ["txt2img.steps=0"], "--set txt2img.steps: '0' is out of range (1 to 150)"),
        ({}, ["txt2img.steps=2.5"], "--set txt2img.steps: '2.5' is not a whole number (1 to 150)"),
        ({}, ["txt2img.cfg_scale=x"], "--set txt2img.cfg_scale: 'x' is not a number (1 to 30)"),
        ({}, ["txt2img.cfg_scale=nan"], "--set txt2img.cfg_scale: 'nan' is out of range (1 to 30)"),
        ({}, ["txt2img.width=65"], "--set txt2img.width: '65' is not a multiple of 8 (64 to 4096)"),
        ({}, ["txt2img.tiling=maybe"], "--set txt2img.tiling: 'maybe' is not true or false"),
        ({}, ["txt2img.batch_count=0"], "--set txt2img.batch_count: '0' is out of range (1 to 10000)"),
        ({}, ["txt2img.seed=-2"], f"--set txt2img.seed: '-2' is out of range (-1 to {2**64 - 1})"),
        ({}, ["upscale.mode=double"], "--set upscale.mode: 'double' is not one of 'single' or 'img2img'"),
        ({}, ["upscale.scale=0"], "--set upscale.scale: '0' is out of range (more than 0, at most 8)"),
        ({}, ["img2img.steps=abc"], "--set img2img.steps: 'abc' is not a whole number (1 to 150)"),
        ({}, ["img2img.enabled=perhaps"], "--set img2img.enabled: 'perhaps' is not true or false"),
        ({}, ["txt2img.step=3"], "--set txt2img.step: txt2img has no setting 'step'; did you mean steps"),
        (
            {},
            ["txt2imgs.steps=3"],
            "--set txt2imgs.steps: there is no section 'txt2imgs'; did you mean txt2img",
        ),
        ({}, ["zzz.steps=3"], "there is no section 'zzz'; known: border, film_grain, frame,"),
        ({}, ["txt2img.steps.low=3"], "--set txt2img.steps.low: steps holds one value, nothing below it"),
        (
            {},
            ["pipeline.upscal_enabled=false"],
            "pipeline has no setting 'upscal_enabled'; did you mean upscale_en",
        ),
        (
            {},
            ["pipeline.images_per_prompt=0"],
            "--set pipeline.images_per_prompt: '0' is out of range (1 to 100000)",
        ),
        ({}, ["film_grain.tone.red=300"], "--set film_grain.tone.red: 300 is out of range (0 to 255)"),
        (
            {"preset a.json": {"txt2img": {"steps": "x"}}},
            [],
            "preset a.json: txt2img.steps: 'x' is not a whole num",
        ),
        (
            {"preset a.json": {"txt2img": {"steps": [1]}}},
            [],
            "preset a.json: txt2img.steps: [1] is not a whole num",
        ),
        ({"preset a.json": {"txt2img": 3}}, [], "preset a.json: section txt2img must be an object"),
        (
            {"preset a.json": {"pipeline": {"frame_enabled": 2}}},
            [],
            "preset a.json: pipeline.frame_enabled: 2 is not",
        ),
        (
            {"preset full.json": {"pipeline": {"adetailer_enabled": True}}},
            [],
            "preset full.json enables stage 'adetailer', which no plugin provides; known: border, film_grain",
        ),
        ({}, ["video.enabled=true"], "there is no section 'video'"),
        ({"p": {"pipeline": {"post_processors": ["upscale"]}}}, [], "upscale is no post-processor"),
        ({"p": {"pipeline": {"txt2img_enabled": False}}}, [], "no stage is enabled"),
        (
            {"p": {"pipeline": {"txt2img_enabled": False, "upscale_enabled": True}}},
            [],
            "stage upscale needs an image, and no stage before it makes one; enable one of: paint, txt2img",
        ),
        ({}, ["paint.enabled=1", "txt2img.enabled=1"], "stages paint and txt2img do the same work (GENERATE)"),
        ({}, ["border.enabled=1"], "stage border cannot follow txt2img (GENERATE): it may follow ENLARGE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(layers: dict[str, Any], sets: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        resolve_pipeline([Layer(name, values) for name, values in layers.items()], sets, STAGES)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_stage_can_be_turned_off_from_the_command_line() -> None:
    preset = {"pipeline": {"adetailer_enabled": True}}
    assert names(resolved("pipeline.adetailer_enabled=false", preset=preset)) == ["txt2img"]


def test_values_of_every_type() -> None:
    pipeline = resolved(
        "txt2img.steps=33",
        "txt2img.cfg_scale=6.5",
        "txt2img.tiling=yes",
        "txt2img.styles=a, b",
        "txt2img.model=123",
        "film_grain.enabled=true",
        "film_grain.tone.red=7",
        'film_grain.tone={"green": 9}',
        "film_grain.limit=none",
        "upscale.enabled=true",
        "upscale.mode=img2img",
        "pipeline.images_per_prompt=3",
        "pipeline.filename_pattern={seed}=x",
    )
    made = config(pipeline, "txt2img")
    assert (made.steps, made.cfg_scale, made.tiling, made.styles, made.model) == (
        33,
        6.5,
        True,
        ("a", "b"),
        "123",
    )
    grain = config(pipeline, "film_grain")
    assert (grain.tone.red, grain.tone.green, grain.limit) == (7, 9, None)
    assert config(pipeline, "upscale").mode == "img2img"
    assert (pipeline.images_per_row, pipeline.filename_pattern) == (3, "{seed}=x")


def test_the_last_set_wins() -> None:
    assert config(resolved("txt2img.steps=3", "txt2img.steps=4"), "txt2img").steps == 4


def test_batch_and_images_per_prompt_multiply() -> None:
    preset = {"pipeline": {"images_per_prompt": 2}, "txt2img": {"batch_size": 3, "n_iter": 4}}
    assert resolved(preset=preset).images_per_row == 24


def test_null_in_a_file_means_not_set() -> None:
    assert config(resolved(preset={"txt2img": {"steps": None, "model": None}}), "txt2img").steps == 20


def test_what_is_ignored_is_said_unless_it_asked_for_nothing() -> None:
    preset = {
        "txt2img": {
            "tiling": False,
            "restore_faces": False,
            "hypernetwork": "None",
        },
        "upscale": {"odd": 1},
        "pipeline": {
            "loop_type": "single",
            "pack_mode": "all",
            "output_dir": "",
            "upscale_enabled": False,
            "model_matrix": [],
        },
        "api": {"base_url": "x"},
        "crystal": {"size": 1},
        "comment": "mine",
        "randomization": {"enabled": True, "matrix": {"enabled": True}},
    }
    warnings = resolved("upscale.scale=3", **{"preset p.json": preset}).warnings
    assert warnings == (
        "preset p.json: no stage does this yet, ignored: pipeline.loop_type, pipeline.pack_mode",
        "preset p.json: section 'crystal' belongs to no stage; ignored",
        "--set upscale.scale: no effect, upscale is not enabled; add --set upscale.enabled=true",
    )


@pytest.mark.parametrize(
    ("sets", "warnings"),
    [
        (
            ["txt2img.hires_steps=9"],
            ["--set txt2img.hr_second_pass_steps has no effect, as txt2img.enable_hr is off"],
        ),
        (["txt2img.hires_steps=9", "txt2img.enable_hr=true"], []),
        (["txt2img.hires_steps=0"], []),  # asks for nothing
        (
            ["upscale.enabled=true", "upscale.steps=9"],
            ["--set upscale.steps has no effect, as upscale.mode is not img2img"],
        ),
        (["upscale.enabled=true", "upscale.steps=9", "upscale.mode=img2img"], []),
    ],
)
def test_a_set_that_another_setting_makes_vain_is_told(sets: list[str], warnings: list[str]) -> None:
    assert list(resolved(*sets).warnings) == warnings
    file = {"preset p.json": {"txt2img": {"hires_steps": 9}, "upscale": {"steps": 9}}}
    assert resolved(**file).warnings == (), "files are full of settings that are off"


def test_leftovers_of_a_stage_that_does_not_run_do_no_harm() -> None:
    assert names(resolved(preset={"upscale": {"scale": "huge"}})) == ["txt2img"]


@given(st.sets(st.sampled_from(sorted(STAGES)), min_size=1), st.permutations(["film_grain", "frame"]))
@settings(max_examples=100, deadline=None)
def test_every_sequence_keeps_the_rules(enabled: set[str], order: list[str]) -> None:
    """Whatever is enabled: a refusal, or an order in which every stage may follow the one before it."""
    try:
        made = sequence(STAGES, enabled, order)
    except UserError:
        phases = sorted(STAGES[name].phase for name in enabled)
        one_each = len({p for p in phases if p is not Phase.POST}) == len(
            [p for p in phases if p is not Phase.POST]
        )
        assert phases[0] is not Phase.GENERATE or not one_each or "border" in enabled
        return
    assert set(made) == enabled
    stages: list[type[Stage]] = [STAGES[name] for name in made]
    assert stages[0].phase is Phase.GENERATE
    for before, after in pairwise(stages):
        assert before.phase < after.phase or before.phase is after.phase is Phase.POST
        assert after.may_follow is None or before.phase in after.may_follow
    chosen = [name for name in made if name in order]
    assert chosen == [name for name in order if name in enabled]
