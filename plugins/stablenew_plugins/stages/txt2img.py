"""txt2img: a picture from a prompt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import AliasChoices, Field, field_validator

from stablenew_api.backend import Hires, Refiner, Txt2ImgRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageContext, StageImage, marks
from stablenew_plugins.stages.common import (
    DENOISE_HELP,
    NO_TEXTS,
    SamplingConfig,
    StepReport,
    Texts,
    chosen,
    join_prompts,
    needs_of,
)
from stablenew_plugins.vram import sampling_bytes

if TYPE_CHECKING:
    from stablenew_api.jobs import JsonValue

FAULT = re.compile(r"(?:(?:fail|hang|crash)@[1-9]\d{0,3}|oom)?")
"""What :attr:`Txt2ImgConfig.fault` may say."""

_SAME = ("Use same sampler", "Use same scheduler", "Use same checkpoint")
"""How a WebUI writes that the hires pass takes over what the first pass has."""
_HIRES = marks(only_with="enable_hr")


class Txt2ImgConfig(SamplingConfig):
    """Settings of txt2img. ``seed``, ``batch_size`` and ``batch_count`` are read by the kernel when it plans:
    a batch becomes jobs of one image, image i with seed + i."""

    width: int = Field(
        512,
        ge=64,
        le=4096,
        multiple_of=8,
        title="Width",
        description="In pixels, a multiple of 8.",
        json_schema_extra=marks(unit="px"),
    )
    height: int = Field(
        512,
        ge=64,
        le=4096,
        multiple_of=8,
        title="Height",
        description="In pixels, a multiple of 8.",
        json_schema_extra=marks(unit="px"),
    )
    negative_prompt: str = Field(
        "",
        title="Negative prompt",
        description="What should not be there; added to the row's own negative prompt.",
    )
    styles: tuple[str, ...] = Field(
        (),
        title="Styles",
        description="Prompt styles of the node's WebUI, by name.",
        json_schema_extra=marks(advanced=True, choices="styles"),
    )
    seed: int = Field(
        -1,
        ge=-1,
        le=2**64 - 1,
        title="Seed",
        description="Number that decides the composition. -1 draws a new one for each run, and records it.",
    )
    subseed: int = Field(
        -1,
        ge=-1,
        le=2**64 - 1,
        title="Variation seed",
        description="Seed that the composition leans to. -1: one that follows from the image's seed.",
        json_schema_extra=marks(advanced=True, only_with="subseed_strength"),
    )
    subseed_strength: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Variation strength",
        description="How far it leans to the variation seed: 0 not at all, 1 all the way.",
        json_schema_extra=marks(advanced=True),
    )
    batch_size: int = Field(
        1,
        ge=1,
        le=64,
        title="Batch size",
        description="Images a batch; image i gets seed + i.",
        json_schema_extra=marks(advanced=True),
    )
    batch_count: int = Field(
        1,
        ge=1,
        le=1000,
        title="Batch count",
        description="Batches a row; seeds go on counting.",
        validation_alias=AliasChoices("batch_count", "n_iter"),
        json_schema_extra=marks(advanced=True),
    )
    enable_hr: bool = Field(
        False,
        title="Hires fix",
        description="A second pass at a larger size: composition from the first one, detail from the second.",
    )
    hr_scale: float = Field(
        2.0,
        ge=1,
        le=8,
        title="Hires scale",
        description="Factor for both sides. Not used where a width or height is given.",
        json_schema_extra=marks(only_with="enable_hr", unit="x"),
    )
    hr_upscaler: str = Field(
        "Latent",
        min_length=1,
        title="Hires upscaler",
        description="What enlarges the first pass: a latent mode, which wants a denoising strength above 0.5, "
        "or an upscaler.",
        json_schema_extra=marks(only_with="enable_hr", choices="hires_upscalers"),
    )
    hr_second_pass_steps: int = Field(
        0,
        ge=0,
        le=150,
        title="Hires steps",
        description="Sampling steps of the second pass. 0: as many as in the first one.",
        validation_alias=AliasChoices("hr_second_pass_steps", "hires_steps"),
        json_schema_extra=_HIRES,
    )
    denoising_strength: float = Field(
        0.7,
        ge=0,
        le=1,
        title="Hires denoising strength",
        description=f"Of the second pass. {DENOISE_HELP}",
        json_schema_extra=_HIRES,
    )
    hr_sampler_name: str = Field(
        "",
        title="Hires sampler",
        description="Of the second pass. Empty: as in the first one.",
        json_schema_extra=marks(advanced=True, only_with="enable_hr", choices="samplers"),
    )
    hr_scheduler: str = Field(
        "",
        title="Hires scheduler",
        description="Of the second pass. Empty: as in the first one.",
        json_schema_extra=marks(advanced=True, only_with="enable_hr", choices="schedulers"),
    )
    hr_resize_x: int = Field(
        0,
        ge=0,
        le=8192,
        title="Hires width",
        description="Of the result, in pixels. 0: it follows from the height or the scale.",
        json_schema_extra=marks(advanced=True, only_with="enable_hr", unit="px"),
    )
    hr_resize_y: int = Field(
        0,
        ge=0,
        le=8192,
        title="Hires height",
        description="Of the result, in pixels. 0: it follows from the width or the scale.",
        json_schema_extra=marks(advanced=True, only_with="enable_hr", unit="px"),
    )
    hr_checkpoint_name: str = Field(
        "",
        title="Hires model",
        description="Checkpoint of the second pass. Empty: as in the first one.",
        json_schema_extra=marks(advanced=True, only_with="enable_hr", choices="models"),
    )
    refiner_checkpoint: str = Field(
        "",
        title="Refiner",
        description="Checkpoint that takes over for the last steps. Empty or None: none.",
        json_schema_extra=marks(advanced=True, choices="models"),
    )
    refiner_switch_at: float = Field(
        0.8,
        ge=0,
        le=1,
        title="Refiner switch",
        description="Part of the steps after which the refiner takes over; 1: never.",
        json_schema_extra=marks(advanced=True, only_with="refiner_checkpoint"),
    )
    face_restoration_enabled: bool = Field(
        False,
        title="Face restoration",
        description="Mends faces in the finished picture.",
        json_schema_extra=marks(advanced=True),
    )
    face_restoration_model: str = Field(
        "",
        title="Face restorer",
        description="CodeFormer, GFPGAN, or what the node has. Empty: the node's default.",
        json_schema_extra=marks(advanced=True, only_with="face_restoration_enabled", choices="face_restorers"),
    )
    hypernetwork: str = Field(
        "",
        title="Hypernetwork",
        description="By name. Empty or None: none.",
        json_schema_extra=marks(advanced=True, choices="hypernetworks"),
    )
    hypernetwork_strength: float = Field(
        1.0,
        ge=0,
        le=2,
        title="Hypernetwork strength",
        description="How much of it; 0: nothing.",
        json_schema_extra=marks(advanced=True, only_with="hypernetwork"),
    )
    fault: str = Field(
        "",
        title="Fault (tests and demos)",
        description="Only the embedded engine honours it: fail@STEP, hang@STEP, crash@STEP (the worker dies) "
        "or oom (out of memory). Empty: none.",
        json_schema_extra=marks(advanced=True),
    )

    @field_validator("fault")
    @classmethod
    def _known_fault(cls, value: str) -> str:
        if not FAULT.fullmatch(value):
            raise ValueError("must be empty, oom, fail@STEP, hang@STEP or crash@STEP, STEP from 1")
        return value

    @field_validator("styles", mode="before")
    @classmethod
    def _one_style(cls, value: object) -> object:
        """Files say one style as a text, too."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def hires(self) -> Hires | None:
        """The second pass, if there is one."""
        if not self.enable_hr:
            return None
        return Hires(
            upscaler=self.hr_upscaler,
            denoising_strength=self.denoising_strength,
            scale=self.hr_scale,
            width=self.hr_resize_x,
            height=self.hr_resize_y,
            steps=self.hr_second_pass_steps,
            sampler=chosen(self.hr_sampler_name, *_SAME),
            scheduler=chosen(self.hr_scheduler, *_SAME),
            model=chosen(self.hr_checkpoint_name, *_SAME),
        )

    def refiner(self) -> Refiner | None:
        """The refiner, if there is one that ever takes over."""
        name = chosen(self.refiner_checkpoint)
        return Refiner(name, self.refiner_switch_at) if name and self.refiner_switch_at < 1 else None

    def request(self, texts: Texts) -> Txt2ImgRequest:
        """The call that these settings ask for."""
        more: dict[str, JsonValue] = {"fault": self.fault} if self.fault else {}
        hypernetwork = chosen(self.hypernetwork) if self.hypernetwork_strength else ""
        varied = self.subseed_strength > 0
        subseed = self.subseed if self.subseed >= 0 else variation_of(texts.seed)
        restorer = (chosen(self.face_restoration_model) or "default") if self.face_restoration_enabled else ""
        return Txt2ImgRequest(
            **self.sampling(texts),
            width=self.width,
            height=self.height,
            subseed=subseed if varied else -1,
            subseed_strength=self.subseed_strength,
            styles=self.styles,
            hypernetwork=hypernetwork,
            hypernetwork_strength=self.hypernetwork_strength if hypernetwork else 1.0,
            face_restoration=restorer,
            refiner=self.refiner(),
            hires=self.hires(),
            extra=more,
        )


def variation_of(seed: int) -> int:
    """The variation seed of an image that was given none, 0 to 2**32 - 1: drawn, and yet the same each time."""
    return int.from_bytes(hashlib.sha256(f"variation of {seed}".encode("ascii")).digest()[:4], "big")


class Txt2Img(Stage):
    """A picture from a prompt."""

    name, version, title = "txt2img", "1.0", "Text to image"
    description = "Makes a picture from the prompt. Nearly every pipeline begins with it."
    Config = Txt2ImgConfig
    phase = Phase.GENERATE

    @classmethod
    def needs(cls, config: Txt2ImgConfig) -> Needs:
        """What the settings ask for, and VRAM by :func:`stablenew_plugins.vram.sampling_bytes` for the larger
        of the two passes."""
        request = config.request(NO_TEXTS)
        vram = sampling_bytes(request.width, request.height)
        if request.hires is not None:
            vram = max(vram, sampling_bytes(*request.hires.size(request.width, request.height)))
        return needs_of([request], vram)

    @classmethod
    def resolve_prompts(cls, config: Txt2ImgConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The row's prompts, with the preset's negative prompt added."""
        return prompt, join_prompts(negative_prompt, config.negative_prompt)

    def run(
        self, ctx: StageContext, config: Txt2ImgConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """One image."""
        ctx.cancel.raise_if_cancelled()
        made = ctx.backend.txt2img(config.request(ctx), StepReport(ctx), ctx.cancel)
        return [StageImage(made.image, dict(made.info))]
