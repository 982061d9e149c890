"""Compares a picture with the one that was agreed on.

Two runs on one machine give the same bytes. Other versions of Mesa round corners and letters a little
otherwise, so small differences of all pixels pass, and large ones of few.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Tolerance:
    """How much of a picture may differ.

    ``mean``: of all differences, in levels (0-255). ``clearly``: the difference of a pixel, in levels, that
    anybody sees. ``share``: of pixels that may differ clearly (0-1).
    """

    mean: float = 0.5
    clearly: int = 32
    share: float = 0.001


STANDARD = Tolerance()


def differences(image: Image.Image, agreed: Image.Image, tolerance: Tolerance = STANDARD) -> str:
    """What is too different, in one line; empty if nothing is."""
    if image.size != agreed.size:
        return f"it is {image.width} x {image.height} px and should be {agreed.width} x {agreed.height}"
    levels = _levels(image, agreed)
    mean, share = float(levels.mean()), float((levels > tolerance.clearly).mean())
    said = []
    if mean > tolerance.mean:
        said.append(f"pixels differ by {mean:.2f} levels on average (at most {tolerance.mean:g})")
    if share > tolerance.share:
        said.append(f"{share:.2%} of the pixels differ clearly (at most {tolerance.share:.2%})")
    return "; ".join(said)


def compare(
    name: str,
    image: Image.Image,
    folder: Path,
    tolerance: Tolerance = STANDARD,
    *,
    update: bool = False,
    agreed: Path = FOLDER,
) -> None:
    """Raise AssertionError if ``image`` is not the one in ``golden/NAME.png``; what it is, and where it
    differs, is then in ``folder``. ``update`` writes it there instead."""
    path = agreed / f"{name}.png"
    image = image.convert("RGB")
    if update:
        agreed.mkdir(parents=True, exist_ok=True)
        image.save(path, optimize=True)
        return
    actual = folder / f"{name}-actual.png"
    if not path.exists():
        image.save(actual)
        raise AssertionError(f"there is no {path}; if {actual} is right: run with --update-golden")
    with Image.open(path) as file:
        expected = file.convert("RGB")
    said = differences(image, expected, tolerance)
    if not said:
        return
    image.save(actual)
    lines = [f"{name}: {said}", f"agreed on:  {path}", f"drawn now:  {actual}"]
    if image.size == expected.size:
        where = folder / f"{name}-diff.png"
        brighter = np.minimum(_levels(image, expected).astype(np.uint16) * 4, 255).astype(np.uint8)
        Image.fromarray(brighter).save(where)
        lines.append(f"difference: {where}")
    raise AssertionError("\n".join([*lines, "if it should be so now: --update-golden"]))


def _levels(image: Image.Image, agreed: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """By how much each pixel differs, in the channel that differs most."""
    one, other = (np.asarray(picture.convert("RGB"), dtype=np.int16) for picture in (image, agreed))
    levels: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.abs(one - other).max(axis=2).astype(np.uint8)
    return levels
