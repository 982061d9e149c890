"""The tab Cluster: what is told of a node, what is listed, draining."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.desktop.desk_kit import Clock, make_desk

from stablenew_plugins.desktop.models.cluster import LISTED, SILENT, ClusterModel
from stablenew_proto.v1 import kernel_pb2 as pb

GIB = 1 << 30


class Kernel:
    def __init__(self) -> None:
        self.drained: list[tuple[str, bool]] = []

    def drain_node(self, node: str, *, draining: bool, reason: str = "") -> pb.Node:
        self.drained.append((node, draining))
        return pb.Node(node_id=node)


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.kernel = Kernel()
        self.desk = make_desk(tmp_path, kernel=self.kernel)
        self.cluster = ClusterModel(self.desk)

    def tell(self, *nodes: pb.Node, **more: Any) -> None:
        self.desk.state.news(pb.WatchResponse(nodes=nodes, **more))
        self.cluster.tick()

    def pass_time(self, seconds: float) -> None:
        assert isinstance(self.desk.clock, Clock)
        self.desk.clock.move(seconds)
        self.cluster.tick()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def a_node(name: str = "gpu-box", state: str = "online", report: str = "ready") -> pb.Node:
    node = pb.Node(node_id=f"id-{name}", state=state)
    node.info.name, node.info.slots, node.info.os = name, 2, "Linux 6.1"
    node.info.backend.name, node.info.backend.version = "forge", "f2.0"
    node.info.backend.models.extend(["b", "a", "C"])
    node.info.gpus.add(uuid="g", name="RTX 4090", vram_total_bytes=24 * GIB)
    node.report.state = report
    node.report.gpus.add(uuid="g", vram_used_bytes=6 * GIB, utilization=0.5, temperature_c=66.6)
    return node


def test_a_card_tells_what_a_node_is_and_how_it_does(bench: Bench) -> None:
    bench.tell(a_node())
    (card,) = bench.cluster.cards
    assert (card.name, card.state, card.mood) == ("gpu-box", "Online", "good")
    assert card.backend == "Forge WebUI 2.0"
    assert card.machine == "Linux 6.1  ·  2 slots"
    (gpu,) = card.gpus
    assert (gpu.vram, gpu.fraction) == ("6.0 GB / 24.0 GB", 0.25)
    assert (gpu.busy, gpu.busy_fraction, gpu.heat, gpu.hot) == ("50 %", 0.5, "67 °C", False)
    assert bench.cluster.summary == "1 node  ·  6.0 GB of 24.0 GB VRAM in use"


def test_what_a_driver_does_not_tell_is_not_shown_as_nothing(bench: Bench) -> None:
    node = a_node()
    del node.report.gpus[:]
    bench.tell(node)
    (gpu,) = bench.cluster.cards[0].gpus
    assert (gpu.name, gpu.vram, gpu.busy, gpu.heat) == ("RTX 4090", "", "", "")


STATES = [
    ("online", "ready", "Online", "good"),
    ("online", "starting", "Starting", "waits"),
    ("online", "unhealthy", "Unhealthy", "bad"),
    ("draining", "ready", "Draining", "unsure"),
    ("online", "draining", "Draining", "unsure"),
    ("offline", "ready", "Offline", "off"),
]


@pytest.mark.parametrize(("state", "report", "word", "mood"), STATES)
def test_states(bench: Bench, state: str, report: str, word: str, mood: str) -> None:
    bench.tell(a_node(state=state, report=report))
    (card,) = bench.cluster.cards
    assert (card.state, card.mood) == (word, mood)
    assert bool(card.hint) == (word not in ("Online", "Unhealthy"))


def test_a_problem_is_split_into_what_is_wrong_and_what_to_do(bench: Bench) -> None:
    node = a_node(report="unhealthy")
    node.report.problem = "the WebUI does not answer; start it with --api"
    bench.tell(node)
    (card,) = bench.cluster.cards
    assert (card.problem, card.hint) == ("The WebUI does not answer.", "Start it with --api.")


BACKENDS = [
    (
        "Forge",
        "f2.0.1v1.10.1-previous-636-gb835f24a",
        "at http://h:7860",
        "Forge WebUI 2.0.1  ·  at http://h:7860",
    ),
    ("A1111", "v1.10.1", "", "AUTOMATIC1111 WebUI 1.10.1"),
    ("SD.Next", "2025-02-02 ab12", "", "SD.Next 2025-02-02"),
    ("comfyui", "unknown", "cuda:0", "ComfyUI  ·  cuda:0"),
    ("of_mine", "beta", "", "of_mine beta"),
    ("", "", "", ""),
]


@pytest.mark.parametrize(("name", "version", "note", "words"), BACKENDS)
def test_a_backend_in_plain_words(bench: Bench, name: str, version: str, note: str, words: str) -> None:
    node = a_node()
    node.info.backend.name, node.info.backend.version, node.info.backend.note = name, version, note
    bench.tell(node)
    assert bench.cluster.cards[0].backend == words
    assert bench.cluster.cards[0].note == ""


def test_a_stand_in_says_so(bench: Bench) -> None:
    node = a_node()
    node.info.backend.name, node.info.backend.stand_in, node.info.backend.note = "embedded", True, "no model"
    bench.tell(node)
    assert bench.cluster.cards[0].backend == "Embedded engine 2.0"
    assert bench.cluster.cards[0].note.startswith("Stand-in")


SEEN = [
    (0.0, "last seen 0 s ago"),
    (120.0, "last seen 2 min ago"),
    (5_400.0, "last seen 1 h 30 min ago"),
    (86_400.0 * 3, "last seen 3 days ago"),
    (1e9, "not seen yet since the kernel started"),
]


@pytest.mark.parametrize(("seconds", "words"), SEEN)
def test_who_is_away_was_seen_last(bench: Bench, seconds: float, words: str) -> None:
    node = a_node(state="offline")
    node.silent_for = seconds
    bench.tell(node)
    (card,) = bench.cluster.cards
    assert (card.silent, card.gpus, card.cpu) == (words, (), "")


def test_what_runs_is_shown_with_its_progress(bench: Bench) -> None:
    job = pb.RunningJob(job_id="j", run_id="r", node="gpu-box")
    job.progress.stage, job.progress.step, job.progress.steps = "upscale", 3, 4
    job.progress.fraction, job.progress.preview_jpeg = 0.75, b"jpeg"
    bench.tell(a_node(), runs=[pb.Run(run_id="r", name="demo", state="running")], progress=[job])
    (work,) = bench.cluster.cards[0].works
    assert (work.title, work.note, work.fraction, work.preview) == ("demo", "upscale 3/4", 0.75, b"jpeg")


def test_silence_grows_with_time_and_ends_with_a_word(bench: Bench) -> None:
    bench.tell(a_node())
    assert bench.cluster.cards[0].silent == ""
    bench.pass_time(SILENT + 4)
    assert bench.cluster.cards[0].silent == "silent for 10 s"
    bench.pass_time(110)
    assert bench.cluster.cards[0].silent == "silent for 2 min"
    bench.tell(a_node())
    assert bench.cluster.cards[0].silent == ""


def test_nothing_changes_while_nothing_changes(bench: Bench) -> None:
    bench.tell(a_node())
    before = bench.cluster.revision
    for _number in range(40):
        bench.pass_time(0.1)
    assert bench.cluster.revision == before


def test_those_that_are_away_come_last(bench: Bench) -> None:
    bench.tell(a_node("attic", "offline"), a_node("zoo"), a_node("Box"))
    assert [card.name for card in bench.cluster.cards] == ["Box", "zoo", "attic"]


def test_draining_can_be_taken_back(bench: Bench) -> None:
    bench.tell(a_node())
    bench.cluster.drain("id-gpu-box")
    toast = bench.desk.toasts.shown[-1]
    assert bench.kernel.drained == [("id-gpu-box", True)]
    assert toast.action == "Undo"
    toast.act()
    assert bench.kernel.drained[-1] == ("id-gpu-box", False)
    bench.cluster.drain("gone")
    assert len(bench.kernel.drained) == 2


def test_lists_are_sorted_searched_and_cut(bench: Bench) -> None:
    node = a_node()
    node.info.backend.loras.extend(f"style {number:04d}" for number in range(1_000))
    bench.tell(node)
    bench.cluster.toggle("id-gpu-box")
    assert bench.cluster.names("id-gpu-box") == (["a", "b", "C"], 0)
    bench.cluster.choose("id-gpu-box", "loras")
    names, more = bench.cluster.names("id-gpu-box")
    assert len(names) == LISTED
    assert more == 1_000 - LISTED
    bench.cluster.search("id-gpu-box", "99 STYLE")
    assert len(bench.cluster.names("id-gpu-box")[0]) == 19
    bench.cluster.toggle("id-gpu-box")
    assert bench.cluster.open == {}
    assert bench.cluster.names("gone") == ([], 0)


def test_how_to_add_a_node_names_this_kernel(bench: Bench) -> None:
    bench.desk.state.status = pb.GetStatusResponse(data_folder="/my data", address="127.0.0.1:7787")
    assert '--data "/my data"' in bench.cluster.command
    assert bench.cluster.tunnel[0] == "ssh -N -L 7787:127.0.0.1:7787 me@kernel-machine"
