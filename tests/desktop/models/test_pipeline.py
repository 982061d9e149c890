"""The pipeline: what is set on a card is what the planned job carries."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.desktop.desk_kit import Clock, make_desk
from tests.desktop.models.pipeline_kit import HOST, Kernel

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.cards import offered, schema_of
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import PipelineSettings
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_kernel.hub import views
from stablenew_plugins.desktop.models.pipeline.cards import Card, Field, card_of, fields_of, run_schema
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.pipelinevalues import QUIET
from stablenew_plugins.desktop.models.pipeline.postorder import POST_ORDER
from stablenew_plugins.desktop.models.pipeline.sizes import shape_of, sizes_like
from stablenew_plugins.desktop.models.pipeline.summary import summary
from stablenew_plugins.desktop.models.pipeline.values import cleaned, problem_of, read, written
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import kernel_pb2 as pb

STAGES = HOST.stages
PRESETS: Mapping[str, Mapping[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (Path(__file__).parents[3] / "presets").glob("*.json")
}
CARDS = [card_of(views.stage(kind, "stablenew")) for kind in offered(STAGES)]
FIELDS = [one for card in CARDS for one in card.fields]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def shared(folder: Path) -> PipelineModel:
    """One for all examples of a property, which take it back to the preset."""
    return model_of(folder)


def model_of(folder: Path, *, draw: Callable[[], int] = lambda: 77) -> PipelineModel:
    """With the kernel's answers in it, and the preset full."""
    desk = make_desk(folder)
    model = PipelineModel(desk, draw)
    model.load()
    desk.state.connected(Kernel(desk.data), pb.GetStatusResponse())  # type: ignore[arg-type]
    settle(model)
    return model


def settle(model: PipelineModel) -> None:
    clock = model._desk.clock
    assert isinstance(clock, Clock)
    clock.move(QUIET + 5)
    model.tick()


def planned(model: PipelineModel) -> Mapping[str, Any]:
    """The spec of the first job that the kernel plans of what the model asks for."""
    request = pb.RunRequest()
    model.apply(request)
    plan = plan_run(
        PlanRequest(
            parse_pack("demo.txt", b"red\n"),
            preset=PRESETS[request.preset],
            preset_name=request.preset,
            sets=tuple(request.sets),
        ),
        STAGES,
        rng=Random(1),
        randomizers=HOST.randomizers,
    )
    spec: Mapping[str, Any] = json.loads(plan.jobs[0].spec.canonical())
    return spec


def refused_or_planned(model: PipelineModel) -> tuple[Mapping[str, Any], str]:
    """The spec, or why there is none."""
    try:
        return planned(model), ""
    except UserError as error:
        return {}, str(error)


def config(spec: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    return next(one["config"] for one in spec["stages"] if one["name"] == stage)


# --- what is set arrives --------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def values_of(one: Field) -> st.SearchStrategy[Any]:
    """Values that a person could give to a setting."""
    if one.kind == "switch":
        return st.booleans()
    if one.kind in ("whole", "seed"):
        step = int(one.step) or 1
        least, most = int(one.least or 0), int(one.most or 2**40)
        return st.integers(-(-least // step), most // step).map(lambda number: number * step)
    if one.kind == "number":
        return st.floats(one.least, one.most, exclude_min=one.is_above, allow_nan=False)
    if one.kind == "option":
        return st.sampled_from(one.options)
    if one.kind == "colour":
        return st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
    if one.kind in ("choices", "list"):
        return st.lists(TEXTS.filter(lambda text: text.strip() != ""), max_size=4)
    if one.kind == "json":
        return st.just([]) if isinstance(one.default, list) else st.dictionaries(TEXTS, JSON, max_size=3)
    # Braces and underscores in a prompt are the randomizer's: what becomes of them is not what is set.
    return TEXTS.filter(lambda text: not set("_{}$\\") & set(text)) if one.kind == "lines" else TEXTS


def turned_on(model: PipelineModel, one: Field) -> None:
    """Whatever ``one`` needs to have an effect."""
    if not model.is_on(one.stage):
        model.switch(one.stage, True)
    card = model.card(one.stage)
    assert card is not None
    master = card.by_key(one.master)
    if master is None or one.is_active(model.values(one.stage)):
        return
    wanted: JsonValue = {"switch": True, "number": 0.5, "whole": 1}.get(master.kind, one.wanted or "something")
    model.set(master.name, wanted)


@settings(deadline=None)
@given(st.data())
def test_what_is_set_is_what_the_job_carries(shared: PipelineModel, data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(FIELDS).filter(lambda one: one.key not in _ELSEWHERE))
    value = data.draw(values_of(one))
    model = shared
    model.choose_preset("full")
    model.revert()
    turned_on(model, one)
    model.set(one.name, value)
    assume(one.name not in model.drafts)
    expected = cleaned(one, value)
    assert model.value(one.name) == expected
    spec, problem = refused_or_planned(model)
    if problem:
        # A stage may know more than its schema says, such as what a workflow must have; it names the setting.
        assert one.name in problem, (one.name, problem)
        assert one.kind in ("json", "text", "choice", "list"), problem
        return
    if one.key == "seed":
        own = spec["stages"][0]["seed"] if one.stage == spec["stages"][0]["name"] else None
        assert own in (None, expected) or expected == -1
        return
    found = config(spec, one.stage)[one.key]
    same = math.isclose(found, expected) if isinstance(expected, float) else found == expected
    assert same, (one.name, found, expected)


_ELSEWHERE = frozenset({"batch_size", "batch_count", "fault"})
"""Settings that the plan takes in before there is a job; ``fault`` is for tests, and has a form of its own."""


@pytest.mark.parametrize(
    ("stage", "on"),
    [(card.name, on) for card in CARDS for on in (True, False) if not card.name.startswith("comfy")],
)
def test_switches_arrive(folder: Path, stage: str, on: bool) -> None:
    model = model_of(folder)
    model.revert()
    model.switch(stage, on)
    if stage == "txt2img" and not on:
        settle(model)
        assert model.unplaced_refusal
        return
    names = [one["name"] for one in planned(model)["stages"]]
    assert (stage in names) == on


@settings(deadline=None)
@given(st.permutations([card.name for card in CARDS if card.is_post]), st.sets(st.integers(0, 7)))
def test_the_order_of_post_processors_arrives(shared: PipelineModel, order: list[str], on: set[int]) -> None:
    model = shared
    model.choose_preset("full")
    model.revert()
    for number, name in enumerate(order):
        model.switch(name, number in on)
    model.set(POST_ORDER, list(order))
    expected = [name for number, name in enumerate(order) if number in on]
    assert [card.name for card in model.posts] == order
    assert [one["name"] for one in planned(model)["stages"] if one["name"] in order] == expected


def test_nothing_is_changed_as_long_as_nobody_changes_anything(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    request = pb.RunRequest()
    model.apply(request)
    assert (request.preset, list(request.sets)) == ("full", [])
    for card in model.cards:
        for one in card.fields:
            assert not problem_of(one, model.value(one.name)), one.name


# --- values ---------------------------------------------------------------------------------------------------


def test_values_are_those_of_the_preset_and_sources_are_told(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    assert model.value("txt2img.steps") == 30
    assert model.source("txt2img.steps") == "preset full.json"
    assert model.value("adetailer.adetailer_steps") == 12  # of a stage that is off, too
    assert model.value("color_grade.gamma") == 1.0
    assert model.is_on("upscale")
    assert not model.is_on("adetailer")


def test_a_value_as_in_the_preset_is_no_change(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    model.set("txt2img.steps", 31)
    assert model.changes == {"txt2img.steps": 31}
    assert model.changed_in("txt2img") == 1
    model.set("txt2img.steps", 30)
    assert model.changes == {}
    model.set_all({"txt2img.steps": 30}, pin=True)
    assert model.sets() == ("txt2img.steps=30",)
    model.reset("txt2img.steps")
    assert model.changes == {}


def test_a_value_that_cannot_be_is_a_draft_and_is_not_sent(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    model.type("txt2img.width", "700")
    assert "multiple of 8" in model.problem("txt2img.width")
    assert model.drafts["txt2img.width"].text == "700"
    assert model.sets() == ()
    assert model.value("txt2img.width") == 768
    model.type("txt2img.width", "wide")
    assert model.problem("txt2img.width")
    model.type("txt2img.width", "704")
    assert not model.problem("txt2img.width")
    assert model.sets() == ("txt2img.width=704",)


def test_what_is_off_is_not_sent_and_not_lost(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    model.set("color_grade.gamma", 1.5)
    assert model.sets() == ()
    assert model.sets(all_of_them=True) == ("color_grade.gamma=1.5",)
    model.switch("color_grade", True)
    assert "color_grade.gamma=1.5" in model.sets()


def test_stages_of_one_kind_take_turns(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    model.switch("comfy_workflow", True)
    assert not model.is_on("txt2img")
    model.undo()
    assert model.is_on("txt2img")
    assert not model.is_on("comfy_workflow")


def test_the_kernels_refusal_stands_at_its_field(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    model.refusal = "--set txt2img.steps: '999' is out of range (1 to 150)"
    assert model.problem("txt2img.steps") == "'999' is out of range (1 to 150)"
    assert not model.problem("img2img.steps")
    assert not model.unplaced_refusal
    model.refusal = "no stage is enabled; turn one on"
    assert model.unplaced_refusal == model.refusal


def test_undo_and_redo(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    clock = model._desk.clock
    assert isinstance(clock, Clock)
    before = len(model._history)
    for steps in (31, 32, 33):
        model.set("txt2img.steps", steps)
    assert len(model._history) == before + 1  # one slider, dragged
    clock.move(10)
    model.set("txt2img.steps", 40)
    model.choose_preset("quick")
    assert model.changes == {}
    model.undo()
    assert (model.preset, model.value("txt2img.steps")) == ("full", 40)
    model.undo()
    assert model.value("txt2img.steps") == 33
    model.undo()
    assert model.value("txt2img.steps") == 30
    model.redo()
    assert model.value("txt2img.steps") == 33


def test_preset_and_changes_are_remembered(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    model.choose_preset("quick")
    model.set("txt2img.steps", 12)
    model._desk.remembered.save()
    again = model_of(tmp_path)
    assert (again.preset, dict(again.changes)) == ("quick", {"txt2img.steps": 12})


def test_the_plan_is_asked_for_when_what_is_sent_changes(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    before = model.plan_revision
    model.set("color_grade.gamma", 2.0)  # off
    assert model.plan_revision == before
    model.set("txt2img.steps", 21)
    assert model.plan_revision == before + 1


def test_a_kernel_that_comes_back_changes_no_card(folder: Path) -> None:
    model = model_of(folder)
    before = model.cards_revision
    model.load()
    assert model.cards_revision == before


def test_seeds_are_drawn_locked_and_let_go(folder: Path) -> None:
    model = model_of(folder, draw=lambda: 4711)
    model.revert()
    model.lock_seed("txt2img.seed")
    assert model.value("txt2img.seed") == 4711
    model.lock_seed("txt2img.seed")
    assert model.value("txt2img.seed") == -1
    assert not model.is_changed("txt2img.seed")


def test_moving_post_processors(folder: Path) -> None:
    model = model_of(folder)
    model.revert()
    assert [card.name for card in model.posts][:2] == ["sharpen", "frame"]
    model.move("frame", -1)
    assert [card.name for card in model.posts][:2] == ["frame", "sharpen"]
    model.move_to("frame", "sharpen")
    assert not model.changes


def test_names_are_those_of_nodes_that_are_there(folder: Path) -> None:
    model = model_of(folder)
    model.revert()

    def node(name: str, state: str, **lists: list[str]) -> pb.Node:
        return pb.Node(
            node_id=name,
            state=state,
            info=link.NodeInfo(name=name, backend=link.BackendInfo(**lists)),  # type: ignore[arg-type]
        )

    state = model._desk.state
    state.news(
        pb.WatchResponse(
            nodes=[
                node(
                    "a", "online", samplers=["DPM++ 2M", "Euler"], models=["xl/jugger.safetensors [0123456789]"]
                ),
                node("b", "online", samplers=["Euler", "UniPC"]),
                node("c", "offline", samplers=["Gone"]),
            ]
        )
    )
    model.tick()
    assert model.names("samplers") == ["DPM++ 2M", "Euler", "UniPC"]
    sampler, checkpoint = model.field("txt2img.sampler_name"), model.field("txt2img.model")
    assert sampler is not None
    assert checkpoint is not None
    assert not model.is_missing(sampler)
    assert not model.is_missing(checkpoint)
    model.set_all({"txt2img.sampler_name": "Gone", "txt2img.model": "Jugger"})
    assert model.is_missing(sampler)
    assert not model.is_missing(checkpoint)


# --- cards ----------------------------------------------------------------------------------------------------


def test_the_card_of_the_run_has_what_the_kernel_has() -> None:
    schema = PipelineSettings.model_json_schema()["properties"]
    for one in fields_of("pipeline", run_schema()):
        theirs = fields_of("pipeline", {"properties": {one.key: schema[one.key]}})[0]
        assert (one.kind, one.default, one.least, one.most, one.options) == (
            theirs.kind,
            theirs.default,
            theirs.least,
            theirs.most,
            theirs.options,
        ), one.key


def test_cards_have_a_field_for_every_setting() -> None:
    for kind, card in zip(offered(STAGES), CARDS, strict=True):
        assert [one.key for one in card.fields] == list(schema_of(kind)["properties"])
    txt2img = CARDS[0]
    groups = {group.master.key: [one.key for one in group.fields] for group in txt2img.groups}
    assert set(groups) == {"enable_hr", "refiner_checkpoint", "face_restoration_enabled", "hypernetwork"}
    assert "hr_scale" in groups["enable_hr"]


@given(st.sampled_from(FIELDS), st.data())
def test_what_is_written_can_be_read(one: Field, data: st.DataObject) -> None:
    value = cleaned(one, data.draw(values_of(one)))
    assume(one.kind not in ("switch", "number") and not problem_of(one, value))
    assume(not isinstance(value, list) or all(len(str(part).splitlines()) == 1 for part in value))
    assert read(one, written(one, value)) == value


@given(st.sampled_from([one for one in FIELDS if one.is_ranged]), st.data())
def test_what_a_slider_gives_is_a_value(one: Field, data: st.DataObject) -> None:
    raw = data.draw(st.floats(one.least, one.most))
    assert not problem_of(one, one.rounded(raw))


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_shapes_keep_the_number_of_pixels(width: int, height: int) -> None:
    for shape, wide, high in sizes_like(width, height):
        assert wide % 8 == 0 == high % 8
        assert wide * high == pytest.approx(width * height, rel=0.2)
        assert shape_of(wide, high) in (shape, "") or wide < 200 or high < 200


def test_summaries() -> None:
    def line(stage: str, **values: JsonValue) -> str:
        card = next(card for card in CARDS if card.name == stage)
        return summary(card, {**{one.key: one.default for one in card.fields}, **values})

    assert line("txt2img", steps=32, cfg_scale=6.5, width=1344, height=768) == (
        "DPM++ 2M  ·  32 steps  ·  CFG 6.5  ·  1344 × 768"
    )
    assert line("txt2img", model="xl/jugger.safetensors", enable_hr=True).startswith("jugger  ·  ")
    assert line("upscale") == "Lanczos  ·  2×  ·  single"
    assert line("frame") == "gallery  ·  mat width 8 %"
    for card in CARDS:
        assert summary(card, {one.key: one.default for one in card.fields}) or card.name.startswith("comfy")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("size",), "size 3"),
        (("height",), "height 3"),
        (("width",), "width 3"),
        (("width", "height"), "3 × 3"),
        (("width", "height", "size"), "3 × 3  ·  size 3"),
    ],
)
def test_a_strangers_settings_are_summed_up_whatever_they_are_called(keys: Sequence[str], line: str) -> None:
    schema = {"properties": {key: {"type": "integer", "default": 3} for key in keys}}
    card = card_of(pb.Stage(name="x", phase="post", schema_json=json.dumps(schema).encode()))
    assert summary(card, dict.fromkeys(keys, 3)) == line


def test_a_stage_with_settings_nobody_knows_still_has_a_card() -> None:
    schema = {
        "properties": {"odd": {"oneOf": [{"type": "null"}, {"type": "integer"}]}, "tags": {"type": "array"}}
    }
    card: Card = card_of(pb.Stage(name="x", phase="post", schema_json=json.dumps(schema).encode()))
    assert [(one.key, one.kind, one.title) for one in card.fields] == [
        ("odd", "json", "Odd"),
        ("tags", "json", "Tags"),
    ]
    assert card_of(pb.Stage(name="y")).fields == ()
