"""A request in ComfyUI's terms: names found, prompts read, steps counted. Pure.

What a step count means follows A1111 (``setup_img2img_steps`` of ``modules/sd_samplers_common.py``): img2img
with strength d makes ``int(d x steps) + 1`` steps of the schedule, the hires pass all its steps whatever d is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stablenew_api.backend import Hires, Img2ImgRequest, Sampling, Txt2ImgRequest, UpscaleRequest
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.comfyui.inventory import Inventory
from stablenew_plugins.backends.comfyui.names import (
    LATENT_MODES,
    RESAMPLERS,
    find_file,
    refusal,
    sampling_names,
)
from stablenew_plugins.backends.comfyui.prompt import Prompt, read_prompt

MAX_SIDE = 16384
"""``MAX_RESOLUTION`` of ComfyUI's ``nodes.py``, pixels."""
MAX_STEPS = 10_000
"""Of a schedule, ``KSampler``."""
MAX_CFG = 100.0
ALMOST_ALL = 0.999
"""A1111's limit of a denoising strength where steps are counted."""


@dataclass(frozen=True, slots=True)
class Enlarger:
    """How something is made larger: exactly one of the three is set."""

    name: str
    """As it was asked for."""
    latent: str = ""
    """``upscale_method`` of LatentUpscale."""
    method: str = ""
    """``upscale_method`` of ImageScale."""
    model: str = ""
    """File of an upscaling network."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of a sampler over a part of a schedule."""

    sampler: str
    scheduler: str
    steps: int
    """Of the whole schedule."""
    start: int = 0
    """First step that is made; they are made to the end."""
    refiner_at: int | None = None
    """Step from which on the refiner works; None: it does not."""

    @property
    def made(self) -> int:
        """Steps that are made."""
        return self.steps - self.start


@dataclass(frozen=True, slots=True)
class HiresPlan:
    """The second pass."""

    enlarger: Enlarger
    width: int
    height: int
    crop: bool
    """Whether the shape changes, so that edges are cut off."""
    sampling: Pass | None
    """None: denoising strength 0, so it is only enlarged."""
    model: str


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """A txt2img or img2img call."""

    model: str
    vae: str
    clip_skip: int
    loras: tuple[tuple[str, float, float], ...]
    """File, strength on the model, strength on the text encoder."""
    hypernets: tuple[tuple[str, float], ...]
    positive: Prompt
    negative: Prompt
    seed: int
    cfg: float
    """For ComfyUI: with the weights of ``AND`` in it."""
    first: Pass
    refiner: str
    width: int
    height: int
    hires: HiresPlan | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result, pixels."""
        return (self.hires.width, self.hires.height) if self.hires else (self.width, self.height)


@dataclass(frozen=True, slots=True)
class UpscalePlan:
    """An upscale call."""

    enlarger: Enlarger
    width: int
    height: int


def plan_txt2img(request: Txt2ImgRequest, inventory: Inventory, default_model: str = "") -> SamplingPlan:
    """``request`` in ComfyUI's terms. Raises StageFailure(BAD_INPUT) for what it cannot do."""
    if request.width % 8 or request.height % 8:
        raise _bad(
            f"{request.width} x {request.height}: ComfyUI makes pictures whose sides are multiples of 8 pixels"
        )
    plan = _sampling(request, inventory, default_model, (request.width, request.height))
    first = Pass(*_names(request, inventory), _steps(request.steps))
    if request.hires is None:
        return replace(plan, first=_refined(first, request))
    return replace(plan, first=first, hires=_hires(request, request.hires, inventory, plan.model))


def plan_img2img(request: Img2ImgRequest, inventory: Inventory, default_model: str = "") -> SamplingPlan:
    """``request`` in ComfyUI's terms; its strength must be above 0. Raises StageFailure(BAD_INPUT)."""
    strength = request.denoising_strength
    if not 0 < strength <= 1:
        raise _bad(f"denoising strength {strength:g}: must be 0 to 1")
    width, height = (-(-side // 8) * 8 for side in request.image.size)
    plan = _sampling(request, inventory, default_model, (width, height))
    steps = _steps(request.steps)
    made = min(steps, int(min(strength, ALMOST_ALL) * steps) + 1)
    return replace(plan, first=_refined(Pass(*_names(request, inventory), steps, steps - made), request))


def plan_upscale(request: UpscaleRequest, inventory: Inventory) -> UpscalePlan:
    """``request`` in ComfyUI's terms. Raises StageFailure(BAD_INPUT)."""
    enlarger = find_enlarger(request.upscaler, inventory)
    if request.tile_size and enlarger.model:
        raise _bad(
            f"tile size {request.tile_size}: ComfyUI chooses the tiles of an upscaling network by itself (512 "
            "pixels, smaller ones when memory runs out); set it to 0"
        )
    if request.scale <= 0:
        raise _bad(f"scale {request.scale:g}: must be more than 0")
    width, height = (max(1, round(side * request.scale)) for side in request.image.size)
    _check_size(width, height)
    return UpscalePlan(enlarger, width, height)


def find_enlarger(name: str, inventory: Inventory, *, latent: bool = False) -> Enlarger:
    """The upscaler called ``name``; with ``latent`` the modes of the hires pass too. Raises
    StageFailure(BAD_INPUT) with the nearest names."""
    wanted = name.strip().casefold()
    if latent:
        for mode in inventory.latent_modes:
            if mode.casefold() == wanted:
                return Enlarger(name, latent=LATENT_MODES[mode])
    for mode in inventory.resamplers:
        if mode.casefold() == wanted:
            return Enlarger(name, method=RESAMPLERS[mode])
    plain = inventory.resamplers + (inventory.latent_modes if latent else ())
    if wanted.startswith("latent"):
        raise refusal("upscaler", name, plain)
    try:
        return Enlarger(name, model=find_file("upscaler", name, inventory.upscale_models))
    except StageFailure as error:
        if inventory.upscale_models and "may be" in str(error):
            raise
        raise refusal("upscaler", name, (*plain, *inventory.upscale_models)) from error


FOR_OTHERS = frozenset({"fault"})
"""Settings that say themselves which backend alone honours them."""


def _sampling(
    request: Sampling, inventory: Inventory, default_model: str, size: tuple[int, int]
) -> SamplingPlan:
    """All but the passes."""
    if unknown := sorted(request.extra.keys() - FOR_OTHERS):
        raise _bad(f"backend comfyui does not know the setting {unknown[0]!r}; leave it out")
    _check_size(*size)
    positive = read_prompt(request.prompt, inventory.embeddings)
    negative = read_prompt(request.negative_prompt, inventory.embeddings, negative=True)
    wanted = request.model or default_model
    if not inventory.models:
        raise _bad("ComfyUI lists no checkpoints; put one into its folder models/checkpoints")
    model = find_file("checkpoint", wanted, inventory.models) if wanted else inventory.models[0]
    vae = request.vae if request.vae not in ("Automatic", "None") else ""
    cfg = request.cfg_scale * positive.total_weight
    if cfg > MAX_CFG:
        raise _bad(
            f"CFG scale {cfg:g}: at most {MAX_CFG:g}; that of a prompt with AND is multiplied by its weights"
        )
    uneven = len({part.weight for part in positive.parts if part.weight > 0}) > 1
    if uneven and not inventory.has("ConditioningSetAreaStrength"):
        raise _bad("AND with weights: this ComfyUI has no node ConditioningSetAreaStrength; update it")
    if positive.loras and not inventory.has("LoraLoader"):
        raise _bad("a LoRA in the prompt: this ComfyUI has no node LoraLoader; update it")
    hypernets = [(network.name, network.strength) for network in positive.hypernets]
    if request.hypernetwork:
        hypernets.append((request.hypernetwork, request.hypernetwork_strength))
    return SamplingPlan(
        model=model,
        vae=find_file("VAE", vae, inventory.vaes) if vae else "",
        clip_skip=request.clip_skip,
        loras=tuple(
            (find_file("LoRA", lora.name, inventory.loras), lora.unet, lora.text) for lora in positive.loras
        ),
        hypernets=tuple(
            (find_file("hypernetwork", name, inventory.hypernetworks), strength) for name, strength in hypernets
        ),
        positive=positive,
        negative=negative,
        seed=request.seed % 2**64,
        cfg=cfg,
        first=Pass("", "", 0),
        refiner=find_file("checkpoint", request.refiner.model, inventory.models) if request.refiner else "",
        width=size[0],
        height=size[1],
    )


def _hires(request: Txt2ImgRequest, hires: Hires, inventory: Inventory, model: str) -> HiresPlan:
    width, height = hires.size(request.width, request.height)
    _check_size(width, height)
    strength = hires.denoising_strength
    if not 0 <= strength <= 1:
        raise _bad(f"denoising strength {strength:g} of the hires pass: must be 0 to 1")
    sampling = None
    if strength > 0:
        made = _steps(hires.steps or request.steps)
        names = sampling_names(
            hires.sampler or request.sampler,
            hires.scheduler or request.scheduler,
            inventory.samplers,
            inventory.schedulers,
        )
        whole = min(MAX_STEPS, max(made, int(made / min(strength, ALMOST_ALL))))
        # A1111 uses the refiner in the second pass alone where there are two (``hires_fix_refiner_pass``).
        sampling = _refined(Pass(*names, whole, whole - made), request)
    return HiresPlan(
        enlarger=find_enlarger(hires.upscaler, inventory, latent=True),
        width=width,
        height=height,
        crop=bool(hires.width and hires.height),
        sampling=sampling,
        model=find_file("checkpoint", hires.model, inventory.models) if hires.model else model,
    )


def _refined(sampling: Pass, request: Sampling) -> Pass:
    """With the refiner from the first step on that is ``switch_at`` of those made, as A1111 counts
    (``apply_refiner`` of ``modules/sd_samplers_common.py``)."""
    refiner = request.refiner
    if refiner is None:
        return sampling
    if not 0 <= refiner.switch_at <= 1:
        raise _bad(f"refiner switch at {refiner.switch_at:g}: must be 0 to 1")
    switch = math.ceil(sampling.made * refiner.switch_at - 1e-9)
    return replace(sampling, refiner_at=sampling.start + switch if switch < sampling.made else None)


def _names(request: Sampling, inventory: Inventory) -> tuple[str, str]:
    return sampling_names(request.sampler, request.scheduler, inventory.samplers, inventory.schedulers)


def _steps(steps: int) -> int:
    if not 1 <= steps <= MAX_STEPS:
        raise _bad(f"{steps} steps: must be 1 to {MAX_STEPS}")
    return steps


def _check_size(width: int, height: int) -> None:
    sides: Sequence[int] = (width, height)
    if min(sides) < 1 or max(sides) > MAX_SIDE:
        raise _bad(f"{width} x {height}: sides must be 1 to {MAX_SIDE} pixels")


def _bad(text: str) -> StageFailure:
    return StageFailure(FailureKind.BAD_INPUT, text)
