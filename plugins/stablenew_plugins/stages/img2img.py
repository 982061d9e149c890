"""img2img: a picture drawn over another one."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AliasChoices, Field

from stablenew_api.backend import Img2ImgRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_plugins.stages.common import (
    CFG_HELP,
    CLIP_SKIP_HELP,
    DENOISE_HELP,
    MODEL_HELP,
    SAMPLER_HELP,
    SCHEDULER_HELP,
    STEPS_HELP,
    VAE_HELP,
    StepReport,
    join_prompts,
    only_image,
)
from stablenew_plugins.vram import WEIGHTS_BYTES


class Img2ImgConfig(StageConfig):
    """Settings of img2img. Nothing is taken over from txt2img: what stands here is what is used."""

    model: str = Field(
        "", title="Model", description=MODEL_HELP, validation_alias=AliasChoices("model", "model_name")
    )
    vae: str = Field("", title="VAE", description=VAE_HELP, validation_alias=AliasChoices("vae", "vae_name"))
    sampler_name: str = Field("DPM++ 2M", min_length=1, title="Sampler", description=SAMPLER_HELP)
    scheduler: str = Field("Automatic", min_length=1, title="Scheduler", description=SCHEDULER_HELP)
    steps: int = Field(20, ge=1, le=150, title="Steps", description=STEPS_HELP)
    cfg_scale: float = Field(7.0, ge=1, le=30, title="CFG scale", description=CFG_HELP)
    denoising_strength: float = Field(0.35, ge=0, le=1, title="Denoising strength", description=DENOISE_HELP)
    clip_skip: int = Field(1, ge=1, le=12, title="Clip skip", description=CLIP_SKIP_HELP)
    prompt_adjust: str = Field(
        "", title="Added to the prompt", description="Text added to the row's prompt, for this stage only."
    )
    negative_adjust: str = Field(
        "",
        title="Added to the negative prompt",
        description="Text added to the row's negative prompt, for this stage only.",
    )


class Img2Img(Stage):
    """A picture drawn over another one."""

    name, version, title = "img2img", "1.0", "Image to image"
    Config = Img2ImgConfig
    phase = Phase.REFINE

    @classmethod
    def needs(cls, config: Img2ImgConfig) -> Needs:
        """The model named and the img2img feature. The size is that of the stage before, whose need covers it;
        alone it needs the weights."""
        return Needs(config.model, WEIGHTS_BYTES, frozenset({"img2img"}))

    @classmethod
    def resolve_prompts(cls, config: Img2ImgConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The row's prompts with this stage's additions."""
        return join_prompts(prompt, config.prompt_adjust), join_prompts(negative_prompt, config.negative_adjust)

    def run(
        self, ctx: StageContext, config: Img2ImgConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image drawn over."""
        made = []
        for index, image in enumerate(only_image(self.name, images)):
            ctx.cancel.raise_if_cancelled()
            request = Img2ImgRequest(
                image=image.image,
                prompt=ctx.prompt,
                negative_prompt=ctx.negative_prompt,
                seed=ctx.seed,
                steps=config.steps,
                cfg_scale=config.cfg_scale,
                sampler=config.sampler_name,
                scheduler=config.scheduler,
                denoising_strength=config.denoising_strength,
                model=config.model,
                vae=config.vae,
                clip_skip=config.clip_skip,
            )
            report = StepReport(ctx, index * config.steps, len(images) * config.steps)
            result = ctx.backend.img2img(request, report, ctx.cancel)
            made.append(StageImage(result.image, {**image.info, **result.info}))
        return made
