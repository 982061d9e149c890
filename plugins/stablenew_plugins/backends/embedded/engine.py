"""A drawing from start to end: the scene is painted, then the settings are applied, in bands that a cancel can
come between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stablenew_plugins.backends.embedded import landscape, studio
from stablenew_plugins.backends.embedded.field import Canvas, Dice, F, LeaningDice, Plane, Rgb
from stablenew_plugins.backends.embedded.finish import Finish
from stablenew_plugins.backends.embedded.layers import Layer
from stablenew_plugins.backends.embedded.prompt import Prompt
from stablenew_plugins.backends.embedded.scene import Scene, read_scene

if TYPE_CHECKING:
    from PIL.Image import Image

BAND_PIXELS = 49_152
"""Of a band: small enough for the processor's cache and for a quick cancel, large enough for numpy."""
PREVIEW_SIDE = 192
"""Longer side of a preview, in pixels."""

_COMPOSE: dict[str, Callable[[Canvas, Scene, Dice], tuple[list[Layer], int]]] = {
    "mountains": landscape.mountains,
    "lake": landscape.mountains,
    "ocean": landscape.ocean,
    "forest": landscape.forest,
    "desert": landscape.desert,
    "city": landscape.city,
    "space": studio.space,
    "flower": studio.flower,
    "portrait": studio.portrait,
    "abstract": studio.abstract,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides the pixels. Names are known ones (see :mod:`~.tables`)."""

    prompt: Prompt
    negative: Prompt
    seed: int
    width: int
    height: int
    steps: int
    cfg_scale: float
    sampler: str
    scheduler: str
    model: str
    vae: str
    clip_skip: int
    strength: float
    """Denoising strength; 1 without an input image."""
    subseed: int = 0
    subseed_strength: float = 0.0
    refiner: str = ""
    """Checkpoint that takes over; empty: none."""
    refiner_share: float = 0.0
    """0 to 1, the part of the steps that it makes."""
    part: bool = False
    """The input is a part of a picture (a find, a tile): a whole new scene has no place in it."""

    def dice(self, label: str) -> Dice:
        """Random numbers for ``label``: of the seed, or on the way to the variation seed."""
        if self.subseed_strength <= 0:
            return Dice(self.seed, label)
        if self.subseed_strength >= 1:
            return Dice(self.subseed, label)
        return LeaningDice(self.seed, label, self.subseed, self.subseed_strength)


def _bands(canvas: Canvas, split: int = 0) -> list[tuple[int, int]]:
    """Rows of the bands, with a border at row ``split``: water there mirrors what must be done by then."""
    rows = max(8, BAND_PIXELS // canvas.width)
    found, top = [], 0
    while top < canvas.height:
        bottom = min(canvas.height, top + rows)
        if top < split < bottom:
            bottom = split
        found.append((top, bottom))
        top = bottom
    return found


class Drawing:
    """One picture in the making: exhaust :meth:`work`, then take the :meth:`result`.

    ``image`` (RGB, of the settings' size) is what img2img draws over; ``mask`` (L, the same size) says where.
    """

    def __init__(self, settings: Settings, image: Image | None = None, mask: Image | None = None) -> None:
        self._settings = settings
        self._canvas = Canvas(settings.width, settings.height)
        self._scene = read_scene(settings.prompt, settings.negative)
        self._layers, split = self._compose(self._canvas)
        self._input = None if image is None else np.asarray(image, np.uint8)
        self._mask = None if mask is None else np.asarray(mask, np.uint8).astype(np.int32)[:, :, None]
        self._picture: Rgb = np.zeros((3, settings.height, settings.width), F)
        self._pixels = np.empty((settings.height, settings.width, 3), np.uint8)
        self._painting = _bands(self._canvas, split)
        self._finishing = _bands(self._canvas)
        self.chunks = len(self._painting) + len(self._finishing)
        """Items that :meth:`work` yields; each takes some 10 ms."""
        self._thumbnail: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = None

    def _compose(self, canvas: Canvas) -> tuple[list[Layer], int]:
        return _COMPOSE[self._scene.subject](canvas, self._scene, self._settings.dice("scene"))

    def work(self) -> Iterator[None]:
        """Draw, yielding after each chunk."""
        if self._settings.strength == 0 and self._input is not None:
            # Nothing is to be drawn anew: the input, to the bit.
            self._pixels = self._input.copy()
            for _ in range(self.chunks):
                yield
            return
        share = min(1.0, max(0.0, 2 * self._settings.strength - 1)) if self._settings.part else 1.0
        for top, bottom in self._painting:
            for layer in self._layers if share else ():
                layer(self._picture[:, top:bottom], top, self._picture)
            yield
        if share < 1 and self._input is not None:
            self._paint_over(self._input, share)
        finish = Finish(self._canvas, self._settings, self._scene, self._picture)
        refined = self._refined()
        for top, bottom in self._finishing:
            original = None if self._input is None else self._input[top:bottom]
            band = finish.band(top, bottom, original)
            if refined is not None:
                # In whole 256ths, as all that is mixed after the last rounding.
                weight = round(self._settings.refiner_share * 256)
                other = refined.band(top, bottom, original).astype(np.int32)
                band = ((band * np.int32(256 - weight) + other * weight + 128) >> 8).astype(np.uint8)
            if self._mask is not None and original is not None:
                part = self._mask[top:bottom]
                band = ((original * (255 - part) + band * part + 127) // 255).astype(np.uint8)
            self._pixels[top:bottom] = band
            yield

    def _refined(self) -> Finish | None:
        """The finish that the refiner gives the same scene."""
        settings = self._settings
        if not settings.refiner or settings.refiner_share <= 0:
            return None
        return Finish(self._canvas, replace(settings, model=settings.refiner), self._scene, self._picture)

    def _paint_over(self, original: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], share: float) -> None:
        """In a part of a picture, strengths up to a half draw what is there, crisper; only higher ones
        (``share``, 0 to 1) something new: a new scene in the place of a face would be no detail of it."""
        for channel in range(3):
            plane = original[:, :, channel].astype(F) * F(1 / 255)
            padded = np.pad(plane, 2, mode="edge")
            around = padded[:-4, 2:-2] + padded[4:, 2:-2]
            around += padded[2:-2, :-4]
            around += padded[2:-2, 4:]
            crisp = np.clip(plane + (plane - around * F(0.25)) * F(1.1), F(0), F(1))
            self._picture[channel] = crisp + (self._picture[channel] - crisp) * F(share)

    def result(self) -> Image:
        """The picture, RGB. Only once :meth:`work` is exhausted."""
        from PIL import Image as Images

        return Images.fromarray(self._pixels)

    def preview(self, step: int) -> Image:
        """The picture as it stands after ``step`` steps: out of noise and blur it becomes clear. A few
        milliseconds for the first one, less than one for the others. Not the last step's exact pixels."""
        from PIL import Image as Images

        if self._thumbnail is None:
            self._thumbnail = self._draw_small()
        rest = 1.0 - step / self._settings.steps
        if rest <= 0:
            return Images.fromarray(self._thumbnail)
        height, width, _ = self._thumbnail.shape
        coarse = 1
        while coarse < 12 * rest:
            coarse *= 2
        clear: Plane = self._thumbnail.astype(F)
        if coarse > 1:
            blocks = clear[coarse // 2 :: coarse, coarse // 2 :: coarse]
            rows = np.minimum(np.arange(height) // coarse, blocks.shape[0] - 1)
            columns = np.minimum(np.arange(width) // coarse, blocks.shape[1] - 1)
            blurred = blocks[rows][:, columns]
            clear = clear + (blurred - clear) * F(min(1.0, rest * 1.3))
        dice = Dice(self._settings.seed, f"preview {step}")
        small = dice.many((height + 3) // 4, (width + 3) // 4, 3)
        noise = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)[:height, :width] * F(255)
        mixed = clear + (noise - clear) * F(0.75 * rest * rest)
        return Images.fromarray(np.clip(mixed, F(0), F(255)).astype(np.uint8))

    def _draw_small(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        longest = max(self._settings.width, self._settings.height)
        shrink = min(1.0, PREVIEW_SIDE / longest)
        width = max(1, round(self._settings.width * shrink))
        height = max(1, round(self._settings.height * shrink))
        canvas = Canvas(width, height, like=self._canvas)
        layers, split = self._compose(canvas)
        picture: Rgb = np.zeros((3, height, width), F)
        for top, bottom in _bands(canvas, split):
            for layer in layers:
                layer(picture[:, top:bottom], top, picture)
        finish = Finish(canvas, self._settings, self._scene, picture)
        original = None
        if self._input is not None:
            rows = np.arange(height) * self._settings.height // height
            columns = np.arange(width) * self._settings.width // width
            original = self._input[rows][:, columns]
        return finish.band(0, height, original)
