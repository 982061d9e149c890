"""The kernel goes, and comes again; settings that it can't start with."""

from __future__ import annotations

import psutil
import pytest
from session_kit import end_kernel, images_in, preset


@pytest.mark.slow
def test_a_run_goes_on_though_its_kernel_was_killed(gui, sessions, own):
    session = sessions(own)
    session.until_ready()
    session.write_pack("tiny", "a lighthouse\n\na city\n\na forest\n", preset(320, 30, 2))
    session.until(lambda: session.app.bench.run.plan.images == 6)
    run_id = session.run()
    session.until(lambda: session.run_of(run_id).done >= 1)
    kernel = psutil.Process(own.read_kernel().pid)
    kernel.kill()
    session.until(lambda: not session.state.is_connected)
    gui.until(lambda: gui.value("status.title") == "Not connected")
    session.until(lambda: session.state.is_connected)
    run = session.until_over(run_id)
    assert (run.state, run.done) == ("done", 6)
    assert len(images_in(run)) == 6
    assert own.read_kernel().pid != kernel.pid


def test_a_kernel_that_was_stopped_is_started_by_a_click(gui, sessions, own):
    session = sessions(own)
    session.until_ready()
    end_kernel(own)
    gui.until(lambda: gui.value("status.text").startswith("No kernel runs"))  # and none is started by itself
    gui.click("status.start")
    session.until(lambda: session.state.is_connected)
    gui.until(lambda: not gui.visible("status.start"))


def test_settings_that_cannot_be_read_are_named_and_mended(gui, sessions, own):
    own.create()
    own.settings.write_text("local_slots = \n", encoding="utf-8")
    session = sessions(own)
    session.until(lambda: "settings.toml: not valid TOML" in gui.value("status.text"))
    assert gui.value("status.title") == "Not connected"
    own.settings.write_text("local_slots = 1\n", encoding="utf-8")
    session.until(lambda: session.state.is_connected)
    gui.until(lambda: gui.value("status.title") == "Idle")
