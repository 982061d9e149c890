"""The tab Queue: what is listed, what is done with it, what is told of one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.desktop.desk_kit import Clock, make_desk
from tests.desktop.queue_kit import Kernel, a_job

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.queue.jobwords import job_line, moment, run_line
from stablenew_plugins.desktop.models.queue.queue import QUIET, QueueModel
from stablenew_plugins.desktop.models.queue.queueruns import AGAIN
from stablenew_proto.v1 import kernel_pb2


class Bench:
    """A model, with time passing for it."""

    def __init__(self, tmp_path: Path, jobs: Sequence[kernel_pb2.Job]) -> None:
        self.kernel = Kernel(jobs)
        self.desk: Desk = make_desk(tmp_path, kernel=self.kernel)
        self.opened: list[Path] = []
        self.queue = QueueModel(self.desk, self.opened.append)
        self.settle()

    def settle(self, seconds: float = 1.0) -> None:
        assert isinstance(self.desk.clock, Clock)
        for _number in range(int(seconds / 0.1) + 1):
            self.queue.rows.look(0, 30)
            self.queue.tick()
            self.desk.clock.move(0.1)

    def news(self, **fields: Any) -> None:
        self.desk.state.news(kernel_pb2.WatchResponse(**fields))

    def act(self) -> None:
        """Press the button of the newest message."""
        self.desk.toasts.shown[-1].act()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bench]:
    return lambda *jobs: Bench(tmp_path, jobs or [a_job(number) for number in range(10)])


def test_the_queue_lists_what_waits_and_runs_and_the_history_what_is_over(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "running"), a_job(1), a_job(2, "done"), a_job(3, "failed"), a_job(4, "cancelled"))
    assert [job.seed for job in bench.queue.queue.rows] == [0, 1]
    bench.queue.show("history")
    bench.settle()
    assert [job.seed for job in bench.queue.history.rows] == [4, 3, 2]
    bench.queue.filter_ended("failed")
    bench.settle()
    assert [job.seed for job in bench.queue.history.rows] == [3]


def test_what_runs_stands_before_what_waits_page_by_page(make: Callable[..., Bench]) -> None:
    states = ["queued", "leased", "running", "queued", "unknown", "queued", "done"]
    bench = make(*(a_job(number, state) for number, state in enumerate(states)))
    listed = [2, 4, 1, 0, 3, 5]
    assert [job.seed for job in bench.queue.queue.rows] == listed
    for offset in range(7):
        for limit in range(1, 7):
            rows, total = bench.queue._fetch_queue(bench.kernel, limit, offset)  # type: ignore[arg-type]
            assert ([job.seed for job in rows], total) == (listed[offset : offset + limit], 6)


def test_what_a_node_has_for_later_stands_behind_what_it_works_on(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "running"), a_job(1, "running"), a_job(2))
    bench.news(queue=kernel_pb2.QueueSummary(active=2, queued=1))
    assert bench.queue.summary == "2 running  ·  1 waiting"
    busy = kernel_pb2.RunningJob(job_id="job-0001")
    busy.progress.stage = "txt2img"
    waits = kernel_pb2.RunningJob(job_id="job-0000")
    bench.news(progress=[waits, busy], jobs=[kernel_pb2.Job(job_id="job-0001", state="running")])
    bench.settle()
    assert bench.queue.summary == "1 running  ·  2 waiting"
    assert [job.seed for job in bench.queue.queue.rows] == [1, 0, 2]


def test_a_change_of_a_job_is_seen_at_once_and_keeps_what_is_known_of_it(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, waiting_reason="the queue is paused"), a_job(1))
    changed = kernel_pb2.Job(job_id="job-0000", run_id="run-1", state="running", attempt=1, node="local")
    bench.news(jobs=[changed])
    job = bench.queue.queue.row(0)
    assert job is not None
    assert (job.state, job.node, job.prompt, job.waiting_reason) == ("running", "local", "lake 0", "")
    assert list(job.stages) == ["txt2img", "upscale"]


def test_a_job_that_is_over_is_not_selected_any_more(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.select(0)
    bench.queue.select(2, "range")
    bench.news(jobs=[kernel_pb2.Job(job_id="job-0001", run_id="run-1", state="done")])
    assert bench.queue.selected == ["job-0000", "job-0002"]


def test_cancelling_offers_to_take_it_back(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.select(1)
    bench.queue.select(3, "range")
    bench.queue.cancel()
    ids = ["job-0001", "job-0002", "job-0003"]
    assert bench.kernel.done == [("cancel", ids, {"reason": "cancelled in the desktop"})]
    assert bench.desk.toasts.shown[-1].text == "3 jobs cancelled."
    bench.act()
    assert bench.kernel.done[-1] == ("retry", ids, {})


def test_nothing_that_is_over_is_cancelled(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "done"))
    bench.queue.show("history")
    bench.settle()
    bench.queue.select(0)
    bench.queue.cancel()
    assert bench.kernel.done == []


MOVES = [
    ("move_up", 4, 5, ("move_before", ["job-0004", "job-0005"], {"before": "job-0003"})),
    ("move_up", 1, 1, None),  # before it is one that runs
    ("move_down", 4, 5, ("move_before", ["job-0004", "job-0005"], {"before": "job-0007"})),
    ("move_down", 8, 8, ("move_bottom", ["job-0008"], {})),
    ("move_down", 9, 9, None),
    ("move_top", 4, 4, ("move_top", ["job-0004"], {})),
    ("move_bottom", 4, 4, ("move_bottom", ["job-0004"], {})),
]


@pytest.mark.parametrize(("how", "first", "last", "done"), MOVES)
def test_moving(make: Callable[..., Bench], how: str, first: int, last: int, done: Any) -> None:
    bench = make(a_job(0, "running"), *(a_job(number) for number in range(1, 10)))
    bench.queue.select(first)
    bench.queue.select(last, "range")
    getattr(bench.queue, how)()
    assert bench.kernel.done == ([done] if done else [])


DRAGS = [
    ([4], 2, ("move_before", ["job-0004"], {"before": "job-0002"})),
    ([4, 5], 8, ("move_before", ["job-0004", "job-0005"], {"before": "job-0008"})),
    ([4], 10, ("move_bottom", ["job-0004"], {})),
    ([4], 4, None),
    ([4], 5, None),
    ([4, 5], 5, None),  # where they stand already
    ([4, 6], 5, ("move_before", ["job-0004", "job-0006"], {"before": "job-0005"})),
    ([0, 4], 2, ("move_before", ["job-0004"], {"before": "job-0002"})),  # one of them runs
    ([0], 5, None),
]


@pytest.mark.parametrize(("chosen", "before", "done"), DRAGS)
def test_dropping(make: Callable[..., Bench], chosen: Sequence[int], before: int, done: Any) -> None:
    bench = make(a_job(0, "running"), *(a_job(number) for number in range(1, 10)))
    for place in chosen:
        bench.queue.select(place, "toggle")
    bench.queue.moves.drop(before)
    assert bench.kernel.done == ([done] if done else [])


def test_what_is_dragged_is_what_is_selected_or_the_row_alone(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "running"), *(a_job(number) for number in range(1, 10)))
    assert not bench.queue.take(0), "it runs"
    assert not bench.queue.take(99), "there is none"
    bench.queue.select(2)
    bench.queue.select(4, "range")
    assert bench.queue.take(3)
    assert bench.queue.selected == ["job-0002", "job-0003", "job-0004"]
    assert bench.queue.take(7)
    assert bench.queue.selected == ["job-0007"]
    bench.queue.escape()
    assert bench.queue.selected == ["job-0007"], "Escape is the drag's"
    bench.queue.let_go()
    bench.queue.escape()
    assert bench.queue.selected == []
    assert [bench.queue.moves.landing(place) for place in (0, 1, 2, 10)] == [1, 1, 2, 10]


def test_a_drop_before_a_job_that_has_started_meanwhile_says_so(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.select(4)
    bench.kernel.started.add("job-0002")
    bench.queue.moves.drop(2)
    toast = bench.desk.toasts.shown[-1]
    assert toast.text == "Nothing was moved: the job behind that place does not wait any more (running)."
    bench.kernel.notes = ["job-0004: started already"]
    bench.queue.moves.drop(1)
    assert bench.desk.toasts.shown[-1].text == "1 job was not moved: it has started meanwhile."


def test_the_history_is_sorted_by_what_was_chosen_and_that_is_remembered(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "done"), a_job(1, "failed"))
    bench.queue.show("history")
    bench.settle()
    assert bench.kernel.orders == ["newest"]
    bench.queue.sort("longest")
    bench.settle()
    assert bench.kernel.orders[-1] == "longest"
    assert QueueModel(bench.desk).order == "longest"
    bench.desk.remembered.set("history_order", "nonsense")
    assert QueueModel(bench.desk).order == "newest"


def test_each_run_has_a_colour_of_its_own(make: Callable[..., Bench]) -> None:
    queue = make().queue
    assert [queue.run_hue(name) for name in "abcab"] == [0, 1, 2, 0, 1]


PLACES = [
    ("waits its turn, not among the next: box is busy (1 of 1)", 6, "After 5 others"),
    ("waits its turn, 2 before it: box is busy (1 of 1)", 6, "After 5 others"),
    ("waits its turn, not among the next: box is busy (1 of 1)", 2, "After 1 other"),
    ("", 3, "After 2 others"),
    ("the queue is paused", 6, "The queue is paused"),
    ("next in the queue: box is busy (1 of 1)", 1, "Next; box is busy (1 of 1)"),
]


@pytest.mark.parametrize(("reason", "place", "note"), PLACES)
def test_every_job_that_waits_says_why(reason: str, place: int, note: str) -> None:
    assert job_line(a_job(0, waiting_reason=reason, place=place), None).note == note


def test_priority_retry_and_what_the_kernel_says_to_it(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "failed"))
    bench.kernel.notes = ["job-0000 is done already"]
    bench.queue.show("history")
    bench.settle()
    bench.queue.select(0)
    bench.queue.retry()
    assert bench.kernel.done == [("retry", ["job-0000"], {})]
    toast = bench.desk.toasts.shown[-1]
    assert (toast.level, toast.hint) == ("warning", "job-0000 is done already")
    bench.queue.set_priority(10)
    assert bench.kernel.done[-1] == ("set_priority", ["job-0000"], {"priority": 10})


def test_the_history_is_cleared_only_behind_a_yes(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.clear_ended()
    assert bench.desk.toasts.shown[-1].text == "There is nothing to clear."
    bench.news(queue=kernel_pb2.QueueSummary(done=1_200, failed=3))
    bench.queue.clear_ended()
    assert bench.kernel.done == []
    assert bench.desk.toasts.shown[-1].text == "Clear 1,203 jobs from the history?"
    bench.act()
    assert bench.kernel.done == [("clear", [], {"all_jobs": True})]


def test_search_waits_for_a_moment_of_quiet(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.show("history")
    for words in ("l", "la", "lake steps>=30"):
        bench.queue.search(words)
        bench.settle(QUIET / 3)
    bench.settle()
    assert bench.kernel.searched == [("lake steps>=30", "")]
    assert bench.queue.is_searching
    assert bench.queue.rows.total == 1
    bench.queue.select(0)
    assert bench.queue.details.job_id == "job-0001"
    bench.queue.open_image()
    assert bench.opened == [Path("/o/1.png")]
    bench.queue.search("")
    bench.settle()
    assert not bench.queue.is_searching


def test_details_tell_what_a_job_makes_and_follow_it(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, waiting_reason="the queue is paused"))
    bench.queue.select(0)
    bench.settle()
    details = bench.queue.details
    assert details.details is not None
    assert details.told is not None
    assert details.told.text == "The queue is paused"
    facts = dict(details.facts)
    assert facts["Seed"] == "0"
    assert facts["Size"] == "512 × 512"
    failed = a_job(0, "failed")
    failed.failure.kind, failed.failure.message = "out_of_memory", "out of memory"
    bench.kernel.all = [failed]
    bench.news(jobs=[failed])
    bench.settle()
    assert details.told is not None
    assert details.told.text == "The GPU ran out of memory at 512x512."
    bench.queue.select_none()
    assert details.job_id == ""
    assert details.details is None


def test_every_job_is_selected_by_a_key_and_of_runs_one_at_a_time(make: Callable[..., Bench]) -> None:
    bench = make(*(a_job(number) for number in range(1_234)))
    bench.queue.select_all()
    assert len(bench.queue.selected) == 1_234
    bench.queue.show("runs")
    bench.settle()
    bench.queue.select(0, "toggle")
    bench.queue.select(0, "toggle")
    assert bench.queue.selected_run is not None


def test_runs(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "failed"), a_job(1), a_job(2, "done"))
    bench.queue.show("runs")
    bench.settle()
    bench.queue.select(0)
    run = bench.queue.selected_run
    assert run is not None
    assert run.name == "demo"
    bench.queue.retry()
    assert bench.kernel.done == [("retry", ["job-0000"], {})]
    bench.queue.cancel()
    assert bench.kernel.done[-1] == ("cancel", [], {"run_id": "run-1", "reason": "cancelled in the desktop"})
    bench.act()
    assert bench.kernel.done[-1] == ("retry", ["job-0001"], {})
    bench.queue.activate(0)
    assert bench.queue.run_id == "run-1"
    assert bench.queue.view == "history"
    bench.settle()
    assert [job.seed for job in bench.queue.history.rows] == [0, 2]


def test_a_run_is_made_again_with_its_specs_in_their_order(make: Callable[..., Bench]) -> None:
    bench = make(a_job(1, "done"), a_job(0, "done"))
    bench.kernel.question = "2 images: really?"
    run = bench.kernel.runs()[0]
    bench.queue.whole.again(run)
    assert bench.kernel.replayed == []
    assert bench.desk.toasts.shown[-1].text == "2 images: really?"
    bench.act()
    assert [spec.name for spec in bench.kernel.replayed[0].specs] == ["00001", "00002"]
    bench.queue.whole.again(kernel_pb2.Run(total=AGAIN + 1))
    assert len(bench.kernel.replayed) == 1


def test_pausing(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.queue.pause.toggle()
    assert bench.kernel.paused
    bench.news(queue=kernel_pb2.QueueSummary(paused=True, queued=10, paused_reason="paused in the desktop"))
    assert bench.queue.pause.is_on
    assert "10 waiting" in bench.queue.summary
    bench.queue.pause.toggle()
    assert not bench.kernel.paused


def test_copy_and_open(make: Callable[..., Bench]) -> None:
    bench = make(a_job(0, "done", path="/o/0.png"))
    bench.queue.show("history")
    bench.settle()
    bench.queue.activate(0)
    bench.queue.open_folder()
    assert bench.opened == [Path("/o/0.png"), Path("/o")]
    bench.queue.copy_id()
    assert bench.queue.to_copy == "job-0000"


def test_every_key_is_there_once_and_only_in_this_tab(make: Callable[..., Bench]) -> None:
    shortcuts = make().queue.shortcuts()
    assert len({shortcut.keys for shortcut in shortcuts}) == len(shortcuts)
    assert {shortcut.tab for shortcut in shortcuts} == {"queue"}


def test_lines_of_jobs() -> None:
    running = kernel_pb2.RunningJob()
    running.progress.stage, running.progress.step, running.progress.steps = "txt2img", 12, 30
    running.progress.fraction, running.progress.eta = 0.25, 14
    line = job_line(a_job(0, "running"), running, {"txt2img": "Text to image"}.__getitem__)
    assert (line.note, line.fraction) == ("Text to image 12/30  ·  0:14", 0.25)
    assert line.stages == "Text to image +1"
    waits = kernel_pb2.RunningJob(job_id="job-0000", node="local")
    line = job_line(a_job(0, "running", node="local"), waits)
    assert (line.note, line.fraction) == ("Next on local", None)
    assert job_line(a_job(0, "done", run_time=1.62), None).note == "1.6 s"
    assert job_line(a_job(0, attempt=3, waiting_reason="the queue is paused"), None).attempt == "try 3"
    assert job_line(a_job(0, "of_tomorrow"), None).state == "of_tomorrow"


def test_lines_of_runs() -> None:
    run = kernel_pb2.Run(state="running", total=10, done=3, failed=1, cancelled=1, seconds=75, active=1)
    line = run_line(run)
    assert (line.counts, line.fraction, line.note) == ("3 of 10  ·  1 failed  ·  1 cancelled", 0.3, "1:15")
    assert run_line(kernel_pb2.Run()).fraction == 0.0


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-27T20:59:52+00:00", "20:59"),
        ("2026-11-26T20:59:52+00:00", "Thu 20:59"),
        ("2026-11-03T20:59:52", "3 Nov"),
        ("2025-11-03T20:59:52", "3 Nov 2025"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments(at: str, words: str) -> None:
    assert moment(at, datetime(2026, 11, 27, 21, 5, tzinfo=UTC)) == words
