"""``stablenew info`` and ``stablenew diff``: images of every program, without a kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_api.png import with_text
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.domain.infotext import stablenew_chunk
from stablenew_kernel.domain.saving import SavedAs

A1111 = (
    "a castle on a hill, <lora:ink:0.5>\nNegative prompt: fog\nSteps: 20, Sampler: DPM++ 2M Karras, "
    "CFG scale: 7, Seed: 9, Size: 640x448, Model hash: 6ce0161689, Model: dream, Clip skip: 2, Mood: calm, "
    "Version: v1.10.1"
)
STAGE = {
    "model": r"xl\dream.safetensors [6ce0161689]", "vae": "", "sampler_name": "DPM++ 2M", "scheduler": "Karras",
    "steps": 30, "cfg_scale": 7.0, "width": 640, "height": 448, "clip_skip": 2, "enable_hr": False,
    "hr_scale": 2.0, "subseed": -1, "subseed_strength": 0.0,
}  # fmt: skip
REPORT = {
    "backend": {"name": "embedded", "version": "1.0", "stand_in": True},
    "stages": [
        {"name": "txt2img", "version": "1.0", "seconds": 1.5},
        {"name": "upscale", "version": "1.0", "seconds": 70},
    ],
}


@pytest.fixture
def save(tmp_path: Path) -> Any:
    """Saves an image with these texts."""

    def make(name: str, texts: dict[str, str], kind: str = "png") -> Path:
        path = tmp_path / name
        Image.new("RGB", (8, 6), (1, 2, 3)).save(path, "PNG")
        data = path.read_bytes()
        path.write_bytes(with_text(data, texts) if kind == "png" else file_of(data, texts, SavedAs(kind))[1])
        return path

    return make


def own(
    prompt: str = "a castle on a hill, <lora:ink:0.5>", more: dict[str, Any] | None = None
) -> dict[str, str]:
    """The texts of an image of StableNew."""
    stages = [StageSpec("txt2img", "1.0", prompt, "fog", 9, {**STAGE, **(more or {})})]
    spec = JobSpec((*stages, StageSpec("upscale", "1.0", prompt, "fog", 9, {"upscaler": "Lanczos"})))
    ids = {"job_id": "J", "run_id": "R", "node": "attic", "attempt": 2}
    chunk = stablenew_chunk(spec, REPORT, version="0.1.0", image_sha256="ab" * 32, **ids)  # type: ignore[arg-type]
    infotext = f'{prompt}\nSteps: 30, Sampler: Euler, Seed: 9, Model: really, Hashes: {{"model": "6ce0161689"}}'
    return {"parameters": infotext, "stablenew": chunk}


def test_an_image_of_another_program(call: Any, save: Any) -> None:
    result = call("info", save("a.png", {"parameters": A1111}))
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "a.png: PNG, 8x6",
        "made by AUTOMATIC1111 WebUI v1.10.1",
        "",
        "prompt: a castle on a hill, <lora:ink:0.5>",
        "negative prompt: fog",
        "",
        "txt2img",
        "  model:        dream",
        "  sampler_name: DPM++ 2M",
        "  scheduler:    Karras",
        "  steps:        20",
        "  cfg_scale:    7.0",
        "  size:         640x448",
        "  seed:         9",
        "  clip_skip:    2",
        "",
        "hashes",
        "  model: 6ce0161689",
        "note: not taken over: Mood: calm",
    ]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_an_image_of_ours_in_every_format(call: Any, save: Any, kind: str) -> None:
    image = save(f"a.{kind}", own(more={"model": ""}), kind)
    out = call("info", image).out
    assert out.startswith(
        f"a.{kind}: {kind.upper()}, 8x6\nmade by StableNew 0.1.0, with embedded 1.0 (stand-in"
    )
    assert "\n  model:            really\n" in out
    assert "\njob J of run R, on attic, at try 2\ntook 1 min 12 s: txt2img 1.5 s, upscale 1 min 10 s\n" in out
    told = call("info", image, "--json").json
    assert told["program"] == "StableNew 0.1.0"
    assert told["settings"]["upscale"] == {"upscaler": "Lanczos"}
    assert told["hashes"] == {"model": "6ce0161689"}
    assert told["missing"] == []
    assert told["stablenew"]["stages"][1] == {"name": "upscale", "version": "1.0", "seconds": 70.0}


def test_what_is_not_told_is_said(call: Any, save: Any) -> None:
    image = save("a.png", {"parameters": "a cat\nSteps: 20, Seed: 9, Size: 8x6"})
    assert "\nit does not tell: model, sampler, CFG scale\n" in call("info", image).out
    assert call("info", image, "--json").json["missing"] == ["model", "sampler", "CFG scale"]


def test_an_image_that_tells_nothing_and_files_that_are_none(call: Any, save: Any, pack: Path) -> None:
    image = save("a.png", {})
    result = call("info", image)
    assert (result.code, result.err) == (1, "")
    assert "it tells nothing about how it was made" in result.out
    told = call("info", image, "--json")
    assert (told.code, told.json["format"], told.json["width"]) == (1, "", 8)
    assert call("info", pack).code == 2
    assert "not an image that can be read" in call("info", pack).err
    assert "gone.png: no such file" in call("info", "gone.png").err
    refused = call("diff", image, image)
    assert refused.code == 2
    assert "tells nothing about how it was made" in refused.err


def test_a_text_beside_an_image_tells_of_it(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(A1111, encoding="utf-8")
    out = call("info", path).out
    assert out.startswith("a.txt: a text that tells of an image\nmade by AUTOMATIC1111")


def test_the_same_image_of_two_programs_differs_in_nothing_but_what_is_said(call: Any, save: Any) -> None:
    """Names of sampler, scheduler and model are written differently; defaults are not told by A1111."""
    first, second = save("a.png", {"parameters": A1111}), save("b.jpeg", own(), "jpeg")
    told = call("diff", first, second, "--json").json
    assert told["settings"] == {"txt2img.steps": {"a": 20, "b": 30}}
    assert told["only_a"] == {"stages": [], "settings": {}}
    assert told["only_b"] == {"stages": ["upscale"], "settings": {}}
    assert (told["prompt"], told["hashes"], told["same"]) == ([], {}, False)
    assert told["equal"] == 9
    result = call("diff", first, second)
    assert result.code == 0
    assert result.out.splitlines() == [
        "A: a.png (AUTOMATIC1111 WebUI v1.10.1)",
        "B: b.jpeg (StableNew 0.1.0)",
        "",
        "               A   B",
        "txt2img.steps  20  30",
        "only B went through: upscale",
        "9 settings equal",
    ]


def test_words_and_hashes(call: Any, save: Any) -> None:
    other = (
        A1111.replace("on a hill", "by the sea").replace("6ce0161689", "1111111111").replace("fog", "fog, haze")
    )
    first, second = save("a.png", {"parameters": A1111}), save("b.png", {"parameters": other})
    out = call("diff", first, second).out
    assert "hash of model  6ce0161689  1111111111" in out
    assert "\nprompt: a castle [-on a hill-] {+by the sea+}, <lora:ink:0.5>\n" in out
    assert "\nnegative prompt: fog {+, haze+}\n" in out
    assert call("diff", first, first).out.splitlines()[-2:] == [
        "nothing that both tell differs",
        "10 settings equal",
    ]


COMFY = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl/dream.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a castle on a hill", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 448, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 9, "steps": 20, "cfg": 7, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1,
            "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
        },
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "x"}},
}  # fmt: skip


def test_comfyui_and_a1111_speak_of_the_same_sampler(call: Any, save: Any) -> None:
    plain = A1111.replace(", <lora:ink:0.5>", "").replace(", Clip skip: 2", "")
    first, second = save("a.png", {"parameters": plain}), save("b.png", {"prompt": json.dumps(COMFY)})
    told = call("diff", first, second, "--json").json
    assert told["same"] is True
    assert told["b"]["program"] == "ComfyUI"
    assert told["equal"] == 8
