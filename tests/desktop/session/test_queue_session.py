"""The queue changed by hand, with a kernel that does what it is told."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
from session_kit import images_in


def test_jobs_are_held_moved_cancelled_tried_again_made_and_cleared(gui, live):
    queue = live.app.bench.queue
    kernel = live.state.kernel

    def until_queued(*numbers):
        """Wait until these jobs wait, in this order: the kernel has it so, and the window shows it."""
        wanted = list(numbers)
        live.until(lambda: [job.index for job in queue.queue.rows] == wanted)
        live.until(lambda: [job.index for job in kernel.jobs(states=["queued"]).jobs] == wanted)

    gui.key("ctrl+3")
    gui.click("queue.pause")
    live.until(lambda: queue.pause.is_on)
    try:
        run_id = live.run()
        until_queued(0, 1, 2)
        assert queue.queue.row(0).waiting_reason == "the queue is paused"
        gui.click("queue.table.queue.0", across=0.3)
        live.until(lambda: len(queue.selected) == 1)
        gui.key("alt+End")
        until_queued(1, 2, 0)
        gui.click("queue.top")
        until_queued(0, 1, 2)
        gui.key("Delete")
        until_queued(1, 2)
        gui.click("queue.view.history")
        gui.click("queue.ended.cancelled")
        live.until(lambda: queue.history.loaded and queue.history.total)
        gui.click("queue.table.history.0", across=0.3)
        live.until(lambda: len(queue.selected) == 1)
        gui.click("queue.retry")
        gui.click("queue.view.queue")
        until_queued(1, 2, 0)
    finally:
        kernel.set_paused(False)
    run = live.until_over(run_id)
    assert (run.state, run.done) == ("done", 3)
    gui.click("queue.view.history")
    gui.click("queue.ended.all")
    live.until(lambda: len([job for job in queue.history.rows if job.run_id == run_id]) == 3)
    ended = [job.ended_at for job in queue.history.rows]
    assert all(ended)
    assert ended == sorted(ended, reverse=True)
    gui.click("queue.clear")
    ask = live.until(lambda: [toast for toast in live.app.desk.toasts.shown if toast.action == "Clear"])[-1]
    gui.click(f"toast.{ask.number}.act")
    live.until(lambda: queue.history.loaded and not queue.history.total)
    gui.until(lambda: dpg.is_item_shown("queue.empty.history"))
    assert len(images_in(run)) == 3, "images and their files stay"
