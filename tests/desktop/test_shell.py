"""The window as a whole, without a kernel: tabs, keys, sizes, themes, overlays, messages."""

from __future__ import annotations

import json

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.settings_kit import SettingsKernel

from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.core.view import SMALLEST_WINDOW, TABS

ITEMS_A_FRAME = 150
"""Made in one frame of a tab that comes up, at most: about 3 ms."""
PIECES = 8
"""Frames until it is shown, at most."""


def front(app):
    """The tab that is to be seen."""
    return [tab for tab in TABS if dpg.is_item_shown(f"area.{tab}")]


@pytest.mark.parametrize("tab", TABS)
def test_a_click_on_a_tab_brings_it_to_the_front(gui, lone_app, tab):
    gui.click(f"tab.{tab}")
    gui.until(lambda: front(lone_app) == [tab])
    assert lone_app.desk.remembered.get("tab", "") == tab


def test_keys_choose_tabs_and_hide_the_sides(gui, lone_app):
    gui.key("ctrl+3")
    gui.until(lambda: front(lone_app) == ["queue"])
    gui.key("ctrl+b")
    gui.until(lambda: not dpg.is_item_shown("area.sidebar"))
    gui.key("ctrl+i")
    gui.until(lambda: not dpg.is_item_shown("area.preview"))
    assert dpg.get_item_width("area.queue") == dpg.get_viewport_client_width()


def test_a_side_is_dragged_wider_and_stays_so(gui, lone_app):
    before = lone_app.bench.view.sidebar
    gui.drag_by("splitter.sidebar", 60, 0)
    gui.until(lambda: lone_app.bench.view.sidebar > before + 40)
    assert dpg.get_item_width("area.sidebar") == pytest.approx(lone_app.bench.view.sidebar, abs=1)
    lone_app.desk.remembered.save()
    kept = json.loads((lone_app.desk.data.root / "desktop.json").read_text(encoding="utf-8"))
    assert kept["sidebar"] == lone_app.bench.view.sidebar


def test_a_narrow_window_keeps_the_centre(gui, lone_app):
    dpg.set_viewport_width(900)
    gui.until(lambda: not dpg.is_item_shown("area.preview"))
    assert dpg.is_item_shown("area.sidebar")
    dpg.set_viewport_width(700)
    gui.until(lambda: not dpg.is_item_shown("area.sidebar"))
    assert dpg.get_item_width("area.pipeline") == dpg.get_viewport_client_width()


def test_the_smallest_window_has_the_button_that_runs(gui, lone_app):
    width, height = SMALLEST_WINDOW
    dpg.set_viewport_width(width)
    dpg.set_viewport_height(height)
    gui.until(lambda: dpg.get_viewport_client_width() == width)

    def ends():
        return [gui.rect(tag).x + gui.rect(tag).width for tag in ("tab.learning", "bar.run")]

    gui.until(lambda: ends()[1] <= width)
    assert ends()[0] <= gui.rect("bar.settings").x
    dpg.set_viewport_width(1400)
    gui.until(lambda: gui.rect("bar.run").width > 160)


def test_an_overlay_opens_by_key_and_closes_by_escape_and_by_its_cross(gui, lone_app):
    gui.key("F1")
    gui.until(lambda: dpg.does_item_exist("shortcuts.card"))
    gui.key("Escape")
    gui.until(lambda: not dpg.does_item_exist("shortcuts.card"))
    gui.key("ctrl+comma")
    gui.click("settings.close")
    gui.until(lambda: not dpg.does_item_exist("settings.card"))
    assert lone_app.bench.view.overlay == ""


def test_one_overlay_follows_another(gui, lone_app):
    for name in ("settings", "shortcuts", "start", "settings"):
        lone_app.bench.view.open(name)
        gui.until(lambda name=name: gui.visible(f"{name}.close"))


def test_a_tab_is_made_over_some_frames_and_shown_when_it_is_complete(gui, lone_app):
    view, tabs = lone_app.bench.view, lone_app.shell._tabs
    made = {}
    for tab in [tab for tab in TABS if tab not in tabs]:
        view.show_tab(tab)
        made[tab] = []
        while tab not in tabs:
            assert not dpg.is_item_shown(f"area.{tab}")
            before = len(dpg.get_all_items())
            gui.frames(1)
            made[tab].append(len(dpg.get_all_items()) - before)
        assert dpg.is_item_shown(f"area.{tab}")
    assert made
    assert all(max(counts) <= ITEMS_A_FRAME and len(counts) <= PIECES for counts in made.values()), made


def test_the_theme_and_the_scale_change_everything_and_leave_nothing_behind(gui, lone_app):
    def look(theme, scale):
        lone_app.bench.view.choose_theme(theme)
        lone_app.bench.view.choose_scale(scale)
        gui.frames(4)
        return len(dpg.get_all_items())

    first = look("light", 1.5)
    look("dark", 1.0)
    counts = [look("light", 1.5) for _ in range(3) if look("dark", 1.0)]
    assert counts[-1] <= counts[0] <= first + 2


def test_the_bar_at_the_bottom_stands_right_whatever_is_missing_of_it(gui, lone_app):
    from stablenew_proto.v1 import kernel_pb2 as pb

    class Kernel:
        def __getattr__(self, name):
            return lambda *_parts, **_more: (_ for _ in ()).throw(KernelUnavailable(name))

        def close(self):
            """Nothing is open."""

    def told(**queue):
        lone_app.desk.state.news(pb.WatchResponse(queue=pb.QueueSummary(**queue)))
        gui.until(lambda: dpg.get_value("status.queued").endswith("queued") == bool(queue.get("queued")))
        gui.frames(2)
        nodes, title = gui.rect("status.nodes"), gui.rect("status.title")
        assert nodes.y == title.y
        assert dpg.get_viewport_client_width() - 24 <= nodes.x + nodes.width <= dpg.get_viewport_client_width()

    lone_app.desk.state.connected(Kernel(), pb.GetStatusResponse())
    told()
    told(queued=3, paused=True)
    gui.until(lambda: gui.visible("status.start"))


def test_a_message_stays_or_goes_and_is_closed(gui, lone_app):
    lone_app.desk.toasts.say("The GPU ran out of memory.", "error", hint="Try 1.5x.", detail="CUDA: 2 GiB")
    gui.until(lambda: gui.visible("toast.1.close"))
    gui.click("toast.1.close")
    gui.until(lambda: not dpg.does_item_exist("toast.1"))
    assert lone_app.desk.toasts.shown == []


def test_a_message_acts(gui, lone_app):
    done = []
    lone_app.desk.toasts.say("Cancelled.", action="Undo", act=lambda: done.append(1))
    gui.click("toast.1.act")
    gui.until(lambda: done == [1])
    gui.until(lambda: not dpg.does_item_exist("toast.1"))


def test_a_callback_that_fails_is_shown_and_stops_nothing(gui, lone_app):
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    lone_app.mailbox.post(fail)
    gui.until(lambda: len(lone_app.desk.toasts.shown) == 1)
    shown = lone_app.desk.toasts.shown[0]
    assert "ZeroDivisionError: a bug" in shown.detail
    gui.target.forget_errors()
    gui.click("tab.queue")
    gui.until(lambda: front(lone_app) == ["queue"])


def test_a_panel_that_fails_takes_no_other_with_it(gui, lone_app, monkeypatch):
    def fail() -> None:
        raise ZeroDivisionError("a bug in a panel")

    monkeypatch.setattr(lone_app.shell._foot, "refresh", fail)
    gui.frames(5)
    assert [toast.times for toast in lone_app.desk.toasts.shown] == [1]
    assert len(gui.target.errors) == 1
    gui.target.forget_errors()
    monkeypatch.undo()
    gui.click("tab.queue")
    gui.until(lambda: front(lone_app) == ["queue"])


def test_closing_asks_only_while_something_runs(gui, lone_app):
    from stablenew_proto.v1 import kernel_pb2 as pb

    lone_app.desk.state.queue = pb.QueueSummary(active=1)
    lone_app.ask_to_close()
    gui.click("close.stay")
    gui.until(lambda: lone_app.bench.view.overlay == "")
    assert not lone_app.bench.view.quits
    lone_app.ask_to_close()
    gui.click("close.leave")
    gui.until(lambda: lone_app.bench.view.quits)
    assert not lone_app.bench.view.stops_kernel


def test_closing_an_idle_window_asks_nothing(gui, lone_app):
    lone_app.ask_to_close()
    assert lone_app.bench.view.quits


def test_a_setting_is_kept_when_its_field_is_left_by_a_click_elsewhere(gui, lone_app):
    kernel = SettingsKernel()
    lone_app.desk.state.kernel = kernel
    lone_app.bench.settings.show("kernel")
    lone_app.bench.view.open("settings")
    gui.until(lambda: gui.visible("settings.local_slots"))
    gui.click("settings.local_slots")
    gui.key("ctrl+a")
    gui.type("3")
    gui.click("settings.run_timeout")
    gui.until(lambda: kernel.now.local_slots == 3)
    gui.key("ctrl+a")
    gui.type("many")
    assert gui.value("settings.run_timeout") == "many", "the answer to one field takes none from another"
    gui.key("Return")
    gui.until(lambda: lone_app.bench.settings.refused)
    gui.frames(2)
    assert gui.value("settings.run_timeout") == "many"
