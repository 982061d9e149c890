"""What the server says about a picture."""

from __future__ import annotations

import json
from typing import Any

from tests.support.webui_server.drawing import Drawing
from tests.support.webui_server.lists import model_sha256


def infotext(picture: Drawing, seed: int | None = None) -> str:
    """As ``create_infotext`` writes it."""
    pairs = {key: value for key, value in _pairs(picture, seed).items() if value is not None}
    line = ", ".join(f"{key}: {_quote(value)}" for key, value in pairs.items())
    prompt = picture.prompt
    if "reroll_detail" in picture.server.traps:
        prompt = prompt.replace("__colour__", "red")
    negative = f"\nNegative prompt: {picture.negative}" if picture.negative else ""
    return f"{prompt}{negative}\n{line}"


def _pairs(picture: Drawing, seed: int | None) -> dict[str, Any]:
    server, body = picture.server, picture.body
    flavour = server.settings.flavour
    stand_in = picture.skips_sampling
    width, height = (128, 128) if stand_in else picture.asked
    vae = None if "stuck_vae" in server.traps else picture.options.get("sd_vae")
    pairs: dict[str, Any] = {
        "Steps": 1 if stand_in else picture.steps,
        "Sampler": "Euler" if stand_in else picture.sampler,
        "Schedule type": None if flavour == "sdnext" else picture.scheduler,
        "CFG scale": _plain(picture.cfg),
        "Seed": picture.seed if seed is None else seed,
        "Face restoration": picture.options["face_restoration_model"] if body.get("restore_faces") else None,
        "Size": f"{width}x{height}",
        "Model hash": model_sha256(picture.model)[:10],
        "Model": server.stem(picture.model),
        "VAE": vae if vae not in (None, "Automatic", "None") else None,
        "Denoising strength": body.get("denoising_strength") if body.get("enable_hr") or (stand_in is False
        and picture.kind == "img2img") else None,
        "Clip skip": picture.clip_skip if picture.clip_skip > 1 else None,
    }  # fmt: skip
    if "stuck_vae" in server.traps and picture.options.get("sd_vae") not in (None, "Automatic", "None"):
        pairs["VAE"] = "some_other_vae.pt"
    if flavour == "forge":
        for number, module in enumerate(picture.options.get("forge_additional_modules") or (), 1):
            pairs[f"Module {number}"] = str(module).rpartition(".")[0]
    if float(body.get("subseed_strength") or 0) > 0:
        pairs.update(
            {"Variation seed": body.get("subseed"), "Variation seed strength": body["subseed_strength"]}
        )
    if (
        body.get("refiner_checkpoint")
        and flavour != "sdnext"
        and (refiner := server.find_model(body["refiner_checkpoint"]))
    ):
        pairs.update({"Refiner": f"{server.stem(refiner)} [{model_sha256(refiner)[:10]}]",
                      "Refiner switch at": body.get("refiner_switch_at")})  # fmt: skip
    if body.get("enable_hr"):
        if body.get("hr_resize_x") or body.get("hr_resize_y"):
            pairs["Hires resize"] = f"{body.get('hr_resize_x')}x{body.get('hr_resize_y')}"
        else:
            pairs["Hires upscale"] = body.get("hr_scale")
        pairs["Hires steps"] = body.get("hr_second_pass_steps") or None
        pairs["Hires upscaler"] = body.get("hr_upscaler")
        pairs["Hires sampler"] = body.get("hr_sampler_name")
        pairs["Hires schedule type"] = body.get("hr_scheduler")
        if other := server.find_model(body.get("hr_checkpoint_name")):
            pairs["Hires checkpoint"] = f"{server.stem(other)} [{model_sha256(other)[:10]}]"
    for number, unit in enumerate(picture.units):
        suffix = f" {number + 1}{('st', 'nd', 'rd', 'th')[min(number, 3)]}" if number else ""
        pairs[f"ADetailer model{suffix}"] = unit["ad_model"]
        pairs[f"ADetailer confidence{suffix}"] = unit["ad_confidence"]
        pairs[f"ADetailer denoising strength{suffix}"] = unit["ad_denoising_strength"]
    if picture.units:
        pairs["ADetailer version"] = "24.11.1"
    if loras := picture.loras():
        pairs["Lora hashes"] = ", ".join(f"{name}: {model_sha256(name)[:12]}" for name in loras)
    elif "<lora:" in picture.prompt and "lora_fails" in server.traps:
        pairs["Lora hashes"] = "some_other: abcdef123456"
    pairs["Version"] = {"a1111": "v1.10.1", "forge": "f2.0.1v1.10.1", "sdnext": "abcd1234"}[flavour]
    if flavour == "sdnext":
        pairs["App"] = "SD.Next"
    return pairs


def info_of(picture: Drawing, text: str) -> dict[str, Any]:
    """``Processed.js()``."""
    stand_in = picture.skips_sampling
    return {
        "prompt": picture.prompt,
        "all_prompts": [picture.prompt],
        "negative_prompt": picture.negative,
        "all_negative_prompts": [picture.negative],
        "seed": picture.seed,
        "all_seeds": [picture.seed],
        "subseed": int(picture.body.get("subseed") or -1),
        "all_subseeds": [int(picture.body.get("subseed") or -1)],
        "width": 128 if stand_in else picture.asked[0],
        "height": 128 if stand_in else picture.asked[1],
        "sampler_name": "Euler" if stand_in else picture.sampler,
        "cfg_scale": picture.cfg,
        "steps": 1 if stand_in else picture.steps,
        "batch_size": 1,
        "sd_model_name": picture.server.stem(picture.model),
        "sd_model_hash": model_sha256(picture.model)[:10],
        "infotexts": [text],
        "index_of_first_image": 0,
        "job_timestamp": "20260101000000",
        "clip_skip": picture.clip_skip,
    }


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ",:\n") else text
