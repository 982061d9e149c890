"""The status bar, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk_kit import Clock, make_desk

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.status import WINDOW, StatusModel
from stablenew_proto.v1 import kernel_pb2 as pb


class Kernel:
    def close(self) -> None:
        pass


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path, Kernel())


def clock_of(desk: Desk) -> Clock:
    assert isinstance(desk.clock, Clock)
    return desk.clock


def told(desk: Desk, status: StatusModel, message: pb.WatchResponse) -> StatusModel:
    desk.state.news(message)
    status.tick()
    return status


def queue(**parts: object) -> pb.WatchResponse:
    return pb.WatchResponse(queue=pb.QueueSummary(**parts))  # type: ignore[arg-type]


def node(state: str = "online", used: int = 0, total: int = 0, **report: str) -> pb.Node:
    made = pb.Node(node_id="n", state=state)
    made.info.name = "gpu-box"
    if total:
        made.info.gpus.add(uuid="g", vram_total_bytes=total)
        made.report.gpus.add(uuid="g", vram_used_bytes=used)
    made.report.state = report.get("report", "ready")
    return made


def test_before_and_without_a_kernel(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    status = StatusModel(desk)
    status.tick()
    assert status.now.state == "starting"
    desk.state.lost("port 7 is taken")
    clock_of(desk).move(2)
    status.tick()
    assert (status.now.state, status.now.text) == ("error", "Port 7 is taken")


def test_a_kernel_that_went_away_is_said_at_once(desk: Desk) -> None:
    status = StatusModel(desk)
    desk.state.lost("the kernel has stopped")
    status.tick()
    assert (status.now.state, status.now.title) == ("error", "Not connected")


@pytest.mark.parametrize(
    ("parts", "nodes", "state", "title"),
    [
        ({}, 1, "idle", "Idle"),
        ({"active": 1, "queued": 3}, 1, "running", "Running"),
        ({"queued": 3}, 1, "running", "Waiting"),
        ({"queued": 3}, 0, "error", "No node"),
        ({"queued": 3, "paused": True}, 1, "paused", "Paused"),
        ({"active": 1, "paused": True}, 1, "running", "Running"),
    ],
)
def test_what_is_going_on(desk: Desk, parts: dict[str, object], nodes: int, state: str, title: str) -> None:
    status = StatusModel(desk)
    message = queue(**parts)
    message.nodes.extend([node()] * nodes)
    now = told(desk, status, message).now
    assert (now.state, now.title) == (state, title)


def test_a_kernel_that_somebody_stopped_can_be_started(desk: Desk) -> None:
    status = StatusModel(desk)
    desk.state.lost("no kernel runs on /data; start one with: stablenew kernel start")
    status.tick()
    assert (status.now.text, status.now.can_start) == ("No kernel runs on /data", True)
    desk.state.connected(Kernel(), pb.GetStatusResponse())  # type: ignore[arg-type]
    status.tick()
    assert not status.now.can_start


def test_stopping(desk: Desk) -> None:
    status = StatusModel(desk)
    status.is_stopping = lambda: True
    assert told(desk, status, queue(active=1)).now.state == "stopping"


def test_a_full_disk_is_an_error_until_the_queue_goes_on(desk: Desk) -> None:
    desk.state.status = pb.GetStatusResponse(problem="disk full: 2 GB are needed")
    status = StatusModel(desk)
    now = told(desk, status, queue(paused=True, queued=3)).now
    assert (now.state, now.text) == ("error", "disk full: 2 GB are needed")
    message = queue(active=1)
    message.nodes.append(node())
    assert told(desk, status, message).now.state == "running"


def test_how_far_a_run_is(desk: Desk) -> None:
    status = StatusModel(desk)
    message = queue(active=1)
    message.runs.add(run_id="r", name="neon", state="running", total=10, done=4, failed=1, seconds=75)
    job = message.progress.add(job_id="j", run_id="r")
    job.progress.stage, job.progress.fraction = "upscale", 0.5
    desk.state.know_stages([pb.Stage(name="upscale", title="Upscale")])
    now = told(desk, status, message).now
    assert now.fraction == pytest.approx(0.55)
    assert now.text == "neon  ·  Upscale  ·  image 6 of 10  ·  1 failed"
    assert now.eta == "1:15"


def test_speed_is_that_of_the_last_minutes(desk: Desk) -> None:
    status = StatusModel(desk)
    told(desk, status, queue(active=1))
    for _image in range(4):
        clock_of(desk).move(10)
        told(desk, status, pb.WatchResponse(images=[pb.SavedImage(path="x")]))
    assert status.now.speed == "6.0 images/min"
    clock_of(desk).move(WINDOW + 1)
    status.tick()
    assert status.now.speed == ""


def test_memory_of_all_gpus_and_nodes(desk: Desk) -> None:
    status = StatusModel(desk)
    now = told(desk, status, pb.WatchResponse(nodes=[node(used=6 * 2**30, total=24 * 2**30)])).now
    assert (now.vram, now.vram_fraction) == ("6.0 / 24.0 GB", 0.25)
    assert (now.nodes, now.nodes_good) == ("1 node", True)
    now = told(desk, status, pb.WatchResponse(nodes=[node(report="unhealthy")])).now
    assert not now.nodes_good
    now = told(desk, status, pb.WatchResponse(nodes=[node("offline")])).now
    assert (now.nodes, now.nodes_good, now.vram) == ("0 nodes", False, "")


def test_what_each_node_has_and_how_it_is(desk: Desk) -> None:
    status = StatusModel(desk)
    nodes = [node(used=6 * 2**30, total=24 * 2**30), node("offline", used=1, total=2), node()]
    for number, name in enumerate(("big", "away", "blind")):
        nodes[number].node_id = nodes[number].info.name = name
    now = told(desk, status, pb.WatchResponse(nodes=nodes)).now
    assert now.vram_by_node == ["big: 6.0 / 24.0 GB"]
    assert now.node_states == ["away: offline", "big: online", "blind: online"]
    nodes[2].info.gpus.add(uuid="x", vram_total_bytes=2**30)
    nodes[2].report.gpus.add(uuid="x", vram_used_bytes=100 * 2**20)
    now = told(desk, status, pb.WatchResponse(nodes=nodes)).now
    assert now.vram == "6.1 / 25.0 GB"
    assert now.vram_by_node[1] == "blind: 100.0 MB / 1.0 GB"


@pytest.mark.parametrize(
    ("parts", "said", "can_resume"),
    [
        ({"paused": True, "queued": 2}, "2 queued", True),
        ({"paused": True}, "", False),
        ({"paused": True, "queued": 2, "active": 1}, "2 queued", False),
        ({"queued": 2}, "2 queued", False),
    ],
)
def test_a_paused_queue_can_go_on_from_the_bar(
    desk: Desk, parts: dict[str, object], said: str, can_resume: bool
) -> None:
    message = queue(**parts)
    message.nodes.append(node())
    now = told(desk, StatusModel(desk), message).now
    assert (now.queued, now.can_resume) == (said, can_resume)


def test_nothing_new_is_nothing_to_draw(desk: Desk) -> None:
    status = StatusModel(desk)
    told(desk, status, queue())
    seen = status.revision
    for _frame in range(20):
        clock_of(desk).move(0.3)
        status.tick()
    assert status.revision == seen
