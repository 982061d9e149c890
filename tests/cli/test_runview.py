"""What the live view makes of the kernel's messages."""

from __future__ import annotations

import io

from fake_kernel import RUN
from hypothesis import given
from hypothesis import strategies as st

from stablenew_kernel.cli.output import make_console
from stablenew_kernel.cli.runview import FINAL, RunView, run_seconds
from stablenew_kernel.cli.screens import draw, job_cells, state_line
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import common_pb2 as common
from stablenew_proto.v1 import kernel_pb2 as pb


def run(done=0, total=8, state="running", **counts) -> pb.Run:
    return pb.Run(run_id=RUN, name="demo", total=total, done=done, state=state, **counts)


def job(state: str, attempt: int = 1, failure: bool = False, job_id: str = "j") -> pb.Job:
    text = common.Failure(kind="backend", message="500") if failure else None
    return pb.Job(job_id=job_id, run_id=RUN, state=state, attempt=attempt, node="attic", failure=text)


def running(job_id: str = "j", fraction: float = 0.5) -> pb.RunningJob:
    progress = link.JobProgress(
        stage="upscale", stage_index=1, stage_count=2, step=3, steps=20, fraction=fraction, eta=4.2
    )
    return pb.RunningJob(job_id=job_id, run_id=RUN, node="[attic]", progress=progress)


def test_progress_that_comes_after_the_end_of_a_job_does_not_bring_it_back():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(progress=[running()]), 0)
    view.apply(pb.WatchResponse(jobs=[job("done")]), 1)
    view.apply(pb.WatchResponse(progress=[running()]), 2)
    assert not view.running


def test_other_runs_leave_no_trace():
    view = RunView("another")
    assert (
        view.apply(pb.WatchResponse(runs=[run(3)], jobs=[job("failed", failure=True)], progress=[running()]), 0)
        == []
    )
    assert (view.run, view.running) == (None, {})


def test_a_retry_is_told_once_though_the_job_is_sent_again():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(jobs=[job("running")]), 0)
    (news,) = view.apply(pb.WatchResponse(jobs=[job("queued", failure=True)]), 1)
    assert (news.kind, news.text, news.node) == ("retry", "the backend failed: 500", "attic")
    assert view.apply(pb.WatchResponse(jobs=[job("queued", failure=True)]), 2) == []
    (again,) = view.apply(pb.WatchResponse(jobs=[job("queued", attempt=2, failure=True)]), 3)
    assert again.kind == "retry"


def test_old_failures_in_the_snapshot_are_no_news():
    assert RunView(RUN).apply(pb.WatchResponse(snapshot=True, jobs=[job("failed", failure=True)]), 0) == []


def test_a_snapshot_forgets_what_ran_before_the_connection_was_lost():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(progress=[running()]), 0)
    view.apply(pb.WatchResponse(snapshot=True, runs=[run(1)]), 9)
    assert not view.running


def test_images_are_numbered_though_the_counts_of_the_run_come_late():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(snapshot=True, runs=[run(3)]), 0)
    (news,) = view.apply(pb.WatchResponse(images=[pb.SavedImage(run_id=RUN, job_id="j", path="4.png")]), 1)
    assert (news.kind, news.text, news.number) == ("image", "4.png", 4)
    (news,) = view.apply(pb.WatchResponse(runs=[run(4)], images=[pb.SavedImage(run_id=RUN, job_id="k")]), 2)
    assert news.number == 5


def test_speed_and_eta_follow_the_last_minute():
    view = RunView(RUN)
    assert view.eta(0) is None
    for second in range(0, 200, 10):
        view.apply(pb.WatchResponse(runs=[run(min(second // 10, 4), total=8)]), second)
    assert view.per_second(200) is None  # nothing came for a minute
    view.apply(pb.WatchResponse(runs=[run(6, total=8)]), 200)
    assert view.per_second(200) == 2 / 60
    assert view.eta(200) == 60


def test_until_the_speed_is_seen_the_kernels_estimate_counts():
    view = RunView(RUN, expected_end=100.0)
    view.apply(pb.WatchResponse(runs=[run(0)]), 10)
    assert view.eta(10) == 90
    assert view.eta(101) is None  # it was too low, and is no estimate any more
    view.apply(pb.WatchResponse(runs=[run(2)]), 30)
    assert view.eta(30) == 60


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["queued", "leased", "running", *sorted(FINAL)]),
            st.booleans(),
        )
    )
)
def test_whatever_comes_no_ended_job_is_shown_as_running(changes):
    view = RunView(RUN)
    states: dict[str, str] = {}
    for now, (job_id, state, with_progress) in enumerate(changes):
        states[job_id] = state
        done = sum(state == "done" for state in states.values())
        progress = [running(job_id, fraction=1.5)] if with_progress else []
        view.apply(
            pb.WatchResponse(jobs=[job(state, job_id=job_id)], progress=progress, runs=[run(done, 3)]), now
        )
        assert not {job_id for job_id in view.running if states[job_id] in FINAL}
        assert 0 <= view.fraction() <= 1
        assert view.eta(now) is None or view.eta(now) >= 0


def test_the_drawing_has_a_bar_and_a_line_a_running_job_and_reads_no_markup():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(runs=[run(3, failed=1)], progress=[running(), running("k")]), 0)
    stream = io.StringIO()
    console = make_console(stream)
    console.print(draw(view, 1.0, height=20))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("demo")
    assert "4/8, 1 failed" in lines[0]
    assert lines[1].split() == ["[attic]", "upscale", "(2/2)", "step", "3/20", "50%", "4.2", "s", "left"]
    assert len(lines) == 3


def test_the_drawing_keeps_to_its_height():
    view = RunView(RUN)
    view.apply(pb.WatchResponse(runs=[run()], progress=[running(str(number)) for number in range(50)]), 0)
    stream = io.StringIO()
    make_console(stream).print(draw(view, 1.0, height=10))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].strip() == "and 42 more"


def test_a_job_that_has_just_started_is_shown_without_steps():
    assert job_cells(pb.RunningJob(node="attic")) == ["  attic", "starting", "", "0%", ""]


def test_a_pause_comes_before_any_other_reason():
    view = RunView(RUN, queue=pb.QueueSummary(paused=True, paused_reason="disk full"), waiting_reason="no node")
    assert state_line(view) == "the queue is paused (disk full); go on with: stablenew queue resume"
    view.queue = pb.QueueSummary()
    assert state_line(view) == "waiting: no node"


def test_the_time_of_a_run_is_the_kernels():
    assert run_seconds(pb.Run(created_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:01:30+00:00")) == 90
    assert run_seconds(pb.Run(created_at="2026-01-01T00:00:00Z")) is None
