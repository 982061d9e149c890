"""What a worker keeps between stages, and how it goes on with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stablenew_agent.keeping import StageKeeper
from stablenew_agent.running import JobRunner
from stablenew_agent.turns import EventToken
from stablenew_api.backend import BackendIdentity, Capabilities
from stablenew_api.jobs import JsonValue
from stablenew_api.stage import Phase, Stage, StageConfig, StageImage

IDENTITY = BackendIdentity("b", "1", stand_in=True)


class _Draw(Stage):
    name, version, title, Config, phase = "txt2img", "1", "Draw", StageConfig, Phase.GENERATE

    def run(self, ctx: Any, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        return [StageImage(Image.new("RGB", (4, 3), (ctx.seed, 0, 0)), {"Steps": 3})]


class _Brighten(Stage):
    name, version, title, Config, phase = "brighten", "1", "Brighten", StageConfig, Phase.POST

    def run(self, ctx: Any, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        if ctx.prompt == "fail":
            raise ValueError("no")
        made = [item.image.point(lambda value: min(255, value + 10)) for item in images]
        return [
            StageImage(image, {**item.info, "Brighten": int(str(item.info.get("Brighten", 0))) + 1})
            for image, item in zip(made, images, strict=True)
        ]


def line(tmp: Path, *prompts: str, **more: Any) -> dict[str, Any]:
    """A job line: txt2img, then brighten with each further prompt."""
    stages = [
        {
            "name": "brighten" if at else "txt2img",
            "prompt": text,
            "negative_prompt": "",
            "seed": 7,
            "config": {},
        }
        for at, text in enumerate(prompts)
    ]
    spec = {"stages": stages, "inputs": []}
    return {"job": "j", "attempt": 1, "out": str(tmp / "j-1"), "inputs": [], "spec": spec, **more}


def run(job: Mapping[str, Any], keep_after: float | None = 0.0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ``done`` line, and those before it."""
    said: list[dict[str, Any]] = []

    def emit(message: Mapping[str, JsonValue]) -> None:
        said.append(dict(message))

    kinds: Any = {"txt2img": _Draw, "brighten": _Brighten}
    backend: Any = _NoBackend()
    runner = JobRunner(kinds, backend, lambda: IDENTITY, Capabilities, "0", emit, threading.Event(), keep_after)
    done = runner.run(job, EventToken(), _Device())
    return dict(done), [message for message in said if message["op"] == "stage"]


class _Device:
    def take(self) -> None: ...

    def release(self) -> None: ...


class _NoBackend:
    config = None
    offers: frozenset[str] = frozenset()


def resumed(job: dict[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    paths = [file["path"] for file in kept["files"]]
    report = json.loads(kept["report"])
    return {**job, "resume": {"stages": kept["stages"], "images": paths, "report": report}}


def test_a_job_that_failed_goes_on_behind_its_last_good_stage_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole, _ = run(line(tmp_path, "a", "b", "c"), None)
    failed, kept = run(line(tmp_path, "a", "b", "fail"))
    assert failed["state"] == "failed"
    last = kept[-1]
    assert (last["job"], last["attempt"]) == ("j", 1)
    assert json.loads(last["report"])["backend"] == {"name": "b", "version": "1", "stand_in": True}
    rest, _ = run(resumed(line(tmp_path, "a", "b", "c"), last))
    assert [file["sha256"] for file in rest["files"]] == [file["sha256"] for file in whole["files"]]
    first, again = json.loads(whole["report"])["stages"], json.loads(rest["report"])["stages"]
    assert [stage["info"] for stage in again] == [stage["info"] for stage in first]
    assert again[-1]["info"] == {"Steps": 3, "Brighten": 2}, "and what was said of it before is still said"
    assert rest["run_time"] >= sum(stage["seconds"] for stage in again[: last["stages"]])
    assert last["files"][0]["sha256"] not in {file["sha256"] for file in whole["files"]}


def test_nothing_is_kept_of_short_work_nor_of_the_last_stage(tmp_path: Path) -> None:
    for job, after in ((line(tmp_path, "a", "fail"), 60.0), (line(tmp_path, "a", "fail"), None)):
        assert run(job, after)[1] == []
    assert all(kept["stages"] < 2 for kept in run(line(tmp_path, "a", "b"))[1])


def test_a_done_job_says_nothing_more_and_leaves_no_file(tmp_path: Path) -> None:
    said: list[Any] = []
    started, go_on = threading.Event(), threading.Event()

    def identity() -> BackendIdentity:
        started.set()
        assert go_on.wait(60)
        return IDENTITY

    keeper = StageKeeper(line(tmp_path, "a", "b"), said.append, identity, 0.0)
    keeper.made(1, [StageImage(Image.new("RGB", (4, 4)))], [{"name": "txt2img", "seconds": 1.0}])
    assert started.wait(60)
    keeper.discard()
    go_on.set()
    keeper.settle()
    assert said == []
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["1", "L", "LA", "RGB", "RGBA"]), st.integers(1, 9), st.integers(1, 9), st.randoms())
def test_images_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, mode: str, width: int, height: int, rng: Any
) -> None:
    tmp_path = tmp_path_factory.mktemp("kept")
    image = Image.frombytes("RGBA", (width, height), rng.randbytes(4 * width * height)).convert(mode)
    said: list[Any] = []
    job = line(tmp_path, "a", "b")
    keeper = StageKeeper(job, said.append, lambda: IDENTITY, 0.0)
    info = {"Steps": 3, "Model": "x"}
    keeper.made(1, [StageImage(image, info)], [{"name": "txt2img", "seconds": 1.5}])
    keeper.settle()
    (kept,) = said
    images, reports = StageKeeper(resumed(job, kept), said.append, lambda: IDENTITY, 0.0).begin() or ([], [])
    assert (images[0].image.mode, images[0].image.tobytes()) == (mode, image.tobytes())
    assert (dict(images[0].info), reports) == (info, [{"name": "txt2img", "seconds": 1.5}])


@pytest.mark.parametrize("mode", ["P", "CMYK", "F"])
def test_images_that_a_png_would_change_are_not_kept(tmp_path: Path, mode: str) -> None:
    said: list[Any] = []
    keeper = StageKeeper(line(tmp_path, "a", "b"), said.append, lambda: IDENTITY, 0.0)
    keeper.made(1, [StageImage(Image.new(mode, (4, 4)))], [{}])
    keeper.settle()
    assert said == []


@pytest.mark.parametrize(
    "change",
    [
        {"images": ["nowhere.png"]},
        {"stages": 2},
        {"report": {"stages": [{}]}},
        {"report": {"stages": [{"seconds": "x"}], "infos": [{}]}},
        {"images": []},
    ],
)
def test_what_cannot_be_used_is_left_and_the_job_begins_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    _, kept = run(line(tmp_path, "a", "fail"))
    job = resumed(line(tmp_path, "a", "b"), kept[0])
    job["resume"] |= change
    done, _ = run(job)
    assert done["state"] == "succeeded"
    assert [stage["name"] for stage in json.loads(done["report"])["stages"]] == ["txt2img", "brighten"]


def test_a_stage_whose_words_json_cannot_hold_is_not_kept(tmp_path: Path) -> None:
    said: list[Any] = []
    keeper = StageKeeper(line(tmp_path, "a", "b"), said.append, lambda: IDENTITY, 0.0)
    keeper.made(1, [StageImage(Image.new("RGB", (4, 4)), {"x": object()})], [{}])
    keeper.settle()
    assert said == []
