"""upscale: a larger copy, by an upscaler alone or with a diffusion pass at the larger size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import AliasChoices, Field

from stablenew_api.backend import Img2ImgRequest, Progress, UpscaleRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_plugins.stages.common import (
    CFG_HELP,
    DENOISE_HELP,
    MODEL_HELP,
    SAMPLER_HELP,
    SCHEDULER_HELP,
    STEPS_HELP,
    StepReport,
    only_image,
)
from stablenew_plugins.vram import UPSCALER_BYTES, sampling_bytes, upscaling_bytes

_IMG2IMG_ONLY = " Only in img2img mode."
_USUAL = 512
"""Side, in pixels, that an image is taken to have before it is enlarged: the config does not know."""


class UpscaleConfig(StageConfig):
    """Settings of upscale."""

    upscaler: str = Field(
        "Lanczos", min_length=1, title="Upscaler", description="By the name the node gives it."
    )
    upscaling_resize: float = Field(
        2.0,
        gt=0,
        le=8,
        title="Scale",
        description="Factor for both sides: 2 makes four times as many pixels.",
        validation_alias=AliasChoices("upscaling_resize", "scale"),
    )
    upscale_mode: Literal["single", "img2img"] = Field(
        "single",
        title="Mode",
        description="single: the upscaler alone. img2img: then a diffusion pass at the larger size, "
        "which adds detail.",
    )
    model: str = Field(
        "",
        title="Model",
        description=MODEL_HELP + _IMG2IMG_ONLY,
        validation_alias=AliasChoices("model", "model_name"),
    )
    steps: int = Field(20, ge=1, le=150, title="Steps", description=STEPS_HELP + _IMG2IMG_ONLY)
    cfg_scale: float = Field(7.0, ge=1, le=30, title="CFG scale", description=CFG_HELP + _IMG2IMG_ONLY)
    sampler_name: str = Field(
        "DPM++ 2M", min_length=1, title="Sampler", description=SAMPLER_HELP + _IMG2IMG_ONLY
    )
    scheduler: str = Field(
        "Automatic", min_length=1, title="Scheduler", description=SCHEDULER_HELP + _IMG2IMG_ONLY
    )
    denoising_strength: float = Field(
        0.35, ge=0, le=1, title="Denoising strength", description=DENOISE_HELP + _IMG2IMG_ONLY
    )


class Upscale(Stage):
    """A larger copy."""

    name, version, title = "upscale", "1.0", "Upscale"
    Config = UpscaleConfig
    phase = Phase.ENLARGE

    @classmethod
    def needs(cls, config: UpscaleConfig) -> Needs:
        """The upscale feature (and img2img in that mode, with its model); VRAM for a 512 x 512 input."""
        side = round(_USUAL * config.upscaling_resize)
        if config.upscale_mode == "img2img":
            return Needs(config.model, sampling_bytes(side, side), frozenset({"upscale", "img2img"}))
        return Needs("", max(UPSCALER_BYTES, upscaling_bytes(side, side)), frozenset({"upscale"}))

    def run(
        self, ctx: StageContext, config: UpscaleConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image enlarged."""
        made = []
        diffuse = config.upscale_mode == "img2img"
        count = len(only_image(self.name, images))
        for index, image in enumerate(images):
            ctx.cancel.raise_if_cancelled()
            # In img2img mode the diffusion pass is what takes the time, so its steps alone are the progress.
            report = Progress() if diffuse or count > 1 else StepReport(ctx)
            enlarge = UpscaleRequest(image.image, config.upscaler, config.upscaling_resize)
            result = ctx.backend.upscale(enlarge, report, ctx.cancel)
            info = {**image.info, **result.info}
            if diffuse:
                ctx.cancel.raise_if_cancelled()
                refine = Img2ImgRequest(
                    image=result.image,
                    prompt=ctx.prompt,
                    negative_prompt=ctx.negative_prompt,
                    seed=ctx.seed,
                    steps=config.steps,
                    cfg_scale=config.cfg_scale,
                    sampler=config.sampler_name,
                    scheduler=config.scheduler,
                    denoising_strength=config.denoising_strength,
                    model=config.model,
                )
                steps = StepReport(ctx, index * config.steps, count * config.steps)
                result = ctx.backend.img2img(refine, steps, ctx.cancel)
                info |= result.info
            elif count > 1:
                ctx.progress(index + 1, count)
            made.append(StageImage(result.image, info))
        return made
