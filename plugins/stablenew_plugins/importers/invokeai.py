"""Images of InvokeAI: ``invokeai_metadata`` (3 and later), ``sd-metadata`` (2), ``Dream`` (1 and 2), PNG only.

Sources: ``invokeai/app/invocations/metadata.py`` (core_metadata); ``ldm/invoke/pngwriter.py`` of version 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.models import model_name
from stablenew_plugins.importers.common import (
    Flat,
    Notes,
    lora_tag,
    parse_json,
    put_number,
    short,
    split_words,
    whole,
)
from stablenew_plugins.importers.dialects import add_loras
from stablenew_plugins.importers.images import ImageImporter, imported_image
from stablenew_plugins.importers.names import put_sampler

_INTEGERS = {"seed": "seed", "steps": "steps", "width": "width", "height": "height"}
_READ = frozenset(
    [
        "positive_prompt",
        "negative_prompt",
        "cfg_scale",
        "scheduler",
        "model",
        "vae",
        "loras",
        "clip_skip",
        "strength",
        "hrf_enabled",
        "hrf_method",
        "hrf_strength",
        "refiner_model",
        "refiner_start",
        "refiner_steps",
        "generation_mode",
    ]
)
_IGNORED = frozenset(
    ["app_version", "created_by", "type", "rand_device", "is_intermediate", "id", "workflow", "graph"]
)
_FLAGS = {"-s": "steps", "-S": "seed", "-W": "width", "-H": "height"}
_ATTENTION = re.compile(r"[\w)][+-]{1,5}(?=[\s,)]|$)|\)\d+(?:\.\d+)?|\.(?:swap|blend|and)\(")


class InvokeAI(ImageImporter):
    """The newest of the three texts that is there."""

    name, title = "invokeai", "Image of InvokeAI"
    endings = (".png",)

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if none of the three is in it, or it cannot be read."""
        texts = self.texts(name, data)
        for key, read in (("invokeai_metadata", _core), ("sd-metadata", _second)):
            if key in texts:
                values = parse_json(f"{name}, {key}", texts[key])
                if not isinstance(values, dict):
                    raise UserError(f"{name}: its {key} is no JSON object")
                return read(name, values)
        if "Dream" not in texts:
            raise UserError(f"{name}: none of invokeai_metadata, sd-metadata and Dream in it")
        return _dream(name, texts["Dream"])


def _core(name: str, values: dict[str, Any]) -> Imported:
    notes = Notes()
    settings = _numbers(values, notes)
    for key in ("model", "vae"):
        if model := _model(values.get(key), notes, key):
            settings[f"txt2img.{key}"] = model
    put_sampler(settings, str(values.get("scheduler") or ""), "", notes)
    if (skipped := whole(values.get("clip_skip"))) is not None and 0 < skipped < 12:
        settings["txt2img.clip_skip"] = skipped + 1  # it counts what is left out, A1111 from where it stops
    if refiner := _model(values.get("refiner_model"), notes, "refiner_model"):
        settings["txt2img.refiner_checkpoint"] = refiner
        put_number(
            settings,
            "txt2img.refiner_switch_at",
            values.get("refiner_start"),
            notes,
            "refiner_start",
            integer=False,
        )
    if values.get("hrf_enabled") is True:
        settings["txt2img.enable_hr"] = True
        settings["txt2img.hr_upscaler"] = str(values.get("hrf_method") or "")
        put_number(
            settings,
            "txt2img.denoising_strength",
            values.get("hrf_strength"),
            notes,
            "hrf_strength",
            integer=False,
        )
    mode = str(values.get("generation_mode") or "txt2img")
    if "txt2img" not in mode:
        notes.add(f"made by {short(mode)}: the picture that it was drawn over is not in the file")
        put_number(
            settings, "img2img.denoising_strength", values.get("strength"), notes, "strength", integer=False
        )
    tags = []
    loras = values.get("loras")
    for lora in loras if isinstance(loras, list) else []:
        if isinstance(lora, dict) and (model := _model(lora.get("model", lora.get("lora")), notes, "a LoRA")):
            tags.append(lora_tag(model, lora.get("weight", 1)))
    left = [
        key
        for key, value in values.items()
        if key not in _READ | _IGNORED | _INTEGERS.keys() and value not in (None, "", [], {}, False, 0)
    ]
    if left:
        told = "; ".join(f"{key}: {short(values[key], 40)}" for key in left)
        notes.add(f"not taken over: {short(told, 400)}")
    prompt, negative = (str(values.get(key) or "") for key in ("positive_prompt", "negative_prompt"))
    version = str(values.get("app_version") or "")
    program = f"InvokeAI {version}".strip()
    return _made(name, add_loras(prompt, tags), negative, settings, notes, program, _hashes(values))


def _numbers(values: dict[str, Any], notes: Notes) -> Flat:
    settings: Flat = {}
    for key, field in _INTEGERS.items():
        put_number(settings, f"txt2img.{field}", values.get(key), notes, key, integer=True)
    put_number(settings, "txt2img.cfg_scale", values.get("cfg_scale"), notes, "cfg_scale", integer=False)
    return settings


def _model(value: Any, notes: Notes, what: str) -> str:
    """The name of a model: ``name`` today, ``model_name`` in version 3, a text in older files."""
    if not value:
        return ""
    if isinstance(value, dict):
        value = value.get("name") or value.get("model_name")
    if not isinstance(value, str) or not value:
        notes.add(f"{what} is known by its key alone, not by name; left out")
        return ""
    return model_name(value)


def _second(name: str, values: dict[str, Any]) -> Imported:
    image = values.get("image")
    if not isinstance(image, dict):
        raise UserError(f"{name}: no image in its sd-metadata")
    notes = Notes()
    settings = _numbers(image, notes)
    put_sampler(settings, str(image.get("sampler") or ""), "", notes)
    if model := values.get("model_weights"):
        settings["txt2img.model"] = model_name(model)
    if image.get("type") not in (None, "txt2img"):
        notes.add(f"made by {short(image['type'])}: the picture that it was drawn over is not in the file")
    told = [
        f"{key}: {short(image[key], 40)}"
        for key in ("postprocessing", "variations", "threshold", "perlin", "hires_fix", "seamless")
        if image.get(key) not in (None, "", [], 0, False)
    ]
    if told:
        notes.add(f"not taken over: {short('; '.join(told), 400)}")
    prompt = image.get("prompt")
    if isinstance(prompt, list):  # weighted parts
        prompt = ", ".join(str(part.get("prompt", "")) for part in prompt if isinstance(part, dict))
    version = str(values.get("app_version") or "2")
    return _made(name, *_split_negative(str(prompt or "")), settings, notes, f"InvokeAI {version}")


def _dream(name: str, text: str) -> Imported:
    notes = Notes()
    match = re.match(r'\s*"((?:[^"\\]|\\.)*)"(.*)', text, re.DOTALL)
    if match is None:
        raise UserError(f"{name}: its Dream text begins with no prompt in quotation marks")
    try:
        words = split_words(match[2])
    except ValueError as error:
        raise UserError(f"{name}: its Dream text cannot be read: {error}") from error
    settings: Flat = {}
    place, left = 0, []
    while place < len(words):
        # Values stand behind their option or are glued to it: -s 50, -s50.
        flag, value = words[place][:2], words[place][2:]
        place += 1
        if not value and place < len(words) and not re.match(r"-[A-Za-z]", words[place]):
            value = words[place]
            place += 1
        if flag in _FLAGS:
            put_number(settings, f"txt2img.{_FLAGS[flag]}", value, notes, flag, integer=True)
        elif flag == "-C":
            put_number(settings, "txt2img.cfg_scale", value, notes, flag, integer=False)
        elif flag == "-A":
            put_sampler(settings, value, "", notes)
        else:
            left.append(f"{flag}{value}")
    if left:
        notes.add(f"not taken over: {short(' '.join(left), 200)}")
    return _made(name, *_split_negative(match[1].replace('\\"', '"')), settings, notes, "InvokeAI 1 or 2")


def _split_negative(prompt: str) -> tuple[str, str]:
    """Version 2 wrote what should not be there into brackets inside the prompt."""
    negative = ", ".join(part.strip() for part in re.findall(r"\[([^\[\]]*)\]", prompt))
    return " ".join(re.sub(r"\[[^\[\]]*\]", "", prompt).split()), negative


def _hashes(values: dict[str, Any]) -> dict[str, str]:
    """As the file has them: today ``blake3:...``."""
    found = {key: values.get(key) for key in ("model", "vae")}
    loras = values.get("loras")
    for lora in loras if isinstance(loras, list) else []:
        model = lora.get("model") if isinstance(lora, dict) else None
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            found[f"lora:{model_name(model['name'])}"] = model
    told = {name: model.get("hash") for name, model in found.items() if isinstance(model, dict)}
    return {name: value for name, value in told.items() if isinstance(value, str) and value}


def _made(
    name: str,
    prompt: str,
    negative: str,
    settings: Flat,
    notes: Notes,
    program: str,
    hashes: Mapping[str, str] | None = None,
) -> Imported:
    if _ATTENTION.search(prompt) or _ATTENTION.search(negative):
        notes.add("InvokeAI's own attention (words++, (words)1.2, .blend) stands in the prompt as it is")
    return imported_image(name, prompt, negative, settings, notes, program=program, hashes=hashes)
