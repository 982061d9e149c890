"""The desktop's frames while something comes up or changes: processor time of the thread that draws, without
the drawing, of the longest frame and of the tab or overlay alone.

Each tab is opened for the first time in a window that was just drawn anew, each overlay too; then what a kernel
tells is told: a plan, a list of 10,000 jobs, reports of 24 nodes, and jobs are selected. How far the figures
move by themselves is told as well: the same work, timed again and again.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import at_most, describe_machine, emit, emit_median, options, parser
from benchmarks.desktop_kit import USUAL, Drawing, app_on, data_folder, missing, percentile, resize, viewport

LIMIT = 4.0
"""Milliseconds that our own work may take of a frame."""
FRAMES = 8
"""Drawn after each change: by then all of it is there."""
STEADY = 20
OVERLAYS = ("settings", "editor", "compare", "liked", "shortcuts", "presets", "explain", "preset_diff")
NODES, REPORTS = 24, 24
PATIENCE = 60.0
PACK = "sixty.txt"
"""A pack of so many rows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(
        parser(__doc__, jobs=(10_000, 200, "queued jobs"), openings=(5, 1, "times that each is opened")), argv
    )
    describe_machine(Path(chosen.folder))
    if missing("desktop_panels.noise"):
        return 0
    with data_folder(chosen.folder) as data, viewport(*USUAL):
        _measure(data, chosen.jobs, chosen.openings)
    return 0


class Frames:
    """Draws frames and keeps how long our own work in them took, by what was done."""

    def __init__(self, app: Any, drawing: Drawing) -> None:
        self.app, self._drawing = app, drawing
        self.longest: dict[str, list[float]] = defaultdict(list)
        """Milliseconds of the longest frame behind each change."""
        self.work: dict[str, list[float]] = defaultdict(list)
        """Milliseconds beyond that of a frame in which nothing changed, of all frames behind each change."""
        self.usual = 0.0

    def one(self) -> float:
        """A frame; milliseconds of our own work in it."""
        begun = time.thread_time()
        self.app.frame()
        return (time.thread_time() - begun) * 1000 - self._drawing.spent[-1]

    def until(self, done: Callable[[], object]) -> None:
        """Draw until something is so. Raises RuntimeError after a minute."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            self.one()
            if time.monotonic() > deadline:
                raise RuntimeError("what was waited for has not come")
            time.sleep(0.01)

    def during(self, name: str, do: Callable[[], object], done: Callable[[], object]) -> None:
        """As :meth:`after`, until something is so and a few frames more."""
        do()
        took: list[float] = []
        deadline = time.monotonic() + PATIENCE
        left = 4
        while left:
            took.append(self.one())
            left -= bool(done())
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}: what was waited for has not come")
        self.longest[name].append(max(took))
        self.work[name].append(sum(max(0.0, one - self.usual) for one in took))

    def rest(self, frames: int = STEADY) -> list[float]:
        """Frames in which nothing is done."""
        return [self.one() for _number in range(frames)]

    def after(self, name: str, do: Callable[[], object], frames: int = FRAMES) -> None:
        """The frames behind ``do``, which counts as part of the first of them."""
        begun = time.thread_time()
        do()
        spent = (time.thread_time() - begun) * 1000
        took = [spent + self.one(), *(self.one() for _number in range(frames - 1))]
        self.longest[name].append(max(took))
        self.work[name].append(sum(max(0.0, one - self.usual) for one in took))


def _measure(data: Any, jobs: int, openings: int) -> None:
    import dearpygui.dearpygui as dpg
    from tests.desktop.fake_house import FakeHouse, Size

    from stablenew_plugins.desktop.models.core.view import TABS

    house = FakeHouse(data, Size(queued=jobs))
    rows = [f"a lighthouse by the sea, {number} gulls above it" for number in range(60)]
    (house.data.packs / PACK).write_text("\n\n".join(rows), encoding="utf-8")
    app = app_on(data, "pipeline")
    try:
        app.frame()
        house.open(app)
        resize(app.frame, USUAL)
        frames = Frames(app, Drawing(dpg))
        bench = app.bench
        frames.until(lambda: bench.pipeline.cards and bench.packs.entries)
        for tab, ready in (
            ("queue", lambda: bench.queue.queue.total >= jobs),
            ("learning", lambda: bench.review.total),
            ("prompt", lambda: not bench.run.is_planning),
        ):
            bench.view.show_tab(tab)
            frames.until(ready)
        frames.rest(60)
        frames.usual = statistics.median(frames.rest(60))
        emit_median("desktop_panels.noise", [_same_work() for _number in range(60)], "ms")
        for _round in range(openings):
            _open_all(frames, TABS)
        steady = {tab: _steady(frames, tab) for tab in TABS}
        _tell(frames, house, openings)
    finally:
        app.close()
    for name, values in frames.longest.items():
        median = statistics.median(values)
        emit_median(
            f"desktop_panels.{name}",
            values,
            "ms",
            whole=statistics.median(frames.work[name]),
            **at_most(median, LIMIT),
        )
    for tab, values in steady.items():
        emit_median(f"desktop_panels.steady.{tab}", values, "ms", p95=percentile(values, 0.95))
    emit("desktop_panels.usual", frames.usual, "ms")


def _same_work() -> float:
    """Milliseconds of something that is always as much."""
    begun = time.thread_time()
    sum(number * number for number in range(20_000))
    return (time.thread_time() - begun) * 1000


def _open_all(frames: Frames, tabs: Sequence[str]) -> None:
    """Every tab and overlay, in a window that was drawn anew."""
    app = frames.app
    view = app.bench.view
    first = tabs[-1]
    view.show_tab(first)
    frames.rest(4)
    frames.after("new_look", lambda: view.choose_theme("light" if view.theme == "dark" else "dark"))
    for tab in tabs[:-1]:
        frames.after(f"first_look.{tab}", partial(view.show_tab, tab))
    for tab in tabs:
        frames.after(f"second_look.{tab}", partial(view.show_tab, tab))
    view.show_tab(tabs[0])
    frames.rest(4)
    frames.after("new_look_at_prompt", lambda: view.choose_theme("light" if view.theme == "dark" else "dark"))
    frames.after(f"first_look.{first}", lambda: view.show_tab(first))
    frames.rest(8)
    for name in OVERLAYS:
        frames.after(f"overlay.{name}", partial(_open, app, name))
        view.close_anyway()
        frames.rest(3)


def _open(app: Any, name: str) -> None:
    bench = app.bench
    if name == "editor":
        bench.packs.current = next(iter(bench.packs.entries))
        bench.packs.edit()
    elif name == "compare":
        bench.compare.open([image for place in range(3) if (image := bench.review.at(place)) is not None])
    else:
        bench.view.open(name)


def _steady(frames: Frames, tab: str) -> list[float]:
    frames.app.bench.view.show_tab(tab)
    frames.rest(10)
    return frames.rest(40)


def _tell(frames: Frames, house: Any, openings: int) -> None:
    """What comes while it is used."""
    from stablenew_proto.v1 import kernel_pb2 as pb

    app = frames.app
    bench = app.bench
    cluster = [pb.Node() for _number in range(NODES)]
    for number, node in enumerate(cluster):
        node.CopyFrom(house.nodes()[number % 2])
        node.node_id = f"{node.node_id}-{number}"
        node.info.name = f"{node.info.name}-{number}"
    app.desk.state.news(pb.WatchResponse(nodes=cluster))
    for tab in ("prompt", "cluster", "queue"):
        bench.view.show_tab(tab)
        frames.rest(10)
        for turn in range(openings * 2):
            node = cluster[turn % NODES]
            node.report.cpu_load = 0.1 + 0.01 * turn
            frames.after(f"report.{tab}", partial(app.desk.state.news, pb.WatchResponse(nodes=[node])), 3)
            for other in cluster:
                other.report.cpu_load = 0.2 + 0.01 * turn
            message = pb.WatchResponse(nodes=cluster)
            frames.after(f"reports_of_all.{tab}", partial(app.desk.state.news, message), 3)
    for turn in range(openings * 2):
        row = turn % 12
        frames.after("select.queue", partial(bench.queue.select, row, "one"), 4)
        frames.after("select_range.queue", partial(bench.queue.select, row + 9, "range"), 4)
    for _turn in range(openings):
        queue = bench.queue.queue
        revision = queue.revision
        frames.during("list.queue", queue.refresh, lambda: queue.revision != revision)  # noqa: B023
    for tab in ("queue", "prompt", "pipeline"):
        bench.view.show_tab(tab)
        for _turn in range(openings):
            for chosen in ((house.data.packs / "portraits.txt",), (house.data.packs / PACK,)):
                _plan(frames, f"plan.{tab}", chosen)


def _plan(frames: Frames, name: str, chosen: Sequence[Path]) -> None:
    """Let other packs be what runs next; until the plan is there."""
    bench = frames.app.bench
    plan = bench.run.plan
    before = list(bench.packs.selected)

    def choose() -> None:
        for path in before:
            bench.packs.toggle(path)
        for path in chosen:
            bench.packs.toggle(path)

    frames.during(name, choose, lambda: bench.run.plan is not plan and not bench.run.is_planning)


if __name__ == "__main__":
    sys.exit(main())
