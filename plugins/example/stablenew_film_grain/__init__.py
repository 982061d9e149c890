"""Film grain for StableNew: a stage that lays deterministic grain over finished images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from stablenew_api import hookimpl
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Integers: TypeAlias = NDArray[np.int64]

STABLENEW_API = (1, 0)
"""The plugin API that this plugin was written for; checked before anything else is called."""

__version__ = "1.0.0"

ROWS_AT_ONCE = 32
"""Rows between two looks at the cancel token: some 10 ms of work in an image 4,000 pixels wide."""


class FilmGrainConfig(StageConfig):
    """What a person can set."""

    strength: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Strength",
        description="How strong the grain is. 0 leaves the image as it is; 0.25 looks like fast film.",
    )
    size: int = Field(
        2,
        ge=1,
        le=8,
        title="Grain size",
        description="Size of a grain, in pixels. Larger images need larger grains to look the same.",
    )
    monochrome: bool = Field(
        True,
        title="Monochrome",
        description="Grain changes brightness only, as on black-and-white film. Off gives each colour its own.",
    )


class FilmGrain(Stage):
    """Adds grain, strongest in the mid-tones. The same seed and config give the same pixels on any platform."""

    name, version, title = "film_grain", __version__, "Film grain"
    Config = FilmGrainConfig
    phase = Phase.POST

    def run(
        self, ctx: StageContext, config: FilmGrainConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image with grain, in RGB; an alpha channel stays as it is."""
        ctx.cancel.raise_if_cancelled()
        bands = sum(len(_bands(item.image.height)) for item in images)
        done = 0
        results = []
        for index, item in enumerate(images):
            grained = item.image.convert("RGB")
            for top, band in _grained_bands(grained.copy(), config, (ctx.seed, index)):
                grained.paste(band, (0, top))
                done += 1
                ctx.progress(done, bands)
                ctx.cancel.raise_if_cancelled()
            if "A" in item.image.getbands():
                grained.putalpha(item.image.getchannel("A"))
            info = {"Film grain strength": config.strength, "Film grain size": config.size}
            results.append(StageImage(grained, {**item.info, **info}))
        return results


@hookimpl
def stablenew_stages() -> list[type[Stage]]:
    """The one stage of this plugin."""
    return [FilmGrain]


def _bands(height: int) -> list[tuple[int, int]]:
    """(first row, rows) of each band of an image."""
    return [(top, min(ROWS_AT_ONCE, height - top)) for top in range(0, height, ROWS_AT_ONCE)]


def _grained_bands(image: Image, config: FilmGrainConfig, seed: tuple[int, int]) -> Iterator[tuple[int, Image]]:
    """The bands of an RGB ``image`` with grain, each with its first row."""
    # Heavy imports wait until a job needs them: the kernel loads this module too, only to read the Config.
    import numpy as np
    from PIL import Image as Images

    strength = round(config.strength * 1000)
    grain = _Grain(seed, image.width, 1 if config.monochrome else 3, config.size)
    for top, rows in _bands(image.height):
        pixels = np.asarray(image.crop((0, top, image.width, top + rows))).astype(np.int64)
        # Rec. 601 luma in thousandths, then a parabola: 255 in the mid-tones, 0 in black and white. A quarter
        # of the grain is everywhere, so that skies and shadows do not look like plastic.
        luma = (pixels @ np.array([299, 587, 114])) // 1000
        weight = 64 + 191 * (4 * luma * (255 - luma)) // (255 * 255)
        noise = grain.rows(rows) * weight[:, :, None] * strength
        # At strength 1 a mid-tone varies by 74 of 255 (standard deviation): half of the noise's own 148.
        scale = 2 * 255 * 1000
        noisy = pixels + (noise + scale // 2) // scale
        yield top, Images.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


class _Grain:
    """A field of noise, drawn from the top down, a band at a time.

    PCG64's raw output is the part of NumPy's random module that is promised never to change (NEP 19), unlike
    ``normal()`` and its like, and integer arithmetic is the same on every processor.
    """

    def __init__(self, seed: tuple[int, int], width: int, channels: int, size: int) -> None:
        import numpy as np

        self._generator = np.random.PCG64(seed)
        self._width, self._channels, self._size = width, channels, size
        self._above: Integers = self._white(size - 1)

    def rows(self, count: int) -> Integers:
        """The next ``count`` rows, shape (count, width, channels): mean 0, standard deviation 148."""
        import numpy as np

        white = np.concatenate([self._above, self._white(count)])
        self._above = white[len(white) - (self._size - 1) :]
        # A grain is the sum over a square: it varies by `size` times as much as one sample, hence the division.
        summed = _sums(_sums(white, self._size, axis=0), self._size, axis=1)
        return (summed + self._size // 2) // self._size

    def _white(self, count: int) -> Integers:
        """``count`` rows of independent samples: each the sum of four random bytes, nearly a bell curve."""
        import numpy as np

        samples = (self._width + self._size - 1) * self._channels
        words = (samples + 1) // 2  # a 64-bit word makes two samples; a row takes whole words
        raw = np.asarray(self._generator.random_raw(count * words), dtype="<u8")
        four = raw.view(np.uint8).reshape(count, 2 * words, 4).astype(np.int64)
        white: Integers = four.sum(axis=2)[:, :samples] - 510
        return white.reshape(count, self._width + self._size - 1, self._channels)


def _sums(values: Integers, size: int, axis: int) -> Integers:
    """Sums of ``size`` neighbours along ``axis``, which gets ``size - 1`` shorter."""
    import numpy as np

    total = np.cumsum(np.insert(values, 0, 0, axis=axis), axis=axis)
    ends = np.arange(size, total.shape[axis])
    sums: Integers = np.take(total, ends, axis=axis) - np.take(total, ends - size, axis=axis)
    return sums
