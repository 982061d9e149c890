"""contact_sheet: the images of a run on one page (or several), with captions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_api.report import Report, RunImage, WriteFile

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

PER_PAGE = 100
"""Images a page; more make more pages."""
PAGE_WIDTH = 2400
"""Largest width of a page, in pixels."""
CELL = (180, 480)
"""Smallest and largest side of the square an image is fitted into, in pixels."""

_GROUND, _CARD, _INK, _QUIET = (247, 245, 240), (236, 233, 226), (44, 42, 40), (126, 121, 114)


class ContactSheet(Report):
    """A JPEG with every image of the run, small, in plan order: ``contact-sheet.jpg``, ``contact-sheet-2.jpg``,
    ..."""

    name, version, title = "contact_sheet", "1.0", "Contact sheet"
    default_enabled = True

    def build(self, title: str, images: Sequence[RunImage], write: WriteFile) -> None:
        """Write the pages. A run without images has no sheet; an image that cannot be read gets an empty
        card."""
        pages = math.ceil(len(images) / PER_PAGE)
        for page in range(pages):
            part = images[page * PER_PAGE : (page + 1) * PER_PAGE]
            count = f"{len(images)} image{'s' if len(images) != 1 else ''}"
            note = count if pages == 1 else f"{count}, page {page + 1} of {pages}"
            file = io.BytesIO()
            draw_page(title, note, part).save(file, "JPEG", quality=88, subsampling=0)
            write("contact-sheet.jpg" if page == 0 else f"contact-sheet-{page + 1}.jpg", file.getvalue())


def draw_page(title: str, note: str, images: Sequence[RunImage]) -> Image:
    """One page: a heading, then the images in rows as square as they go."""
    from PIL import Image as Images
    from PIL import ImageDraw, ImageFont

    columns = max(1, min(len(images), math.ceil(math.sqrt(len(images) * 1.2))))
    gap, border = 24, 56
    cell = max(CELL[0], min(CELL[1], (PAGE_WIDTH - 2 * border - gap * (columns - 1)) // columns))
    small, large = ImageFont.load_default(max(13, cell // 22)), ImageFont.load_default(34)
    line = max(13, cell // 22) * 1.35
    foot = round(2 * line + 18)
    shapes = [_fitted(image, cell) for image in images]
    rows = [shapes[start : start + columns] for start in range(0, len(shapes), columns)]
    # Rows are only as high as their tallest image: a sheet of wide pictures has no empty stripes.
    heights = [max(picture.height if picture else cell for picture in row) for row in rows]
    head = border + 74
    width = max(720, 2 * border + columns * cell + (columns - 1) * gap)
    height = head + sum(row + foot for row in heights) + gap * (len(rows) - 1) + border - 16
    sheet = Images.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    note_width = draw.textlength(note, font=small)
    heading = _shortened(draw, title, large, width - 2 * border - note_width - 40)
    draw.text((border, border - 12), heading, font=large, fill=_INK)
    draw.text((width - border, border + 4), note, font=small, fill=_QUIET, anchor="ra")
    draw.line((border, border + 44, width - border, border + 44), fill=(214, 209, 200), width=2)
    top = head
    for index, (row, tall) in enumerate(zip(rows, heights, strict=True)):
        for column, picture in enumerate(row):
            left = border + column * (cell + gap)
            image = images[index * columns + column]
            if picture is None:
                draw.rectangle((left, top, left + cell - 1, top + tall - 1), fill=_CARD)
                draw.text(
                    (left + cell / 2, top + tall / 2), "cannot be read", font=small, fill=_QUIET, anchor="mm"
                )
                edge = left
            else:
                edge = left + (cell - picture.width) // 2
                at = (edge, top + tall - picture.height)
                draw.rectangle(
                    (at[0] + 2, at[1] + 3, at[0] + picture.width + 2, at[1] + picture.height + 3),
                    fill=(224, 220, 212),
                )
                sheet.paste(picture, at)
            for number, text in enumerate(_two_lines(draw, image.caption, small, cell)):
                draw.text((left, top + tall + 12 + number * line), text, font=small, fill=_QUIET)
        top += tall + foot + gap
    return sheet


def _fitted(image: RunImage, cell: int) -> Image | None:
    """The image, no larger than ``cell`` on a side and never enlarged; None if the file is gone or broken."""
    from PIL import Image as Images

    try:
        with Images.open(image.path) as file:
            file.draft("RGB", (cell, cell))
            picture = file.convert("RGB")
    except (OSError, ValueError, SyntaxError):  # Pillow's decoders raise all three for a damaged file
        return None
    picture.thumbnail((cell, cell), Images.Resampling.LANCZOS)
    return picture


def _shortened(draw: ImageDraw, text: str, font: FreeTypeFont | ImageFont, width: float) -> str:
    """``text`` in one line of ``width`` pixels, with an ellipsis where it is cut."""
    text = " ".join(text.split())
    if draw.textlength(text, font=font) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if draw.textlength(text[:middle].rstrip() + "…", font=font) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _two_lines(draw: ImageDraw, text: str, font: FreeTypeFont | ImageFont, width: float) -> list[str]:
    """``text`` broken between words into at most two lines."""
    words = text.split()
    first = ""
    for index, word in enumerate(words):
        longer = f"{first} {word}".strip()
        if first and draw.textlength(longer, font=font) > width:
            return [first, _shortened(draw, " ".join(words[index:]), font, width)]
        first = longer
    return [_shortened(draw, first, font, width)] if first else []
