"""Profiles of models and LoRAs: how they are found, what they recommend, what they add to prompts."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run
from stablenew_kernel.domain.profiles import Profile, Profiles, key_of, parse_profile
from stablenew_plugins.randomizers import stablenew_randomizers


def profile(name: str, **content: Any) -> Profile:
    return parse_profile(f"{name}.profile.json", json.dumps(content).encode())


@pytest.mark.parametrize(
    "name",
    [
        "juggernaut",
        "Juggernaut.safetensors",
        "sdxl\\JUGGERNAUT.ckpt",
        "a/b/juggernaut [dd08fa32f9]",
        " juggernaut ",
    ],
)
def test_a_model_is_known_without_folder_ending_hash_and_case(name: str) -> None:
    assert key_of(name) == "juggernaut"
    assert Profiles((profile("Juggernaut"),)).model(name) is not None


def test_a_hash_finds_a_renamed_model_and_goes_before_a_name() -> None:
    renamed = profile("other", sha256="dd08fa32f9" + "0" * 54)
    short = profile("short", hash="AB08FA32F9")
    named = profile("xl")
    profiles = Profiles((renamed, short, named))
    assert profiles.model("xl [dd08fa32f9]") is renamed
    assert profiles.model("xl [ab08fa32f9]") is short
    assert profiles.model("xl [1234567890]") is named
    assert profiles.model("DD08FA32F9") is renamed
    assert profiles.model("nobody") is None


def test_two_that_fit_and_one_that_is_broken_are_errors_only_for_who_needs_them() -> None:
    profiles = Profiles(
        (profile("XL"), profile("xl")), {"bad.profile.json": "profile bad.profile.json, line 1: no"}
    )
    with pytest.raises(UserError, match=r"^xl: two profiles fit, XL\.profile\.json and xl\.profile\.json"):
        profiles.model("xl")
    with pytest.raises(UserError, match=r"^profile bad\.profile\.json, line 1: no"):
        profiles.model("sd/bad.safetensors")
    with pytest.raises(UserError, match=r"^profile bad"):
        profiles.lora("bad")
    assert profiles.model("fine") is None


def test_a_model_is_no_lora() -> None:
    profiles = Profiles((profile("x", weight=0.5), profile("y")))
    assert profiles.model("x") is profiles.lora("y") is None
    assert profiles.lora("X") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{\n"weight": "much"}',
            "profile a.profile.json, line 2, column 1: weight: 'much' is not a number (-10 to 10)",
        ),
        ('{"weight": 11}', "weight: 11 is out of range (-10 to 10)"),
        ('{"kind": "vae"}', "line 1, column 2: kind: 'vae' is not one of 'model' or 'lora'"),
        ('{"trigger_words": 3}', "trigger_words: 3 is not a list"),
        ('{"trigger_words": [3]}', "trigger_words"),
        ('{"sha256": "xyz"}', "sha256: 'xyz': must be 8 to 64 hex digits"),
        ('{"add_trigger_words": "perhaps"}', "add_trigger_words: 'perhaps' is not true or false"),
        ("[]", "must be one JSON object"),
    ],
)
def test_a_wrong_profile_says_where(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_profile("a.profile.json", text.encode())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_profile_does_not_choose_the_model() -> None:
    made = parse_profile("a.profile.json", b'{"txt2img": {\n"model_name": "b", "steps": 3}}')
    assert made.layer.values == {"txt2img": {"steps": 3}}
    assert made.warnings == (
        "profile a.profile.json, line 2, column 1: "
        "a profile does not choose the model; ignored: txt2img.model_name",
    )


def test_settings_of_a_lora_have_no_effect_and_that_is_said() -> None:
    made = profile("a", weight=1, txt2img={"steps": 3})
    assert (made.layer.values, made.is_lora) == ({}, True)
    assert "no effect: txt2img" in made.warnings[0]


# --- in a plan -----------------------------------------------------------------------------------------------


def planned(text: str, *profiles: Profile, **request: Any) -> Plan:
    asked = PlanRequest(parse_pack("p.txt", text.encode()), profiles=Profiles(profiles), **request)
    strategies = {strategy.name: strategy for strategy in stablenew_randomizers()}
    return plan_run(asked, STAGES, rng=Random(1), randomizers=strategies)


DETAIL = profile("Detail", weight=0.7, trigger_words="fine lines, crisp", add_trigger_words=True)
PLAIN = profile("plain", weight=-0.5, trigger_words=["never added"])


def test_a_lora_without_a_weight_gets_its_own_and_its_words() -> None:
    text = "a cat, Crisp <lora:detail> <LORA:plain:> <lora:detail:0.2> <lora:other>,\nneg: x"
    plan = planned(text, DETAIL, PLAIN)
    spec = plan.jobs[0].spec
    assert spec.stages[0].prompt == (
        "a cat, Crisp <lora:detail:0.7> <lora:plain:-0.5> <lora:detail:0.2> <lora:other>, fine lines"
    )
    assert spec.stages[0].negative_prompt == "x"
    assert spec.provenance["template"].startswith("a cat, Crisp <lora:detail> ")
    assert spec.provenance["added"] == [
        {"profile": "Detail.profile.json", "weight": 0.7, "words": ["fine lines"]},
        {"profile": "plain.profile.json", "weight": -0.5, "words": []},
    ]
    assert plan.warnings == (
        "profile Detail.profile.json: weight 0.7 where the prompt gives none; trigger words added: fine lines",
        "profile plain.profile.json: weight -0.5 where the prompt gives none",
    )


def test_a_word_inside_another_or_in_the_name_of_the_lora_is_not_there() -> None:
    lora = profile("cat", trigger_words=["cat"], add_trigger_words=True, kind="lora")
    [prompt] = [job.spec.stages[0].prompt for job in planned("concatenate <lora:cat:1>", lora).jobs]
    assert prompt == "concatenate <lora:cat:1>, cat"


def test_the_words_of_a_model_go_to_the_stages_that_it_draws() -> None:
    model = profile("pony", trigger_words=["score_9"], add_trigger_words=True)
    sets = ("txt2img.model=pony.safetensors", "img2img.enabled=1", "frame.enabled=1")
    plan = planned("a cat\n\nscore_9, a dog", model, sets=sets)
    assert [stage.prompt for stage in plan.jobs[0].spec.stages] == ["a cat, score_9", "a cat, score_9", "a cat"]
    assert plan.jobs[1].spec.stages[0].prompt == "score_9, a dog"
    assert plan.jobs[0].spec.provenance["profile"] == "pony.profile.json"
    assert "added" not in plan.jobs[1].spec.provenance
    assert plan.warnings == ("profile pony.profile.json: trigger words added: score_9",)


def test_loras_that_a_choice_brings_in() -> None:
    preset = {
        "randomization": {
            "enabled": True,
            "wildcards": {"enabled": True, "tokens": [{"token": "__l__", "values": ["<lora:detail>"]}]},
        }
    }
    plan = planned("a cat __l__", DETAIL, preset=preset)
    assert plan.jobs[0].spec.stages[0].prompt == "a cat <lora:detail:0.7>, fine lines, crisp"
    assert "weight 0.7" in plan.warnings[0]


def test_without_profiles_a_plan_is_what_it_was() -> None:
    spec = planned("a <lora:detail>").jobs[0].spec
    assert spec.stages[0].prompt == "a <lora:detail>"
    assert not {"profile", "added"} & set(spec.provenance)
    assert spec.canonical() == planned("a <lora:detail>", PLAIN).jobs[0].spec.canonical()


def test_unknown_settings_of_a_profile_are_told() -> None:
    model = profile("xl", txt2img={"stepps": 3}, crystal={"x": 1})
    assert planned("a", model, sets=("txt2img.model=xl",)).warnings == (
        "profile xl.profile.json: unknown settings, ignored: "
        "txt2img.stepps (line 1, column 14; did you mean steps?)",
        "profile xl.profile.json, line 1, column 28: section 'crystal' belongs to no stage; ignored",
    )


def test_each_model_of_an_axis_is_drawn_with_its_own_profile() -> None:
    """Settings and trigger words of each; what has none keeps the defaults."""
    fast = profile("fast", txt2img={"steps": 4}, trigger_words=["quick"], add_trigger_words=True)
    slow = profile("slow", txt2img={"steps": 40})
    plan = planned(
        "a cat", fast, slow, axes=["txt2img.model=fast,sd/slow.safetensors,other"], sets=("upscale.enabled=1",)
    )
    made = [(job.spec.stages[0].config["model"], job.spec.stages[0].config["steps"]) for job in plan.jobs]
    assert made == [("fast", 4), ("sd/slow.safetensors", 40), ("other", 20)]
    assert [job.spec.stages[0].prompt for job in plan.jobs] == ["a cat, quick", "a cat", "a cat"]
    assert [job.spec.provenance.get("profile") for job in plan.jobs] == [
        "fast.profile.json",
        "slow.profile.json",
        None,
    ]
