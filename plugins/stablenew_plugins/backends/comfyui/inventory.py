"""What a ComfyUI server has, read from ``/object_info`` and ``/embeddings``. Pure.

A class of nodes is described as ``{"input": {"required": {NAME: [TYPE, OPTIONS]}, "optional": {...}},
"output": [...], "output_node": bool}``. A list to choose from is either ``[[A, B, ...], {...}]`` or, in newer
versions, ``["COMBO", {"options": [A, B, ...]}]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from stablenew_api.backend import Capabilities, Feature
from stablenew_api.jobs import JsonValue
from stablenew_plugins.backends.comfyui.names import LATENT_MODES, RESAMPLERS, sampler_names, scheduler_names

_SAMPLING = (
    "CheckpointLoaderSimple",
    "CLIPTextEncode",
    "KSampler",
    "KSamplerAdvanced",
    "VAEDecode",
    "SaveImage",
)
_NODES: Mapping[str, tuple[str, ...]] = {
    Feature.TXT2IMG: (*_SAMPLING, "EmptyLatentImage"),
    Feature.IMG2IMG: (*_SAMPLING, "LoadImage", "VAEEncode"),
    Feature.INPAINT: (*_SAMPLING, "LoadImage", "VAEEncode", "LoadImageMask", "SetLatentNoiseMask"),
    Feature.UPSCALE: ("LoadImage", "ImageScale", "SaveImage"),
    Feature.MODEL: ("CheckpointLoaderSimple",),
    Feature.VAE: ("VAELoader",),
    Feature.LORA: ("LoraLoader",),
    Feature.CLIP_SKIP: ("CLIPSetLastLayer",),
    Feature.HYPERNETWORK: ("HypernetworkLoader",),
    Feature.HIRES: (*_SAMPLING, "EmptyLatentImage"),
    Feature.HIRES_MODEL: (*_SAMPLING, "EmptyLatentImage", "VAEEncode"),
    Feature.REFINER: ("CheckpointLoaderSimple", "KSamplerAdvanced"),
}
"""Classes of nodes that a feature needs; ``/object_info`` says whether they are there."""

OFFERS: frozenset[str] = frozenset({*_NODES, Feature.EMBEDDING, Feature.WORKFLOW})
"""Features of a server that has all of them."""


@dataclass(frozen=True)
class Inventory:
    """What a server has."""

    nodes: Mapping[str, JsonValue]
    """``/object_info``."""
    embeddings: tuple[str, ...] = ()
    embeddings_known: bool = True
    """Whether the server has ``/embeddings``."""
    version: str = field(default="")
    """Of ComfyUI, where it says so."""

    def has(self, *classes: str) -> bool:
        """Whether all these classes of nodes are there."""
        return all(name in self.nodes for name in classes)

    def choices(self, node: str, name: str) -> tuple[str, ...]:
        """The list that the input ``name`` of ``node`` may be chosen from; empty if there is none."""
        return choices(self.nodes.get(node), name)

    def required(self, node: str) -> Iterator[tuple[str, JsonValue]]:
        """Required inputs of a class, with the values that they have by default; None where there is none."""
        description = self.nodes.get(node)
        inputs = description.get("input") if isinstance(description, dict) else None
        wanted = inputs.get("required") if isinstance(inputs, dict) else None
        for name, spec in wanted.items() if isinstance(wanted, dict) else ():
            options = spec[1] if isinstance(spec, list) and len(spec) > 1 else None
            default = options.get("default") if isinstance(options, dict) else None
            listed = self.choices(node, name)
            yield name, listed[0] if default is None and listed else default

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Checkpoints, as ComfyUI writes them; so are the lists below."""
        return self.choices("CheckpointLoaderSimple", "ckpt_name")

    @cached_property
    def vaes(self) -> tuple[str, ...]:
        """Files that ``VAELoader`` takes."""
        return self.choices("VAELoader", "vae_name")

    @cached_property
    def loras(self) -> tuple[str, ...]:
        """Files that ``LoraLoader`` takes."""
        return self.choices("LoraLoader", "lora_name")

    @cached_property
    def hypernetworks(self) -> tuple[str, ...]:
        """Files that ``HypernetworkLoader`` takes."""
        return self.choices("HypernetworkLoader", "hypernetwork_name")

    @cached_property
    def samplers(self) -> tuple[str, ...]:
        """By ComfyUI's names."""
        return self.choices("KSampler", "sampler_name")

    @cached_property
    def schedulers(self) -> tuple[str, ...]:
        """By ComfyUI's names."""
        return self.choices("KSampler", "scheduler")

    @cached_property
    def upscale_models(self) -> tuple[str, ...]:
        """Files of upscaling networks."""
        if not self.has("ImageUpscaleWithModel"):
            return ()
        return self.choices("UpscaleModelLoader", "model_name")

    @cached_property
    def resamplers(self) -> tuple[str, ...]:
        """Upscalers without a model, by A1111's names."""
        known = self.choices("ImageScale", "upscale_method")
        return tuple(name for name, method in RESAMPLERS.items() if method in known)

    @cached_property
    def latent_modes(self) -> tuple[str, ...]:
        """Upscalers on latents, by A1111's names."""
        known = self.choices("LatentUpscale", "upscale_method")
        return tuple(name for name, method in LATENT_MODES.items() if method in known)

    @cached_property
    def features(self) -> frozenset[str]:
        """What can be done with the nodes and files that are there."""
        found = {feature for feature, classes in _NODES.items() if self.has(*classes)}
        lists: Iterable[tuple[str, Sequence[str]]] = (
            (Feature.VAE, self.vaes),
            (Feature.LORA, self.loras),
            (Feature.HYPERNETWORK, self.hypernetworks),
        )
        found -= {feature for feature, names in lists if not names}
        if not self.models or not self.samplers:
            # Without a checkpoint nothing can be sampled, whatever the nodes.
            found &= {Feature.UPSCALE}
        if Feature.TXT2IMG in found and self.embeddings_known:
            found.add(Feature.EMBEDDING)
        if self.nodes:
            found.add(Feature.WORKFLOW)
        return frozenset(found)

    def capabilities(self) -> Capabilities:
        """The inventory in the contract's terms."""
        upscalers = (*self.resamplers, *self.upscale_models)
        return Capabilities(
            features=self.features,
            models=self.models,
            vaes=self.vaes,
            samplers=sampler_names(self.samplers),
            schedulers=scheduler_names(self.schedulers),
            upscalers=upscalers,
            hires_upscalers=(*self.latent_modes, *upscalers),
            loras=self.loras,
            embeddings=self.embeddings,
            hypernetworks=self.hypernetworks,
        )


def choices(description: JsonValue, name: str) -> tuple[str, ...]:
    """The list that an input may be chosen from, of a class described as in ``/object_info``."""
    for group in _groups(description):
        found = group.get(name)
        if not isinstance(found, list) or not found:
            continue
        options = found[0]
        if options == "COMBO" and len(found) > 1 and isinstance(found[1], dict):
            options = found[1].get("options", [])
        if isinstance(options, list):
            return tuple(item for item in options if isinstance(item, str))
    return ()


def _groups(description: JsonValue) -> list[Mapping[str, JsonValue]]:
    inputs = description.get("input") if isinstance(description, dict) else None
    if not isinstance(inputs, dict):
        return []
    groups = (inputs.get(name) for name in ("required", "optional"))
    return [group for group in groups if isinstance(group, dict)]
