"""What a single-file checkpoint does not have in it: configuration and tokenizer, so that no network is needed.

The numbers are those of the published configurations (``config.json`` of stable-diffusion-v1-5, of
stable-diffusion-inpainting, of stable-diffusion-xl-base-1.0 and -refiner-1.0). ``clip_merges.txt.xz`` has the
byte-pair merges of OpenAI's CLIP (``bpe_simple_vocab_16e6.txt``; MIT licence, see ``CLIP-LICENSE.txt``), one
tokenizer for all of them.
"""

from __future__ import annotations

import json
import lzma
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from stablenew_plugins.backends.diffusion.folders import Family

_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
_VAE_XL = _VAE | {"force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025}

_UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
_UNET_XL = _UNET | {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "use_linear_projection": True,
}
_UNET_REFINER = _UNET_XL | {
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}

_CLIP_L: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "dropout": 0.0,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "vocab_size": 49408,
}
_CLIP_G = _CLIP_L | {
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
}

NOISE: dict[str, Any] = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
}
"""The noise schedule that SD 1.x and SDXL were trained with."""

_DIFFUSERS, _TRANSFORMERS = "diffusers", "transformers"
_SD1: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": [_DIFFUSERS, "EulerDiscreteScheduler"],
    "text_encoder": [_TRANSFORMERS, "CLIPTextModel"],
    "tokenizer": [_TRANSFORMERS, "CLIPTokenizer"],
    "unet": [_DIFFUSERS, "UNet2DConditionModel"],
    "vae": [_DIFFUSERS, "AutoencoderKL"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
}
_SDXL: dict[str, Any] = {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "scheduler": [_DIFFUSERS, "EulerDiscreteScheduler"],
    "text_encoder": [_TRANSFORMERS, "CLIPTextModel"],
    "text_encoder_2": [_TRANSFORMERS, "CLIPTextModelWithProjection"],
    "tokenizer": [_TRANSFORMERS, "CLIPTokenizer"],
    "tokenizer_2": [_TRANSFORMERS, "CLIPTokenizer"],
    "unet": [_DIFFUSERS, "UNet2DConditionModel"],
    "vae": [_DIFFUSERS, "AutoencoderKL"],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
}
_REFINER = _SDXL | {
    "_class_name": "StableDiffusionXLImg2ImgPipeline",
    "force_zeros_for_empty_prompt": False,
    "requires_aesthetics_score": True,
    "text_encoder": [None, None],
    "tokenizer": [None, None],
}

CONFIGS: dict[Family, dict[str, dict[str, Any]]] = {
    Family.SD1: {"": _SD1, "unet": _UNET, "vae": _VAE, "text_encoder": _CLIP_L},
    Family.SD1_INPAINT: {
        "": _SD1,
        "unet": _UNET | {"in_channels": 9},
        "vae": _VAE,
        "text_encoder": _CLIP_L,
    },
    Family.SDXL: {
        "": _SDXL,
        "unet": _UNET_XL,
        "vae": _VAE_XL,
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
    },
    Family.SDXL_INPAINT: {
        "": _SDXL,
        "unet": _UNET_XL | {"in_channels": 9},
        "vae": _VAE_XL,
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
    },
    Family.SDXL_REFINER: {"": _REFINER, "unet": _UNET_REFINER, "vae": _VAE_XL, "text_encoder_2": _CLIP_G},
}
"""By family: the index (under the empty name) and the configuration of each part. SD 2.x is not here: from the
file alone nobody can tell whether it predicts noise or velocity."""


def write_configs(family: Family, folder: Path) -> None:
    """The configuration of ``family`` into ``folder``, laid out as diffusers reads it; no weights, no
    tokenizer."""
    for part, values in CONFIGS[family].items():
        where = folder / part
        where.mkdir(exist_ok=True)
        name = "config.json" if part else "model_index.json"
        (where / name).write_text(json.dumps(values, indent=2), encoding="utf-8", newline="\n")
    where = folder / "scheduler"
    where.mkdir(exist_ok=True)
    (where / "scheduler_config.json").write_text(json.dumps(NOISE, indent=2), encoding="utf-8", newline="\n")


@lru_cache(maxsize=1)
def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tokens to ids, and the merges, of CLIP's byte-pair encoding: 49,408 tokens.

    The order is that of ``simple_tokenizer.py`` of OpenAI's CLIP: 256 bytes, the same at the end of a word,
    what each merge makes, and the two that begin and end a text.
    """
    packed = (files(__package__) / "clip_merges.txt.xz").read_bytes()
    merges = [
        (left, right)
        for left, _, right in (
            line.partition(" ") for line in lzma.decompress(packed).decode("utf-8").splitlines()
        )
    ]
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [chr(byte) for byte in visible] + [chr(256 + index) for index in range(len(hidden))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}, merges
