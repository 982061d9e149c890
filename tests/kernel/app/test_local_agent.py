"""The agent that the kernel starts: kept alive, and ended for certain. With a stub in the agent's place."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kernel_kit import eventually, run

from stablenew_kernel.app import local_agent
from stablenew_kernel.app.local_agent import LocalAgent


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
        agent = LocalAgent(tmp_path, 2, "embedded", ["speed=9", "vram=4"])
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
    ]
    assert "ended with code 7; starting it again" in caplog.text


def test_a_stop_asks_first(stub: Callable[[str], Path], tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no polite signal for a process without a console")
    lines = stub(
        "def bye(*_):\n    print('bye', file=say, flush=True)\n    sys.exit(0)\n"
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
