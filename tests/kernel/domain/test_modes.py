"""Modes, axes and seeds in a plan: what each slot takes, what a run leaves, and that the plan is the run."""

from __future__ import annotations

import gc
import itertools
import json
import time
import tracemalloc
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from planning_stages import STAGES

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, advance_seed, draw_seed, plan_run
from stablenew_kernel.domain.replay import replay_plan
from stablenew_plugins.randomizers import Rotate, stablenew_randomizers

SOON = 4.0
"""Seconds of this thread. What is guarded against takes minutes; a second is promised on a machine at rest."""

STRATEGIES = {strategy.name: strategy for strategy in stablenew_randomizers()}
Memory = dict[tuple[str, str], Any]


def plan(pack: str, memory: Memory | None = None, rng: int = 3, **more: Any) -> Plan:
    preset = dict(more.pop("preset", {}))
    if (randomization := more.pop("randomization", None)) is not None:
        preset["randomization"] = randomization
    more.setdefault("seed", 5)
    request = PlanRequest(
        parse_pack("p.txt", pack.encode()), preset or None, "p.json" if preset else "", **more
    )
    return plan_run(request, STAGES, rng=Random(rng), randomizers=STRATEGIES, memory=memory)


def after(made: Plan, memory: Memory | None = None) -> Memory:
    """What is kept once ``made`` is queued."""
    kept = dict(memory or {})
    for slot in made.memory.slots:
        assert kept.get((slot.mode, slot.slot)) == slot.before
        kept[slot.mode, slot.slot] = slot.after
    return kept


def prompts(made: Plan) -> list[str]:
    return [job.spec.stages[0].prompt for job in made.jobs]


def seeds(made: Plan) -> list[int]:
    return [job.spec.stages[0].seed for job in made.jobs]


def configs(made: Plan, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(job.spec.stages[0].config[name] for name in names) for job in made.jobs]


def picks(made: Plan) -> list[dict[str, int]]:
    return [
        {str(choice["slot"]): int(choice["index"]) for choice in job.spec.provenance["choices"]}
        for job in made.jobs
    ]


def matrix(mode: str, **slots: list[str]) -> dict[str, Any]:
    return {
        "matrix": {"mode": mode, "slots": [{"name": name, "values": values} for name, values in slots.items()]}
    }


# --- a mode and values for one slot, in one run ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("pack", "section", "sets", "expected"),
    [
        ("{red|green} hat", {}, ["modes.{red|green}=fanout"], ["red hat", "green hat"]),
        ("{!red|green} hat", {}, ["modes.{!red|green}=off"], ["red hat"]),
        ("{0.5::red|green=} hat", {}, ["modes.{0.5::red|green=}=fanout"], ["red hat", "green= hat"]),
        ("[[Time]] sea", matrix("fanout", time=["dawn", "noon"]), ["modes.time=off"], ["dawn sea"]),
        ("[[Time]] sea", matrix("fanout", time=["a"]), ["values.TIME=x | {y|z}"], ["x sea", "y sea", "z sea"]),
        ("[[Time]] sea", {}, ['values.time=["x", "a|b"]'], ["x sea", "a|b sea"]),
        ("__hair__ cat", {}, ["values.__hair__=red|blue", "modes.__hair__=fanout"], ["red cat", "blue cat"]),
        ("{a|b}", {"enabled": False}, ["modes.{a|b}=fanout"], ["a", "b"]),
        ("{a|b} x {a|b}", {}, ["modes.{a|b}=fanout"], ["a x a", "a x b", "b x a", "b x b"]),
        ("{a|b}", {}, ["choices.mode=fanout"], ["a", "b"]),
        ("{!a|b}", {}, ["enabled=false"], ["a", "b"]),
        ("[[t]] {!a|b}", matrix("fanout", t=["1", "2"]), ["matrix.limit=3"], ["1 a", "1 b", "2 a"]),
        ("a", {}, ["values.lora=none|soft:0.8"], ["a", "a <lora:soft:0.8>"]),
        (
            "a",
            {"axes": [{"field": "lora", "values": ["x"]}]},
            ["values.lora=y|z"],
            ["a <lora:y>", "a <lora:z>"],
        ),
        ("a", {"axes": [{"field": "lora", "values": ["x", "y"]}]}, ["modes.lora=off"], ["a"]),
    ],
)
def test_set_changes_mode_and_values_of_one_slot(
    pack: str, section: dict[str, Any], sets: list[str], expected: list[str]
) -> None:
    made = plan(pack, randomization=section, sets=[f"randomization.{text}" for text in sets])
    assert prompts(made) == expected
    assert made.warnings == ()


def test_set_changes_mode_and_values_of_an_axis() -> None:
    section = {"axes": [{"field": "steps", "values": [10, 20]}]}
    sets = ["randomization.values.txt2img.steps=7|8|9"]
    assert configs(plan("a", randomization=section, sets=sets), "steps") == [(7,), (8,), (9,)]
    sets.append("randomization.modes.steps=rotate")
    assert configs(plan("a", randomization=section, sets=sets, count=2), "steps") == [(7,), (8,)]
    sets[-1] = "randomization.modes.txt2img.steps=off"
    assert configs(plan("a", randomization=section, sets=[*sets, "txt2img.steps=5"]), "steps") == [(5,)]
    assert configs(plan("a", sets=["randomization.values.steps=7|8"]), "steps") == [(7,), (8,)]
    assert configs(plan("a", axes=["steps=1,2"], sets=["randomization.modes.steps=off"]), "steps") == [(20,)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("randomization.modes.{a|b}=zigzag", "randomization.modes.{a|b}: 'zigzag' is not one of fanout,"),
        ("randomization.modes=fanout", "randomization.modes: write --set randomization.modes.SLOT="),
        ("randomization.matrx.mode=off", "has no setting 'matrx.mode'; did you mean matrix.mode "),
        ("randomization.matrix.limit=x", "randomization.matrix.limit: input should be a valid integer"),
        ("randomization.values.a=[1", "is no JSON list"),
        ("randomization.values.steps=70000", "randomization.values.steps, value 1: txt2img.steps"),
        ("randomisation.enabled=true", "did you mean randomization?"),
    ],
)
def test_a_set_of_the_randomizer_that_is_wrong_says_how(text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        plan("{a|b}", sets=[text])
    assert words in str(error.value)


def test_a_mode_for_something_that_is_not_there_is_told() -> None:
    made = plan("{a|b}", sets=["randomization.modes.tiem=fanout"])
    assert made.warnings == ("randomization.modes.tiem: no effect, nothing in these rows is called so",)


# --- modes ----------------------------------------------------------------------------------------------------


def test_rotate_goes_from_image_to_image_row_to_row_and_run_to_run() -> None:
    pack = "{@a|b|c} x\n\nplain\n\n{@a|b|c} y"
    first = plan(pack, count=2)
    assert prompts(first) == ["a x", "b x", "plain", "plain", "c y", "a y"], (
        "a row without the slot does not count"
    )
    assert first.line.endswith("= 6 images; in turn: {@a|b|c}")
    second = plan(pack, after(first), count=2)
    assert prompts(second)[:2] == ["b x", "c x"]


def test_sequential_keeps_a_row_together() -> None:
    words = {"choices": {"mode": "sequential"}}
    first = plan("{a|b|c} x\n\n{a|b|c} y", count=2, randomization=words)
    assert prompts(first) == ["a x", "a x", "b y", "b y"]
    assert prompts(plan("{a|b|c} x", after(first), randomization=words)) == ["c x"]


def test_counters_are_not_shared() -> None:
    """Two lists of one length do not move in lock-step once one of them was used without the other."""
    first = plan("{@a|b} {@c|d}\n\n{@c|d}", count=1)
    assert prompts(first) == ["a c", "d"]
    assert prompts(plan("{@a|b} {@c|d}\n\n{@c|d}", after(first))) == ["b c", "d"]
    assert after(first) == {
        ("rotate", "{@a|b}"): {"next": 1, "of": 2},
        ("rotate", "{@c|d}"): {"next": 0, "of": 2},
    }


def test_a_matrix_walks_its_combinations_as_nested_loops_list_them() -> None:
    both = matrix("rotate", time=["dawn", "noon"], style=["oil", "ink"])
    first = plan("[[style]] [[time]]", count=3, randomization=both)
    assert prompts(first) == ["oil dawn", "ink dawn", "oil noon"], (
        "in the order of the section, not of the text"
    )
    assert after(first) == {("rotate", "time x style"): {"next": 3, "of": 4}}
    assert prompts(plan("[[style]] [[time]]", after(first), randomization=both)) == ["ink noon"]


def test_a_mode_per_slot_mixed_in_one_prompt() -> None:
    section = {
        "matrix": {
            "mode": "fanout",
            "slots": [
                {"name": "time", "values": ["dawn", "noon"]},
                {"name": "style", "values": ["oil", "ink"], "mode": "rotate"},
                {"name": "place", "values": ["sea", "wood"], "mode": "off"},
            ],
        },
        "wildcards": {
            "mode": "random",
            "tokens": [
                {"token": "__hair__", "values": ["blond", "red"], "mode": "least_used"},
                {"token": "__eyes__", "values": ["blue", "brown"]},
            ],
        },
        "prompt_sr": {
            "mode": "round_robin",
            "rules": [
                {"search": "castle", "replacements": ["tower", "keep"], "mode": "sequential"},
                {"search": "cat", "replacements": ["lynx", "puma"]},
            ],
        },
        "choices": {"mode": "random"},
    }
    made = plan("[[time]] [[style]] [[place]] __hair__ __eyes__ castle cat {x|y} {!p|q}", randomization=section)
    assert len(made.jobs) == 4
    modes = {str(choice["slot"]): choice["mode"] for choice in made.jobs[0].spec.provenance["choices"]}
    assert modes == {
        "time": "fanout",
        "style": "rotate",
        "place": "off",
        "__hair__": "least_used",
        "__eyes__": "random",
        "{tower|keep}": "sequential",
        "{@lynx|puma}": "rotate",
        "{x|y}": "random",
        "{!p|q}": "fanout",
    }
    assert [(pick["time"], pick["{!p|q}"]) for pick in picks(made)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [pick["style"] for pick in picks(made)] == [0, 1, 0, 1]
    assert {pick["place"] for pick in picks(made)} == {pick["{tower|keep}"] for pick in picks(made)} == {0}
    assert Counter(pick["__hair__"] for pick in picks(made)) == {0: 2, 1: 2}


def test_two_strategies_that_multiply_give_every_pair() -> None:
    class Twice(Rotate):
        name, remembers, together = "twice", False, False

        def size(self, slots: Any) -> int:
            return 2

        def pick(self, slots: Any, turn: Any, memory: Any) -> Any:
            return [turn.combination % slot.size for slot in slots]

    section = {"choices": {"mode": "twice"}}
    request = PlanRequest(
        parse_pack("p.txt", b"{!a|b|c|d} {x|y}"), {"randomization": section}, "p.json", seed=1
    )
    made = plan_run(request, STAGES, rng=Random(1), randomizers={**STRATEGIES, "twice": Twice})
    assert prompts(made) == [f"{a} {x}" for a in "abcd" for x in "xy"]


def test_a_strategy_whose_memory_fails_is_named() -> None:
    class Forgets(Rotate):
        def remember(self, *arguments: Any) -> Any:
            raise ZeroDivisionError

    request = PlanRequest(parse_pack("p.txt", b"{@a|b}"), seed=1)
    with pytest.raises(PluginError, match="randomizer rotate: remember failed: ZeroDivisionError"):
        plan_run(request, STAGES, rng=Random(1), randomizers={"rotate": Forgets})


def test_a_part_of_a_plan_moves_a_place_by_what_is_made() -> None:
    pack = "{@a|b|c|d|e} {!1|2|3}\n\n{@a|b|c|d|e} {!1|2|3}"
    assert prompts(plan(pack, limit=4)) == ["a 1", "b 2", "c 3", "d 1"]
    assert after(plan(pack, limit=4)) == {("rotate", "{@a|b|c|d|e}"): {"next": 4, "of": 5}}
    drawn = plan(pack, sample=3)
    assert [prompt[0] for prompt in prompts(drawn)] == ["a", "b", "c"], "each image made takes the next"
    assert after(drawn) == {("rotate", "{@a|b|c|d|e}"): {"next": 3, "of": 5}}


def test_a_plan_leaves_nothing_where_nothing_is_remembered() -> None:
    assert plan("{a|b} {!c|d} plain").memory.slots == ()
    spec = plan("{@a|b}").jobs[0].spec
    assert replay_plan(spec.canonical(), "x.png", STAGES).memory.slots == ()


def test_unknown_modes_are_refused_with_their_place() -> None:
    for section, says in [
        (
            {"matrix": {"mode": "zigzag"}},
            "randomization.matrix.mode: 'zigzag' is not one of fanout, least_",
        ),
        ({"matrix": {"slots": [{"name": "a", "mode": "x"}]}}, "randomization.matrix.slots.a.mode: 'x'"),
        (
            {"wildcards": {"tokens": [{"token": "__a__", "mode": "x"}]}},
            "randomization.wildcards.tokens.a.mode: 'x'",
        ),
        ({"choices": {"mode": "x"}}, "randomization.choices.mode: 'x'"),
        ({"axes": [{"field": "steps", "values": [1], "mode": "x"}]}, "randomization.axes.steps.mode: 'x'"),
        (
            {"prompt_sr": {"rules": [{"search": "a", "replacements": ["b"], "mode": "x"}]}},
            "randomization.prompt_sr.rules.a.mode: 'x'",
        ),
    ]:
        with pytest.raises(UserError) as caught:
            plan("a", randomization=section)
        assert str(caught.value).startswith(f"preset p.json: {says}"), str(caught.value)


# --- old files ------------------------------------------------------------------------------------------------

OLD = {
    "enabled": True,
    "prompt_sr": {"enabled": True, "mode": "round_robin", "rules": [], "raw_text": "castle => tower | keep"},
    "wildcards": {
        "enabled": True,
        "mode": "sequential",
        "tokens": [],
        "raw_text": "__mood__: happy | sad | calm",
    },
    "matrix": {
        "enabled": True,
        "mode": "rotate",
        "limit": 8,
        "slots": [
            {"name": "Time of day", "values": ["dawn", "noon"]},
            {"name": "style", "values": ["oil", "ink"]},
        ],
        "base_prompt": "",
        "prompt_mode": "replace",
        "raw_text": "time of day: dawn | noon\nstyle: oil | ink",
    },
}
OLD_PACK = "castle at [[time_of_day]], [[Style]], __mood__\n\n__mood__ castle, [[STYLE]] of [[time-of-day]]"


def test_a_real_looking_old_file_drives_it_unchanged() -> None:
    first = plan(OLD_PACK, randomization=OLD)
    assert prompts(first) == ["tower at dawn, oil, happy", "sad keep, ink of dawn"]
    second = plan(OLD_PACK, after(first), randomization=OLD)
    assert prompts(second) == ["tower at noon, oil, calm", "happy keep, ink of noon"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"enabled": False}, ["castle at dawn, oil, happy", "happy castle, oil of dawn"]),
        ({"prompt_sr": {"enabled": False}}, ["castle at dawn, oil, happy", "sad castle, ink of dawn"]),
        ({"wildcards": {"enabled": False}}, ["tower at dawn, oil, happy", "happy keep, ink of dawn"]),
        ({"matrix": {"enabled": False}}, ["tower at dawn, oil, happy", "sad keep, oil of dawn"]),
        ({"matrix": {"mode": "sequential"}}, ["tower at dawn, oil, happy", "sad keep, ink of dawn"]),
        ({"matrix": {"slots": []}}, ["tower at dawn, oil, happy", "sad keep, ink of dawn"]),
        (
            {"matrix": {"base_prompt": "[[style]] only", "prompt_mode": "replace"}},
            ["oil only", "ink only"],
        ),
        (
            {"matrix": {"base_prompt": "best", "prompt_mode": "prepend"}},
            ["best tower at dawn, oil, happy", "best sad keep, ink of dawn"],
        ),
        (
            {"matrix": {"mode": "fanout", "limit": 3}, "wildcards": {"enabled": False}},
            [
                "tower at dawn, oil, happy",
                "keep at dawn, ink, happy",
                "tower at noon, oil, happy",
                "happy keep, oil of dawn",
                "happy tower, ink of dawn",
                "happy keep, oil of noon",
            ],
        ),
    ],
)
def test_old_files_at_each_of_their_switches(change: dict[str, Any], expected: list[str]) -> None:
    section = {
        key: {**value, **change.get(key, {})} if isinstance(value, dict) else change.get(key, value)
        for key, value in OLD.items()
    }
    before = json.dumps(section)
    assert prompts(plan(OLD_PACK, randomization=section)) == expected
    assert json.dumps(section) == before


def test_the_variants_of_old_files_are_axes() -> None:
    pipeline = {
        "model_matrix": ["xl", "sd15"],
        "hypernetworks": [{"name": "None"}, {"name": "soft", "strength": 0.5}],
    }
    made = plan("a house", preset={"pipeline": pipeline})
    assert list(zip(configs(made, "model"), prompts(made), strict=True)) == [
        (("xl",), "a house"),
        (("xl",), "a house <hypernet:soft:0.5>"),
        (("sd15",), "a house"),
        (("sd15",), "a house <hypernet:soft:0.5>"),
    ]
    assert [job.spec.needs.model for job in made.jobs] == ["xl", "xl", "sd15", "sd15"]
    turns = plan("a house", preset={"pipeline": {**pipeline, "variant_mode": "rotate"}}, count=3)
    assert [model for (model,) in configs(turns, "model")] == ["xl", "xl", "sd15"]
    assert after(turns) == {("rotate", "txt2img.model x hypernetwork"): {"next": 3, "of": 4}}
    with pytest.raises(UserError, match=r"preset p\.json: pipeline\.hypernetworks: \{'name': 3\} is not"):
        plan("a", preset={"pipeline": {"hypernetworks": [{"name": 3}]}})


def test_loops_of_old_files_are_ignored_and_said() -> None:
    pipeline = {"loop_type": "pipeline", "loop_count": 3, "images_per_prompt": 2}
    made = plan("a", preset={"pipeline": pipeline})
    assert len(made.jobs) == 2
    assert any(
        "pipeline.loop_count 3 is ignored" in warning and "--count" in warning for warning in made.warnings
    )
    assert plan("a", preset={"pipeline": {"loop_count": 1}}).warnings == ()


# --- axes -----------------------------------------------------------------------------------------------------


def test_axes_are_slots() -> None:
    section = {
        **matrix("fanout", style=["oil", "ink"], Steps=["5", "9"]),
        "axes": [{"field": "txt2img.cfg_scale", "values": [5, 7.5], "mode": "rotate"}],
    }
    made = plan("[[style]] house", randomization=section, axes=["size=512x768,768x512"])
    assert made.line.startswith("2 steps x 2 sizes x 2 styles = 8 images")
    found = list(zip(configs(made, "steps", "width", "height"), prompts(made), strict=True))
    assert found == [
        ((steps, *size), f"{style} house")
        for steps in (5, 9)
        for size in ((512, 768), (768, 512))
        for style in ("oil", "ink")
    ]
    assert [cfg for (cfg,) in configs(made, "cfg_scale")] == [5.0, 7.5] * 4
    assert made.jobs[1].spec.provenance["choices"] == [
        {"slot": "txt2img.cfg_scale", "mode": "rotate", "index": 1, "value": "7.5", "use": 1},
        {"slot": "txt2img.steps", "mode": "fanout", "index": 0, "value": "5"},
        {"slot": "txt2img.size", "mode": "fanout", "index": 0, "value": "512x768"},
        {"slot": "style", "mode": "fanout", "index": 1, "value": "ink"},
    ]
    assert made.jobs[-1].spec.needs.vram_bytes == 768 * 512


def test_a_matrix_slot_that_the_text_names_is_no_axis() -> None:
    section = matrix("fanout", steps=["few", "many"])
    assert prompts(plan("[[steps]] on a stair", randomization=section)) == ["few on a stair", "many on a stair"]
    two = plan("a stair\n\n[[Steps]]", rows="1", randomization=section)
    assert prompts(two) == ["a stair"], "whatever rows are run"
    with pytest.raises(
        UserError, match=r"preset p\.json: randomization\.matrix, value 1: txt2img\.steps: 'few' is no"
    ):
        plan("a stair", randomization=section)
    assert len(plan("a stair", randomization={"matrix": {**section["matrix"], "enabled": False}}).jobs) == 1
    inside = {**section, "wildcards": {"raw_text": "__w__: [[steps]]"}}
    assert prompts(plan("__w__", randomization=inside)) == ["few", "many"]


def test_tags_are_added_to_the_prompt_or_stand_where_the_text_names_them() -> None:
    made = plan(
        "a house\nneg: blur", axes=["lora=soft:0.8,none", "embedding=deep", "negative_embedding=bad:1.2"]
    )
    first = [(job.spec.stages[0].prompt, job.spec.stages[0].negative_prompt) for job in made.jobs]
    assert first == [("a house <lora:soft:0.8> deep", "blur (bad:1.2)"), ("a house  deep", "blur (bad:1.2)")]
    assert prompts(plan("[[lora]] a house", axes=['lora=["a:1, b:0.5"]'])) == [
        "<lora:a:1> <lora:b:0.5> a house"
    ]
    with pytest.raises(UserError, match=r"--axis lora: 'a\{b' is no LoRA; write NAME or NAME:WEIGHT"):
        plan("a", axes=["lora=a{b"])


def test_axes_of_later_stages_and_of_what_a_stage_adds_to_the_prompt() -> None:
    on = ["img2img.enabled=1"]
    made = plan("a {x|y}", sets=on, axes=["denoising_strength=0.2,0.4", "img2img.prompt_adjust=soft,sharp"])
    assert [
        (job.spec.stages[1].config["denoising_strength"], job.spec.stages[1].prompt[4:]) for job in made.jobs
    ] == [
        (0.2, "soft"),
        (0.2, "sharp"),
        (0.4, "soft"),
        (0.4, "sharp"),
    ]
    assert all(job.spec.stages[1].prompt.startswith(job.spec.stages[0].prompt) for job in made.jobs)
    with pytest.raises(UserError, match=r"img2img\.prompt_adjust, value 2: changes which slots the prompt"):
        plan("a {x|y}", sets=on, axes=["img2img.prompt_adjust=soft,{m|n}"])


def test_the_command_line_takes_the_place_of_an_axis_or_takes_it_out() -> None:
    section = {"axes": [{"field": "steps", "values": [1, 2, 3]}]}
    assert configs(plan("a", randomization=section, axes=["txt2img.steps=7,8:sequential"]), "steps") == [(7,)]
    assert configs(plan("a", randomization=section, axes=["steps="]), "steps") == [(20,)]
    assert configs(plan("a", axes=["steps=1,2:round_robin"], count=3), "steps") == [(1,), (2,), (1,)]
    assert prompts(plan("a", randomization={"axes": [{"field": "lora", "values": ["x"]}]}, axes=["lora="])) == [
        "a"
    ]


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ("cfg_scale=5,70", "--axis cfg_scale, value 2: txt2img.cfg_scale: '70' is out of range (1 to 30)"),
        ("steps", "--axis steps: write --axis FIELD=VALUE,VALUE"),
        ("stepz=1", "--axis stepz: no stage that runs has a setting 'stepz'; did you mean steps"),
        (
            "txt2img.stepz=1",
            "--axis txt2img.stepz: no stage that runs has a setting 'txt2img.stepz'; did you",
        ),
        ("foo.steps=1", "--axis foo.steps: there is no stage 'foo'"),
        (
            "img2img.steps=1",
            "--axis img2img.steps: img2img.steps cannot vary, img2img does not run; add --s",
        ),
        ("batch_size=1,2", "--axis batch_size: txt2img.batch_size says how many images are made"),
        ("size=512", "--axis size: '512' is no size; write WIDTHxHEIGHT"),
        ("size=512x513", "--axis size, value 1: txt2img.height: '513' is not a multiple of 8"),
        ("steps=[1,", "--axis steps=[1,: '[1,' is no JSON list"),
        ("seed=1,2", "--seed 5: --axis seed varies the seed; leave one out"),
    ],
)
def test_wrong_axes_are_refused_before_anything_runs(axis: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        plan("a", axes=[axis])
    assert str(caught.value).startswith(says), str(caught.value)


def test_a_setting_is_either_set_or_varied() -> None:
    with pytest.raises(UserError, match=r"--set txt2img\.steps: --axis steps varies it; leave one out"):
        plan("a", axes=["steps=1,2"], sets=["txt2img.steps=3"])
    with pytest.raises(UserError, match=r"--set txt2img\.width: --axis size varies it"):
        plan("a", axes=["size=64x64"], sets=["txt2img.width=64"])
    with pytest.raises(UserError, match=r"txt2img\.size and txt2img\.width both set txt2img\.width; keep one"):
        plan("a", axes=["width=64,128", "size=64x64"])
    twice = {"axes": [{"field": "steps", "values": [1]}, {"field": "txt2img.steps", "values": [2]}]}
    with pytest.raises(UserError, match=r"preset p\.json: randomization\.axes: txt2img\.steps varies already"):
        plan("a", randomization=twice)


def test_axes_do_not_change_what_the_text_draws() -> None:
    without = picks(plan("{a|b|c} __w__", count=6, randomization={"wildcards": {"raw_text": "w: 1|2|3|4"}}))
    with_it = picks(
        plan(
            "{a|b|c} __w__",
            count=6,
            randomization={"wildcards": {"raw_text": "w: 1|2|3|4"}},
            axes=["steps=1,2,3:random", "cfg_scale=5,6:rotate"],
        )
    )
    assert [{k: v for k, v in pick.items() if "txt2img" not in k} for pick in with_it] == without


# --- seeds ----------------------------------------------------------------------------------------------------


def test_seed_modes() -> None:
    def found(mode: str, **more: Any) -> list[int]:
        return seeds(plan("{!a|b|c}\n\nx", count=2, preset={"pipeline": {"seed_mode": mode}}, **more))

    assert found("per_image") == [5, 6, 7, 8, 9, 10, 5, 6]
    assert found("per_variant") == [5, 6, 6, 7, 7, 8, 5, 6]
    assert found("fixed") == [5] * 8
    drawn = plan("{!a|b}\n\nx", seed=-1, preset={"pipeline": {"seed_mode": "fixed"}})
    assert set(seeds(drawn)) == {draw_seed(drawn.plan_seed, 0)}
    assert drawn.jobs[0].spec.provenance["seed_mode"] == "fixed"


def test_a_later_stage_s_own_seed_moves_by_the_same_mode() -> None:
    made = plan(
        "{!a|b}",
        count=2,
        sets=["img2img.enabled=1", "img2img.seed=50"],
        preset={"pipeline": {"seed_mode": "per_variant"}},
    )
    assert [[stage.seed for stage in job.spec.stages] for job in made.jobs] == [
        [5, 50],
        [6, 51],
        [6, 51],
        [7, 52],
    ]


def test_a_fixed_seed_warns_of_images_that_would_be_one_picture() -> None:
    fixed = {"pipeline": {"seed_mode": "fixed"}}
    assert "will be one picture" in plan("x", count=2, preset=fixed).warnings[0]
    assert plan("x", count=1, preset=fixed).warnings == ()
    assert plan("{a|b}", count=2, preset=fixed).warnings == ()


@given(
    st.sampled_from(["per_image", "per_variant", "fixed"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 2**64 - 1),
)
def test_every_seed_follows_from_base_image_and_mode(mode: str, options: int, count: int, seed: int) -> None:
    pack = f"{{!{'|'.join(str(n) for n in range(options))}}}"
    made = plan(pack, count=count, seed=seed, preset={"pipeline": {"seed_mode": mode}})
    for job in made.jobs:
        combination, repeat = divmod(job.index, count)
        offset = {"per_image": job.index, "per_variant": combination + repeat, "fixed": 0}[mode]
        assert job.spec.stages[0].seed == job.spec.stages[0].config["seed"] == advance_seed(seed, offset)
        assert (job.spec.provenance["base_seed"], job.spec.provenance["seed_mode"]) == (seed, mode)


def test_the_same_seeds_for_each_combination_are_an_axis() -> None:
    made = plan("{!a|b}", seed=None, axes=["seed=7,9"])
    assert list(zip(prompts(made), seeds(made), strict=True)) == [("a", 7), ("b", 8), ("a", 11), ("b", 12)]
    fixed = plan("{!a|b}", seed=None, axes=["seed=7,9"], preset={"pipeline": {"seed_mode": "fixed"}})
    assert list(zip(prompts(fixed), seeds(fixed), strict=True)) == [("a", 7), ("b", 7), ("a", 9), ("b", 9)]


# --- everything at once ---------------------------------------------------------------------------------------

SIGNS = ["", "~", "!", "@"]
MODES = ["off", "fanout", "random", "sequential", "rotate", "least_used"]

texts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(SIGNS), st.integers(1, 3)).map(
            lambda it: f"{{{it[0]}{'|'.join('abc'[: it[1]])}}}"
        ),
        st.sampled_from(SIGNS).map(lambda sign: f"__{sign}hair__"),
        st.sampled_from(["[[time]]", "[[style]]", "word"]),
    ),
    min_size=1,
    max_size=4,
).map(" ".join)

sections = st.fixed_dictionaries(
    {
        "matrix": st.fixed_dictionaries(
            {
                "mode": st.sampled_from(MODES),
                "limit": st.integers(0, 5),
                "slots": st.just(
                    [
                        {"name": "time", "values": ["dawn", "noon"]},
                        {"name": "style", "values": ["oil", "ink", "{x|y}"]},
                    ]
                ),
            }
        ),
        "wildcards": st.fixed_dictionaries(
            {"mode": st.sampled_from(MODES), "raw_text": st.just("__hair__: blond | red | black")}
        ),
        "choices": st.fixed_dictionaries({"mode": st.sampled_from(MODES)}),
        "axes": st.lists(
            st.tuples(st.sampled_from([("steps", [1, 2]), ("cfg_scale", [5, 6, 7])]), st.sampled_from(MODES)),
            max_size=2,
            unique_by=lambda it: it[0][0],
        ).map(lambda found: [{"field": f, "values": v, "mode": mode} for (f, v), mode in found]),
    }
)


@given(
    pack=st.lists(texts, min_size=1, max_size=3).map("\n\n".join),
    section=sections,
    count=st.integers(1, 3),
    part=st.sampled_from([{}, {"limit": 3}, {"sample": 2}, {"limit": 9, "sample": 4}]),
    seed_mode=st.sampled_from(["per_image", "per_variant", "fixed"]),
    seed=st.integers(-1, 9),
)
@A_THIRD
def test_count_preview_and_queue_are_one_run_after_run(
    pack: str, section: dict[str, Any], count: int, part: dict[str, int], seed_mode: str, seed: int
) -> None:
    """Over three runs with all that is kept between them: the dry run shows the very jobs, and changes nothing;
    what each image takes is in its record, and makes it again."""
    more = {"randomization": section, "preset": {"pipeline": {"seed_mode": seed_mode}}}
    memory: Memory = {}
    for _ in range(3):
        kept = json.dumps(sorted(map(repr, memory.items())))
        shown = plan(pack, memory, count=count, seed=seed, **more, **part)
        preview = list(shown.jobs)
        assert json.dumps(sorted(map(repr, memory.items()))) == kept, "a dry run changes nothing"
        made = plan(pack, memory, count=count, seed=seed, **more, **part)
        queued = list(made.jobs)
        assert len(made.jobs) == len(queued)
        assert (queued, made.line, made.memory) == (preview, shown.line, shown.memory)
        assert [made.jobs[number] for number in range(len(queued))] == queued == list(made.jobs[:])
        assert list(made.jobs[1:4]) == queued[1:4]
        for job in queued[:3]:
            (again,) = replay_plan(job.spec.canonical(), "x.png", STAGES).jobs
            assert JobSpec.from_json(json.loads(again.spec.canonical())).canonical() == job.spec.canonical()
        memory = after(made, memory)
        json.dumps(list(memory.values()))
    whole = plan(pack, memory, count=count, seed=seed, **more)
    assert f"= {len(whole.jobs):,} image" in whole.line


@given(
    st.permutations(["{a|b|c}", "{@d|e}", "__w__", "[[m]]", "{2$$h|i}"]),
    st.integers(0, 5),
    st.integers(0, 2**53),
    st.sampled_from(["random", "rotate", "sequential", "least_used"]),
)
@A_THIRD
def test_a_slot_more_or_elsewhere_changes_no_other_pick(
    order: list[str], kept: int, seed: int, mode: str
) -> None:
    section = {
        "wildcards": {"mode": mode, "raw_text": "w: 1 | 2 | 3"},
        "matrix": {"slots": [{"name": "m", "values": ["x", "y", "z"], "mode": mode}]},
        "choices": {"mode": mode},
    }
    memory: Memory = {(mode, "m"): {"next": 2, "of": 3, "used": {"x": 2, "y": 1}}}

    def found(texts: list[str]) -> list[dict[str, int]]:
        return picks(plan(" ".join(["row", *texts]), memory, seed=seed, count=7, randomization=section))

    whole = found(["{a|b|c}", "{@d|e}", "__w__", "[[m]]", "{2$$h|i}"])
    for few, all_of_them in zip(found(order[:kept]), whole, strict=True):
        assert few == {slot: all_of_them[slot] for slot in few}
        assert len(few) == kept


def test_ten_thousand_of_a_trillion_stream_in_constant_memory() -> None:
    slots = {slot: [f"{slot}{option}" for option in range(10)] for slot in "abcdefghij"}
    text = " ".join(f"[[{slot}]]" for slot in slots)
    begun = time.thread_time()
    made = plan(
        text,
        randomization=matrix("fanout", **slots),
        axes=["steps=" + ",".join(map(str, range(1, 101)))],
        limit=10_000,
    )
    assert "= 1,000,000,000,000 images; the first 10,000 of them" in made.line
    assert time.thread_time() - begun < SOON
    for job in itertools.islice(made.jobs, 100):
        assert job.spec.stages[0].prompt
    tracemalloc.start()
    try:
        numbers = (job.index for job in made.jobs)
        for number in numbers:
            if not number % 1000:
                gc.collect()  # what lies in reference cycles is no memory that is held
        assert number == 9_999
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 300_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
