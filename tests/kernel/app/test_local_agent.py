"""The agent that the kernel starts: kept alive, and ended for certain. With a stub in the agent's place."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kernel_kit import House, eventually, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.app import local_agent
from stablenew_kernel.app.local_agent import ANEW, LocalAgent, LocalAgentKeeper
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store import meta
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """``stub(code)`` makes ``code`` the agent; its lines go to the file that is returned."""

    def make(code: str) -> Path:
        lines = tmp_path / "lines.txt"
        head = f"import os, signal, sys, time\nsay = open({str(lines)!r}, 'a', encoding='utf-8')\n"
        (tmp_path / "stub_agent.py").write_text(head + code, encoding="utf-8")
        monkeypatch.setattr(local_agent, "AGENT_MODULE", "stub_agent")
        monkeypatch.setattr(local_agent, "RESTART_DELAY", 0.001)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path) + os.pathsep + os.environ.get("PYTHONPATH", ""))
        return lines

    return make


def read(lines: Path) -> list[str]:
    text = lines.read_text(encoding="utf-8") if lines.exists() else ""
    return text.splitlines() if text.endswith("\n") else []


def test_it_is_started_again_whenever_it_ends(
    stub: Callable[[str], Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    lines = stub("print(*sys.argv[1:], sep='|', file=say)\nsys.exit(7)\n")

    async def main() -> None:
        agent = LocalAgent(tmp_path, 2, "embedded", ["speed=9", "vram=4"], ["gone"])
        agent.start()
        await eventually(lambda: len(read(lines)) >= 3, "three lives")
        await agent.stop()

    run(main)
    first = read(lines)[0].split("|")
    assert first[: first.index("--backend-option")] == [
        "--data", str(tmp_path), "--name", "local", "--slots", "2", "--backend", "embedded",
        "--exit-after-lost", str(local_agent.LOST_AFTER),
    ]  # fmt: skip
    assert first[first.index("--backend-option") :] == [
        "--backend-option",
        "speed=9",
        "--backend-option",
        "vram=4",
        "--disable-only",
        "--disable",
        "gone",
    ]
    assert "ended with code 7; starting it again" in caplog.text


def test_a_stop_asks_first(stub: Callable[[str], Path], tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no polite signal for a process without a console")
    lines = stub(
        # Not by print: the signal may come while it still writes the line before, and does not come in again.
        "def bye(*_):\n    os.write(say.fileno(), b'bye\\n')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\nprint(os.getpid(), file=say, flush=True)\ntime.sleep(60)\n"
    )

    async def main() -> None:
        agent = LocalAgent(tmp_path, 1, "embedded")
        agent.start()
        await eventually(lambda: read(lines), "the agent up")
        await agent.stop(grace=20)

    run(main)
    pid, bye = read(lines)
    assert bye == "bye"
    assert not psutil.pid_exists(int(pid))


def test_a_stop_kills_what_does_not_listen(
    stub: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = stub(
        f"signal.signal({int(signal.SIGTERM)}, signal.SIG_IGN)\n"
        "print(os.getpid(), file=say, flush=True)\ntime.sleep(60)\n"
    )

    async def main() -> None:
        agent = LocalAgent(tmp_path, 1, "embedded")
        agent.start()
        await eventually(lambda: read(lines), "the agent up")
        await agent.stop(grace=0.02)

    run(main)
    assert not psutil.pid_exists(int(read(lines)[0]))
    if sys.platform != "win32":
        assert "did not end within 0 s and is killed" in caplog.text


def test_a_stop_before_a_start_is_nothing(tmp_path: Path) -> None:
    run(LocalAgent(tmp_path, 1, "embedded").stop)


# --- other settings while it runs -----------------------------------------------------------------------------

WAITS = "print(os.getpid(), *sys.argv[1:], sep='|', file=say, flush=True)\ntime.sleep(60)\n"


def lives(lines: Path) -> list[tuple[int, str]]:
    """Process id and slots of each agent so far."""
    found = [line.split("|") for line in read(lines)]
    return [(int(words[0]), words[words.index("--slots") + 1]) for words in found]


async def node(house: House) -> pb.Node:
    [found] = (await house.client.ListNodes(pb.ListNodesRequest())).nodes
    return found


async def drained_by_us(house: House) -> str:
    return await house.database.read_async(lambda connection: meta.get(connection, meta.DRAINED_BY_US))


@pytest.mark.parametrize("by_hand", [False, True])
def test_other_settings_wait_for_its_jobs_and_then_start_it_anew(
    stub: Callable[[str], Path], data: DataFolder, by_hand: bool
) -> None:
    lines = stub(WAITS)

    async def main() -> None:
        async with kernel_on(data) as house:
            keeper = house.kernel.local
            await keeper.start(Settings(local_slots=1))
            await eventually(lambda: lives(lines), "the agent up")
            fake = await house.agent("local")
            await house.submit(1)
            await fake.offered(1)
            if by_hand:
                await house.client.DrainNode(pb.DrainNodeRequest(node="local", draining=True, reason="mine"))
            assert keeper.apply(Settings(local_slots=1)) == ""
            note = keeper.apply(Settings(local_slots=3, local_backend="webui"))
            assert note == "the local agent starts anew with webui as soon as its jobs are done"
            await eventually(
                lambda: any(frame.drain.exit_when_idle and frame.drain.reason == ANEW for frame in fake.frames),
                "it was told to finish",
            )
            assert await drained_by_us(house) == "local"
            keeper.apply(Settings(local_slots=2, local_backend="webui"))
            keeper.apply(Settings(local_slots=3, local_backend="webui"))
            assert len(lives(lines)) == 1, "it runs on"
            psutil.Process(lives(lines)[0][0]).kill()  # as if it had finished
            await eventually(lambda: len(lives(lines)) == 2, "the next one")
            assert lives(lines)[1][1] == "3"
            assert (await node(house)).state == ("draining" if by_hand else "online")
            assert await drained_by_us(house) == ""
            await keeper.stop()

    run(main)
    assert not any(psutil.pid_exists(pid) for pid, _ in lives(lines))


def test_one_that_is_not_in_touch_is_ended_and_started_anew(
    stub: Callable[[str], Path], data: DataFolder
) -> None:
    lines = stub(WAITS)

    async def main() -> None:
        async with kernel_on(data) as house:
            keeper = house.kernel.local
            await keeper.start(Settings())
            await eventually(lambda: lives(lines), "the agent up")
            assert keeper.apply(Settings(local_slots=2)) == "the local agent starts anew with embedded"
            await eventually(lambda: [slots for _, slots in lives(lines)] == ["1", "2"], "the next one")
            assert keeper.apply(Settings(local_agent=False)) == "the local agent ends"
            await eventually(lambda: not psutil.pid_exists(lives(lines)[1][0]), "it ended")
            assert keeper.apply(Settings(local_slots=4)) == "the local agent starts with embedded"
            await eventually(lambda: len(lives(lines)) == 3, "one again")
            await keeper.stop()

    run(main)
    assert [slots for _, slots in lives(lines)] == ["1", "2", "4"]


def test_one_that_a_dead_kernel_left_behind_goes_first(
    stub: Callable[[str], Path], data: DataFolder, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    lines = stub(
        f"if os.path.exists({str(busy)!r}):\n    print('busy', *sys.argv[1:], sep='|', file=say, flush=True)\n"
        f"    sys.exit({local_agent.IN_USE})\n{WAITS}"
    )

    async def main() -> None:
        busy.touch()
        async with kernel_on(data) as house:
            left = await house.agent("local")
            keeper = house.kernel.local
            await keeper.start(Settings(local_slots=1))
            await eventually(lambda: len(read(lines)) >= 2, "ours finds the folder in use")
            keeper.apply(Settings(local_slots=2))
            keeper.apply(Settings(local_slots=3))
            await eventually(lambda: any(frame.drain.exit_when_idle for frame in left.frames), "it was told")
            seen = len(read(lines))
            await eventually(lambda: len(read(lines)) >= seen + 3, "ours tries again")
            assert (await node(house)).state == "draining", "until the other one has gone"
            await left.close()
            busy.unlink()
            await eventually(lambda: not read(lines)[-1].startswith("busy"), "ours runs")
            psutil.Process(int(read(lines)[-1].split("|")[0])).kill()  # told to end by the drain, and did
            status = house.kernel.dispatcher.coordinator.nodes
            await eventually(lambda: not status(0.0)[0].draining, "the node takes work again")
            assert "--slots|3|" in read(lines)[-1]
            await keeper.stop()

    run(main)


def test_a_node_that_a_dead_kernel_left_drained_takes_work_again(
    stub: Callable[[str], Path], data: DataFolder
) -> None:
    stub(WAITS)

    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent("local")
            house.kernel.local._drain("local")
            await eventually(lambda: drained(house), "drained")
        async with kernel_on(data) as house:
            await house.agent("local", epoch=2)
            assert (await node(house)).state == "draining"
            await house.kernel.local.start(Settings(local_agent=False))
            await house.kernel.dispatcher.settled()
            assert (await node(house)).state == "online"

    def drained(house: House) -> bool:
        [status] = house.kernel.dispatcher.coordinator.nodes(0.0)
        return status.draining

    run(main)


def test_before_the_start_nothing_is_begun(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            keeper = LocalAgentKeeper(house.kernel._core)
            assert keeper.apply(Settings(local_slots=2)) == ""
            await keeper.stop()

    run(main)
