"""Final images and previews as bytes.

A final image is a PNG with fixed settings (:data:`COMPRESS_LEVEL`, no text, no ICC profile, no time), so that
with one build of Pillow equal pixels give equal bytes, whichever node made them. Changing a setting changes the
sha256 of every image made from then on; the identity that must not change is ``pixel_sha256``. Metadata is the
kernel's to add when it saves the image.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

COMPRESS_LEVEL = 1
"""zlib level: 6 (the usual) takes two to three times as long on a photograph, for a file a seventh smaller, and
the GPU waits meanwhile. Part of the bytes' identity."""

PREVIEW_PIXELS = 256
"""Longer side of a preview."""

PREVIEW_BYTES = 64 * 1024
"""Most bytes of a preview."""

_PNG_MODES = frozenset({"1", "L", "LA", "I;16", "P", "RGB", "RGBA"})


def png_ready(image: Image) -> Image:
    """``image`` in a mode that a PNG keeps as it is; what PNG cannot hold (CMYK, HSV, float) becomes RGB."""
    return image if image.mode in _PNG_MODES else image.convert("RGB")


def png(image: Image) -> bytes:
    """The image as PNG. ``image`` comes from :func:`png_ready`."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=COMPRESS_LEVEL, icc_profile=None)
    return out.getvalue()


def preview_jpeg(image: Image) -> bytes:
    """A small JPEG of ``image``: at most :data:`PREVIEW_PIXELS` a side and :data:`PREVIEW_BYTES`."""
    small = image.copy()
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    small = small.convert("RGB")
    for quality in (75, 40, 10):
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality)
        if out.tell() <= PREVIEW_BYTES:
            break
    return out.getvalue()
