"""Seconds a job of the whole path over calling the embedded engine directly.

The path: one agent with one slot; plan, queue, lease, worker, upload, commit, and the image with its metadata
in the run's folder. Directly: the same prompt, seed and settings in this process, packed as PNG by the same
settings and written to a file (without that: ``overhead.direct_without_png``). Rounds are interleaved, and the
overhead is the difference in each round.

Drawing takes long compared with the overhead, and as long as the machine lets it. So what kernel and agent did
for a job is given, too (``overhead.outside_worker``: the processor time of both until the last image is saved):
it needs no difference of two noisy numbers, and no time in which nothing but the worker ran. Since two jobs
overlap in a worker there is none.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import (
    Cluster,
    Watch,
    at_most,
    describe_machine,
    emit,
    emit_median,
    interleave,
    options,
    parser,
    request,
    timed_images,
)
from stablenew_agent import encode
from stablenew_api.backend import Progress, Txt2ImgRequest
from stablenew_api.cancel import CancelToken
from stablenew_plugins.backends.embedded import EmbeddedBackend, EmbeddedConfig

TARGET_MS = 15.0
SETTINGS: dict[str, Any] = {"sampler_name": "DPM++ 2M", "scheduler": "Karras", "cfg_scale": 7.0}


class Never(CancelToken):
    """Nobody cancels."""

    @property
    def cancelled(self) -> bool:
        """No."""
        return False

    def wait(self, seconds: float) -> bool:
        """Sleep."""
        time.sleep(max(0.0, seconds))
        return False


class Direct:
    """The engine in this process."""

    def __init__(self, folder: Path, seed: int, size: int, steps: int) -> None:
        self._backend = EmbeddedBackend(EmbeddedConfig())
        self._folder = folder
        self._seed, self._size, self._steps = seed, size, steps

    def images(self, count: int) -> tuple[float, float]:
        """Seconds an image: with the PNG written, and for the engine alone."""
        engine = 0.0
        begun = time.perf_counter()
        for number in range(count):
            asked = Txt2ImgRequest(
                prompt=f"bench row {number}",
                negative_prompt="",
                seed=self._seed,
                width=self._size,
                height=self._size,
                steps=self._steps,
                cfg_scale=SETTINGS["cfg_scale"],
                sampler=SETTINGS["sampler_name"],
                scheduler=SETTINGS["scheduler"],
            )
            before = time.perf_counter()
            image = self._backend.txt2img(asked, Progress(), Never()).image
            engine += time.perf_counter() - before
            (self._folder / f"{number}.png").write_bytes(encode.png(encode.png_ready(image)))
        return (time.perf_counter() - begun) / count, engine / count


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        images=(12, 8, "images a round"),
        rounds=(7, 1, "rounds"),
        size=(512, 64, "width and height"),
        steps=(20, 2, "sampling steps"),
    )
    chosen = options(made, argv)
    describe_machine(Path(chosen.folder))
    seed, count = 1234, chosen.images
    preset = {
        "txt2img": {
            **SETTINGS,
            "width": chosen.size,
            "height": chosen.size,
            "steps": chosen.steps,
            "seed": seed,
        }
    }
    path: list[float] = []
    direct: list[float] = []
    engine: list[float] = []
    used = Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="stablenew-bench-", dir=chosen.folder) as scratch,
        Cluster(agents=1, slots=1, folder=chosen.folder) as cluster,
        Watch(cluster.client) as watch,
    ):
        alone = Direct(Path(scratch), seed, chosen.size, chosen.steps)

        def whole() -> None:
            timed = timed_images(cluster, watch, request(count, preset), count)
            path.append(timed.saved / count)
            used.update(timed.cpu)

        def directly() -> None:
            with_png, without = alone.images(count)
            direct.append(with_png)
            engine.append(without)

        timed_images(cluster, watch, request(2, preset), 2)
        alone.images(2)
        _check_same_pictures(cluster, Path(scratch))
        interleave(chosen.rounds, [whole, directly])
    differences = [(mine - other) * 1000 for mine, other in zip(path, direct, strict=True)]
    target = at_most(statistics.median(differences), TARGET_MS)
    emit_median("overhead.per_job", differences, "ms", images=count, **target)
    # Of all rounds together: the system counts in steps as large as the figure.
    cpu = {who: seconds * 1000 / (count * chosen.rounds) for who, seconds in used.items()}
    emit("overhead.outside_worker", cpu["kernel"] + cpu["agents"], "ms of a core", images=count)
    for who, milliseconds in cpu.items():
        emit(f"overhead.cpu_{who}", milliseconds, "ms of a core", images=count)
    emit_median("overhead.path", [seconds * 1000 for seconds in path], "ms", images=count)
    emit_median("overhead.direct", [seconds * 1000 for seconds in direct], "ms", images=count)
    emit_median("overhead.direct_without_png", [seconds * 1000 for seconds in engine], "ms", images=count)
    without = [(mine - other) * 1000 for mine, other in zip(path, engine, strict=True)]
    emit("overhead.per_job_over_engine_alone", statistics.median(without), "ms", images=count)
    return 0


def _check_same_pictures(cluster: Cluster, scratch: Path) -> None:
    """Both sides must draw the same, or the comparison means nothing."""
    from PIL import Image

    run = cluster.client.runs(1)[0]
    lines = (Path(run.out_dir) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines:
        saved = json.loads(line)
        with (
            Image.open(Path(run.out_dir) / saved["file"]) as ours,
            Image.open(scratch / f"{saved['index']}.png") as theirs,
        ):
            if ours.tobytes() != theirs.tobytes():
                raise RuntimeError(f"{saved['file']}: path and direct call drew different pictures")


if __name__ == "__main__":
    sys.exit(main())
