"""Pictures to look at, from numbers: hills in the light of some hour."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SKIES = (
    ((36, 48, 92), (238, 140, 110)),
    ((70, 130, 190), (222, 232, 236)),
    ((26, 24, 64), (196, 82, 118)),
    ((44, 90, 110), (244, 208, 150)),
    ((88, 72, 130), (250, 186, 150)),
    ((16, 28, 58), (92, 140, 170)),
)
"""Above, and at the horizon."""


def picture(number: int, width: int, height: int, blur: float = 0.0) -> Image.Image:
    """The picture ``number``, the same each time. ``blur``: 0 to 1, as of one that is not finished."""
    rng = np.random.default_rng(number)
    top, horizon = (np.array(colour, float) for colour in SKIES[number % len(SKIES)])
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    blend = np.clip(down / 0.7, 0, 1)[..., None]
    pixels = top * (1 - blend) + horizon * blend
    x, y, size = rng.uniform(0.2, 0.8), rng.uniform(0.25, 0.5), rng.uniform(0.04, 0.09)
    distance = np.hypot((across - x) * width / height, down - y)
    glow = np.clip(1.6 - distance / size, 0, 1)[..., None] + 0.25 * np.exp(-distance / 0.25)[..., None]
    pixels = pixels + (np.array((255, 244, 214)) - pixels) * np.clip(glow, 0, 1)
    for layer in range(4):
        ridge = (
            0.5
            + 0.11 * layer
            + sum(
                rng.uniform(0.01, 0.05) * np.sin(across * wave + rng.uniform(0, 6.3)) for wave in (5, 9, 17, 41)
            )
        )
        shade = horizon * (0.62 - 0.15 * layer) + top * (0.25 - 0.04 * layer)
        edge = np.clip((down - ridge) * height, 0, 1)[..., None]
        pixels = pixels * (1 - edge) + shade * edge
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if blur:
        small = max(2, round(width * 0.12 * (1 - blur))), max(2, round(height * 0.12 * (1 - blur)))
        image = image.resize(small).resize((width, height), Image.Resampling.BICUBIC)
    return image


def jpeg(image: Image.Image) -> bytes:
    """``image`` as a file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
