"""Which settings earn stars: averages, what they are worth, and the images behind a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from tests.desktop.models.test_review import Bench, bench_of

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.images.filters import Wanted
from stablenew_plugins.desktop.models.images.liked import FEW, MOST, Kind, Liked, kinds_of
from stablenew_plugins.desktop.models.images.starcounts import interval_of, mean_of, rated_of, together, without
from stablenew_proto.v1 import gallery_pb2

Counts = Sequence[int]
counts_of = st.lists(st.integers(0, 60), min_size=6, max_size=6)


@given(counts_of)
def test_an_average_is_within_its_interval_and_the_interval_within_the_stars(counts: Counts) -> None:
    low, high = interval_of(counts)
    assert 1 <= low < high <= 5
    if rated_of(counts):
        assert low - 1e-9 <= mean_of(counts) <= high + 1e-9
        turned = interval_of([counts[0], *reversed(counts[1:])])
        assert turned == pytest.approx((6 - high, 6 - low))


@given(counts_of, st.integers(2, 9))
def test_more_ratings_of_the_same_kind_make_it_narrower(counts: Counts, times: int) -> None:
    few, more = interval_of(counts), interval_of([count * times for count in counts])
    if rated_of(counts):
        assert more[1] - more[0] < few[1] - few[0]


def test_the_interval_is_that_of_wilson() -> None:
    # 9 of 10 yes: 0.596 to 0.982, the usual example; yes is 5 stars, no is 1.
    assert interval_of([3, 1, 0, 0, 0, 9]) == pytest.approx((1 + 4 * 0.5958, 1 + 4 * 0.9821), abs=1e-3)


@A_THIRD
@given(st.lists(counts_of, max_size=3))
def test_all_without_one_are_the_others(counts: list[Counts]) -> None:
    everything = together(counts)
    for place, one in enumerate(counts):
        assert without(everything, one) == together([*counts[:place], *counts[place + 1 :]])


def kind(bench: Bench, name: str) -> Kind:
    assert bench.liked.kinds is not None
    return next(one for one in bench.liked.kinds if one.name == name)


def told(kind: Kind) -> dict[str, tuple[float, int, int, str]]:
    return {line.name: (line.stars, line.rated, line.images, line.remark) for line in kind.lines}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Sixty images: ten good ones of a, twenty bad ones of b, two of c, the others without a rating."""
    made = bench_of(tmp_path, 60)
    for place, one in enumerate(made.kernel.stored[:32]):
        one.model = "a" if place < 10 else "b" if place < 30 else "c"
        one.stars = 5 if place < 10 else 2 if place < 30 else 4
        one.tags[:] = ["Keeper"] if place % 10 == 0 else []
    return made


def test_an_average_tells_what_it_is_worth(bench: Bench) -> None:
    bench.liked.open()
    assert bench.view.overlay == "liked"
    assert (bench.liked.rated, bench.liked.stars) == (32, pytest.approx(98 / 32))
    assert told(kind(bench, "model")) == {
        "a": (5, 10, 10, "clearly above the others (2.2)"),
        "b": (2, 20, 20, "clearly below the others (4.8)"),
        "c": (4, 2, 2, "only 2 rated: a hint, not a fact"),
        "painter": (0, 0, 28, "not rated yet"),
    }
    assert list(told(kind(bench, "model"))) == ["a", "b", "c", "painter"]
    assert told(kind(bench, "pack"))["demo"][3] == "nothing to compare it with"


def test_a_line_shows_its_images_in_the_grid(bench: Bench) -> None:
    wanted = Wanted(words="picture", min_stars=4)
    bench.review.want(wanted)
    bench.pass_time(1)
    bench.liked.open()
    assert bench.liked.leaves_stars
    lines = {name: kind(bench, name).lines for name in ("model", "pack", "tag")}
    (steps,) = kind(bench, "txt2img.steps").lines
    assert steps.wanted.words == "picture txt2img.steps=20"
    (sampler,) = kind(bench, "txt2img.sampler_name").lines
    assert sampler.wanted.words == 'picture txt2img.sampler_name="Euler"'
    for line in (*lines["model"], *lines["pack"], *lines["tag"]):
        bench.view.open("liked")
        bench.liked.choose(line)
        bench.pass_time(1)
        assert (bench.view.overlay, bench.review.total) == ("", line.images), line


def test_it_keeps_up_while_it_is_to_be_seen(bench: Bench) -> None:
    bench.liked.open()
    bench.review.rate(1)
    bench.pass_time(1)
    assert bench.liked.stars == pytest.approx(94 / 32)


def test_a_kernel_that_knows_no_such_call_is_told(bench: Bench) -> None:
    def refuse(*_args: Any) -> Any:
        raise UserError("no such method")

    bench.kernel.gallery.count_stars = refuse
    bench.liked.open()
    assert (bench.liked.problem, bench.liked.kinds) == ("no such method", [])


def answer(values: dict[float, Counts]) -> gallery_pb2.CountStarsResponse:
    made = gallery_pb2.CountStarsResponse()
    made.counts.add(kind="all", images=together(list(values.values())))
    for value, counts in values.items():
        made.counts.add(kind="txt2img.cfg_scale", value=f"{value:.15g}", images=counts)
    return made


@A_THIRD
@given(st.dictionaries(st.integers(2, 60).map(lambda n: n / 4), counts_of, min_size=1, max_size=16))
def test_numbers_that_are_put_together_count_what_they_did(values: dict[float, Counts]) -> None:
    kinds, everything = kinds_of(answer(values), Wanted(), str)
    (found,) = kinds
    assert everything == together(list(values.values()))
    assert len(found.lines) <= MOST
    if not found.more:
        assert together([line.counts for line in found.lines]) == everything
    for line in found.lines:
        ends = [float(part) for part in line.name.split(" to ")]
        inside = [counts for value, counts in values.items() if ends[0] <= value <= ends[-1]]
        assert together(inside) == list(line.counts)
        assert line.is_sure == (line.rated >= FEW)


def test_a_line_is_what_it_says() -> None:
    line = Liked("x", [1, 0, 0, 2, 0, 0], Wanted())
    assert (line.rated, line.images, line.stars) == (2, 3, 3)
