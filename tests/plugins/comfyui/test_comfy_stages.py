"""The stages comfy_workflow and comfy_image."""

from __future__ import annotations

import json
from typing import Any

import pytest
from comfy_kit import small_graph
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.fake_comfyui import FakeComfyUI

from stablenew_api.backend import WorkflowRequest
from stablenew_api.errors import StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.stage import Phase, StageImage
from stablenew_api.testing import FakeBackend, FakeStageContext, check_stage, sample_image
from stablenew_plugins.backends.comfyui import ComfyBackend
from stablenew_plugins.stages.comfy_workflow import ComfyImage, ComfyWorkflow, fill, read_workflow


def graph(**inputs: Any) -> dict[str, Any]:
    """A graph with some inputs of the sampler and the prompt replaced."""
    made = small_graph()
    for name, value in inputs.items():
        (node,) = [node for node in made.values() if name in node["inputs"]][:1]
        node["inputs"][name] = value
    return made


TEMPLATE = graph(text="%prompt%, %style%", seed="%seed%", width="%width%", height="%height%")
TEMPLATE["3"]["inputs"]["text"] = "%negative_prompt%"
ON_IMAGE = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "%image%"}},
    "2": {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["1", 0],
            "upscale_method": "area",
            "width": "%width%",
            "height": "%height%",
            "crop": "disabled",
        },
    },
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}
CONFIG = {"workflow": TEMPLATE, "values": {"style": "ink"}, "width": 64, "height": 64}


def test_contract(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    check_stage(ComfyWorkflow, config=CONFIG)
    check_stage(ComfyImage, config={"workflow": ON_IMAGE})
    check_stage(ComfyImage, config={"workflow": ON_IMAGE}, images=[sample_image(), sample_image(32, 32)])
    fake.cache = False
    check_stage(ComfyImage, config={"workflow": ON_IMAGE}, backend=backend)
    assert ComfyWorkflow.phase == Phase.GENERATE
    assert ComfyImage.phase == Phase.REFINE


def sent(config: dict[str, Any], **context: Any) -> WorkflowRequest:
    backend = FakeBackend()
    ctx = FakeStageContext(backend=backend, **context)
    ComfyWorkflow().run(ctx, ComfyWorkflow.Config.model_validate(config), [])
    (request,) = backend.requests
    assert isinstance(request, WorkflowRequest)
    return request


def test_placeholders_are_filled_with_their_own_types() -> None:
    made = sent(CONFIG, prompt="a %seed% [b]", seed=2**64 - 1).graph
    assert made["2"]["inputs"]["text"] == "a %seed% (b:0.909), ink"  # what is filled in is not read again
    assert made["3"]["inputs"]["text"] == "blurry"
    assert made["5"]["inputs"]["seed"] == 2**64 - 1
    assert made["4"]["inputs"] == {"width": 64, "height": 64, "batch_size": 1}
    assert TEMPLATE["5"]["inputs"]["seed"] == "%seed%"


def test_values_keep_their_types_too() -> None:
    made = sent({"workflow": graph(steps="%steps%"), "values": {"steps": 7}}).graph
    assert made["5"]["inputs"]["steps"] == 7


def test_the_model_is_told_and_filled_in() -> None:
    config = {"workflow": graph(ckpt_name="%model%"), "model": "dreamshaper.safetensors"}
    request = sent(config)
    assert request.model == "dreamshaper.safetensors"
    assert request.graph["1"]["inputs"]["ckpt_name"] == "dreamshaper.safetensors"
    needs = ComfyWorkflow.needs(ComfyWorkflow.Config.model_validate(config))
    assert needs.model == "dreamshaper.safetensors"
    assert needs.features == {"workflow"}


def test_percent_signs_and_names_of_files_stay() -> None:
    made = sent(
        {"workflow": graph(text="100%% of 50% and %prompt%", filename_prefix="%date:yyyy%/%width%-%seed%")}
    )
    assert made.graph["2"]["inputs"]["text"] == "100% of 50% and a lighthouse at dawn"
    assert made.graph["7"]["inputs"]["filename_prefix"] == "%date:yyyy%/%width%-1"


def test_what_is_a_node_in_comfyui_is_refused_in_a_prompt() -> None:
    for prompt in ("a <lora:ink:1>", "a AND b", "a BREAK b"):
        with pytest.raises(StageFailure, match="has a LoRA, AND or BREAK") as caught:
            sent(CONFIG, prompt=prompt)
        assert caught.value.kind == FailureKind.BAD_INPUT
    raw = sent({**CONFIG, "prompt_syntax": "comfyui"}, prompt="a <lora:ink:1> [b]")
    assert raw.graph["2"]["inputs"]["text"] == "a <lora:ink:1> [b], ink"


def test_an_empty_workflow_is_told_when_it_runs() -> None:
    with pytest.raises(StageFailure, match=r"comfy_workflow\.workflow: is empty; give a file with --set"):
        sent({})


UI_FORMAT = {"last_node_id": 9, "nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4}


@pytest.mark.parametrize(
    ("workflow", "text"),
    [
        ("{no json", "is no JSON"),
        (json.dumps(UI_FORMAT), r"not in API format; in ComfyUI choose Workflow, Export \(API\)"),
        ([1, 2], "must be a JSON object of nodes"),
        ({"1": {"type": "KSampler"}}, "node 1: has no class_type"),
        ({"1": {"class_type": "SaveImage", "inputs": []}}, "node 1: its inputs are no object"),
        ({"1": {"class_type": "KSampler", "inputs": {}}}, "saves no image; add a SaveImage"),
        (graph(images=["99", 0]), "node 7: images is linked to node 99, which is not there"),
        (graph(text="%prmopt%"), r"node 2: text uses %prmopt%, which has no value; there are .*%prompt%"),
        (ON_IMAGE, "uses %image%, and this stage makes its picture from nothing; use the stage comfy_image"),
    ],
)
def test_bad_workflows_are_explained(workflow: Any, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ComfyWorkflow.Config.model_validate({"workflow": workflow})


@pytest.mark.parametrize(
    ("workflow", "text"),
    [
        (small_graph(), "no node uses %image%, so the picture would be lost"),
        ({**ON_IMAGE, "1": {"class_type": "LoadImage", "inputs": {"image": "x/%image%"}}}, "and nothing else"),
    ],
)
def test_bad_workflows_on_images_are_explained(workflow: Any, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ComfyImage.Config.model_validate({"workflow": workflow})


def test_json_text_and_what_was_sent_to_comfyui_are_taken() -> None:
    plain = small_graph()
    assert read_workflow(json.dumps(plain)) == plain
    assert read_workflow({"prompt": plain, "client_id": "x"}) == plain
    titled = {node: {**value, "_meta": {"title": "x"}} for node, value in plain.items()}
    assert read_workflow(titled) == plain
    assert read_workflow(" ") == {}


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers() | st.text(max_size=8), min_size=3),
    st.lists(st.sampled_from(["%a%", "%b%", "%%", "x", "%", " "]), max_size=6),
)
def test_filling_in_reads_every_piece_once(values: dict[str, Any], pieces: list[str]) -> None:
    filled = fill({"1": {"class_type": "X", "inputs": {"text": "|".join(pieces)}}}, values)["1"]["inputs"][
        "text"
    ]
    table = {"%a%": str(values["a"]), "%b%": str(values["b"]), "%%": "%"}
    if len(pieces) == 1 and pieces[0] in ("%a%", "%b%"):
        assert filled == values[pieces[0][1]]
    else:
        assert filled == "|".join(table.get(piece, piece) for piece in pieces)


def test_end_to_end(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    ctx = FakeStageContext(backend=backend, seed=5)
    (made,) = ComfyWorkflow().run(ctx, ComfyWorkflow.Config.model_validate(CONFIG), [])
    assert made.image.size == (64, 64)
    assert made.info["Seed"] == 5
    assert ctx.steps[-1][0] == ctx.steps[-1][1]
    given_image = StageImage(sample_image(40, 24), {"Seed": 5})
    (changed,) = ComfyImage().run(ctx, ComfyImage.Config.model_validate({"workflow": ON_IMAGE}), [given_image])
    assert pixel_sha256(changed.image) == pixel_sha256(given_image.image)
    assert changed.info["Seed"] == 5
