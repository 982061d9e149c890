"""Somebody who presses everything. What is pressed follows from a number, so that it can be done again."""

from __future__ import annotations

import os
import random

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.fake_house import FakeHouse, Size

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import StableNewError
from stablenew_plugins.desktop.app import App
from stablenew_plugins.desktop.models.core import opening
from stablenew_plugins.desktop.models.core.view import TABS

ACTS = int(os.environ.get("FUZZ_ACTS", "25"))
"""So many and not so long: what is done must not follow from how busy the machine is."""
SEEDS = [int(seed) for seed in os.environ.get("FUZZ_SEEDS", "1").split(",")]
KEYS = (
    "Escape", "Tab", "Return", "Up", "Down", "Left", "Right", "Home", "End", "Delete", "space", "F1", "Prior",
    "Next", "ctrl+a", "ctrl+z", "ctrl+f", "ctrl+e", "ctrl+n", "ctrl+o", "ctrl+b", "ctrl+i", "ctrl+comma",
    "ctrl+Return",
    "ctrl+1", "ctrl+2", "ctrl+3", "ctrl+4", "ctrl+5", "1", "4", "c", "p", "shift+Down", "alt+Up", "alt+Down",
)  # fmt: skip
WORDS = ("lake", "steps>=30", "[[", "{a|b", "__weather__", "<lora:", "é日", "99999999999", "-1", "", "(((")


class Monkey:
    """Presses what it finds."""

    def __init__(self, gui, app, house, seed):
        self.gui, self.app, self.house = gui, app, house
        self.rng = random.Random(seed)
        self.done: list[str] = []

    def act(self):
        """Do one thing."""
        acts = (self.click, self.click, self.click, self.click, self.press, self.type, self.turn, self.disturb)
        self.rng.choice(acts)()

    def targets(self):
        """Tagged items that are to be seen, and where."""
        bounds = self.gui.target.bounds()
        found = []
        for tag in sorted(dpg.get_aliases()):
            try:
                rect = self.gui.target.rect(tag)
            except AssertionError:  # it has no place of its own
                continue
            if rect is not None and rect.inside(bounds):
                found.append((tag, rect))
        return found

    def click(self):
        targets = self.targets()
        if not targets:
            return
        tag, rect = self.rng.choice(targets)
        self.done.append(f"click {tag}")
        self.gui.input.move(*rect.at(self.rng.uniform(0.1, 0.9), self.rng.uniform(0.1, 0.9)))
        self.gui.frames(2)
        button = self.rng.choice((1, 1, 1, 1, 3))
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            self.gui.input.down(button)
            self.gui.frames(1)
            self.gui.input.up(button)
            self.gui.frames(1)

    def press(self):
        key = self.rng.choice(KEYS)
        self.done.append(f"key {key}")
        self.gui.key(key)

    def type(self):
        words = self.rng.choice(WORDS)
        self.done.append(f"type {words}")
        self.gui.type(words)

    def turn(self):
        self.done.append("turn the wheel")
        for _ in range(self.rng.randint(1, 6)):
            self.gui.input.notch(self.rng.choice(("up", "down", "down")))
        self.gui.frames(2)

    def disturb(self):
        """What happens around the person: the kernel goes and comes, images are made, the window is resized."""
        what = self.rng.choice(("lost", "back", "news", "size", "theme", "tab"))
        self.done.append(what)
        state, view = self.app.desk.state, self.app.bench.view
        if what == "lost":
            state.lost("the kernel has stopped")
        elif what == "back" or state.kernel is None:
            self.house.open(self.app)
        elif what == "news":
            state.news(self.house.snapshot())
        elif what == "size":
            dpg.set_viewport_width(self.rng.choice((700, 1000, 1280)))
            dpg.set_viewport_height(self.rng.choice((450, 800)))
        elif what == "theme":
            view.choose_theme("light" if view.theme == "dark" else "dark")
            view.choose_scale(self.rng.choice((1.0, 1.25)))
        else:
            view.show_tab(self.rng.choice(TABS))
        self.gui.frames(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_pressed_nothing_breaks(gui, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(opening, "command", lambda path, platform, *, reveal: ["true"])  # opens nothing
    data = DataFolder(tmp_path / "data")
    house = FakeHouse(data, Size(images=12, queued=40))
    app = App(data, connect=False)
    app.desk.remembered.set("welcomed", True)
    bugs: list[Exception] = []
    complain = app.desk.complain  # bound before it is replaced

    def watched(error):
        if not isinstance(error, (StableNewError, OSError)):
            bugs.append(error)
        complain(error)

    monkeypatch.setattr(type(app.desk), "complain", lambda _desk, error: watched(error))
    gui.target.pump = app
    monkey = Monkey(gui, app, house, seed)
    try:
        gui.frames(2)
        house.open(app)
        for _ in range(ACTS):
            monkey.act()
            app.bench.view.quits = False
            if bugs:
                break
        gui.frames(3)
    except BaseException as error:
        error.add_note("what was done, the last at the end: " + ", ".join(monkey.done[-12:]))
        raise
    finally:
        gui.target.pump = gui.target.draw
        app.close()
    assert not bugs, (bugs, monkey.done[-12:])
    assert len(monkey.done) > ACTS / 2
