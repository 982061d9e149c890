"""The tab Prompt as a person uses it: a prompt typed and run, a slot changed, pages turned."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.models.bench_kit import FakeKernel, slot, write


@pytest.fixture
def kernel(lone_app):
    """Answers the window."""
    kernel = FakeKernel()
    kernel.slots["prompt.txt"] = [slot("{red|green}", ["red", "green"], "choice", mode="random")]
    kernel.slots["a.txt"] = [
        slot("style", ["oil", "ink", "chalk"]),
        slot("__hair__", [f"colour {number}" for number in range(60)], "wildcard", mode="random"),
    ]
    lone_app.desk.state.kernel = kernel
    return kernel


@pytest.fixture
def bench(gui, lone_app, kernel):
    """The models, with the tab in front."""
    lone_app.bench.view.show_tab("prompt")
    gui.until(lambda: gui.visible("prompt.quick"))
    return lone_app.bench


@pytest.fixture
def packed(gui, bench, tmp_path):
    """With a pack that has two slots."""
    bench.packs.selected = [write(tmp_path, "a.txt", "a [[style]] house, __hair__")]
    bench.packs.plan_revision += 1
    gui.until(lambda: bench.randomizer.lines and bench.variants.shown)
    gui.until(lambda: gui.visible("randomizer.0.token"))
    return bench


def test_a_prompt_is_typed_and_run(gui, bench, kernel):
    gui.click("prompt.quick")
    gui.type("a red house")
    gui.until(lambda: bench.run.plan.images == 20)
    gui.until(lambda: "20 images" in dpg.get_value("prompt.line"))
    assert [shown.job.prompt for shown in bench.variants.shown][:2] == ["prompt.txt 0", "prompt.txt 1"]
    gui.click("bar.run")
    gui.until(lambda: kernel.submitted)
    assert kernel.submitted[0].pack == b"a red house\n"


def test_a_slot_takes_other_values_and_they_go_into_the_run(gui, packed, kernel):
    gui.click("randomizer.0.more")
    gui.until(lambda: gui.visible("randomizer.0.values"))
    gui.click("randomizer.0.values")
    gui.key("ctrl+a")
    gui.type("dawn")
    gui.until(lambda: packed.randomizer.chosen.values)
    gui.until(lambda: not packed.run.is_planning)
    assert list(kernel.previewed[-1][0].sets) == ['randomization.values.style=["dawn"]']
    gui.click("randomizer.0.done")
    gui.until(lambda: not dpg.is_item_shown("randomizer.0.editor"))


def test_the_switch_lets_nothing_vary(gui, packed, kernel):
    gui.click("randomizer.toggle")
    gui.until(lambda: not packed.randomizer.chosen.enabled)
    gui.until(lambda: "randomization.enabled=false" in kernel.previewed[-1][0].sets)
    gui.until(lambda: not gui.visible("randomizer.0.token"))
    gui.click("randomizer.toggle")
    gui.until(lambda: gui.visible("randomizer.0.token"))


def test_rows_are_chosen_by_their_boxes(gui, packed, kernel):
    gui.click("prompt.pack.0.open")
    gui.until(lambda: gui.visible("prompt.pack.0.row.2"))
    gui.click("prompt.pack.0.row.2")
    gui.until(lambda: dpg.get_value("prompt.pack.0.field") == "1,3")
    gui.until(lambda: kernel.previewed[-1][0].rows == "1,3")
    assert dpg.get_value("prompt.pack.0.sub") == "2 of 3 prompts"


def test_pages_turn_by_key(gui, packed):
    gui.until(lambda: dpg.get_value("variants.place") == "1-8 of 20")
    gui.key("Page_Down")
    gui.until(lambda: dpg.get_value("variants.place") == "9-16 of 20")


def test_another_theme_and_size_show_the_same(gui, packed):
    packed.randomizer.edit("slot:style")
    packed.variants.draft.open(True)
    packed.view.choose_theme("light")
    packed.view.choose_scale(1.5)
    gui.frames(2)
    gui.until(lambda: gui.visible("randomizer.0.token"))
    gui.until(lambda: dpg.is_item_shown("randomizer.0.editor"))
    gui.until(lambda: dpg.is_item_shown("axis.form"))
    gui.until(lambda: dpg.get_value("prompt.line").startswith("20 images"))
