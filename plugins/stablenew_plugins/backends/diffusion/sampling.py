"""From noise to latents: schedulers, seeds, the sampling loop, masks, previews. With torch.

One loop serves txt2img, img2img, inpainting, the hires pass and the refiner, for every family. The networks and
the schedulers are those of diffusers; what the loop does is what its pipelines do, and a test compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.diffusion.tables import Choice
from stablenew_plugins.backends.diffusion.textcoder import Encoded

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.diffusion.pipelines import Loaded

SEEDS = 2**32
"""torch's generator on the processor reads the low 32 bits of a seed."""

_NOISE_SETTINGS = (
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "num_train_timesteps",
    "prediction_type",
    "rescale_betas_zero_snr",
)
"""What of a model's scheduler configuration says how it was trained; the rest is the sampler's business."""

_GOOD, _BAD = 6.0, 2.5
"""Aesthetic scores that SDXL's refiner is told, as in diffusers and in the WebUI."""

_PREVIEW_SIDE = 256
"""Longer side of a preview, in pixels."""
_RGB_SD = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
"""SD 1.x and 2.x latents to RGB from -1 to 1 (https://discuss.huggingface.co/t/23204)."""
_RGB_XL = ((0.471, 0.471, 0.471), (-0.471, -0.039, 0.078), (0.196, 0.118, -0.039), (-0.549, -0.392, -0.275))
_RGB_XL_BIAS = (0.176, 0.098, 0.020)
"""SDXL's, made from the integer matrix in the diffusers guide to pipeline callbacks, divided by 127.5."""


@dataclass(frozen=True, slots=True)
class Guide:
    """What the UNet is told at one step."""

    wanted: tuple[tuple[Encoded, float], ...]
    """One for each prompt that AND joins, with its weight."""
    unwanted: Encoded


GuideAt = Callable[[int], Guide]
"""From a step (counted from 1, over all steps of the pass) to what holds there."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A model that samples from some step on."""

    loaded: Loaded
    guide_at: GuideAt
    begins: int = 0
    """Steps that are done when it takes over."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One way from noise to latents."""

    legs: Sequence[Leg]
    choice: Choice
    steps: int
    cfg_scale: float
    width: int
    height: int
    """Of the picture, in pixels; a multiple of the VAE's scale."""
    seed: int
    noise: Tensor
    skipped: int = 0
    """Steps at the beginning that are left out, since there is an image already."""
    image: Tensor | None = None
    """Latents to begin with."""
    mask: Tensor | None = None
    """1 x 1 x latent size: 1 where it is drawn anew."""
    masked_image: Tensor | None = None
    """Latents of the image without what the mask covers; only for models made for inpainting."""

    @property
    def counted(self) -> int:
        """Steps that are done."""
        return self.steps - self.skipped


def skipped_steps(steps: int, strength: float) -> int:
    """Steps that img2img leaves out, by the WebUI's rule (``setup_img2img_steps``): of 20 steps at 0.5 it does
    11."""
    return steps - int(min(strength, 0.999) * steps) - 1


# --- seeds and noise ----------------------------------------------------------------------------------------


def generator(torch: Any, seed: int) -> Any:
    """A generator on the processor, so that every machine gets the same numbers."""
    return torch.Generator("cpu").manual_seed(seed % SEEDS)


def first_noise(
    torch: Any, shape: Sequence[int], seed: int, subseed: int, strength: float
) -> tuple[Tensor, Any]:
    """Noise of ``shape`` (channels, height, width), and the generator for what comes after it.

    With a ``strength`` above 0 it is turned that far towards the noise of ``subseed`` (``modules/rng.py`` of
    A1111).
    """
    source = generator(torch, seed)
    noise = torch.randn(tuple(shape), generator=source, dtype=torch.float32)
    if strength > 0:
        other = torch.randn(tuple(shape), generator=generator(torch, subseed), dtype=torch.float32)
        noise = slerp(torch, strength, noise, other)
    return noise.unsqueeze(0), source


def slerp(torch: Any, part: float, low: Tensor, high: Tensor) -> Tensor:
    """``part`` of the way from ``low`` to ``high``, along the sphere; norms are taken along the height, as the
    WebUI does, so that variation seeds mean the same picture."""
    cosine = ((low / low.norm(dim=1, keepdim=True)) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if float(cosine.mean()) > 0.9995:
        return low * (1 - part) + high * part
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    first = (torch.sin((1.0 - part) * angle) / sine).unsqueeze(1) * low
    return first + (torch.sin(part * angle) / sine).unsqueeze(1) * high


# --- schedulers ---------------------------------------------------------------------------------------------


def make_scheduler(diffusers: Any, choice: Choice, trained: Any, steps: int, device: Any) -> Any:
    """The scheduler with its ``steps`` set. ``trained``: the configuration that came with the model."""
    kind = getattr(diffusers, choice.kind.scheduler)
    noise = {name: trained[name] for name in _NOISE_SETTINGS if trained.get(name) is not None}
    accepted = inspect.signature(kind.__init__).parameters
    if noise.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in accepted:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"sampler {choice.sampler!r} cannot be used with this model, which was trained down to pure "
            "noise (zero SNR); use Euler, Euler a, DDIM or DPM++ 2M",
        )
    settings = {**noise, **choice.settings}
    try:
        scheduler = kind(**{name: value for name, value in settings.items() if name in accepted})
        scheduler.set_timesteps(steps, device=device)
        if choice.kind.borrows:
            lender = diffusers.EulerDiscreteScheduler(**settings)
            lender.set_timesteps(steps, device=device)
            scheduler.sigmas, scheduler.timesteps = lender.sigmas, lender.timesteps
    except (ValueError, ImportError) as error:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{choice.sampler} with {choice.schedule} cannot make {steps} steps: {error}",
        ) from error
    return scheduler


def _brownian_noise(torch: Any, scheduler: Any, like: Tensor, seed: int) -> Any:
    """The noise of DPM++ SDE, drawn on the processor like all other noise."""
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    sigmas = scheduler.sigmas
    # A little wider than what is asked for: the tree rounds its ends.
    low, high = float(sigmas[sigmas > 0].min()) * 0.999, float(sigmas.max()) * 1.001
    tree = BrownianTreeNoiseSampler(torch.zeros(like.shape, dtype=torch.float32), low, high, seed % SEEDS)

    def noise(start: Any, end: Any) -> Tensor:
        drawn: Tensor = tree(float(start), float(end)).to(like)
        return drawn

    return noise


# --- the loop -----------------------------------------------------------------------------------------------


Report: TypeAlias = "Callable[[int, Callable[[], Image.Image]], None]"
"""Called after each step with how many are done, and with what makes a preview."""


def sample(torch: Any, diffusers: Any, work: Pass, source: Any, report: Report, cancel: CancelToken) -> Tensor:
    """Latents of the picture. ``source`` gives the noise that samplers add on the way.

    Raises Cancelled within a step.
    """
    first = work.legs[0].loaded
    device, dtype = first.device, first.pipe.unet.dtype
    scheduler = make_scheduler(diffusers, work.choice, first.pipe.scheduler.config, work.steps, device)
    order = int(getattr(scheduler, "order", 1))
    timesteps = scheduler.timesteps[work.skipped * order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(work.skipped * order)
    noise = work.noise.to(device, dtype)
    image = work.image.to(device, dtype) if work.image is not None else None
    if image is None:
        latents = noise * scheduler.init_noise_sigma
    else:
        latents = scheduler.add_noise(image, noise, timesteps[:1])
    latents = latents.to(dtype)
    if hasattr(scheduler, "noise_sampler"):
        scheduler.noise_sampler = _brownian_noise(torch, scheduler, latents, work.seed)
    accepted = inspect.signature(scheduler.step).parameters
    extra = {"generator": source} if "generator" in accepted else {}
    mask = work.mask.to(device, dtype) if work.mask is not None else None

    for index, timestep in enumerate(timesteps):
        cancel.raise_if_cancelled()
        step = min(work.counted, index // order + 1)  # counted from 1
        overall = work.skipped + step
        leg = [leg for leg in work.legs if leg.begins < overall][-1]
        taken = scheduler.scale_model_input(latents, timestep)
        guess = _guided(torch, leg, work, taken, timestep, overall, mask)
        now = taken
        latents = scheduler.step(guess, timestep, latents, **extra, return_dict=False)[0].to(dtype)
        if mask is not None and image is not None and not leg.loaded.inpaints:
            kept = image
            if index + 1 < len(timesteps):
                kept = scheduler.add_noise(image, noise, timesteps[index + 1 : index + 2]).to(dtype)
            latents = kept * (1 - mask) + latents * mask
        last = index + 1 == len(timesteps)
        if last or (index + 1) % order == 0:
            done = work.counted if last else min(work.counted, (index + 1) // order)

            def preview(
                now: Tensor = now, guess: Tensor = guess, timestep: Any = timestep, xl: bool = first.xl
            ) -> Image.Image:
                return rough(torch, _clean(torch, scheduler, now, guess, timestep), xl)

            report(done, preview)
    return latents


def _guided(
    torch: Any, leg: Leg, work: Pass, taken: Tensor, timestep: Any, step: int, mask: Tensor | None
) -> Tensor:
    """The UNet's guess, with classifier-free guidance over every prompt that AND joins."""
    guide = leg.guide_at(step)
    unet = leg.loaded.pipe.unet
    if leg.loaded.inpaints:
        covered, masked = mask, work.masked_image
        assert covered is not None
        assert masked is not None
        taken = torch.cat([taken, covered.to(taken), masked.to(taken)], dim=1)
    needs_unwanted = work.cfg_scale != 1 or len(guide.wanted) > 1 or guide.wanted[0][1] != 1
    texts = [*((guide.unwanted,) if needs_unwanted else ()), *(text for text, _ in guide.wanted)]
    bad = [needs_unwanted and number == 0 for number in range(len(texts))]
    together = len({text.hidden.shape[1] for text in texts}) == 1
    groups = [list(range(len(texts)))] if together else [[number] for number in range(len(texts))]
    guesses: list[Tensor] = []
    for group in groups:
        hidden = torch.cat([texts[number].hidden for number in group])
        conditions: dict[str, Any] = {}
        if leg.loaded.xl:
            conditions["added_cond_kwargs"] = _sizes(
                torch, leg.loaded, work, [texts[number] for number in group], [bad[number] for number in group]
            )
        if unet.config.time_cond_proj_dim is not None:
            scales = torch.tensor([work.cfg_scale - 1]).repeat(len(group))
            conditions["timestep_cond"] = leg.loaded.pipe.get_guidance_scale_embedding(
                scales, embedding_dim=unet.config.time_cond_proj_dim
            ).to(taken)
        made = unet(
            taken.expand(len(group), -1, -1, -1),
            timestep,
            encoder_hidden_states=hidden,
            return_dict=False,
            **conditions,
        )[0]
        guesses.extend(made.chunk(len(group)))
    if not needs_unwanted:
        return guesses[0]
    unwanted, rest = guesses[0], guesses[1:]
    guess = unwanted
    for wanted, (_, weight) in zip(rest, guide.wanted, strict=True):
        guess = guess + (wanted - unwanted) * (weight * work.cfg_scale)
    return guess


def _sizes(
    torch: Any, loaded: Loaded, work: Pass, texts: Sequence[Encoded], bad: Sequence[bool]
) -> dict[str, Any]:
    """What SDXL is told besides the text: sizes and crop, or size and aesthetic score in the refiner."""
    height, width = work.height, work.width
    scored = bool(loaded.pipe.config.get("requires_aesthetics_score", False))
    rows = [
        [height, width, 0, 0, _BAD if is_bad else _GOOD] if scored else [height, width, 0, 0, height, width]
        for is_bad in bad
    ]
    pooled = torch.cat([text.pooled for text in texts])
    return {"text_embeds": pooled, "time_ids": torch.tensor(rows).to(pooled)}


# --- previews -----------------------------------------------------------------------------------------------


def _clean(torch: Any, scheduler: Any, taken: Tensor, guess: Tensor, timestep: Any) -> Tensor:
    """What the model thinks the latents without noise are. ``taken`` is what it was given."""
    trained = scheduler.alphas_cumprod
    kept = trained[min(len(trained) - 1, max(0, round(float(timestep))))].to(taken)
    if scheduler.config.prediction_type == "v_prediction":
        return kept.sqrt() * taken - (1 - kept).sqrt() * guess
    return (taken - (1 - kept).sqrt() * guess) / kept.sqrt()


def rough(torch: Any, latents: Tensor, xl: bool) -> Image.Image:
    """A small picture from latents without the VAE: one matrix product a latent."""
    from PIL import Image as Images

    matrix = torch.tensor(_RGB_XL if xl else _RGB_SD).to(latents)
    bias = torch.tensor(_RGB_XL_BIAS if xl else (0.0, 0.0, 0.0)).to(latents)
    colours = torch.einsum("chw,cr->hwr", latents[0], matrix) + bias
    pixels = ((colours / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    image = Images.fromarray(pixels)
    factor = _PREVIEW_SIDE / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Images.Resampling.BILINEAR)


# --- images and latents -------------------------------------------------------------------------------------


def encode(torch: Any, loaded: Loaded, image: Image.Image) -> Tensor:
    """Latents of an RGB image whose sides are multiples of the VAE's scale. The mean of what the VAE says, so
    that no random number is used up."""
    import numpy

    vae = loaded.pipe.vae
    pixels = torch.from_numpy(numpy.asarray(image.convert("RGB"), dtype=numpy.float32) / 127.5 - 1)
    given = pixels.permute(2, 0, 1).unsqueeze(0).to(loaded.device, vae.dtype)
    return vae.encode(given).latent_dist.mode().float() * vae.config.scaling_factor


def decode(torch: Any, loaded: Loaded, latents: Tensor) -> Any:
    """Pixels of the latents as a numpy array, height x width x 3 bytes, in main memory."""
    vae = loaded.pipe.vae
    made = vae.decode(latents.to(loaded.device, vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
    values = ((made[0].float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return values.permute(1, 2, 0).cpu().numpy()


def latent_mask(torch: Any, mask: Image.Image, scale: int) -> Tensor:
    """1 for each latent that a pixel of ``mask`` above black touches, else 0; 1 x 1 x latent size."""
    import numpy

    touched = torch.from_numpy(numpy.asarray(mask.convert("L")) > 0).float()
    return torch.nn.functional.max_pool2d(touched[None, None], scale)
