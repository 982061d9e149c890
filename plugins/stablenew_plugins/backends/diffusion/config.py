"""Options of the diffusers backend. Light: read by the agent and by ``stablenew plugins``."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _folders(value: object) -> object:
    """A text is a list of folders, separated as in PATH: ``:``, on Windows ``;``."""
    if isinstance(value, str):
        return [part for part in value.split(os.pathsep) if part]
    return value


Folders = Annotated[tuple[str, ...], BeforeValidator(_folders)]


class DiffusersConfig(BaseModel):
    """Options of the backend ``diffusers`` (``--backend-option KEY=VALUE``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Folders = Field(
        (),
        title="Model folders",
        description="Folders with checkpoints: .safetensors files and folders of the diffusers layout, at any "
        "depth. Several are separated as in PATH. A path of one checkpoint works too.",
    )
    vaes: Folders = Field((), title="VAE folders", description=".safetensors files and diffusers folders.")
    loras: Folders = Field((), title="LoRA folders", description=".safetensors files, at any depth.")
    embeddings: Folders = Field(
        (), title="Embedding folders", description="Textual inversion: .safetensors, .pt and .bin files."
    )
    default_model: str = Field(
        "",
        title="Default model",
        description="For jobs that name none. Empty: the first in alphabetical order.",
    )
    config_folder: str = Field(
        "",
        title="Configuration for single files",
        description="A diffusers folder whose configuration and tokenizer are used for .safetensors "
        "checkpoints; its weights are not read. Empty: the built-in ones of SD 1.5 and SDXL.",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto", title="Device", description="auto: CUDA (and ROCm), else Apple's Metal, else the processor."
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", title="Precision", description="auto: float16 on a GPU, float32 on the processor."
    )
    offload: Literal["auto", "none", "model", "sequential"] = Field(
        "auto",
        title="Offload",
        description="Where weights wait. none: in VRAM. model: in RAM, one part of the model at a time "
        "comes over. "
        "sequential: layer by layer; slow, for very small GPUs. auto: the first that fits into free VRAM.",
    )
    keep_models: int = Field(
        2, ge=1, le=16, title="Models kept", description="Checkpoints that stay loaded, last used first."
    )
    allow_download: bool = Field(
        False,
        title="Allow downloads",
        description="Whether a model may be named OWNER/NAME and come from the Hugging Face hub. "
        "HF_HUB_OFFLINE in the environment forbids it all the same.",
    )
