"""Geometry of the detailer: which finds count, their masks, the part of the picture that is drawn anew, and how
it is put back. Boxes and pixels only; no backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.detectors import Find

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.backend import DetailUnit

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are not part of it."""

STEP = 8
"""Sides of a sampled picture are multiples of this many pixels."""
USUAL, LARGEST = 512, 1024
"""Pixels of the longer side at which a find is drawn, where nothing says how many: as the picture's shorter
side, but within these."""


def ordered(finds: Sequence[Find], unit: DetailUnit, size: tuple[int, int]) -> list[Find]:
    """The finds that count, left to right: those of a fitting area, and of these only the largest so many."""
    whole = size[0] * size[1]
    fitting = [find for find in finds if unit.min_ratio <= find.area / whole <= unit.max_ratio]
    if unit.max_finds:
        fitting = sorted(fitting, key=lambda find: (-find.area, find.left, find.top))[: unit.max_finds]
    return sorted(fitting, key=lambda find: (find.left, find.top, find.right, find.bottom))


def grown(find: Find, pixels: int, size: tuple[int, int]) -> Box | None:
    """The find's box, larger by ``pixels`` on each side (smaller, if negative) and within the picture; None:
    nothing is left of it."""
    left, top = max(0, find.left - pixels), max(0, find.top - pixels)
    right, bottom = min(size[0], find.right + pixels), min(size[1], find.bottom + pixels)
    return (left, top, right, bottom) if right > left and bottom > top else None


@dataclass(frozen=True, slots=True)
class Patch:
    """What is drawn anew for one find."""

    crop: Box
    """The part of the picture that is drawn."""
    size: tuple[int, int]
    """Width and height at which it is drawn."""
    mask: Image
    """Mode L, of the picture's size: how much of each pixel is replaced."""


def patch(box: Box, unit: DetailUnit, size: tuple[int, int], working_size: int) -> Patch:
    """The patch of a find whose grown box is ``box``, in a picture of ``size``."""
    from PIL import Image as Images
    from PIL import ImageFilter

    mask = Images.new("L", size, 0)
    mask.paste(255, box)
    if unit.mask_blur:
        mask = mask.filter(ImageFilter.GaussianBlur(unit.mask_blur))
    if not unit.only_masked:
        return Patch((0, 0, *size), size, mask)
    seen = mask.getbbox() or box
    crop = (
        max(0, seen[0] - unit.padding),
        max(0, seen[1] - unit.padding),
        min(size[0], seen[2] + unit.padding),
        min(size[1], seen[3] + unit.padding),
    )
    longest = working_size or min(LARGEST, max(USUAL, min(size)))
    wide, high = crop[2] - crop[0], crop[3] - crop[1]
    scale = longest / max(wide, high)
    return Patch(crop, (_side(wide * scale), _side(high * scale)), mask)


def _side(pixels: float) -> int:
    return max(STEP * 8, round(pixels / STEP) * STEP)


def cut(image: Image, patch: Patch) -> tuple[Image, Image]:
    """The part to draw and its mask, both at the patch's size. The mask has no grey: what mixes is mixed once,
    when it is put back."""
    from PIL import Image as Images

    part = image.crop(patch.crop)
    mask = patch.mask.crop(patch.crop).point([0] + [255] * 255)
    if part.size != patch.size:
        part = part.resize(patch.size, Images.Resampling.LANCZOS)
        mask = mask.resize(patch.size, Images.Resampling.NEAREST)
    return part, mask


def put_back(image: Image, drawn: Image, patch: Patch) -> Image:
    """``image`` with the patch drawn anew. Pixels whose mask is black stay as they are, to the bit."""
    from PIL import Image as Images

    wide, high = patch.crop[2] - patch.crop[0], patch.crop[3] - patch.crop[1]
    drawn = drawn.convert("RGB")
    if drawn.size != (wide, high):
        drawn = drawn.resize((wide, high), Images.Resampling.LANCZOS)
    result = image.copy()
    result.paste(drawn, patch.crop, patch.mask.crop(patch.crop))
    return result
