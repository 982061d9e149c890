"""An image for tests."""

from __future__ import annotations

from PIL import Image


def sample_image(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A small image in which no two rows and no two columns are alike, the same on every platform."""
    pixels = bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x * 7 + y * 13) % 256)
    )
    return Image.frombytes("RGB", (width, height), pixels).convert(mode)
