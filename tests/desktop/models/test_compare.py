"""Images side by side: what differs, which words, captions, and how large they are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from tests.desktop.models.image_kit import image, pixels
from tests.desktop.models.test_review import Bench, bench_of

from stablenew_plugins.desktop.models.core.shortcuts import find
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.images.imagefacts import caption_of, side_by_side
from stablenew_plugins.desktop.models.images.panes import panes_for
from stablenew_plugins.desktop.models.images.worddiff import Run, around, in_lines, marked
from stablenew_plugins.desktop.models.images.zoom import fitting
from stablenew_proto.v1 import gallery_pb2


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Four images are compared."""
    made = bench_of(tmp_path, 6)
    made.review.click(0)
    made.review.click(3, extend=True)
    made.review.compare()
    return made


def press(bench: Bench, *keys: str) -> None:
    for key in keys:
        found = find(bench.compare.shortcuts(), key, tab="learning", typing=False, overlay="compare")
        assert found is not None, key
        found.act()


def test_keys_go_round_rate_keep_and_drop(bench: Bench) -> None:
    places = []
    for key in ("Right", "Tab", "Right", "Tab", "Left", "Shift+Tab"):
        press(bench, key)
        places.append(bench.compare.focus)
    assert places == [1, 2, 3, 0, 3, 2]
    press(bench, "K", "Right", "5", "K")
    assert [call[:2] for call in bench.kernel.called("rate")] == [(pixels(4), 4), (pixels(3), 5)]
    press(bench, "X")
    assert ([one.seed for one in bench.compare.images], bench.compare.focus) == ([6, 5, 4], 2)
    bench.compare.drop(0)
    assert ([one.seed for one in bench.compare.images], bench.compare.focus) == ([5, 4], 1)
    press(bench, "X")
    assert len(bench.compare.images) == 2
    assert "fewest" in bench.desk.toasts.shown[-1].text


def test_what_is_the_same_is_counted_and_shown_when_it_is_wanted(bench: Bench) -> None:
    rows = bench.compare.rows
    assert rows is not None
    assert [row.name for row in rows] == ["Prompt", "Seed"]
    equal = {row.name: row.values[0] for row in bench.compare.equal}
    assert equal["Model"] == "painter"
    assert equal["Text to image · Steps"] == "20"
    assert not bench.compare.shows_equal
    press(bench, "E")
    assert bench.compare.shows_equal
    bench.compare.open(bench.compare.images)
    assert not bench.compare.shows_equal


def test_a_caption_says_where_from_and_what_sets_it_apart(bench: Bench) -> None:
    assert list(bench.compare.captions[0]) == ["demo", "Seed 6"]
    assert caption_of(image(1, row=3)) == "demo, row 3"
    assert caption_of(image(1, run_name="", path="C:\\images\\a.png")) == "a.png"


def test_a_stage_that_took_no_part_is_told_once() -> None:
    made = [
        gallery_pb2.GetImageResponse(image=image(1), settings_json=json.dumps(settings).encode())
        for settings in ({"txt2img": {"steps": 20}}, {"txt2img": {"steps": 20}, "upscale": {"factor": 2}})
    ]
    rows = side_by_side(made, str, KernelState().setting_title)
    assert {row.name: list(row.values) for row in rows if row.differs} == {"upscale": ["no", "yes"]}
    assert side_by_side(made[:1], str, KernelState().setting_title) == []


# --- words --------------------------------------------------------------------------------------------------

words = st.lists(st.sampled_from(["a", "castle,", "castle", "mist", "by", "the", "sea"]), max_size=12).map(
    " ".join
)


@A_THIRD
@given(st.lists(words, min_size=1, max_size=4))
def test_no_word_is_lost_and_equal_texts_have_no_difference(texts: list[str]) -> None:
    found = marked(texts)
    assert [" ".join(run.words for run in runs) for runs in found] == texts
    for runs in found:
        assert all(one.differs != other.differs for one, other in pairwise(runs))
        short = around(runs)
        assert [run for run in short if run.differs] == [run for run in runs if run.differs]
    if len(set(texts)) == 1:
        assert not any(run.differs for runs in found for run in runs)
    quiet = [[w.rstrip(",") for run in runs if not run.differs for w in run.words.split()] for runs in found]
    if len(texts) == 2:
        assert quiet[0] == quiet[1]


def test_the_words_that_differ_are_found() -> None:
    found = marked(["a castle by the sea, mist, painterly", "a tower by the sea, painterly"])
    assert found == [
        [
            Run("a", False),
            Run("castle", True),
            Run("by the sea,", False),
            Run("mist,", True),
            Run("painterly", False),
        ],
        [Run("a", False), Run("tower", True), Run("by the sea, painterly", False)],
    ]
    same = "one two three four five six seven eight nine"
    long = marked([f"{same} x", f"{same} y"])
    assert around(long[0]) == [Run("… seven eight nine", False), Run("x", True)]


@A_THIRD
@given(st.lists(words, min_size=2, max_size=2), st.integers(6, 40), st.integers(1, 4))
def test_lines_keep_within_their_room(texts: list[str], room: int, most: int) -> None:
    for text, runs in zip(texts, marked(texts), strict=True):
        lines = in_lines(runs, room, len, most)
        told = " ".join(piece.words for line in lines for piece in line).split()
        there = text.split()
        for one, word in zip(told, there, strict=False):  # one that is wider than a line is cut
            assert one == word or (one.endswith("…") and word.startswith(one.rstrip("…")))
        assert len(told) == len(there) or (len(told) < len(there) and told[-1].endswith("…"))
        assert len(lines) <= most
        for line in lines:
            assert line[-1].left + len(line[-1].words.rstrip("…")) <= room
            assert all(one.left + len(one.words) < other.left for one, other in pairwise(line))


def test_a_word_that_is_wider_than_a_line_is_cut() -> None:
    ((piece,),) = in_lines([Run("incomprehensibilities", True)], 8, len, 3)
    assert (piece.words, piece.differs) == ("incompr…", True)


# --- places -------------------------------------------------------------------------------------------------

side = st.floats(100, 4_000)


@given(
    images=st.lists(st.tuples(side, side), min_size=2, max_size=4),
    room=st.tuples(st.integers(400, 3_000), st.integers(400, 2_000)),
    table=st.integers(0, 600),
)
def test_places_are_within_the_room_and_no_higher_than_their_images(
    images: Sequence[tuple[float, float]], room: tuple[int, int], table: int
) -> None:
    made = panes_for(images, room, 12, 34, table, 120)
    assert made.columns * made.rows >= len(images)
    assert made.columns * made.width + (made.columns - 1) * 12 <= room[0]
    used = made.rows * (made.height + 34) + (made.rows - 1) * 12
    assert used + min(table, 120) <= room[1]
    tallest = max(fitting((made.width, made.height), one) * one[1] for one in images)
    assert made.height - tallest <= 1


def test_four_wide_images_stand_two_by_two_and_four_high_ones_in_a_row() -> None:
    room = (1300, 900)
    assert panes_for([(1600, 900)] * 4, room, 12, 34, 100, 200).rows == 2
    assert panes_for([(832, 1216)] * 4, room, 12, 34, 100, 200).rows == 1
    assert panes_for([(1600, 900)] * 3, room, 12, 34, 100, 200).columns == 3
