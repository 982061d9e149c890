"""Plans and graphs: names, steps, and what is linked to what. ``golden_graphs.json`` has the graphs as they are
sent; ``UPDATE_GOLDEN=1`` writes it anew."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from comfy_kit import INVENTORY, img2img, txt2img, upscale
from hypothesis import given
from hypothesis import strategies as st
from tests.support.comfy_nodes import NODES, described
from tests.support.comfy_nodes import SAMPLERS as COMFY_SAMPLERS
from tests.support.comfy_nodes import SCHEDULERS as COMFY_SCHEDULERS

from stablenew_api.backend import Feature, Hires, Refiner
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.comfyui.graph import (
    Graph,
    completed,
    img2img_graph,
    txt2img_graph,
    upscale_graph,
    with_prefix,
)
from stablenew_plugins.backends.comfyui.infotext import sampling_info
from stablenew_plugins.backends.comfyui.inventory import Inventory
from stablenew_plugins.backends.comfyui.names import (
    SAMPLERS,
    SCHEDULERS,
    find_file,
    sampler_names,
    sampler_title,
    sampling_names,
    scheduler_label,
    scheduler_names,
)
from stablenew_plugins.backends.comfyui.plan import (
    find_enlarger,
    plan_img2img,
    plan_txt2img,
    plan_upscale,
)

GOLDEN = Path(__file__).with_name("golden_graphs.json")

REFINED = Refiner("sd_xl_refiner_1.0", 0.8)


def made(request: Any) -> Graph:
    return txt2img_graph(plan_txt2img(request, INVENTORY), "stablenew/id")


CASES: dict[str, Any] = {
    "txt2img": lambda: made(txt2img()),
    "txt2img, all settings": lambda: made(
        txt2img(
            prompt="a BREAK b <lora:ink:0.7:0.5> AND c :0.5",
            negative_prompt="easynegative",
            model="juggernaut",
            vae="vae-ft-mse",
            clip_skip=2,
            sampler="DPM++ 2M",
            hypernetwork="paint",
            hypernetwork_strength=0.5,
        )
    ),
    "refiner": lambda: made(txt2img(steps=10, refiner=REFINED)),
    "hires on latents": lambda: made(txt2img(hires=Hires("Latent", 0.7))),
    "hires, another of everything": lambda: made(
        txt2img(
            hires=Hires(
                "4x-UltraSharp",
                0.5,
                width=160,
                height=128,
                steps=6,
                sampler="Euler a",
                scheduler="Karras",
                model="juggernaut",
            )
        )
    ),
    "hires with a refiner": lambda: made(
        txt2img(steps=10, refiner=Refiner("sd_xl_refiner_1.0", 0.5), hires=Hires("Lanczos", 0.5))
    ),
    "hires without a second pass": lambda: made(txt2img(hires=Hires("Lanczos", 0.0))),
    "img2img": lambda: img2img_graph(plan_img2img(img2img(), INVENTORY), "stablenew/id", "stablenew/a.png"),
    "inpaint": lambda: img2img_graph(
        plan_img2img(img2img(denoising_strength=1.0), INVENTORY), "stablenew/id", "a.png", "mask.png"
    ),
    "upscale by resampling": lambda: upscale_graph(plan_upscale(upscale(), INVENTORY), "stablenew/id", "a.png"),
    "upscale by a network": lambda: upscale_graph(
        plan_upscale(upscale(upscaler="4x-UltraSharp", scale=1.5), INVENTORY), "stablenew/id", "a.png"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_graphs_are_as_written_down(name: str) -> None:
    graph = CASES[name]()
    shown = {"nodes": graph.nodes, "steps": graph.steps}
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        golden[name] = shown
        text = json.dumps(golden, indent=1, ensure_ascii=False, sort_keys=True)
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    assert shown == golden[name]


@pytest.mark.parametrize("name", CASES)
def test_every_input_is_there_and_of_its_type(name: str) -> None:
    nodes = CASES[name]().nodes
    for node, value in nodes.items():
        kind = NODES[value["class_type"]]
        assert value["inputs"].keys() == kind.required.keys(), node
        for key, given_value in value["inputs"].items():
            spec = kind.required[key]
            if isinstance(given_value, list):
                assert NODES[nodes[given_value[0]]["class_type"]].output[given_value[1]] == spec[0]
                assert int(given_value[0]) < int(node)
            elif isinstance(spec[0], list) and spec[0]:
                assert given_value in spec[0]
            elif spec[0] == "INT":
                assert isinstance(given_value, int)
                assert spec[1].get("min", given_value) <= given_value <= spec[1].get("max", given_value)


def samplers(graph: Graph) -> list[dict[str, Any]]:
    return [node["inputs"] for node in graph.nodes.values() if node["class_type"].startswith("KSampler")]


def test_the_refiner_takes_over_at_its_part_of_the_steps() -> None:
    base, refiner = samplers(made(txt2img(steps=10, refiner=REFINED)))
    assert (base["start_at_step"], base["end_at_step"], base["return_with_leftover_noise"]) == (0, 8, "enable")
    assert (refiner["start_at_step"], refiner["add_noise"]) == (8, "disable")
    assert base["model"] != refiner["model"]
    assert base["positive"] != refiner["positive"]  # encoded by its own text encoder
    (alone,) = samplers(made(txt2img(refiner=Refiner("sd_xl_refiner_1.0", 1.0))))
    assert alone["steps"] == 4
    (all_steps,) = samplers(made(txt2img(refiner=Refiner("sd_xl_refiner_1.0", 0.0))))
    assert all_steps["model"] != alone["model"]


@pytest.mark.parametrize(
    ("steps", "strength", "start"),
    [(20, 1.0, 0), (20, 0.5, 9), (20, 0.35, 12), (20, 0.05, 18), (20, 0.001, 19), (1, 0.5, 0), (150, 0.9, 14)],
)
def test_img2img_makes_as_many_steps_as_a1111(steps: int, strength: float, start: int) -> None:
    plan = plan_img2img(img2img(steps=steps, denoising_strength=strength), INVENTORY)
    assert (plan.first.steps, plan.first.start) == (steps, start)
    assert plan.first.made == min(steps, int(min(strength, 0.999) * steps) + 1)


@given(st.integers(1, 150), st.floats(0.001, 1), st.integers(0, 150), st.floats(0, 1))
def test_the_second_pass_makes_its_steps_whatever_its_strength(
    steps: int, strength: float, own: int, switch: float
) -> None:
    request = txt2img(
        steps=steps, hires=Hires("Latent", strength, steps=own), refiner=Refiner("juggernaut", switch)
    )
    plan = plan_txt2img(request, INVENTORY)
    assert plan.hires is not None
    second = plan.hires.sampling
    assert second is not None
    assert second.made == (own or steps)
    graph = txt2img_graph(plan, "p")
    assert sum(graph.steps.values()) == steps + (own or steps)
    spans = [(item["start_at_step"], item["end_at_step"]) for item in samplers(graph) if "add_noise" in item]
    for (_, end), (start, _) in pairwise(spans):
        assert end == start


def test_and_is_what_a1111_computes() -> None:
    """cfg x mean of the weighted predictions = sum of cfg x weight x prediction."""
    (sampler,) = samplers(made(txt2img(prompt="a AND b", cfg_scale=7.0)))
    assert sampler["cfg"] == 14.0
    graph = made(txt2img(prompt="a AND b :0.5", cfg_scale=8.0))
    (sampler,) = samplers(graph)
    assert sampler["cfg"] == 12.0
    strengths = [
        node["inputs"]["strength"]
        for node in graph.nodes.values()
        if node["class_type"] == "ConditioningSetAreaStrength"
    ]
    assert strengths == [1.0, 0.5]


def test_the_graph_is_the_same_but_for_the_name_of_the_file() -> None:
    plan = plan_txt2img(txt2img(hires=Hires("Lanczos", 0.5)), INVENTORY)
    first, second = txt2img_graph(plan, "stablenew/a").nodes, txt2img_graph(plan, "stablenew/b").nodes
    different = [node for node in first if first[node] != second[node]]
    assert [first[node]["class_type"] for node in different] == ["SaveImage"]


def test_seeds_of_64_bits_go_through() -> None:
    (sampler,) = samplers(made(txt2img(seed=2**64 - 1)))
    assert sampler["seed"] == 2**64 - 1


def test_inputs_that_a_newer_version_adds_get_their_defaults() -> None:
    nodes = described(False, False)
    wanted = nodes["KSampler"]["input"]["required"]
    wanted["eta"] = ["FLOAT", {"default": 0.5}]
    wanted["mode"] = [["fast", "slow"]]
    graph = completed(made(txt2img()), Inventory(nodes))
    (inputs,) = samplers(graph)
    assert (inputs["eta"], inputs["mode"], inputs["steps"]) == (0.5, "fast", 4)
    assert completed(made(txt2img()), INVENTORY).nodes == made(txt2img()).nodes
    wanted["magic"] = ["MAGIC"]
    with pytest.raises(StageFailure, match=r"KSampler \(node 5\) wants an input 'magic'"):
        completed(made(txt2img()), Inventory(nodes))


def test_workflows_get_files_of_new_names() -> None:
    nodes = {
        "1": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "mine/x"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    marked = with_prefix(nodes, "abc")
    assert marked["1"]["inputs"]["filename_prefix"] == "mine/x-abc"
    assert marked["2"] == nodes["2"]
    kept = with_prefix(nodes, "abc", keep=True)
    assert kept["2"]["class_type"] == "SaveImage"
    assert nodes["1"]["inputs"]["filename_prefix"] == "mine/x"


# --- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "scheduler", "wanted"),
    [
        ("DPM++ 2M", "Karras", ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "Automatic", ("dpmpp_2m", "karras")),
        ("DPM++ 2M SDE", "Automatic", ("dpmpp_2m_sde", "exponential")),
        ("Euler a", "Automatic", ("euler_ancestral", "normal")),
        ("euler A", "sgm uniform", ("euler_ancestral", "sgm_uniform")),
        ("Euler", "Uniform", ("euler", "normal")),
        ("DPM++ 2M Karras", "Automatic", ("dpmpp_2m", "karras")),
        ("DPM++ SDE Karras", "Beta", ("dpmpp_sde", "beta")),
        ("DDIM", "Automatic", ("ddim", "ddim_uniform")),
        ("dpmpp_2m", "karras", ("dpmpp_2m", "karras")),
        ("res_multistep", "Automatic", ("res_multistep", "normal")),
    ],
)
def test_samplers_and_schedulers(sampler: str, scheduler: str, wanted: tuple[str, str]) -> None:
    assert sampling_names(sampler, scheduler, COMFY_SAMPLERS, COMFY_SCHEDULERS) == wanted


@pytest.mark.parametrize(
    ("sampler", "scheduler", "text"),
    [
        ("DPM++ 2N", "Automatic", r"ComfyUI has no sampler 'DPM\+\+ 2N'; nearest: DPM\+\+ 2M"),
        ("Restart", "Automatic", "ComfyUI has no sampler 'Restart'"),
        ("Euler", "Karas", "ComfyUI has no scheduler 'Karas'; nearest: Karras"),
        ("Euler", "Align Your Steps", "ComfyUI has no scheduler 'Align Your Steps'"),
        ("DPM++ 2M SDE Heun", "Automatic", "ComfyUI has no sampler"),  # the fake's version has it not
    ],
)
def test_unknown_names_are_refused_with_the_nearest(sampler: str, scheduler: str, text: str) -> None:
    with pytest.raises(StageFailure, match=text) as caught:
        sampling_names(sampler, scheduler, COMFY_SAMPLERS, COMFY_SCHEDULERS)
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_names_lead_there_and_back() -> None:
    for title, comfy in SAMPLERS.items():
        assert sampler_title(comfy) == title
    for label, name in SCHEDULERS.items():
        assert scheduler_label(name) == (label if label != "Uniform" else "Normal")
    for shown in sampler_names(COMFY_SAMPLERS):
        for schedule in scheduler_names(COMFY_SCHEDULERS):
            sampling_names(shown, schedule, COMFY_SAMPLERS, COMFY_SCHEDULERS)


FILES = ("SDXL/jugger.safetensors", "SD15\\dream.safetensors", "dream.ckpt", "a/x.pt", "b/x.pt")


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        ("SDXL/jugger.safetensors", "SDXL/jugger.safetensors"),
        ("SDXL\\jugger.safetensors", "SDXL/jugger.safetensors"),
        ("sdxl/Jugger", "SDXL/jugger.safetensors"),
        ("jugger", "SDXL/jugger.safetensors"),
        ("jugger.safetensors [dd08fa32f9]", "SDXL/jugger.safetensors"),
        ("SD15/dream.safetensors", "SD15\\dream.safetensors"),
        ("dream.ckpt", "dream.ckpt"),
        ("b/x", "b/x.pt"),
    ],
)
def test_files_are_found_by_many_names(wanted: str, file: str) -> None:
    assert find_file("checkpoint", wanted, FILES) == file


def test_files_that_are_not_there_or_not_one_are_refused() -> None:
    with pytest.raises(StageFailure, match="no checkpoint 'juger'; nearest: SDXL/jugger"):
        find_file("checkpoint", "juger", FILES)
    with pytest.raises(StageFailure, match=r"may be a/x\.pt or b/x\.pt"):
        find_file("checkpoint", "x", FILES)
    with pytest.raises(StageFailure, match="it has none"):
        find_file("LoRA", "x", ())


def test_upscalers() -> None:
    assert find_enlarger("lanczos", INVENTORY).method == "lanczos"
    assert find_enlarger("4x-UltraSharp", INVENTORY).model == "4x-UltraSharp.pth"
    assert find_enlarger("Latent (bicubic)", INVENTORY, latent=True).latent == "bicubic"
    with pytest.raises(StageFailure, match="no upscaler 'Latent'"):
        find_enlarger("Latent", INVENTORY)
    with pytest.raises(StageFailure, match=r"no upscaler 'Latent \(antialiased\)'; nearest: Latent"):
        find_enlarger("Latent (antialiased)", INVENTORY, latent=True)
    with pytest.raises(StageFailure, match=r"nearest: 4x-UltraSharp\.pth"):
        find_enlarger("4x UltraSharp", INVENTORY)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (txt2img(width=65), "multiples of 8"),
        (txt2img(width=20000), "sides must be"),
        (txt2img(steps=0), "0 steps"),
        (txt2img(model="nothing like it"), "no checkpoint"),
        (txt2img(vae="nothing"), "no VAE"),
        (txt2img(prompt="<lora:nothing:1>"), "no LoRA 'nothing'"),
        (txt2img(extra={"tiling": True}), "does not know the setting 'tiling'"),
        (txt2img(prompt="a AND b", cfg_scale=60), "CFG scale 120"),
        (txt2img(refiner=Refiner("juggernaut", 1.5)), "refiner switch at 1.5"),
        (txt2img(refiner=Refiner("nothing", 0.5)), "no checkpoint 'nothing'"),
        (txt2img(hires=Hires("Latent", 1.5)), "denoising strength 1.5"),
        (txt2img(hires=Hires("nothing", 0.5)), "no upscaler 'nothing'"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_sent(request_: Any, text: str) -> None:
    with pytest.raises(StageFailure, match=text) as caught:
        plan_txt2img(request_, INVENTORY)
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_bad_upscales() -> None:
    for changes, text in (
        ({"scale": 0.0}, "scale 0"),
        ({"scale": 1000.0}, "sides must be"),
        ({"upscaler": "4x-UltraSharp", "tile_size": 256}, "tile size 256"),
    ):
        with pytest.raises(StageFailure, match=text):
            plan_upscale(upscale(**changes), INVENTORY)


# --- the inventory -------------------------------------------------------------------------------------------


def test_both_forms_of_lists_are_read() -> None:
    new = Inventory(described(True, False))
    for name in ("models", "vaes", "loras", "samplers", "schedulers", "upscale_models", "latent_modes"):
        assert getattr(new, name) == getattr(INVENTORY, name) != ()


def without(*classes: str) -> frozenset[str]:
    nodes = {name: value for name, value in described(False, False).items() if name not in classes}
    return Inventory(nodes).features


@pytest.mark.parametrize(
    ("missing", "features"),
    [
        ("LoraLoader", {Feature.LORA}),
        ("VAELoader", {Feature.VAE}),
        ("CLIPSetLastLayer", {Feature.CLIP_SKIP}),
        ("SetLatentNoiseMask", {Feature.INPAINT}),
        ("LoadImage", {Feature.IMG2IMG, Feature.INPAINT, Feature.UPSCALE}),
        ("ImageScale", {Feature.UPSCALE}),
        ("HypernetworkLoader", {Feature.HYPERNETWORK}),
    ],
)
def test_a_missing_node_takes_its_features_along(missing: str, features: set[Feature]) -> None:
    assert without() - without(missing) == features


def test_without_checkpoints_only_upscaling_and_workflows_are_left() -> None:
    assert without("CheckpointLoaderSimple") == {Feature.UPSCALE, Feature.WORKFLOW}


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["input", "required", "ckpt_name", "options"]), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_any_description_of_nodes_is_borne(value: Any) -> None:
    can = Inventory({"CheckpointLoaderSimple": value, "KSampler": value, "LatentUpscale": value}).capabilities()
    assert all(isinstance(name, str) for name in can.models)


# --- infotext ------------------------------------------------------------------------------------------------


def test_the_infotext_says_what_was_used() -> None:
    request = txt2img(
        prompt="x <lora:ink:1>",
        sampler="DPM++ 2M",
        model="juggernaut",
        vae="vae-ft-mse",
        clip_skip=2,
        steps=10,
        refiner=REFINED,
        hires=Hires("4x-UltraSharp", 0.4, steps=5, sampler="Euler", model="dreamshaper"),
        hypernetwork="paint",
        hypernetwork_strength=0.5,
    )
    plan = plan_txt2img(request, INVENTORY)
    assert list(
        sampling_info(request, plan, INVENTORY, {"styles/ink.safetensors": "0123456789ab"}).items()
    ) == [
        ("Steps", 10),
        ("Sampler", "DPM++ 2M"),
        ("Schedule type", "Karras"),
        ("CFG scale", 7),
        ("Seed", 1),
        ("Size", "64x64"),
        ("Model", "juggernaut"),
        ("VAE", "vae-ft-mse"),
        ("Denoising strength", 0.4),
        ("Clip skip", 2),
        ("Hires upscale", 2),
        ("Hires steps", 5),
        ("Hires upscaler", "4x-UltraSharp"),
        ("Hires checkpoint", "dreamshaper"),
        ("Hires sampler", "Euler"),
        ("Hires schedule type", "Normal"),
        ("Refiner", "sd_xl_refiner_1.0"),
        ("Refiner switch at", 0.8),
        ("Hypernet", "paint"),
        ("Hypernet strength", 0.5),
        ("Lora hashes", "ink: 0123456789ab"),
        ("Version", "ComfyUI 0.3.64"),
    ]


def test_a_refiner_that_never_came_to_work_is_not_named() -> None:
    request = txt2img(refiner=Refiner("juggernaut", 1.0))
    assert "Refiner" not in sampling_info(request, plan_txt2img(request, INVENTORY), INVENTORY, {})
