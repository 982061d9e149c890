"""The desktop's latency: from a word of the kernel about a job that runs until the window shows it.

A real kernel, agent and worker; the window is drawn in this process at the rate at which it draws in life: 10
frames a second while nothing happens, 60 while something does. A sample is the time from the arrival of a
message until the end of the frame in which the text of the status bar changed. Beside it what a window with
nothing in it takes from a word of another thread to the end of the next frame, at 60 frames a second.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.common import at_most, describe_machine, emit, emit_median, options, parser
from benchmarks.desktop_kit import app_on, data_folder, missing, percentile, viewport

LIMIT = 100.0
"""Milliseconds, for 95 of 100."""
SIZE = (640, 420)
"""The smallest window: how long a processor draws a large one is not asked here."""
TIMEOUT = 120.0
QUIET = 2.0
"""Seconds after which the window draws at its slow rate."""
SHOWN = ("status.title", "status.text", "status.percent", "status.eta")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(parser(__doc__, images=(60, 3, "images that are made"), idle=(12, 2, "single runs")), argv)
    describe_machine(Path(chosen.folder))
    if missing("desktop_latency.p95"):
        return 0
    with data_folder(chosen.folder) as data, viewport(*SIZE):
        _measure(data, chosen.images, chosen.idle)
    return 0


def _measure(data: Any, images: int, idle: int) -> None:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

    floor = _floor(200)
    KernelClient.connect_or_start(data).close()
    eye = Eye(data)
    try:
        eye.until(lambda: any(node.report.state == "ready" for node in eye.app.desk.state.online))
        kernel = eye.app.desk.state.kernel
        eye.samples.clear()
        # Progress of jobs that each take a while, one behind the other.
        run = pb.RunRequest(
            pack_name="bench.txt",
            pack=b"a lighthouse at dusk",
            count=images,
            seed=1,
            confirmed=True,
            preset_json=PRESET,
            preset_name="bench",
        )
        eye.until_over(kernel.submit(run).run_id)
        busy = list(eye.samples)
        woken = []
        for _number in range(idle):
            eye.rest(QUIET)
            eye.samples.clear()
            run.count = 1
            eye.until_over(kernel.submit(run).run_id)
            woken += eye.samples[:1]
    finally:
        eye.close()
        with suppress(Exception), KernelClient.connect(data) as client:
            client.stop()
    emit_median("desktop_latency.floor", floor, "ms", p95=percentile(floor, 0.95))
    p95 = percentile(busy, 0.95)
    emit("desktop_latency.p95", p95, "ms", samples=len(busy), **at_most(p95, LIMIT))
    emit_median("desktop_latency.median", busy, "ms")
    p95 = percentile(woken, 0.95)
    emit("desktop_latency.woken_p95", p95, "ms", samples=len(woken), **at_most(p95, LIMIT))


PRESET = b'{"txt2img": {"width": 256, "height": 256, "steps": 20}, "pipeline": {"txt2img_enabled": true}}'


def _floor(count: int) -> list[float]:
    """Milliseconds from a word of another thread to the end of the next frame, of an empty window."""
    import dearpygui.dearpygui as dpg

    said: deque[float] = deque()
    ended = threading.Event()

    def speak() -> None:
        while not ended.wait(0.037):
            said.append(time.perf_counter())

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    samples: list[float] = []
    while len(samples) < count:
        begun = time.perf_counter()
        heard = [said.popleft() for _number in range(len(said))]
        dpg.render_dearpygui_frame()
        now = time.perf_counter()
        samples += [(now - at) * 1000 for at in heard]
        time.sleep(max(0.0, begun + 1 / 60 - now))
    ended.set()
    thread.join()
    return samples


class Eye:
    """A window on ``data``, drawn as in life, and somebody who looks at its status bar."""

    def __init__(self, data: Any) -> None:
        import dearpygui.dearpygui as dpg

        self._dpg = dpg
        self._arrived: deque[float] = deque()
        self.samples: list[float] = []
        """Milliseconds."""
        self.app = app_on(data, "queue", connect=True)
        self._listen()
        self._shown: list[str] = []

    def _listen(self) -> None:
        """Note when a message comes, before anything is made of it."""
        pending = self.app.link._pending
        add = pending.add

        def noted(message: Any) -> None:
            if not message.snapshot:
                self._arrived.append(time.perf_counter())
            add(message)

        pending.add = noted

    def look(self) -> None:
        """A frame, and the pause behind it."""
        begun = time.perf_counter()
        self.app.frame()
        now = time.perf_counter()
        shown = [self._dpg.get_value(item) for item in SHOWN]
        heard = [at for at in self._arrived if at <= begun]
        if shown != self._shown:
            self._shown = shown
            self.samples += [(now - at) * 1000 for at in heard[:1]]
        for _number in heard:
            self._arrived.popleft()
        self.app._pause()

    def until(self, condition: Callable[[], bool]) -> None:
        """Look on until ``condition()``."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.look()
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {TIMEOUT:g} s; it shows {self._shown}")

    def until_over(self, run_id: str) -> None:
        """Look on until a run is over."""
        runs = self.app.desk.state.runs
        self.until(lambda: run_id in runs and runs[run_id].state != "running")

    def rest(self, seconds: float) -> None:
        """Look on for so long."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def close(self) -> None:
        """Close the window."""
        self.app.close()


if __name__ == "__main__":
    sys.exit(main())
