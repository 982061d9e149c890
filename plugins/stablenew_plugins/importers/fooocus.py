"""Images of Fooocus with its own scheme: JSON in ``parameters``, by keys, or by labels as its log has them.

Source: ``modules/meta_parser.py``, ``modules/flags.py``.
"""

from __future__ import annotations

import re
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.models import model_name
from stablenew_api.png import PARAMETERS
from stablenew_plugins.importers.common import Flat, Notes, lora_tag, parse_json, put_number, short
from stablenew_plugins.importers.dialects import add_loras
from stablenew_plugins.importers.images import IMAGES, ImageImporter, imported_image
from stablenew_plugins.importers.names import put_sampler

_LABELS = {
    "Prompt": "prompt",
    "Negative Prompt": "negative_prompt",
    "Steps": "steps",
    "Resolution": "resolution",
    "Guidance Scale": "guidance_scale",
    "Base Model": "base_model",
    "Refiner Model": "refiner_model",
    "Refiner Switch": "refiner_switch",
    "Sampler": "sampler",
    "Scheduler": "scheduler",
    "VAE": "vae",
    "Seed": "seed",
    "Styles": "styles",
    "CLIP Skip": "clip_skip",
}
_READ = {
    "performance",
    "Performance",
    *_LABELS.values(),
    "full_prompt",
    "full_negative_prompt",
    "loras",
    "metadata_scheme",
    "version",
    "created_by",
    "base_model_hash",
    "refiner_model_hash",
    "Version",
    "Metadata Scheme",
    "User",
}
_STEPS = {"quality": 60, "speed": 30, "extreme speed": 8, "lightning": 4, "hyper-sd": 4}
_NOTHING = (None, "", "None", "False", False)
_LORA_KEY = re.compile(r"lora_combined_\d+|LoRA \d+")


class Fooocus(ImageImporter):
    """The full prompt, with what the styles added, since styles are no setting here."""

    name, title = "fooocus", "Image of Fooocus"
    endings = (*IMAGES, ".json")

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if the image has no such JSON."""
        text = self.texts(name, data).get(PARAMETERS, "")
        raw = parse_json(name, text) if text else None
        if not isinstance(raw, dict):
            raise UserError(f"{name}: no JSON of Fooocus in it")
        notes = Notes()
        prompt, negative, settings = fooocus_image(raw, notes)
        version = str(raw.get("version") or raw.get("Version") or "")
        program = version if version.startswith("Fooocus") else f"Fooocus {version}".strip()
        return imported_image(name, prompt, negative, settings, notes, program=program, hashes=_hashes(raw))


def fooocus_image(raw: dict[str, Any], notes: Notes) -> tuple[str, str, Flat]:
    """Prompt, negative prompt and settings of an image; ``raw`` has them by key, or by label."""
    values = {_LABELS.get(key, key): value for key, value in raw.items()}
    settings = _settings(values, notes)
    prompt = _text(values, "full_prompt") or _text(values, "prompt")
    negative = _text(values, "full_negative_prompt") or _text(values, "negative_prompt")
    if values.get("styles") not in (None, "", "[]", []):
        done = "their words are in the prompt" if _text(values, "full_prompt") else "they are left out"
        notes.add(f"styles {short(values['styles'], 200)}: {done}")
    left = [
        f"{key}: {short(value, 40)}"
        for key, value in values.items()
        if key not in _READ and not _LORA_KEY.fullmatch(key) and value not in _NOTHING
    ]
    if left:
        notes.add(f"not taken over: {short('; '.join(left), 400)}")
    return add_loras(prompt, _loras(values)), negative, settings


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if isinstance(value, list):
        return ", ".join(str(part).strip() for part in value if str(part).strip())
    return str(value or "")


def _settings(values: dict[str, Any], notes: Notes) -> Flat:
    settings: Flat = {}
    put_number(settings, "txt2img.seed", values.get("seed"), notes, "seed", integer=True)
    steps = values.get("steps")
    if steps is None:
        steps = _STEPS.get(str(values.get("performance", values.get("Performance", ""))).lower())
    put_number(settings, "txt2img.steps", steps, notes, "steps", integer=True)
    put_number(
        settings, "txt2img.cfg_scale", values.get("guidance_scale"), notes, "guidance_scale", integer=False
    )
    put_number(settings, "txt2img.clip_skip", values.get("clip_skip"), notes, "clip_skip", integer=True)
    size = re.findall(r"\d{1,9}", str(values.get("resolution") or "")[:100])
    if len(size) == 2:
        settings["txt2img.width"], settings["txt2img.height"] = int(size[0]), int(size[1])
    if model := values.get("base_model"):
        settings["txt2img.model"] = model_name(model)
    if (vae := str(values.get("vae") or "")) and not vae.lower().startswith(("default", "none")):
        settings["txt2img.vae"] = model_name(vae)
    refiner = str(values.get("refiner_model") or "None")
    if refiner != "None":
        settings["txt2img.refiner_checkpoint"] = model_name(refiner)
        put_number(
            settings,
            "txt2img.refiner_switch_at",
            values.get("refiner_switch"),
            notes,
            "refiner_switch",
            integer=False,
        )
    put_sampler(settings, str(values.get("sampler") or ""), str(values.get("scheduler") or ""), notes)
    return settings


def _hashes(raw: dict[str, Any]) -> dict[str, str]:
    found = {"model": raw.get("base_model_hash"), "refiner": raw.get("refiner_model_hash")}
    loras = raw.get("loras")
    for lora in loras if isinstance(loras, list) else []:
        if isinstance(lora, list) and len(lora) >= 3:
            found[f"lora:{model_name(lora[0])}"] = lora[2]
    return {
        name: value for name, value in found.items() if isinstance(value, str) and value not in ("", "None")
    }


def _loras(values: dict[str, Any]) -> list[str]:
    tags = []
    for key, value in values.items():
        if _LORA_KEY.fullmatch(key) and isinstance(value, str):
            parts = [part.strip() for part in value.split(" : ")]
            if len(parts) == 3 and parts.pop(0) != "True":  # enabled : name : weight
                continue
            if len(parts) == 2 and parts[0] not in ("", "None"):
                tags.append(lora_tag(*parts))
    loras = values.get("loras")
    for lora in loras if isinstance(loras, list) and not tags else []:
        if isinstance(lora, list) and len(lora) >= 2:
            tags.append(lora_tag(lora[0], lora[1]))
    return tags
