"""What makes two images the same image."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def pixel_sha256(image: Image) -> str:
    """Identity of an image by what is to be seen: sha256 over mode, size and raw pixels.

    It survives a rename, a move, other metadata and another lossless file format. Palette images count as
    RGB or RGBA, so that an optimiser does not make a new image of an old one.
    """
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode("ascii"))
    digest.update(image.tobytes())
    return digest.hexdigest()
