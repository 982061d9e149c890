"""A house of real processes on loopback: one kernel, any agents, each of which a test may kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import TypeVar

import psutil
from tests.support.warm import Process, start

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import StableNewError
from stablenew_client import KernelClient
from stablenew_proto.v1 import kernel_pb2 as pb

T = TypeVar("T")
DEADLINE = 60.0

PRESET = {
    "txt2img": {"width": 64, "height": 64, "steps": 4, "seed": 1000},
    "frame": {"enabled": True},
    "pipeline": {"txt2img_enabled": True, "frame_enabled": True},
}
"""A small real pipeline: two stages, quick."""

PACK = b"a lighthouse at dusk\n\na night city in the rain\n\na misty forest\n"


def eventually(check: Callable[[], T | None], what: str, seconds: float = DEADLINE) -> T:
    """The first true value of ``check``; fails after ``seconds``, saying ``what`` was waited for."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := check():
            return value
        Event().wait(0.02)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def wait_ended(processes: Sequence[psutil.Process]) -> None:
    """Until all have ended; a zombie has: it waits for init to take note of it, which may take seconds."""

    def ended(process: psutil.Process) -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    eventually(lambda: all(map(ended, processes)), f"processes ended: {processes}")


class House:
    """Starts, kills and restarts; stops everything at the end."""

    def __init__(self, folder: Path) -> None:
        self.data = DataFolder(folder / "data")
        self.folder = folder
        self.kernel: Process | None = None
        self.agents: dict[str, Process] = {}
        self._clients: list[KernelClient] = []

    # --- processes ------------------------------------------------------------------------------------------

    def start_kernel(self, *settings: str, crash_at: str = "") -> KernelClient:
        """Start a kernel and connect."""
        options = ["--data", str(self.data.root), "--announce"]
        for setting in ("local_agent=false", "orphan_timeout=20", *settings):
            options += ["--setting", setting]
        ours, theirs = os.pipe()
        self.kernel = start("stablenew_kernel", *options, stdout=theirs, env=_environment(crash_at))
        os.close(theirs)
        with open(ours, "rb") as announcement:
            answer = json.loads(announcement.readline() or b'{"error": "it died"}')
        assert "address" in answer, answer
        return self.client()

    def client(self) -> KernelClient:
        """A connection to the running kernel."""
        client = KernelClient.connect(self.data)
        self._clients.append(client)
        return client

    def start_agent(self, name: str, *options: str, crash_at: str = "") -> Process:
        """Start an agent."""
        options = ("--data", str(self.data.root), "--name", name, *options)
        with (self.folder / f"{name}.log").open("ab") as log:
            agent = start(
                "stablenew_agent.main",
                *options,
                stdout=log.fileno(),
                stderr=log.fileno(),
                env=_environment(crash_at),
            )
        self.agents[name] = agent
        return agent

    def wait_online(self, client: KernelClient, count: int) -> None:
        """Until so many nodes are in touch and ready."""

        def ready() -> bool:
            nodes = client.nodes()
            return sum(node.state == "online" and node.report.state == "ready" for node in nodes) >= count

        eventually(ready, f"{count} nodes online; {self.logs()}")

    def kill_kernel(self) -> None:
        """kill -9."""
        assert self.kernel is not None
        self.kernel.kill()
        self.kernel.wait(DEADLINE)

    def kill_agent(self, name: str) -> None:
        """kill -9."""
        self.agents[name].kill()
        self.agents[name].wait(DEADLINE)

    def workers_of(self, name: str) -> list[psutil.Process]:
        """The worker processes of an agent."""
        return psutil.Process(self.agents[name].pid).children()

    def logs(self) -> str:
        """The ends of all agents' output, for a failing test."""
        return " | ".join(
            f"{path.name}: {path.read_text(encoding='utf-8', errors='replace')[-600:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def close(self) -> None:
        """Stop everything, and leave no process behind."""
        for client in self._clients:
            client.close()
        processes = [*self.agents.values(), *([self.kernel] if self.kernel else [])]
        children = [
            child
            for process in processes
            if process.poll() is None
            for child in psutil.Process(process.pid).children(recursive=True)
        ]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(DEADLINE)
        wait_ended(children)

    # --- runs -----------------------------------------------------------------------------------------------

    def request(self, *sets: str, pack: bytes = PACK, out: Path | None = None, count: int = 1) -> pb.RunRequest:
        """A small run."""
        return pb.RunRequest(
            pack_name="test.txt",
            pack=pack,
            preset_json=json.dumps(PRESET).encode("utf-8"),
            preset_name="test.json",
            sets=sets,
            count=count,
            out_dir=str(out or self.folder / "out"),
        )

    def stablenew(self, *arguments: object, code: int = 0) -> str:
        """Call the command line as a process; what ``--json`` prints. Fails unless it ends with ``code``."""
        command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(self.data.root)]
        ended = subprocess.run(
            [*command, *map(str, arguments), "--json"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            stdin=subprocess.DEVNULL,
            env={**_environment(""), "PYTHONUTF8": "1"},
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        return ended.stdout

    def wait_run(self, run_id: str, seconds: float = DEADLINE) -> pb.Run:
        """Until the run is over, however often the kernel is restarted meanwhile."""
        last = "nothing heard"
        client: KernelClient | None = None

        def over() -> pb.Run | None:
            nonlocal last, client
            try:
                client = client or self.client()
                runs = [run for run in client.runs() if run.run_id == run_id]
            except StableNewError as error:
                last, client = str(error), None
                return None
            last = str(runs)
            return runs[0] if runs and runs[0].state != "running" else None

        try:
            return eventually(over, f"run {run_id} over", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {last}; {self.logs()}") from None


def images_of(run: pb.Run) -> dict[int, tuple[int, bytes]]:
    """Seed and pixels of each image of a run, by its place in the plan. Fails if the folder does not hold each
    image exactly once, or anything half-written."""
    from PIL import Image

    folder = Path(run.out_dir)
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[int, tuple[int, bytes]] = {}
    for line in map(json.loads, lines):
        assert line["index"] not in found, f"image {line['index']} stands twice in the manifest"
        with Image.open(folder / line["file"]) as image:
            found[line["index"]] = (line["seed"], image.tobytes())
    pngs = {path.name for path in folder.glob("*.png")} - {Path(file).name for file in run.files}
    assert pngs == {json.loads(line)["file"] for line in lines}, "the folder and its manifest differ"
    assert not list(folder.glob(".*")), f"half-written files: {list(folder.glob(chr(46) + chr(42)))}"
    return found


def json_lines(text: str) -> list[dict[str, object]]:
    """Each line as an object."""
    return [json.loads(line) for line in text.splitlines()]


def learning_records(data: DataFolder, run_id: str) -> Sequence[str]:
    """Ids of the learning records of a run."""
    lines = data.learning.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["record_id"] for row in rows if row["kind"] == "image" and row["run_id"] == run_id]


def _environment(crash_at: str) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key != "STABLENEW_CRASH_AT"}
    return environment | ({"STABLENEW_CRASH_AT": crash_at} if crash_at else {})
