"""The harness itself: what a person does reaches a window, and what goes wrong in it fails a test."""

from __future__ import annotations

import logging
from typing import Any

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop import driver


@pytest.fixture
def seen() -> list[Any]:
    """What callbacks were given."""
    return []


@pytest.fixture
def bench(gui, seen):
    """A window with one of each."""

    def note(sender: object, data: object, user_data: object) -> None:
        seen.append((sender, data, user_data))

    def clicked(sender: object, data: Any, user_data: object) -> None:
        seen.append((user_data, data[0]))

    with dpg.item_handler_registry(tag="clicks"):
        dpg.add_item_double_clicked_handler(dpg.mvMouseButton_Left, callback=clicked, user_data="double")
        dpg.add_item_clicked_handler(dpg.mvMouseButton_Right, callback=clicked, user_data="right")
    with dpg.handler_registry(tag="keys"):
        dpg.add_key_press_handler(dpg.mvKey_Return, callback=note, user_data="return")
    with dpg.window(tag="main"):
        dpg.add_button(label="Add", tag="add", callback=note, user_data=7)
        dpg.add_text("target", tag="text")
        dpg.add_input_text(tag="field", callback=note)
        dpg.add_slider_float(tag="slider", width=400, max_value=1.0)
        with dpg.drag_payload(parent="add", payload_type="thing", drag_data="payload"):
            dpg.add_text("dragged")
        dpg.add_button(label="Drop", tag="drop", payload_type="thing", drop_callback=note)
        with dpg.child_window(tag="list", height=200):
            for n in range(60):
                dpg.add_button(label=f"row {n}", tag=f"row {n}", callback=note, user_data=n)
    dpg.bind_item_handler_registry("text", "clicks")
    dpg.set_primary_window("main", True)
    gui.until(lambda: gui.visible("drop"))
    return gui


def test_a_click_is_a_click(bench, seen):
    bench.click("add")
    assert seen == [(dpg.get_alias_id("add"), None, 7)] or seen == [("add", None, 7)]


@pytest.mark.parametrize("turn", range(3))
def test_the_same_tags_are_new_for_each_test(bench, turn):
    assert bench.value("field") == ""
    bench.click("field")
    bench.type(f"turn {turn}")
    bench.until_value("field", f"turn {turn}")


@pytest.mark.parametrize(
    "text",
    [
        "a quiet Harbour, (dawn:1.2) <lora:Mist_v2-0.5>",
        "[[name]] {a|b} \\ / ~ ^ ` @ # $ % & = + ; ' \" ! ? *",
        "é日ж✓ßŁ€",
    ],
)
def test_what_is_typed_arrives_as_it_is(bench, text):
    bench.click("field")
    bench.type(text)
    bench.until_value("field", text)


def test_a_field_can_be_entered_anew(bench):
    bench.enter("field", "first")
    bench.enter("field", "second")
    bench.until_value("field", "second")
    bench.key("ctrl+z")
    bench.until(lambda: bench.value("field") != "second")


def test_double_and_right_clicks_are_told_apart(bench, seen):
    bench.double_click("text")
    bench.until(lambda: seen)
    bench.right_click("text")
    bench.until(lambda: len(seen) == 2)
    assert seen == [("double", 0), ("right", 1)]


def test_a_slider_is_dragged_by_as_much_as_the_pointer_moves(bench):
    bench.click("slider", across=0.25)
    before = bench.value("slider")
    bench.drag_by("slider", 200, 0, across=0.25)
    assert bench.value("slider") - before == pytest.approx(0.5, abs=0.03)


def test_something_is_dropped_on_something(bench, seen):
    bench.drag("add", "drop")
    bench.until(lambda: seen)
    assert seen[-1][1] == "payload"


def test_a_row_that_is_out_of_sight_is_scrolled_to_and_back(bench, seen):
    assert not bench.visible("row 50")
    bench.scroll_to("row 50", over="row 1")
    bench.click("row 50")
    bench.scroll_to("row 0", over="row 50")
    bench.click("row 0")
    assert [user_data for _, _, user_data in seen] == [50, 0]


def test_the_wheel_turns_by_notches(bench):
    bench.wheel("row 1", 2)
    down = dpg.get_y_scroll("list")
    assert down > 0
    bench.wheel("row 5", -2)
    assert dpg.get_y_scroll("list") == 0


def test_keys_and_modifiers_arrive_together(bench, seen):
    held: list[bool] = []
    dpg.add_key_press_handler(
        dpg.mvKey_Return, parent="keys", callback=lambda *_: held.append(dpg.is_key_down(dpg.mvKey_LControl))
    )
    bench.key("ctrl+Return")
    bench.until(lambda: held)
    assert held == [True]
    bench.key("Return")
    bench.until(lambda: len(held) == 2)
    assert held == [True, False]


def test_what_is_no_modifier_is_refused(bench):
    with pytest.raises(ValueError, match="strg is no modifier; there are ctrl, shift"):
        bench.key("strg+a")


def test_a_condition_that_is_never_met_says_so(gui):
    with pytest.raises(AssertionError, match=r"not so after 0.1 s and .* frames: the moon is blue"):
        gui.until(lambda: False, "the moon is blue", patience=0.1)


def test_items_that_are_not_there_or_have_no_place_are_named(bench, monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="there is no item 'nothing'"):
        bench.click("nothing")
    with pytest.raises(AssertionError, match=r"'list' .* is: aim at an item in it"):
        bench.click("list")


def test_an_item_under_another_window_is_not_clicked(bench, seen, monkeypatch):
    monkeypatch.setattr("tests.desktop.driver.PATIENCE", 0.2)
    with dpg.window(tag="over", width=600, height=400, pos=(0, 0)):
        dpg.add_text("in front")
    with pytest.raises(AssertionError, match="add is under the pointer, uncovered and enabled"):
        bench.click("add")
    assert seen == []


@pytest.mark.parametrize("y", [30, 740])  # where the list opens below, and above
@pytest.mark.parametrize("count", [1, 3, 8])
def test_an_entry_of_a_combo_is_chosen(gui, count, y):
    entries = [f"entry {n}" for n in range(count)]
    with dpg.window(tag="main"):
        dpg.add_combo(entries, tag="combo", pos=(40, y), width=200)
        dpg.add_text("something else", pos=(400, 300))
    dpg.set_primary_window("main", True)
    for entry in {entries[0], entries[count // 2], entries[-1]}:
        gui.choose("combo", entry)
        assert gui.value("combo") == entry
    with pytest.raises(AssertionError, match="combo has no entry 'none'; it has entry 0"):
        gui.choose("combo", "none")


def test_a_window_of_its_own_is_found(gui):
    with dpg.window(tag="floating", pos=(100, 120), width=300, height=200, label="Floating"):
        dpg.add_text("inside")
    rect = gui.rect("floating")
    assert (rect.x, rect.y, rect.width, rect.height) == (100, 120, 300, 200)
    gui.drag_by("floating", 50, 30, down=0.05)
    rect = gui.rect("floating")
    assert (rect.x, rect.y) == (150, 150)


def test_what_a_callback_raises_is_kept(gui):
    def fail(*_: object) -> None:
        raise LookupError("in a callback")

    with dpg.window(tag="main"):
        dpg.add_button(label="Fail", tag="fail", callback=fail)
    gui.click("fail")
    gui.until(lambda: gui.target.errors)
    assert [repr(error) for error in gui.target.errors] == ["LookupError('in a callback')"]
    gui.target.forget_errors()


def test_what_is_logged_as_an_error_is_kept(gui):
    logging.getLogger("stablenew.test").error("could not %s", "draw")
    assert gui.target.errors == ["stablenew.test: could not draw"]
    gui.target.forget_errors()


def test_the_loop_may_be_another_object(gui):
    class Application:
        count = 0

        def frame(self) -> None:
            self.count += 1
            gui.target.draw()

    gui.target.pump = application = Application()
    gui.frames(3)
    assert application.count == 3


def test_what_is_drawn_can_be_seen(gui):
    with dpg.window(tag="main"), dpg.theme() as theme, dpg.theme_component(dpg.mvAll):
        dpg.add_theme_color(dpg.mvThemeCol_WindowBg, (10, 200, 30))
    dpg.bind_item_theme("main", theme)
    dpg.set_primary_window("main", True)
    gui.frames(3)
    image = gui.shot()
    assert image.size == (1280, 800)
    assert image.getpixel((640, 400)) == (10, 200, 30)
