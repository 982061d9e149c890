"""What the tests of this folder work with."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg
import psutil
from PIL import Image
from Xlib import X
from Xlib import display as xlib_display
from Xlib.protocol.event import ClientMessage

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import StableNewError
from stablenew_client import KernelClient
from stablenew_plugins.desktop.app import App
from stablenew_proto.v1 import kernel_pb2 as pb

PATIENCE = 90.0
"""Seconds for what other processes have to do."""


def preset(size: int = 64, steps: int = 2, images: int = 1, **sections: Any) -> dict[str, Any]:
    """Settings of a pack that has only the first stage, and small images."""
    others = ("img2img", "adetailer", "upscale", "color_grade", "film_grain", "sharpen", "watermark", "frame")
    return {
        "txt2img": {"width": size, "height": size, "steps": steps, "seed": 1000},
        "pipeline": {
            "txt2img_enabled": True,
            "images_per_prompt": images,
            "post_processors": [],
            **{f"{stage}_enabled": False for stage in others},
        },
        **sections,
    }


def slow(images: int, seconds: float = 1.5) -> dict[str, Any]:
    """Settings of a pack whose images are noise, and take their time without taking that of a processor: a run
    of many is not over before somebody on a busy machine has clicked."""
    made = preset(images=images)
    made["pipeline"] |= {"txt2img_enabled": False, "noop_enabled": True}
    return {**made, "noop": {"payload_bytes": 20_000, "seconds": seconds}}


TINY = "a lighthouse at dusk\n\na night city in the rain\n\na misty forest\n"


class Session:
    """A desktop in the window of the tests, on ``data``, and the person in front of it: ``gui``."""

    def __init__(
        self, gui: Any, data: DataFolder, packs: Mapping[str, str], remembered: Mapping[str, Any]
    ) -> None:
        """``packs``: text by name, in place of all that there are. ``remembered``: how the window was left."""
        self.gui, self.data = gui, data
        data.packs.mkdir(parents=True, exist_ok=True)
        for path in data.packs.iterdir():
            path.unlink()
        for name, text in packs.items():
            self.write_pack(name, text)
        (data.root / "desktop.json").unlink(missing_ok=True)
        if remembered is not None:
            left = {"welcomed": True, **remembered}
            (data.root / "desktop.json").write_text(json.dumps(left), encoding="utf-8")
        self.app: Any = None
        self.states: list[str] = []
        """Of the status bar, each change that was drawn; what is over between two frames is not."""
        self.stopped: set[str] = set()
        """Runs that somebody has had stopped."""
        self.open()

    def write_pack(self, name: str, text: str, settings: Mapping[str, Any] | None = None) -> Path:
        """Put a pack with settings for quick, small images into the folder."""
        path = self.data.packs / f"{name}.txt"
        path.write_text(text, encoding="utf-8", newline="\n")
        path.with_suffix(".json").write_text(json.dumps(settings or preset()), encoding="utf-8")
        return path

    # --- the window -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the window, as it was left."""
        self.app = App(self.data)
        self.gui.target.pump = self
        self.gui.frames(3)

    def frame(self) -> None:
        """Draw a frame, and leave the processors to the others for a moment."""
        self.app.frame()
        assert not dpg.top_container_stack(), "a panel has left a container open"
        state = self.app.bench.status.now.state
        if not self.states or self.states[-1] != state:
            self.states.append(state)
        self.stopped |= self.app.bench.run.stopping
        self.app.mailbox.wait(0.01)

    def close(self) -> None:
        """Close the window. The kernel goes on, unless the person wanted it to stop."""
        if self.app is not None:
            self.gui.target.pump = self.gui.target.draw
            self.app.close()
            self.app = None

    # --- what there is to see -------------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        """What the window knows of the kernel."""
        return self.app.desk.state

    def until(self, condition: Any, what: Any = "") -> Any:
        """Wait for what other processes have to do."""
        return self.gui.until(condition, what or self.told, PATIENCE)

    def told(self) -> str:
        """Why something did not come: for the message of a test that fails."""
        runs = [(run.name, run.state, run.done, run.total) for run in self.state.runs.values()]
        toasts = [(toast.text, toast.detail) for toast in self.app.desk.toasts.shown]
        return f"{self.app.bench.status.now}; runs {runs}; messages {toasts}"

    def until_ready(self) -> None:
        """Wait until a kernel answers, an agent is ready, and the window knows what a run would be."""
        self.until(lambda: any(node.report.state == "ready" for node in self.state.online))
        bench = self.app.bench
        self.until(lambda: not bench.packs.selected or (bench.run.plan.images and not bench.run.is_planning))

    def run(self, button: str = "bar.run") -> str:
        """Press the button that starts a run, and wait until it is queued. Returns its id."""
        known = {run.run_id for run in self.kernel_runs()}
        self.gui.click(button)
        fresh = self.until(lambda: [run for run in self.state.runs if run not in known])
        return str(fresh[0])

    def kernel_runs(self) -> Sequence[pb.Run]:
        """All runs that the kernel knows."""
        return self.app.desk.state.kernel.runs(1000) if self.app.desk.state.kernel is not None else ()

    def run_of(self, run_id: str) -> pb.Run:
        """The run as the window knows it."""
        return self.state.runs[run_id]

    def until_over(self, run_id: str) -> pb.Run:
        """Wait until a run is over, and return it."""
        self.until(lambda: self.run_of(run_id).state != "running")
        return self.run_of(run_id)

    def until_settled(self, run_id: str) -> pb.Run:
        """Wait until nothing of a run is under way any more: a cancelled one may have a job that ends yet."""
        self.until(lambda: self.run_of(run_id).state != "running" and not self.run_of(run_id).active)
        return self.run_of(run_id)


def images_in(run: pb.Run) -> list[Path]:
    """The images in the folder of a run. Each is whole: all its pixels can be read."""
    found = sorted(path for path in Path(run.out_dir).rglob("*.png") if "contact" not in path.name)
    for path in found:
        with Image.open(path) as image:
            image.load()
    return found


def end_kernel(data: DataFolder) -> None:
    """Stop the kernel of a data folder, if there is one, and see that it and its agent have ended."""
    if (info := data.read_kernel()) is None:
        return
    try:
        family = [psutil.Process(info.pid), *psutil.Process(info.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    with suppress(StableNewError), KernelClient.connect(data) as kernel:
        kernel.stop()
    _gone, left = psutil.wait_procs(family, timeout=30)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def press_close_button(display: str, title: str) -> None:
    """What the close button of a window does: its border asks the program to close it."""
    x = xlib_display.Display(display)
    try:
        window = next(window for window in _windows(x.screen().root) if window.get_wm_name() == title)
        data = (32, [x.intern_atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0])
        event = ClientMessage(window=window, client_type=x.intern_atom("WM_PROTOCOLS"), data=data)
        window.send_event(event)
        x.sync()
    finally:
        x.close()


def _windows(root: Any) -> list[Any]:
    """All windows of a display."""
    found = []
    for window in root.query_tree().children:
        found += [window, *_windows(window)]
    return found


def wait_until(condition: Any, what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of ``condition()``, without a window. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return value
