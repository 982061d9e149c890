"""watermark: a line of text over the picture. Text alone: a picture file would have to travel with each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from stablenew_api.stage import StageConfig, StageContext, marks
from stablenew_plugins.stages.post import PostProcessor, filled_in, rgb

if TYPE_CHECKING:
    from PIL.Image import Image


class WatermarkConfig(StageConfig):
    """Settings of watermark."""

    text: str = Field(
        "StableNew",
        max_length=200,
        title="Text",
        description="What is written. {seed} and {prompt} stand for this image's own. Empty: nothing.",
    )
    position: Literal["bottom right", "bottom left", "top right", "top left", "centre"] = Field(
        "bottom right", title="Position", description="Where it stands."
    )
    size_percent: float = Field(
        4.0,
        ge=0.5,
        le=40,
        title="Size",
        description="Height of the letters, in percent of the picture's shorter side.",
        json_schema_extra=marks(unit="%"),
    )
    opacity: float = Field(
        0.6, ge=0, le=1, title="Opacity", description="0 cannot be seen, 1 covers what is below it."
    )
    color: str = Field(
        "#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        title="Colour",
        description="As in HTML: #rrggbb.",
        json_schema_extra={"format": "color"},
    )


def marked(image: Image, config: WatermarkConfig, text: str) -> Image:
    """``image`` (RGB) with ``text`` over it; too long a text is made smaller until it fits."""
    from PIL import Image as Images
    from PIL import ImageChops, ImageDraw, ImageFont

    margin = max(2, round(min(image.size) * 0.02))
    size = max(4.0, min(image.size) * config.size_percent / 100)
    room = max(1, image.width - 2 * margin)
    font = ImageFont.load_default(size)
    wide = font.getlength(text)
    if wide > room:
        font = ImageFont.load_default(max(1.0, size * room / wide))
    letters = Images.new("L", image.size, 0)
    across = {"left": margin, "right": image.width - margin, "centre": image.width / 2}
    down = {"top": margin, "bottom": image.height - margin, "centre": image.height / 2}
    up, _, side = (config.position if " " in config.position else "centre centre").partition(" ")
    anchor = {"left": "l", "right": "r", "centre": "m"}[side] + {"top": "a", "bottom": "d", "centre": "m"}[up]
    ImageDraw.Draw(letters).text((across[side], down[up]), text, font=font, fill=255, anchor=anchor)
    strength = round(255 * config.opacity)
    colour = tuple(int(config.color[at : at + 2], 16) for at in (1, 3, 5))
    # A shadow of the opposite brightness, so that it can be read on light and dark alike.
    shadow = 0 if sum(colour) > 382 else 255
    offset = max(1, round(size / 18))
    below = ImageChops.offset(letters, offset, offset)
    result = image.copy()
    result.paste((shadow,) * 3, mask=below.point([value * strength // 510 for value in range(256)]))
    result.paste(colour, mask=letters.point([value * strength // 255 for value in range(256)]))
    return result


class Watermark(PostProcessor):
    """A line of text over the picture."""

    name, version, title = "watermark", "1.0", "Watermark"
    description = "Writes a line of text over the picture, such as your name."
    Config = WatermarkConfig

    def change(self, ctx: StageContext, config: WatermarkConfig, image: Image) -> Image:
        """The image with the text."""
        text = filled_in(config.text, ctx)
        return marked(rgb(image), config, text) if text and config.opacity else image.copy()
