"""Who calls Dear PyGui, and how long a frame takes, while a kernel has much to tell."""

from __future__ import annotations

import inspect
import threading
import time
from pathlib import Path

import dearpygui.dearpygui as dpg
from session_kit import PATIENCE, preset

JOBS = 500
LIMIT = 0.1
"""Seconds of a frame."""
ROUNDS = 3
SMALL = (640, 420)


def test_no_call_of_dear_pygui_leaves_the_thread_that_draws(gui, live, monkeypatch):
    callers: dict[int, set[str]] = {}

    def watched(name, function):
        def call(*values, **named):
            callers.setdefault(threading.get_ident(), set()).add(name)
            return function(*values, **named)

        return call

    for name, function in inspect.getmembers(dpg, inspect.isfunction):
        if not name.startswith("_"):
            monkeypatch.setattr(dpg, name, watched(name, function))
    run_id = live.run()
    for tab in (3, 4, 5, 2):
        gui.key(f"ctrl+{tab}")
    live.until_over(run_id)
    gui.key("ctrl+comma")
    gui.until(lambda: live.app.bench.view.overlay == "settings")
    gui.key("Escape")
    gui.until(lambda: live.app.bench.view.overlay == "")
    live.until(lambda: live.app.bench.preview.shown is not None and not live.app.ui.textures.is_busy)
    assert len(callers.get(threading.get_ident(), ())) > 20, "nothing was watched"
    others = {name for thread, names in callers.items() if thread != threading.get_ident() for name in names}
    assert others == set()


class Stopwatch:
    """Takes the time of frames, less that in which this thread could have run, but others had the processors:
    how busy the machine is, is not asked here."""

    def __init__(self, app, monkeypatch):
        self.whole: list[float] = []
        self.logic: list[float] = []
        """All but the drawing."""
        self._app = app
        self._drawing = 0.0
        draw = dpg.render_dearpygui_frame

        def timed():
            begun = self._now()
            draw()
            self._drawing = self._now() - begun

        monkeypatch.setattr(dpg, "render_dearpygui_frame", timed)

    @staticmethod
    def _now():
        waited = int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1])
        return time.monotonic() - waited / 1e9

    def frame(self):
        begun = self._now()
        self._app.frame()
        took = self._now() - begun
        self.whole.append(took)
        self.logic.append(took - self._drawing)


def test_no_frame_is_long_while_hundreds_of_jobs_run(gui, live, monkeypatch):
    settings = preset()
    settings["pipeline"] |= {"txt2img_enabled": False, "noop_enabled": True}
    settings["noop"] = {"seconds": 0.004}  # or they are over before there was a frame to look at
    live.write_pack("tiny", "\n\n".join(f"a lighthouse {n}" for n in range(JOBS)), settings)
    live.until(lambda: live.app.bench.run.plan.images == JOBS)
    gui.key("ctrl+3")
    dpg.set_viewport_width(SMALL[0])
    dpg.set_viewport_height(SMALL[1])
    gui.frames(10)
    rounds = []
    for _round in range(ROUNDS):  # what is really long is so each time
        known = set(live.state.runs)
        gui.key("ctrl+Return")
        if live.app.bench.run.question is not None:
            live.app.bench.run.answer(True)
        run = None
        deadline = time.monotonic() + PATIENCE
        with monkeypatch.context() as patch:
            watch = Stopwatch(live.app, patch)
            while run is None or live.run_of(run).state == "running":
                watch.frame()
                run = run or next((run for run in live.state.runs if run not in known), None)
                live.app.mailbox.wait(0.005)
                assert time.monotonic() < deadline, live.told()
        assert live.run_of(run).done == JOBS
        rounds.append((max(watch.logic), max(watch.whole), len(watch.whole)))
        if max(watch.logic) < LIMIT and max(watch.whole) < LIMIT:
            break
    logic, whole, frames = rounds[-1]
    assert frames > 3, "nothing was seen of the run"
    assert logic < LIMIT, rounds
    assert whole < LIMIT, rounds
