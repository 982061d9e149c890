"""What was really used, by A1111's infotext keys, in A1111's order. Pure.

There is no ``Model hash``: ComfyUI tells neither the hash of a file nor its path. A LoRA's short hash is in the
metadata of its file where its trainer wrote it (``sshs_model_hash``), as in A1111.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stablenew_api.backend import Img2ImgRequest, Sampling, Txt2ImgRequest
from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_name
from stablenew_plugins.backends.comfyui.inventory import Inventory
from stablenew_plugins.backends.comfyui.names import sampler_title, scheduler_label
from stablenew_plugins.backends.comfyui.plan import SamplingPlan, UpscalePlan

_LORA_DIGITS = 12


def sampling_info(
    request: Sampling, plan: SamplingPlan, inventory: Inventory, lora_hashes: Mapping[str, str]
) -> dict[str, JsonValue]:
    """Of a txt2img or img2img call. ``lora_hashes``: file to hash, for those that are known."""
    info: dict[str, JsonValue] = {
        "Steps": request.steps,
        "Sampler": sampler_title(plan.first.sampler),
        "Schedule type": scheduler_label(plan.first.scheduler),
        "CFG scale": plain(request.cfg_scale),
        "Seed": plan.seed,
        "Size": f"{plan.width}x{plan.height}",
        "Model": model_name(plan.model),
    }
    if plan.vae:
        info["VAE"] = model_name(plan.vae)
    if isinstance(request, Img2ImgRequest):
        info["Size"] = f"{request.image.width}x{request.image.height}"
        info["Denoising strength"] = plain(request.denoising_strength)
    hires = request.hires if isinstance(request, Txt2ImgRequest) else None
    if hires is not None:
        info["Denoising strength"] = plain(hires.denoising_strength)
    if plan.clip_skip > 1:
        info["Clip skip"] = plan.clip_skip
    if hires is not None and plan.hires is not None:
        if hires.width or hires.height:
            info["Hires resize"] = f"{plan.hires.width}x{plan.hires.height}"
        else:
            info["Hires upscale"] = plain(hires.scale)
        if hires.steps:
            info["Hires steps"] = hires.steps
        info["Hires upscaler"] = plan.hires.enlarger.name
        if plan.hires.model != plan.model:
            info["Hires checkpoint"] = model_name(plan.hires.model)
        if (second := plan.hires.sampling) is not None:
            if second.sampler != plan.first.sampler:
                info["Hires sampler"] = sampler_title(second.sampler)
            if second.scheduler != plan.first.scheduler:
                info["Hires schedule type"] = scheduler_label(second.scheduler)
    last = plan.hires.sampling if plan.hires else plan.first
    if request.refiner is not None and last is not None and last.refiner_at is not None:
        info["Refiner"] = model_name(plan.refiner)
        info["Refiner switch at"] = plain(request.refiner.switch_at)
    if plan.hypernets:
        info["Hypernet"] = model_name(plan.hypernets[0][0])
        info["Hypernet strength"] = plain(plan.hypernets[0][1])
    if lora_hashes:
        info["Lora hashes"] = ", ".join(f"{model_name(name)}: {value}" for name, value in lora_hashes.items())
    info["Version"] = version_text(inventory)
    return info


def upscale_info(plan: UpscalePlan, scale: float, inventory: Inventory) -> dict[str, JsonValue]:
    """Of an upscale call."""
    return {
        "Size": f"{plan.width}x{plan.height}",
        "Postprocess upscale by": plain(scale),
        "Postprocess upscaler": plan.enlarger.name,
        "Version": version_text(inventory),
    }


def workflow_info(
    nodes: Mapping[str, Any], size: tuple[int, int], model: str, inventory: Inventory
) -> dict[str, JsonValue]:
    """What the nodes of a workflow say of themselves. Of several samplers, the first one is told."""
    info: dict[str, JsonValue] = {}
    for _, inputs in _by_id(nodes, lambda kind: "Sampler" in kind):
        for key, name in (("Steps", "steps"), ("CFG scale", "cfg"), ("Seed", "seed"), ("Seed", "noise_seed")):
            if isinstance(inputs.get(name), int | float):
                info.setdefault(key, plain(inputs[name]))
        if isinstance(inputs.get("sampler_name"), str):
            info.setdefault("Sampler", sampler_title(inputs["sampler_name"]))
        if isinstance(inputs.get("scheduler"), str):
            info.setdefault("Schedule type", scheduler_label(inputs["scheduler"]))
    for _, inputs in _by_id(nodes, lambda kind: kind.endswith(("Loader", "LoaderSimple"))):
        if not model and isinstance(inputs.get("ckpt_name"), str):
            model = inputs["ckpt_name"]
    order = ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed")
    info = {key: info[key] for key in order if key in info}
    info["Size"] = f"{size[0]}x{size[1]}"
    if model:
        info["Model"] = model_name(model)
    info["Version"] = version_text(inventory)
    return info


def lora_hash(metadata: Mapping[str, Any]) -> str:
    """The short hash of a LoRA from the metadata of its file; empty if it is not there."""
    found = metadata.get("sshs_model_hash")
    return found[:_LORA_DIGITS] if isinstance(found, str) and len(found) >= _LORA_DIGITS else ""


def version_text(inventory: Inventory) -> str:
    """``Version`` of the infotext."""
    return f"ComfyUI {inventory.version}".strip()


def by_number(node: str) -> tuple[int, int, str]:
    """Key by which nodes stand in order: numbers first, by their value, then the rest."""
    return (0, int(node), "") if node.isdecimal() else (1, 0, node)


def plain(number: float) -> float | int:
    """7.0 as 7, as A1111 writes it."""
    return int(number) if float(number).is_integer() else number


def _by_id(nodes: Mapping[str, Any], wanted: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for node in sorted(nodes, key=by_number):
        if wanted(str(nodes[node].get("class_type", ""))):
            yield node, nodes[node].get("inputs", {})
