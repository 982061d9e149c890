"""Estimates: held against what runs really took, and against histories whose law we know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.jobs import JobSpec, JsonValue, Needs, StageSpec
from stablenew_kernel.domain.estimate import (
    REST,
    History,
    Made,
    StageWork,
    Standing,
    Work,
    Worker,
    about,
    estimate,
    in_line,
    made,
    work_of,
)

RECORDED = json.loads(Path(__file__).with_name("embedded_times.json").read_text(encoding="utf-8"))


def work(megapixels: float = 0.25, steps: float = 20.0, sampler: str = "Euler a", model: str = "m") -> Work:
    stage = StageWork("txt2img", (model, sampler, "", ""), megapixels, steps)
    return Work((stage, StageWork(REST, (), megapixels, 1.0)), model)


def image(node: str, at: float, seconds: float, of: Work | None = None, rest: float = 0.1) -> Made:
    return Made(node, f"{at:09.2f}", of or work(), (seconds, rest))


def steady(node: str, seconds: float, count: int = 10, of: Work | None = None) -> list[Made]:
    """Images that took about as long each."""
    rng = Random(node)
    return [image(node, n, seconds * rng.uniform(0.95, 1.05), of) for n in range(count)]


# --- what was recorded ----------------------------------------------------------------------------------------


def replayed() -> Iterator[tuple[float, float, bool]]:
    """Each recorded run: seconds until its last image, what would have been told at its start, and whether its
    kind and size were seen before."""
    before: list[Made] = []
    workers = [Worker("fast", 1), Worker("slow", 1)]
    for run in RECORDED:
        stages = tuple(StageWork(**{**stage, "kind": tuple(stage["kind"])}) for stage in run["work"]["stages"])
        of = Work(stages, run["work"]["model"])
        nodes = {node for node, _, _ in run["jobs"]}
        loaded = {node: next((m.work.model for m in reversed(before) if m.node == node), "") for node in nodes}
        ready = [Worker(one.node, one.slots, loaded.get(one.node, "")) for one in workers]
        told = estimate([of], len(run["jobs"]), ready, History(before[-200:]))
        if told.seconds is not None:
            begun = datetime.fromisoformat(run["created_at"])
            took = max(datetime.fromisoformat(ended_at) for _, ended_at, _ in run["jobs"]) - begun
            yield took.total_seconds(), told.seconds, told.alike
        before += sorted(
            (Made(node, at, of, tuple(seconds)) for node, at, seconds in run["jobs"]), key=lambda m: m.ended_at
        )


def test_what_runs_really_took_on_two_unequal_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [(abs(told - took) / took, alike) for took, told, alike in replayed()]
    same = [error for error, alike in errors if alike]
    other = [error for error, alike in errors if not alike]
    with capsys.disabled():
        print(
            f"\nestimates of {len(errors)} recorded runs, median error {median(same + other):.0%}: seen before "
            f"{median(same):.0%} ({len(same)}), new size, steps or sampler {median(other):.0%} ({len(other)})"
        )
    assert len(errors) >= 30
    assert median(same) < 0.15
    assert median(other) < 0.4, "from other sizes, steps and samplers: no more than a guess, and called one"


# --- histories whose law we know ------------------------------------------------------------------------------


def test_nothing_is_made_up() -> None:
    assert str(estimate([work()], 5, [Worker("a", 1)], History([]))) == (
        "how long it takes is not known yet: nothing like this has run here"
    )
    assert str(estimate([work()], 5, [], History(steady("a", 2.0)))) == (
        "how long it takes is not known: no node that can make these is online"
    )
    other = Work((StageWork("paint", (), 1.0, 1.0), StageWork(REST, (), 1.0, 1.0)), "m")
    assert estimate([other], 5, [Worker("a", 1)], History(steady("a", 2.0))).seconds is None


def test_it_says_from_what_it_is_known() -> None:
    told = estimate(
        [work()], 100, [Worker("a", 1), Worker("b", 1)], History([*steady("a", 2.3), *steady("b", 2.3)])
    )
    assert str(told) == "about 2 min on 2 nodes; from 18 images like these"  # the first of each node was cold
    one = estimate([work(1.0)], 1, [Worker("a", 1)], History(steady("a", 2.9)))
    assert str(one) == "about 12 s on 1 node; roughly, from 9 images of other kinds or sizes"


def test_an_image_that_hung_moves_nothing() -> None:
    images = [*steady("a", 2.0, 9), image("a", 20, 600.0), image("a", 21, 600.0)]
    assert estimate([work()], 1, [Worker("a", 1)], History(images)).seconds == pytest.approx(2.1, rel=0.05)


def test_each_node_has_its_own_pace() -> None:
    history = History([*steady("fast", 1.0), *steady("slow", 9.0)])
    workers = [Worker("fast", 1), Worker("slow", 1)]
    assert estimate([work()], 1, workers, history).seconds == pytest.approx(1.1, rel=0.1)
    together = estimate([work()], 1000, workers, history).seconds
    assert together == pytest.approx(1000 / (1 / 1.1 + 1 / 9.1), rel=0.05)
    assert estimate([work()], 1000, [Worker("fast", 4)], history).seconds == pytest.approx(1100 / 4, rel=0.05)
    stranger = estimate([work()], 10, [Worker("new", 1)], History(steady("fast", 1.0)))
    assert stranger.seconds == pytest.approx(11, rel=0.05), (
        "a node that made nothing yet is taken for a usual one"
    )
    assert stranger.alike


def test_loading_a_model_is_told_apart_from_sampling() -> None:
    images = []
    for turn in range(5):  # two models in turn, ten images each: the first of each ten waits 30 s
        for n in range(10):
            model = "ab"[turn % 2]
            images.append(image("n", turn * 10 + n, 2.0 + 30.0 * (n == 0), work(model=model)))
    history = History(images)
    asked = [work(model="b")]
    assert history.load("n") == pytest.approx(30, abs=0.1)
    assert estimate(asked, 10, [Worker("n", 1, "b")], history).seconds == pytest.approx(21, rel=0.01)
    assert estimate(asked, 10, [Worker("n", 1, "a")], history).seconds == pytest.approx(51, rel=0.01)


def test_what_waits_before_it_comes_first() -> None:
    history = History([*steady("n", 2.0), *steady("n", 20.0, of=work(2.5))])
    told = estimate([work()], 10, [Worker("n", 1)], history, ahead=[(8.0, work(2.5)), (2.0, None)])
    assert told.wait == pytest.approx(8 * 20.1 + 2 * 2.1, rel=0.05)
    assert told.seconds == pytest.approx(told.wait + 21, rel=0.05)
    assert str(told) == (
        "about 21 s on 1 node, after about 3 min for 10 images queued before; from 9 images like these"
    )
    paused = estimate([work()], 10, [Worker("n", 1)], history, paused=True)
    assert "on 1 node, once the queue goes on; from" in str(paused)


def test_a_plan_of_any_size_has_an_answer() -> None:
    told = estimate([work()], 10**30, [Worker("n", 1)], History(steady("n", 2.0)))
    assert str(told).startswith("more than 10 years on 1 node")


def test_times_and_sizes_that_hardly_differ_from_nothing_are_no_error() -> None:
    sizes = [(0.1, 30.0), (1.0, 30.0), (1.0, 2 - 2**-52), (1.0, 2.0)]
    for least, most in [(5e-324, 1e4), (1e4, 5e-324), (1e-300, 1e300)]:
        images = [
            image("a", n, (least, most)[n % 2], work(*size), rest=0.0) for n, size in enumerate(sizes * 4)
        ]
        for size in sizes:
            seconds = History(images).of(work(*size), "a")[0]
            assert seconds is not None
            assert 0 <= seconds < float("inf")


@given(
    st.floats(0.2, 1.5), st.floats(0.2, 1.5), st.floats(0.5, 3.0), st.integers(0, 2**32),
    st.sampled_from([0.1, 0.25, 1.0, 2.0]), st.sampled_from([5.0, 20.0, 60.0]),
)  # fmt: skip
def test_how_the_time_grows_is_learned(
    by_size: float, by_steps: float, pace: float, seed: int, megapixels: float, steps: float
) -> None:
    """Images of a few sizes and steps, up to a tenth off a power law: what was never made comes out near it."""
    rng = Random(seed)

    def law(mp: float, st: float) -> float:
        return pace * mp**by_size * (st / 20) ** by_steps

    images = [
        image("n", n, law(mp, st) * rng.uniform(0.9, 1.1), work(mp, st), rest=1e-9)
        for n, (mp, st) in enumerate(
            (mp, st) for mp in (0.26, 0.5, 0.8) for st in (10.0, 20.0, 40.0) for _ in range(5)
        )
    ]
    seconds = History(images).of(work(megapixels, steps), "n")[0]
    assert seconds == pytest.approx(law(megapixels, steps), rel=0.35)


@A_THIRD
@given(
    st.lists(
        st.builds(image, st.sampled_from("ab"), st.floats(0, 99), st.floats(0, 1e4),
                  st.builds(work, st.sampled_from([0.1, 1.0]), st.sampled_from([1.0, 30.0]),
                            st.sampled_from("xy"), st.sampled_from(["", "m"]))),
        max_size=30,
    ),
    st.integers(1, 5000), st.integers(1, 3), st.booleans(),
)  # fmt: skip
def test_any_history_gives_a_number_or_none(images: list[Made], count: int, slots: int, paused: bool) -> None:
    workers = [Worker("a", slots), Worker("c", 1)]
    told = estimate([work(), work(1.0)], count, workers, History(images), ahead=[(3.5, None)], paused=paused)
    assert (told.seconds is None) == (not images)
    if told.seconds is not None:
        assert 0 <= told.wait <= told.seconds < float("inf")
    assert "\n" not in str(told)
    more = estimate(
        [work(), work(1.0)], count + 1, workers, History(images), ahead=[(3.5, None)], paused=paused
    )
    if told.seconds is not None and more.seconds is not None and count != 2000:
        assert more.seconds >= told.seconds * 0.999


def test_work_is_read_off_any_stages() -> None:
    spec = JobSpec(
        (
            StageSpec(
                "txt2img", "1", "", "", 1, {"width": 1000, "height": 500, "steps": 30, "sampler_name": "Heun"}
            ),
            StageSpec("img2img", "1", "", "", 1, {"steps": 20, "denoising_strength": 0.25, "model": "m"}),
            StageSpec("upscale", "1", "", "", 1, {"upscaling_resize": 2.0, "upscaler": "R"}),
            StageSpec("frame", "1", "", "", 1, {"width": 8, "on": True}),
        ),
        Needs("m"),
    )
    assert work_of(spec) == Work(
        (
            StageWork("txt2img", ("", "Heun", "", ""), 0.5, 30.0),
            StageWork("img2img", ("m", "", "", ""), 0.5, 5.0),
            StageWork("upscale", ("", "", "R", ""), 2.0, 1.0),
            StageWork("frame", ("", "", "", ""), 2.0, 1.0),
            StageWork(REST, (), 2.0, 1.0),
        ),
        "m",
    )


@pytest.mark.parametrize(
    ("hires", "megapixels", "steps"),
    [
        ({"enable_hr": False, "hr_scale": 2.0}, 0.262144, 20),  # the strength is of a pass that is not there
        ({"enable_hr": True, "hr_scale": 2.0}, 1.048576, 20 / 4 + 20 * 0.5),
        ({"enable_hr": True, "hr_scale": 2.0, "hr_second_pass_steps": 8}, 1.048576, 20 / 4 + 8 * 0.5),
        ({"enable_hr": True, "hr_scale": 2.0, "hr_resize_x": 512}, 0.262144, 20 + 20 * 0.5),
    ],
)
def test_a_second_pass_counts_at_its_own_size(
    hires: dict[str, JsonValue], megapixels: float, steps: float
) -> None:
    config = {"width": 512, "height": 512, "steps": 20, "denoising_strength": 0.5, **hires}
    spec = JobSpec(
        (StageSpec("txt2img", "1", "", "", 1, config), StageSpec("img2img", "1", "", "", 1, {"steps": 4}))
    )
    first, second, _ = work_of(spec).stages
    assert (first.megapixels, first.steps) == (megapixels, pytest.approx(steps))
    assert second.megapixels == megapixels


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"stages": 3},
        {"stages": [{"name": "other", "seconds": 1}]},
        {"stages": [{"name": "a"}]},
        {"stages": []},
    ],
)
def test_a_report_that_does_not_tell_is_left_out(report: dict[str, Any]) -> None:
    spec = JobSpec((StageSpec("a", "1", "", "", 1, {}),))
    assert made("n", "", spec, report, 2.0) is None
    told = made("n", "t", spec, {"stages": [{"name": "a", "seconds": 1.5}]}, 2.0)
    assert told == Made("n", "t", work_of(spec), (1.5, 0.5))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "about 1 s"), (41.4, "about 41 s"), (59.6, "about 1 min"), (720, "about 12 min"),
        (3540, "about 59 min"), (7500, "about 2 h 05 min"), (48 * 3600, "about 2 days"),
        (1e12, "more than 10 years"),
    ],
)  # fmt: skip
def test_durations_as_people_say_them(seconds: float, words: str) -> None:
    assert about(seconds) == words


def standing(jobs: float, seconds: float | None = 3.0, slots: int = 1, **more: Any) -> Standing:
    history = None if seconds is None else History(image("n", at, seconds - 0.1) for at in range(3))
    return Standing(jobs, work(), [Worker("n", slots)], history, **more)


def test_runs_in_line_end_one_after_the_other() -> None:
    assert in_line([standing(4), standing(2, 1.0)]) == (
        [pytest.approx(12.0), pytest.approx(14.0)],
        pytest.approx(14.0),
    )
    assert in_line([standing(4, slots=2)])[0] == [pytest.approx(6.0)]
    assert in_line([standing(1, slots=2)])[0] == [pytest.approx(3.0)], "one image is not made by two"
    assert in_line([standing(0.5, slots=2, begun=True)])[0] == [pytest.approx(1.5)]
    assert in_line([]) == ([], 0.0)


def test_a_run_of_which_nothing_is_known_delays_nobody_and_the_whole_is_not_known() -> None:
    for unknown in (standing(5, None), replace(standing(5), work=None), replace(standing(5), workers=())):
        assert in_line([unknown, standing(2)]) == ([None, pytest.approx(6.0)], None)
    without_slots = replace(standing(5), workers=[Worker("n", 0)])
    assert in_line([without_slots]) == ([None], None)


def test_runs_behind_those_that_are_looked_at_are_like_them() -> None:
    assert in_line([standing(4), standing(4, 1.0)], more=8)[1] == pytest.approx(32.0)
    assert in_line([], more=8) == ([], None)


@given(st.lists(st.tuples(st.floats(0.5, 1e6), st.floats(0.2, 100.0), st.integers(1, 8)), max_size=6))
def test_nothing_ends_before_what_stands_before_it_could(runs: list[tuple[float, float, int]]) -> None:
    ends, total = in_line([standing(jobs, seconds, slots) for jobs, seconds, slots in runs])
    begin = 0.0
    for end, (jobs, seconds, slots) in zip(ends, runs, strict=True):
        assert end is not None
        begin += jobs * seconds / slots
        assert end >= begin * (1 - 1e-6)
    assert total == max(ends, default=0.0)
