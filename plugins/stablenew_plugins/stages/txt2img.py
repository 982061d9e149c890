"""txt2img: a picture from a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import AliasChoices, Field, field_validator

from stablenew_api.backend import Txt2ImgRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_plugins.stages.common import (
    CFG_HELP,
    CLIP_SKIP_HELP,
    MODEL_HELP,
    SAMPLER_HELP,
    SCHEDULER_HELP,
    STEPS_HELP,
    VAE_HELP,
    StepReport,
    join_prompts,
)
from stablenew_plugins.vram import sampling_bytes

if TYPE_CHECKING:
    from stablenew_api.jobs import JsonValue

FAULT = re.compile(r"(?:(?:fail|hang|crash)@[1-9]\d{0,3}|oom)?")
"""What :attr:`Txt2ImgConfig.fault` may say."""


class Txt2ImgConfig(StageConfig):
    """Settings of txt2img. ``seed``, ``batch_size`` and ``batch_count`` are read by the kernel when it plans:
    a batch becomes jobs of one image, image i with seed + i."""

    model: str = Field(
        "", title="Model", description=MODEL_HELP, validation_alias=AliasChoices("model", "model_name")
    )
    vae: str = Field("", title="VAE", description=VAE_HELP, validation_alias=AliasChoices("vae", "vae_name"))
    sampler_name: str = Field("DPM++ 2M", min_length=1, title="Sampler", description=SAMPLER_HELP)
    scheduler: str = Field("Automatic", min_length=1, title="Scheduler", description=SCHEDULER_HELP)
    steps: int = Field(20, ge=1, le=150, title="Steps", description=STEPS_HELP)
    cfg_scale: float = Field(7.0, ge=1, le=30, title="CFG scale", description=CFG_HELP)
    width: int = Field(
        512, ge=64, le=4096, multiple_of=8, title="Width", description="In pixels, a multiple of 8."
    )
    height: int = Field(
        512, ge=64, le=4096, multiple_of=8, title="Height", description="In pixels, a multiple of 8."
    )
    clip_skip: int = Field(1, ge=1, le=12, title="Clip skip", description=CLIP_SKIP_HELP)
    negative_prompt: str = Field(
        "",
        title="Negative prompt",
        description="What should not be there; added to the row's own negative prompt.",
    )
    seed: int = Field(
        -1,
        ge=-1,
        le=2**64 - 1,
        title="Seed",
        description="Number that decides the composition. -1 draws a new one for each run, and records it.",
    )
    batch_size: int = Field(
        1, ge=1, le=64, title="Batch size", description="Images a batch; image i gets seed + i."
    )
    batch_count: int = Field(
        1,
        ge=1,
        le=1000,
        title="Batch count",
        description="Batches a row; seeds go on counting.",
        validation_alias=AliasChoices("batch_count", "n_iter"),
    )
    fault: str = Field(
        "",
        title="Fault (tests and demos)",
        description="Only the embedded engine honours it: fail@STEP, hang@STEP, crash@STEP (the worker dies) "
        "or oom (out of memory). Empty: none.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("fault")
    @classmethod
    def _known_fault(cls, value: str) -> str:
        if not FAULT.fullmatch(value):
            raise ValueError("must be empty, oom, fail@STEP, hang@STEP or crash@STEP, STEP from 1")
        return value


class Txt2Img(Stage):
    """A picture from a prompt."""

    name, version, title = "txt2img", "1.0", "Text to image"
    Config = Txt2ImgConfig
    phase = Phase.GENERATE

    @classmethod
    def needs(cls, config: Txt2ImgConfig) -> Needs:
        """The model named, the txt2img feature, and VRAM by :func:`stablenew_plugins.vram.sampling_bytes`."""
        return Needs(config.model, sampling_bytes(config.width, config.height), frozenset({"txt2img"}))

    @classmethod
    def resolve_prompts(cls, config: Txt2ImgConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The row's prompts, with the preset's negative prompt added."""
        return prompt, join_prompts(negative_prompt, config.negative_prompt)

    def run(
        self, ctx: StageContext, config: Txt2ImgConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """One image."""
        ctx.cancel.raise_if_cancelled()
        extra: dict[str, JsonValue] = {"fault": config.fault} if config.fault else {}
        request = Txt2ImgRequest(
            prompt=ctx.prompt,
            negative_prompt=ctx.negative_prompt,
            seed=ctx.seed,
            width=config.width,
            height=config.height,
            steps=config.steps,
            cfg_scale=config.cfg_scale,
            sampler=config.sampler_name,
            scheduler=config.scheduler,
            model=config.model,
            vae=config.vae,
            clip_skip=config.clip_skip,
            extra=extra,
        )
        made = ctx.backend.txt2img(request, StepReport(ctx), ctx.cancel)
        return [StageImage(made.image, dict(made.info))]
