"""Which differences of a picture pass, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from tests.desktop.golden import Tolerance, compare, differences


@pytest.fixture
def picture() -> Image.Image:
    """Something with an edge in it."""
    image = Image.new("RGB", (400, 300), (20, 22, 30))
    ImageDraw.Draw(image).rectangle((50, 50, 200, 120), fill=(124, 131, 255))
    return image


def test_the_same_passes(picture):
    assert differences(picture, picture.copy()) == ""


def test_rounding_of_all_pixels_passes_and_another_colour_does_not(picture):
    shifted = picture.point(lambda level: level + 3)
    assert differences(shifted, picture) == "pixels differ by 3.00 levels on average (at most 0.5)"
    assert differences(shifted, picture, Tolerance(mean=3)) == ""


def test_a_few_pixels_pass_and_a_lost_word_does_not(picture):
    changed = picture.copy()
    ImageDraw.Draw(changed).line((300, 100, 360, 100), fill=(255, 255, 255))
    assert differences(changed, picture) == ""
    ImageDraw.Draw(changed).rectangle((300, 100, 340, 110), fill=(255, 255, 255))
    assert "0.39% of the pixels differ clearly (at most 0.10%)" in differences(changed, picture)


def test_another_size_never_passes(picture):
    assert differences(picture.resize((401, 300)), picture) == "it is 401 x 300 px and should be 400 x 300"


def test_a_picture_is_agreed_on_and_then_compared(picture, tmp_path: Path):
    agreed, folder = tmp_path / "golden", tmp_path / "test"
    folder.mkdir()
    with pytest.raises(AssertionError, match="is right: run with --update-golden"):
        compare("view", picture, folder, agreed=agreed)
    compare("view", picture, folder, agreed=agreed, update=True)
    compare("view", picture, folder, agreed=agreed)
    assert not (folder / "view-diff.png").exists()

    changed = picture.copy()
    ImageDraw.Draw(changed).rectangle((300, 200, 399, 299), fill=(255, 0, 0))
    with pytest.raises(AssertionError, match="view: pixels differ") as said:
        compare("view", changed, folder, agreed=agreed)
    for name in ("golden/view.png", "test/view-actual.png", "test/view-diff.png"):
        path = tmp_path / name
        assert str(path) in str(said.value)
        assert path.exists()
    with Image.open(folder / "view-diff.png") as diff:
        assert diff.getbbox() == (300, 200, 400, 300)


def test_the_option_decides_what_the_fixture_does(golden, picture, request, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("tests.desktop.golden.FOLDER", tmp_path / "golden")
    monkeypatch.setattr(request.config.option, "update_golden", False)
    with pytest.raises(AssertionError, match="run with --update-golden"):
        golden("view", picture)
    monkeypatch.setattr(request.config.option, "update_golden", True)
    golden("view", picture)
    monkeypatch.setattr(request.config.option, "update_golden", False)
    golden("view", picture)
