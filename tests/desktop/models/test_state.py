"""What the kernel told last."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.link import KEPT, Pending
from stablenew_plugins.desktop.models.core.state import IMAGES_KEPT, KernelState
from stablenew_plugins.desktop.text import formula
from stablenew_proto.v1 import kernel_pb2 as pb


class Kernel:
    """Knows whether it was let go of."""

    closed = False

    def close(self) -> None:
        self.closed = True


def connected(kernel: Any = None) -> KernelState:
    state = KernelState()
    state.connected(kernel or Kernel(), pb.GetStatusResponse())  # type: ignore[arg-type]
    return state


def test_coming_and_going() -> None:
    state = KernelState()
    calls: list[str] = []
    state.on_connected.append(lambda: calls.append("hello"))
    first, second = Kernel(), Kernel()
    state.connected(first, pb.GetStatusResponse(pid=1))  # type: ignore[arg-type]
    assert (state.is_connected, state.ever_connected, calls) == (True, True, ["hello"])
    state.connected(second, pb.GetStatusResponse(pid=2))  # type: ignore[arg-type]
    assert (first.closed, second.closed) == (True, False)
    state.running["j"] = pb.RunningJob(job_id="j")
    state.lost("it crashed")
    assert second.closed
    assert (state.is_connected, state.problem, dict(state.running)) == (False, "it crashed", {})
    state.connected(Kernel(), pb.GetStatusResponse())  # type: ignore[arg-type]
    assert state.problem == ""
    assert len(calls) == 3


def test_a_snapshot_takes_the_place_of_all_before() -> None:
    state = connected()
    state.news(pb.WatchResponse(runs=[pb.Run(run_id="old")], nodes=[pb.Node(node_id="old")]))
    state.news(pb.WatchResponse(snapshot=True, runs=[pb.Run(run_id="new")]))
    assert list(state.runs) == ["new"]
    assert not state.nodes


def test_the_current_run_is_the_newest_that_is_not_over() -> None:
    state = connected()
    runs = [
        pb.Run(run_id="b", created_at="2026-02", state="running"),
        pb.Run(run_id="a", created_at="2026-01", state="running"),
        pb.Run(run_id="c", created_at="2026-03", state="done"),
    ]
    state.news(pb.WatchResponse(runs=runs))
    assert list(state.runs) == ["a", "b", "c"]
    assert state.current is not None
    assert state.current.run_id == "b"


def test_a_job_that_ended_runs_no_more() -> None:
    state = connected()
    seen: list[str] = []
    state.on_job.append(lambda job: seen.append(job.state))
    state.news(pb.WatchResponse(progress=[pb.RunningJob(job_id="j")]))
    revision = state.jobs_revision
    state.news(pb.WatchResponse(jobs=[pb.Job(job_id="j", state="running")]))
    assert "j" in state.running
    state.news(pb.WatchResponse(jobs=[pb.Job(job_id="j", state="done")]))
    assert "j" not in state.running
    assert state.jobs_revision == revision + 2
    assert seen == ["running", "done"]


def test_progress_alone_is_no_reason_to_list_jobs_again() -> None:
    state = connected()
    before = (state.jobs_revision, state.images_revision)
    state.news(pb.WatchResponse(progress=[pb.RunningJob(job_id="j")]))
    assert (state.jobs_revision, state.images_revision) == before


def test_of_the_images_the_latest_are_kept() -> None:
    state = connected()
    shown: list[str] = []
    state.on_image.append(lambda image: shown.append(image.path))
    for number in range(3):
        images = [pb.SavedImage(path=f"{number}-{i}") for i in range(900)]
        state.news(pb.WatchResponse(images=images))
    assert len(state.images) == IMAGES_KEPT
    assert state.images[-1].path == "2-899"
    assert len(shown) == 2_700


def test_nodes_by_name() -> None:
    state = connected()
    for node_id, name, there in (("1", "b", "online"), ("2", "A", "draining"), ("3", "c", "offline")):
        node = pb.Node(node_id=node_id, state=there)
        node.info.name = name
        state.news(pb.WatchResponse(nodes=[node]))
    assert [node.info.name for node in state.by_name] == ["A", "b", "c"]
    assert [node.info.name for node in state.online] == ["A", "b"]


# --- what nobody has read yet ---------------------------------------------------------------------------------


ids = st.sampled_from(["1", "2", "3"])
messages = st.builds(
    pb.WatchResponse,
    runs=st.lists(st.builds(pb.Run, run_id=ids, done=st.integers(0, 9)), max_size=2),
    jobs=st.lists(
        st.builds(pb.Job, job_id=ids, state=st.sampled_from(["queued", "running", "done"])), max_size=2
    ),
    nodes=st.lists(st.builds(pb.Node, node_id=ids, state=st.sampled_from(["online", "offline"])), max_size=2),
    images=st.lists(st.builds(pb.SavedImage, path=ids), max_size=2),
    snapshot=st.booleans(),
)


@given(st.lists(messages, max_size=8))
def test_many_messages_read_as_one_say_what_they_say_one_by_one(sent: list[pb.WatchResponse]) -> None:
    one_by_one, at_once = connected(), connected()
    pending = Pending()
    for message in sent:
        one_by_one.news(message)
        pending.add(message)
    at_once.news(pending.take())
    assert dict(at_once.runs) == dict(one_by_one.runs)
    assert at_once.nodes == one_by_one.nodes
    assert at_once.running == one_by_one.running
    last = max((number for number, message in enumerate(sent) if message.snapshot), default=0)
    wanted = [image.path for message in sent[last:] for image in message.images]
    assert [image.path for image in at_once.images] == wanted
    assert pending.take() == pb.WatchResponse(), "it was read"


def test_what_nobody_reads_does_not_pile_up() -> None:
    pending = Pending()
    for number in range(3 * KEPT):
        pending.add(
            pb.WatchResponse(jobs=[pb.Job(job_id=str(number))], images=[pb.SavedImage(path=str(number))])
        )
    taken = pending.take()
    assert (len(taken.jobs), len(taken.images)) == (KEPT, KEPT)
    assert taken.jobs[-1].job_id == taken.images[-1].path == str(3 * KEPT - 1)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_progress_of_a_job_that_ended_is_not_told(state: str) -> None:
    pending = Pending()
    pending.add(pb.WatchResponse(progress=[pb.RunningJob(job_id="j")]))
    pending.add(pb.WatchResponse(jobs=[pb.Job(job_id="j", state=state)]))
    assert not pending.take().progress


def test_a_stage_is_called_as_the_kernel_calls_it_and_by_its_id_where_it_does_not() -> None:
    state = KernelState()
    assert state.stage_title("txt2img") == "txt2img"
    seen = state.revision
    state.know_stages([pb.Stage(name="txt2img", title="Text to image"), pb.Stage(name="film_grain")])
    assert state.revision > seen
    assert [state.stage_title(name) for name in ("txt2img", "film_grain", "gone", "")] == [
        "Text to image",
        "film_grain",
        "gone",
        "",
    ]
    seen, kept = state.revision, state.stages
    state.know_stages([pb.Stage(name="txt2img", title="Text to image"), pb.Stage(name="film_grain")])
    assert (state.revision, state.stages) == (seen, kept)
    assert state.stages is kept


def test_a_setting_is_called_as_its_stage_calls_it() -> None:
    state = KernelState()
    assert state.setting_title("txt2img", "cfg_scale") == "Cfg scale"
    schema = {"properties": {"cfg_scale": {"title": "CFG scale"}, "clip_skip": {}}}
    state.know_stages([pb.Stage(name="txt2img", schema_json=json.dumps(schema).encode())])
    assert state.setting_title("txt2img", "cfg_scale") == "CFG scale"
    assert [state.setting_title("txt2img", key) for key in ("clip_skip", "gone")] == ["Clip skip", "Gone"]
    assert state.setting_title("film_grain", "grain_size") == "Grain size"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("1 row = 1 image", "1 prompt = 1 image"),
        ("(2 rows x 3 lights + 1 row) x 2 seeds", "(2 prompts × 3 lights + 1 prompt) × 2 seeds"),
        ("queued unasked: 50 rows x 60 seeds", "queued unasked: 50 prompts × 60 seeds"),
        ("90 combinations (of 2,000 rows) x 2 seeds", "90 combinations (of 2,000 prompts) × 2 seeds"),
        ("2 rows x 3 rows = 6 images", "2 prompts × 3 rows = 6 images"),  # a slot that is called "row"
    ],
)
def test_what_a_run_is_counted_by_is_told_in_the_words_of_the_window(told: str, shown: str) -> None:
    assert formula(told) == shown
