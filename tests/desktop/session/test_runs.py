"""Runs, from the button to the images."""

from __future__ import annotations

import json

from session_kit import images_in, preset, slow


def test_the_run_button_makes_the_images_of_the_pack(gui, live):
    assert live.app.bench.run.plan.images == 3, live.app.bench.run.plan
    assert "3" in live.app.bench.run.label
    run = live.until_over(live.run())
    assert (run.state, run.done, run.total) == ("done", 3, 3)
    assert len(images_in(run)) == 3
    live.until(lambda: live.app.bench.preview.shown is not None)
    live.until(lambda: live.app.bench.preview.shown.run_id == run.run_id)
    gui.until(lambda: gui.value("status.title") == "Idle")
    assert live.states[-1] == "idle"


def test_a_run_that_is_stopped_leaves_whole_images_and_can_be_made_again(gui, live):
    live.write_pack("tiny", "a lighthouse\n\na city\n", slow(20))
    live.until(lambda: live.app.bench.run.plan.images == 40)
    run_id = live.run()
    live.until(lambda: live.run_of(run_id).done >= 1)
    gui.click("bar.stop")
    run = live.until_settled(run_id)
    gui.until(lambda: gui.value("status.title") == "Idle")
    assert "running" in live.states
    assert live.stopped == {run_id}
    assert run.cancelled
    assert run.done >= 1
    assert run.done + run.cancelled == 40
    assert len(images_in(run)) == run.done
    assert [path.name for path in live.data.outputs.rglob("*") if path.suffix in (".tmp", ".part")] == []


def test_what_is_changed_in_a_card_is_in_the_job(gui, live):
    gui.key("ctrl+2")
    assert live.app.bench.pipeline.value("txt2img.steps") != 7
    gui.scroll_to("pipeline.txt2img.steps", "pipeline.next")
    gui.click("pipeline.txt2img.steps", held="ctrl")
    gui.key("ctrl+a")
    gui.type("7\n")
    live.until(lambda: live.app.bench.pipeline.value("txt2img.steps") == 7)
    live.until(lambda: not live.app.bench.run.is_planning)
    run = live.until_over(live.run())
    kernel = live.state.kernel
    jobs = kernel.jobs(run.run_id).jobs
    assert len(jobs) == 3
    for job in jobs:
        spec = json.loads(kernel.job(job.job_id).spec_json)
        assert spec["stages"][0]["config"]["steps"] == 7


def test_the_randomizer_makes_as_many_images_as_it_says(gui, live):
    slots = [{"name": "time", "values": ["dawn", "noon", "dusk"]}]
    matrix = {"matrix": {"mode": "fanout", "slots": slots}}
    live.write_pack("tiny", "a [[time]] over {hills|seas}\n", preset(randomization=matrix))
    live.until(lambda: live.app.bench.run.plan.images == 3)
    gui.key("ctrl+1")
    said = live.app.bench.run.plan.images
    run = live.until_over(live.run())
    assert (run.done, run.total) == (said, said)
    assert len(images_in(run)) == said
