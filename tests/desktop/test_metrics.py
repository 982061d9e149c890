"""Widths of letters, against a library for fonts."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from stablenew_plugins.desktop.theme.fonts import FOLDER
from stablenew_plugins.desktop.theme.icons import PLAY
from stablenew_plugins.desktop.theme.metrics import Metrics

FILES = sorted(FOLDER.glob("*.ttf"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
@pytest.mark.parametrize("words", ["Run 24 images", "iiii", "WWWW", "", " ", "é★…×", PLAY, "not there: 蝶"])
def test_words_are_as_wide_as_a_library_says(path, words):
    metrics = Metrics(path)
    face = ImageFont.truetype(str(path), 1000, layout_engine=ImageFont.Layout.BASIC)
    expected = sum(face.getlength(letter) for letter in words) / sum(face.getmetrics())
    assert metrics.width(words) / metrics.height == pytest.approx(expected, rel=0.01, abs=0.002)
