"""Images of SwarmUI: JSON in the place of A1111's ``parameters``.

Source: ``docs/Image Metadata Format.md``, ``src/Text2Image/T2IParamTypes.cs``. Values may be texts (``"7.0"``),
and lists texts with commas.
"""

from __future__ import annotations

from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.models import model_name
from stablenew_api.png import PARAMETERS
from stablenew_plugins.importers.common import (
    Flat,
    Notes,
    lora_tag,
    parse_json,
    put_number,
    real,
    short,
    whole,
)
from stablenew_plugins.importers.dialects import add_loras, from_swarm
from stablenew_plugins.importers.images import IMAGES, ImageImporter, imported_image
from stablenew_plugins.importers.names import put_sampler

_INTEGERS = {
    "seed": "seed",
    "steps": "steps",
    "width": "width",
    "height": "height",
    "variationseed": "subseed",
}
_NUMBERS = {"cfgscale": "cfg_scale", "variationseedstrength": "subseed_strength"}
_READ = frozenset(
    [
        "prompt",
        "negativeprompt",
        "model",
        "vae",
        "sampler",
        "scheduler",
        "comfyuisampler",
        "comfyuischeduler",
        "autowebuisampler",
        "loras",
        "loraweights",
        "clipstopatlayer",
        "refinermodel",
        "refinercontrolpercentage",
        "refinermethod",
        "refinerupscale",
        "refinerupscalemethod",
        "refinersteps",
    ]
)
_IGNORED = frozenset(
    [
        "swarm_version",
        "date",
        "generation_time",
        "aspectratio",
        "sidelength",
        "images",
        "automaticvae",
        "nopreviews",
        "imageformat",
        "wildcardseed",
        "used_wildcards",
        "original_prompt",
        "resolution",
        "donotsave",
        "batchsize",
        "personalnote",
    ]
)


class SwarmUI(ImageImporter):
    """``sui_image_params``, with LoRAs as tags and the refiner's upscale as the hires pass."""

    name, title = "swarmui", "Image of SwarmUI"
    endings = (*IMAGES, ".json")

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if the image has no such JSON."""
        text = self.texts(name, data).get(PARAMETERS, "")
        values = parse_json(name, text) if text else None
        params = values.get("sui_image_params") if isinstance(values, dict) else None
        if not isinstance(values, dict) or not isinstance(params, dict):
            raise UserError(f"{name}: no sui_image_params in it")
        notes = Notes()
        settings: Flat = {}
        for key, field in _INTEGERS.items():
            put_number(settings, f"txt2img.{field}", params.get(key), notes, key, integer=True)
        for key, field in _NUMBERS.items():
            put_number(settings, f"txt2img.{field}", params.get(key), notes, key, integer=False)
        for key in ("model", "vae"):
            if (value := params.get(key)) and str(value).lower() not in ("none", "automatic"):
                settings[f"txt2img.{key}"] = model_name(value)
        sampler = params.get("sampler") or params.get("comfyuisampler") or params.get("autowebuisampler") or ""
        scheduler = params.get("scheduler") or params.get("comfyuischeduler") or ""
        put_sampler(settings, str(sampler), str(scheduler), notes)
        if (layer := whole(params.get("clipstopatlayer"))) is not None and layer < 0:
            settings["txt2img.clip_skip"] = -layer
        _refiner(settings, params, notes)
        left = [key for key in params if key not in _READ | _IGNORED | _INTEGERS.keys() | _NUMBERS.keys()]
        if left:
            told = "; ".join(f"{key}: {short(params[key], 40)}" for key in left)
            notes.add(f"not taken over: {short(told, 400)}")
        prompt = from_swarm(str(params.get("prompt") or ""), notes)
        negative = from_swarm(str(params.get("negativeprompt") or ""), notes)
        version = str(params.get("swarm_version") or "")
        return imported_image(
            name,
            add_loras(prompt, _loras(params)),
            negative,
            settings,
            notes,
            program=f"SwarmUI {version}".strip(),
            hashes=_hashes(values),
        )


def _hashes(values: dict[str, Any]) -> dict[str, str]:
    """Of ``sui_models``: the hash of a model's weights, which is not that of its file."""
    models = values.get("sui_models")
    found: dict[str, str] = {}
    for model in models if isinstance(models, list) else []:
        if not isinstance(model, dict) or not isinstance(model.get("hash"), str):
            continue
        param = str(model.get("param") or "model")
        name = f"lora:{model_name(model.get('name') or '')}" if param.startswith("lora") else param
        found[name] = model["hash"].removeprefix("0x")
    return found


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list) else []


def _loras(params: dict[str, Any]) -> list[str]:
    names, weights = _list(params.get("loras")), _list(params.get("loraweights"))
    return [lora_tag(name, weights[at] if at < len(weights) else 1) for at, name in enumerate(names)]


def _refiner(settings: Flat, params: dict[str, Any], notes: Notes) -> None:
    """SwarmUI's refiner is a hires pass where it enlarges, a switch of models where it swaps by steps."""
    control = real(params.get("refinercontrolpercentage"))
    scale = real(params.get("refinerupscale"))
    method = str(params.get("refinermethod") or "PostApply")
    model = params.get("refinermodel")
    model = model_name(model) if model and "use base" not in str(model).lower() else ""
    if control is None and not model:
        return
    if method.lower().startswith("stepswap") and (scale is None or scale == 1):
        if model:
            settings["txt2img.refiner_checkpoint"] = model
            settings["txt2img.refiner_switch_at"] = round(1 - (control or 0.2), 4)
        return
    settings["txt2img.enable_hr"] = True
    settings["txt2img.hr_scale"] = scale if scale is not None else 1.0
    if control is not None:
        settings["txt2img.denoising_strength"] = control
    if upscaler := params.get("refinerupscalemethod"):
        settings["txt2img.hr_upscaler"] = model_name(str(upscaler).removeprefix("model-"))
    if model:
        settings["txt2img.hr_checkpoint_name"] = model
    put_number(
        settings,
        "txt2img.hr_second_pass_steps",
        params.get("refinersteps"),
        notes,
        "refinersteps",
        integer=True,
    )
