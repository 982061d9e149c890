"""The kernel process: its settings, its lock, its port, and what it leaves behind when it stops."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import psutil
import pytest
from kernel_kit import eventually, kernel_on, key_of, run, show_token

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.leases import LeaseState, Outcome
from stablenew_client import KernelClient
from stablenew_kernel.app import serve as serve_module
from stablenew_kernel.app.serve import EXIT_CANNOT_START, read_settings, serve
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store.lock import KernelLock
from stablenew_proto.v1 import agent_link_pb2, kernel_pb2_grpc
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_no_file_no_override_all_defaults(data: DataFolder) -> None:
    assert read_settings(data) == Settings()


def test_overrides_go_on_top_of_the_file(data: DataFolder) -> None:
    data.settings.write_text("port = 7000\nlocal_slots = 2\n", encoding="utf-8")
    settings = read_settings(data, ["local_slots=3", 'after_crash="paused"'])
    assert (settings.port, settings.local_slots, settings.after_crash) == (7000, 3, "paused")


@pytest.mark.parametrize(
    ("content", "override", "says"),
    [
        (b"\nport = \n", "", "settings.toml: not valid TOML: .*line 2"),
        (b"\xff", "", "settings.toml: not UTF-8 text; save the file as UTF-8"),
        (b"prot = 1", "", "settings.toml: there is no setting 'prot'; .*port"),
        (b"port = 70000", "", "settings.toml: port: "),
        (b'port = "7000"', "", "settings.toml: port: "),
        (b"", "prot=1", "--setting prot=1: there is no setting 'prot'; .*port"),
        (b"", "after_crash=resume", "--setting after_crash=resume: not valid TOML"),
        (b"", 'after_crash="later"', '--setting after_crash="later": after_crash: '),
    ],
)
def test_wrong_settings_are_named(data: DataFolder, content: bytes, override: str, says: str) -> None:
    data.settings.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_settings(data, [override] if override else [])
    assert "\n" not in str(caught.value)


def test_settings_that_cannot_be_read_are_named(data: DataFolder) -> None:
    data.settings.mkdir()
    with pytest.raises(UserError, match=r"settings.toml: .*; check its permissions"):
        read_settings(data)


def test_two_data_folders_never_meet(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = DataFolder(tmp_path / "one"), DataFolder(tmp_path / "two")
        shared = str(tmp_path / "out")
        async with kernel_on(one) as first, kernel_on(two) as second:
            assert first.address != second.address
            await first.agent("a", works=True)
            await second.agent("b", works=True)
            mine = await first.submit(3, out_dir=shared)
            yours = await second.submit(2, out_dir=shared)
            ended = [await first.ended(mine), await second.ended(yours)]
            assert [run.done for run in ended] == [3, 2]
            assert ended[0].out_dir != ended[1].out_dir, "one output folder, a folder each in it"
            for house, run_id, node in ((first, mine, "a"), (second, yours, "b")):
                runs = (await house.client.ListRuns(pb.ListRunsRequest())).runs
                assert [found.run_id for found in runs] == [run_id]
                nodes = (await house.client.ListNodes(pb.ListNodesRequest())).nodes
                assert [found.node_id for found in nodes] == [node]
        with KernelLock(one), KernelLock(two):
            pass

    run(main)


@pytest.mark.parametrize("announce", [False, True])
def test_a_second_kernel_of_a_folder_says_who_has_it(
    data: DataFolder, announce: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with KernelLock(data):
        assert serve(data, announce=announce) == EXIT_CANNOT_START
    said = capsys.readouterr()
    text = json.loads(said.out)["error"] if announce else said.err
    assert f"a kernel already runs on {data.root}" in text
    assert bool(said.out) is announce


def test_a_port_in_use_stops_the_start_and_nothing_else(
    data: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert serve(data, announce=True, overrides=[f"port={port}"]) == EXIT_CANNOT_START
    assert f"port {port} on 127.0.0.1 is not free" in json.loads(capsys.readouterr().out)["error"]
    assert not data.kernel_json.exists()
    with KernelLock(data):
        pass


async def _to_its_end(watch: Any) -> None:
    while await watch.read():
        pass


async def _life(data: DataFolder) -> str:
    """A kernel from start to stop by command; returns its start note."""
    serving = asyncio.create_task(
        serve_module._serve(data, Settings(local_agent=False, scheduler="fifo"), announce=False)
    )
    await eventually(lambda: serving.done() or data.kernel_json.exists(), "the kernel up")
    info = data.read_kernel()
    assert info is not None
    async with grpc.aio.insecure_channel(info.address, interceptors=[*show_token(info.token)]) as channel:
        stub = kernel_pb2_grpc.KernelServiceStub(channel)
        note = (await stub.GetStatus(pb.GetStatusRequest())).start_note
        watch = stub.Watch(pb.WatchRequest())
        await watch.read()
        await stub.StopKernel(pb.StopKernelRequest())
        with pytest.raises(grpc.aio.AioRpcError, match="the kernel has stopped"):
            await _to_its_end(watch)
        await serving
    return str(note)


def test_start_and_stop_leave_nothing_behind(data: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    process = psutil.Process()

    def left() -> tuple[int, int]:
        gc.collect()
        files = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
        return threading.active_count(), files

    def live() -> None:
        assert run(lambda: _life(data)) == "", "an orderly stop is no crash"
        assert not data.kernel_json.exists()

    live()  # gRPC and others make what they keep for ever
    before = left()
    for _ in range(3):
        live()
    # A thread of gRPC closes what was open in its own time: before the first look, too.
    deadline = time.monotonic() + 30
    while any(now > then for now, then in zip(left(), before, strict=True)):
        assert time.monotonic() < deadline, f"threads and files: {before} after one life, {left()} after four"
        time.sleep(0.02)
    assert "serves" in capsys.readouterr().out


def test_a_kernel_serves_though_whoever_started_it_has_gone(data: DataFolder) -> None:
    command = [sys.executable, "-m", "stablenew_kernel", "--data", str(data.root), "--announce"]
    kernel = subprocess.Popen([*command, "--setting", "local_agent=false"], stdout=subprocess.PIPE)
    assert kernel.stdout is not None
    kernel.stdout.close()  # a window that was closed as soon as it was open
    try:
        deadline = time.monotonic() + 60
        while data.read_kernel() is None:
            assert time.monotonic() < deadline
            assert kernel.poll() is None
            time.sleep(0.02)
        with KernelClient.connect(data, timeout=60) as client:
            client.stop()
        assert kernel.wait(60) == 0
    finally:
        kernel.kill()
        kernel.wait()


def test_uploads_that_nobody_went_on_with_go_at_the_start(data: DataFolder) -> None:
    partials = data.artifacts / "partial"
    partials.mkdir(parents=True)
    for name in ("old", "new"):
        (partials / name).write_bytes(b"half of an image")
    os.utime(partials / "old", (0, 0))
    run(lambda: _life(data))
    assert [path.name for path in partials.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("after_crash", "paused", "note"),
    [
        ("resume", False, "2 jobs were left, 0 of them on nodes; the queue goes on"),
        ("paused", True, "the queue is paused"),
    ],
)
def test_after_a_crash_the_queue_does_as_the_setting_says(
    data: DataFolder, after_crash: str, paused: bool, note: str
) -> None:
    settings = Settings.model_validate({"scheduler": "queue_order", "after_crash": after_crash})

    async def main() -> None:
        async with kernel_on(data) as house:
            run_id = await house.submit(2)
        async with kernel_on(data, settings=settings, clean=False) as house:
            status = await house.status()
            assert status.queue.paused is paused
            assert status.start_note.startswith("the last kernel did not stop in order; ")
            assert note in status.start_note
            agent = await house.agent(works=True)
            if paused:
                assert not agent.offers
                await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=False))
            assert (await house.ended(run_id)).done == 2

    run(main)


def test_a_stop_that_waits_lets_running_jobs_end(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            await house.submit(5)
            [one, two] = await agent.offered(2)
            progress = agent_link_pb2.JobProgress(lease=one.lease, step=1)
            await agent.send(agent_link_pb2.ConnectRequest(progress=[progress]))
            await eventually(lambda: house.kernel.nodes.running, "the first one runs")
            await house.client.StopKernel(pb.StopKernelRequest(wait_for_running=True))
            waiting = asyncio.create_task(house.kernel.stop_requested())
            await eventually(lambda: agent.cancels, "the waiting lease taken back")
            [back] = agent.cancels
            assert back.only_if_not_started
            assert back.lease == two.lease
            await agent.tell((key_of(two.lease), Outcome(LeaseState.CANCELLED)))
            await eventually(lambda: agent.acked == 1, "the ack")
            assert not waiting.done()
            await agent.tell((key_of(one.lease), await agent.made()))
            await waiting
            assert len(agent.offers) == 2

    run(main)
