"""The desktop's start: from the start of the process until its first frame is to be seen.

``stablenew --data FOLDER`` on a display without a screen, beside the least that Dear PyGui can do: a process
that imports it and draws one window. Both are looked at from outside, by the colour of a pixel. Linux, Xvfb.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.desktop.xdisplay import XDisplay, dying_with_us, why_not
from Xlib import display as xlib_display
from Xlib.X import ZPixmap

from benchmarks.common import (
    START_TIMEOUT,
    at_most,
    describe_machine,
    emit,
    emit_median,
    interleave,
    options,
    parser,
    ratios,
    wait_for,
)
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import KernelUnavailable
from stablenew_client import KernelClient

LIMIT = 0.5
"""Seconds."""
LOOKED_AT = (340, 47)
"""A pixel of the screen that is in the bar at the top, wherever the window opens."""

BARE = """
import dearpygui.dearpygui as dpg
dpg.create_context()
dpg.create_viewport(title="bare", width=1600, height=1000, x_pos=40, y_pos=40, vsync=False)
with dpg.theme() as theme, dpg.theme_component(dpg.mvAll):
    dpg.add_theme_color(dpg.mvThemeCol_WindowBg, (18, 21, 29))
with dpg.window(tag="main"):
    dpg.bind_theme(theme)
dpg.set_primary_window("main", True)
dpg.setup_dearpygui()
dpg.show_viewport()
while dpg.is_dearpygui_running():
    dpg.render_dearpygui_frame()
"""


class Eye:
    """Sees one pixel of a display."""

    def __init__(self, screen: XDisplay) -> None:
        self._display = xlib_display.Display(screen.name)
        self._root = self._display.screen().root
        self.dark = self.colour()

    def colour(self) -> bytes:
        """What is there now."""
        return bytes(self._root.get_image(*LOOKED_AT, 1, 1, ZPixmap, 0xFFFFFFFF).data[:3])

    def close(self) -> None:
        """Forget the display."""
        self._display.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(parser(__doc__, rounds=(11, 2, "rounds")), argv)
    describe_machine(Path(chosen.folder))
    if reason := why_not():
        emit("desktop_start.running", None, "s", skipped=reason)
        return 0
    data = DataFolder(Path(tempfile.mkdtemp(prefix="stablenew-bench-", dir=chosen.folder)))
    try:
        with XDisplay() as screen:
            _measure(screen, data, chosen.rounds)
    finally:
        _stop(data)
        shutil.rmtree(data.root, ignore_errors=True)
    return 0


def _measure(screen: XDisplay, data: DataFolder, rounds: int) -> None:
    times: dict[str, list[float]] = {"bare": [], "running": [], "alone": []}
    desktop = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(data.root)]
    bare = [sys.executable, "-c", BARE]

    def with_kernel() -> None:
        KernelClient.connect_or_start(data).close()
        times["running"].append(_start(screen, desktop))

    def without() -> None:
        _stop(data)
        # What it starts has to be there before it can be stopped.
        times["alone"].append(_start(screen, desktop, lambda: data.read_kernel() is not None))

    def least() -> None:
        times["bare"].append(_start(screen, bare))

    for begin in (least, with_kernel, without):  # to be warm
        begin()
    for values in times.values():
        values.clear()
    interleave(rounds, [least, with_kernel, without])
    emit_median("desktop_start.bare_window", times["bare"], "s")
    for name, what in (("running", "with_kernel"), ("alone", "without_kernel")):
        values = times[name]
        emit_median(f"desktop_start.{what}", values, "s", **at_most(statistics.median(values), LIMIT))
        emit_median(f"desktop_start.{what}_ratio", ratios(values, times["bare"]), "x")


def _start(screen: XDisplay, command: Sequence[str], before_end: Callable[[], bool] = lambda: True) -> float:
    """Seconds until something is to be seen of ``command``, which is then ended."""
    eye = Eye(screen)
    process = None
    # Compiled modules are kept, as they are where it is installed.
    environment = {
        name: value for name, value in screen.environment().items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    try:
        began = time.perf_counter()
        process = subprocess.Popen(
            dying_with_us(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while eye.colour() == eye.dark:
            if process.poll() is not None or time.perf_counter() - began > START_TIMEOUT:
                raise RuntimeError(f"nothing is to be seen of {' '.join(command[:4])}")
            time.sleep(0.001)
        took = time.perf_counter() - began
        wait_for(before_end, START_TIMEOUT, lambda: "no kernel was started")
        return took
    finally:
        if process is not None:
            process.kill()
            process.wait()
        wait_for(lambda: eye.colour() == eye.dark, START_TIMEOUT, lambda: "the window stays")
        eye.close()


def _stop(data: DataFolder) -> None:
    """End the kernel, if there is one, and wait until it has."""
    with suppress(KernelUnavailable), KernelClient.connect(data) as kernel:
        kernel.stop()
    wait_for(lambda: data.read_kernel() is None, START_TIMEOUT, lambda: "the kernel does not stop")


if __name__ == "__main__":
    sys.exit(main())
