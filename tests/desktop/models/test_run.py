"""The command bar: the plan, running, stopping, the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_kit import Bench, FakeKernel, write
from desk_kit import Clock, Inline, make_desk

from stablenew_api.errors import KernelUnavailable, UserError
from stablenew_plugins.desktop.models.run import QUIET, SHOWN
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def bench(tmp_path: Path, kernel: FakeKernel) -> Bench:
    return Bench(make_desk(tmp_path, kernel), kernel)


def toasts(bench: Bench) -> list[tuple[str, str]]:
    return [(toast.level, toast.text) for toast in bench.desk.toasts.shown]


# --- the plan -----------------------------------------------------------------------------------------------


def test_the_plan_is_asked_for_after_a_moment_of_quiet(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    clock, run = bench.desk.clock, bench.run
    assert isinstance(clock, Clock)
    bench.packs.selected = [write(tmp_path, "a.txt")]
    for _key in range(5):
        bench.packs.plan_revision += 1
        run.tick()
        clock.move(QUIET * 0.8)
        run.tick()
    assert run.is_planning
    assert not kernel.previewed
    clock.move(QUIET)
    run.tick()
    assert len(kernel.previewed) == 1
    assert (run.is_planning, run.plan.images, run.label) == (False, 20, "Run 20 images")
    clock.move(60)
    run.tick()
    assert len(kernel.previewed) == 1


def test_a_plan_of_several_packs_shows_the_first_jobs_of_each(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.images = 50
    bench.select(*(write(tmp_path, f"{name}.txt") for name in "abc"))
    plan = bench.run.plan
    assert plan.images == 150
    assert [len(pack.jobs) for pack in plan.packs] == [50, 10, 1]
    assert len(plan.jobs) == SHOWN


def test_a_pack_that_cannot_be_planned_is_told_beside_those_that_can(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.txt"
    bench.select(write(tmp_path, "a.txt"), gone)
    [(path, why)] = bench.run.plan.problems
    assert path == gone
    assert "no such file" in why
    assert bench.run.plan.images == 20
    assert bench.run.why_not == ""
    bench.select(gone)
    assert "no such file" in bench.run.why_not


def test_a_newer_plan_makes_the_one_on_its_way_void(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    background = bench.desk.background
    assert isinstance(background, Inline)
    background.held = True
    bench.select(write(tmp_path, "a.txt"))
    bench.select(write(tmp_path, "b.txt"))
    background.held = False
    background.release()
    assert [run.pack_name for run, _show in kernel.previewed] == ["b.txt"]
    assert [pack.path.name for pack in bench.run.plan.packs] == ["b.txt"]


def test_without_a_kernel_the_plan_waits_for_one(tmp_path: Path, kernel: FakeKernel) -> None:
    bench = Bench(make_desk(tmp_path), kernel)
    bench.select(write(tmp_path, "a.txt"))
    assert not bench.run.can_run
    assert "kernel" in bench.run.why_not
    bench.run.run()
    assert toasts(bench)[0][0] == "warning"
    bench.desk.state.connected(kernel, pb.GetStatusResponse())  # type: ignore[arg-type]
    bench.settle()
    assert bench.run.can_run
    assert bench.run.plan.images == 20


def test_behind_a_run_the_plan_is_another_one(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    """What is drawn, and what goes on from run to run, changes with each run, whoever starts it."""
    bench.select(write(tmp_path, "a.txt"))
    asked = len(kernel.previewed)
    bench.run.run()
    bench.settle()
    assert len(kernel.previewed) == asked + 1
    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="of the command line", state="running")]))
    bench.settle()
    assert len(kernel.previewed) == asked + 2
    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="of the command line", state="done")]))
    bench.settle()
    assert len(kernel.previewed) == asked + 2


def test_a_fault_leaves_no_plan_of_something_else(
    bench: Bench, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.select(write(tmp_path, "a.txt"))

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(kernel, "preview", fail)
    bench.select(write(tmp_path, "b.txt"))
    assert bench.run.plan.images == 0
    assert not bench.run.is_planning
    assert toasts(bench)[0][0] == "error"


def test_the_kernel_goes_away_while_it_plans(
    bench: Bench, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise KernelUnavailable("gone")

    monkeypatch.setattr(kernel, "preview", fail)
    bench.select(write(tmp_path, "a.txt"))
    assert bench.run.plan.problems
    assert not bench.run.is_planning


# --- running ------------------------------------------------------------------------------------------------


def test_running_queues_every_pack_once_and_in_order(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    bench.select(write(tmp_path, "b.txt"), write(tmp_path, "a.txt"))
    bench.run.run()
    assert [run.pack_name for run in kernel.submitted] == ["b.txt", "a.txt"]
    assert toasts(bench) == [("good", "40 images queued.")]
    assert not kernel.changed


def test_running_next_puts_them_before_all_others_in_order(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    bench.select(write(tmp_path, "a.txt"), write(tmp_path, "b.txt"))
    bench.run.run_next()
    assert kernel.changed == [("move_top", "run 2"), ("move_top", "run 1")]


def test_pressing_twice_queues_once(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    background = bench.desk.background
    assert isinstance(background, Inline)
    bench.select(write(tmp_path, "a.txt"))
    background.held = True
    bench.run.run()
    bench.run.run()
    assert bench.run.submitting
    assert not bench.run.can_run
    background.release()
    assert len(kernel.submitted) == 1
    assert not bench.run.submitting


def test_one_that_cannot_be_read_queues_nothing(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    bench.select(write(tmp_path, "a.txt"), tmp_path / "gone.txt")
    bench.run.run()
    assert not kernel.submitted
    assert toasts(bench)[0][0] == "error"
    assert not bench.run.submitting


def test_a_refusal_is_told_and_the_button_works_again(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    bench.select(write(tmp_path, "a.txt"))
    kernel.refusal = UserError("the queue is full; wait for some to end")
    bench.run.run()
    [toast] = bench.desk.toasts.shown
    assert (toast.text, toast.hint) == ("The queue is full.", "Wait for some to end.")
    assert bench.run.can_run


@pytest.mark.parametrize("packs", [1, 3])
@pytest.mark.parametrize("yes", [True, False])
def test_a_large_run_is_asked_about_once_and_queued_once(
    bench: Bench, kernel: FakeKernel, tmp_path: Path, packs: int, yes: bool
) -> None:
    kernel.question = "That would be 700 images."
    bench.select(*(write(tmp_path, f"{number}.txt") for number in range(packs)))
    bench.run.run()
    assert not kernel.submitted
    question = bench.run.question
    assert question is not None
    assert "700 images" in question.text
    bench.run.answer(yes)
    assert bench.run.question is None
    assert len(kernel.submitted) == (packs if yes else 0)
    assert all(run.confirmed for run in kernel.submitted)
    assert not bench.run.submitting


def test_a_yes_that_no_kernel_hears_is_told(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.question = "That would be 700 images."
    bench.select(write(tmp_path, "a.txt"))
    bench.run.run()
    bench.desk.state.lost("it is gone")
    bench.run.answer(True)
    assert not bench.run.submitting
    assert [level for level, _text in toasts(bench)] == ["error"]


def test_some_of_a_large_run_can_be_had_in_its_place(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.question = "700 images, more than 500. To make fewer: --sample 100 draws 100 of them."
    bench.select(write(tmp_path, "a.txt"))
    bench.run.run()
    question = bench.run.question
    assert question is not None
    assert question.words == "700 images, more than 500."
    bench.run.answer(True, some=True)
    assert [run.sample for run in kernel.submitted] == [100]


def test_collecting_pauses_the_queue_before_anything_could_begin(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    bench.select(write(tmp_path, "a.txt"))
    bench.run.choose_mode("collect")
    assert bench.run.label == "Add 20 images"
    bench.run.run()
    assert kernel.calls == ["paused True", "submit"]
    bench.desk.state.news(pb.WatchResponse(queue=pb.QueueSummary(paused=True)))
    bench.run.run()
    assert kernel.calls == ["paused True", "submit", "submit"]
    bench.run.pause.toggle()
    assert kernel.calls[-1] == "paused False"
    assert Bench(bench.desk, kernel).run.queue_mode == "collect"


@pytest.mark.parametrize(
    ("queue", "paused"),
    [({}, True), ({"active": 1}, False), ({"queued": 4}, False), ({"queued": 4, "paused": True}, False)],
)
def test_adding_to_the_queue_starts_nothing_and_holds_nothing_up(
    bench: Bench, kernel: FakeKernel, tmp_path: Path, queue: dict[str, Any], paused: bool
) -> None:
    bench.select(write(tmp_path, "a.txt"))
    bench.desk.state.news(pb.WatchResponse(queue=pb.QueueSummary(**queue)))
    bench.run.add_to_queue()
    assert kernel.calls == [*(["paused True"] if paused else []), "submit"]
    [toast] = bench.desk.toasts.shown
    stands = paused or queue.get("paused", False)
    assert toast.action == ("Start the queue" if stands else "")
    if stands:
        toast.act()
        assert kernel.calls[-1] == "paused False"


@pytest.mark.parametrize("yes", [True, False])
def test_a_large_run_that_is_added_starts_nothing_and_pauses_nothing_if_it_is_not_wanted(
    bench: Bench, kernel: FakeKernel, tmp_path: Path, yes: bool
) -> None:
    kernel.question = "That would be 700 images."
    bench.select(write(tmp_path, "a.txt"))
    bench.run.add_to_queue()
    assert kernel.calls == ["paused True", "submit", "paused False"]
    bench.run.answer(yes)
    assert kernel.calls[3:] == (["paused True", "submit"] if yes else [])


# --- stopping -----------------------------------------------------------------------------------------------


def test_stopping_stops_what_is_made_and_offers_to_stop_the_rest(bench: Bench, kernel: FakeKernel) -> None:
    runs = [
        pb.Run(run_id="a", state="running", active=1, created_at="1"),
        pb.Run(run_id="b", state="running", created_at="2"),
        pb.Run(run_id="c", state="done", created_at="0"),
    ]
    bench.desk.state.news(pb.WatchResponse(runs=runs))
    assert bench.run.can_stop
    bench.run.stop()
    assert kernel.changed == [("cancel", "a")]
    assert bench.run.stopping == {"a"}
    [toast] = bench.desk.toasts.shown
    assert toast.action == "Stop everything"
    toast.act()
    assert [run for _what, run in kernel.changed] == ["a", "a", "b"]
    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="a", state="cancelled")]))
    bench.settle()
    assert bench.run.stopping == {"b"}
    assert not bench.run.can_stop
    assert bench.run.is_stopping
    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="b", state="cancelled")]))
    bench.settle()
    assert not bench.run.is_stopping


def test_there_is_nothing_to_stop(bench: Bench, kernel: FakeKernel) -> None:
    assert not bench.run.can_stop
    bench.run.stop()
    assert not kernel.changed


@pytest.mark.parametrize("is_there", [True, False])
def test_a_run_that_could_not_be_stopped_can_be_stopped_again(
    bench: Bench, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise KernelUnavailable("no answer")

    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="a", state="running", active=1)]))
    monkeypatch.setattr(kernel, "change_jobs", fail)
    if not is_there:
        bench.desk.state.lost("it is gone")
    bench.run.stop()
    bench.settle()
    assert (bench.run.stopping, bench.run.is_stopping) == (set(), False)
    assert bench.run.can_stop == is_there
    assert [level for level, _text in toasts(bench)] == ["error"]
