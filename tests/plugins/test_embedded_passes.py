"""The embedded engine's second pass, refiner, variation seeds and masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat
from tests.hypothesis_kit import A_THIRD

from stablenew_api.backend import Hires, Img2ImgRequest, Progress, Refiner, Txt2ImgRequest
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, sample_image
from stablenew_plugins.backends.embedded import EmbeddedBackend, EmbeddedConfig
from stablenew_plugins.backends.embedded.field import Dice, LeaningDice
from stablenew_plugins.vram import sampling_bytes

SILENT = Progress()
PLAIN = Txt2ImgRequest("mountain lake at sunrise", "", 1, 20, 7.0, "DPM++ 2M", "Karras", width=128, height=96)
HIRES = Hires("Lanczos", 0.5, 1.5)


def draw(request: Txt2ImgRequest, **options: Any) -> Any:
    return EmbeddedBackend(EmbeddedConfig(**options)).txt2img(request, SILENT, ManualCancel())


def apart(one: Image.Image, two: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, two)).mean) / 3


class Steps(Progress):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        self.seen.append((step, steps))


# --- hires ---------------------------------------------------------------------------------------------------


def test_a_second_pass_is_larger_and_shows_the_same_place() -> None:
    one, two = draw(PLAIN), draw(replace(PLAIN, hires=HIRES))
    assert two.image.size == (192, 144)
    assert apart(one.image.resize((192, 144)), two.image) < 25
    assert two.peak_vram_bytes == sampling_bytes(192, 144)
    assert {key: two.info[key] for key in two.info if key.startswith("Hires")} == {
        "Hires upscale": 1.5,
        "Hires upscaler": "Lanczos",
    }
    assert (two.info["Size"], two.info["Denoising strength"]) == ("128x96", 0.5)
    assert list(two.info)[-1] == "StableNew stand-in"


def test_a_second_pass_at_strength_0_is_the_enlargement() -> None:
    two = draw(
        replace(PLAIN, hires=replace(HIRES, denoising_strength=0.0, upscaler="Latent (nearest)", scale=2.0))
    )
    assert pixel_sha256(two.image) == pixel_sha256(
        draw(PLAIN).image.resize((256, 192), Image.Resampling.NEAREST)
    )


def test_the_second_pass_has_settings_of_its_own() -> None:
    base = draw(replace(PLAIN, hires=HIRES))
    hires = replace(HIRES, steps=6, sampler="LCM", scheduler="Beta", model="embedded-neon", width=256)
    made = draw(replace(PLAIN, hires=hires))
    assert made.image.size == (256, 192)
    assert {key: made.info[key] for key in made.info if key.startswith("Hires")} == {
        "Hires resize": "256x0",
        "Hires steps": 6,
        "Hires upscaler": "Lanczos",
        "Hires sampler": "LCM",
        "Hires schedule type": "Beta",
        "Hires checkpoint": "embedded-neon",
    }
    assert (made.info["Model"], made.info["Sampler"]) == ("embedded-painter", "DPM++ 2M")
    other = draw(replace(PLAIN, hires=replace(HIRES, model="embedded-neon")))
    assert apart(base.image, other.image) > 8


def test_steps_of_both_passes_are_one_count() -> None:
    steps = Steps()
    request = replace(PLAIN, steps=4, hires=replace(HIRES, steps=3))
    EmbeddedBackend(EmbeddedConfig()).txt2img(request, steps, ManualCancel())
    assert steps.seen == [(step, 7) for step in range(1, 8)]
    with pytest.raises(StageFailure, match="failed at step 6"):
        draw(replace(request, extra={"fault": "fail@6"}))


def test_a_cancel_and_bad_names_in_the_second_pass() -> None:
    backend = EmbeddedBackend(EmbeddedConfig())
    token = ManualCancel()
    backend.txt2img(replace(PLAIN, hires=HIRES), SILENT, token)
    with pytest.raises(Cancelled):
        backend.txt2img(replace(PLAIN, hires=HIRES), SILENT, ManualCancel(after=token.looks - 3))
    for hires, words in (
        (replace(HIRES, upscaler="Latnt"), "no hires upscaler 'Latnt'; nearest: Latent"),
        (replace(HIRES, model="none"), "no model 'none'"),
        (replace(HIRES, scale=80.0), "cannot make 10240 x 7680"),
    ):
        with pytest.raises(StageFailure, match=words) as error:
            backend.txt2img(replace(PLAIN, hires=hires), SILENT, ManualCancel())
        assert error.value.kind is FailureKind.BAD_INPUT
    with pytest.raises(StageFailure, match="out of memory: 192 x 144"):
        draw(replace(PLAIN, hires=HIRES), vram_total_bytes=sampling_bytes(128, 96))


# --- refiner -------------------------------------------------------------------------------------------------


def test_the_refiner_takes_over_the_more_the_earlier() -> None:
    painter = draw(PLAIN).image
    ink = draw(replace(PLAIN, model="embedded-ink")).image
    seen = []
    for switch in (1.0, 0.8, 0.4, 0.0):
        made = draw(replace(PLAIN, refiner=Refiner("embedded-ink", switch)))
        seen.append(apart(painter, made.image))
        assert (made.info["Refiner"], made.info["Refiner switch at"]) == ("embedded-ink", switch)
    assert seen[0] == 0
    assert seen == sorted(set(seen))
    assert apart(ink, made.image) == 0
    with pytest.raises(StageFailure, match="no model 'inky'"):
        draw(replace(PLAIN, refiner=Refiner("inky", 0.5)))


def test_with_hires_the_refiner_finishes_the_second_pass() -> None:
    hires = replace(HIRES, denoising_strength=1.0)
    made = draw(replace(PLAIN, hires=hires, refiner=Refiner("embedded-ink", 0.0)))
    assert made.info["Refiner"] == "embedded-ink"
    assert apart(made.image, draw(replace(PLAIN, hires=hires)).image) > 5


# --- variation -----------------------------------------------------------------------------------------------


def test_a_variation_lies_between_the_two_seeds() -> None:
    one, two = draw(PLAIN).image, draw(replace(PLAIN, seed=77)).image
    all_the_way = draw(replace(PLAIN, subseed=77, subseed_strength=1.0))
    assert apart(all_the_way.image, two) == 0
    assert (all_the_way.info["Variation seed"], all_the_way.info["Variation seed strength"]) == (77, 1)
    near = draw(replace(PLAIN, subseed=77, subseed_strength=0.1)).image
    assert 0 < apart(one, near) < apart(one, two)
    assert draw(replace(PLAIN, subseed=77)).image.tobytes() == one.tobytes(), "no strength, no variation"


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0.01, 0.99))
@A_THIRD
def test_leaning_dice_stay_between(seed: int, other: int, lean: float) -> None:
    one, two, both = Dice(seed, "x"), Dice(other, "x"), LeaningDice(seed, "x", other, lean)
    for _ in range(3):
        low, high = sorted((one.real(2, 3), two.real(2, 3)))
        assert low - 1e-9 <= both.real(2, 3) <= high + 1e-9
        assert both.whole(0, 9) in (one.whole(0, 9), two.whole(0, 9))
    arrays = [dice.of("y").many(4, 4) for dice in (one, two, both)]
    assert bool(((arrays[0] + (arrays[1] - arrays[0]) * lean) - arrays[2] < 1e-6).all())


# --- masks ---------------------------------------------------------------------------------------------------


def inpaint(image: Image.Image, mask: Image.Image | None, strength: float, **changes: Any) -> Image.Image:
    values = {
        name: getattr(PLAIN, name) for name in ("prompt", "negative_prompt", "seed", "steps", "cfg_scale")
    }
    request = Img2ImgRequest(
        **values,
        sampler=PLAIN.sampler,
        scheduler=PLAIN.scheduler,
        image=image,
        mask=mask,
        denoising_strength=strength,
        **changes,
    )
    return EmbeddedBackend(EmbeddedConfig()).img2img(request, SILENT, ManualCancel()).image


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.8, 1.0])
def test_what_is_black_in_the_mask_stays(strength: float) -> None:
    source = sample_image(96, 64)
    mask = Image.new("L", source.size, 0)
    mask.paste(255, (20, 10, 70, 50))
    made = inpaint(source, mask, strength)
    outside = Image.composite(Image.new("RGB", source.size), ImageChops.difference(source, made), mask)
    assert outside.getbbox() is None
    assert ImageChops.difference(source, made).getbbox() is not None


def test_a_mask_keeps_the_subject_at_low_strength_and_draws_a_new_one_at_1() -> None:
    source = draw(replace(PLAIN, prompt="portrait of a woman")).image
    white = Image.new("L", source.size, 255)
    detail, new = inpaint(source, white, 0.4), inpaint(source, white, 1.0)
    assert 0 < apart(source, detail) < 8
    assert apart(source, new) > 20
    assert pixel_sha256(inpaint(source, None, 0.4, part=True)) == pixel_sha256(detail)


def test_a_grey_mask_mixes_and_a_wrong_size_is_refused() -> None:
    source = sample_image(64, 64)
    all_of_it = inpaint(source, Image.new("L", source.size, 255), 1.0)
    half = inpaint(source, Image.new("L", source.size, 128), 1.0)
    assert 0 < apart(source, half) < apart(source, all_of_it)
    with pytest.raises(StageFailure, match="the mask has 8 x 8 pixels, the image 64 x 64"):
        inpaint(source, Image.new("L", (8, 8)), 1.0)


def test_what_it_cannot_do_it_refuses() -> None:
    for request in (
        replace(PLAIN, styles=("a",)),
        replace(PLAIN, hypernetwork="a"),
        replace(PLAIN, hires=HIRES, face_restoration="default"),
    ):
        with pytest.raises(StageFailure, match="can't do this"):
            draw(request)
