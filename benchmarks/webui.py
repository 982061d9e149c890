"""The whole product against a plain ``requests`` loop, on the same fake WebUI (2 MB images, 200 ms each).

The loop: POST, take the JSON apart, decode the base64, write the file, the next one. Ours: kernel, agent and
worker with the ``webui`` backend; every step durable, each image checked, hashed, stored and saved with its
metadata. The link is not encrypted here: pairing and TLS are not built yet, and the figures say so.

Also: the idle gap of the backend, three nodes of different speed, what asking for progress costs, and a
worker's memory over many large images.
"""

from __future__ import annotations

import base64
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import (
    START_TIMEOUT,
    Cluster,
    Watch,
    at_least,
    at_most,
    cpu_seconds,
    describe_machine,
    emit,
    emit_median,
    first_line,
    interleave,
    options,
    parser,
    ratios,
    request,
    timed_images,
    timed_run,
    wait_for,
)

TARGET_RATIO = 1.05
TARGET_GAP_MS = 8.0
TARGET_MAKESPAN = 1.1
TARGET_POLLING_PERCENT = 1.0
TARGET_GROWTH = 1.05
SPEEDS = (1, 2, 4)
PARTS = ("loop", "makespan", "polling", "memory")
UNENCRYPTED = {"encrypted": False}
STEPS = 20
SAMPLER = "Euler"


@dataclass
class Server:
    """A fake WebUI in a process of its own, and what it has seen since the last look."""

    url: str
    _seen: int = 0

    def look(self) -> Seen:
        """What came since the last call."""
        import requests

        told = requests.get(f"{self.url}/fake/seen", timeout=10).json()
        jobs = told["jobs"][self._seen :]
        self._seen = len(told["jobs"])
        gaps = [after["arrived"] - before["answered"] for before, after in pairwise(jobs)]
        return Seen(len(jobs), gaps, sum(gap < 0 for gap in gaps), told["questions"])


@dataclass(frozen=True)
class Seen:
    """What a server saw."""

    images: int
    gaps: list[float]
    """Seconds from the last byte of a reply to the first one of the next request for an image."""
    overlaps: int
    """Requests that came before the last reply was out: these gaps are below zero."""
    questions: int
    """About progress, since the server began."""


@contextmanager
def server(seconds: float, size: int, noise: bool = True) -> Iterator[Server]:
    """A fake WebUI whose images are ``size`` x ``size``: noise, or black but for a row."""
    module = ("-m", "tests.support.fake_webui", "--port", "0", "--seconds", str(seconds))
    image = ("--reply-size", f"{size}x{size}", "--reply-bytes", str(3 * size * size if noise else 1))
    process = subprocess.Popen([sys.executable, *module, *image], stdout=subprocess.PIPE)
    try:
        line = first_line(process, START_TIMEOUT).decode("ascii")
        if " at http" not in line:
            raise RuntimeError("the fake WebUI does not start")
        yield Server(line.rpartition(" at ")[2].strip())
    finally:
        process.kill()
        process.wait()


def backend(url: str) -> tuple[str, ...]:
    """Options of an agent that uses the server."""
    return ("--backend", "webui", "--backend-option", f"url={url}")


def preset(size: int, seed: int) -> dict[str, Any]:
    """Settings of both sides."""
    settings = {"width": size, "height": size, "steps": STEPS, "cfg_scale": 7.0, "sampler_name": SAMPLER}
    return {"txt2img": {**settings, "seed": seed}}


def loop(url: str, jobs: int, size: int, seed: int, folder: Path) -> float:
    """Seconds of the plain loop. A session, since without one it would be slower."""
    import requests

    session = requests.Session()
    begun = time.perf_counter()
    for number in range(jobs):
        asked = {
            "prompt": f"bench row {number}",
            "negative_prompt": "",
            "seed": seed + number,
            "steps": STEPS,
            "cfg_scale": 7.0,
            "width": size,
            "height": size,
            "sampler_name": SAMPLER,
        }
        reply = session.post(f"{url}/sdapi/v1/txt2img", json=asked, timeout=60)
        reply.raise_for_status()
        (folder / f"{number}.png").write_bytes(base64.b64decode(reply.json()["images"][0]))
    return time.perf_counter() - begun


def compare(jobs: int, rounds: int, milliseconds: int, size: int, folder: Path) -> None:
    """Throughput and gaps, ours and the loop's."""
    mine: list[float] = []
    theirs: list[float] = []
    my_gaps: list[float] = []
    their_gaps: list[float] = []
    overlaps = 0
    seeds = iter(range(1, 1 << 31, 10_000))
    with ExitStack() as stack:
        fake = stack.enter_context(server(milliseconds / 1000, size))
        url = fake.url
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stablenew-bench-", dir=folder)))
        cluster = stack.enter_context(Cluster(agents=1, slots=1, folder=folder, agent_options=backend(url)))
        watch = stack.enter_context(Watch(cluster.client))

        def ours() -> None:
            nonlocal overlaps
            asked = request(jobs, preset(size, next(seeds)))
            mine.append(jobs / timed_images(cluster, watch, asked, jobs).saved)
            told = fake.look()
            my_gaps.extend(told.gaps)
            overlaps += told.overlaps
            assert told.images == jobs, f"{told.images} images were made for {jobs} jobs"

        def plain() -> None:
            theirs.append(jobs / loop(url, jobs, size, next(seeds), scratch))
            their_gaps.extend(fake.look().gaps)

        timed_images(cluster, watch, request(3, preset(size, next(seeds))), 3)
        loop(url, 3, size, next(seeds), scratch)
        fake.look()
        interleave(rounds, [ours, plain])
    emit_median("webui.images_per_second", mine, "images/s", jobs=jobs, **UNENCRYPTED)
    emit_median("webui.loop_images_per_second", theirs, "images/s", jobs=jobs)
    faster = ratios(mine, theirs)
    emit_median(
        "webui.ratio_vs_loop", faster, "x", **at_least(statistics.median(faster), TARGET_RATIO), **UNENCRYPTED
    )
    gap = statistics.median(my_gaps) * 1000
    emit("webui.gap", gap, "ms", **_spread(my_gaps), overlaps=overlaps, **at_most(gap, TARGET_GAP_MS))
    emit("webui.loop_gap", statistics.median(their_gaps) * 1000, "ms", **_spread(their_gaps))


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = [second * 1000 for second in sorted(seconds)]
    return {"p95": ordered[int(len(ordered) * 0.95)], "max": ordered[-1]}


def makespan(jobs: int, rounds: int, milliseconds: int, folder: Path) -> None:
    """Three nodes at 1, 2 and 4 times the speed, over the time in which they would be through if none ever
    waited. Small images: the three share our processors, and are not to wait for those."""
    ideal = jobs * milliseconds / 1000 / sum(SPEEDS)
    found: list[float] = []
    with ExitStack() as stack:
        fakes = [stack.enter_context(server(milliseconds / 1000 / speed, 64)) for speed in SPEEDS]
        cluster = stack.enter_context(
            Cluster(
                agents=len(fakes), slots=1, folder=folder, options_by_agent=[backend(one.url) for one in fakes]
            )
        )
        watch = stack.enter_context(Watch(cluster.client))
        # Each node makes some first: how long they take there is then known, as it is in any house in use.
        timed_run(cluster, watch, request(4 * len(fakes), preset(64, 1)))
        for number in range(rounds):
            asked = request(jobs, preset(64, 100_000 * (number + 1)))
            seconds = timed_images(cluster, watch, asked, jobs).committed
            found.append(seconds / ideal)
        made = [one.look().images for one in fakes]
    emit_median(
        "webui.makespan_over_ideal",
        found,
        "x",
        jobs=jobs,
        ideal_seconds=ideal,
        images_by_node=made,
        **at_most(statistics.median(found), TARGET_MAKESPAN),
    )


def polling(seconds: int, folder: Path) -> None:
    """CPU of the worker while an image takes long and it asks for progress, of one core."""
    with ExitStack() as stack:
        fake = stack.enter_context(server(seconds, 64))
        cluster = stack.enter_context(
            Cluster(agents=1, slots=1, folder=folder, agent_options=backend(fake.url))
        )
        watch = stack.enter_context(Watch(cluster.client))
        worker = _worker(cluster)
        run = cluster.client.submit(request(1, preset(64, 1))).run_id
        time.sleep(min(1.0, seconds / 4))
        before, begun = cpu_seconds(worker), time.perf_counter()
        time.sleep(seconds / 2)
        used = (cpu_seconds(worker) - before) / (time.perf_counter() - begun) * 100
        watch.run_ended(run)
        questions = fake.look().questions
    emit("webui.polling_cpu", used, "%", questions=questions, **at_most(used, TARGET_POLLING_PERCENT))


def memory(jobs: int, size: int, folder: Path) -> None:
    """The worker's memory over many images of ``size`` x ``size``."""
    peaks: list[int] = []
    with ExitStack() as stack:
        fake = stack.enter_context(server(0.0, size, noise=False))
        cluster = stack.enter_context(
            Cluster(agents=1, slots=1, folder=folder, agent_options=backend(fake.url))
        )
        watch = stack.enter_context(Watch(cluster.client))
        worker = _worker(cluster)
        client = cluster.client
        run = client.submit(request(jobs, preset(size, 1))).run_id
        done = 0
        tenth = max(1, jobs // 10)
        while done < jobs:
            peak = 0
            goal = min(jobs, done + tenth)
            while done < goal:
                time.sleep(0.05)
                peak = max(peak, worker.memory_info().rss)
                done = client.status().queue.done
            peaks.append(peak)
        watch.run_ended(run)
    mb = [peak / 1e6 for peak in peaks]
    # The first tenth warms up: buffers of this size are allocated and kept.
    growth = max(mb[-3:]) / max(mb[1:4] or mb)
    emit(
        "webui.worker_memory",
        max(mb),
        "MB",
        images=jobs,
        megapixels=size * size / 1e6,
        by_tenth=[int(x) for x in mb],
    )
    emit("webui.worker_memory_growth", growth, "x", images=jobs, **at_most(growth, TARGET_GROWTH))


def _worker(cluster: Cluster) -> psutil.Process:
    agent = psutil.Process(cluster.agent_pids[0])
    wait_for(lambda: bool(agent.children()), START_TIMEOUT, lambda: "the agent has no worker")
    return agent.children()[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        jobs=(200, 4, "images a round"),
        rounds=(2, 1, "rounds"),
        milliseconds=(200, 20, "an image takes so long"),
        size=(816, 64, "width and height; 816 makes 2 MB"),
        nodes_jobs=(140, 14, "images of the three nodes"),
        nodes_milliseconds=(1000, 100, "an image takes so long on the slowest of them"),
        polling_seconds=(20, 2, "the image of the polling figure takes so long"),
        large_images=(500, 10, "images of the memory figure"),
        large_size=(2000, 64, "their width and height"),
    )
    made.add_argument("--parts", default=",".join(PARTS), help="which figures")
    chosen = options(made, argv)
    folder = Path(chosen.folder)
    describe_machine(folder)
    parts = chosen.parts.split(",")
    if "loop" in parts:
        compare(chosen.jobs, chosen.rounds, chosen.milliseconds, chosen.size, folder)
    if "makespan" in parts:
        makespan(chosen.nodes_jobs, chosen.rounds, chosen.nodes_milliseconds, folder)
    if "polling" in parts:
        polling(chosen.polling_seconds, folder)
    if "memory" in parts:
        memory(chosen.large_images, chosen.large_size, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
