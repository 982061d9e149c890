"""Packs on the left of the window and the prompt editor, by mouse and keys."""

from __future__ import annotations

import json
from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.font_kit import font
from tests.desktop.models.test_editor import Kernel

from stablenew_kernel.domain.packs import parse_pack
from stablenew_plugins.desktop.components.lettering import Lettering
from stablenew_plugins.desktop.models.core.letters import Letters
from stablenew_plugins.desktop.theme.merge import merge
from stablenew_plugins.desktop.theme.merging import Merging
from stablenew_plugins.desktop.theme.systemfonts import FontFile
from stablenew_proto.v1 import kernel_pb2


@pytest.fixture
def packs(gui, lone_app):
    """A window with four packs, and a kernel that reads them."""
    folder = lone_app.desk.data.packs
    folder.mkdir(parents=True)
    for name in ("alpha", "beta", "gamma"):
        (folder / f"{name}.txt").write_text(f"{name} one\nneg: text\n\n# two\n{name} two\n", encoding="utf-8")
    (folder / "sea.txt").write_text("a boat\n", encoding="utf-8")
    lone_app.desk.state.connected(Kernel(), kernel_pb2.GetStatusResponse())
    lone_app.bench.packs.rescan()
    gui.until(lambda: lone_app.bench.packs.look is not None)
    gui.until(lambda: gui.visible("sidebar.pack.3"))
    return lone_app.bench.packs


def names(paths):
    return [path.stem for path in paths]


def test_a_click_looks_a_box_selects_and_modifiers_select_more(gui, packs):
    assert names(packs.selected) == ["alpha"]
    gui.click("sidebar.pack.2", 0.4)
    gui.until(lambda: packs.current.stem == "gamma")
    assert names(packs.selected) == ["alpha"]
    gui.until_value("sidebar.row.text", "gamma one")
    gui.click("sidebar.row.behind")
    gui.until_value("sidebar.row.text", "gamma two")
    gui.click("sidebar.pack.1", 0.92)
    gui.until(lambda: names(packs.selected) == ["alpha", "beta"])
    assert packs.current.stem == "gamma"
    gui.click("sidebar.pack.3", 0.4, held="ctrl")
    gui.until(lambda: names(packs.selected) == ["alpha", "beta", "sea"])
    gui.click("sidebar.pack.2", 0.4, held="shift")
    gui.until(lambda: names(packs.selected) == ["alpha", "beta", "sea", "gamma"])
    gui.click("sidebar.filter.selected")
    gui.until(lambda: packs.filter == "selected")


def test_a_search_leaves_what_has_the_words_and_is_taken_back(gui, packs):
    gui.key("ctrl+f")
    gui.type("two gam")
    gui.until(lambda: names(packs.shown) == ["gamma"])
    gui.until(lambda: not gui.visible("sidebar.pack.1"))
    gui.type("xyz")
    gui.click("sidebar.clear")
    gui.until(lambda: len(packs.shown) == 4)
    gui.until_value("sidebar.search", "")


def test_the_selection_is_kept_as_a_list(gui, packs):
    gui.click("sidebar.lists")
    gui.click("packlists.name")
    gui.type("evening")
    gui.key("Return")
    gui.click("packlists.show.evening")
    gui.until(lambda: packs.filter == "list:evening")
    gui.until(lambda: names(packs.shown) == ["alpha"])
    gui.click("sidebar.list.leave")
    gui.until(lambda: packs.filter == "all")


def test_a_new_pack_opens_in_the_editor(gui, packs, lone_app):
    gui.click("sidebar.new")
    gui.click("newpack.field")
    gui.type("harbour")
    gui.click("newpack.do")
    gui.until(lambda: lone_app.bench.view.overlay == "editor")
    gui.until(lambda: len(lone_app.bench.editor.rows) == 1)
    assert (lone_app.desk.data.packs / "harbour.txt").exists()


@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_hundreds_of_packs_are_scrolled_through(gui, lone_app, scale):
    lone_app.bench.view.choose_scale(scale)
    folder = lone_app.desk.data.packs
    folder.mkdir(parents=True)
    for number in range(400):
        (folder / f"pack {number:03}.txt").write_text("row\n", encoding="utf-8")
    model = lone_app.bench.packs
    model.rescan()
    gui.until(lambda: len(model.entries) == 400 and gui.visible("sidebar.pack.1"))
    model.look_at(folder / "pack 399.txt")
    gui.until(lambda: dpg.get_y_scroll("sidebar.list") > 10_000)
    gui.frames(3)
    before = len(dpg.get_all_items())
    model.look_at(folder / "pack 000.txt")
    gui.until(lambda: dpg.get_y_scroll("sidebar.list") == 0)
    assert len(dpg.get_all_items()) <= before


# --- the editor ---------------------------------------------------------------------------------------------


@pytest.fixture
def editor(gui, packs, lone_app):
    """The editor with the first pack."""
    gui.click("sidebar.edit")
    model = lone_app.bench.editor
    gui.until(lambda: len(model.rows) == 2)
    gui.until(lambda: dpg.get_item_state("editor.positive.keys.0")["active"])
    return model


def test_what_is_typed_stands_where_the_caret_is(gui, editor):
    text = editor.texts["positive"]
    gui.type(", (dawn:1.2) é")
    gui.until(lambda: text.text == "alpha one, (dawn:1.2) é")
    for _ in range(3):
        gui.key("Left")
    gui.type("!")
    gui.key("BackSpace")
    gui.key("Home")
    gui.type("An ")
    gui.key("End")
    gui.type(".")
    gui.until(lambda: text.text == "An alpha one, (dawn:1.2) é.")
    gui.key("ctrl+BackSpace")
    gui.key("ctrl+z")
    gui.until(lambda: text.text == "An alpha one, (dawn:1.2) é.")
    gui.key("ctrl+a")
    gui.type("new")
    gui.until(lambda: text.text == "new")
    gui.key("ctrl+Up")
    gui.until(lambda: text.text == "(new:1.1)")
    gui.type("er")
    gui.until(lambda: editor.row.positive == "(newer:1.1)")


def test_copied_and_pasted(gui, editor):
    text = editor.texts["positive"]
    gui.key("ctrl+a")
    gui.key("ctrl+c")
    gui.key("End")
    gui.key("ctrl+v")
    gui.until(lambda: text.text == "alpha onealpha one", lambda: repr((text.text, text.caret, text.anchor)))
    gui.key("ctrl+a")
    gui.key("ctrl+x")
    gui.until(lambda: text.text == "")


def test_a_click_puts_the_caret_and_a_drag_selects(gui, editor):
    text = editor.texts["positive"]
    gui.click("editor.positive.text", 0.01, 0.1)
    gui.until(lambda: text.caret <= 1)
    gui.type("Z")
    gui.until(lambda: "Z" in text.text[:2])
    gui.drag_by("editor.positive.text", 40, 0, across=0.01, down=0.1)
    gui.until(lambda: len(text.selected) >= 3)
    gui.double_click("editor.positive.text", 0.03, 0.1)
    gui.until(lambda: text.selected in ("Zalpha", "aZlpha"), lambda: repr((text.text, text.caret, text.anchor)))


def test_names_are_offered_and_taken_by_keys_and_mouse(gui, editor):
    text = editor.texts["positive"]
    gui.type(" __")
    gui.until(lambda: gui.visible("editor.option.1"))
    gui.key("Down")
    gui.key("Return")
    gui.until(lambda: text.text == "alpha one __people/hair__")
    gui.type(" [[")
    gui.click("editor.option.0")
    gui.until(lambda: text.text.endswith(" [[time]]"))
    gui.type("!")
    gui.until(lambda: text.text.endswith(" [[time]]!"))
    gui.type(" __ci")
    gui.until(lambda: editor.completion is not None)
    gui.key("Escape")
    gui.until(lambda: editor.completion is None)
    assert not editor.asks_to_close
    gui.type("t")
    gui.until(lambda: text.text.endswith(" __cit"))


def test_rows_are_chosen_added_saved_and_all_else_stays(gui, editor, packs, lone_app):
    path = packs.current
    gui.key("Page_Down")
    gui.until(lambda: editor.at == 1)
    gui.type(" more")
    gui.click("editor.row.0", 0.5)
    gui.until(lambda: editor.at == 0)
    gui.key("ctrl+s")
    gui.until(lambda: not editor.is_dirty)
    assert path.read_text(encoding="utf-8") == "alpha one\nneg: text\n\n# two\nalpha two more\n"
    gui.click("editor.add")
    gui.until(lambda: len(editor.rows) == 3)
    gui.click("editor.positive.text")
    gui.type("third")
    gui.key("Tab")
    gui.key("ctrl+a")
    gui.key("Delete")
    gui.click("editor.save")
    gui.until(lambda: not editor.is_dirty)
    rows = parse_pack(path.name, path.read_bytes()).rows
    assert [(row.positive, row.negative) for row in rows] == [
        ("alpha one", "text"),
        ("third", ""),
        ("alpha two more", ""),
    ]


def test_closing_asks_and_the_answers_do_what_they_say(gui, editor, lone_app):
    view = lone_app.bench.view
    gui.type("x")
    gui.key("Escape")
    gui.click("editor.stay")
    gui.until(lambda: not editor.asks_to_close)
    assert view.overlay == "editor"
    gui.click("editor.close")
    gui.click("editor.discard")
    gui.until(lambda: view.overlay == "")
    assert not editor.is_dirty
    gui.click("sidebar.edit")
    gui.until(lambda: gui.visible("editor.save"))
    gui.until(lambda: editor.texts["positive"].text == "alpha one")


def test_another_theme_meanwhile_loses_nothing(gui, editor, lone_app):
    gui.type(", kept")
    lone_app.bench.view.choose_theme("light")
    gui.frames(4)
    assert editor.texts["positive"].text == "alpha one, kept"
    assert editor.is_dirty
    gui.click("editor.positive.text", 0.5, 0.5)
    gui.type("!")
    gui.until(lambda: editor.texts["positive"].text == "alpha one, kept!")


def test_the_window_does_not_close_over_what_is_not_saved(gui, editor, lone_app):
    view = lone_app.bench.view
    gui.type("x")
    gui.until(lambda: editor.is_dirty)
    view.open("settings")
    gui.frames(3)
    lone_app.ask_to_close()
    assert not view.quits
    gui.click("editor.saveclose")
    gui.until(lambda: view.overlay == "")
    assert editor.path.read_text(encoding="utf-8").startswith("alpha onex\n")
    lone_app.ask_to_close()
    assert view.quits


def test_characters_that_our_fonts_lack_are_typed_pasted_and_drawn(gui, editor, lone_app, tmp_path):
    path = tmp_path / "squares.ttf"
    font("日本").save(path)
    merging = Merging(
        tmp_path / "fonts",
        lambda: [FontFile(path, path.stat().st_size, 1)],
        lambda request: json.dumps(merge(request, Path(request["folder"]))),
    )
    lone_app.letters = Letters(lone_app.desk, merging)
    lone_app.lettering = Lettering(lone_app.ui, lone_app.letters)
    fonts, field = lone_app.ui.fonts, "editor.positive.text"
    old = {fonts[name] for name in ("body", "small", "medium", "mono")}
    gui.key("ctrl+a")
    gui.type("日")
    dpg.set_clipboard_text("本")
    gui.key("ctrl+v")
    gui.until(lambda: editor.row.positive == "日本")
    gui.until(lambda: fonts["mono"] not in old, patience=30.0)
    gui.until(lambda: not lone_app.lettering.is_busy)
    assert old.isdisjoint(dpg.get_item_info(item)["font"] for item in dpg.get_all_items())
    letter, square = (dpg.get_text_size(words, font=fonts["mono"])[0] for words in ("m" * 20, "日" * 20))
    assert square == pytest.approx(2 * letter, abs=1)
    assert fonts.lack("日本", mono=True) == set()
    assert gui.visible(field)
