"""The desktop's frame: processor time of the thread that draws, with 10,000 jobs queued and live previews.

In a window of 320 x 240 pixels, so that next to nothing is rasterised: what is left is logic, of Dear PyGui and
of ours. Beside it frames of a window with nothing in it. Where a GPU draws, a larger window costs the thread no
more than that; here a processor draws it, so the usual size is measured, too, without the drawing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import at_most, describe_machine, emit, emit_median, options, parser
from benchmarks.desktop_kit import (
    SMALL,
    USUAL,
    Drawing,
    app_on,
    cpu_a_frame,
    data_folder,
    missing,
    percentile,
    resize,
    viewport,
)

LIMIT = 6.0
"""Milliseconds."""
FPS = 60
PREVIEWS = 5
"""A second."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(
        parser(__doc__, jobs=(10_000, 200, "queued jobs"), frames=(600, 30, "frames of each round")), argv
    )
    describe_machine(Path(chosen.folder))
    if missing("desktop_frame.cpu"):
        return 0
    with data_folder(chosen.folder) as data, viewport(*SMALL):
        _measure(data, chosen.jobs, chosen.frames)
    return 0


def _measure(data: Any, jobs: int, frames: int) -> None:
    import dearpygui.dearpygui as dpg
    from tests.desktop.fake_house import FakeHouse, Size

    for _number in range(20):
        dpg.render_dearpygui_frame()
    empty = cpu_a_frame(dpg.render_dearpygui_frame, frames)
    house = FakeHouse(data, Size(queued=jobs))
    app = app_on(data, "queue")
    try:
        house.open(app)
        _settle(app, jobs)
        feed = Feed(app, house)
        resize(app.frame, SMALL)
        busy = cpu_a_frame(feed.frame, frames)
        resize(app.frame, USUAL)
        app.longest_frame = 0.0
        drawing = Drawing(dpg)
        usual = cpu_a_frame(feed.frame, frames // 2)
        drawn = drawing.spent[-len(usual) :]
    finally:
        app.close()
    emit_median("desktop_frame.empty", empty, "ms", p95=percentile(empty, 0.95))
    median = sorted(busy)[len(busy) // 2]
    emit_median(
        "desktop_frame.cpu", busy, "ms", p95=percentile(busy, 0.95), jobs=jobs, **at_most(median, LIMIT)
    )
    emit("desktop_frame.cpu_over_empty", median / sorted(empty)[len(empty) // 2], "x")
    ours = [whole - part for whole, part in zip(usual, drawn, strict=True)]
    emit_median("desktop_frame.logic_at_usual_size", ours, "ms", p95=percentile(ours, 0.95))
    emit_median("desktop_frame.drawing_at_usual_size", drawn, "ms", p95=percentile(drawn, 0.95))
    emit(
        "desktop_frame.longest",
        max(ours),
        "ms",
        by_the_clock=app.longest_frame * 1000,
        **at_most(max(ours), 100),
    )


def _settle(app: Any, jobs: int) -> None:
    """Draw until the list is there."""
    deadline = time.monotonic() + 30
    while app.bench.queue.queue.total < jobs:
        app.frame()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the list has {app.bench.queue.queue.total} of {jobs} jobs")
        time.sleep(0.01)


class Feed:
    """Tells the window what a kernel would: live previews and progress, and each second a job that changed.
    Counted in frames, so that a machine that draws slowly has no more to do in each."""

    def __init__(self, app: Any, house: Any) -> None:
        self._app, self._house = app, house
        self._frames = self._told = 0
        self._queue = house.queue
        self._previews = [house.progress((step + 1) / 21, 0) for step in range(20)]

    def frame(self) -> None:
        """A frame of the window, with what there is to tell in it."""
        if self._frames % (FPS // PREVIEWS) == 0:
            self._tell()
        self._frames += 1
        self._app.frame()

    def _tell(self) -> None:
        from stablenew_proto.v1 import kernel_pb2 as pb

        self._told += 1
        preview = self._previews[self._told % len(self._previews)]
        message = pb.WatchResponse(progress=[preview], queue=self._queue)
        if self._told % PREVIEWS == 0:
            job = pb.Job()
            job.CopyFrom(self._house.all_jobs[3])
            message.jobs.append(job)
        self._app.mailbox.post(lambda: self._app.desk.state.news(message), key="news")


if __name__ == "__main__":
    sys.exit(main())
