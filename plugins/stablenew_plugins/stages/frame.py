"""frame: a mat and a thin frame round the picture, with a caption on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks

if TYPE_CHECKING:
    from PIL.Image import Image

STYLES: dict[
    str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
] = {
    "gallery": ((28, 27, 26), (245, 242, 235), (205, 199, 188), (84, 79, 72)),
    "dark": ((12, 12, 13), (32, 33, 36), (62, 63, 68), (176, 174, 168)),
    "kraft": ((76, 58, 42), (214, 194, 163), (172, 149, 114), (86, 66, 46)),
    "print": ((252, 251, 248), (252, 251, 248), (226, 223, 217), (92, 90, 86)),
}
"""A style's colours, RGB: frame, mat, bevel (the cut edge of the mat), caption."""


class FrameConfig(StageConfig):
    """Settings of frame."""

    style: Literal["gallery", "dark", "kraft", "print"] = Field(
        "gallery",
        title="Style",
        description="gallery: dark frame, warm white mat. dark: for dark walls. kraft: brown paper. "
        "print: white border.",
    )
    width_percent: float = Field(
        8.0,
        ge=1,
        le=40,
        title="Mat width",
        description="Of the picture's shorter side, in percent.",
        json_schema_extra=marks(unit="%"),
    )
    caption: str = Field(
        "",
        max_length=200,
        title="Caption",
        description="Text below the picture. {seed} and {prompt} stand for this image's own. Empty: none.",
    )


def _centred(
    draw: Any, text: str, box: tuple[int, int, int], size: float, colour: tuple[int, int, int]
) -> None:
    """Write ``text`` in one line, centred in ``box`` (left, right, middle y), shortened where it does not
    fit."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    left, right, middle = box
    shown = text
    while draw.textlength(shown, font=font) > right - left and len(shown) > 1:
        shown = shown[:-2].rstrip() + "…"
    draw.text(((left + right) / 2, middle), shown, font=font, fill=colour, anchor="mm")


def framed(picture: Image, config: FrameConfig, caption: str) -> Image:
    """``picture`` in its frame. The picture's own pixels are unchanged."""
    from PIL import Image as Images
    from PIL import ImageDraw

    outer, mat, bevel, ink = STYLES[config.style]
    picture = picture.convert("RGB")
    short = min(picture.size)
    margin = max(4, round(short * config.width_percent / 100))
    line = max(1, round(short / 96)) if config.style != "print" else 0
    cut = max(1, round(short / 256))
    # A mat looks even when its lower edge is a little wider: framers call it weighting.
    foot = margin + margin // 4
    size_of_type = max(11.0, margin * 0.30)
    if caption:
        foot = max(foot, round(margin * 0.5 + size_of_type * 2.2))
    left = line + margin
    canvas = Images.new("RGB", (picture.width + 2 * left, picture.height + 2 * line + margin + foot), outer)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((line, line, canvas.width - 1 - line, canvas.height - 1 - line), fill=mat)
    # The mat's cut edge catches light below and right, and lies in shadow above and left.
    x0, y0 = left - cut, line + margin - cut
    x1, y1 = left + picture.width + cut - 1, line + margin + picture.height + cut - 1
    draw.rectangle((x0, y0, x1, y1), fill=bevel)
    light = (min(255, mat[0] + 10), min(255, mat[1] + 10), min(255, mat[2] + 10))
    draw.polygon(((x1, y0), (x1, y1), (x0, y1), (x0 + cut, y1 - cut), (x1 - cut, y0 + cut)), fill=light)
    canvas.paste(picture, (left, line + margin))
    if caption:
        middle = line + margin + picture.height + round(foot * 0.52)
        _centred(draw, caption, (left, left + picture.width, middle), size_of_type, ink)
    return canvas


class Frame(Stage):
    """A mat and a frame round the picture."""

    name, version, title = "frame", "1.0", "Frame"
    description = "Puts the picture on a mat and into a thin frame, with a caption on request."
    Config = FrameConfig
    phase = Phase.POST

    def run(self, ctx: StageContext, config: FrameConfig, images: Sequence[StageImage]) -> Sequence[StageImage]:
        """Each image, framed."""
        made = []
        caption = config.caption.replace("{seed}", str(ctx.seed)).replace("{prompt}", ctx.prompt)
        caption = " ".join(caption.split())
        for image in images:
            ctx.cancel.raise_if_cancelled()
            made.append(StageImage(framed(image.image, config, caption), image.info))
        return made
