"""The tabs Queue and Cluster as a person uses them: 10,000 jobs, scrolled, selected, moved and cancelled."""

from __future__ import annotations

import time

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.queue_kit import Kernel, a_job

from stablenew_proto.v1 import agent_link_pb2, kernel_pb2

JOBS = 10_000
ROW = 40


@pytest.fixture
def kernel(lone_app):
    """Answers the window, and has 10,000 jobs that wait."""
    kernel = Kernel([a_job(number) for number in range(JOBS)])
    state = lone_app.desk.state
    state.kernel = kernel
    state.news(kernel_pb2.WatchResponse(queue=kernel_pb2.QueueSummary(queued=JOBS, done=12)))
    state.jobs_revision += 1
    return kernel


@pytest.fixture
def queue(gui, lone_app, kernel):
    """The tab, with its rows."""
    lone_app.bench.view.show_tab("queue")
    gui.until(lambda: lone_app.bench.queue.queue.total == JOBS)
    gui.until(lambda: gui.visible("queue.table.queue.3"))
    return lone_app.bench.queue


def test_rows_are_selected_by_click_with_ctrl_and_shift_and_by_keys(gui, queue):
    gui.click("queue.table.queue.2", across=0.3)
    gui.until(lambda: queue.selected == ["job-0002"])
    gui.input.key_down("shift")
    gui.click("queue.table.queue.5", across=0.3)
    gui.until(lambda: len(queue.selected) == 4)
    gui.input.key_up("shift")
    gui.key("Down")
    gui.until(lambda: queue.selected == ["job-0006"])
    gui.key("shift+Up")
    gui.until(lambda: queue.selected == ["job-0005", "job-0006"])
    gui.key("End")
    gui.until(lambda: queue.selected == ["job-9999"])
    table = "queue.table.queue"
    assert dpg.get_y_scroll(table) == pytest.approx(dpg.get_y_scroll_max(table), abs=40)


def test_the_wheel_scrolls_and_the_rows_follow(gui, queue):
    before = dpg.get_y_scroll("queue.table.queue")
    for _number in range(5):
        gui.wheel("queue.table.queue.4", 3)
    gui.until(lambda: dpg.get_y_scroll("queue.table.queue") > before + 200)
    gui.until(lambda: queue.queue.row(int(dpg.get_y_scroll("queue.table.queue") / ROW)) is not None)


def test_the_scroll_bar_is_true(gui, queue):
    """All rows are as high as the empty ones above and below take them to be."""
    gui.until(lambda: dpg.get_y_scroll_max("queue.table.queue") > 0)
    gui.frames(3)
    whole = dpg.get_y_scroll_max("queue.table.queue") + dpg.get_item_height("queue.table.queue")
    assert whole == pytest.approx(JOBS * ROW, abs=100)


def test_a_job_is_moved_by_key_and_cancelled_and_taken_back(gui, queue, kernel):
    gui.click("queue.table.queue.3", across=0.3)
    gui.until(lambda: queue.selected)
    gui.key("alt+Up")
    gui.until(lambda: kernel.done == [("move_before", ["job-0003"], {"before": "job-0002"})])
    gui.key("Delete")
    gui.until(lambda: kernel.done[-1][0] == "cancel")
    toast = gui.until(lambda: [shown for shown in queue._desk.toasts.shown if shown.action])[-1]
    gui.click(f"toast.{toast.number}.act")
    gui.until(lambda: kernel.done[-1] == ("retry", ["job-0003"], {}))


def test_a_row_is_dragged_to_another_place_and_escape_cancels(gui, queue, kernel):
    def take(row, to):
        """Press on a row and pull it to the upper edge of another one."""
        start = gui.rect(f"queue.table.queue.{row}").at(0.3)
        end = gui.rect(f"queue.table.queue.{to}")
        gui.move(*start)
        gui.press()
        gui.move(start[0], start[1] + (8 if to > row else -8))
        gui.move(start[0], end.y + 6)
        gui.until(lambda: dpg.is_item_shown(line), "a line shows where it will land")

    line = "queue.table.queue.landing"
    take(6, 2)
    assert queue.selected == ["job-0006"]
    gui.release()
    gui.until(lambda: kernel.done == [("move_before", ["job-0006"], {"before": "job-0002"})])
    gui.until(lambda: not dpg.is_item_shown(line))
    take(3, 5)
    gui.key("Escape")
    gui.until(lambda: not dpg.is_item_shown(line))
    gui.release()
    gui.frames(3)
    assert len(kernel.done) == 1
    assert queue.selected == ["job-0003"]
    kernel.started.add("job-0001")
    take(4, 1)
    gui.release()
    gui.until(lambda: [one for one in queue._desk.toasts.shown if "does not wait any more" in one.text])


def test_a_right_click_selects_the_row_and_opens_its_menu(gui, queue, kernel):
    gui.right_click("queue.table.queue.6", across=0.3)
    gui.until(lambda: queue.selected == ["job-0006"])
    gui.click("menu.top", across=0.3)
    gui.until(lambda: kernel.done == [("move_top", ["job-0006"], {})])
    gui.until(lambda: not dpg.does_item_exist("menu"))


def test_details_open_and_close(gui, queue):
    gui.click("queue.table.queue.1", across=0.3)
    gui.until(lambda: gui.visible("queue.details.close"))
    gui.click("queue.details.close")
    gui.until(lambda: not queue.selected)
    gui.until(lambda: not dpg.is_item_shown("queue.details"))


def test_a_search_is_typed_and_finds(gui, queue, kernel):
    gui.key("ctrl+f")
    gui.until(lambda: dpg.is_item_focused("queue.search"))
    gui.type("steps>=30")
    gui.until(lambda: kernel.searched and kernel.searched[-1] == ("steps>=30", ""))
    gui.until(lambda: queue.is_searching and gui.visible("queue.table.found.0"))


def test_each_list_has_something_to_say_when_it_is_empty(gui, queue, kernel):
    kernel.all = []
    for view in ("queue", "history"):
        gui.click(f"queue.view.{view}")
        queue.rows.restart()
        gui.until(lambda: queue.rows.loaded)
        gui.until(lambda view=view: dpg.is_item_shown(f"queue.empty.{view}"))


def test_ten_thousand_jobs_cost_a_frame_little(gui, lone_app, queue):
    """What a frame takes but for the drawing: nothing when nothing changed, little when everything did."""

    def cost(change):
        spent = []
        for number in range(40):
            change(number)
            began = time.thread_time()
            lone_app.bench.tick()
            lone_app.shell.refresh()
            spent.append(time.thread_time() - began)
            gui.frames(1)
        return sorted(spent)[len(spent) // 2] * 1000

    still = cost(lambda _number: None)
    told = cost(lambda _number: queue.queue.touch())
    scrolled = cost(lambda number: dpg.set_y_scroll("queue.table.queue", number * 2_000.0))
    print(f"ms a frame: {still:.2f} still, {told:.2f} told, {scrolled:.2f} scrolled")
    assert still < 4
    assert told < 12
    assert scrolled < 12


@pytest.mark.parametrize("tab", ["queue", "cluster"])
def test_another_theme_draws_the_tab_anew_and_leaves_nothing_behind(gui, lone_app, queue, tab):
    view = lone_app.bench.view
    view.show_tab(tab)
    gui.frames(3)
    queue.select(2)

    def look(theme, scale):
        view.choose_theme(theme)
        view.choose_scale(scale)
        gui.frames(6)
        return len(dpg.get_all_items())

    look("light", 1.5)
    look("dark", 1.0)
    assert len({look("light", 1.5) for _ in range(3) if look("dark", 1.0)}) == 1


def test_a_node_is_drained_and_takes_work_again(gui, lone_app):
    calls = []

    class Nodes:
        def drain_node(self, node, *, draining, reason=""):
            calls.append((node, draining))
            return kernel_pb2.Node(node_id=node)

    node = kernel_pb2.Node(node_id="n1", state="online", info=agent_link_pb2.NodeInfo(name="gpu-box", slots=1))
    node.info.backend.models.extend(f"model {number}" for number in range(300))
    node.report.state = "ready"
    lone_app.desk.state.kernel = Nodes()
    lone_app.desk.state.news(kernel_pb2.WatchResponse(nodes=[node]))
    lone_app.bench.view.show_tab("cluster")
    gui.click("cluster.n1.drain")
    gui.until(lambda: calls == [("n1", True)])
    drained = kernel_pb2.Node()
    drained.CopyFrom(node)
    drained.state = "draining"
    lone_app.desk.state.news(kernel_pb2.WatchResponse(nodes=[drained]))
    gui.until(lambda: "Take work again" in dpg.get_item_label("cluster.n1.drain"))
    gui.click("cluster.n1.drain")
    gui.until(lambda: calls[-1] == ("n1", False))
    gui.click("cluster.n1.details")
    gui.click("cluster.n1.search")
    gui.type("model 299")
    gui.until(lambda: lone_app.bench.cluster.names("n1")[0] == ["model 299"])
    assert dpg.is_item_focused("cluster.n1.search")
