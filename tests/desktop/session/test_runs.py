"""Runs, from the button to the images."""

from __future__ import annotations

from session_kit import images_in


def test_the_run_button_makes_the_images_of_the_pack(gui, live):
    assert "3" in live.app.bench.run.label
    run = live.until_over(live.run())
    assert (run.state, run.done, run.total) == ("done", 3, 3)
    assert len(images_in(run)) == 3
    live.until(lambda: live.app.bench.preview.shown is not None)
    live.until(lambda: live.app.bench.preview.shown.run_id == run.run_id)
    gui.until(lambda: gui.value("status.title") == "Idle")
    assert live.states[-1] == "idle"
    assert "running" in live.states


def test_a_run_that_is_stopped_leaves_whole_images_and_can_be_made_again(gui, live):
    slow = {"txt2img": {"width": 512, "height": 512, "steps": 60}, "pipeline": {"images_per_prompt": 4}}
    live.write_pack("tiny", "a lighthouse\n\na city\n", slow)
    live.until(lambda: live.app.bench.run.plan.images == 8)
    run_id = live.run()
    live.until(lambda: live.state.running)
    gui.click("bar.stop")
    run = live.until_settled(run_id)
    gui.until(lambda: gui.value("status.title") == "Idle")
    assert live.states.index("stopping") < len(live.states) - 1
    assert run.cancelled
    assert run.done + run.cancelled == 8
    assert len(images_in(run)) == run.done
    assert [path.name for path in live.data.outputs.rglob("*") if path.suffix in (".tmp", ".part")] == []
