"""Images of the AUTOMATIC1111 WebUI, of Forge, SD.Next, and whatever else writes A1111's ``parameters``.

Keys: ``create_infotext`` of ``modules/processing.py``; hires keys of the same file; ADetailer's of its
``adetailer/args.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.infotext import hashes_of, parse_infotext
from stablenew_api.png import PARAMETERS
from stablenew_plugins.importers.common import Flat, Notes, lora_tag, put_number, short
from stablenew_plugins.importers.dialects import add_loras
from stablenew_plugins.importers.images import IMAGES, ImageImporter, imported_image
from stablenew_plugins.importers.names import put_sampler, sampler_name

_INTEGERS = {
    "Steps": "txt2img.steps",
    "Seed": "txt2img.seed",
    "Clip skip": "txt2img.clip_skip",
    "Variation seed": "txt2img.subseed",
    "Hires steps": "txt2img.hr_second_pass_steps",
    "ADetailer dilate erode": "adetailer.ad_dilate_erode",
    "ADetailer mask blur": "adetailer.adetailer_mask_feather",
    "ADetailer inpaint padding": "adetailer.ad_inpaint_only_masked_padding",
    "ADetailer steps": "adetailer.adetailer_steps",
    "ADetailer mask only top k largest": "adetailer.ad_mask_k_largest",
}
_NUMBERS = {
    "CFG scale": "txt2img.cfg_scale",
    "Variation seed strength": "txt2img.subseed_strength",
    "Hires upscale": "txt2img.hr_scale",
    "Variation strength": "txt2img.subseed_strength",  # this and the next three are SD.Next's
    "Hires scale": "txt2img.hr_scale",
    "Hires strength": "txt2img.denoising_strength",
    "Refiner start": "txt2img.refiner_switch_at",
    "Refiner switch at": "txt2img.refiner_switch_at",
    "Hypernet strength": "txt2img.hypernetwork_strength",
    "ADetailer confidence": "adetailer.adetailer_confidence",
    "ADetailer denoising strength": "adetailer.adetailer_denoise",
    "ADetailer CFG scale": "adetailer.adetailer_cfg",
    "ADetailer mask min ratio": "adetailer.ad_mask_min_ratio",
    "ADetailer mask max ratio": "adetailer.ad_mask_max_ratio",
    "Postprocess upscale by": "upscale.upscaling_resize",
}
_TEXTS = {
    "Model": "txt2img.model",
    "VAE": "txt2img.vae",
    "Hires upscaler": "txt2img.hr_upscaler",
    "Hypernet": "txt2img.hypernetwork",
    "ADetailer model": "adetailer.adetailer_model",
    "ADetailer prompt": "adetailer.adetailer_prompt",
    "ADetailer negative prompt": "adetailer.adetailer_negative_prompt",
    "Postprocess upscaler": "upscale.upscaler",
}
_SWITCHES = {"ADetailer inpaint only masked": "adetailer.ad_inpaint_only_masked"}
_SAMPLERS = {"Hires sampler": "txt2img.hr_sampler_name", "ADetailer sampler": "adetailer.adetailer_sampler"}
_MODELS = {"Hires checkpoint": "txt2img.hr_checkpoint_name", "Refiner": "txt2img.refiner_checkpoint"}
_NO_CHANGE = frozenset(
    {
        "Default (model)",
        "Automatic",
        "Use same sampler",
        "Use same checkpoint",
        "Use same scheduler",
        "None",
        "Use same choices",
    }
)
_IGNORED = re.compile(
    r"(Model hash|VAE hash|Refiner hash|Hypernet hash|Lora hashes|TI hashes|Hashes|Civitai (resources|metadata)"
    r"|Version|User|App|Backend|Parser|Created Date|Face restoration|Denoising strength|ADetailer version"
    r"|Pipeline|Operations|Hires size|Refine|StableNew .*"
    r"|Sampler|Schedule type|Scheduler|Raw (negative )?prompt|Lora weights|Performance"
    r"|(Size|Hires resize)-[12])"
)
"""What says nothing about the picture, or is read apart."""
_SECOND = re.compile(r"ADetailer .* \d(?:st|nd|rd|th)")
_HASH = re.compile(r" \[[0-9a-fA-F]{6,}\]$")


class A1111Image(ImageImporter):
    """The last line is read with A1111's own grammar; prompt and negative prompt are what stands above."""

    name, title = "a1111_image", "Image of A1111, Forge or SD.Next"
    endings = (*IMAGES, ".txt")

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if the image has no ``parameters``."""
        text = self.texts(name, data).get(PARAMETERS, "")
        if not text.strip():
            raise UserError(f"{name}: no {PARAMETERS!r} text in it")
        notes = Notes()
        read = parse_infotext(text)
        if not read.pairs:
            notes.add("no line of settings in it; all of the text was taken for the prompt")
        prompt = add_loras(read.prompt, _loras(dict(read.pairs).get("Lora weights", "")))
        return imported_image(
            name,
            prompt,
            read.negative_prompt,
            settings_of(read.pairs, notes),
            notes,
            program=program_of(dict(read.pairs)),
            hashes=hashes_of(read.pairs),
        )


_FORGE_KEYS = ("Module 1", "Diffusion in Low Bits", "Distilled CFG Scale")
_FORGE = re.compile(r"f\d+\.\d+|.*forge", re.IGNORECASE)


def program_of(pairs: Mapping[str, str]) -> str:
    """Which program wrote these pairs: they differ in ``Version`` and in keys of their own."""
    version = pairs.get("Version", "")
    if app := pairs.get("App", ""):
        return f"{app} {version}".strip()  # SD.Next
    if re.match(r"Fooocus|StableNew|ComfyUI|InvokeAI|SwarmUI", version):
        return version
    if "Pipeline" in pairs or pairs.get("Backend") in ("Diffusers", "Original"):
        return f"SD.Next {version}".strip()
    if _FORGE.match(version) or any(key in pairs for key in _FORGE_KEYS):
        return f"Forge {version}".strip()
    if re.match(r"v?\d+\.\d+", version):
        return f"AUTOMATIC1111 WebUI {version}"
    if "Civitai resources" in pairs and "Model" not in pairs:
        return "Civitai's generator"
    said = f" (version {version})" if version else ""
    return f"a program that writes A1111's text{said}"


def _loras(weights: str) -> list[str]:
    """The tags of ``ink: 0.5, glow: 1``: Fooocus has no tags in its prompts."""
    pairs = (pair.rpartition(": ") for pair in weights.split(", "))
    return [lora_tag(name, weight) for name, colon, weight in pairs if colon]


def settings_of(pairs: Iterable[tuple[str, str]], notes: Notes) -> Flat:
    """The settings that the line of an infotext holds; what it holds besides is noted."""
    found: dict[str, str] = {}
    for key, value in pairs:
        size = re.fullmatch(r"(\d{1,9})x(\d{1,9})", value)
        if size and key in ("Size", "Hires resize", "Hires fixed"):
            key = key.replace("fixed", "resize")
            found[f"{key}-1"], found[f"{key}-2"] = size[1], size[2]
        else:
            found[key] = value
    settings: Flat = {}
    scheduler = found.get("Schedule type", found.get("Scheduler", ""))  # the latter is Fooocus'
    put_sampler(settings, found.get("Sampler", ""), scheduler, notes)
    left = []
    for key, value in found.items():
        if key in _INTEGERS:
            put_number(settings, _INTEGERS[key], value, notes, key, integer=True)
        elif key in _NUMBERS:
            put_number(settings, _NUMBERS[key], value, notes, key, integer=False)
        elif key in _TEXTS:
            if value not in _NO_CHANGE:
                settings[_TEXTS[key]] = value
        elif key in _SWITCHES and value in ("True", "False"):
            settings[_SWITCHES[key]] = value == "True"
        elif key in _SAMPLERS and value not in _NO_CHANGE:
            names = sampler_name(value)
            settings[_SAMPLERS[key]] = names[0] if names else value
        elif key in _MODELS and value not in _NO_CHANGE:
            settings[_MODELS[key]] = _HASH.sub("", value)
        elif not _IGNORED.fullmatch(key) and key not in (*_SAMPLERS, *_MODELS):
            left.append(f"{key}: {short(value, 40)}")
    for key, name in (("Size-1", "width"), ("Size-2", "height")):
        put_number(settings, f"txt2img.{name}", found.get(key), notes, "Size", integer=True)
    for key, name in (("Hires resize-1", "hr_resize_x"), ("Hires resize-2", "hr_resize_y")):
        put_number(settings, f"txt2img.{name}", found.get(key), notes, "Hires resize", integer=True)
    _put_passes(settings, found, notes)
    seconds = [text for text in left if _SECOND.match(text.partition(":")[0])]
    if seconds:
        notes.add(f"a second ADetailer unit is not taken over: {short('; '.join(seconds), 200)}")
    if others := [text for text in left if text not in seconds]:
        notes.add(f"not taken over: {short('; '.join(others), 400)}")
    return settings


def _put_passes(settings: Flat, found: dict[str, str], notes: Notes) -> None:
    """What the passes behind the first one were: hires, img2img, faces, ADetailer, the upscaler."""
    hires = any(key.startswith("Hires ") for key in found)
    if hires:
        settings["txt2img.enable_hr"] = True
    if "Denoising strength" in found:
        key = f"{'txt2img' if hires else 'img2img'}.denoising_strength"
        put_number(settings, key, found["Denoising strength"], notes, "Denoising strength", integer=False)
        if not hires:
            notes.add("made by img2img: the picture that it was drawn over is not in the file")
    if faces := found.get("Face restoration"):
        settings["txt2img.face_restoration_enabled"] = True
        settings["txt2img.face_restoration_model"] = faces
    if "Model" not in found and "Model hash" in found:
        notes.add(f"the model is known by its hash alone: {short(found['Model hash'])}")
    if "ADetailer model" in found:
        notes.add(
            "made with ADetailer: its settings are in the section adetailer; "
            "--set pipeline.adetailer_enabled=true turns it on, where a plugin provides that stage"
        )
    if "upscale.upscaler" in settings:
        settings["pipeline.upscale_enabled"] = True
