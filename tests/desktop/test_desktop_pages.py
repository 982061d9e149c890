"""The pages about the desktop: the files, keys and pictures that they name are there, and their code works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.desk_kit import make_desk

from stablenew_plugins.desktop.components.basic import text
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels import shell
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = ROOT / "plugins" / "stablenew_plugins" / "desktop"
PICTURES = ROOT / "docs" / "images" / "desktop"
TO_BE_WRITTEN = {"models/notes.py", "panels/notes.py", "tests/desktop/models/test_notes.py"}
"""By whoever follows the page."""
NAMES = (Desk, Model, Overlay, Panel, Sequence, Shortcut, Ui, Workbench)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def example() -> dict[str, Any]:
    """What the code of the page defines."""
    defined: dict[str, Any] = {kind.__name__: kind for kind in NAMES}
    defined |= {"_": _, "many": many, "dpg": dpg, "text": text}
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", page("desktop-inside.md"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec("\n".join(line[3:] for line in block.splitlines()), defined)
    return defined


def files() -> list[str]:
    found = re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|/))`", page("desktop-inside.md"))
    return sorted(set(found) - TO_BE_WRITTEN)


@pytest.mark.parametrize("name", files())
def test_a_file_that_is_named_is_there(name):
    path = ROOT / name if name.startswith("tests/") else DESKTOP / name
    assert path.is_dir() if name.endswith("/") else path.is_file()


def test_enough_files_are_named_to_find_the_way():
    assert {"app.py", "models/workbench.py", "panels/shell.py", "panels/base.py"} <= set(files())


def test_the_model_of_the_page_works(tmp_path):
    table = make_desk(tmp_path)
    notes = example()["NotesModel"](table)
    (shortcut,) = notes.shortcuts()
    before = notes.revision
    shortcut.act()
    notes.add("second")
    assert notes.revision == before + 2
    assert notes.notes == ["second", "A note"]
    assert example()["NotesModel"](table).notes == notes.notes


def test_the_panel_of_the_page_works(gui, lone_app, monkeypatch):
    defined = example()
    bench = lone_app.bench
    bench.notes = defined["NotesModel"](lone_app.desk)

    def opened(ui, bench):
        panel = defined["NotesPanel"](ui, bench)
        panel.build()
        return panel

    monkeypatch.setattr(shell, "OVERLAYS", {**shell.OVERLAYS, "notes": opened})
    bench.view.open("notes")
    gui.until(lambda: gui.visible("notes.list"))
    gui.until_value("notes.list", "No notes yet.")
    bench.notes.add("first")
    gui.until_value("notes.list", "first")
    gui.key("Escape")
    gui.until(lambda: not dpg.does_item_exist("notes.list"))


def test_the_keys_that_are_told_do_something(lone_app):
    known = {shortcut.keys for shortcut in lone_app.bench.shortcuts}
    keys = page("desktop.md").split("\n## Keys\n")[1].split("\n## ")[0]
    told = [
        key for line in keys.splitlines() if line.startswith("| `") for key in re.findall(r"`([^`]+)`", line)
    ]
    assert len(told) > 15
    assert [key for key in told if key not in known] == []


def test_each_picture_is_in_a_page():
    text = page("desktop.md") + page("desktop-walk.md") + page("plugins.md")
    shown = set(re.findall(r"images/desktop/([\w-]+\.png)", text))
    assert shown == {path.name for path in PICTURES.glob("*.png")}


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in PICTURES.glob("*.png")) < 5e6
