"""Stages with every kind of setting, for the tests of packs, presets, pipeline and plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage


class _Stage(Stage):
    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        raise AssertionError("planning runs no stage")


class Txt2ImgConfig(StageConfig):
    model: str = Field("", validation_alias=AliasChoices("model", "model_name"))
    sampler_name: str = "Euler a"
    steps: int = Field(20, ge=1, le=150)
    cfg_scale: float = Field(7.0, ge=1, le=30)
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)
    negative_prompt: str = ""
    seed: int = Field(-1, ge=-1, le=2**64 - 1)
    batch_size: int = Field(1, ge=1, le=64)
    styles: tuple[str, ...] = ()
    tiling: bool = False
    enable_hr: bool = False
    hr_second_pass_steps: int = Field(
        0,
        ge=0,
        validation_alias=AliasChoices("hr_second_pass_steps", "hires_steps"),
        json_schema_extra={"only_with": "enable_hr"},
    )


class Txt2Img(_Stage):
    name, version, title = "txt2img", "1.0", "Text to image"
    Config = Txt2ImgConfig
    phase = Phase.GENERATE

    @classmethod
    def needs(cls, config: Txt2ImgConfig) -> Needs:
        return Needs(config.model, config.width * config.height, frozenset({"txt2img"}))

    @classmethod
    def resolve_prompts(cls, config: Txt2ImgConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        return prompt, ", ".join(text for text in (negative_prompt, config.negative_prompt) if text)


class Paint(_Stage):
    """A second stage that makes images; it has no batch and no seed of its own."""

    name, version, title = "paint", "1.0", "Paint"
    Config = StageConfig
    phase = Phase.GENERATE


class Img2ImgConfig(StageConfig):
    steps: int = Field(20, ge=1, le=150)
    denoising_strength: float = Field(0.3, ge=0, le=1)
    prompt_adjust: str = ""


class Img2Img(_Stage):
    name, version, title = "img2img", "1.1", "Image to image"
    Config = Img2ImgConfig
    phase = Phase.REFINE

    @classmethod
    def needs(cls, config: Img2ImgConfig) -> Needs:
        return Needs("", 10, frozenset({"img2img"}))

    @classmethod
    def resolve_prompts(cls, config: Img2ImgConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        return f"{prompt} {config.prompt_adjust}".strip(), negative_prompt


class UpscaleConfig(StageConfig):
    scale: float = Field(2.0, gt=0, le=8)
    mode: Literal["single", "img2img"] = "single"
    steps: int = Field(20, ge=1, json_schema_extra={"only_with": "mode=img2img"})


class Upscale(_Stage):
    name, version, title = "upscale", "1.0", "Upscale"
    Config = UpscaleConfig
    phase = Phase.ENLARGE


class Tone(BaseModel):
    red: int = Field(0, ge=0, le=255)
    green: int = Field(0, ge=0, le=255)


class GrainConfig(StageConfig):
    strength: float = Field(0.5, ge=0, le=1)
    tone: Tone = Tone()
    limit: int | None = None


class Grain(_Stage):
    name, version, title = "film_grain", "2.0", "Film grain"
    Config = GrainConfig
    phase = Phase.POST


class FrameConfig(StageConfig):
    width: int = 8


class Frame(_Stage):
    name, version, title = "frame", "1.0", "Frame"
    Config = FrameConfig
    phase = Phase.POST


class Border(_Stage):
    """May only follow an enlarged image."""

    name, version, title = "border", "1.0", "Border"
    Config = StageConfig
    phase = Phase.POST
    may_follow = frozenset({Phase.ENLARGE})


STAGES: dict[str, type[Stage]] = {
    stage.name: stage for stage in (Txt2Img, Paint, Img2Img, Upscale, Grain, Frame, Border)
}
