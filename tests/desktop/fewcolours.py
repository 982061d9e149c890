"""Pictures of a window with few colours: those of the theme as they are, the rest as near as it gets."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import numpy.typing as npt
from PIL import Image

from stablenew_plugins.desktop.theme.tokens import DARK, LIGHT

COLOURS = 192
FREQUENT = 56
"""As many of the colours that fill most are kept to the bit."""
ROUNDS = 4
Array = npt.NDArray[np.int64]


def few_colours(image: Image.Image) -> Image.Image:
    """``image`` (RGB) with a palette of :data:`COLOURS`. The same each time."""
    pixels = np.asarray(image, dtype=np.int64)
    codes, inverse, counts = np.unique(
        pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2], return_inverse=True, return_counts=True
    )
    found = _parts(codes)
    kept = np.unique(np.concatenate([_theme(codes), codes[np.argsort(-counts, kind="stable")[:FREQUENT]]]))
    palette = _parts(kept)
    if len(codes) > len(palette):
        palette = np.concatenate([palette, _others(found, counts, palette)])
    nearest = _nearest(found, palette)[inverse.reshape(pixels.shape[:2])]
    small = Image.fromarray(nearest.astype(np.uint8), "P")
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small


def _theme(codes: Array) -> Array:
    """The colours of the themes that are to be seen in the picture."""
    tones = [getattr(palette, field.name) for palette in (DARK, LIGHT) for field in fields(palette)]
    named = [tone[0] << 16 | tone[1] << 8 | tone[2] for tone in tones if isinstance(tone, tuple)]
    return np.intersect1d(np.array(named), codes)


def _others(found: Array, counts: Array, kept: Array) -> Array:
    """Colours for what ``kept`` has none for. A small thing counts, too: by the root of its size."""
    weights = np.maximum(np.sqrt(counts).astype(np.int64), 1)
    line = Image.fromarray(np.repeat(found, weights, axis=0).astype(np.uint8)[None], "RGB")
    cut = line.quantize(COLOURS - len(kept), method=Image.Quantize.MEDIANCUT)
    centres = np.array(cut.getpalette(), dtype=np.int64).reshape(-1, 3)[: COLOURS - len(kept)]
    for _round in range(ROUNDS):
        belongs = _nearest(found, np.concatenate([kept, centres])) - len(kept)
        mine = belongs >= 0
        total = np.bincount(belongs[mine], weights[mine], len(centres))
        for channel in range(3):
            sums = np.bincount(belongs[mine], (weights * found[:, channel])[mine], len(centres))
            centres[:, channel] = np.where(total > 0, sums / np.maximum(total, 1) + 0.5, centres[:, channel])
    return centres


def _nearest(colours: Array, palette: Array) -> Array:
    """For each colour the place of the nearest in the palette."""
    distances = (palette**2).sum(axis=1) - 2 * colours @ palette.T
    nearest: Array = distances.argmin(axis=1)
    return nearest


def _parts(codes: Array) -> Array:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)
