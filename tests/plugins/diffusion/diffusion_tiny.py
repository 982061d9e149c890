"""Tiny random checkpoints, made in code: real networks, real files, real loading, no download.

They are made of the classes of the real ones, with the real tokenizer; only the numbers of channels are small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stablenew_plugins.backends.diffusion import offline

UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": (16, 32),
    "norm_num_groups": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 2,
}
VAE = {
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 64,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}


def text_config(width: int = 32) -> CLIPTextConfig:
    """SDXL's second encoder is wider than the first: by that diffusers tells them apart in a file."""
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=1,
    )


def tokenizer(**settings: Any) -> CLIPTokenizer:
    vocabulary, merges = offline.clip_vocabulary()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77, **settings)


def scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler.from_config(offline.NOISE)


def sd(seed: int = 0, in_channels: int = 4) -> StableDiffusionPipeline:
    """Stable Diffusion 1."""
    torch.manual_seed(seed)
    return StableDiffusionPipeline(
        vae=AutoencoderKL(**VAE),
        text_encoder=CLIPTextModel(text_config()),
        tokenizer=tokenizer(),
        unet=UNet2DConditionModel(**UNET | {"in_channels": in_channels}),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _unet_xl(context: int, ids: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        **UNET
        | {
            "cross_attention_dim": context,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 48 + ids * 8,
            "transformer_layers_per_block": (1, 1),
            "use_linear_projection": True,
        }
    )


def sdxl(seed: int = 1) -> StableDiffusionXLPipeline:
    torch.manual_seed(seed)
    return StableDiffusionXLPipeline(
        vae=AutoencoderKL(**VAE, scaling_factor=0.13025, force_upcast=True),
        text_encoder=CLIPTextModel(text_config()),
        text_encoder_2=CLIPTextModelWithProjection(text_config(48)),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(pad_token="!"),
        unet=_unet_xl(80, 6),
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def refiner(seed: int = 2) -> StableDiffusionXLImg2ImgPipeline:
    torch.manual_seed(seed)
    return StableDiffusionXLImg2ImgPipeline(
        vae=AutoencoderKL(**VAE, scaling_factor=0.13025, force_upcast=True),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=CLIPTextModelWithProjection(text_config(48)),
        tokenizer_2=tokenizer(pad_token="!"),
        unet=_unet_xl(48, 5),
        scheduler=scheduler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def save_lora(path: Path, seed: int = 5, encoder: bool = False) -> None:
    """A LoRA in the layout of kohya's trainer, which is what LoRA files out there have."""
    drawn = torch.Generator().manual_seed(seed)
    block = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0"
    sizes = {f"{block}_attn1_to_q": (32, 32), f"{block}_attn2_to_k": (32, 32), f"{block}_attn2_to_v": (32, 32)}
    if encoder:
        for layer in (f"lora_te_text_model_encoder_layers_{number}" for number in range(4)):
            sizes |= {
                f"{layer}_self_attn_{name}": (32, 32) for name in ("q_proj", "k_proj", "v_proj", "out_proj")
            }
            sizes |= {f"{layer}_mlp_fc1": (37, 32), f"{layer}_mlp_fc2": (32, 37)}
    tensors = {}
    for name, (outward, inward) in sizes.items():
        tensors[f"{name}.lora_down.weight"] = torch.randn(4, inward, generator=drawn)
        tensors[f"{name}.lora_up.weight"] = torch.randn(outward, 4, generator=drawn)
        tensors[f"{name}.alpha"] = torch.tensor(4.0)
    save_file(tensors, path, metadata={"ss_network_module": "networks.lora"})


# --- one file, in the layout of the first Stable Diffusion ----------------------------------------------------

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _renamed(part: str, names: dict[str, str]) -> str:
    first, _, rest = part.partition(".")
    return f"{names.get(first, first)}.{rest}"


def _unet_name(name: str, blocks: int, layers: int, attends: list[bool]) -> str:
    """Name of a tensor of diffusers' UNet in the original layout."""
    fixed = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
    }
    for ours, theirs in fixed.items():
        if name.startswith(ours + "."):
            return theirs + name[len(ours) :]
    where, *rest = name.split(".")
    if where == "mid_block":
        kind, number, tail = rest[0], int(rest[1]), ".".join(rest[2:])
        if kind == "attentions":
            return f"middle_block.1.{tail}"
        return f"middle_block.{2 * number}.{_renamed(tail, _RESNET)}"
    block, kind, number, tail = int(rest[0]), rest[1], int(rest[2]), ".".join(rest[3:])
    if where == "down_blocks":
        place = 1 + block * (layers + 1) + number
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{tail.removeprefix('conv.')}"
        return f"input_blocks.{place}." + (
            f"1.{tail}" if kind == "attentions" else f"0.{_renamed(tail, _RESNET)}"
        )
    place = block * (layers + 1) + number
    if kind == "upsamplers":
        place = block * (layers + 1) + layers
        return f"output_blocks.{place}.{2 if attends[blocks - 1 - block] else 1}.{tail}"
    return f"output_blocks.{place}." + (f"1.{tail}" if kind == "attentions" else f"0.{_renamed(tail, _RESNET)}")


def _vae_name(name: str, blocks: int) -> str:
    resnet = {"conv_shortcut": "nin_shortcut"}
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    side, *rest = name.split(".")
    if side not in ("encoder", "decoder"):
        return name
    if rest[0] == "conv_norm_out":
        return f"{side}.norm_out.{rest[1]}"
    if rest[0] == "mid_block" and rest[1] == "attentions":
        tail = ".".join(rest[3:])
        ours = next(key for key in attention if tail.startswith(key + "."))
        return f"{side}.mid.attn_1.{attention[ours]}{tail[len(ours) :]}"
    if rest[0] == "mid_block":
        return f"{side}.mid.block_{int(rest[2]) + 1}." + _renamed(".".join(rest[3:]), resnet)
    if rest[0] in ("down_blocks", "up_blocks"):
        block = int(rest[1]) if rest[0] == "down_blocks" else blocks - 1 - int(rest[1])
        level = f"{side}.{'down' if rest[0] == 'down_blocks' else 'up'}.{block}"
        if rest[2] == "resnets":
            return f"{level}.block.{rest[3]}." + _renamed(".".join(rest[4:]), resnet)
        return f"{level}.{'downsample' if rest[0] == 'down_blocks' else 'upsample'}.conv.{rest[-1]}"
    return name


def _open_clip(encoder: CLIPTextModelWithProjection) -> dict[str, torch.Tensor]:
    """SDXL's second text encoder as OpenCLIP names and packs its tensors."""
    state = encoder.state_dict()
    tensors = {
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "ln_final.weight": state["text_model.final_layer_norm.weight"],
        "ln_final.bias": state["text_model.final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
    }
    names = {
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    for number in range(encoder.config.num_hidden_layers):
        ours, theirs = f"text_model.encoder.layers.{number}.", f"transformer.resblocks.{number}."
        for kind in ("weight", "bias"):
            packed = [state[f"{ours}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            tensors[f"{theirs}attn.in_proj_{kind}"] = torch.cat(packed)
            for name, other in names.items():
                tensors[f"{theirs}{other}.{kind}"] = state[f"{ours}{name}.{kind}"]
    return tensors


def original_layout(pipe: StableDiffusionPipeline | StableDiffusionXLPipeline) -> dict[str, torch.Tensor]:
    """The tensors of ``pipe`` as a single file has them."""
    xl = getattr(pipe, "text_encoder_2", None) is not None
    clip = "conditioner.embedders.0.transformer." if xl else "cond_stage_model.transformer."
    config = pipe.unet.config
    attends = [kind.startswith("CrossAttn") for kind in config.down_block_types]
    blocks, layers = len(config.block_out_channels), config.layers_per_block
    tensors = {
        "model.diffusion_model." + _unet_name(name, blocks, layers, attends): tensor
        for name, tensor in pipe.unet.state_dict().items()
    }
    for name, tensor in pipe.vae.state_dict().items():
        renamed = _vae_name(name, len(pipe.vae.config.block_out_channels))
        if ".attn_1." in renamed and renamed.endswith("weight") and tensor.dim() == 2:
            tensor = tensor[:, :, None, None]
        tensors["first_stage_model." + renamed] = tensor
    for name, tensor in pipe.text_encoder.state_dict().items():
        tensors[f"{clip}text_model." + name.removeprefix("text_model.")] = tensor
    if xl:
        for name, tensor in _open_clip(pipe.text_encoder_2).items():
            tensors["conditioner.embedders.1.model." + name] = tensor
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
