"""Preview and Learning as a person uses them: look, rate by key, choose several, compare, zoom, take back."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest
from PIL import Image
from tests.desktop.models.image_kit import FakeKernel, image, pixels

from stablenew_plugins.desktop.theme.tokens import FOOT_HEIGHT
from stablenew_proto.v1 import agent_link_pb2, kernel_pb2

IMAGES = 8


@pytest.fixture
def kernel(lone_app, tmp_path):
    """Answers the window, and has eight images, the last of which has no file."""
    for number in range(1, IMAGES):
        Image.new("RGB", (640, 480), (20 * number, 90, 160)).save(tmp_path / f"{number}.png")
    found = [image(number, path=str(tmp_path / f"{number}.png")) for number in range(IMAGES, 0, -1)]
    kernel = FakeKernel(found)
    lone_app.desk.state.connected(kernel, kernel_pb2.GetStatusResponse())
    return kernel


@pytest.fixture
def review(gui, lone_app, kernel):
    """The tab, with its images."""
    lone_app.bench.view.toggle_sidebar()
    lone_app.bench.view.size_preview(300)
    lone_app.bench.view.show_tab("learning")
    gui.until(lambda: lone_app.bench.review.total == IMAGES)
    gui.until(lambda: gui.visible("learning.grid.drawing"))
    gui.until(lambda: len(lone_app.ui.textures._shown) >= IMAGES - 1)
    return lone_app.bench.review


def click_tile(gui, review, index):
    """Click the image of that place, which is in the first two rows."""
    columns, rows = review.columns, -(-IMAGES // review.columns)
    row, column = divmod(index, columns)
    gui.click("learning.grid.drawing", across=(column + 0.5) / columns, down=(row + 0.5) / rows)


def test_an_image_is_clicked_rated_by_key_and_taken_back(gui, lone_app, review, kernel):
    click_tile(gui, review, 1)
    gui.until(lambda: review.cursor == 1)
    assert lone_app.bench.preview.image.image_sha256 == pixels(7)
    gui.key("4")
    gui.until(lambda: kernel.called("rate"))
    assert kernel.called("rate")[0][:2] == (pixels(7), 4)
    assert review.cursor == 2
    gui.key("k")
    gui.until(lambda: lone_app.bench.ratings.of(review.at(2)).tags == ("Keeper",))
    gui.key("5")
    gui.until(lambda: len(kernel.called("rate")) == 2)
    assert review.cursor == 3
    assert kernel.called("rate")[1][1:3] == (5, ("Keeper",))
    gui.key("ctrl+z")
    gui.until(lambda: kernel.stored[2].stars == 0)


def test_new_images_wait_for_a_click(gui, lone_app, review, kernel):
    click_tile(gui, review, 2)
    gui.until(lambda: review.cursor == 2)
    kernel.stored.insert(0, image(20))
    state = lone_app.desk.state
    state.news(
        kernel_pb2.WatchResponse(images=[kernel_pb2.SavedImage(run_id="run-1", image_sha256=pixels(20))])
    )
    gui.until(lambda: review.new == 1)
    assert review.shown.seed == 6
    gui.click("learning.new")
    gui.until(lambda: review.total == IMAGES + 1 and review.shown is not None)
    assert review.shown.seed == 20
    gui.until(lambda: not gui.visible("learning.new"))


def test_digits_typed_into_the_filter_rate_nothing(gui, review, kernel):
    gui.click("learning.words")
    gui.type("picture 4")
    gui.until(lambda: review.total == 1)
    assert kernel.called("rate") == []
    assert review.shown.seed == 4
    gui.click("learning.clear")
    gui.until(lambda: review.total == IMAGES)


def test_a_line_of_what_was_liked_shows_its_images(gui, lone_app, review, kernel):
    for stored in kernel.stored[:3]:
        stored.stars, stored.model = 5, "other"
    gui.click("learning.liked")
    gui.until(lambda: gui.visible("liked.model.0"))
    assert "3 of 8 rated" in gui.value("liked.sub")
    gui.click("liked.model.0")
    gui.until(lambda: review.total == 3)
    assert lone_app.bench.view.overlay == ""
    gui.until(lambda: gui.visible("learning.clear"))


def test_several_are_chosen_and_compared_with_one_zoom(gui, lone_app, review, kernel):
    click_tile(gui, review, 1)
    gui.until(lambda: review.cursor == 1)
    gui.input.key_down("ctrl")
    click_tile(gui, review, 3)
    gui.until(lambda: len(review.selected) == 2)
    gui.input.key_up("ctrl")
    gui.key("c")
    gui.until(lambda: gui.visible("compare.image.0") and gui.visible("compare.image.1"))
    gui.wheel("compare.image.0", -3)
    gui.until(lambda: lone_app.bench.compare.point.zoom > 1.5)
    x = lone_app.bench.compare.point.x
    gui.drag_by("compare.image.1", -60, 0)
    gui.until(lambda: lone_app.bench.compare.point.x > x)
    gui.key("5")
    gui.until(lambda: kernel.called("rate"))
    assert kernel.called("rate")[0][0] == pixels(5)  # that was pressed last
    gui.key("Left")
    gui.key("k")
    gui.until(lambda: len(kernel.called("rate")) == 2)
    assert kernel.called("rate")[1][:2] == (pixels(7), 4)
    gui.key("Escape")
    gui.until(lambda: lone_app.bench.view.overlay == "")
    assert len(review.selected) == 2


def test_the_full_view_goes_on_by_keys_and_rates(gui, lone_app, review, kernel):
    click_tile(gui, review, 0)
    gui.until(lambda: review.cursor == 0)
    gui.key("space")
    gui.until(lambda: gui.visible("viewer.image"))
    gui.key("Right")
    gui.until(lambda: review.cursor == 1)
    gui.key("3")
    gui.until(lambda: kernel.called("rate"))
    assert kernel.called("rate")[0][:2] == (pixels(7), 3)
    gui.key("z")
    gui.until(lambda: lone_app.bench.viewer.percent == 100)
    gui.key("space")
    gui.until(lambda: lone_app.bench.view.overlay == "")


def test_the_preview_is_rated_by_its_stars_and_goes_along_its_strip(gui, lone_app, kernel):
    preview = lone_app.bench.preview
    gui.until(lambda: preview.image is not None and gui.visible("preview.star.3"))
    gui.click("preview.star.3")
    gui.until(lambda: kernel.called("rate"))
    assert kernel.called("rate")[0][:2] == (pixels(8), 3)
    # All that matters is in sight, the first facts, too.
    area = gui.rect("preview.facts.more")
    assert area.y + area.height <= dpg.get_viewport_client_height() - FOOT_HEIGHT
    assert dpg.get_y_scroll_max("preview.scroll") == 0
    gui.click("preview.strip", across=0.3)
    gui.until(lambda: preview.image.image_sha256 == pixels(7))
    assert not preview.follow
    gui.key("Right")
    gui.until(lambda: preview.image.image_sha256 == pixels(6))
    gui.click("preview.follow")
    gui.until(lambda: preview.image.image_sha256 == pixels(8))


def test_a_live_preview_is_on_the_screen_and_gives_way(gui, lone_app, kernel, tmp_path):
    preview, state = lone_app.bench.preview, lone_app.desk.state
    gui.until(lambda: preview.image is not None)
    file = tmp_path / "live.jpg"
    for step in range(4):
        Image.new("RGB", (64, 48), (250, 60 * step, 0)).save(file)
        progress = agent_link_pb2.JobProgress(step=step, steps=4, eta=3, preview_jpeg=file.read_bytes())
        state.news(kernel_pb2.WatchResponse(progress=[kernel_pb2.RunningJob(job_id="a", progress=progress)]))
        gui.until(lambda step=step: preview.live is not None and preview.live.text.endswith(f"{step} of 4"))

    def middle():
        shot = gui.shot("preview.image")
        return shot.getpixel((shot.width // 2, shot.height // 2))[:3]

    gui.until(lambda: middle()[0] > 230 and 150 < middle()[1] < 210)
    Image.new("RGB", (640, 480), (0, 200, 0)).save(tmp_path / "9.png")
    kernel.stored.insert(0, image(9, path=str(tmp_path / "9.png")))
    state.news(
        kernel_pb2.WatchResponse(
            jobs=[kernel_pb2.Job(job_id="a", state="done")],
            images=[kernel_pb2.SavedImage(run_id="run-1", image_sha256=pixels(9))],
        )
    )
    gui.until(lambda: middle() == (0, 200, 0))
    gui.frames(3)
    assert not lone_app.ui.textures._live


def test_an_image_whose_file_is_gone_has_a_place_all_the_same(gui, lone_app, review):
    click_tile(gui, review, 0)
    gui.until(lambda: review.cursor == 0)
    assert lone_app.ui.textures.failure
    gui.until(
        lambda: dpg.get_item_configuration(lone_app.shell._preview._stage._title)["text"] == "The file is gone"
    )
    path = Path(lone_app.bench.preview.image.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (0, 0, 200)).save(path)
    gui.until(lambda: not lone_app.ui.textures.failure(path))
    gui.until(lambda: gui.shot("preview.image").getpixel((150, 100))[:3] == (0, 0, 200))
