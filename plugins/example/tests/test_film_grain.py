"""Tests of the plugin: what the contract asks of any stage, then what this one promises."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from PIL import Image, ImageStat

import stablenew_film_grain
from stablenew_api.errors import Cancelled
from stablenew_api.images import pixel_sha256
from stablenew_api.stage import StageImage
from stablenew_api.testing import FakeStageContext, ManualCancel, check_stage, host_of, sample_image
from stablenew_film_grain import ROWS_AT_ONCE, FilmGrain, FilmGrainConfig


def grained(image: Image.Image, seed: int = 7, **settings: object) -> Image.Image:
    results = FilmGrain().run(
        FakeStageContext(seed=seed), FilmGrainConfig.model_validate(settings), [StageImage(image)]
    )
    return results[0].image


def spread(image: Image.Image) -> Sequence[float]:
    return ImageStat.Stat(image).stddev


@pytest.mark.parametrize(
    "settings", [{}, {"strength": 0}, {"strength": 1, "size": 8}, {"monochrome": False, "size": 1}]
)
def test_keeps_the_contract_of_a_stage(settings: dict[str, object]) -> None:
    check_stage(FilmGrain, config=settings)


def test_loads_as_a_plugin() -> None:
    host = host_of(stablenew_film_grain)
    (plugin,) = host.plugins
    assert (plugin.state, plugin.reason) == ("active", "")
    assert plugin.provides == ("stage film_grain 1.0.0",)
    assert host.stage("film_grain") is FilmGrain


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({}, "42b0d896044057c2727d327bcb10eb4f5867fad3b9eae684c5de0f926730a978"),
        (
            {"strength": 1, "size": 5, "monochrome": False},
            "a191cb5f444dd785da9dac8dffe614de9f4b77f56cd3bdea0f0bb51d1c7527e5",
        ),
    ],
)
def test_pixels_are_these_on_every_platform(settings: dict[str, object], digest: str) -> None:
    # A change here changes the images that people make again from their seeds: raise the version with it.
    assert pixel_sha256(grained(sample_image(), seed=2**64 - 1, **settings)) == digest


def test_strength_zero_changes_nothing() -> None:
    image = sample_image()
    assert pixel_sha256(grained(image, strength=0)) == pixel_sha256(image)


def test_seed_and_place_in_the_batch_change_the_grain() -> None:
    image = sample_image()
    context = FakeStageContext(seed=7)
    batch = FilmGrain().run(context, FilmGrainConfig(), [StageImage(image), StageImage(image)])
    digests = {pixel_sha256(item.image) for item in batch} | {pixel_sha256(grained(image, seed=8))}
    assert len(digests) == 3


def test_stronger_is_rougher_and_mid_tones_get_most() -> None:
    grey, black = Image.new("RGB", (64, 64), (128, 128, 128)), Image.new("RGB", (64, 64))
    weak, strong = spread(grained(grey, strength=0.1))[0], spread(grained(grey, strength=0.5))[0]
    assert 3 < weak < 12
    assert 25 < strong < 50
    assert spread(grained(black, strength=0.5))[0] < strong / 2


def test_grains_have_the_size_asked_for() -> None:
    """The larger the grain, the more of it is left when the image is made smaller."""
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    left = [spread(grained(grey, size=size).resize((32, 32), Image.Resampling.BOX))[0] for size in (1, 2, 4, 8)]
    assert left == sorted(left)
    assert left[-1] > 3 * left[0]


def test_monochrome_grain_has_no_colour() -> None:
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    red, green, blue = grained(grey).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()
    red, green, _ = grained(grey, monochrome=False).split()
    assert red.tobytes() != green.tobytes()


def test_bands_leave_no_seam() -> None:
    """A tall image's grain begins as a short one's: bands continue each other."""
    tall = Image.new("RGB", (16, 3 * ROWS_AT_ONCE + 5), (128, 128, 128))
    short = tall.crop((0, 0, 16, ROWS_AT_ONCE + 1))
    for size in (1, 3):
        top = grained(tall, size=size).crop((0, 0, *short.size))
        assert top.tobytes() == grained(short, size=size).tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK"])
def test_takes_any_mode_and_keeps_alpha(mode: str) -> None:
    image = sample_image().convert("RGBA")
    image.putalpha(sample_image().convert("L"))
    image = image.convert(mode)
    result = grained(image)
    assert result.size == image.size
    if "A" in image.getbands():
        assert result.mode == "RGBA"
        assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    else:
        assert result.mode == "RGB"
    result.save(io.BytesIO(), "PNG")


def test_says_what_it_did_and_keeps_what_was_said() -> None:
    given = StageImage(sample_image(), {"Seed": 7})
    (result,) = FilmGrain().run(FakeStageContext(), FilmGrainConfig(strength=0.5), [given])
    assert result.info == {"Seed": 7, "Film grain strength": 0.5, "Film grain size": 2}


def test_reports_progress_and_stops_within_a_band() -> None:
    image = StageImage(Image.new("RGB", (8, 4 * ROWS_AT_ONCE)))
    context = FakeStageContext()
    FilmGrain().run(context, FilmGrainConfig(), [image])
    assert context.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    context = FakeStageContext(cancel=ManualCancel(after=3))  # looks: at the start, after bands 1 and 2
    with pytest.raises(Cancelled):
        FilmGrain().run(context, FilmGrainConfig(), [image])
    assert context.steps == [(1, 4), (2, 4)]
