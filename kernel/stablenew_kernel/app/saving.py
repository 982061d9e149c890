"""A finished image as the bytes of its file: PNG with texts, or encoded anew as JPEG or WebP, with the same
texts."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stablenew_api import xmp
from stablenew_api.files import Data
from stablenew_api.imagetext import ENDINGS, JPEG, PNG, exif_and_xmp, jpeg_with_texts
from stablenew_api.png import pieces_with_text
from stablenew_kernel.domain.saving import LARGEST_SIDE, LOSSLESS, SavedAs

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

_FULL_COLOUR = 90
"""From this quality on a JPEG keeps the colour of every pixel (4:4:4), below every second one each way (4:2:0):
thin red lines suffer first."""
_EFFORT = 80
"""Of lossless WebP, where Pillow's ``quality`` means how hard it tries."""


def file_of(png: bytes, texts: Mapping[str, str], form: SavedAs) -> tuple[str, Data]:
    """Ending and content of the image's file.

    The same build of Pillow gives the same bytes for the same image: a file that was written before a crash is
    known again. What cannot be encoded (too large for the format) stays PNG and is logged: an image that is
    made is never lost. Raises PngError if ``png`` is none.
    """
    if form.kind != PNG:
        try:
            return ENDINGS[form.kind], _encoded(png, texts, form)
        except (_CannotBeEncoded, OSError, ValueError, MemoryError) as error:
            log.warning("saved as PNG, not as %s: %s", form.kind, error)
    return ENDINGS[PNG], pieces_with_text(png, texts)


class _CannotBeEncoded(Exception):
    """More pixels than the format has room for, or than Pillow decodes."""


def _encoded(png: bytes, texts: Mapping[str, str], form: SavedAs) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    try:
        opened = Image.open(io.BytesIO(png), formats=("PNG",))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _CannotBeEncoded(str(error)) from error
    with opened as image:
        if max(image.size) > (most := LARGEST_SIDE[form.kind]):
            raise _CannotBeEncoded(f"{image.width}x{image.height}; at most {most:,} pixels a side")
        if form.kind == JPEG:
            sampling = 0 if form.quality >= _FULL_COLOUR else 2
            _opaque(image).save(out, "JPEG", quality=form.quality, subsampling=sampling)
            return jpeg_with_texts(out.getvalue(), texts)
        block, properties = exif_and_xmp(texts)
        lossless = form.quality == LOSSLESS
        _in_eight_bits(image).save(
            out,
            "WEBP",
            lossless=lossless,
            exact=lossless,
            quality=_EFFORT if lossless else form.quality,
            exif=block,
            xmp=xmp.packet(properties) if properties else b"",
        )
    return out.getvalue()


def _in_eight_bits(image: Image) -> Image:
    """``image`` as grey, RGB or RGBA."""
    if image.mode.startswith("I"):  # 16 bits: 65535 is white
        return image.point(lambda value: value * (1 / 257)).convert("L")
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.convert({"1": "L", "LA": "RGBA"}.get(image.mode, image.mode))


def _opaque(image: Image) -> Image:
    """``image`` without transparency, which JPEG has not: on white."""
    image = _in_eight_bits(image)
    if image.mode != "RGBA":
        return image
    from PIL import Image as Images

    ground = Images.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, mask=image.getchannel("A"))
    return ground
