"""The walk of ``dev.py shots``: somebody who opens StableNew for the first time and ends with rated images. All
is real: the program as it is started from a shell, mouse and keyboard, kernel, agent, embedded engine."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

from tests.desktop.appprocess import AppProcess, stablenew, stop_kernel
from tests.desktop.driver import Driver
from tests.desktop.xdisplay import XDisplay

from stablenew_api.datafolder import DataFolder
from stablenew_client import KernelClient

PATIENCE = 90.0
"""Seconds for what other processes do; frames are slow without a graphics card."""
REST = 3.0
"""Seconds after which a picture is taken though something moves."""
STEPS, SEED = 26, 4711
"""What the person of the walk wants in place of the pack's."""


class Walk:
    """The person, and what each step leaves to see: ``keep`` gets the name of a picture and the window."""

    def __init__(self, keep: Callable[[str, Any], None], screen: XDisplay) -> None:
        self._keep, self._screen = keep, screen
        self.data = DataFolder(Path("StableNew"))
        self.gui: Driver
        self.app: AppProcess
        self._opened = 0

    # --- what a step needs ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the program, as from a shell."""
        self._opened += 1
        folder = Path(f"window{self._opened}").resolve()
        self.app = AppProcess(stablenew(self.data.root), self._screen, folder)
        self.gui = self.app.driver

    def end(self) -> None:
        """Leave nothing behind."""
        self.app.kill()
        stop_kernel(self.data.root)

    def asked(self, condition: Callable[[KernelClient], object], what: str) -> None:
        """Wait until the kernel that the window has started says so. It is asked nothing else."""
        with KernelClient.connect(self.data) as kernel:
            self.until(lambda: condition(kernel), what)

    def until(self, condition: Callable[[], object], what: str) -> Any:
        """Wait for what other processes do."""
        return self.gui.until(condition, what, PATIENCE)

    def seen(self, *tags: str) -> None:
        """Wait until items are to be seen."""
        self.until(lambda: all(self.gui.visible(tag) for tag in tags), f"to be seen: {', '.join(tags)}")

    def says(self, tag: str, words: str) -> None:
        """Wait until a text has these words in it."""

        def has() -> bool:
            with suppress(AssertionError):  # it is not there yet
                return words in str(self.gui.value(tag))
            return False

        self.until(has, f"{words!r} in {tag}")

    def runs_over(self, count: int) -> None:
        """Wait until so many runs are over, and the window knows."""

        def over(kernel: KernelClient) -> bool:
            runs = kernel.runs()
            return len(runs) == count and all(run.state != "running" for run in runs)

        self.asked(over, f"{count} runs are over")
        self.says("status.title", "Idle")

    def tells(self, tag: str, words: str) -> None:
        """Wait until a button's label has these words in it."""
        self.until(lambda: words in str(self.app.ask("item", tag)["label"]), f"{words!r} on {tag}")

    def keep(self, name: str, *, moves: bool = False) -> None:
        """Take a picture once nothing moves; with ``moves`` at once."""
        bounds = self.gui.target.bounds()
        self.gui.move(bounds.x + 1, bounds.y + 1)
        self.gui.frames(8)
        last, deadline = self.gui.shot(), time.monotonic() + REST
        while not moves and time.monotonic() < deadline:
            self.gui.frames(6)
            now = self.gui.shot()
            if now == last:
                break
            last = now
        self._keep(name, last)

    def close_toasts(self) -> None:
        """Close the messages that are to be seen."""
        for tag in self.app.ask("tags"):
            if tag.startswith("toast.") and tag.endswith(".close") and self.gui.visible(tag):
                with suppress(AssertionError):  # it went by itself before it was clicked
                    self.gui.click(tag)

    # --- the steps ------------------------------------------------------------------------------------------

    def go(self) -> None:
        """All of it."""
        self.open()
        self._first_start()
        self._own_settings()
        self._queue_and_cluster()
        self._rate()
        self._promote()
        self._close_and_come_back()

    def _first_start(self) -> None:
        self.seen("start.demo")
        self.asked(lambda kernel: any(node.state == "online" for node in kernel.nodes()), "an agent is there")
        self.keep("first-start")
        if "start.embedded" in self.app.ask("tags"):  # a WebUI of this machine was found, and chosen
            self.gui.click("start.embedded")
            self.until(lambda: "start.embedded" not in self.app.ask("tags"), "the embedded engine is chosen")
        self.gui.click("start.demo")
        self.says("status.title", "Running")
        self.says("status.text", "image 3")
        self.keep("example-images-are-made", moves=True)
        self.runs_over(1)
        self.close_toasts()
        self.keep("example-images-are-done")

    def _own_settings(self) -> None:
        gui = self.gui
        gui.key("ctrl+1")
        self.seen("prompt.pack.0.field")
        gui.enter("prompt.pack.0.field", "2-6\n")
        self.tells("bar.run", "5 images")
        self.keep("which-prompts")
        gui.key("ctrl+e")
        self.seen("editor.save")
        gui.click("editor.row.5")
        gui.frames(10)
        gui.click("editor.positive.text", across=0.9, down=0.9)
        gui.key("End")
        gui.type(", {red|golden} sky")
        self.keep("the-editor")
        gui.click("editor.save")
        gui.frames(20)
        gui.key("Escape")
        self.until(lambda: not gui.visible("editor.save"), "the editor is closed")
        gui.key("ctrl+2")
        self.seen("pipeline.txt2img.steps")
        gui.click("pipeline.txt2img.steps", held="ctrl")
        gui.key("ctrl+a")
        gui.type(f"{STEPS}\n")
        self.says("pipeline.summary.txt2img", f"{STEPS} steps")
        gui.enter("pipeline.txt2img.seed", f"{SEED}\n")
        self.says("pipeline.txt2img.seed", str(SEED))
        gui.frames(20)
        self.close_toasts()
        self.keep("other-settings")

    def _queue_and_cluster(self) -> None:
        gui = self.gui
        gui.key("ctrl+Return")
        self.says("status.title", "Running")
        gui.key("ctrl+3")
        self.keep("the-queue", moves=True)
        gui.key("ctrl+4")
        self.until(lambda: "cluster.add" in self.app.ask("tags"), "the tab Cluster")
        self.keep("who-makes-them", moves=True)
        self.runs_over(2)

    def _rate(self) -> None:
        gui = self.gui
        self.close_toasts()
        gui.key("ctrl+5")
        self.seen("learning.grid.drawing")
        self.says("learning.sub", "of 11")
        self.keep("all-images")
        for stars in "43525":
            gui.key(stars)
            gui.frames(8)
        self.says("learning.sub", "5 of 11")
        gui.key("Home")
        gui.key("k")
        self.close_toasts()
        self.keep("rated-by-keys")
        gui.key("shift+Right")
        gui.key("shift+Right")
        gui.key("c")
        self.seen("compare.image.0", "compare.image.1")
        self.keep("side-by-side")
        gui.key("Escape")
        self.until(lambda: not gui.visible("compare.fit"), "the comparison is closed")
        gui.key("Escape")
        gui.click("learning.liked")
        self.seen("liked.rows")
        self.keep("what-was-liked")
        gui.key("Escape")
        self.until(lambda: not gui.visible("liked.rows"), "what was liked is closed")

    def _promote(self) -> None:
        gui = self.gui
        gui.click("learning.keepers")
        self.seen("promote.submit")
        self.until(lambda: str(gui.value("promote.line")), "the plan is there")
        self.keep("the-best-go-on")
        gui.click("promote.submit")
        self.runs_over(3)
        self.seen("learning.new")
        gui.click("learning.new")
        gui.key("Home")
        self.close_toasts()
        self.keep("the-best-are-done")

    def _close_and_come_back(self) -> None:
        gui = self.gui
        gui.key("ctrl+comma")
        self.seen("settings.theme.light")
        gui.click("settings.theme.light")
        self.seen("settings.theme.light")
        self.keep("settings")
        gui.key("Escape")
        gui.click("preview.follow")
        gui.key("ctrl+1")
        self.seen("prompt.pack.0.field")
        gui.enter("prompt.pack.0.field", "1-6\n")
        gui.enter("randomizer.count", "8\n")  # so many that it still goes on when the window is back
        self.tells("bar.run", "48 images")
        gui.key("ctrl+Return")
        self.says("status.title", "Running")
        self.close_toasts()
        gui.key("ctrl+2")
        self.keep("light", moves=True)
        self.app.ask("quit")
        self.app.wait()
        self.open()
        self.says("status.title", "Running")
        self.says("status.text", "image")
        self.close_toasts()
        self.keep("it-went-on-without-a-window", moves=True)


def walk(keep: Callable[[str, Any], None], screen: XDisplay) -> None:
    """Do all of it in a folder that is removed afterwards. ``keep`` gets the name and the picture of each step.
    Raises AssertionError where the window does not do what the person expects."""
    # It is to be seen in the editor and the tab Cluster, so it is called the same each time.
    folder = Path(tempfile.gettempdir()) / "first-start"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with chdir(folder):
        person = Walk(keep, screen)
        try:
            person.go()
        except AssertionError:
            picture = Path(tempfile.gettempdir()) / "stablenew-walk-failed.png"
            screen.shot().save(picture)
            print(f"  what was to be seen when it failed: {picture}", flush=True)
            raise
        finally:
            person.end()
    shutil.rmtree(folder)
