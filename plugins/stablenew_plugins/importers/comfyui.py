"""Images of ComfyUI: the graph that was queued, in the ``prompt`` text, walked back from the saved picture.

Source: ``nodes.py`` and ``comfy_extras/nodes_custom_sampler.py`` of ComfyUI, for the inputs of each node. Nodes
of extensions are understood as far as their inputs have the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    real,
    short,
    whole,
)
from stablenew_plugins.importers.dialects import add_loras
from stablenew_plugins.importers.images import IMAGES, ImageImporter, image_size, imported_image
from stablenew_plugins.importers.names import put_sampler, sampler_name

_PICTURE = ("images", "image", "samples", "latent_image", "latent", "pixels", "upscaled_image", "input", "")
"""Inputs through which a picture comes into a node, in this order; a reroute's has no name."""
_VALUE = (
    "value",
    "Value",
    "string",
    "text",
    "text_value",
    "prompt",
    "int",
    "float",
    "number",
    "seed",
    "noise_seed",
)
"""Inputs in which nodes that hold one value have it."""
_PATCHES = frozenset(
    [
        "ModelSamplingDiscrete",
        "ModelSamplingSD3",
        "ModelSamplingFlux",
        "ModelSamplingAuraFlow",
        "Reroute",
        "FreeU",
        "FreeU_V2",
        "RescaleCFG",
        "PatchModelAddDownscale",
        "PerturbedAttentionGuidance",
    ]
)
_LATENT = {
    "nearest-exact": "Latent (nearest-exact)",
    "bilinear": "Latent",
    "bicubic": "Latent (bicubic)",
}
_FACTOR = re.compile(r"(?:^|[^0-9a-z])(?:([2348])x|x([2348]))(?:[^0-9a-z]|$)", re.IGNORECASE)
_EMBEDDING = re.compile(r"(?<![\w<:])embedding:([^\s,():<>]+)", re.IGNORECASE)
_HOPS = 1_000
"""Links that are followed for one picture."""
_LEVELS = 40
"""Texts and conditionings that are made of others, inside each other."""

_Link = tuple[str, int]


class ComfyUI(ImageImporter):
    """The first sampler becomes txt2img, a second one behind it the hires pass or the refiner."""

    name, title = "comfyui", "Image (or API graph) of ComfyUI"
    endings = (*IMAGES, ".json")

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if there is no graph in it, or no sampler in the graph."""
        texts = self.texts(name, data)
        if "prompt" not in texts:
            more = " (a workflow is for the editor: it names no inputs)" if "workflow" in texts else ""
            raise UserError(f"{name}: no prompt graph in it{more}")
        # A node's NaN is written as Python does, and is read.
        nodes = parse_json(f"{name}, prompt", texts["prompt"])
        if not isinstance(nodes, dict):
            raise UserError(f"{name}: its prompt is no graph")
        notes = Notes()
        walk = _Walk(nodes, notes)
        settings: Flat = {}
        prompt, negative = walk.read(name, settings)
        single = not any(key in settings for key in ("txt2img.enable_hr", "upscale.upscaler"))
        if "txt2img.width" not in settings and single and (size := image_size(data)):
            settings["txt2img.width"], settings["txt2img.height"] = size
        return imported_image(name, prompt, negative, settings, notes, program="ComfyUI")


class _Walk:
    def __init__(self, nodes: dict[str, Any], notes: Notes) -> None:
        self._nodes = {
            name: node
            for name, node in nodes.items()
            if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
        }
        self._notes = notes
        self._hops = 0

    # --- nodes and links --------------------------------------------------------------------------------------

    def _kind(self, node: str) -> str:
        return str(self._nodes[node].get("class_type") or "?")

    def _inputs(self, node: str) -> dict[str, Any]:
        inputs: dict[str, Any] = self._nodes[node]["inputs"]
        return inputs

    def _link(self, value: Any) -> _Link | None:
        """Where an input comes from, if from another node. A node that is not there is noted."""
        if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)):
            return None
        self._hops += 1
        node = str(value[0])
        if self._hops > _HOPS:
            self._notes.add("a graph as tangled as this is not walked to its end")
            return None
        if node not in self._nodes:
            self._notes.add(
                f"a link leads to node {short(node)}, which is not in the graph (inside a subgraph?)"
            )
            return None
        return node, value[1] if isinstance(value[1], int) else 0

    def _links(self, node: str) -> Iterator[str]:
        for value in self._inputs(node).values():
            if isinstance(value, list) and len(value) == 2 and str(value[0]) in self._nodes:
                yield str(value[0])

    def _scalar(self, node: str, key: str, level: int = 0) -> Any:
        """The value of an input: its own, or that of the node that it is linked to. Joined texts are joined."""
        value = self._inputs(node).get(key)
        while (link := self._link(value)) is not None:
            inputs = self._inputs(link[0])
            if {"string_a", "string_b"} <= inputs.keys():
                if level >= _LEVELS:
                    self._notes.add(f"texts joined more than {_LEVELS} deep are left out")
                    return None
                parts = [str(self._scalar(link[0], part, level + 1) or "") for part in ("string_a", "string_b")]
                return str(inputs.get("delimiter", "")).join(parts)
            names = [name for name in (key, *_VALUE, "") if name in inputs]
            if not names and len(inputs) != 1:
                self._notes.add(f"{key}: comes from a node {self._kind(link[0])!r}, which is not understood")
                return None
            value = inputs[names[0]] if names else next(iter(inputs.values()))
        return None if isinstance(value, list | dict) else value

    # --- the way of the picture -------------------------------------------------------------------------------

    def _is_sampler(self, node: str) -> bool:
        inputs = self._inputs(node)
        return "latent_image" in inputs and ("sigmas" in inputs or {"steps", "sampler_name"} <= inputs.keys())

    def _way(self, output: str) -> list[str]:
        """The nodes that the picture of ``output`` went through, the last one first."""
        way: dict[str, None] = {}  # in order, and quick to look up: it may be long
        node = output
        while node not in way:
            way[node] = None
            inputs = self._inputs(node)
            linked = [key for key in _PICTURE if self._link(inputs.get(key))]
            if not linked:
                only = list(self._links(node))
                if len(only) != 1 or self._is_sampler(node):
                    break
                node = only[0]
            else:
                link = self._link(inputs[linked[0]])
                if link is None:
                    break
                node = link[0]
        return list(way)

    def read(self, name: str, settings: Flat) -> tuple[str, str]:
        """Fill ``settings``; returns prompt and negative prompt. Raises UserError if no sampler is found."""
        used = {linked for node in self._nodes for linked in self._links(node)}
        outputs = sorted((node for node in self._nodes if node not in used), key=self._rank)
        ways = []
        for output in outputs[:50]:
            self._hops = 0
            ways.append(self._way(output))
        ways = [way for way in ways if any(self._is_sampler(node) for node in way)]
        if not ways:
            raise UserError(f"{name}: no sampler on the way to a picture in its graph")
        way = max(ways, key=lambda nodes: sum(self._is_sampler(node) for node in nodes))
        ends = {next(node for node in nodes if self._is_sampler(node)) for nodes in ways}
        if len(ends) > 1:
            self._notes.add(f"the graph makes {len(ends)} pictures; the one of node {short(way[0])} was taken")
        self._hops = 0
        places = [place for place, node in enumerate(way) if self._is_sampler(node)]
        base = way[places[-1]]
        texts = self._base(settings, base, way[places[-1] + 1 :])
        self._vae(settings, way[: places[-1]])
        before = places[-1]
        for number, place in enumerate(reversed(places[:-1])):
            if number:
                self._notes.add(
                    f"a third sampler and what follows it (node {short(way[place])}) are not taken over"
                )
                break
            self._second(settings, base, way[place], way[place + 1 : before])
            before = place
        if len(places) <= 2:
            self._enlarge(settings, way[: places[0]])
        return texts

    def _rank(self, node: str) -> tuple[bool, int, str]:
        return "save" not in self._kind(node).lower(), len(node), node

    # --- samplers ---------------------------------------------------------------------------------------------

    def _sampling(self, node: str) -> dict[str, Any]:
        """What a sampler is set to, whichever kind it is."""
        inputs = self._inputs(node)
        found: dict[str, Any] = {
            key: self._scalar(node, key)
            for key in ("steps", "cfg", "sampler_name", "scheduler", "denoise", "start_at_step", "end_at_step")
            if key in inputs
        }
        seed = next((key for key in ("seed", "noise_seed") if key in inputs), "")
        found["seed"] = self._scalar(node, seed) if seed else None
        for key in ("noise", "guider", "sampler", "sigmas"):  # of SamplerCustom and SamplerCustomAdvanced
            link = self._link(inputs.get(key))
            for hop in range(20):
                if link is None:
                    break
                part = self._inputs(link[0])
                if key == "sigmas":
                    kind = self._kind(link[0])
                    if kind.endswith("Scheduler") and "scheduler" not in part and kind != "BasicScheduler":
                        found.setdefault("scheduler", re.sub(r"Scheduler$", "", kind).lower())
                for name in ("steps", "cfg", "sampler_name", "scheduler", "denoise", "noise_seed"):
                    if name in part and found.get("seed" if name == "noise_seed" else name) is None:
                        found["seed" if name == "noise_seed" else name] = self._scalar(link[0], name)
                link = self._link(part.get(key)) if hop < 19 else None
        return found

    def _role(self, node: str, role: str) -> Any:
        """The link of a sampler's positive or negative conditioning."""
        inputs = self._inputs(node)
        if role in inputs:
            return inputs[role]
        link = self._link(inputs.get("guider"))
        if link is None:
            return None
        guider = self._inputs(link[0])
        return guider.get(role, guider.get("conditioning") if role == "positive" else None)

    def _model_link(self, node: str) -> Any:
        inputs = self._inputs(node)
        link = self._link(inputs.get("guider"))
        return inputs["model"] if "model" in inputs else self._inputs(link[0]).get("model") if link else None

    def _base(self, settings: Flat, node: str, source: list[str]) -> tuple[str, str]:
        found = self._sampling(node)
        for key in ("steps", "seed"):
            put_number(settings, f"txt2img.{key}", found.get(key), self._notes, key, integer=True)
        put_number(settings, "txt2img.cfg_scale", found.get("cfg"), self._notes, "cfg", integer=False)
        put_sampler(
            settings, str(found.get("sampler_name") or ""), str(found.get("scheduler") or ""), self._notes
        )
        model, loras = self._model(self._model_link(node))
        if model:
            settings["txt2img.model"] = model
        for start in source:
            inputs = self._inputs(start)
            for prefix in (
                "",
                "empty_latent_",
            ):  # the latter of the Efficient Loader, which is all loaders in one
                if f"{prefix}width" in inputs and f"{prefix}height" in inputs and not self._is_scale(start):
                    for key in ("width", "height"):
                        value = self._scalar(start, prefix + key)
                        put_number(settings, f"txt2img.{key}", value, self._notes, key, integer=True)
            if (layer := whole(inputs.get("clip_skip"))) is not None and layer < 0:
                settings["txt2img.clip_skip"] = -layer
        denoise = real(found.get("denoise"))
        if denoise is not None and denoise < 1:
            settings["img2img.denoising_strength"] = denoise
        if (denoise is not None and denoise < 1) or any("LoadImage" in self._kind(start) for start in source):
            self._notes.add("made by img2img: the picture that it was drawn over is not in the file")
        positive = self._text(self._role(node, "positive"), "positive", settings, 0)
        negative = self._text(self._role(node, "negative"), "negative", settings, 0)
        return add_loras(_EMBEDDING.sub(_embedding, positive), loras), _EMBEDDING.sub(_embedding, negative)

    def _second(self, settings: Flat, base: str, node: str, between: list[str]) -> None:
        """A second sampler: the refiner if it goes on where the first one stopped, else the hires pass."""
        found = self._sampling(node)
        model, _ = self._model(self._model_link(node))
        other = model if model != settings.get("txt2img.model") else ""
        start, steps = whole(found.get("start_at_step")), whole(self._sampling(base).get("steps"))
        if start and steps and not any(self._is_scale(each) for each in between):
            if other:
                settings["txt2img.refiner_checkpoint"] = other
                settings["txt2img.refiner_switch_at"] = round(min(start / steps, 1.0), 4)
            else:
                self._notes.add(
                    "a second sampler of the same model goes on where the first one stops; left out"
                )
            return
        settings["txt2img.enable_hr"] = True
        put_number(
            settings, "txt2img.hr_second_pass_steps", found.get("steps"), self._notes, "steps", integer=True
        )
        denoise, own_steps = found.get("denoise"), whole(found.get("steps"))
        if denoise is None and start and own_steps:  # KSamplerAdvanced begins later instead
            denoise = round(max(1 - start / own_steps, 0.0), 4)
        put_number(settings, "txt2img.denoising_strength", denoise, self._notes, "denoise", integer=False)
        names = sampler_name(str(found.get("sampler_name") or ""))
        if names and names[0] != settings.get("txt2img.sampler_name"):
            settings["txt2img.hr_sampler_name"] = names[0]
        if other:
            settings["txt2img.hr_checkpoint_name"] = other
        upscaler, scale, size = self._scale(between)
        if upscaler:
            settings["txt2img.hr_upscaler"] = upscaler
        if size:
            settings["txt2img.hr_resize_x"], settings["txt2img.hr_resize_y"] = size
        elif scale or not upscaler:
            settings["txt2img.hr_scale"] = scale or 1.0  # A1111 would double it

    def _enlarge(self, settings: Flat, after: list[str]) -> None:
        """What enlarges the picture behind the last sampler: the stage upscale."""
        upscaler, scale, size = self._scale(after)
        if not (upscaler or scale or size):
            return
        settings["pipeline.upscale_enabled"] = True
        if upscaler:
            settings["upscale.upscaler"] = upscaler
        if scale:
            settings["upscale.upscaling_resize"] = scale
        elif size:
            self._notes.add(f"enlarged to {size[0]}x{size[1]}; a factor for upscaling_resize is not known")

    def _is_scale(self, node: str) -> bool:
        return "upscale_method" in self._inputs(node) or "upscale_model" in self._inputs(node)

    def _scale(self, nodes: list[str]) -> tuple[str, float | None, tuple[int, int] | None]:
        """Upscaler, factor and size of the nodes that enlarge; ``nodes`` are last first."""
        upscaler, scale, size = "", 1.0, None
        unknown = False
        for node in reversed(nodes):
            inputs = self._inputs(node)
            if "upscale_model" in inputs:
                link = self._link(inputs["upscale_model"])
                upscaler = model_name(self._scalar(link[0], "model_name") or "") if link else ""
                factor = _FACTOR.search(upscaler)
                unknown = factor is None
                scale *= float(factor[1] or factor[2]) if factor else 1.0
            elif "upscale_method" in inputs:
                method = str(self._scalar(node, "upscale_method") or "")
                if "samples" in inputs:
                    upscaler = upscaler or _LATENT.get(method, "Latent")
                by = real(self._scalar(node, "scale_by"))
                width, height = (whole(self._scalar(node, side)) for side in ("width", "height"))
                if by is not None:
                    scale *= by
                elif width and height:
                    size, unknown = (width, height), False
        if unknown:
            self._notes.add(f"how much {short(upscaler)!r} enlarges is not to be seen in the graph")
        return upscaler, None if unknown or size or scale == 1 else round(scale, 4), size

    # --- what a sampler is fed with ---------------------------------------------------------------------------

    def _model(self, value: Any) -> tuple[str, list[str]]:
        """The checkpoint, and the tags of the LoRAs on the way to it, the first applied first."""
        loras: list[str] = []
        while (link := self._link(value)) is not None:
            inputs, kind = self._inputs(link[0]), self._kind(link[0])
            lora = self._scalar(link[0], "lora_name")
            if lora and lora != "None":
                strength = self._scalar(link[0], "strength_model")
                strength = strength if strength is not None else self._scalar(link[0], "lora_model_strength")
                loras.append(lora_tag(lora, strength))
            for each in inputs.values():  # Power Lora Loader (rgthree)
                if isinstance(each, dict) and each.get("lora") and each.get("on", True):
                    loras.append(lora_tag(each["lora"], each.get("strength")))
            for key in ("ckpt_name", "unet_name"):
                if key in inputs:
                    return model_name(self._scalar(link[0], key) or ""), loras[::-1]
            if not lora and kind not in _PATCHES and "LoraLoader" not in kind and "Lora Loader" not in kind:
                self._notes.add(f"a node {kind!r} on the way to the model is not taken over")
            elif kind in _PATCHES and kind != "Reroute":
                self._notes.add(f"{kind} is not taken over")
            value = inputs.get("model", inputs.get(""))
        return "", loras[::-1]

    def _text(self, value: Any, role: str, settings: Flat, level: int) -> str:
        """The text of a conditioning; ``role`` is the side of it that is asked for."""
        link = self._link(value)
        if link is None:
            return value if isinstance(value, str) else ""
        node = link[0]
        inputs, kind = self._inputs(node), self._kind(node)
        if level >= _LEVELS:
            self._notes.add(f"conditionings nested more than {_LEVELS} deep are left out")
            return ""
        if "ControlNet" in kind:
            self._notes.add(f"{kind} is not taken over")
        if kind == "ConditioningZeroOut":
            return ""
        if role == "positive":
            self._clip_skip(inputs.get("clip"), settings)
        if texts := [key for key in ("text", "text_g", "text_l", "clip_l", "t5xxl") if key in inputs]:
            parts = [str(self._scalar(node, key) or "").strip() for key in texts]
            return ", ".join(dict.fromkeys(part for part in parts if part))
        if "guidance" in inputs:
            self._notes.add(f"distilled guidance {short(self._scalar(node, 'guidance'))} is not taken over")
        joined = [key for key in inputs if key.startswith("conditioning_") and self._link(inputs[key])]
        if joined:
            parts = [self._text(inputs[key], role, settings, level + 1) for key in joined]
            between = " BREAK " if "Concat" in kind else " AND "
            self._notes.add(f"{kind}: its prompts were joined with {between.strip()}")
            return between.join(part for part in parts if part)
        for key in (role, "conditioning", ""):
            if key in inputs:
                return self._text(inputs[key], role, settings, level + 1)
        if "prompt" in inputs:
            return str(self._scalar(node, "prompt") or "")
        linked = [key for key in inputs if key != "clip" and self._link(inputs[key])]
        if len(linked) == 1:
            return self._text(inputs[linked[0]], role, settings, level + 1)
        self._notes.add(f"the {role} prompt comes from a node {kind!r}, which is not understood")
        return ""

    def _clip_skip(self, value: Any, settings: Flat) -> None:
        while (link := self._link(value)) is not None:
            inputs = self._inputs(link[0])
            layer = (
                whole(self._scalar(link[0], "stop_at_clip_layer")) if "stop_at_clip_layer" in inputs else None
            )
            if layer is not None and layer < 0:
                settings["txt2img.clip_skip"] = -layer
                return
            value = inputs.get("clip", inputs.get(""))

    def _vae(self, settings: Flat, way: list[str]) -> None:
        for node in way:
            link = self._link(self._inputs(node).get("vae"))
            if link is not None and "samples" in self._inputs(node):
                name = self._scalar(link[0], "vae_name")
                if name and str(name) != "Baked VAE":
                    settings["txt2img.vae"] = model_name(name)
                return


def _embedding(found: re.Match[str]) -> str:
    return f"<embedding:{model_name(found[1])}>"
