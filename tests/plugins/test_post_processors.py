"""The post-processors: what each changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat
from pydantic import ValidationError

from stablenew_api.stage import Stage, StageImage
from stablenew_api.testing import FakeStageContext, sample_image
from stablenew_plugins.stages import ColorGrade, Convert, Resize, Sharpen, Watermark


def run(stage: type[Stage], image: Image.Image, **settings: Any) -> Image.Image:
    config = stage.Config.model_validate(settings)
    [made] = stage().run(FakeStageContext(seed=7), config, [StageImage(image, {"Seed": 7})])
    assert made.info["Seed"] == 7
    return made.image


def mean(image: Image.Image) -> list[float]:
    return ImageStat.Stat(image.convert("RGB")).mean


GREY = Image.new("RGB", (64, 48), (120, 120, 120))


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        (Sharpen, {"amount": 0}),
        (ColorGrade, {}),
        (Watermark, {"text": ""}),
        (Watermark, {"opacity": 0}),
        (Resize, {"width": 500, "height": 500}),
        (Resize, {"width": 64, "height": 48, "mode": "stretch"}),
        (Convert, {}),
    ],
)
def test_what_asks_for_nothing_changes_nothing(stage: type[Stage], settings: dict[str, Any]) -> None:
    source = sample_image(64, 48)
    made = run(stage, source, **settings)
    assert made.tobytes() == source.tobytes()
    assert made is not source, "the next stage may not share pixels with this one"


@pytest.mark.parametrize("stage", [Sharpen, ColorGrade, Watermark, Resize, Convert])
def test_every_mode_is_taken(stage: type[Stage]) -> None:
    for mode in ("L", "RGBA", "P", "LA"):
        some = {ColorGrade: {"warmth": 0.5}, Convert: {"mode": "sepia"}}.get(stage, {})
        assert run(stage, sample_image(mode=mode), **some).mode == "RGB"


def test_transparent_lies_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert run(Convert, clear).getpixel((3, 3)) == (255, 255, 255)


def test_sharpen_raises_edges_and_leaves_flat_parts() -> None:
    image = GREY.copy()
    image.paste((140, 140, 140), (32, 0, 64, 48))
    made = run(Sharpen, image, amount=200)
    assert made.getpixel((5, 5)) == (120, 120, 120)
    low, high = made.convert("L").getextrema()
    assert isinstance(low, int)
    assert low < 120 < 140 < high


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"brightness": 0.5}, (60, 60, 60)),
        ({"contrast": 0}, (128, 128, 128)),
        ({"contrast": 2}, (112, 112, 112)),
        ({"gamma": 2}, (175, 175, 175)),
        ({"warmth": 1}, (144, 120, 96)),
        ({"warmth": -1}, (96, 120, 144)),
    ],
)
def test_color_grade(settings: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert run(ColorGrade, GREY, **settings).getpixel((30, 20)) == expected


def test_saturation_and_vignette() -> None:
    red = Image.new("RGB", (64, 48), (200, 40, 40))
    grey = run(ColorGrade, red, saturation=0).getpixel((1, 1))
    assert isinstance(grey, tuple)
    assert len(set(grey)) == 1
    dark = run(ColorGrade, GREY, vignette=1)
    middle, corner = dark.getpixel((32, 24)), dark.getpixel((0, 0))
    assert isinstance(middle, tuple)
    assert isinstance(corner, tuple)
    assert middle[0] > 110
    assert corner[0] < 30


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 120),
    st.integers(1, 120),
    st.sampled_from(["fit", "fill", "pad", "stretch"]),
    st.booleans(),
)
def test_resize_keeps_its_word(width: int, height: int, wide: int, high: int, mode: str, enlarge: bool) -> None:
    made = run(
        Resize,
        sample_image(width, height),
        width=wide,
        height=high,
        mode=mode,
        enlarge=enlarge,
        color="#102030",
    )
    if mode == "pad" or (enlarge and mode in ("stretch", "fill")):
        assert made.size == (wide, high)
        return
    assert made.width <= wide
    assert made.height <= high
    if not enlarge:
        assert made.width <= width
        assert made.height <= height
    if mode == "fit" and (enlarge or wide < width or high < height):
        assert made.width == wide or made.height == high
    if mode in ("fit", "fill") and not enlarge and wide >= width and high >= height:
        assert made.size == (width, height)


def test_fill_and_pad_keep_the_middle() -> None:
    image = Image.new("RGB", (30, 10), "blue")
    image.paste("white", (10, 0, 20, 10))
    assert mean(run(Resize, image, width=10, height=10, mode="fill")) == [255, 255, 255]
    padded = run(Resize, image, width=30, height=30, mode="pad", color="#ff0000")
    assert padded.getpixel((15, 2)) == (255, 0, 0)
    assert padded.getpixel((15, 15)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("position", "box"),
    [
        ("bottom right", (60, 50, 120, 100)),
        ("bottom left", (0, 50, 60, 100)),
        ("top right", (60, 0, 120, 50)),
        ("top left", (0, 0, 60, 50)),
        ("centre", (20, 30, 100, 70)),
    ],
)
def test_a_watermark_stands_where_it_should(position: str, box: tuple[int, int, int, int]) -> None:
    plain = Image.new("RGB", (120, 100), "grey")
    made = run(Watermark, plain, text="mine {seed}", position=position, size_percent=8, opacity=1)
    changed = ImageChops.difference(plain, made).getbbox()
    assert changed is not None
    assert box[0] <= changed[0]
    assert changed[2] <= box[2]
    assert box[1] <= changed[1]
    assert changed[3] <= box[3]
    other = run(Watermark, plain, text="mine 7", position=position, size_percent=8, opacity=1)
    assert other.tobytes() == made.tobytes(), "{seed} is the image's own"


def test_a_long_watermark_is_made_to_fit() -> None:
    plain = Image.new("RGB", (120, 100), "black")
    made = run(Watermark, plain, text="many words " * 15, size_percent=20, position="top left")
    changed = ImageChops.difference(plain, made).getbbox()
    assert changed is not None
    assert changed[2] <= 120
    faint = run(Watermark, plain, text="a", opacity=0.2)
    assert max(mean(faint)) < max(mean(run(Watermark, plain, text="a", opacity=1.0)))


def test_convert() -> None:
    source = sample_image(64, 48)
    assert run(Convert, source, mode="grey").mode == "L"
    few = run(Convert, source, mode="palette", colors=8)
    assert few.mode == "P"
    assert len(few.getcolors() or []) <= 8
    brown = mean(run(Convert, GREY, mode="sepia"))
    assert brown[0] > brown[1] > brown[2]


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        (Watermark, {"color": "red"}),
        (Watermark, {"position": "middle"}),
        (Resize, {"width": 0}),
        (Convert, {"colors": 1}),
        (Sharpen, {"radius": 0}),
        (ColorGrade, {"gamma": 0}),
    ],
)
def test_wrong_values_are_refused(stage: type[Stage], settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage.Config.model_validate(settings)
