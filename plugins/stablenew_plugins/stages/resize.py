"""resize: the picture at a wanted size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from stablenew_api.stage import StageConfig, StageContext, StageImage, marks
from stablenew_plugins.stages.post import PostProcessor, rgb

if TYPE_CHECKING:
    from PIL.Image import Image


class ResizeConfig(StageConfig):
    """Settings of resize."""

    width: int = Field(
        1024, ge=1, le=16384, title="Width", description="In pixels.", json_schema_extra=marks(unit="px")
    )
    height: int = Field(
        1024, ge=1, le=16384, title="Height", description="In pixels.", json_schema_extra=marks(unit="px")
    )
    mode: Literal["fit", "fill", "pad", "stretch"] = Field(
        "fit",
        title="How",
        description="fit: as large as fits into the size. fill: it fills it, and what stands over is cut off. "
        "pad: it fits, and the rest is filled with a colour. stretch: exactly the size, out of shape.",
    )
    enlarge: bool = Field(
        False, title="May enlarge", description="Off: a picture that is smaller is not made larger."
    )
    color: str = Field(
        "#000000",
        pattern=r"^#[0-9a-fA-F]{6}$",
        title="Colour",
        description="Of what pad fills in, as in HTML: #rrggbb.",
        json_schema_extra={**marks(only_with="mode=pad"), "format": "color"},
    )


def resized(image: Image, config: ResizeConfig) -> Image:
    """``image`` (RGB) at the wanted size."""
    from PIL import Image as Images

    wanted = (config.width, config.height)
    ratios = (config.width / image.width, config.height / image.height)
    scale = max(ratios) if config.mode == "fill" else min(ratios)
    if not config.enlarge and scale > 1 and config.mode != "stretch":
        scale = 1.0
    size = wanted if config.mode == "stretch" else _scaled(image, scale)
    if config.mode == "stretch" and not config.enlarge:
        size = (min(size[0], image.width), min(size[1], image.height))
    made = image if size == image.size else image.resize(size, Images.Resampling.LANCZOS)
    if config.mode == "fill":
        box = (min(made.width, wanted[0]), min(made.height, wanted[1]))
        left, top = (made.width - box[0]) // 2, (made.height - box[1]) // 2
        return made.crop((left, top, left + box[0], top + box[1]))
    if config.mode == "pad":
        return _on_ground(made, config)
    return made.copy() if made is image else made


def _scaled(image: Image, scale: float) -> tuple[int, int]:
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _on_ground(image: Image, config: ResizeConfig) -> Image:
    from PIL import Image as Images

    ground = Images.new("RGB", (config.width, config.height), config.color)
    ground.paste(image, ((config.width - image.width) // 2, (config.height - image.height) // 2))
    return ground


class Resize(PostProcessor):
    """The picture at a wanted size."""

    name, version, title = "resize", "1.0", "Resize"
    description = "The finished picture at an exact size: for a wallpaper, a print or a data set."
    Config = ResizeConfig

    def change(self, ctx: StageContext, config: ResizeConfig, image: Image) -> Image:
        """The image, resized."""
        return resized(rgb(image), config)

    def run(
        self, ctx: StageContext, config: ResizeConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image, resized, and what it measures now."""
        return [
            StageImage(made.image, {**made.info, "Size": f"{made.image.width}x{made.image.height}"})
            for made in super().run(ctx, config, images)
        ]
