"""The file of an image: its kind, its texts, and what becomes of its pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from kernel_kit import kernel_on, run
from PIL import Image

from stablenew_api.datafolder import DataFolder
from stablenew_api.images import pixel_sha256
from stablenew_api.imagetext import kind_of, read_texts
from stablenew_api.infotext import parse_infotext
from stablenew_api.png import with_text
from stablenew_api.report import RunImage
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.domain.saving import SavedAs, kind_named
from stablenew_plugins.reports.contact_sheet import draw_page

TEXTS = {"parameters": "a castle, 蝶\nSteps: 20, Seed: 9, Size: 64x48", "stablenew": '{"format":1}'}


def picture(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    rgb = Image.merge("RGB", [Image.linear_gradient("L").resize(size).rotate(90 * turn) for turn in range(3)])
    if mode == "I;16":
        return Image.frombytes("I;16", size, b"\xff\xff" * (size[0] * size[1]))
    if mode in ("LA", "RGBA"):
        faint = rgb.convert("RGBA")
        faint.putalpha(0)
        return faint.convert(mode)
    return rgb.convert(mode)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def opened(data: Any) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def whole(data: Any) -> bytes:
    return data if isinstance(data, bytes) else b"".join(data)


def test_png_is_the_image_as_it_was_made_with_texts() -> None:
    made = png(picture())
    ending, data = file_of(made, TEXTS, SavedAs())
    assert (ending, whole(data)) == (".png", with_text(made, TEXTS))


@pytest.mark.parametrize(("kind", "ending"), [("jpeg", ".jpg"), ("webp", ".webp")])
@pytest.mark.parametrize("quality", [1, 75, 95])
def test_other_kinds_have_the_same_texts_and_nearly_the_same_picture(
    kind: str, ending: str, quality: int
) -> None:
    image = picture()
    got, data = file_of(png(image), TEXTS, SavedAs(kind, quality))
    assert (got, kind_of(data), read_texts(data)) == (ending, kind, TEXTS)  # type: ignore[arg-type]
    shown = opened(data)
    assert (shown.size, shown.mode) == (image.size, "RGB")
    apart = [abs(a - b) for a, b in zip(shown.tobytes(), image.tobytes(), strict=True)]
    assert sum(apart) / len(apart) < {1: 60, 75: 8, 95: 4}[quality]


def test_quality_makes_the_file_larger() -> None:
    made = png(picture(size=(256, 256)))
    for kind in ("jpeg", "webp"):
        sizes = [len(whole(file_of(made, TEXTS, SavedAs(kind, quality))[1])) for quality in (20, 60, 95)]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_webp_of_quality_100_keeps_every_pixel(mode: str) -> None:
    image = picture(mode)
    _, data = file_of(png(image), TEXTS, SavedAs("webp", 100))
    kept = {"L": "RGB", "LA": "RGBA", "P": "RGB", "1": "RGB"}.get(mode, mode)
    assert pixel_sha256(opened(data)) == pixel_sha256(image.convert(kept))


def test_transparency_is_on_white_where_the_format_has_none() -> None:
    for mode in ("RGBA", "LA"):
        image = opened(file_of(png(picture(mode)), TEXTS, SavedAs("jpeg"))[1])
        assert image.getextrema() == ((255, 255),) * 3
        assert opened(file_of(png(picture(mode)), TEXTS, SavedAs("webp"))[1]).mode == "RGBA"


def test_sixteen_bits_become_eight() -> None:
    assert opened(file_of(png(picture("I;16")), TEXTS, SavedAs("jpeg"))[1]).getextrema() == (255, 255)
    assert (
        opened(file_of(png(picture("I;16")), TEXTS, SavedAs("webp", 100))[1]).getextrema() == ((255, 255),) * 3
    )


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_the_same_image_gives_the_same_bytes(kind: str) -> None:
    made = png(picture())
    assert file_of(made, TEXTS, SavedAs(kind)) == file_of(made, TEXTS, SavedAs(kind))


def test_what_the_format_has_no_room_for_stays_png(caplog: pytest.LogCaptureFixture) -> None:
    for kind, side in (("webp", 16_384), ("jpeg", 65_536)):
        ending, data = file_of(png(Image.new("L", (side, 1))), TEXTS, SavedAs(kind))
        assert (ending, read_texts(whole(data))) == (".png", TEXTS)
        assert f"saved as PNG, not as {kind}: {side}x1" in caplog.text


@pytest.mark.parametrize("factor", [1, 3])
def test_what_pillow_does_not_decode_stays_png(
    factor: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to twice its limit it warns, which a person may have made an error; from there on it raises."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 // factor - 1)
    ending, data = file_of(png(picture()), TEXTS, SavedAs("jpeg"))
    assert (ending, read_texts(whole(data))) == (".png", TEXTS)
    assert "saved as PNG, not as jpeg: Image size (3072 pixels) exceeds limit" in caplog.text


def test_a_contact_sheet_shows_every_kind(tmp_path: Path) -> None:
    made = png(Image.new("RGB", (96, 64), (200, 30, 30)))
    images = []
    for kind in ("png", "jpeg", "webp"):
        ending, data = file_of(made, TEXTS, SavedAs(kind))
        path = tmp_path / f"image{ending}"
        path.write_bytes(whole(data))
        images.append(RunImage(path, kind, {}))
    colours = draw_page("A run", "3 images", images).getcolors(1_000_000)
    assert colours is not None
    red = sum(count for count, pixel in colours if pixel[0] > 150 and pixel[1] < 80)  # type: ignore[index]
    assert red > 2.9 * 96 * 64


@pytest.mark.parametrize("text", ["jpg", "JPEG", ".jpg", " Jpeg "])
def test_other_names_of_a_kind(text: str) -> None:
    assert kind_named(text) == "jpeg"
    assert kind_named(3) == 3


@pytest.mark.parametrize(("value", "ending"), [("JPG", ".jpg"), ("webp", ".webp"), ("png", ".png")])
def test_a_run_saves_its_images_as_its_settings_say(data: DataFolder, value: str, ending: str) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent(works=True)
            sets = [f"pipeline.image_format={value}", "pipeline.image_quality=80"]
            ended = await house.ended(await house.submit(2, sets=sets))
            folder = Path(ended.out_dir)
            lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]
            assert [Path(line["file"]).suffix for line in lines] == [ending] * 2
            for line in lines:
                texts = read_texts((folder / line["file"]).read_bytes())
                assert parse_infotext(texts["parameters"]).parameters["Seed"] == str(line["seed"])
                job = json.loads(texts["stablenew"])
                assert job["image_sha256"] == line["image_sha256"]
                assert line["image_sha256"] == pixel_sha256(Image.new("RGB", (2, 2), (0, 0, 7)))

    run(main)
