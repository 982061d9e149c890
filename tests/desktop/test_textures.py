"""Textures: only what is asked for is decoded, memory is bounded, live pictures replace each other.

Needs a Dear PyGui context, no display."""

from __future__ import annotations

import io
import os
from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest
from PIL import Image
from tests.desktop.desk_kit import Inline

from stablenew_plugins.desktop.components import textures
from stablenew_plugins.desktop.components.flow import lines_of
from stablenew_plugins.desktop.components.textures import (
    AT_ONCE,
    LOOK_EVERY,
    PATIENCE,
    Textures,
    decode_bytes,
    decode_file,
    decode_region,
)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(path)
    return paths


def settle(made: Textures, frames: int = 30) -> None:
    for _frame in range(frames):
        made.tick()


def test_a_thumbnail_comes_and_stays(context: None, images: list[Path]) -> None:
    made = Textures(Inline())
    assert made.thumbnail(images[0], 32) is None
    settle(made, 2)
    picture = made.thumbnail(images[0], 32)
    assert picture is not None
    assert (picture.width, picture.height) == (32, 32)
    assert dpg.does_item_exist(picture.texture)
    made.close()


def test_what_is_scrolled_past_is_never_decoded(context: None, images: list[Path]) -> None:
    background = Inline()
    background.held = True
    made = Textures(background)
    for path in images:
        made.thumbnail(path, 32)
        made.tick()
    assert len(background.waiting) == AT_ONCE
    for _frame in range(10):  # only the last one is still looked at
        made.thumbnail(images[-1], 32)
        made.tick()
    background.held = False
    background.release()
    for _frame in range(10):
        made.thumbnail(images[-1], 32)
        made.tick()
    assert made.thumbnail(images[-1], 32) is not None
    assert len(made._shown) <= AT_ONCE + 1
    assert not made._wanted
    made.close()


def test_the_latest_that_is_asked_for_comes_first(context: None, images: list[Path]) -> None:
    background = Inline()
    background.held = True
    made = Textures(background)
    for path in images[:10]:
        made.thumbnail(path, 32)
    made.tick()
    background.held = False
    background.release()
    made.tick()
    assert made.thumbnail(images[9], 32) is not None
    assert made.thumbnail(images[0], 32) is None
    made.close()


def test_memory_is_bounded_and_what_is_on_the_screen_stays(
    context: None, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textures, "KEPT_PIXELS", 5 * 32 * 32)
    made = Textures(Inline())
    for path in images:
        for _frame in range(6):
            made.thumbnail(images[0], 32)
            made.thumbnail(path, 32)
            made.tick()
    assert len(made._shown) <= 5
    assert len(made._used) <= 6
    assert made.thumbnail(images[0], 32) is not None
    assert len(dpg.get_item_children(made.registry, 1)) <= 7
    made.close()


def shown(made: Textures, *paths: Path, frames: int = LOOK_EVERY + 6) -> list[int | str | None]:
    """What is to be seen of ``paths`` once somebody has looked at them so long."""
    for _frame in range(frames):
        pictures = [made.thumbnail(path, 32) for path in paths]
        made.tick()
    return [None if one is None else one.texture for one in pictures]


def rewrite(path: Path, colour: tuple[int, int, int]) -> None:
    """Another picture at the same path, newer by a second: some file systems count no less."""
    at = path.stat().st_mtime_ns
    Image.new("RGB", (60, 40), colour).save(path)
    os.utime(path, ns=(at + 10**9, at + 10**9))


def test_a_file_that_is_gone_is_told_and_shown_when_it_came(
    context: None, tmp_path: Path, images: list[Path]
) -> None:
    made = Textures(Inline())
    path = tmp_path / "gone.png"
    assert shown(made, path) == [None]
    assert "gone.png" in made.failure(path)
    os.replace(images[0], path)
    assert shown(made, path) != [None]
    assert not made.failure(path)
    made.close()


def test_who_comes_back_to_a_file_that_was_gone_need_not_wait(
    context: None, tmp_path: Path, images: list[Path]
) -> None:
    made = Textures(Inline())
    path = tmp_path / "gone.png"
    shown(made, path)
    settle(made, PATIENCE + 1)  # something else is looked at
    os.replace(images[0], path)
    assert shown(made, path, frames=6) != [None]
    made.close()


def test_a_file_that_was_written_anew_is_shown_anew_and_the_old_picture_stays_until_then(
    context: None, images: list[Path]
) -> None:
    background = Inline()
    made = Textures(background)
    before = shown(made, *images[:3])
    rewrite(images[1], (0, 255, 0))
    background.held = True
    assert shown(made, *images[:3]) == before, "nothing is known yet"
    background.release()
    assert shown(made, *images[:3], frames=3) == before, "it is being read"
    background.held = False
    background.release()
    after = shown(made, *images[:3], frames=6)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    settle(made, 4)
    assert not dpg.does_item_exist(before[1])
    assert shown(made, *images[:3]) == after, "and read once"
    made.close()


def test_a_file_that_went_is_told_at_each_size_and_memory_is_counted(context: None, images: list[Path]) -> None:
    made = Textures(Inline())
    shown(made, images[0])
    made.fitted(images[0], 60, 40)
    settle(made, 4)
    images[0].unlink()
    assert shown(made, images[0]) == [None]
    assert made.failure(images[0])
    assert made.fitted(images[0], 60, 40) is None
    settle(made, 4)
    assert (made._pixels, len(made._read)) == (0, 0)
    assert len(dpg.get_item_children(made.registry, 1)) == 1
    made.close()


def test_only_files_on_the_screen_are_looked_at_one_look_at_a_time(
    context: None, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    background = Inline()
    made = Textures(background)
    shown(made, *images[:20])
    monkeypatch.setattr(textures, "stamp_of", lambda path: looked.append(path))
    background.held = True
    shown(made, *images[:4], frames=4 * LOOK_EVERY)
    assert len(background.waiting) == 1
    background.release()
    assert set(looked) == set(images[:4])
    made.close()


def test_what_can_not_be_read_is_not_remembered_for_ever(context: None, tmp_path: Path) -> None:
    made = Textures(Inline())
    shown(made, *(tmp_path / f"gone-{number}.png" for number in range(50)))
    settle(made, LOOK_EVERY + PATIENCE + 1)
    assert not made._used
    made.close()


def jpeg(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 8), colour).save(out, "JPEG")
    return out.getvalue()


def test_live_pictures_replace_each_other(context: None) -> None:
    made = Textures(Inline())
    seen = set()
    for number in range(30):
        made.live("preview", number, jpeg((number, 0, 0)), 64, 64)
        made.tick()
        picture = made.live("preview", number, b"", 64, 64)
        assert picture is not None
        assert (picture.width, picture.height) == (64, 32)
        seen.add(picture.texture)
    assert len(seen) == 30
    settle(made)
    assert len(dpg.get_item_children(made.registry, 1)) == 2  # the empty one and the last
    made.end_live("preview")
    settle(made)
    assert len(dpg.get_item_children(made.registry, 1)) == 1
    made.close()


def test_a_broken_preview_keeps_the_one_before(context: None) -> None:
    made = Textures(Inline())
    made.live("preview", 1, jpeg((9, 9, 9)), 64, 64)
    made.tick()
    before = made.live("preview", 2, b"no jpeg", 64, 64)
    made.tick()
    assert made.live("preview", 2, b"no jpeg", 64, 64) == before
    made.close()


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (1068, 791), (2228, 2261), (1, 500), (7, 7)])
def test_any_shape_is_cut_to_a_square(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", size, (255, 0, 0)).save(path)
    made = decode_file(path, 172, 172, 8, cut=True)
    assert (made.width, made.height) == (172, 172)
    assert made.pixels.shape == (172 * 172 * 4,)
    corner, middle = made.pixels[3], made.pixels[(86 * 172 + 86) * 4 : (86 * 172 + 86) * 4 + 4]
    assert corner < 0.1
    assert list(middle) == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_any_kind_of_image_is_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (20, 10)).save(path)
    made = decode_file(path, 10, 10, 0, cut=False)
    assert (made.width, made.height) == (10, 5)


def test_a_part_is_read_as_it_is(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 100), (0, 0, 0))
    image.paste((0, 255, 0), (50, 50, 100, 100))
    image.save(tmp_path / "a.png")
    made = decode_region(tmp_path / "a.png", (0.5, 0.5, 1.0, 1.0), 400, 400)
    assert (made.width, made.height) == (50, 50)
    assert list(made.pixels[:4]) == [0.0, 1.0, 0.0, 1.0]


def test_a_preview_is_enlarged() -> None:
    made = decode_bytes(jpeg((0, 0, 0)), 320, 320, 0)
    assert (made.width, made.height) == (320, 160)


def test_items_fill_lines() -> None:
    assert lines_of([50, 50, 50, 200, 10], 120, 10) == [[0, 1], [2], [3], [4]]
    assert lines_of([], 100, 5) == []
