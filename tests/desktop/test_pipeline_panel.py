"""The tab Pipeline as a person uses it: clicks, keys, drags; and how long a frame takes."""

from __future__ import annotations

import time

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.models.pipeline_kit import Kernel

from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION
from stablenew_proto.v1 import kernel_pb2 as pb

WITHIN = "pipeline.title.txt2img"
"""In the part that scrolls."""


@pytest.fixture
def pipeline(gui, lone_app):
    """The model, with stages and presets of the kernel, and one node; the cards are there."""
    state, bench = lone_app.desk.state, lone_app.bench
    bench.view.show_tab("pipeline")
    node = pb.Node(node_id="a", state="online")
    node.info.name = "a"
    node.info.backend.samplers.extend(f"Sampler {number}" for number in range(40))
    state.nodes["a"] = node
    state.kernel = Kernel(lone_app.desk.data)
    bench.pipeline.load()
    bench.presets.load()
    state.kernel, state.revision = None, state.revision + 1  # no other part asks it
    gui.until(lambda: bench.pipeline.is_loaded and bench.pipeline.cards)
    gui.until(lambda: dpg.does_item_exist(f"pipeline.card.{RUN_SECTION}"))
    yield bench.pipeline
    state.kernel = None


def test_a_card_a_stage_in_the_order_that_they_run(gui, pipeline):
    gui.until(lambda: all(dpg.does_item_exist(f"pipeline.card.{card.name}") for card in pipeline.shown))
    assert dpg.get_value("pipeline.summary.txt2img") == "DPM++ 2M  ·  30 steps  ·  CFG 7  ·  768 × 512"
    assert dpg.get_value("pipeline.summary.txt2img.enable_hr") == "1.25× Latent  ·  denoise 0.6  ·  10 steps"
    assert dpg.get_value("pipeline.summary.adetailer").startswith("Off")
    assert not dpg.does_item_exist("pipeline.card.film_grain")
    gui.scroll_to("pipeline.more_stages", WITHIN)
    gui.click("pipeline.more_stages")
    gui.until(lambda: all(dpg.does_item_exist(f"pipeline.card.{card.name}") for card in pipeline.cards))


def test_a_switch_turns_a_stage_off(gui, pipeline):
    gui.click("pipeline.switch.txt2img")
    gui.until(lambda: not pipeline.is_on("txt2img"))
    gui.until(lambda: dpg.get_value("pipeline.summary.txt2img").startswith("Off"))
    gui.click("pipeline.reset.txt2img")
    gui.until(lambda: pipeline.is_on("txt2img"))


def test_a_slider_is_dragged_and_reset(gui, pipeline):
    before = pipeline.value("txt2img.steps")
    gui.drag_by("pipeline.txt2img.steps", 30, 0)
    gui.until(lambda: pipeline.value("txt2img.steps") != before)
    assert "txt2img.steps" in pipeline.changes
    gui.click("pipeline.txt2img.steps.reset")
    gui.until(lambda: dpg.get_value("pipeline.txt2img.steps") == before)
    assert not pipeline.changes
    gui.key("ctrl+z")
    gui.until(lambda: "txt2img.steps" in pipeline.changes)


def test_a_size_is_typed_and_what_is_wrong_is_said(gui, pipeline):
    gui.enter("pipeline.txt2img.width", "700")
    gui.until(lambda: pipeline.problem("txt2img.width"))
    gui.enter("pipeline.txt2img.width", "1024")
    gui.until(lambda: pipeline.value("txt2img.width") == 1024)
    gui.click("pipeline.txt2img.width.swap")
    gui.until(lambda: (pipeline.value("txt2img.width"), pipeline.value("txt2img.height")) == (512, 1024))
    gui.until(lambda: dpg.get_value("pipeline.txt2img.height") == "1024")


def test_a_name_is_found_by_typing(gui, pipeline):
    gui.click("pipeline.txt2img.sampler_name")
    gui.until(lambda: dpg.does_item_exist("pipeline.txt2img.sampler_name.search"))
    gui.enter("pipeline.txt2img.sampler_name.search", "39")
    gui.until(lambda: not dpg.does_item_exist("pipeline.txt2img.sampler_name.1"))
    gui.click("pipeline.txt2img.sampler_name.0")
    gui.until(lambda: pipeline.value("txt2img.sampler_name") == "Sampler 39")
    gui.until(lambda: not dpg.does_item_exist("picker"))


def test_post_processors_are_dragged_and_moved_by_buttons(gui, pipeline):
    gui.click("pipeline.fold.txt2img")
    order = lambda: [card.name for card in pipeline.posts][:2]  # noqa: E731
    assert order() == ["sharpen", "frame"]
    gui.scroll_to("pipeline.grip.frame", WITHIN)
    gui.drag("pipeline.grip.frame", "pipeline.title.sharpen")
    gui.until(lambda: order() == ["frame", "sharpen"])
    gui.click("pipeline.down.frame")
    gui.until(lambda: order() == ["sharpen", "frame"])


def test_hires_has_a_card_of_its_own(gui, pipeline):
    hires = "txt2img.enable_hr"
    gui.scroll_to(f"pipeline.fold.{hires}", WITHIN)
    gui.click(f"pipeline.switch.{hires}")
    gui.until(lambda: pipeline.value(hires) is False)
    gui.until(lambda: dpg.get_value(f"pipeline.summary.{hires}").startswith("Off  ·  1.25×"))
    gui.click(f"pipeline.fold.{hires}")  # what it would do can be set before it is turned on
    gui.until(lambda: dpg.does_item_exist("pipeline.txt2img.hr_scale"))
    gui.click(f"pipeline.reset.{hires}")
    gui.until(lambda: pipeline.value(hires) is True and not pipeline.changes)


def test_what_most_people_leave_alone_is_folded_and_announced(gui, pipeline):
    more = "pipeline.more.txt2img"
    assert not dpg.does_item_exist("pipeline.txt2img.clip_skip")
    assert dpg.get_item_label(more).endswith("9 more settings")
    pipeline.set("txt2img.clip_skip", 3)
    gui.until(lambda: dpg.get_item_label(more).endswith("9 more settings  ·  1 changed"))
    gui.scroll_to(more, WITHIN)
    gui.click(more)
    gui.until(lambda: dpg.does_item_exist("pipeline.txt2img.clip_skip"))
    gui.scroll_to("pipeline.txt2img.clip_skip", WITHIN)
    gui.click(
        "pipeline.txt2img.clip_skip", held="ctrl"
    )  # few steps, and yet a slim handle, typing, whole numbers
    gui.key("ctrl+a")
    gui.type("5\n")
    gui.until(lambda: pipeline.value("txt2img.clip_skip") == 5)
    assert isinstance(pipeline.value("txt2img.clip_skip"), int)


def test_no_frame_is_held_up_by_cards(gui, lone_app, pipeline):
    """All cards made, unfolded, folded and changed: what is done between two pictures stays short."""
    longest = 0.0
    panel = lone_app.shell._tabs["pipeline"]

    def frame():
        nonlocal longest
        began = time.thread_time()
        panel.refresh()
        longest = max(longest, time.thread_time() - began)
        gui.frames(1)

    panel._more = True
    for card in pipeline.cards:
        pipeline.fold(card.name)
        for _number in range(3):
            frame()
    for steps in range(1, 20):
        pipeline.set("txt2img.steps", steps)
        frame()
    assert longest < 0.1


def test_enter_takes_the_first_name_that_fits(gui, pipeline):
    gui.click("pipeline.txt2img.sampler_name")
    gui.until(lambda: dpg.does_item_exist("pipeline.txt2img.sampler_name.search"))
    gui.enter("pipeline.txt2img.sampler_name.search", "38")
    gui.key("Return")
    gui.until(lambda: pipeline.value("txt2img.sampler_name") == "Sampler 38")


def test_a_post_processor_moves_by_keys(gui, pipeline):
    gui.key("alt+Up")
    gui.until(lambda: [card.name for card in pipeline.posts][:2] == ["frame", "sharpen"])


@pytest.fixture
def library(lone_app, pipeline):
    """The kernel answers, too."""
    lone_app.desk.state.kernel = Kernel(lone_app.desk.data)
    return lone_app.bench.presets


def test_a_preset_is_saved_under_a_name(gui, pipeline, library):
    pipeline.set("txt2img.steps", 33)
    gui.click("pipeline.save")
    gui.enter("preset_save.name", "full")
    gui.until(lambda: not dpg.is_item_enabled("preset_save.do"))
    gui.enter("preset_save.name", "mine")
    gui.click("preset_save.do")
    gui.until(lambda: pipeline.preset == "mine")
    gui.until(lambda: not dpg.does_item_exist("preset_save"))
    gui.until(lambda: pipeline.value("txt2img.steps") == 33 and not pipeline.changes)


def test_the_menu_compares_explains_and_manages(gui, lone_app, pipeline, library):
    pipeline.set("txt2img.steps", 33)
    gui.click("pipeline.menu")
    gui.click("menu.diff")
    gui.until(lambda: library.difference is not None and len(library.difference) == 1)
    gui.click("preset_diff.close")
    gui.click("pipeline.menu")
    gui.click("menu.explain")
    gui.until(lambda: library.origins)
    gui.enter("explain.search", "changed here")
    gui.click("explain.close")
    gui.click("pipeline.menu")
    gui.click("menu.presets")
    gui.click("presets.use.quick")
    gui.until(lambda: pipeline.preset == "quick")


def test_settings_of_an_image_are_chosen_and_taken(gui, lone_app, pipeline, library):
    lone_app.desk.state.kernel.settings = {"txt2img": {"steps": 44, "cfg_scale": 5.5}}
    lone_app.desk.state.kernel.stages_of_image = ["txt2img", "img2img", "upscale", "sharpen", "frame"]
    pipeline.take_from_image("ab" * 32)
    gui.until(lambda: dpg.does_item_exist("apply_image.txt2img.steps"))
    gui.click("apply_image.txt2img.steps")
    gui.click("apply_image.do")
    gui.until(lambda: pipeline.value("txt2img.cfg_scale") == 5.5)
    assert pipeline.value("txt2img.steps") == 30


def test_a_theme_is_chosen_while_a_list_was_open(gui, lone_app, pipeline):
    gui.click("pipeline.txt2img.sampler_name")
    gui.until(lambda: dpg.does_item_exist("picker"))
    lone_app.bench.view.choose_theme("light")
    gui.until(lambda: not dpg.does_item_exist("picker"))
    gui.until(lambda: dpg.does_item_exist("pipeline.txt2img.steps"))
    gui.click("pipeline.switch.txt2img")
    gui.until(lambda: not pipeline.is_on("txt2img"))


def test_the_end_of_the_tab_tells_of_other_tabs(gui, lone_app, pipeline):
    assert dpg.get_value("pipeline.randomizer.summary") == "Nothing varies in these prompts"
    run = pb.Run(run_id="r", name="alps", state="running", total=9, queued=7)
    lone_app.desk.state.news(pb.WatchResponse(runs=[run]))
    gui.until(lambda: dpg.get_value("pipeline.upnext.0") == "alps  ·  7 images")
    gui.scroll_to("pipeline.upnext.open", WITHIN)
    gui.click("pipeline.upnext.open")
    gui.until(lambda: lone_app.bench.view.tab == "queue")
