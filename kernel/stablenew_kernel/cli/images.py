"""Opening an image that a person named."""

from __future__ import annotations

from pathlib import Path

from stablenew_client.reading import LARGEST_IMAGE, read_file


def read_image(given: str) -> bytes:
    """The bytes of the file ``given``. Raises UserError that names it."""
    return read_file(f"image {given}", Path(given).expanduser(), LARGEST_IMAGE)


def image_sha256(given: str) -> str:
    """What the image ``given`` is known by: see :func:`stablenew_kernel.domain.toldimage.image_sha256`. Raises
    UserError that names the file."""
    from stablenew_kernel.domain.toldimage import image_sha256 as known_by

    return known_by(read_image(given), f"image {given}")
