"""What the benchmarks of the desktop share: a display, the window on it, and a kernel that makes nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.desktop.xdisplay import XDisplay, why_not

from benchmarks.common import emit
from stablenew_api.datafolder import DataFolder

SMALL, USUAL = (320, 240), (1600, 1000)
"""Sizes of the window: with next to nothing to draw, and as people have it."""


def missing(name: str) -> bool:
    """Whether there is no display for a benchmark; then ``name`` is told with the reason."""
    if reason := why_not():
        emit(name, None, "", skipped=reason)
    return bool(reason)


@contextmanager
def viewport(width: int, height: int) -> Iterator[None]:
    """A window of Dear PyGui with nothing in it, on a display of its own."""
    import dearpygui.dearpygui as dpg

    from stablenew_plugins.desktop.memory import give_back

    give_back()
    with XDisplay() as screen:
        os.environ.update(screen.environment())
        os.environ.pop("WAYLAND_DISPLAY", None)
        dpg.create_context()
        dpg.configure_app(manual_callback_management=True)
        dpg.create_viewport(
            title="bench", width=width, height=height, x_pos=0, y_pos=0, decorated=False, vsync=False
        )
        dpg.setup_dearpygui()
        dpg.show_viewport()
        try:
            yield
        finally:
            dpg.destroy_context()


@contextmanager
def data_folder(folder: str) -> Iterator[DataFolder]:
    """An empty data folder, removed at the end."""
    data = DataFolder(Path(tempfile.mkdtemp(prefix="stablenew-bench-", dir=folder)))
    try:
        yield data
    finally:
        shutil.rmtree(data.root, ignore_errors=True)


def resize(frame: Callable[[], None], size: tuple[int, int]) -> None:
    """Give the window another size, and let it settle."""
    import dearpygui.dearpygui as dpg

    dpg.set_viewport_width(size[0])
    dpg.set_viewport_height(size[1])
    deadline = time.monotonic() + 10
    while (dpg.get_viewport_client_width(), dpg.get_viewport_client_height()) != size:
        frame()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the window does not get {size[0]} x {size[1]} px")
    for _number in range(20):
        frame()


def cpu_a_frame(frame: Callable[[], None], frames: int, each: float = 1 / 60) -> list[float]:
    """Processor time of this thread for each of ``frames``, in milliseconds, at most one each ``each`` s."""
    spent = []
    due = time.perf_counter()
    for _number in range(frames):
        begun = time.thread_time()
        frame()
        spent.append((time.thread_time() - begun) * 1000)
        due = max(due + each, time.perf_counter() - each)
        time.sleep(max(0.0, due - time.perf_counter()))
    return spent


def memory() -> float:
    """What this process has in memory, in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def app_on(data: DataFolder, tab: str, *, connect: bool = False, **options: Any) -> Any:
    """The desktop, with ``tab`` in front and nobody to welcome."""
    from stablenew_plugins.desktop.app import App

    app = App(data, connect=connect, **options)
    app.desk.remembered.set("welcomed", True)
    app.bench.view.show_tab(tab)
    return app


class Drawing:
    """Takes the time that the drawing itself needs."""

    def __init__(self, dpg: Any) -> None:
        self.spent: list[float] = []
        self._draw = dpg.render_dearpygui_frame
        dpg.render_dearpygui_frame = self

    def __call__(self) -> None:
        begun = time.thread_time()
        self._draw()
        self.spent.append((time.thread_time() - begun) * 1000)
