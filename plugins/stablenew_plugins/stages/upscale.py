"""upscale: a larger copy, by an upscaler alone or with a diffusion pass at the larger size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, Field
from pydantic.fields import FieldInfo

from stablenew_api.backend import Capabilities, Feature, Img2ImgRequest, Progress, Request, UpscaleRequest
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks
from stablenew_plugins import upscalers
from stablenew_plugins.stages.common import (
    DENOISE_HELP,
    NO_IMAGE,
    NO_TEXTS,
    PartReport,
    SamplingConfig,
    Texts,
    needs_of,
    only_image,
)
from stablenew_plugins.tiling import boxes, mosaic, padded
from stablenew_plugins.vram import (
    TILE_OVERLAP,
    TILE_SIDE,
    UPSCALER_BYTES,
    WHOLE_PIXELS,
    sampling_bytes,
    upscaling_bytes,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.jobs import JsonValue

_USUAL = 512
"""Side, in pixels, that an image is taken to have before it is enlarged: the config does not know."""
_STEP = 8
"""Sides of a sampled picture are multiples of this many pixels."""


class EnlargingConfig(StageConfig):
    """What every enlargement can be told."""

    upscaler: str = Field(
        "Lanczos",
        min_length=1,
        title="Upscaler",
        description="By the name the node gives it.",
        json_schema_extra=marks(choices="upscalers"),
    )
    upscaling_resize: float = Field(
        2.0,
        gt=0,
        le=8,
        title="Scale",
        description="Factor for both sides: 2 makes four times as many pixels.",
        validation_alias=AliasChoices("upscaling_resize", "scale"),
        json_schema_extra=marks(unit="x"),
    )
    upscale_mode: Literal["single", "img2img"] = Field(
        "single",
        title="Mode",
        description="single: the upscaler alone. img2img: then a diffusion pass at the larger size, which adds "
        "detail; model, sampler, steps and so on are of that pass.",
    )
    gfpgan_visibility: float = Field(
        0.0, ge=0, le=1, title="GFPGAN", description="How much of the faces that GFPGAN mends shows; 0: none."
    )
    codeformer_visibility: float = Field(
        0.0, ge=0, le=1, title="CodeFormer", description="The same of CodeFormer."
    )
    codeformer_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        title="CodeFormer weight",
        description="0 mends most, 1 stays closest to the face.",
        json_schema_extra=marks(only_with="codeformer_visibility"),
    )
    tile_size: int = Field(
        0,
        ge=0,
        le=2048,
        multiple_of=8,
        title="Tile",
        description="Pixels a side that are worked on at a time. 0: whole pictures up to about a megapixel, "
        "tiles above.",
        json_schema_extra=marks(advanced=True, unit="px"),
    )


_OF_THE_PASS = marks(only_with="upscale_mode=img2img")


def _of_the_pass(name: str) -> Any:
    """The field ``name`` of what samples, marked as one of the diffusion pass."""
    field = SamplingConfig.model_fields[name]
    told = field.json_schema_extra
    extra = {**(told if isinstance(told, dict) else {}), **_OF_THE_PASS}
    return FieldInfo.merge_field_infos(field, json_schema_extra=extra)


class UpscaleConfig(SamplingConfig, EnlargingConfig):
    """Settings of upscale."""

    model: str = _of_the_pass("model")
    vae: str = _of_the_pass("vae")
    sampler_name: str = _of_the_pass("sampler_name")
    scheduler: str = _of_the_pass("scheduler")
    steps: int = _of_the_pass("steps")
    cfg_scale: float = _of_the_pass("cfg_scale")
    clip_skip: int = _of_the_pass("clip_skip")
    denoising_strength: float = Field(
        0.35,
        ge=0,
        le=1,
        title="Denoising strength",
        description=f"Of the diffusion pass. {DENOISE_HELP}",
        json_schema_extra=_OF_THE_PASS,
    )

    def ours(self) -> bool:
        """Whether the upscaler is one that a node has by itself."""
        return self.upscaler in upscalers.NETWORKS

    def enlargement(self, image: Image) -> UpscaleRequest:
        """The call that enlarges."""
        return UpscaleRequest(
            image,
            self.upscaler,
            self.upscaling_resize,
            gfpgan_visibility=self.gfpgan_visibility,
            codeformer_visibility=self.codeformer_visibility,
            codeformer_weight=self.codeformer_weight if self.codeformer_visibility else 0.0,
            tile_size=self.tile_size,
        )

    def mending(self, image: Image) -> UpscaleRequest | None:
        """The call that mends faces after an upscaler that cannot; None: nothing is asked."""
        if not (self.gfpgan_visibility or self.codeformer_visibility):
            return None
        return replace(self.enlargement(image), upscaler="None", scale=1.0, tile_size=0)

    def diffusion(self, texts: Texts, image: Image, *, tile: bool = False) -> Img2ImgRequest:
        """The diffusion pass over the enlarged ``image``; ``tile``: it is a part of that."""
        return Img2ImgRequest(
            **self.sampling(texts),
            image=image,
            denoising_strength=self.denoising_strength,
            part=tile,
        )

    def tile(self, size: tuple[int, int]) -> int:
        """Side, in pixels, of the tiles of the diffusion pass over a picture of ``size``; 0: it is drawn
        whole."""
        if self.tile_size:
            side = max(self.tile_size, 2 * TILE_OVERLAP)
            return side if max(size) > side else 0
        return TILE_SIDE if size[0] * size[1] > WHOLE_PIXELS else 0

    def vram_bytes(self) -> int:
        """Estimated peak, for an input of 512 x 512. A larger input costs the diffusion pass no more than a
        tile, or a picture that is just not tiled."""
        side = round(_USUAL * self.upscaling_resize)
        enlarging = 0 if self.ours() else max(UPSCALER_BYTES, upscaling_bytes(side, side))
        if self.upscale_mode == "single":
            return enlarging
        part = self.tile((side, side)) or side
        return max(enlarging, sampling_bytes(part, part))


class Upscale(Stage):
    """A larger copy."""

    name, version, title = "upscale", "1.0", "Upscale"
    description = "Makes the picture larger; in img2img mode it adds detail at the new size."
    Config = UpscaleConfig
    phase = Phase.ENLARGE

    @classmethod
    def needs(cls, config: UpscaleConfig) -> Needs:
        """What the settings ask for (in img2img mode of the diffusion pass, too), and VRAM by
        :meth:`UpscaleConfig.vram_bytes`."""
        requests: list[Request] = [config.enlargement(NO_IMAGE)]
        if config.upscale_mode == "img2img":
            requests.append(config.diffusion(NO_TEXTS, NO_IMAGE))
        return needs_of(requests, config.vram_bytes())

    @classmethod
    def provides(cls, backend: Capabilities) -> Capabilities:
        """The node's own upscalers. A backend that can enlarge does Lanczos and Nearest itself; one that tells
        no names takes any, so ours are not told either."""
        networks = upscalers.names()
        if Feature.UPSCALE in backend.features:
            return Capabilities(upscalers=networks if backend.upscalers else ())
        return Capabilities(features=frozenset({str(Feature.UPSCALE)}), upscalers=(*upscalers.PLAIN, *networks))

    def run(
        self, ctx: StageContext, config: UpscaleConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image enlarged."""
        made = []
        diffuse = config.upscale_mode == "img2img"
        count = len(only_image(self.name, images))
        for index, image in enumerate(images):
            ctx.cancel.raise_if_cancelled()
            whole = PartReport(ctx, index / count, (index + 1) / count)
            # With a diffusion pass that is what takes the time.
            begun = whole.within(0.0, 0.2) if diffuse else whole
            larger, info = _enlarged(ctx, config, image.image, begun)
            info = {**image.info, **info}
            if diffuse:
                ctx.cancel.raise_if_cancelled()
                larger, more = _diffused(ctx, config, larger, whole.within(0.2, 1.0))
                info |= more
            whole(1, 1)
            made.append(StageImage(larger, info))
        return made


def _enlarged(
    ctx: StageContext, config: UpscaleConfig, image: Image, report: Progress
) -> tuple[Image, dict[str, JsonValue]]:
    plain = Feature.UPSCALE not in ctx.backend.offers
    if not config.ours() and not plain:
        result = ctx.backend.upscale(config.enlargement(image), report, ctx.cancel)
        return result.image, dict(result.info)
    if config.ours():
        from stablenew_plugins.upscalers.realesrgan import enlarge

        larger = enlarge(image, config.upscaler, config.upscaling_resize, config.tile_size, report, ctx.cancel)
    else:
        larger = _resized(image, config)
    info: dict[str, JsonValue] = {
        "Size": f"{larger.width}x{larger.height}",
        "Postprocess upscale by": config.upscaling_resize,
        "Postprocess upscaler": config.upscaler,
    }
    if (mending := config.mending(larger)) is not None:
        mended = ctx.backend.upscale(mending, Progress(), ctx.cancel)
        told = {key: value for key, value in mended.info.items() if "upscale" not in key}
        return mended.image, {**info, **told}
    return larger, info


def _resized(image: Image, config: UpscaleConfig) -> Image:
    """By Pillow, for a backend that cannot enlarge."""
    from PIL import Image as Images

    if config.upscaler not in (*upscalers.PLAIN, "None"):
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"upscale: this node has no upscaler {config.upscaler!r}; it has: "
            f"{', '.join((*upscalers.PLAIN, *upscalers.names()))}",
        )
    size = (
        max(1, round(image.width * config.upscaling_resize)),
        max(1, round(image.height * config.upscaling_resize)),
    )
    how = Images.Resampling.NEAREST if config.upscaler == "Nearest" else Images.Resampling.LANCZOS
    return image.convert("RGB").resize(size, how)


def _diffused(
    ctx: StageContext, config: UpscaleConfig, image: Image, report: PartReport
) -> tuple[Image, dict[str, JsonValue]]:
    """The diffusion pass: whole, or tile by tile, each with the same seed and prompt."""
    tile = config.tile(image.size)
    info: dict[str, JsonValue] = {}
    if not tile:
        result = ctx.backend.img2img(config.diffusion(ctx, image), report.within(0, 1, whole=True), ctx.cancel)
        return result.image, dict(result.info)

    def work(part: Image, index: int, count: int) -> Image:
        ctx.cancel.raise_if_cancelled()
        fitted = padded(part, _STEP)
        progress = report.within(index / count, (index + 1) / count)
        result = ctx.backend.img2img(config.diffusion(ctx, fitted, tile=True), progress, ctx.cancel)
        if result.image.size != fitted.size:
            raise StageFailure(
                FailureKind.BACKEND,
                f"upscale: a tile of {fitted.width} x {fitted.height} pixels came back as "
                f"{result.image.width} x {result.image.height}",
            )
        info.update(result.info)
        return result.image if fitted is part else result.image.crop((0, 0, *part.size))

    made = mosaic(image.convert("RGB"), tile, TILE_OVERLAP, 1, work)
    told: dict[str, JsonValue] = {
        "Size": f"{image.width}x{image.height}",
        "StableNew tiles": len(boxes(image.size, tile, TILE_OVERLAP)),
        "StableNew tile size": tile,
    }
    return made, {**info, **told}
