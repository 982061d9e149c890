"""Resizing in integers: the same on every platform, and in chunks that a cancel can come between."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS = 14
"""Weights are integers of 1/2**14, rounded so that each pixel's add up to exactly 1."""
_CHUNK_PIXELS = 131_072


def _weights(source: int, target: int, lobes: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """For each target position: indices into the source and their integer weights (Lanczos with ``lobes``
    lobes; widened when it shrinks, so that nothing aliases)."""
    scale = source / target
    stretch = max(1.0, scale)
    reach = lobes * stretch
    taps = math.ceil(reach) * 2 + 1
    indices = np.empty((target, taps), np.intp)
    weights = np.empty((target, taps), np.int32)
    cache: dict[float, list[int]] = {}
    for position in range(target):
        centre = (position + 0.5) * scale - 0.5
        start = math.floor(centre) - taps // 2
        phase = round(centre - math.floor(centre), 9)
        if phase not in cache:
            row = []
            for tap in range(taps):
                x = (tap - taps // 2 - phase) / stretch
                if abs(x) < 1e-9:
                    row.append(1.0)
                elif abs(x) >= lobes:
                    row.append(0.0)
                else:
                    y = math.pi * x
                    row.append(lobes * math.sin(y) * math.sin(y / lobes) / (y * y))
            total = math.fsum(row)
            whole = [round(weight / total * (1 << _BITS)) for weight in row]
            whole[whole.index(max(whole))] += (1 << _BITS) - sum(whole)
            cache[phase] = whole
        indices[position] = np.clip(np.arange(start, start + taps), 0, source - 1)
        weights[position] = cache[phase]
    return indices, weights


class Resampling:
    """``image`` (RGB) at another size, by an upscaler of :data:`~.tables.UPSCALERS`."""

    def __init__(self, image: Image, width: int, height: int, upscaler: str) -> None:
        self._source = np.asarray(image, np.uint8)
        self._width, self._height, self._upscaler = width, height, upscaler
        self._pixels = np.empty((height, width, 3), np.uint8)
        rows = max(4, _CHUNK_PIXELS // width)
        self._bands = [(top, min(height, top + rows)) for top in range(0, height, rows)]
        self.chunks = len(self._bands)
        """Items that :meth:`work` yields."""

    def work(self) -> Iterator[None]:
        """Resize, yielding after each chunk."""
        source_height, source_width, _ = self._source.shape
        if self._upscaler == "Nearest":
            columns = np.arange(self._width) * source_width // self._width
            for top, bottom in self._bands:
                rows = np.arange(top, bottom) * source_height // self._height
                self._pixels[top:bottom] = self._source[rows][:, columns]
                yield
            return
        across = _weights(source_width, self._width, 3)
        down = _weights(source_height, self._height, 3)
        sharpen = self._upscaler == "Embedded 4x"
        for top, bottom in self._bands:
            if sharpen:
                # One row more on each side, so that bands meet without a seam.
                first, last = max(0, top - 1), min(self._height, bottom + 1)
                block = self._lanczos(across, down, first, last)
                self._pixels[top:bottom] = _sharpen(block)[top - first : top - first + bottom - top]
            else:
                self._pixels[top:bottom] = self._lanczos(across, down, top, bottom)
            yield

    def _lanczos(
        self,
        across: tuple[NDArray[np.intp], NDArray[np.int32]],
        down: tuple[NDArray[np.intp], NDArray[np.int32]],
        top: int,
        bottom: int,
    ) -> NDArray[np.uint8]:
        rows, row_weights = down[0][top:bottom], down[1][top:bottom]
        low, high = int(rows.min()), int(rows.max()) + 1
        strip = self._source[low:high].astype(np.int32)
        columns, column_weights = across
        wide = np.zeros((high - low, self._width, 3), np.int32)
        for tap in range(columns.shape[1]):
            wide += strip[:, columns[:, tap]] * column_weights[:, tap][None, :, None]
        # Two spare bits are kept between the passes; 255 * 4 * 1.5 * 2**14 still fits 32 bits.
        wide = (wide + (1 << (_BITS - 3))) >> (_BITS - 2)
        tall = np.zeros((bottom - top, self._width, 3), np.int32)
        for tap in range(rows.shape[1]):
            tall += wide[rows[:, tap] - low] * row_weights[:, tap][:, None, None]
        tall = (tall + (1 << (_BITS + 1))) >> (_BITS + 2)
        return np.clip(tall, 0, 255).astype(np.uint8)

    def result(self) -> Image:
        """The image, RGB. Only once :meth:`work` is exhausted."""
        from PIL import Image as Images

        return Images.fromarray(self._pixels)


def _sharpen(block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Unsharp mask in integers where there is an edge, nothing where there is none; no value leaves the range
    of its neighbours by more than 8, so edges get no halo."""
    centre = block.astype(np.int32)
    padded = np.pad(centre, ((1, 1), (1, 1), (0, 0)), mode="edge")
    up, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    lowest = np.minimum(np.minimum(up, below), np.minimum(left, right))
    highest = np.maximum(np.maximum(up, below), np.maximum(left, right))
    contrast = highest - lowest
    gain = np.clip(contrast - 4, 0, 32)
    detail = centre * 4 - up - below - left - right
    sharp = centre + ((detail * gain) >> 5)
    return np.asarray(np.clip(np.clip(sharp, lowest - 8, highest + 8), 0, 255), np.uint8)
