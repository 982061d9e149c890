"""What the benchmarks share: a cluster of real processes, figures as JSON lines, medians and ratios.

Absolute numbers depend on the machine and on what else it does. So every figure with a baseline is measured in
interleaved rounds (ours, theirs, ours, theirs, ...) and the ratio is that of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import psutil

from stablenew_api.datafolder import DataFolder
from stablenew_client import KernelClient, WatchStream
from stablenew_proto.v1 import kernel_pb2 as pb

START_TIMEOUT = 60.0
"""Seconds that kernel and agents get to be ready."""
STOP_TIMEOUT = 10.0
"""Seconds that each process gets to end by itself."""

NOOP_PRESET: dict[str, Any] = {"pipeline": {"txt2img_enabled": False, "noop_enabled": True}}


# --- figures --------------------------------------------------------------------------------------------------


def emit(name: str, value: float | None, unit: str, **more: object) -> None:
    """Print one figure. ``value`` None: it could not be measured; ``more`` then says why (``skipped``)."""
    line: dict[str, object] = {"name": name, "value": _short(value), "unit": unit}
    line.update({key: _short(item) for key, item in more.items()})
    print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)


def emit_median(name: str, values: Sequence[float], unit: str, **more: object) -> float:
    """Print the median of ``values`` with its spread; return it."""
    median = statistics.median(values)
    emit(name, median, unit, min=min(values), max=max(values), rounds=len(values), **more)
    return median


def at_least(value: float, target: float) -> dict[str, object]:
    """The fields that compare a figure with its target."""
    return {"target": f">= {target:g}", "met": value >= target}


def at_most(value: float, target: float) -> dict[str, object]:
    """The fields that compare a figure with its target."""
    return {"target": f"<= {target:g}", "met": value <= target}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, round by round."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def _short(value: object) -> object:
    """Four significant digits: the noise is larger than that."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def describe_machine(folder: Path) -> None:
    """A first line that says where these figures come from. Durable work is bound by ``fsync``, so that is
    measured: 4 KiB appended and synced in ``folder``."""
    times = []
    path = folder / "fsync.tmp"
    with path.open("wb") as file:
        for _ in range(20):
            begun = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    emit(
        "machine.fsync",
        statistics.median(times) * 1000,
        "ms",
        cpus=psutil.cpu_count(),
        cpu_busy=psutil.cpu_percent(interval=0.2) / 100,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        system=platform.platform(terse=True),
    )


# --- options --------------------------------------------------------------------------------------------------


def parser(doc: str | None, **defaults: tuple[int, int, str]) -> argparse.ArgumentParser:
    """Options of a benchmark: ``--NAME N`` for each ``name=(default, quick, help)``, and those all have."""
    made = argparse.ArgumentParser(
        description=(doc or "").partition("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument(
        "--quick", action="store_true", help="smallest numbers: shows that it runs, measures little"
    )
    made.add_argument(
        "--folder", default=tempfile.gettempdir(), help="where data folders are made (and removed)"
    )
    for name, (default, _, text) in defaults.items():
        made.add_argument(f"--{name}", type=int, default=default, help=text)
    made.set_defaults(quick_values={name: quick for name, (_, quick, _) in defaults.items()})
    return made


def options(made: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse; with ``--quick`` every number that was not given is the quick one."""
    chosen = made.parse_args(argv)
    if chosen.quick:
        for name, quick in chosen.quick_values.items():
            if getattr(chosen, name) == made.get_default(name):
                setattr(chosen, name, quick)
    return chosen


# --- processes ------------------------------------------------------------------------------------------------


class Cluster:
    """A kernel and its agents, real processes on loopback, on a data folder of their own. Always stopped and
    removed at the end, whatever happens inside the ``with``."""

    def __init__(
        self,
        *,
        agents: int,
        slots: int = 1,
        folder: str | os.PathLike[str] | None = None,
        agent_module: str = "stablenew_agent.main",
        agent_options: Sequence[str] = (),
        options_by_agent: Sequence[Sequence[str]] = (),
        far: bool = False,
    ) -> None:
        """``agent_options`` are for all agents, ``options_by_agent`` for one each. ``far``: the agents are not
        told that the kernel is on their machine."""
        self.data = DataFolder(Path(tempfile.mkdtemp(prefix="stablenew-bench-", dir=folder)))
        self._count, self._slots = agents, slots
        self._agent_module, self._agent_options, self._far = agent_module, agent_options, far
        self._options_by_agent = options_by_agent
        self._kernel: subprocess.Popen[bytes] | None = None
        self._agents: list[subprocess.Popen[bytes]] = []
        self._client: KernelClient | None = None
        self.kernel_pid = 0

    @property
    def agent_pids(self) -> list[int]:
        """Process ids of the agents."""
        return [process.pid for process in self._agents]

    @property
    def client(self) -> KernelClient:
        """A connection to the kernel."""
        assert self._client is not None, "use the cluster in a with statement"
        return self._client

    def cpu(self) -> dict[str, float]:
        """Seconds of a core that ``kernel``, ``agents`` and ``workers`` have used since they were started, each
        process in steps of the system's (10 ms, mostly)."""
        agents = [psutil.Process(pid) for pid in self.agent_pids]
        workers = [child for agent in agents for child in agent.children(recursive=True)]
        return {
            "kernel": cpu_seconds(psutil.Process(self.kernel_pid)),
            "agents": sum(map(cpu_seconds, agents)),
            "workers": sum(map(cpu_seconds, workers)),
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        root = str(self.data.root)
        with self._log("kernel").open("wb") as log:
            self._kernel = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "stablenew_kernel",
                    "--data",
                    root,
                    "--announce",
                    "--setting",
                    "local_agent=false",
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        line = first_line(self._kernel, START_TIMEOUT)
        answer = json.loads(line) if line else {}
        if "address" not in answer:
            raise RuntimeError(f"the kernel does not start: {answer.get('error') or self._tail('kernel')}")
        self.kernel_pid = answer["pid"]
        self._client = KernelClient.connect(self.data)
        for number in range(self._count):
            name = f"agent{number}"
            own = self._options_by_agent[number] if self._options_by_agent else ()
            with self._log(name).open("wb") as log:
                command = [sys.executable, "-m", self._agent_module, "--data", root, "--name", name]
                if self._far:
                    command += ["--kernel", answer["address"]]
                self._agents.append(
                    subprocess.Popen(
                        [*command, "--slots", str(self._slots), *self._agent_options, *own],
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                    )
                )
        wait_for(self._ready, START_TIMEOUT, lambda: f"agents are not ready: {self._tail('agent0')}")

    def _ready(self) -> bool:
        for process in self._agents:
            if process.poll() is not None:
                raise RuntimeError(f"an agent ended with code {process.returncode}: {self._tail('agent0')}")
        return sum(node.report.state == "ready" for node in self.client.nodes()) == self._count

    def _stop(self) -> None:
        """Agents first, by request; then the kernel. Workers end with their agents."""
        for process in self._agents:
            process.terminate()
        for process in self._agents:
            _reap(process)
        if self._kernel is not None:
            if self._client is not None:
                with suppress(Exception):  # it may be dead already, which is what we want
                    self._client.stop()
                self._client.close()
            elif self._kernel.poll() is None:
                self._kernel.terminate()
            _reap(self._kernel)
            assert self._kernel.stdout is not None
            self._kernel.stdout.close()
        shutil.rmtree(self.data.root, ignore_errors=True)

    def _log(self, name: str) -> Path:
        return self.data.root / f"bench-{name}.log"

    def _tail(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8", errors="replace")[-2000:]


def cpu_seconds(process: psutil.Process) -> float:
    """Seconds of a core that a process has used, its own and the system's for it."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def first_line(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """The first line that ``process`` prints; empty if it ends or stays silent for ``timeout`` seconds."""
    assert process.stdout is not None
    lines: list[bytes] = []
    reader = Thread(target=lambda: lines.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(timeout)
    return lines[0] if lines else b""


def wait_for(condition: Callable[[], bool], timeout: float, complaint: Callable[[], str]) -> None:
    """Poll until ``condition``; RuntimeError with ``complaint()`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint())
        time.sleep(0.02)


# --- work -----------------------------------------------------------------------------------------------------


def request(rows: int, preset: dict[str, Any], name: str = "bench", out_dir: str = "") -> pb.RunRequest:
    """A run of ``rows`` rows with one image each."""
    pack = "\n\n".join(f"bench row {number}" for number in range(rows))
    return pb.RunRequest(
        pack_name=f"{name}.txt",
        pack=pack.encode("utf-8"),
        preset_json=json.dumps(preset).encode("utf-8"),
        preset_name=name,
        out_dir=out_dir,
        confirmed=True,
    )


class Watch:
    """A stream that is open before the work begins: what a client sees, when it sees it."""

    def __init__(self, client: KernelClient, *, jobs: bool = False) -> None:
        self._stream: WatchStream = client.watch(jobs=jobs, progress=False)
        self._messages = iter(self._stream)
        self.snapshot = next(self._messages)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def until(self, found: Callable[[pb.WatchResponse], bool]) -> float:
        """Read on until ``found(message)``, which sees every message once; return the time (perf_counter)."""
        for message in self._messages:
            if found(message):
                return time.perf_counter()
        raise RuntimeError("the kernel ended the stream")

    def run_ended(self, run_id: str) -> float:
        """Read on until the run is over; return the time. RuntimeError if a job of it failed."""

        def ended(message: pb.WatchResponse) -> bool:
            for run in message.runs:
                if run.run_id == run_id and run.state != "running":
                    if run.done != run.total:
                        raise RuntimeError(f"{run.total - run.done} of {run.total} jobs did not succeed")
                    return True
            return False

        return self.until(ended)


def timed_run(cluster: Cluster, watch: Watch, asked: pb.RunRequest) -> float:
    """Seconds from submit until the watching client sees that the run is over."""
    begun = time.perf_counter()
    run_id = cluster.client.submit(asked).run_id
    return watch.run_ended(run_id) - begun


@dataclass(frozen=True, slots=True)
class Timed:
    """What a run of images took."""

    committed: float
    """Seconds from submit until all images are committed."""
    saved: float
    """Seconds from submit until all stand in the run's folder."""
    cpu: Mapping[str, float]
    """Seconds of a core until then: see :meth:`Cluster.cpu`."""


def timed_images(cluster: Cluster, watch: Watch, asked: pb.RunRequest, images: int) -> Timed:
    """Time a run of so many ``images``.

    Returns when the run is over: its reports (the contact sheet) are not in it, and disturb nobody after that.
    """
    before, used = cluster.client.status().queue.done, cluster.cpu()
    begun = time.perf_counter()
    run_id = cluster.client.submit(asked).run_id
    committed: list[float] = []
    saved: list[float] = []
    cpu: dict[str, float] = {}
    seen = 0

    def ended(message: pb.WatchResponse) -> bool:
        nonlocal seen
        now = time.perf_counter()
        if not committed and message.HasField("queue") and message.queue.done >= before + images:
            committed.append(now)
        seen += sum(image.run_id == run_id for image in message.images)
        if not saved and seen >= images:
            saved.append(now)
            cpu.update({who: seconds - used[who] for who, seconds in cluster.cpu().items()})
        for run in message.runs:
            if run.run_id == run_id and run.state != "running":
                if run.done != images or not saved:
                    raise RuntimeError(f"{run.done} of {images} jobs succeeded, {seen} images were saved")
                return True
        return False

    watch.until(ended)
    # The queue's counts are told a little later than a saved image, which cannot be before its commit.
    first = min([*committed, *saved])
    return Timed(first - begun, saved[0] - begun, cpu)


def interleave(rounds: int, contestants: Iterable[Callable[[], None]]) -> None:
    """Call each once a round, in an order that turns: nobody is always first."""
    order = list(contestants)
    for number in range(rounds):
        turn = number % len(order)
        for contestant in order[turn:] + order[:turn]:
            contestant()
