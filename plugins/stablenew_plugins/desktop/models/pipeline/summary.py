"""A stage's settings in one line."""

from __future__ import annotations

from collections.abc import Mapping

from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_name
from stablenew_plugins.desktop.models.pipeline.cards import Card, Field
from stablenew_plugins.desktop.models.pipeline.names import FILES
from stablenew_plugins.desktop.models.pipeline.values import short
from stablenew_plugins.desktop.text import _, many

SIZE = "width × height"
"""Stands for both; no setting can be called so."""
TELLING: Mapping[str, tuple[str, ...]] = {
    "txt2img": ("model", "sampler_name", "steps", "cfg_scale", SIZE),
    "txt2img.enable_hr": ("hr_scale", "denoising_strength", "hr_second_pass_steps", "hr_sampler_name"),
    "txt2img.refiner_checkpoint": ("refiner_checkpoint", "refiner_switch_at"),
    "img2img": ("model", "denoising_strength", "sampler_name", "steps"),
    "adetailer": ("adetailer_model", "adetailer_denoise", "adetailer_steps"),
    "upscale": ("upscaler", "upscaling_resize", "upscale_mode", "denoising_strength", "tile_size"),
    "pipeline": ("images_per_prompt", "seed_mode", "image_format"),
}
"""What matters most of a stage; of others it is what stands first."""

SUMMED_UP = 5
"""Values in one line, at most."""


def summary(card: Card, values: Mapping[str, JsonValue]) -> str:
    """The most telling values of a stage, in a line: ``DPM++ 2M · 30 steps · CFG 7 · 768 × 512``. ``values`` by
    key."""
    keys = TELLING.get(card.name) or tuple(
        SIZE if one.key == "width" and card.by_key("height") else one.key
        for one in card.own
        if not one.advanced
        and one.kind not in ("seed", "json")
        and not (one.key == "height" and card.by_key("width"))
    )
    parts = [_told(card, key, values) for key in keys]
    return "  ·  ".join([part for part in parts if part][:SUMMED_UP])


def _told(card: Card, key: str, values: Mapping[str, JsonValue]) -> str:
    if key == SIZE:
        return f"{short(values.get('width'))} × {short(values.get('height'))}"
    one = card.by_key(key)
    if one is None or not one.is_active(values):
        return ""
    value = values.get(key, one.default)
    if value in ("", None, [], {}) or (value is False) or (value == "None"):
        return ""
    return _in_words(one, value, values)


def _in_words(one: Field, value: JsonValue, values: Mapping[str, JsonValue]) -> str:
    key, text = one.key, short(value)
    if key == "hr_scale":
        return f"{_enlarged(text, values)} {short(values.get('hr_upscaler', ''))}".strip()
    if key == "refiner_switch_at" and isinstance(value, int | float):
        return _("from {percent} % of the steps on").replace("{percent}", short(round(value * 100, 2)))
    if key == "images_per_prompt" and isinstance(value, int):
        return many("{n} image a row", "{n} images a row", value)
    if key == "seed_mode":
        return {"per_image": "", "per_variant": _("a seed a variant"), "fixed": _("one seed")}.get(text, text)
    if one.kind == "switch":
        return one.title.lower()
    if one.choices in FILES and one.kind == "choice":
        return model_name(text)
    if one.kind in ("whole", "number"):
        if value == 0 and one.default == 0:
            return ""
        if one.title.lower() == "steps" and isinstance(value, int):
            return many("{n} step", "{n} steps", value)
        if key == "cfg_scale" or key.endswith("_cfg"):
            return f"CFG {text}"
        if "denois" in key:
            return _("denoise {value}").replace("{value}", text)
        if one.unit == "×":
            return f"{text}×"
        return f"{one.title.lower()} {text}{f' {one.unit}' if one.unit else ''}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _enlarged(scale: str, values: Mapping[str, JsonValue]) -> str:
    """What the hires pass makes: ``1.25×``, or a size where one is given, which then counts."""
    sides = [values.get(key, 0) for key in ("hr_resize_x", "hr_resize_y")]
    return " × ".join(short(side) if side else "…" for side in sides) if any(sides) else f"{scale}×"


_LONGEST = 28
"""Characters of a text in a summary."""
