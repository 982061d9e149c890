"""Presets and profiles edited, and compared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_kernel.domain.editing import differences, edit_profile, edit_settings, new_preset
from stablenew_kernel.domain.jsontext import JsonFile, parse_object
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.presets import Layer, parse_settings

PLAIN = Resolver((), (), STAGES)

OLD = """\ufeff{
    "txt2img": {"model_name": "xl", "steps": 30,  "hires_steps": 4, "mine": [1,2]},
    "img2img": {},
    "adetailer": {"ad_model": "face"},
    "note": "kept",
    "pipeline": {"upscale_enabled" : true}
}\r
"""


def file_of(text: str) -> JsonFile:
    return parse_object("p.json", text.encode("utf-8"))


def edited(text: str, *sets: str, unset: tuple[str, ...] = ()) -> str:
    return edit_settings(file_of(text), sets, unset, PLAIN).data.decode("utf-8")


def test_no_edit_is_no_change() -> None:
    assert edited(OLD) == OLD
    assert edited(
        OLD, "txt2img.steps=30", "pipeline.upscale_enabled=yes", "txt2img.hires_steps=4"
    ) == OLD.replace('"hires_steps"', '"hr_second_pass_steps"')


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("txt2img.steps=31", '"steps": 30', '"steps": 31'),
        ("txt2img.model=b", '"model_name": "xl"', '"model": "b"'),
        ("txt2img.model_name=b", '"model_name": "xl"', '"model": "b"'),
        ("txt2img.cfg_scale=5", '"mine": [1,2]', '"mine": [1,2], "cfg_scale": 5.0'),
        ("txt2img.styles=a, b", '"mine": [1,2]', '"mine": [1,2], "styles": ["a", "b"]'),
        ("txt2img.tiling=yes", '"mine": [1,2]', '"mine": [1,2], "tiling": true'),
        ("txt2img.enable_hr=true", '"mine": [1,2]', '"mine": [1,2], "enable_hr": true'),
        ("txt2img.hr_second_pass_steps=5", '"hires_steps": 4', '"hr_second_pass_steps": 5'),
        ("txt2img.hires_steps=5", '"hires_steps": 4', '"hr_second_pass_steps": 5'),
        (
            "adetailer.enabled=yes",
            '"upscale_enabled" : true',
            '"upscale_enabled" : true, "adetailer_enabled" : true',
        ),
        (
            "pipeline.adetailer_enabled=0",
            '"upscale_enabled" : true',
            '"upscale_enabled" : true, "adetailer_enabled" : false',
        ),
        ("upscale.enabled=no", '"upscale_enabled" : true', '"upscale_enabled" : false'),
        ("img2img.seed=4", '"img2img": {}', '"img2img": {\n        "seed": 4\n    }'),
        (
            "pipeline.post_processors=frame",
            '"upscale_enabled" : true',
            '"upscale_enabled" : true, "post_processors" : ["frame"]',
        ),
        (
            "pipeline.apply_global_negative_txt2img=on",
            '"upscale_enabled" : true',
            '"upscale_enabled" : true, "apply_global_negative_txt2img" : true',
        ),
        (
            "film_grain.tone.red=7",
            '"upscale_enabled" : true}',
            '"upscale_enabled" : true},\n    "film_grain": {\n        "tone": {\n            "red": 7\n'
            "        }\n    }",
        ),
    ],
)
def test_only_what_is_named_changes(change: str, before: str, after: str) -> None:
    text = OLD.replace("\r\n", "\n")
    assert edited(text, change) == text.replace(before, after)


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ("txt2img.model", '"model_name": "xl", '),
        ("txt2img.hires_steps", ',  "hires_steps": 4'),
        ("txt2img.mine", ', "mine": [1,2]'),
        ("pipeline.upscale_enabled", '"upscale_enabled" : true'),
    ],
)
def test_unset_takes_out_every_name(key: str, before: str) -> None:
    assert edited(OLD, unset=(key,)) == OLD.replace(before, "")


@pytest.mark.parametrize(
    ("sets", "unsets", "message"),
    [
        (["txt2img.steps=0"], [], "--set txt2img.steps: '0' is out of range (1 to 150)"),
        (["txt2img.step=3"], [], "txt2img has no setting 'step'; did you mean steps"),
        (["crystal.x=3"], [], "there is no section 'crystal'"),
        (
            [],
            ["txt2img.stepps"],
            "p.json: txt2img.stepps is not set there, so it cannot be unset; did you mean txt2img.steps",
        ),
        ([], ["txt2img"], "txt2img is not set there"),
    ],
)
def test_a_wrong_edit_changes_nothing(sets: list[str], unsets: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        edit_settings(file_of(OLD), sets, unsets, PLAIN)
    assert message in str(error.value)


def test_an_edit_where_a_section_is_no_object_says_where() -> None:
    with pytest.raises(UserError, match=r"^p\.json, line 2, column 1: txt2img must be an object, not a list"):
        edited('{\n"txt2img": []}', "txt2img.steps=3")


def test_a_newer_sidecar_is_edited_where_its_settings_are() -> None:
    text = '{"pack_data": {"matrix": {"slots": []}}, "preset_data": {"txt2img": {"steps": 3}}}'
    assert edited(text, "txt2img.steps=4") == text.replace("3}", "4}")
    assert edited(text, unset=("txt2img.steps",)) == text.replace('"steps": 3', "")


names = st.sampled_from(["steps=9", "model=x", "cfg_scale=3", "width=640"])


@given(st.dictionaries(st.sampled_from(["steps", "model_name", "x", "width"]), st.integers(64, 128)), names)
def test_an_edited_preset_resolves_as_set_would(own: dict[str, int], change: str) -> None:
    values: Any = {"txt2img": {**own, "model_name": "a", "width": 64}}
    file = edit_settings(file_of(json.dumps(values)), [f"txt2img.{change}"], (), PLAIN)
    saved = Resolver([Layer("p", file.value)], (), STAGES).resolve()
    asked = Resolver([Layer("p", values)], [f"txt2img.{change}"], STAGES).resolve()
    assert saved.stages == asked.stages


def test_a_preset_from_the_settings_of_a_run() -> None:
    sections = {"txt2img": {"steps": 3}, "pipeline": {"upscale_enabled": False}}
    file = new_preset("p.json", sections)
    assert file.value == sections
    assert file.text.startswith('{\n  "txt2img": {\n    "steps": 3\n  },\n')


# --- profiles ------------------------------------------------------------------------------------------------


def test_a_profile_is_edited_by_its_own_names_and_by_sections() -> None:
    file = file_of('{\n  "kind": "lora",\n  "mine": 1\n}\n')
    changed = edit_profile(
        file,
        ["weight=0.8", "trigger_words=a b, c", "add_trigger_words=yes", "txt2img.steps=3"],
        ["mine"],
        PLAIN,
    )
    assert changed.value == {
        "kind": "lora",
        "weight": 0.8,
        "trigger_words": ["a b", "c"],
        "add_trigger_words": True,
        "txt2img": {"steps": 3},
    }
    assert edit_profile(file, ["description=12"], [], PLAIN).value["description"] == "12"


@pytest.mark.parametrize(
    ("sets", "unsets", "message"),
    [
        (["weigth=1"], [], "--set weigth=1: write NAME=VALUE or SECTION.FIELD=VALUE; did you mean weight"),
        (["weight=99"], [], "--set weight: 99 is out of range (-10 to 10)"),
        (["kind=vae"], [], "--set kind: 'vae' is not one of 'model' or 'lora'"),
        (["weight"], [], "write NAME=VALUE"),
        ([], ["weight"], "weight is not set there"),
    ],
)
def test_a_wrong_edit_of_a_profile(sets: list[str], unsets: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        edit_profile(file_of('{"weigh": 1}'), sets, unsets, PLAIN)
    assert message in str(error.value)


# --- differences ---------------------------------------------------------------------------------------------


def differing(left: Any, right: Any) -> tuple[dict[str, tuple[Any, Any]], int]:
    found, equal = differences(Layer("left", left), Layer("right", right), PLAIN.known)
    return {one.name: (one.left, one.right) for one in found}, equal


def test_differences_are_of_settings_not_of_spelling() -> None:
    left = {
        "txt2img": {"model_name": "a", "steps": 7, "cfg_scale": 7},
        "upscale": {"enabled": True},
        "note": "x",
    }
    right = {"txt2img": {"model": "a", "steps": 8, "cfg_scale": 7.0}, "pipeline": {"upscale_enabled": True}}
    assert differing(left, right) == ({"txt2img.steps": (7, 8)}, 3)


def test_differences_go_into_objects_and_know_true_from_1() -> None:
    left = {"film_grain": {"tone": {"red": 1, "green": 2}}, "api": {"x": True}}
    right = {"film_grain": {"tone": {"red": 3, "green": 2}}, "api": {"x": 1}, "new": {"y": []}}
    assert differing(left, right) == (
        {"film_grain.tone.red": (1, 3), "api.x": (True, 1), "new.y": (None, [])},
        1,
    )


@given(
    st.dictionaries(st.sampled_from(["txt2img", "api"]), st.dictionaries(st.text(max_size=2), st.integers()))
)
def test_nothing_differs_from_itself(values: dict[str, Any]) -> None:
    assert differing(values, json.loads(json.dumps(values)))[0] == {}


def test_a_diff_of_what_is_no_preset_says_where() -> None:
    broken = parse_settings("b.json", b'{\n "txt2img": 3}')
    with pytest.raises(
        UserError, match=r"^preset b\.json, line 2, column 2: section txt2img must be an object"
    ):
        differences(Layer("preset b.json", broken), Layer("c", {}), PLAIN.known)
