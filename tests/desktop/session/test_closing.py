"""The window is closed: while nothing happens, while a run goes on; and where there is no window at all."""

from __future__ import annotations

import os
import subprocess
import sys

from session_kit import PATIENCE, images_in, press_close_button, slow, wait_until

from stablenew_client import KernelClient


def test_a_run_goes_on_without_the_window_and_is_there_when_it_opens_again(gui, live):
    live.write_pack("tiny", "a lighthouse\n\na city\n", slow(30))
    live.until(lambda: live.app.bench.run.plan.images == 60)
    run_id = live.run()
    live.until(lambda: live.state.running)
    press_close_button(gui.screen.name, "test")
    gui.click("close.stay")
    gui.until(lambda: live.app.bench.view.overlay == "")
    assert not live.app.bench.view.quits
    press_close_button(gui.screen.name, "test")
    gui.click("close.leave")
    gui.until(lambda: live.app.bench.view.quits)
    live.close()
    with KernelClient.connect(live.data) as kernel:
        wait_until(lambda: kernel.runs(1)[0].done >= 1, "the run goes on")
    live.open()
    live.until(lambda: run_id in live.state.runs)
    assert not live.app.bench.view.quits
    gui.until(lambda: gui.value("status.title") == "Running")
    assert "of 60" in gui.value("status.text")
    gui.click("bar.stop")
    run = live.until_settled(run_id)
    assert run.done >= 1
    assert len(images_in(run)) == run.done


def test_a_window_that_is_closed_while_nothing_happens_ends_and_leaves_the_kernel(gui, live, app_process):
    live.close()
    process = app_process([sys.executable, "-m", "stablenew_kernel.cli", "--data", str(live.data.root)])
    process.driver.until(lambda: process.value("status.title") == "Idle", patience=PATIENCE)
    press_close_button(gui.screen.name, "StableNew")
    assert process.wait() == 0
    assert process.output() == ""
    with KernelClient.connect(live.data) as kernel:
        assert not kernel.status().queue.active


def test_without_a_display_the_reason_is_said_and_no_traceback(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "no display: the variable DISPLAY is not set" in done.stderr
    assert "Traceback" not in done.stderr
    environment["DISPLAY"] = ":987"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "the display :987 does not answer" in done.stderr


def test_settings_that_cannot_be_read_are_said_and_no_traceback(screen, tmp_path):
    (tmp_path / "settings.toml").write_text("frontend = \n", encoding="utf-8")
    command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(tmp_path)]
    done = subprocess.run(command, env=screen.environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "settings.toml: not valid TOML" in done.stderr
    assert "Traceback" not in done.stderr
