"""Later stages on images that exist: which run, with which settings, seeds and words."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_stages import STAGES, Img2Img, Upscale

from stablenew_api.errors import UserError
from stablenew_api.infotext import format_infotext, parse_infotext
from stablenew_api.jobs import Artifact, JobSpec, Needs
from stablenew_api.stage import StageConfig
from stablenew_kernel.domain.infotext import describe, prompts
from stablenew_kernel.domain.later import Source, plan_later, source_from_spec, work_of
from stablenew_kernel.domain.packs import Pack
from stablenew_kernel.domain.pipeline import GlobalNegative, Later
from stablenew_kernel.domain.plan import Plan, PlanRequest

NEXT = Later("img2img")


class _Img2Img(Img2Img):
    class Config(StageConfig):
        model: str = ""
        sampler_name: str = "Euler a"
        steps: int = 20
        denoising_strength: float = 0.3
        prompt_adjust: str = ""

    @classmethod
    def needs(cls, config: Any) -> Needs:
        return Needs(config.model, 10, frozenset({"img2img"}))


KINDS: Any = {**STAGES, "img2img": _Img2Img}


def source(number: int = 0, **changes: Any) -> Source:
    digest = f"{number:064x}"
    values: dict[str, Any] = {
        "artifact": Artifact(f"{number}.png", "image/png", digest, 10),
        "prompt": "a fox",
        "seed": 100 + number,
        "pixel_sha256": digest,
    }
    return Source(**(values | changes))


def plan(*sources: Source, later: Later = NEXT, rng: int = 1, **request: Any) -> Plan:
    asked = PlanRequest(Pack("renders", "", ()), **request)
    return plan_later(asked, sources or (source(),), later, KINDS, rng=Random(rng))


def only(made: Plan) -> JobSpec:
    (job,) = made.jobs
    return job.spec


def ran(made: Plan) -> list[str]:
    return [stage.name for stage in made.jobs[0].spec.stages]


def config(made: Plan, stage: str) -> dict[str, Any]:
    return dict(next(one for one in made.jobs[0].spec.stages if one.name == stage).config)


# --- which stages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "request_", "names"),
    [
        (Later("upscale"), {}, ["upscale"]),
        (Later("img2img"), {}, ["img2img"]),
        (Later("img2img"), {"preset": {"pipeline": {"upscale_enabled": True}}}, ["img2img", "upscale"]),
        # What comes before it is not run, though the preset has it on; the stage itself is, though it is off.
        (Later("upscale"), {"preset": {"pipeline": {"img2img_enabled": True}}}, ["upscale"]),
        (Later("upscale"), {"preset": {"pipeline": {"upscale_enabled": False}}}, ["upscale"]),
        (Later("upscale"), {"sets": ['pipeline.post_processors=["frame"]']}, ["upscale", "frame"]),
        (
            Later("film_grain"),
            {"sets": ['pipeline.post_processors=["frame", "film_grain"]']},
            ["film_grain"],
        ),
        (
            Later("frame"),
            {"sets": ['pipeline.post_processors=["frame", "film_grain"]']},
            ["frame", "film_grain"],
        ),
        (
            Later(only=("frame", "upscale")),
            {"preset": {"pipeline": {"img2img_enabled": True}}},
            ["upscale", "frame"],
        ),
    ],
)
def test_which_stages_run(later: Later, request_: dict[str, Any], names: list[str]) -> None:
    assert ran(plan(later=later, **request_)) == names


def test_stages_that_ran_on_the_image_before_say_nothing_about_what_runs_now() -> None:
    before = source(settings={"pipeline": {"upscale_enabled": True}, "upscale": {"scale": 3.0}})
    assert ran(plan(before)) == ["img2img"]
    assert config(plan(before, later=Later("upscale")), "upscale")["scale"] == 3.0, (
        "but how they were run counts"
    )


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (Later("txt2img"), "begins with nothing; give a later one"),
        (Later("upscael"), "did you mean upscale?"),
        (Later(only=("upscale", "nix")), "--stages nix: no such stage"),
        (Later(), "--from-stage STAGE"),
    ],
)
def test_stages_that_cannot_be_asked_for(later: Later, words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan(later=later)


# --- which settings -------------------------------------------------------------------------------------------


def test_recorded_settings_lie_below_the_preset_and_that_below_set() -> None:
    made = source(
        settings={
            "txt2img": {"model": "dream", "sampler_name": "DDIM", "steps": 50, "seed": 3},
            "img2img": {"denoising_strength": 0.7, "seed": 9},
            "nobody": {"x": 1},
        }
    )
    assert config(plan(made), "img2img") == {
        "model": "dream",
        "sampler_name": "DDIM",
        "steps": 20,  # each stage's own
        "denoising_strength": 0.7,
        "prompt_adjust": "",
    }
    preset = {"img2img": {"model": "other", "denoising_strength": 0.5}}
    found = config(plan(made, preset=preset, sets=["img2img.denoising_strength=0.1"]), "img2img")
    assert (found["model"], found["denoising_strength"]) == ("other", 0.1)
    assert only(plan(made)).needs.model == "dream"
    assert plan(made).warnings == (), "what else stands in an image is nobody's mistake"


def test_an_image_with_settings_that_cannot_be_used_is_left_out_and_named() -> None:
    bad = source(1, settings={"upscale": {"scale": 99}})
    made = plan(source(0), bad, source(2), later=Later("upscale"))
    assert [job.spec.inputs[0].name for job in made.jobs] == ["0.png", "2.png"]
    assert [job.index for job in made.jobs] == [0, 1]
    (warning,) = made.warnings
    assert warning.startswith("1 image left out: 1.png (image: ")
    assert "upscale.scale" in warning
    with pytest.raises(UserError, match=r"upscale\.scale"):
        plan(bad, later=Later("upscale"))


def test_a_mistake_in_a_setting_is_an_error_and_not_a_reason_to_leave_out_every_image() -> None:
    with pytest.raises(UserError, match=r"--set img2img\.steps"):
        plan(source(0), source(1), sets=["img2img.steps=0x"])


def test_the_same_picture_is_made_once() -> None:
    twin = replace(source(1), pixel_sha256=source(0).pixel_sha256)
    made = plan(source(0), twin)
    assert len(made.jobs) == 1
    assert made.warnings == ("the same picture twice, made once: 1.png is 0.png",)


@pytest.mark.parametrize(
    "option", [{"rows": "1"}, {"count": 2}, {"axes": ["img2img.steps=1,2"]}, {"sample": 3}]
)
def test_options_about_rows_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="one image of each image"):
        plan(**option)


# --- seeds and prompts ----------------------------------------------------------------------------------------


def seeds(made: Plan) -> list[int]:
    return [job.spec.stages[0].seed for job in made.jobs]


def test_seeds_are_the_images_own_unless_one_is_asked_for() -> None:
    two = (source(0), source(1))
    assert seeds(plan(*two)) == [100, 101]
    assert seeds(plan(*two, seed=5)) == [5, 6]
    drawn = plan(*two, seed=-1)
    assert seeds(drawn) == seeds(plan(*two, seed=-1)) != [100, 101], "a dry run shows what the run makes"
    assert drawn.plan_seed
    unknown = plan(source(0, seed=None))
    assert 0 <= seeds(unknown)[0] < 2**64
    assert only(unknown).provenance["plan_seed"] == unknown.plan_seed
    assert seeds(plan(*two, sets=["img2img.seed=9"])) == [9, 9]


def test_prompts_are_the_images_own_with_what_stages_add() -> None:
    made = source(prompt="a {fox} (red:1.2) <embedding:deep> <lora:film:0.5>", negative_prompt="fog")
    spec = only(plan(made, sets=["img2img.prompt_adjust=sharp"]))
    assert spec.stages[0].prompt == "a {fox} (red:1.2) deep <lora:film:0.5> sharp", (
        "nothing in it is drawn anew"
    )
    assert spec.needs.names == {"loras:film", "embeddings:deep"}


def test_the_global_negative_prompt_is_not_added_twice() -> None:
    preset = {"pipeline": {"apply_global_negative_img2img": True}}
    for negative in ("fog", "fog, ugly"):
        made = plan(source(negative_prompt=negative), preset=preset, global_negative=GlobalNegative("ugly"))
        assert only(made).stages[0].negative_prompt == "fog, ugly"


def test_without_a_prompt_it_is_said() -> None:
    assert "no prompt is known of 1 image (0.png)" in plan(source(prompt="")).warnings[0]


# --- lineage --------------------------------------------------------------------------------------------------


def test_an_image_of_an_image_of_an_image_still_knows_the_first() -> None:
    one = only(plan(source(settings={"txt2img": {"model": "dream"}}, stages=("txt2img",))))
    two = source_from_spec(one, Artifact("one.png", "image/png", "aa" * 32, 5), "bb" * 32, "")
    assert two.stages == ("txt2img", "img2img")
    assert two.prompt == "a fox", "not what img2img made of it"
    assert two.settings is not None
    assert config(plan(two), "img2img")["model"] == "dream"
    three = only(plan(two, later=Later("upscale")))
    assert three.provenance["source"]["stages"] == ["txt2img", "img2img"]


PAIRS = [("Steps", "20"), ("Sampler", "Euler a"), ("CFG scale", "7"), ("Seed", "100"), ("Size", "512x512")]


def test_the_infotext_goes_on_from_that_of_the_image() -> None:
    mine = [("StableNew job", "old"), ("StableNew node", "old"), ("Version", "StableNew 0.0")]
    text = format_infotext("a fox", "fog", [*PAIRS, ("Face restoration", "CodeFormer"), *mine])
    spec = only(
        plan(source(negative_prompt="fog", parameters=text, stages=("txt2img",)), later=Later("upscale"))
    )
    info = {"Steps": 20, "Postprocess upscaler": "Lanczos", "Size": "1024x1024"}
    report = {"stages": [{"name": "upscale", "seconds": 1.0, "info": info}]}
    made = describe(spec, report, version="1", job_id="new", node="n")
    read = parse_infotext(format_infotext(*prompts(spec), made))
    pairs = dict(read.pairs)
    assert (read.prompt, read.negative_prompt) == ("a fox", "fog")
    assert PAIRS[0] in read.pairs
    assert (pairs["Size"], pairs["upscale Size"], pairs["Face restoration"]) == (
        "512x512",
        "1024x1024",
        "CodeFormer",
    )
    assert "upscale Steps" not in pairs, "the same number is no news"
    assert (pairs["StableNew job"], pairs["StableNew node"], pairs["Version"]) == ("new", "n", "StableNew 1")
    assert (pairs["StableNew stages"], pairs["StableNew source"]) == ("txt2img upscale", "0.png")


def test_an_image_without_words_gets_those_of_its_stage() -> None:
    spec = only(plan(source(prompt="")))
    made = dict(
        describe(
            spec, {"stages": [{"name": "img2img", "info": {"Steps": 5}}]}, version="1", job_id="j", node="n"
        )
    )
    assert made["Steps"] == 5


@given(
    st.integers(0, 1), st.integers(0, 1), st.sampled_from([20, 21]), st.sampled_from([20, 21]), st.booleans()
)
def test_work_is_what_is_done_to_which_picture(one: int, two: int, here: int, there: int, moved: bool) -> None:
    def spec(number: int, steps: int, name: str) -> JobSpec:
        made = source(number, seed=7, artifact=Artifact(name, "image/png", f"{len(name):064x}", 1))
        return only(plan(made, sets=[f"img2img.steps={steps}"]))

    first, second = spec(one, here, "a.png"), spec(two, there, "other.png" if moved else "a.png")
    assert (work_of(first) == work_of(second)) is ((one, here) == (two, there))
    assert work_of(replace(first, provenance={})) == ""


def test_a_thousand_images_of_one_run_share_their_settings() -> None:
    resolved = 0

    class Counting(Upscale):
        @classmethod
        def needs(cls, config: Any) -> Needs:
            nonlocal resolved
            resolved += 1
            return Needs()

    settings = {"txt2img": {"model": "dream"}, "upscale": {"scale": 2.0}}
    many = [source(n, settings={**settings, "txt2img": {"model": "dream", "seed": n}}) for n in range(1000)]
    asked = PlanRequest(Pack("renders", "", ()))
    made = plan_later(asked, many, Later("upscale"), {**KINDS, "upscale": Counting}, rng=Random(1))
    assert (len(made.jobs), resolved, made.line) == (1000, 1, "1,000 images through upscale")
