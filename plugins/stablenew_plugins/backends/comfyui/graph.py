"""The API graph of a plan: nodes, their inputs, and the links between them. Pure.

Names of classes and inputs are those of ComfyUI's ``nodes.py`` and ``comfy_extras/nodes_upscale_model.py``. A
link is ``[NODE ID, OUTPUT]``. The same plan gives the same graph, but for the file name's prefix: so ComfyUI
finds what it still has in its cache, and saves a new file all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_plugins.backends.comfyui.inventory import Inventory
from stablenew_plugins.backends.comfyui.plan import Enlarger, HiresPlan, Pass, SamplingPlan, UpscalePlan
from stablenew_plugins.backends.comfyui.prompt import Part, Prompt

Link = list[JsonValue]

LAST_STEP = 10_000
"""``end_at_step`` of a pass that goes to the end: the largest that KSamplerAdvanced takes."""

NETWORK_STEPS = 10
"""What an upscaling network counts as in progress: ComfyUI reports its tiles, and nobody knows their number."""


@dataclass(slots=True)
class Graph:
    """A graph in the making."""

    nodes: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """Sampling steps that a node makes: what progress is counted in."""

    def add(self, class_type: str, **inputs: JsonValue) -> str:
        """Add a node. Returns its id."""
        node = str(len(self.nodes) + 1)
        self.nodes[node] = {"class_type": class_type, "inputs": inputs}
        return node


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A checkpoint with all that belongs to it."""

    model: Link
    positive: Link
    negative: Link
    vae: Link


class _Models:
    """Loads each checkpoint once."""

    def __init__(self, graph: Graph, plan: SamplingPlan) -> None:
        self._graph, self._plan = graph, plan
        self._loaded: dict[str, _Loaded] = {}
        self._vae: Link | None = None

    def get(self, checkpoint: str) -> _Loaded:
        """``checkpoint``, with LoRAs, clip skip, VAE and the encoded prompts."""
        found = self._loaded.get(checkpoint)
        if found is None:
            found = self._loaded[checkpoint] = self._load(checkpoint)
        return found

    def _load(self, checkpoint: str) -> _Loaded:
        graph, plan = self._graph, self._plan
        loader = graph.add("CheckpointLoaderSimple", ckpt_name=checkpoint)
        model: Link = [loader, 0]
        clip: Link = [loader, 1]
        for name, strength in plan.hypernets:
            model = [
                graph.add("HypernetworkLoader", model=model, hypernetwork_name=name, strength=strength),
                0,
            ]
        for name, unet, text in plan.loras:
            lora = graph.add(
                "LoraLoader", model=model, clip=clip, lora_name=name, strength_model=unet, strength_clip=text
            )
            model, clip = [lora, 0], [lora, 1]
        if plan.clip_skip > 1:
            clip = [graph.add("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-plan.clip_skip), 0]
        vae: Link = [loader, 2]
        if plan.vae:
            if self._vae is None:
                self._vae = [graph.add("VAELoader", vae_name=plan.vae), 0]
            vae = self._vae
        return _Loaded(model, _encode(graph, clip, plan.positive), _encode(graph, clip, plan.negative), vae)


def txt2img_graph(plan: SamplingPlan, prefix: str) -> Graph:
    """A picture from a prompt, in one or two passes. ``prefix``: of the file's name, see ``SaveImage``."""
    graph = Graph()
    models = _Models(graph, plan)
    base = models.get(plan.model)
    empty: Link = [
        graph.add("EmptyLatentImage", width=plan.width, height=plan.height, batch_size=1),
        0,
    ]
    latent = _sample(graph, models, plan, plan.model, plan.first, empty)
    if plan.hires is None:
        picture = _decode(graph, latent, base)
    else:
        picture = _second_pass(graph, models, plan, plan.hires, latent, base)
    graph.add("SaveImage", images=picture, filename_prefix=prefix)
    return graph


def img2img_graph(plan: SamplingPlan, prefix: str, image: str, mask: str = "") -> Graph:
    """``image`` drawn over, under ``mask`` if there is one; both are files of ComfyUI's input folder."""
    graph = Graph()
    models = _Models(graph, plan)
    base = models.get(plan.model)
    loaded: Link = [graph.add("LoadImage", image=image), 0]
    latent: Link = [graph.add("VAEEncode", pixels=loaded, vae=base.vae), 0]
    if mask:
        loaded_mask: Link = [graph.add("LoadImageMask", image=mask, channel="red"), 0]
        latent = [graph.add("SetLatentNoiseMask", samples=latent, mask=loaded_mask), 0]
    latent = _sample(graph, models, plan, plan.model, plan.first, latent)
    graph.add("SaveImage", images=_decode(graph, latent, base), filename_prefix=prefix)
    return graph


def upscale_graph(plan: UpscalePlan, prefix: str, image: str) -> Graph:
    """``image``, a file of ComfyUI's input folder, made larger (or smaller)."""
    graph = Graph()
    loaded: Link = [graph.add("LoadImage", image=image), 0]
    picture = _enlarge(graph, plan.enlarger, loaded, plan.width, plan.height, crop=False)
    graph.add("SaveImage", images=picture, filename_prefix=prefix)
    return graph


def completed(graph: Graph, inventory: Inventory) -> Graph:
    """``graph`` with what this ComfyUI's nodes want beyond it, at its default: versions add inputs.

    Raises StageFailure(BACKEND) for an input that has no default.
    """
    for node, value in graph.nodes.items():
        kind, inputs = value["class_type"], value["inputs"]
        for name, default in inventory.required(kind):
            if name in inputs:
                continue
            if default is None:
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"this ComfyUI's {kind} (node {node}) wants an input {name!r} that StableNew does not "
                    "know; update StableNew",
                )
            inputs[name] = default
    return graph


def with_prefix(nodes: Mapping[str, JsonValue], mark: str, *, keep: bool = False) -> dict[str, JsonValue]:
    """A workflow whose SaveImage nodes write files of new names, so that none is answered from the cache.

    ``keep`` turns PreviewImage into SaveImage too: a preview that was cached may be deleted, and only a node
    that is new is executed again.
    """
    result: dict[str, JsonValue] = {}
    for node, value in nodes.items():
        kind, inputs = value["class_type"], dict(value.get("inputs", {}))
        if kind == "PreviewImage" and keep:
            kind = "SaveImage"
            inputs["filename_prefix"] = "stablenew/preview"
        prefix = inputs.get("filename_prefix")
        if kind == "SaveImage" and isinstance(prefix, str):
            inputs["filename_prefix"] = f"{prefix}-{mark}"
        result[node] = {**value, "class_type": kind, "inputs": inputs}
    return result


def _encode(graph: Graph, clip: Link, prompt: Prompt) -> Link:
    """A prompt encoded: ``BREAK`` puts encodings behind each other, ``AND`` mixes their predictions.

    A1111 adds the weighted differences to the negative prompt, ComfyUI takes their weighted mean: with the CFG
    scale multiplied by the sum of the weights (:attr:`SamplingPlan.cfg`) both are the same.
    """
    parts = [part for part in prompt.parts if part.weight > 0]
    uneven = len({part.weight for part in parts}) > 1
    largest = max(part.weight for part in parts)

    def one(part: Part) -> Link:
        links: list[Link] = [[graph.add("CLIPTextEncode", clip=clip, text=text), 0] for text in part.chunks]
        result = links[0]
        for link in links[1:]:
            result = [graph.add("ConditioningConcat", conditioning_to=result, conditioning_from=link), 0]
        if uneven:
            strength = round(part.weight / largest, 6)
            result = [graph.add("ConditioningSetAreaStrength", conditioning=result, strength=strength), 0]
        return result

    result = one(parts[0])
    for part in parts[1:]:
        link = one(part)
        result = [graph.add("ConditioningCombine", conditioning_1=result, conditioning_2=link), 0]
    return result


def _sample(
    graph: Graph, models: _Models, plan: SamplingPlan, model: str, sampling: Pass, latent: Link
) -> Link:
    """The steps of a pass, with the refiner for the last of them."""
    switch = sampling.steps if sampling.refiner_at is None else sampling.refiner_at
    spans = [(model, sampling.start, switch), (plan.refiner, switch, sampling.steps)]
    spans = [span for span in spans if span[1] < span[2]]
    if len(spans) == 1 and sampling.start == 0:
        used = models.get(spans[0][0])
        node = graph.add(
            "KSampler",
            model=used.model,
            positive=used.positive,
            negative=used.negative,
            latent_image=latent,
            seed=plan.seed,
            steps=sampling.steps,
            cfg=plan.cfg,
            sampler_name=sampling.sampler,
            scheduler=sampling.scheduler,
            denoise=1.0,
        )
        graph.steps[node] = sampling.steps
        return [node, 0]
    for number, (checkpoint, start, end) in enumerate(spans):
        last = number == len(spans) - 1
        used = models.get(checkpoint)
        node = graph.add(
            "KSamplerAdvanced",
            model=used.model,
            positive=used.positive,
            negative=used.negative,
            latent_image=latent,
            add_noise="enable" if number == 0 else "disable",
            noise_seed=plan.seed,
            steps=sampling.steps,
            cfg=plan.cfg,
            sampler_name=sampling.sampler,
            scheduler=sampling.scheduler,
            start_at_step=start,
            end_at_step=LAST_STEP if last else end,
            return_with_leftover_noise="disable" if last else "enable",
        )
        graph.steps[node] = end - start
        latent = [node, 0]
    return latent


def _second_pass(
    graph: Graph, models: _Models, plan: SamplingPlan, hires: HiresPlan, latent: Link, base: _Loaded
) -> Link:
    """The first pass's latent made larger and sampled again."""
    used = models.get(hires.model) if hires.sampling is not None else base
    if hires.enlarger.latent:
        larger: Link = [
            graph.add(
                "LatentUpscale",
                samples=latent,
                upscale_method=hires.enlarger.latent,
                width=hires.width,
                height=hires.height,
                crop="center" if hires.crop else "disabled",
            ),
            0,
        ]
    else:
        picture = _enlarge(
            graph, hires.enlarger, _decode(graph, latent, base), hires.width, hires.height, crop=hires.crop
        )
        if hires.sampling is None:
            return picture
        larger = [graph.add("VAEEncode", pixels=picture, vae=used.vae), 0]
    if hires.sampling is not None:
        larger = _sample(graph, models, plan, hires.model, hires.sampling, larger)
    return _decode(graph, larger, used)


def _enlarge(graph: Graph, enlarger: Enlarger, picture: Link, width: int, height: int, *, crop: bool) -> Link:
    """``picture`` at exactly this size."""
    method = enlarger.method
    if enlarger.model:
        network: Link = [graph.add("UpscaleModelLoader", model_name=enlarger.model), 0]
        node = graph.add("ImageUpscaleWithModel", upscale_model=network, image=picture)
        graph.steps[node] = NETWORK_STEPS
        picture, method = [node, 0], "lanczos"
    node = graph.add(
        "ImageScale",
        image=picture,
        upscale_method=method,
        width=width,
        height=height,
        crop="center" if crop else "disabled",
    )
    return [node, 0]


def _decode(graph: Graph, latent: Link, used: _Loaded) -> Link:
    return [graph.add("VAEDecode", samples=latent, vae=used.vae), 0]
