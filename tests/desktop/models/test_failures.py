"""What is said when images can't be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.desktop.desk_kit import Clock, make_desk

from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.failures import QUIET, FailureNews
from stablenew_plugins.desktop.models.queue.queue import QueueModel
from stablenew_proto.v1 import kernel_pb2


class Kernel:
    """Knows what jobs were to make."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone = False

    def job(self, job_id: str) -> kernel_pb2.GetJobResponse:
        self.asked.append(job_id)
        if self.gone:
            raise KernelUnavailable("gone")
        stages = [
            {"name": "txt2img", "config": {"width": 1024, "height": 1024}},
            {"name": "upscale", "config": {"upscaling_resize": 2.0}},
        ]
        spec = json.dumps({"stages": stages}).encode()
        return kernel_pb2.GetJobResponse(job=failed(job_id), spec_json=spec)


def failed(job_id: str, kind: str = "out_of_memory", run_id: str = "run-1") -> kernel_pb2.Job:
    job = kernel_pb2.Job(job_id=job_id, run_id=run_id, state="failed", run_name="demo", node="local")
    job.failure.kind, job.failure.message = kind, "out of memory"
    return job


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.kernel = Kernel()
        self.desk: Desk = make_desk(tmp_path, kernel=self.kernel)
        self.shown: list[str] = []
        self.news = FailureNews(self.desk, self.shown.append)

    def tell(self, *jobs: kernel_pb2.Job) -> None:
        self.desk.state.news(kernel_pb2.WatchResponse(jobs=jobs))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_failure_is_told_with_what_to_try_and_shown_on_request(bench: Bench) -> None:
    bench.tell(failed("a"))
    (toast,) = bench.desk.toasts.shown
    assert toast.text == "demo: The GPU ran out of memory at 2048x2048."
    assert toast.hint == "Try a 1.5x upscale."
    assert toast.level == "error"
    assert "out of memory" in toast.detail
    toast.act()
    assert bench.shown == ["run-1"]


def test_a_hundred_that_fail_alike_are_told_once(bench: Bench) -> None:
    bench.tell(*(failed(str(number)) for number in range(100)))
    assert bench.kernel.asked == ["0"]
    bench.tell(failed("x", kind="timeout"))
    bench.tell(failed("y", run_id="run-2"))
    assert bench.kernel.asked == ["0", "x", "y"]
    assert isinstance(bench.desk.clock, Clock)
    bench.desk.clock.move(QUIET)
    bench.tell(failed("z"))
    assert bench.kernel.asked[-1] == "z"


def test_what_is_tried_again_or_done_is_no_news(bench: Bench) -> None:
    again = failed("a")
    again.state = "queued"
    bench.tell(again, kernel_pb2.Job(job_id="b", state="done"), kernel_pb2.Job(job_id="c", state="cancelled"))
    assert bench.desk.toasts.shown == []


def test_without_a_word_of_the_kernel_it_is_told_all_the_same(bench: Bench) -> None:
    bench.kernel.gone = True
    bench.tell(failed("a"))
    (toast,) = bench.desk.toasts.shown
    assert toast.text == "demo: The GPU ran out of memory."


def test_what_failed_of_a_run_is_listed(bench: Bench) -> None:
    queue = QueueModel(bench.desk)
    queue.show_failed("run-1")
    assert (queue.view, queue.ended, queue.run_id, queue.words) == ("history", "failed", "run-1", "")
