"""Images of NovelAI: in their PNG texts, or in what is hidden in their pixels, ``Description`` is the prompt
and ``Comment`` JSON."""

from __future__ import annotations

from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_plugins.importers.common import Flat, Notes, parse_json, put_number, short
from stablenew_plugins.importers.dialects import from_novelai
from stablenew_plugins.importers.images import ImageImporter, image_size, imported_image
from stablenew_plugins.importers.names import put_sampler

_INTEGERS = {"seed": "seed", "steps": "steps", "width": "width", "height": "height"}
_TOLD = ("strength", "noise", "cfg_rescale", "sm", "sm_dyn", "uncond_scale", "dynamic_thresholding")


class NovelAI(ImageImporter):
    """``{}`` and ``[]`` become attention as A1111 writes it."""

    name, title = "novelai", "Image of NovelAI"

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if its JSON is missing or broken."""
        texts = self.texts(name, data)
        values: Any = parse_json(f"{name}, Comment", texts["Comment"]) if "Comment" in texts else None
        if not isinstance(values, dict):
            raise UserError(f"{name}: no Comment of NovelAI in it")
        notes = Notes()
        settings: Flat = {}
        for key, field in _INTEGERS.items():
            put_number(settings, f"txt2img.{field}", values.get(key), notes, key, integer=True)
        if "txt2img.width" not in settings and (size := image_size(data)):
            settings["txt2img.width"], settings["txt2img.height"] = size
        put_number(settings, "txt2img.cfg_scale", values.get("scale"), notes, "scale", integer=False)
        put_sampler(settings, str(values.get("sampler") or ""), str(values.get("noise_schedule") or ""), notes)
        if texts.get("Source"):
            notes.add(f"made by {short(texts['Source'])}, a model that is not to be had elsewhere")
        told = [
            f"{key}: {short(values[key], 40)}" for key in _TOLD if values.get(key) not in (None, False, 0, 0.0)
        ]
        if told:
            notes.add(f"not taken over: {'; '.join(told)}")
        prompt = str(values.get("prompt") or texts.get("Description") or "")
        characters = _characters(values, "v4_prompt")
        if characters:
            notes.add("the prompts of single characters stand behind the main one")
        negative = ", ".join(
            filter(None, (str(values.get("uc") or ""), *_characters(values, "v4_negative_prompt")))
        )
        whole = ", ".join(filter(None, (prompt, *characters)))
        source = texts.get("Source", "")
        return imported_image(
            name,
            from_novelai(whole, notes),
            from_novelai(negative, notes),
            settings,
            notes,
            program=f"NovelAI ({source})" if source else "NovelAI",
        )


def _characters(values: dict[str, Any], key: str) -> list[str]:
    found = values.get(key)
    caption = found.get("caption") if isinstance(found, dict) else None
    captions = caption.get("char_captions") if isinstance(caption, dict) else None
    return [
        str(each.get("char_caption") or "")
        for each in (captions if isinstance(captions, list) else [])
        if isinstance(each, dict)
    ]
