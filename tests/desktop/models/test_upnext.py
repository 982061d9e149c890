"""Which runs come next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.desktop.desk_kit import Clock, make_desk

from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.queue.upnext import AWAY, PATIENCE, PERIOD, UpNextModel
from stablenew_proto.v1 import kernel_pb2 as pb


class Kernel:
    """Knows the first waiting job of each run."""

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places
        self.asked: list[str] = []
        self.error: Exception | None = None

    def jobs(self, run_id: str, states: Sequence[str], limit: int, offset: int) -> pb.ListJobsResponse:
        self.asked.append(run_id)
        if self.error is not None:
            raise self.error
        assert (tuple(states), limit, offset) == (("queued",), 1, 0)
        if run_id not in self.places:
            return pb.ListJobsResponse()
        why = "waits for a free slot on studio"
        return pb.ListJobsResponse(
            jobs=[pb.Job(run_id=run_id, state="queued", place=self.places[run_id], waiting_reason=why)]
        )

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def kernel() -> Kernel:
    return Kernel({"a": 10, "b": 1, "c": 4, "d": 30, "e": 31})


@pytest.fixture
def model(tmp_path: Path, kernel: Kernel) -> UpNextModel:
    desk = make_desk(tmp_path, kernel)
    runs = [
        pb.Run(run_id=name, name=f"run {name}", state="running", queued=2, created_at=name) for name in "abcde"
    ]
    over = [
        pb.Run(run_id="x", name="over", state="done", created_at="x"),
        pb.Run(run_id="y", name="at its last image", state="running", active=1, created_at="y"),
    ]
    desk.state.news(pb.WatchResponse(runs=[*runs, *over]))
    return UpNextModel(desk)


def look(model: UpNextModel, seconds: float = PERIOD) -> None:
    clock = model._desk.clock
    assert isinstance(clock, Clock)
    clock.move(seconds)
    model.look()
    model.tick()


def test_runs_stand_in_the_order_of_the_queue(model: UpNextModel) -> None:
    look(model)
    assert [(run.name, run.count) for run in model.runs] == [
        ("run b", "2 images"),
        ("run c", "2 images"),
        ("run a", "2 images"),
    ]
    assert model.more == "2 more runs"
    assert [run.note for run in model.runs] == ["Waits for a free slot on studio"] * 3
    assert not any(run.works for run in model.runs)


def test_nobody_is_asked_while_nobody_looks_or_nothing_changed(model: UpNextModel, kernel: Kernel) -> None:
    clock = model._desk.clock
    assert isinstance(clock, Clock)
    model.tick()
    assert not kernel.asked
    look(model)
    assert sorted(kernel.asked) == list("abcde")
    for _time in range(3):
        look(model)
    assert len(kernel.asked) == 5
    clock.move(AWAY + 1)
    model._desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="b", state="done", created_at="b")]))
    model.tick()
    assert len(kernel.asked) == 5
    look(model)
    assert len(kernel.asked) == 9
    assert model.runs[0].name == "run c"


def test_nodes_that_work_on_a_run_are_named(model: UpNextModel) -> None:
    look(model)
    job = pb.RunningJob(job_id="1", run_id="b", node="gpu-box")
    model._desk.state.news(pb.WatchResponse(progress=[job]))
    look(model, 0)
    assert (model.runs[0].note, model.runs[0].works) == ("gpu-box", True)


def test_what_the_kernel_can_not_say_is_told_and_asked_again(model: UpNextModel, kernel: Kernel) -> None:
    kernel.error = KernelUnavailable("gone")
    look(model)
    assert model.problem
    assert [run.name for run in model.runs] == ["run a", "run b", "run c"]  # as they were queued
    kernel.error = None
    look(model, PATIENCE)
    assert not model.problem
    assert model.runs[0].name == "run b"
    kernel.error, before = KernelUnavailable("gone"), model.runs
    model._desk.state.jobs_revision += 1
    look(model)
    told = model.revision
    kernel.error = None
    look(model, PATIENCE)
    assert (model.problem, model.runs) == ("", before)
    assert model.revision > told  # who shows the problem hears that it is gone
    model._desk.state.lost("it is gone")
    model._desk.state.jobs_revision += 1
    look(model)
    assert not model.problem
