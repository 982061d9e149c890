"""Which layer wins, what is said of it, and that the plan and its explanation are one resolution."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_kernel.domain.layers import Setting
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import GlobalNegative, Resolver, used_settings
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run, resolver_of
from stablenew_kernel.domain.presets import Layer, parse_settings
from stablenew_kernel.domain.profiles import Profiles, parse_profile

PACK = parse_pack("demo.txt", b"red\n\ngreen\nneg: blue\n")


def profile(name: str, **content: Any) -> Any:
    return parse_profile(f"{name}.profile.json", json.dumps(content).encode())


def resolver(*sets: str, **layers: Any) -> Resolver:
    return Resolver([Layer(name, values) for name, values in layers.items()], sets, STAGES)


def explained(made: Resolver, overrides: Mapping[str, Any] | None = None) -> dict[str, Setting]:
    return {setting.name: setting for setting in made.explain(overrides)}


# --- precedence ----------------------------------------------------------------------------------------------


def test_every_layer_in_its_order() -> None:
    """Each value is given by all layers up to one, so each layer is the winner of exactly one setting."""
    names = ["width", "steps", "cfg_scale", "height", "sampler_name", "batch_size"]
    profiles = Profiles((profile("xl", txt2img={"width": 64, "steps": 1, "cfg_scale": 1, "height": 64}),))
    low: dict[str, Any] = {"steps": 2, "cfg_scale": 2, "height": 128, "sampler_name": "preset"}
    request = PlanRequest(
        PACK,
        preset={"txt2img": {"model": "xl", **low}},
        preset_name="p.json",
        sidecar={"txt2img": {"cfg_scale": 3, "height": 192, "sampler_name": "sidecar"}},
        sidecar_name="demo.json",
        last_run={"txt2img": {"height": 256, "sampler_name": "last"}},
        sets=["txt2img.sampler_name=set"],
        profiles=profiles,
    )
    found = explained(resolver_of(request, STAGES))
    winners = {name: (found[f"txt2img.{name}"].value, found[f"txt2img.{name}"].source) for name in names}
    assert winners == {
        "width": (64, "profile xl.profile.json"),
        "steps": (2, "preset p.json"),
        "cfg_scale": (3.0, "sidecar demo.json"),
        "height": (256, "last run"),
        "sampler_name": ("set", "--set"),
        "batch_size": (1, "default"),
    }
    assert found["txt2img.height"].below == (
        ("sidecar demo.json", 192),
        ("preset p.json", 128),
        ("profile xl.profile.json", 64),
        ("default", 512),
    )
    over = explained(resolver_of(request, STAGES), {"txt2img.sampler_name": "axis"})
    assert (over["txt2img.sampler_name"].value, over["txt2img.sampler_name"].source) == ("axis", "axis")
    assert over["txt2img.sampler_name"].below[0] == ("--set", "set")


def test_a_setting_tells_its_place_under_whatever_name() -> None:
    preset = parse_settings(
        "p.json", b'{\n "txt2img": {\n  "model_name": "a",\n  "steps": 9},\n "frame": {"enabled": true}}'
    )
    found = explained(resolver(p=preset))
    assert (found["txt2img.model"].place, found["txt2img.model"].title) == ("line 3, column 3", "Model")
    assert found["txt2img.steps"].place == "line 4, column 3"
    assert found["pipeline.frame_enabled"].place == "line 5, column 12"
    assert found["txt2img.width"].place == ""


def test_sections_of_the_newer_sidecar_have_places() -> None:
    sidecar = parse_settings("d.json", b'{"pack_data": {},\n"preset_data": {"txt2img":\n{"steps": 5000}}}')
    with pytest.raises(
        UserError, match=r"^sidecar d\.json, line 3, column 2: txt2img\.steps: 5000 is out of range"
    ):
        Resolver([Layer("sidecar d.json", sidecar)], (), STAGES).resolve()


def test_settings_without_effect_are_explained_too() -> None:
    found = explained(
        resolver(
            p={"upscale": {"scale": 3}, "adetailer": {"conf": 0.3}, "crystal": {"x": 1}, "txt2img": {"odd": 1}}
        )
    )
    unused = {name: setting.value for name, setting in found.items() if not setting.used}
    assert unused == {
        "upscale.scale": 3,
        "adetailer.conf": 0.3,
        "crystal.x": 1,
        "txt2img.odd": 1,
    }


# --- one resolution ------------------------------------------------------------------------------------------

sections = st.fixed_dictionaries(
    {},
    optional={
        "txt2img": st.fixed_dictionaries(
            {},
            optional={
                "model_name": st.sampled_from(["", "xl", "other"]),
                "model": st.sampled_from(["", "sd/XL.safetensors", None]),
                "steps": st.integers(1, 150) | st.none(),
                "cfg_scale": st.floats(1, 30) | st.integers(1, 30),
                "batch_size": st.integers(1, 3),
                "seed": st.integers(-1, 9),
                "styles": st.lists(st.text(max_size=2), max_size=2),
                "enable_hr": st.booleans(),
                "nonsense": st.integers(),
            },
        ),
        "img2img": st.fixed_dictionaries(
            {}, optional={"enabled": st.booleans(), "steps": st.integers(1, 9), "seed": st.integers(-1, 9)}
        ),
        "film_grain": st.fixed_dictionaries(
            {"film_grain_enabled": st.booleans()},
            optional={"tone": st.dictionaries(st.sampled_from(["red", "green"]), st.integers(0, 255))},
        ),
        "pipeline": st.fixed_dictionaries(
            {},
            optional={
                "images_per_prompt": st.integers(1, 3),
                "upscale_enabled": st.booleans(),
                "apply_global_negative_txt2img": st.booleans(),
                "post_processors": st.sampled_from(["", "frame", "frame film_grain"]).map(str.split),
            },
        ),
        "description": st.text(max_size=3),
    },
)
PROFILES = Profiles(
    (profile("xl", txt2img={"steps": 3, "cfg_scale": 2.5, "width": 640}, img2img={"steps": 4}),)
)


@A_THIRD
@given(
    sections,
    sections,
    st.none() | sections,
    st.lists(st.sampled_from(["txt2img.steps=7", "img2img.enabled=yes", "film_grain.tone.red=9"]), max_size=2),
)
def test_the_explanation_is_what_the_jobs_carry(
    preset: dict[str, Any], sidecar: dict[str, Any], last: dict[str, Any] | None, sets: list[str]
) -> None:
    """And nothing that goes in is changed, whatever lies over it."""
    before = copy.deepcopy((preset, sidecar, last, sets))
    request = PlanRequest(
        PACK,
        preset=preset,
        sidecar=sidecar,
        last_run=last,
        sets=sets,
        profiles=PROFILES,
        global_negative=GlobalNegative("bad"),
    )
    plan = plan_run(request, STAGES, rng=Random(1))
    made = resolver_of(request, STAGES)
    found = explained(made)
    first = plan.jobs[0].spec
    for stage in first.stages:
        for key, value in stage.config.items():
            if key not in ("seed", "batch_size"):  # a job is one image, with its own seed
                assert found[f"{stage.name}.{key}"].value == value
        assert found[f"pipeline.{stage.name}_enabled"].value is True
    running = {name.split(".")[0] for name, one in found.items() if one.used} - {"pipeline", "global_negative"}
    assert running == {stage.name for stage in first.stages}
    images = found["pipeline.images_per_prompt"].value
    for key in ("batch_size", "batch_count"):
        images *= found[f"txt2img.{key}"].value
    assert len(plan.jobs) == 2 * images
    seed = found["txt2img.seed"].value
    assert seed == -1 or first.stages[0].seed == seed
    flag = found.get("pipeline.apply_global_negative_txt2img")
    assert first.stages[0].negative_prompt.endswith("bad") is bool(flag and flag.value)
    # and again: the same
    assert explained(made) == found
    assert before == (preset, sidecar, last, sets)


@A_THIRD
@given(sections, sections)
def test_what_a_run_used_gives_the_same_again(preset: dict[str, Any], other: dict[str, Any]) -> None:
    def jobs(**request: Any) -> tuple[Plan, list[Any]]:
        plan = plan_run(PlanRequest(PACK, profiles=PROFILES, **request), STAGES, rng=Random(1))
        return plan, [
            [(stage.name, stage.config, stage.seed) for stage in job.spec.stages] for job in plan.jobs
        ]

    plan, first = jobs(preset=preset)
    recalled = json.loads(json.dumps(plan.used))
    for section in {"txt2img", "img2img"} & other.keys():  # a seed that was drawn is not recalled
        other[section].pop("seed", None)
    again, second = jobs(preset=other, last_run=recalled)
    assert second == first
    assert again.used == plan.used


def test_a_drawn_seed_is_not_recalled_and_a_chosen_one_is() -> None:
    def used(*sets: str, seed: int | None = None, count: int | None = None) -> Any:
        return used_settings(resolver(*sets).resolve(), STAGES, seed=seed, count=count)

    assert "seed" not in used()["txt2img"]
    assert "seed" not in used("txt2img.seed=-1")["txt2img"]
    assert used("txt2img.seed=0")["txt2img"]["seed"] == 0
    assert used("txt2img.seed=5", seed=6)["txt2img"]["seed"] == 6
    assert "seed" not in used("txt2img.seed=5", seed=-1)["txt2img"]
    assert used("img2img.enabled=1", "img2img.seed=7")["img2img"]["seed"] == 7
    counted = used("txt2img.batch_size=3", "pipeline.images_per_prompt=2", count=4)
    assert (counted["pipeline"]["images_per_prompt"], counted["txt2img"]["batch_size"]) == (4, 1)


def test_the_command_line_is_explained() -> None:
    made = resolver("txt2img.batch_size=3", p={"txt2img": {"seed": 4}})
    found = {setting.name: setting for setting in made.explain(count=2, seed=9)}
    assert (found["txt2img.seed"].value, found["txt2img.seed"].source) == (9, "--seed")
    assert found["txt2img.seed"].below == (("p", 4), ("default", -1))
    images = [
        found[name].value
        for name in ("txt2img.batch_size", "txt2img.batch_count", "pipeline.images_per_prompt")
    ]
    assert images == [1, 1, 2]


def spoil(value: Any) -> None:
    """Change everything that can be changed."""
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value["spoilt"] = True
    elif isinstance(value, (list, tuple)):
        for inner in value:
            spoil(inner)
        if isinstance(value, list):
            value.append("spoilt")


randomizations = st.fixed_dictionaries(
    {"enabled": st.booleans()},
    optional={"matrix": st.fixed_dictionaries({"slots": st.lists(st.fixed_dictionaries({"name": st.text()}))})},
)


@A_THIRD
@given(sections, sections, randomizations, st.booleans())
def test_no_result_shares_anything_with_what_went_in(
    preset: dict[str, Any], sidecar: dict[str, Any], randomization: Any, profiled: bool
) -> None:
    sidecar = {**sidecar, "randomization": randomization}
    made = Resolver(
        [Layer("preset p", preset), Layer("sidecar s", sidecar)],
        ["txt2img.model=xl"] if profiled else (),
        STAGES,
        profiles=PROFILES,
    )
    before = copy.deepcopy((preset, sidecar, PROFILES.known[0].layer.values))
    pipeline, found, used = made.resolve(), made.explain(), used_settings(made.resolve(), STAGES)
    expected = copy.deepcopy((pipeline.randomization, pipeline.switches, found, used))
    for result in (pipeline.randomization, pipeline.switches, [one.value for one in found], used):
        spoil(result)
    for one in found:
        spoil([under for _, under in one.below])
    again = made.resolve()
    now = (again.randomization, again.switches, made.explain(), used_settings(again, STAGES))
    assert now == expected
    assert (preset, sidecar, PROFILES.known[0].layer.values) == before


# --- axes ----------------------------------------------------------------------------------------------------


def test_each_model_of_an_axis_has_its_own_profile() -> None:
    profiles = Profiles((profile("a", txt2img={"steps": 11}), profile("b", txt2img={"steps": 22})))
    made = Resolver([Layer("preset p", {"txt2img": {"model": "a"}})], (), STAGES, profiles=profiles)

    def steps(model: str) -> int:
        return made.resolve({"txt2img.model": model}).stages[0].config.steps  # type: ignore[attr-defined]

    assert [steps(model) for model in ("b", "a", "c", "b")] == [22, 11, 20, 22]
    assert made.resolve().stages[0].config.steps == 11  # type: ignore[attr-defined]


def test_axes_take_values_and_texts_and_old_names() -> None:
    made = resolver("txt2img.steps=3")
    config: Any = (
        made.resolve({"txt2img.steps": 9, "txt2img.cfg_scale": "4.5", "txt2img.model_name": "m"})
        .stages[0]
        .config
    )
    assert (config.steps, config.cfg_scale, config.model) == (9, 4.5, "m")
    assert [stage.stage.name for stage in made.resolve({"upscale.enabled": True}).stages] == [
        "txt2img",
        "upscale",
    ]
    for name, message in [
        ("txt2img.stepps", "axis txt2img.stepps: txt2img has no setting 'stepps'; did you mean steps"),
        ("steps", "axis steps: write SECTION.FIELD"),
        ("txt2img.steps", "axis txt2img.steps: 'x' is not a whole number (1 to 150)"),
    ]:
        with pytest.raises(UserError) as error:
            made.resolve({name: "x"})
        assert str(error.value).startswith(message)


def test_resolving_parses_nothing_again() -> None:
    """A few dozen combinations cost a few dozen merges: the layers are taken in once."""
    values: dict[str, Any] = {"txt2img": {"steps": 5}}
    made = resolver(p=values)
    values["txt2img"]["steps"] = 6
    values["img2img"] = {"enabled": True}
    assert made.resolve().stages[0].config.steps == 5  # type: ignore[attr-defined]
    assert len(made.resolve().stages) == 1


# --- global negative -----------------------------------------------------------------------------------------


def planned(*sets: str, negative: GlobalNegative, **preset: Any) -> Plan:
    request = PlanRequest(PACK, preset=preset, sets=sets, global_negative=negative)
    return plan_run(request, STAGES, rng=Random(1))


def test_the_global_negative_is_added_where_its_flag_is_on() -> None:
    preset = {
        "txt2img": {"negative_prompt": "own"},
        "pipeline": {"img2img_enabled": True, "apply_global_negative_txt2img": True},
    }
    negative = GlobalNegative("ugly <embedding:bad>", "presets/global_negative.txt")
    plan = planned(negative=negative, **preset)
    assert [stage.negative_prompt for stage in plan.jobs[1].spec.stages] == ["blue, own, ugly bad", "blue"]
    assert plan.jobs[0].spec.stages[0].negative_prompt == "own, ugly bad"
    assert plan.warnings == ()
    both = planned("pipeline.apply_global_negative_img2img=on", negative=negative, **preset)
    assert both.jobs[0].spec.stages[1].negative_prompt == "ugly bad"
    off = planned("pipeline.apply_global_negative_txt2img=off", negative=negative, **preset)
    assert off.jobs[0].spec.stages[0].negative_prompt == "own"


def test_a_global_negative_that_is_missing_or_unreadable() -> None:
    on = "pipeline.apply_global_negative_txt2img=true"
    assert planned(on, negative=GlobalNegative(source="presets/global_negative.txt")).warnings == (
        "pipeline.apply_global_negative_txt2img: there is no global negative prompt; "
        "write one into presets/global_negative.txt",
    )
    broken = GlobalNegative(problem="global negative prompt x: not UTF-8 text")
    assert planned(negative=broken).warnings == ()
    with pytest.raises(UserError, match="not UTF-8"):
        planned(on, negative=broken)


# --- what is wrong, and what is ignored ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"txt2img": {"width": 512,\n "steps": "x"}}',
            "preset p.json, line 2, column 2: txt2img.steps: 'x' is not a whole",
        ),
        (
            '{"txt2img": {\n"n_iter": 0}}',
            "preset p.json, line 2, column 1: txt2img.batch_count: 0 is out of range",
        ),
        (
            '{\n"txt2img": 3}',
            "preset p.json, line 2, column 1: section txt2img must be an object of settings, not a number",
        ),
        (
            '{\n "randomization": []}',
            "preset p.json, line 2, column 2: section randomization must be an object",
        ),
        (
            '{"img2img":\n {"enabled": "maybe"}}',
            "preset p.json, line 2, column 3: img2img.enabled: 'maybe' is not true",
        ),
        (
            '{"adetailer":\n\n {"adetailer_enabled": true}}',
            "preset p.json, line 3, column 3 enables stage 'adetailer', which no plugin provides",
        ),
        (
            '{"pipeline":\n {"post_processors": ["upscale"]}}',
            "preset p.json, line 2, column 3: pipeline.post_processors: upscale is no post-processor",
        ),
        (
            '{"pipeline": {"apply_global_negative_txt2img": 3}}',
            "preset p.json, line 1, column 15: pipeline.apply_global_negative_txt2img: 3 is not true or false",
        ),
    ],
)
def test_an_error_has_line_and_column(text: str, message: str) -> None:
    preset = parse_settings("p.json", text.encode())
    with pytest.raises(UserError) as error:
        Resolver([Layer("preset p.json", preset)], (), STAGES).resolve()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            '{"txt2img": {"stepps": 3,\n "zzz": 1}}',
            "preset p.json: unknown settings, ignored: "
            "txt2img.stepps (line 1, column 14; did you mean steps?), txt2img.zzz (line 2, column 2)",
        ),
        (
            '{\n"crystal": {"x": 1}}',
            "preset p.json, line 2, column 1: section 'crystal' belongs to no stage; ignored",
        ),
        (
            '{"pipeline": {"output_dir": "x", "pack_mode": "all"}}',
            "preset p.json: no stage does this yet, ignored: pipeline.pack_mode, pipeline.output_dir",
        ),
        ('{"pipeline": {"output_dir": "", "loop_type": null}}', ""),
        ('{"txt2img": {"enable_hr": false, "hires_steps": 2}}', ""),
        ('{"adetailer": {"ad_model": "face", "typo": 1}, "api": {"x": 1}}', ""),
        ('{"pipeline": {"apply_global_negative_adetailer": true}}', ""),
        (
            '{"pipeline": {"apply_global_negative_txt2im": true}}',
            "preset p.json: unknown settings, ignored: pipeline.apply_global_negative_txt2im "
            "(line 1, column 15; did you mean apply_global_negative_txt2img?)",
        ),
        ('{"pipeline": {"txt2img_enabled": null}, "img2img": {"enabled": null}, "upscale": null}', ""),
    ],
)
def test_what_is_ignored_is_told_with_its_place(text: str, warning: str) -> None:
    preset = parse_settings("p.json", text.encode())
    made = Resolver([Layer("preset p.json", preset)], (), STAGES).resolve()
    assert made.warnings == ((warning,) if warning else ())


def test_null_under_one_name_hides_nothing_under_another() -> None:
    preset = parse_settings("p.json", b'{"txt2img": {"model": null, "model_name": "xl"}}')
    found = explained(resolver(p=preset))
    assert (found["txt2img.model"].value, found["txt2img.model"].place) == ("xl", "line 1, column 29")


def test_set_of_what_no_stage_does_yet() -> None:
    with pytest.raises(
        UserError, match=r"^--set pipeline\.output_dir: no stage that is installed does this yet"
    ):
        resolver("pipeline.output_dir=x")
