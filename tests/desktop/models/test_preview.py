"""The preview: what it follows, what it keeps, what it does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.desk_kit import Clock, make_desk
from tests.desktop.models.image_kit import FakeKernel, image, pixels, spec

from stablenew_api.errors import UserError
from stablenew_api.jobs import canonical_json
from stablenew_plugins.desktop.models.core.opening import command, open_path
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.core.view import ViewModel
from stablenew_plugins.desktop.models.images.imagefacts import facts_of, side_by_side
from stablenew_plugins.desktop.models.images.preview import LIVE_EVERY, SETTLE, VARIATIONS, PreviewModel
from stablenew_plugins.desktop.models.images.promote import PromoteModel
from stablenew_plugins.desktop.models.images.ratings import Ratings
from stablenew_plugins.desktop.models.images.reseed import reseeded
from stablenew_proto.v1 import agent_link_pb2, gallery_pb2, kernel_pb2


class Pipeline:
    """Notes what it is to take."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def take_from_image(self, image_sha256: str) -> None:
        self.taken.append(image_sha256)

    def apply(self, request: kernel_pb2.RunRequest) -> None:
        request.sets.extend(["txt2img.steps=26", "upscale.upscaler=Lanczos", "pipeline.image_format=webp"])


class Bench:
    def __init__(self, tmp_path: Path, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.desk = make_desk(tmp_path)
        self.view = ViewModel(self.desk)
        self.pipeline: Any = Pipeline()
        self.ratings = Ratings(self.desk)
        self.promotion = PromoteModel(self.desk, self.view, self.pipeline)
        self.preview = PreviewModel(
            self.desk, self.view, self.pipeline, self.ratings, self.promotion, Random(1)
        )

    def connect(self) -> None:
        self.desk.state.connected(self.kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        clock = self.desk.clock
        assert isinstance(clock, Clock)
        clock.move(seconds)
        for model in (self.ratings, self.promotion, self.preview):
            model.tick()

    def saved(self, number: int, run: str = "run-1") -> None:
        self.kernel.stored.insert(0, image(number, run))
        self.desk.state.news(
            kernel_pb2.WatchResponse(
                images=[kernel_pb2.SavedImage(run_id=run, image_sha256=pixels(number), path="x")]
            )
        )
        self.pass_time(SETTLE + 0.01)

    def runs(self, job: str, **progress: Any) -> None:
        told = kernel_pb2.RunningJob(
            job_id=job, node="local", progress=agent_link_pb2.JobProgress(**{"eta": -1.0, **progress})
        )
        self.desk.state.news(kernel_pb2.WatchResponse(progress=[told]))
        self.pass_time(LIVE_EVERY)

    def ended(self, job: str) -> None:
        self.desk.state.news(kernel_pb2.WatchResponse(jobs=[kernel_pb2.Job(job_id=job, state="done")]))
        self.pass_time(LIVE_EVERY)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, FakeKernel([image(3), image(2), image(1)]))
    made.connect()
    return made


def shown(bench: Bench) -> int:
    assert bench.preview.image is not None
    return int(bench.preview.image.image_sha256, 16)


def test_shows_the_newest_image_and_its_run(bench: Bench) -> None:
    assert shown(bench) == 3
    assert [one.seed for one in bench.preview.strip] == [3, 2, 1]
    assert bench.preview.detail is not None


def test_without_images_there_is_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeKernel())
    bench.connect()
    bench.preview.step(1)
    bench.preview.rate(4)
    bench.preview.vary_seed()
    assert bench.preview.image is None
    assert bench.kernel.called("rate") == bench.kernel.called("replay") == []


def test_follows_what_is_saved_until_an_image_is_chosen(bench: Bench) -> None:
    bench.saved(4)
    assert shown(bench) == 4
    bench.preview.step(1)
    assert shown(bench) == 3
    assert not bench.preview.follow
    bench.saved(5)
    assert shown(bench) == 3
    assert [one.seed for one in bench.preview.strip] == [5, 4, 3, 2, 1]
    bench.preview.set_follow(True)
    assert shown(bench) == 5


def test_a_pinned_image_stays_while_another_run_saves(bench: Bench) -> None:
    bench.preview.step(1)
    bench.saved(9, "run-2")
    assert shown(bench) == 2
    assert {one.run_id for one in bench.preview.strip} == {"run-1"}


def test_steps_stay_within_the_run(bench: Bench) -> None:
    bench.preview.step(-5)
    assert shown(bench) == 3
    bench.preview.step(50)
    assert shown(bench) == 1
    assert bench.preview.place == "3 of 3"


def test_follow_is_remembered(bench: Bench) -> None:
    bench.preview.step(1)
    again = PreviewModel(bench.desk, bench.view, bench.pipeline, bench.ratings, bench.promotion)
    assert not again.follow


def test_a_live_preview_keeps_its_last_image_and_counts_new_ones(bench: Bench) -> None:
    bench.runs("a", stage="upscale", step=3, steps=20, fraction=0.5, eta=12.0, preview_jpeg=b"one")
    live = bench.preview.live
    assert live is not None
    assert (live.text, live.eta, live.jpeg) == ("Upscale, step 3 of 20", "0:12 left", b"one")
    assert bench.preview.is_live
    bench.runs("a", stage="upscale", step=4, steps=20)
    assert bench.preview.live is not None
    assert (bench.preview.live.jpeg, bench.preview.live.number) == (b"one", live.number)
    bench.runs("a", stage="upscale", step=5, steps=20, preview_jpeg=b"two")
    assert bench.preview.live.number == live.number + 1


def test_live_previews_are_looked_at_five_times_a_second(bench: Bench) -> None:
    numbers = set()
    for step in range(100):
        job = kernel_pb2.RunningJob(
            job_id="a", progress=agent_link_pb2.JobProgress(preview_jpeg=b"%d" % step, step=step)
        )
        bench.desk.state.news(kernel_pb2.WatchResponse(progress=[job]))
        bench.pass_time(0.01)
        assert bench.preview.live is not None
        numbers.add(bench.preview.live.number)
    assert len(numbers) <= 6


def test_one_of_two_jobs_is_followed_to_its_end(bench: Bench) -> None:
    bench.runs("a", preview_jpeg=b"a")
    bench.runs("b", preview_jpeg=b"b")
    assert bench.preview.live is not None
    assert bench.preview.live.job_id == "a"
    bench.ended("a")
    assert bench.preview.live.job_id == "b"
    bench.ended("b")
    assert bench.preview.live is None


def test_a_pinned_image_hides_the_live_one_and_can_be_rated(bench: Bench) -> None:
    bench.runs("a", preview_jpeg=b"a")
    bench.preview.rate(5)
    bench.preview.toggle_tag("hands")
    bench.preview.add_tag("mine")
    assert bench.kernel.called("rate") == []
    assert bench.ratings.of(bench.kernel.stored[0]).tags == ()
    assert bench.desk.toasts.shown
    bench.preview.step(1)
    assert not bench.preview.is_live
    bench.preview.rate(5)
    assert [call[:2] for call in bench.kernel.called("rate")] == [(pixels(2), 5)]


def test_a_kernel_that_is_gone_ends_the_live_preview_and_a_new_one_is_asked(bench: Bench) -> None:
    bench.runs("a", preview_jpeg=b"a")
    bench.desk.state.lost("killed")
    bench.pass_time(LIVE_EVERY)
    assert bench.preview.live is None
    assert shown(bench) == 3
    bench.kernel.stored.insert(0, image(8))
    bench.connect()
    assert shown(bench) == 8


def test_ratings_made_elsewhere_are_seen(bench: Bench) -> None:
    bench.kernel.stored[0].stars = 2
    bench.pass_time(11)
    assert bench.preview.opinion is not None
    assert bench.preview.opinion.stars == 2


def test_variations_differ_in_the_seed_only(bench: Bench) -> None:
    bench.preview.vary_seed()
    (request,) = bench.kernel.called("replay")
    specs = [json.loads(one.content) for one in request.specs]
    assert len({one["stages"][0]["seed"] for one in specs}) == VARIATIONS
    for one in specs:
        assert canonical_json(one) == reseeded(spec(), one["stages"][0]["seed"])


def test_replay_sends_the_job_as_it_was(bench: Bench) -> None:
    bench.preview.replay()
    (request,) = bench.kernel.called("replay")
    assert [one.content for one in request.specs] == [spec()]


def test_settings_and_later_stages(bench: Bench) -> None:
    bench.preview.use_settings()
    assert bench.pipeline.taken == [pixels(3)]
    bench.preview.promote()
    bench.pass_time(1)
    assert bench.view.overlay == "promote"
    bench.promotion.submit()
    (request,) = bench.kernel.called("submit")
    assert list(request.promote.image_sha256s) == [pixels(3)]
    assert list(request.only_stages) == ["upscale"]
    assert bench.view.overlay == ""


def test_nothing_is_promoted_without_a_stage(bench: Bench) -> None:
    bench.preview.promote()
    bench.promotion.toggle("upscale")
    bench.pass_time(1)
    assert bench.promotion.problem
    bench.promotion.submit()
    assert bench.kernel.called("submit") == []


@given(seed=st.integers(0, 2**64 - 1), old=st.integers(0, 2**64 - 1), apart=st.integers(0, 2**64 - 1))
def test_reseeding_keeps_stages_as_far_apart_as_they_were(seed: int, old: int, apart: int) -> None:
    job = json.loads(spec(old))
    job["stages"][1]["seed"] = (old + apart) % 2**64
    made = json.loads(reseeded(json.dumps(job).encode(), seed))
    first, second = made["stages"]
    assert first["seed"] == first["config"]["seed"] == seed
    assert (second["seed"] - first["seed"]) % 2**64 == apart
    assert "seed" not in second["config"]
    for key in ("needs", "inputs", "run_timeout"):
        assert made[key] == job[key]


def test_opening_runs_no_shell(tmp_path: Path) -> None:
    path = Path("a & b; c.png")
    assert command(path, "linux", reveal=False) == ["xdg-open", "a & b; c.png"]
    assert command(path, "darwin", reveal=True) == ["open", "-R", "a & b; c.png"]
    assert command(path, "win32", reveal=True) == ["explorer", "/select,a & b; c.png"]
    with pytest.raises(UserError, match="is gone"):
        open_path(tmp_path / "missing.png")


def test_a_missing_opener_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    with pytest.raises(UserError, match="can't be started"):
        open_path(file, platform="linux")


@pytest.mark.skipif(sys.platform == "win32", reason="the opener is a shell script")
def test_an_opener_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\necho no viewer >&2\nexit 3\n", encoding="utf-8")
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    with pytest.raises(UserError, match="no viewer"):
        open_path(file, platform="linux")


def test_facts_do_without_details() -> None:
    told = facts_of(image(1), None, str)
    assert [fact.value for fact in told if fact.name in ("Seed", "Size")] == ["1", "640 × 480"]


def test_six_facts_come_first_and_the_others_on_request_which_is_remembered(bench: Bench) -> None:
    preview = bench.preview
    bench.kernel.stored[0].negative_prompt = "blurry"
    bench.kernel.stored[0].run_time = 4.0
    bench.pass_time(11)
    first = [fact.name for fact in preview.facts if not fact.more]
    assert first == ["Prompt", "Seed", "Model", "Sampler", "Size", "Made in"]
    assert [fact.name for fact in preview.facts][len(first) :] == ["Negative", "Stages", "File"]
    assert not preview.all_facts
    preview.show_all_facts(True)
    assert PreviewModel(bench.desk, bench.view, bench.pipeline, bench.ratings, bench.promotion).all_facts


def test_stages_are_called_by_their_titles_once_they_are_known(bench: Bench) -> None:
    bench.pass_time(0.1)
    [stages] = [fact.value for fact in bench.preview.facts if fact.name == "Stages"]
    assert stages == "Text to image → Upscale"
    seen = bench.preview.revision
    bench.desk.state.know_stages([kernel_pb2.Stage(name="txt2img", title="Aus Text")])
    bench.pass_time(0.1)
    assert bench.preview.revision > seen
    [stages] = [fact.value for fact in bench.preview.facts if fact.name == "Stages"]
    assert stages == "Aus Text → upscale"


def test_only_what_differs_is_compared() -> None:
    def detail(number: int, settings: str) -> gallery_pb2.GetImageResponse:
        return gallery_pb2.GetImageResponse(image=image(number, prompt="same"), settings_json=settings.encode())

    found = side_by_side(
        [
            detail(1, '{"txt2img": {"steps": 20, "cfg_scale": 7.0}}'),
            detail(2, '{"txt2img": {"steps": 30, "cfg_scale": 7.0}, "upscale": {"upscaler": "x"}}'),
        ],
        lambda stage: stage,
        KernelState().setting_title,
    )
    assert {row.name: tuple(row.values) for row in found if row.differs} == {
        "Seed": ("1", "2"),
        "txt2img · Steps": ("20", "30"),
        "upscale": ("no", "yes"),
    }
