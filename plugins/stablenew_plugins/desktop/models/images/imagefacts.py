"""What an image tells: lines for people, and what differs between several."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablenew_plugins.desktop.text import _, size_of

if TYPE_CHECKING:
    from stablenew_proto.v1 import gallery_pb2

GENERATORS = ("txt2img", "img2img")
"""Stages whose sampler is the image's, the first that took part."""
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about an image."""

    name: str
    value: str
    copies: bool = False
    """Whether people want to copy it."""
    mono: bool = False
    """Whether digits should stand below each other."""
    more: bool = False
    """Whether it is one of those that few people ask for."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A setting of all images that are compared."""

    name: str
    values: Sequence[str]
    """One for each image."""
    is_text: bool = False
    """Whether it is words that one reads, of which only some may differ."""

    @property
    def differs(self) -> bool:
        """Whether it is not the same in all of them."""
        return len(set(self.values)) > 1


def facts_of(
    image: gallery_pb2.Image,
    detail: gallery_pb2.GetImageResponse | None,
    title_of: Callable[[str], str],
) -> Sequence[Fact]:
    """The lines of the card below an image, those that few people ask for last. ``detail``: None while it is
    not told."""
    found = [Fact(_("Prompt"), image.prompt, copies=True)]
    found.append(Fact(_("Seed"), str(image.seed), copies=True, mono=True))
    if image.model:
        found.append(Fact(_("Model"), image.model, copies=True))
    settings = sections(detail)
    stage = next((settings[name] for name in GENERATORS if name in settings), {})
    if stage:
        parts = [str(stage[key]) for key in ("sampler_name", "scheduler") if stage.get(key)]
        if "steps" in stage:
            parts.append(_("{n} steps").format(n=stage["steps"]))
        if "cfg_scale" in stage:
            parts.append(_("CFG {n}").format(n=f"{stage['cfg_scale']:g}"))
        found.append(Fact(_("Sampler"), " · ".join(parts)))
    if image.width:
        found.append(Fact(_("Size"), f"{image.width} × {image.height}"))
    run = [_seconds(image.run_time)] if image.run_time else []
    if image.node:
        run.append(_("on {node}").format(node=image.node))
    if detail is not None and detail.peak_vram_bytes:
        run.append(_("{size} VRAM").format(size=size_of(detail.peak_vram_bytes)))
    if run:
        found.append(Fact(_("Made in"), " · ".join(run)))
    if image.negative_prompt:
        found.append(Fact(_("Negative"), image.negative_prompt, copies=True, more=True))
    if image.choices:
        chosen = " · ".join(f"{one.slot}: {one.value}" for one in image.choices)
        found.append(Fact(_("Chosen"), chosen, more=True))
    if image.stages:
        times = {time.stage: time.seconds for time in detail.times} if detail is not None else {}
        told = [
            f"{title_of(name)} {_seconds(times[name])}" if name in times else title_of(name)
            for name in image.stages
        ]
        found.append(Fact(_("Stages"), " → ".join(told), more=True))
    if image.preset:
        found.append(Fact(_("Preset"), image.preset.removesuffix(".json"), more=True))
    found.append(Fact(_("File"), image.path, copies=True, more=True))
    return found


def sections(detail: gallery_pb2.GetImageResponse | None) -> Mapping[str, Mapping[str, Any]]:
    """The settings of an image by stage; empty if they are not known."""
    if detail is None or not detail.settings_json:
        return {}
    found = json.loads(detail.settings_json)
    return {name: section for name, section in found.items() if isinstance(section, dict)}


def side_by_side(
    details: Sequence[gallery_pb2.GetImageResponse],
    title_of: Callable[[str], str],
    setting_title: Callable[[str, str], str],
) -> Sequence[Compared]:
    """What ``details`` were made with: prompts, what was drawn, then settings by stage. ``title_of``: what
    people call a stage; ``setting_title``: and a setting of it, by its key."""
    if len(details) < 2:
        return []
    images = [detail.image for detail in details]
    texts = {
        _("Prompt"): [image.prompt for image in images],
        _("Negative prompt"): [image.negative_prompt for image in images],
    }
    rows: dict[str, list[str]] = {
        _("Seed"): [str(image.seed) for image in images],
        _("Model"): [image.model for image in images],
        _("Size"): [f"{image.width} × {image.height}" for image in images],
    }
    chosen = [{one.slot: one.value for one in image.choices} for image in images]
    for slot in dict.fromkeys(slot for one in chosen for slot in one):
        rows[slot] = [one.get(slot, NOTHING) for one in chosen]
    found = [sections(detail) for detail in details]
    for stage in dict.fromkeys(name for one in found for name in one):
        has = [stage in one for one in found]
        if not all(has):
            rows[title_of(stage)] = [_("yes") if one else _("no") for one in has]
        keys = dict.fromkeys(key for one in found for key in one.get(stage, {}))
        for key in keys:
            if key == "seed":
                continue
            told = [_shown(one[stage].get(key)) if stage in one else NOTHING for one in found]
            known = {value for value, is_there in zip(told, has, strict=True) if is_there}
            if len(known) == 1:  # that a stage took no part is told once, and not for each of its settings
                told = [next(iter(known))] * len(told)
            rows[f"{title_of(stage)} · {setting_title(stage, key)}"] = told
    return [
        *(Compared(name, values, is_text=True) for name, values in texts.items() if any(values)),
        *(Compared(name, values) for name, values in rows.items() if set(values) != {NOTHING} and any(values)),
    ]


def caption_of(image: gallery_pb2.Image) -> str:
    """Where an image is from: "landscapes, row 2"; the name of its file where that is not known."""
    if not image.run_name:
        return image.path.replace("\\", "/").rpartition("/")[2]
    name = image.run_name.removesuffix(".txt")
    return _("{pack}, row {n}").format(pack=name, n=image.row) if image.row else name


def _shown(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _seconds(seconds: float) -> str:
    return _("{n} s").format(n=f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}")
