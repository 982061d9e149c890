"""The nodes of the fake ComfyUI: descriptions as ``/object_info`` gives them, and what each one does.

The pictures are drawn from numbers: every setting that reaches a node changes what it makes, so a test can tell
whether it arrived. A latent is an array of height / 8 x width / 8 x 4, an image one of height x width x 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

MODELS = {
    "checkpoints": ["SDXL/juggernaut.safetensors", "dreamshaper.safetensors", "sd_xl_refiner_1.0.safetensors"],
    "vae": ["vae-ft-mse.safetensors", "sdxl_vae.safetensors"],
    "loras": ["styles/ink.safetensors", "my__lora__v1.safetensors", "detail.safetensors"],
    "upscale_models": ["4x-UltraSharp.pth", "RealESRGAN_x2.pth"],
    "hypernetworks": ["paint.pt"],
    "embeddings": ["easynegative", "sub/bad-hands"],
}
SAMPLERS = [
    *("euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive"),
    *("dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "ddpm", "lcm", "ipndm"),
    *("res_multistep", "er_sde", "ddim", "uni_pc", "uni_pc_bh2"),
]
SCHEDULERS = [
    *("simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"),
    *("linear_quadratic", "kl_optimal"),
]
LATENT_METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
IMAGE_METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
RESAMPLING = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bislerp": Image.Resampling.HAMMING,
}
_SEED = ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF})
_STEPS = ("INT", {"default": 20, "min": 1, "max": 10000})
_CFG = ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01})
_SIDE = ("INT", {"default": 512, "min": 0, "max": 16384, "step": 1})
_STRENGTH = ("FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01})

Array = np.ndarray[Any, np.dtype[np.float64]]


class OutOfMemoryError(Exception):
    """What torch raises, by name."""


@dataclass(frozen=True)
class Model:
    """What flows on MODEL, CLIP and VAE links: a name and what was done to it."""

    name: str
    changes: tuple[str, ...] = ()

    def plus(self, *changes: object) -> Model:
        """With one more change."""
        return Model(self.name, (*self.changes, " ".join(map(str, changes))))


@dataclass(frozen=True)
class Text:
    """What flows on CONDITIONING links: encoded texts, and their strength."""

    text: str
    strength: float = 1.0


@dataclass
class Latent:
    """What flows on LATENT links."""

    samples: Array
    mask: Array | None = None


@dataclass
class Machine:
    """What nodes reach outside of themselves."""

    input_files: dict[str, bytes] = field(default_factory=dict)
    step: Callable[[int, int, Array | None], None] = lambda value, most, latent: None
    """Called after each step: progress, previews, pauses and interrupts come from it."""
    vram_pixels: int = 0
    """Pixels of a picture that fit; 0: all."""


@dataclass(frozen=True)
class Node:
    """A class of nodes."""

    required: Mapping[str, Any]
    output: tuple[str, ...]
    run: Callable[..., tuple[Any, ...]]
    optional: Mapping[str, Any] = field(default_factory=dict)
    output_node: bool = False


def _numbers(*facts: object) -> np.random.Generator:
    digest = hashlib.sha256(repr(facts).encode("utf-8")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def resized(array: Array, width: int, height: int, method: str) -> Array:
    """An array of height x width x channels at another size."""
    planes = [
        np.asarray(
            Image.fromarray(array[:, :, channel].astype(np.float32)).resize((width, height), RESAMPLING[method])
        )
        for channel in range(array.shape[2])
    ]
    return np.stack(planes, axis=2).astype(np.float64)


def _cropped(array: Array, width: int, height: int) -> Array:
    """The middle of an array, in the shape of ``width`` x ``height``."""
    old_height, old_width = array.shape[:2]
    new_width, new_height = old_width, old_height
    if old_width * height > old_height * width:
        new_width = round(old_height * width / height)
    else:
        new_height = round(old_width * height / width)
    x, y = (old_width - new_width) // 2, (old_height - new_height) // 2
    return array[y : y + new_height, x : x + new_width]


def _field(shape: tuple[int, int], *facts: object) -> Array:
    """A soft pattern that belongs to ``facts``."""
    coarse = _numbers(*facts).uniform(-1, 1, (4, 4, 4))
    return resized(coarse, shape[1], shape[0], "bicubic")


def _schedule(name: str, steps: int) -> Array:
    line = np.linspace(1.0, 0.0, steps + 1)
    power = {"karras": 2.0, "exponential": 3.0, "beta": 1.3, "simple": 1.1, "sgm_uniform": 0.9}.get(name, 1.0)
    result: Array = line**power
    return result


def sample(
    machine: Machine,
    model: Model,
    positive: list[Text],
    negative: list[Text],
    latent: Latent,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler: str,
    scheduler: str,
    start: int = 0,
    end: int = 10000,
    add_noise: bool = True,
    leave_noise: bool = False,
) -> Latent:
    """The steps ``start`` to ``end`` of a schedule."""
    shape = latent.samples.shape[:2]
    if machine.vram_pixels and shape[0] * shape[1] * 64 > machine.vram_pixels:
        raise OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 8.00 GiB"
        )

    def guided(texts: list[Text]) -> Array:
        whole = sum(text.strength for text in texts)
        return sum(_field(shape, model, text.text) * text.strength / whole for text in texts)  # type: ignore[return-value]

    target = np.tanh((guided(positive) - 0.25 * guided(negative)) * (0.5 + cfg / 8))
    target = target + 0.02 * _field(shape, sampler)
    noise = np.random.default_rng(seed).normal(0, 1, latent.samples.shape)
    sigmas = _schedule(scheduler, steps)
    end = min(end, steps)
    # The noise is known, so it need not be guessed: what is drawn is the latent without it.
    drawn = latent.samples - (0.0 if add_noise else noise * sigmas[start])
    x = drawn + noise * sigmas[min(start, steps)]
    count = max(0, end - start)
    for number, step in enumerate(range(start, end), 1):
        drawn = drawn + (target - drawn) * 0.6 * sigmas[step]  # early steps decide, late ones change little
        x = drawn + noise * sigmas[step + 1]
        if latent.mask is not None:
            x = x * latent.mask + (latent.samples + noise * sigmas[step + 1]) * (1 - latent.mask)
        machine.step(number, count, x)
    if not leave_noise:
        x = x + noise * 0.25 / steps
    if latent.mask is not None:
        x = x * latent.mask + latent.samples * (1 - latent.mask)
    return Latent(x)


def decoded(samples: Array) -> Array:
    """Pixels, 0 to 1."""
    large = resized(samples, samples.shape[1] * 8, samples.shape[0] * 8, "bicubic")
    picture: Array = np.clip(0.5 + 0.45 * large[:, :, :3] + 0.08 * large[:, :, 3:], 0, 1)
    return picture


def encoded(pixels: Array) -> Array:
    """The latent of pixels; sides that are no multiples of 8 are cut, as ComfyUI does."""
    height, width = pixels.shape[0] // 8 * 8, pixels.shape[1] // 8 * 8
    y, x = pixels.shape[0] % 8 // 2, pixels.shape[1] % 8 // 2
    cut = pixels[y : y + height, x : x + width]
    small = resized(cut, width // 8, height // 8, "area")
    return np.concatenate([(small - 0.5) / 0.45, np.zeros((*small.shape[:2], 1))], axis=2)


def png(pixels: Array) -> bytes:
    """Pixels as a PNG file."""
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _load(machine: Machine, name: str) -> Image.Image:
    import io

    return Image.open(io.BytesIO(machine.input_files[name.removesuffix(" [input]")]))


def _checkpoint(machine: Machine, ckpt_name: str) -> tuple[Any, ...]:
    return Model(ckpt_name), Model(ckpt_name, ("clip",)), Model(ckpt_name, ("vae",))


def _lora(
    machine: Machine, model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Any, ...]:
    return model.plus("lora", lora_name, strength_model), clip.plus("lora", lora_name, strength_clip)


def _hypernetwork(machine: Machine, model: Model, hypernetwork_name: str, strength: float) -> tuple[Any, ...]:
    return (model.plus("hypernetwork", hypernetwork_name, strength),)


def _ksampler(
    machine: Machine,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: list[Text],
    negative: list[Text],
    latent_image: Latent,
    denoise: float,
) -> tuple[Any, ...]:
    whole = steps if denoise > 0.9999 else int(steps / denoise)
    made = sample(
        machine,
        model,
        positive,
        negative,
        latent_image,
        seed=seed,
        steps=whole,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        start=whole - steps,
    )
    return (made,)


def _ksampler_advanced(
    machine: Machine,
    model: Model,
    add_noise: str,
    noise_seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: list[Text],
    negative: list[Text],
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    return_with_leftover_noise: str,
) -> tuple[Any, ...]:
    made = sample(
        machine,
        model,
        positive,
        negative,
        latent_image,
        seed=noise_seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        start=start_at_step,
        end=end_at_step,
        add_noise=add_noise == "enable",
        leave_noise=return_with_leftover_noise == "enable",
    )
    return (made,)


def _latent_upscale(
    machine: Machine, samples: Latent, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Any, ...]:
    array = samples.samples if crop == "disabled" else _cropped(samples.samples, width, height)
    return (Latent(resized(array, width // 8, height // 8, upscale_method)),)


def _image_scale(
    machine: Machine, image: Array, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Any, ...]:
    array = image if crop == "disabled" else _cropped(image, width, height)
    return (np.clip(resized(array, width, height, upscale_method), 0, 1),)


def _image_upscale(machine: Machine, upscale_model: str, image: Array) -> tuple[Any, ...]:
    factor = int(upscale_model.split("x", 1)[0][-1]) if upscale_model[0].isdigit() else 2
    tiles = 4
    for tile in range(1, tiles + 1):
        machine.step(tile, tiles, None)
    large = resized(image, image.shape[1] * factor, image.shape[0] * factor, "lanczos")
    soft = resized(
        resized(large, image.shape[1], image.shape[0], "area"), large.shape[1], large.shape[0], "bicubic"
    )
    return (np.clip(large + 0.6 * (large - soft), 0, 1),)


def _set_mask(machine: Machine, samples: Latent, mask: Array) -> tuple[Any, ...]:
    small = resized(mask, samples.samples.shape[1], samples.samples.shape[0], "area")
    return (Latent(samples.samples, small),)


def _load_image(machine: Machine, image: str) -> tuple[Any, ...]:
    picture = _load(machine, image)
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    return pixels, np.zeros((*pixels.shape[:2], 1))


def _load_mask(machine: Machine, image: str, channel: str) -> tuple[Any, ...]:
    band = "RGBA"[["red", "green", "blue", "alpha"].index(channel)]
    values = np.asarray(_load(machine, image).convert("RGBA").getchannel(band), dtype=np.float64) / 255
    return ((1 - values if channel == "alpha" else values)[:, :, None],)


def _combine(machine: Machine, conditioning_1: list[Text], conditioning_2: list[Text]) -> tuple[Any, ...]:
    return ([*conditioning_1, *conditioning_2],)


def _concat(machine: Machine, conditioning_to: list[Text], conditioning_from: list[Text]) -> tuple[Any, ...]:
    return ([Text(f"{text.text} | {conditioning_from[0].text}", text.strength) for text in conditioning_to],)


NODES: dict[str, Node] = {
    "CheckpointLoaderSimple": Node(
        {"ckpt_name": (MODELS["checkpoints"],)}, ("MODEL", "CLIP", "VAE"), _checkpoint
    ),
    "LoraLoader": Node(
        {
            "model": ("MODEL",),
            "clip": ("CLIP",),
            "lora_name": (MODELS["loras"],),
            "strength_model": _STRENGTH,
            "strength_clip": _STRENGTH,
        },
        ("MODEL", "CLIP"),
        _lora,
    ),
    "HypernetworkLoader": Node(
        {"model": ("MODEL",), "hypernetwork_name": (MODELS["hypernetworks"],), "strength": _STRENGTH},
        ("MODEL",),
        _hypernetwork,
    ),
    "CLIPSetLastLayer": Node(
        {"clip": ("CLIP",), "stop_at_clip_layer": ("INT", {"default": -1, "min": -24, "max": -1, "step": 1})},
        ("CLIP",),
        lambda machine, clip, stop_at_clip_layer: (clip.plus("layer", stop_at_clip_layer),),
    ),
    "VAELoader": Node(
        {"vae_name": (MODELS["vae"],)}, ("VAE",), lambda machine, vae_name: (Model(vae_name, ("vae",)),)
    ),
    "CLIPTextEncode": Node(
        {"text": ("STRING", {"multiline": True}), "clip": ("CLIP",)},
        ("CONDITIONING",),
        lambda machine, text, clip: ([Text(f"{text} @{clip}")],),
    ),
    "ConditioningCombine": Node(
        {"conditioning_1": ("CONDITIONING",), "conditioning_2": ("CONDITIONING",)}, ("CONDITIONING",), _combine
    ),
    "ConditioningConcat": Node(
        {"conditioning_to": ("CONDITIONING",), "conditioning_from": ("CONDITIONING",)},
        ("CONDITIONING",),
        _concat,
    ),
    "ConditioningSetAreaStrength": Node(
        {"conditioning": ("CONDITIONING",), "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0})},
        ("CONDITIONING",),
        lambda machine, conditioning, strength: ([Text(text.text, strength) for text in conditioning],),
    ),
    "EmptyLatentImage": Node(
        {
            "width": ("INT", {"default": 512, "min": 16, "max": 16384, "step": 8}),
            "height": ("INT", {"default": 512, "min": 16, "max": 16384, "step": 8}),
            "batch_size": ("INT", {"default": 1, "min": 1, "max": 4096}),
        },
        ("LATENT",),
        lambda machine, width, height, batch_size: (Latent(np.zeros((height // 8, width // 8, 4))),),
    ),
    "KSampler": Node(
        {
            "model": ("MODEL",),
            "seed": _SEED,
            "steps": _STEPS,
            "cfg": _CFG,
            "sampler_name": (SAMPLERS,),
            "scheduler": (SCHEDULERS,),
            "positive": ("CONDITIONING",),
            "negative": ("CONDITIONING",),
            "latent_image": ("LATENT",),
            "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}),
        },
        ("LATENT",),
        _ksampler,
    ),
    "KSamplerAdvanced": Node(
        {
            "model": ("MODEL",),
            "add_noise": (["enable", "disable"],),
            "noise_seed": _SEED,
            "steps": _STEPS,
            "cfg": _CFG,
            "sampler_name": (SAMPLERS,),
            "scheduler": (SCHEDULERS,),
            "positive": ("CONDITIONING",),
            "negative": ("CONDITIONING",),
            "latent_image": ("LATENT",),
            "start_at_step": ("INT", {"default": 0, "min": 0, "max": 10000}),
            "end_at_step": ("INT", {"default": 10000, "min": 0, "max": 10000}),
            "return_with_leftover_noise": (["disable", "enable"],),
        },
        ("LATENT",),
        _ksampler_advanced,
    ),
    "LatentUpscale": Node(
        {
            "samples": ("LATENT",),
            "upscale_method": (LATENT_METHODS,),
            "width": _SIDE,
            "height": _SIDE,
            "crop": (["disabled", "center"],),
        },
        ("LATENT",),
        _latent_upscale,
    ),
    "VAEDecode": Node(
        {"samples": ("LATENT",), "vae": ("VAE",)},
        ("IMAGE",),
        lambda machine, samples, vae: (np.clip(decoded(samples.samples) + 0.01 * (len(vae.name) % 3), 0, 1),),
    ),
    "VAEEncode": Node(
        {"pixels": ("IMAGE",), "vae": ("VAE",)},
        ("LATENT",),
        lambda machine, pixels, vae: (Latent(encoded(pixels)),),
    ),
    "SetLatentNoiseMask": Node({"samples": ("LATENT",), "mask": ("MASK",)}, ("LATENT",), _set_mask),
    "LoadImage": Node({"image": ([], {"image_upload": True})}, ("IMAGE", "MASK"), _load_image),
    "LoadImageMask": Node(
        {"image": ([], {"image_upload": True}), "channel": (["alpha", "red", "green", "blue"],)},
        ("MASK",),
        _load_mask,
    ),
    "ImageScale": Node(
        {
            "image": ("IMAGE",),
            "upscale_method": (IMAGE_METHODS,),
            "width": _SIDE,
            "height": _SIDE,
            "crop": (["disabled", "center"],),
        },
        ("IMAGE",),
        _image_scale,
    ),
    "UpscaleModelLoader": Node(
        {"model_name": (MODELS["upscale_models"],)},
        ("UPSCALE_MODEL",),
        lambda machine, model_name: (model_name,),
    ),
    "ImageUpscaleWithModel": Node(
        {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",)}, ("IMAGE",), _image_upscale
    ),
    "SaveImage": Node(
        {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})},
        (),
        lambda machine, images, filename_prefix: (png(images), filename_prefix, "output"),
        output_node=True,
    ),
    "PreviewImage": Node(
        {"images": ("IMAGE",)},
        (),
        lambda machine, images: (png(images), "ComfyUI_temp", "temp"),
        output_node=True,
    ),
}


def described(new_lists: bool, windows: bool) -> dict[str, Any]:
    """``/object_info``. ``new_lists``: choices as newer versions write them; ``windows``: its slashes."""

    def spec(value: Any) -> list[Any]:
        items = list(value)
        if isinstance(items[0], list):
            names = [name.replace("/", "\\") if windows else name for name in items[0]]
            rest = items[1] if len(items) > 1 else {}
            return ["COMBO", {**rest, "options": names}] if new_lists else [names, *items[1:]]
        return items

    return {
        name: {
            "input": {
                "required": {key: spec(value) for key, value in node.required.items()},
                "optional": {key: spec(value) for key, value in node.optional.items()},
            },
            "input_order": {"required": list(node.required), "optional": list(node.optional)},
            "output": list(node.output),
            "output_is_list": [False] * len(node.output),
            "output_name": list(node.output),
            "name": name,
            "display_name": name,
            "description": "",
            "python_module": "nodes",
            "category": "fake",
            "output_node": node.output_node,
        }
        for name, node in NODES.items()
    }
