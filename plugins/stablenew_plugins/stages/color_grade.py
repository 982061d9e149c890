"""color_grade: brightness, contrast, colour, warmth and a vignette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from stablenew_api.stage import StageConfig, StageContext
from stablenew_plugins.stages.post import PostProcessor, rgb

if TYPE_CHECKING:
    from PIL.Image import Image

_WARMTH = 0.20
"""Most that red is raised and blue is lowered."""


class ColorGradeConfig(StageConfig):
    """Settings of color_grade. The defaults change nothing."""

    brightness: float = Field(1.0, ge=0, le=3, title="Brightness", description="Factor; 1 keeps it.")
    contrast: float = Field(1.0, ge=0, le=3, title="Contrast", description="Factor; 1 keeps it, 0 is grey.")
    saturation: float = Field(
        1.0, ge=0, le=3, title="Saturation", description="Factor; 1 keeps it, 0 is black and white."
    )
    gamma: float = Field(
        1.0, ge=0.2, le=5, title="Gamma", description="Above 1 the mid-tones get lighter, below 1 darker."
    )
    warmth: float = Field(
        0.0, ge=-1, le=1, title="Warmth", description="Above 0 towards orange, below 0 towards blue."
    )
    vignette: float = Field(
        0.0, ge=0, le=1, title="Vignette", description="How dark the corners become; 0: not at all."
    )


def graded(image: Image, config: ColorGradeConfig) -> Image:
    """``image`` (RGB) with the settings applied, in the order of the fields."""
    from PIL import Image as Images
    from PIL import ImageChops, ImageEnhance

    if config.brightness != 1:
        image = ImageEnhance.Brightness(image).enhance(config.brightness)
    if config.contrast != 1:
        # About the middle, not about the picture's mean: the same settings do the same to every picture.
        image = image.point([_clip(128 + (value - 128) * config.contrast) for value in range(256)] * 3)
    if config.saturation != 1:
        image = ImageEnhance.Color(image).enhance(config.saturation)
    if config.gamma != 1 or config.warmth:
        curve = [255 * (value / 255) ** (1 / config.gamma) for value in range(256)]
        change = _WARMTH * config.warmth
        image = image.point([_clip(v * factor) for factor in (1 + change, 1.0, 1 - change) for v in curve])
    if config.vignette:
        # radial_gradient: 0 in the middle, 255 from the middle of a side to the corner.
        ring = Images.radial_gradient("L").resize(image.size, Images.Resampling.BICUBIC)
        shade = ring.point([_clip(255 - config.vignette * 255 * (value / 255) ** 2) for value in range(256)])
        image = ImageChops.multiply(image, Images.merge("RGB", (shade,) * 3))
    return image


def _clip(value: float) -> int:
    return min(255, max(0, round(value)))


class ColorGrade(PostProcessor):
    """Light and colour of the finished picture."""

    name, version, title = "color_grade", "1.0", "Colour grade"
    description = "Brightness, contrast, colour, warmth and dark corners of the finished picture."
    Config = ColorGradeConfig

    def change(self, ctx: StageContext, config: ColorGradeConfig, image: Image) -> Image:
        """The image, graded."""
        return image.copy() if config == ColorGradeConfig() else graded(rgb(image), config)
