"""Working on a picture tile by tile: where the tiles lie, and how they are put together without a seam.

Tiles overlap. Along the left and upper edge of a tile its weight rises from 0 to full across the overlap, so
that it fades into the tiles before it. A pass that changes nothing leaves the picture as it is, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are not part of it."""


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Begin and end of the tiles along a side of ``length``: as few as will do, spread evenly, each of ``tile``
    pixels (or the whole side, if that is shorter), neighbours sharing at least ``overlap``.

    Raises ValueError unless 0 <= overlap < tile.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"an overlap of {overlap} pixels does not fit tiles of {tile}")
    if length <= tile:
        return [(0, length)]
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [index * (length - tile) // (count - 1) for index in range(count)]
    return [(start, start + tile) for start in starts]


def boxes(size: tuple[int, int], tile: int, overlap: int) -> list[Box]:
    """Tiles of a picture of ``size``, row by row."""
    return [
        (left, top, right, bottom)
        for top, bottom in spans(size[1], tile, overlap)
        for left, right in spans(size[0], tile, overlap)
    ]


def _rise(length: int, shared: int) -> Image:
    """One row, mode L: from nearly 0 to 255 over ``shared`` pixels, then 255."""
    from PIL import Image as Images

    row = bytes(min(255, (2 * at + 1) * 255 // (2 * shared)) if at < shared else 255 for at in range(length))
    return Images.frombytes("L", (length, 1), row)


def _weights(size: tuple[int, int], shared: tuple[int, int]) -> Image:
    from PIL import Image as Images
    from PIL import ImageChops

    across = _rise(size[0], shared[0]).resize(size, Images.Resampling.NEAREST)
    down = _rise(size[1], shared[1]).transpose(Images.Transpose.ROTATE_270)
    return ImageChops.darker(across, down.resize(size, Images.Resampling.NEAREST))


def mosaic(
    image: Image, tile: int, overlap: int, scale: int, work: Callable[[Image, int, int], Image]
) -> Image:
    """The picture ``scale`` times as large, made of ``work(part, index, count)`` of each tile.

    ``work`` returns RGB of ``scale`` times the part's size; anything else raises ValueError.
    """
    from PIL import Image as Images

    found = boxes(image.size, tile, overlap)
    result = Images.new("RGB", (image.width * scale, image.height * scale))
    lefts = [left for left, _ in spans(image.width, tile, overlap)]
    tops = [top for top, _ in spans(image.height, tile, overlap)]
    for index, (left, top, right, bottom) in enumerate(found):
        made = work(image.crop((left, top, right, bottom)), index, len(found))
        size = ((right - left) * scale, (bottom - top) * scale)
        if made.size != size:
            raise ValueError(
                f"a tile of {size[0]} x {size[1]} pixels came back as {made.width} x {made.height}"
            )
        shared = tuple(
            (starts[at - 1] + min(tile, side) - starts[at]) * scale if (at := starts.index(start)) else 0
            for starts, start, side in ((lefts, left, image.width), (tops, top, image.height))
        )
        result.paste(made.convert("RGB"), (left * scale, top * scale), _weights(size, (shared[0], shared[1])))
    return result


def padded(image: Image, step: int) -> Image:
    """``image`` with its last column and row repeated until both sides are multiples of ``step``; itself, if
    they are."""
    from PIL import Image as Images

    width, height = (-(-side // step) * step for side in image.size)
    if (width, height) == image.size:
        return image
    larger = Images.new(image.mode, (width, height))
    larger.paste(image, (0, 0))
    if width > image.width:
        edge = image.crop((image.width - 1, 0, image.width, image.height))
        larger.paste(
            edge.resize((width - image.width, image.height), Images.Resampling.NEAREST), (image.width, 0)
        )
    if height > image.height:
        edge = larger.crop((0, image.height - 1, width, image.height))
        larger.paste(edge.resize((width, height - image.height), Images.Resampling.NEAREST), (0, image.height))
    return larger
