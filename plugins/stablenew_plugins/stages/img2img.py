"""img2img: a picture drawn over another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from stablenew_api.backend import Img2ImgRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageContext, StageImage
from stablenew_plugins.stages.common import (
    DENOISE_HELP,
    NO_IMAGE,
    NO_TEXTS,
    SamplingConfig,
    StepReport,
    Texts,
    join_prompts,
    needs_of,
    only_image,
)
from stablenew_plugins.vram import WEIGHTS_BYTES

if TYPE_CHECKING:
    from PIL.Image import Image


class Img2ImgConfig(SamplingConfig):
    """Settings of img2img. Nothing is taken over from txt2img: what stands here is what is used. A ``seed`` of
    its own is read by the kernel, as for every stage."""

    denoising_strength: float = Field(0.35, ge=0, le=1, title="Denoising strength", description=DENOISE_HELP)
    prompt_adjust: str = Field(
        "", title="Added to the prompt", description="Text added to the row's prompt, for this stage only."
    )
    negative_adjust: str = Field(
        "",
        title="Added to the negative prompt",
        description="Text added to the row's negative prompt, for this stage only.",
    )

    def request(self, texts: Texts, image: Image) -> Img2ImgRequest:
        """The call that these settings ask for."""
        return Img2ImgRequest(**self.sampling(texts), image=image, denoising_strength=self.denoising_strength)


class Img2Img(Stage):
    """A picture drawn over another one."""

    name, version, title = "img2img", "1.0", "Image to image"
    description = "Draws over the picture with the same prompt: cleans up, or changes model and style half-way."
    Config = Img2ImgConfig
    phase = Phase.REFINE

    @classmethod
    def needs(cls, config: Img2ImgConfig) -> Needs:
        """What the settings ask for. The size is that of the stage before, whose need covers it; alone it needs
        the weights."""
        return needs_of([config.request(NO_TEXTS, NO_IMAGE)], WEIGHTS_BYTES)

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
            report = StepReport(ctx, index * config.steps, len(images) * config.steps)
            result = ctx.backend.img2img(config.request(ctx, image.image), report, ctx.cancel)
            made.append(StageImage(result.image, {**image.info, **result.info}))
        return made
