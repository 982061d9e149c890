"""Opening an image that a person named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_client.reading import LARGEST_IMAGE, read_file

if TYPE_CHECKING:
    from PIL.Image import Image


def read_image(given: str) -> bytes:
    """The bytes of the file ``given``. Raises UserError that names it."""
    return read_file(f"image {given}", Path(given).expanduser(), LARGEST_IMAGE)


def image_sha256(given: str) -> str:
    """What the image ``given`` is known by: its pixels as they were made.

    Of a PNG file these are its pixels. JPEG changes pixels, WebP may: of such a file it is what its
    ``stablenew`` text says, if it has one, else its own pixels. Raises UserError that names the file.
    """
    from stablenew_api.images import pixel_sha256
    from stablenew_api.imagetext import PNG, kind_of, read_texts
    from stablenew_api.png import STABLENEW
    from stablenew_kernel.domain.infotext import stored_image_sha256

    data = read_image(given)
    with _decoded(data, given) as picture:
        if kind_of(data) not in ("", PNG):
            text = read_texts(data, f"image {given}").get(STABLENEW, "")
            if stored := stored_image_sha256(text):
                return stored
        return pixel_sha256(picture)


def _decoded(data: bytes, given: str) -> Image:
    """The image ``given``. Raises UserError that names the file."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow's own words for a text file or a torn download differ from format to format.
        raise UserError(f"image {given}: not an image that can be read ({error})") from error
    return image
