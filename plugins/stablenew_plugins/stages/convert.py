"""convert: the picture in other colours: grey, sepia, or a palette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from stablenew_api.stage import StageConfig, StageContext, marks
from stablenew_plugins.stages.post import PostProcessor, rgb

if TYPE_CHECKING:
    from PIL.Image import Image

_SEPIA = ((28, 18, 10), (176, 142, 104), (255, 244, 224))
"""Black, middle and white of a sepia print."""


class ConvertConfig(StageConfig):
    """Settings of convert. The file format is a matter of the run: ``pipeline.image_format``."""

    mode: Literal["rgb", "grey", "sepia", "palette"] = Field(
        "rgb",
        title="Colours",
        description="rgb: full colour, transparency on white. grey: one channel. sepia: brown print. "
        "palette: few colours, for small files.",
    )
    colors: int = Field(
        64,
        ge=2,
        le=256,
        title="Number of colours",
        description="Of the palette.",
        json_schema_extra=marks(only_with="mode=palette"),
    )


def converted(image: Image, config: ConvertConfig) -> Image:
    """``image`` (RGB) in its new colours."""
    from PIL import Image as Images
    from PIL import ImageOps

    if config.mode == "grey":
        return image.convert("L")
    if config.mode == "sepia":
        return ImageOps.colorize(image.convert("L"), *(_SEPIA[0], _SEPIA[2]), mid=_SEPIA[1])
    if config.mode == "palette":
        return image.quantize(config.colors, Images.Quantize.MEDIANCUT, dither=Images.Dither.FLOYDSTEINBERG)
    return image


class Convert(PostProcessor):
    """The picture in other colours."""

    name, version, title = "convert", "1.0", "Convert"
    description = "Turns the picture grey, brown as an old print, or into few colours."
    Config = ConvertConfig

    def change(self, ctx: StageContext, config: ConvertConfig, image: Image) -> Image:
        """The image, converted."""
        return converted(rgb(image).copy(), config)
