"""Opening an image that a person named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_kernel.cli.reading import LARGEST_IMAGE, read_file

if TYPE_CHECKING:
    from PIL.Image import Image


def read_image(given: str) -> bytes:
    """The bytes of the file ``given``. Raises UserError that names it."""
    return read_file(f"image {given}", Path(given).expanduser(), LARGEST_IMAGE)


def open_image(given: str) -> Image:
    """The image ``given``, decoded. Raises UserError that names the file."""
    from PIL import Image

    data = read_image(given)
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow's own words for a text file or a torn download differ from format to format.
        raise UserError(f"image {given}: not an image that can be read ({error})") from error
    return image
