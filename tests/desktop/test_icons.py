"""The icons are in the fonts: Pillow draws them, so no display is needed."""

from __future__ import annotations

from importlib.resources import as_file, files
from itertools import pairwise

import pytest
from PIL import ImageFont

from stablenew_plugins.desktop.theme import icons

FONTS = files("stablenew_plugins.desktop") / "assets" / "fonts"
NOTHING = "\uf8ff"
"""A character that no font here has: drawn as the box of a missing one."""


def drawn(font: ImageFont.FreeTypeFont, text: str) -> bytes:
    """The pixels of ``text``."""
    return bytes(font.getmask(text))


@pytest.mark.parametrize("weight", ["Regular", "Medium", "SemiBold", "Bold"])
def test_each_icon_is_a_picture_of_its_own_in_each_weight(weight: str) -> None:
    with as_file(FONTS / f"StableNewUI-{weight}.ttf") as path:
        font = ImageFont.truetype(path, 32)
    pictures = {name: drawn(font, icon) for name, icon in icons.BY_NAME.items()}
    missing = [name for name, picture in pictures.items() if picture == drawn(font, NOTHING)]
    assert missing == []
    twins = [
        pair
        for pair in pairwise(sorted(pictures, key=pictures.__getitem__))
        if len(set(map(pictures.get, pair))) < 2
    ]
    assert twins == []


@pytest.mark.parametrize("name", ["StableNewUI-Regular.ttf", "JetBrainsMono-Regular.ttf"])
@pytest.mark.parametrize("text", list("aZ09é日ßłжЯΩώữ€…“”–"))
def test_letters_of_european_scripts_are_there(name: str, text: str) -> None:
    with as_file(FONTS / name) as path:
        font = ImageFont.truetype(path, 32)
    there = drawn(font, text) != drawn(font, NOTHING)
    assert there is (text != "日")  # for which the desktop has another font


def test_text_and_monospaced_letters_are_as_wide_as_they_should_be() -> None:
    with as_file(FONTS / "JetBrainsMono-Regular.ttf") as path:
        font = ImageFont.truetype(path, 20)
    assert len({font.getlength(letter) for letter in "iMжΩé0ữ"}) == 1


def test_each_name_has_its_constant() -> None:
    for name, icon in icons.BY_NAME.items():
        assert getattr(icons, name.replace("-", "_").upper()) == icon
    constants = [name for name in vars(icons) if name.isupper() and name != "BY_NAME"]
    assert len(constants) == len(icons.BY_NAME)
