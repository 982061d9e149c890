"""Review: pages of records, what is chosen, ratings and their undo, what is promoted and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.desktop.desk_kit import Clock, Inline, make_desk
from tests.desktop.models.image_kit import FakeKernel, image, pixels
from tests.desktop.models.test_preview import Pipeline

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut, find
from stablenew_plugins.desktop.models.core.view import ViewModel
from stablenew_plugins.desktop.models.images.compare import CompareModel
from stablenew_plugins.desktop.models.images.filters import Wanted
from stablenew_plugins.desktop.models.images.imagelist import PAGE, PAGES_KEPT
from stablenew_plugins.desktop.models.images.learning import LearningModel
from stablenew_plugins.desktop.models.images.liked import LikedModel
from stablenew_plugins.desktop.models.images.preview import PreviewModel
from stablenew_plugins.desktop.models.images.promote import PromoteModel
from stablenew_plugins.desktop.models.images.ratings import Opinion, Ratings
from stablenew_plugins.desktop.models.images.review import REFRESH_EVERY, ReviewModel
from stablenew_plugins.desktop.models.images.reviewkeys import TAB
from stablenew_plugins.desktop.models.images.tagkeys import LETTERS, letters_of
from stablenew_plugins.desktop.models.images.viewer import ViewerModel
from stablenew_plugins.desktop.models.images.zoom import CLOSEST, Viewpoint, fitting
from stablenew_proto.v1 import kernel_pb2


class Bench:
    def __init__(self, tmp_path: Path, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.desk = make_desk(tmp_path)
        self.view = ViewModel(self.desk)
        self.view.show_tab(TAB)
        pipeline: Any = Pipeline()
        self.ratings = Ratings(self.desk)
        self.promotion = PromoteModel(self.desk, self.view, pipeline)
        self.preview = PreviewModel(self.desk, self.view, pipeline, self.ratings, self.promotion)
        self.viewer = ViewerModel(self.view, self.ratings, self.preview)
        self.compare = CompareModel(self.desk, self.view, self.ratings)
        self.review = ReviewModel(
            self.desk, self.view, self.preview, self.ratings, self.promotion, self.viewer, self.compare
        )
        self.learning = LearningModel(self.desk)
        self.liked = LikedModel(self.desk, self.view, self.ratings, self.review)

    def connect(self) -> None:
        self.desk.state.connected(self.kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
        self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        clock = self.desk.clock
        assert isinstance(clock, Clock)
        clock.move(seconds)
        self.ratings.tick()
        self.promotion.tick()
        self.preview.tick()
        self.compare.tick()
        self.review.tick()
        self.liked.tick()

    def saved(self, *numbers: int) -> None:
        for number in numbers:
            self.kernel.stored.insert(0, image(number))
        self.desk.state.news(kernel_pb2.WatchResponse(images=[kernel_pb2.SavedImage(run_id="run-1")]))
        self.pass_time(1)
        self.pass_time(1)

    def seen(self, first: int = 0, last: int = 8) -> list[int]:
        found = [self.review.at(index) for index in range(first, min(last, self.review.total))]
        return [one.seed for one in found if one is not None]


def bench_of(tmp_path: Path, count: int) -> Bench:
    made = Bench(tmp_path, FakeKernel([image(number) for number in range(count, 0, -1)]))
    made.connect()
    return made


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_of(tmp_path, 10)


# --- finding ------------------------------------------------------------------------------------------------


def test_the_newest_come_first(bench: Bench) -> None:
    assert bench.review.total == 10
    assert bench.seen() == [10, 9, 8, 7, 6, 5, 4, 3]
    assert bench.review.rated == (0, 10)


def test_of_thousands_only_what_is_looked_at_is_asked_for(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 5_000)
    assert bench.review.total == 5_000
    bench.seen(3_000, 3_010)
    offsets = [offset for _where, _order, limit, offset in bench.kernel.called("images") if limit == PAGE]
    assert set(offsets) == {0, 3_000}
    assert bench.seen(3_000, 3_003) == [2_000, 1_999, 1_998]


def test_records_are_bounded(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 5_000)
    for index in range(0, 5_000, 10):
        bench.review.at(index)
    assert bench.review.list.pages <= PAGES_KEPT


def test_typing_is_waited_for_and_other_filters_are_not(bench: Bench) -> None:
    bench.review.want(replace(bench.review.wanted, words="pict"))
    bench.review.want(replace(bench.review.wanted, words="picture 4"))
    bench.pass_time(0.1)
    assert bench.review.total == 10
    bench.pass_time(0.3)
    assert bench.seen() == [4]
    bench.review.clear_filter()
    bench.pass_time(0.4)
    assert bench.review.total == 10
    bench.kernel.stored[2].stars = 4
    bench.review.want(Wanted(min_stars=3))
    bench.pass_time(0)
    assert bench.seen() == [8]


def test_a_filter_that_is_wrong_is_told_and_not_asked_again(bench: Bench) -> None:
    asked = bench.kernel.gallery.images

    def refuse(*args: Any, **options: Any) -> Any:
        asked(*args, **options)
        raise UserError("words: 'steps>=' lacks a number")

    bench.kernel.gallery.images = refuse
    bench.review.want(Wanted(words="steps>="))
    bench.pass_time(1)
    assert "lacks a number" in bench.review.problem
    before = len(bench.kernel.called("images"))
    for _frame in range(50):
        bench.review.at(0)
        bench.pass_time(0.01)
    assert len(bench.kernel.called("images")) == before
    bench.kernel.gallery.images = asked
    bench.review.clear_filter()
    bench.pass_time(1)
    assert bench.review.problem == ""
    assert bench.review.total == 10


def test_nothing_is_asked_while_the_tab_is_not_to_be_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeKernel([image(1)]))
    bench.view.show_tab("queue")
    bench.connect()
    bench.pass_time(60)
    assert not [call for call in bench.kernel.called("images") if call[2] == PAGE]
    bench.view.show_tab(TAB)
    bench.pass_time(0)
    assert bench.review.total == 1


def test_a_filter_is_there_again_the_next_time(bench: Bench, tmp_path: Path) -> None:
    wanted = Wanted(model="painter", min_stars=2, words="picture", order="best")
    bench.review.want(wanted)
    bench.desk.remembered.save()
    assert Bench(tmp_path, bench.kernel).review.wanted == wanted


filters = st.builds(
    Wanted,
    pack=st.sampled_from(["", "demo"]),
    model=st.sampled_from(["", "painter", "other"]),
    preset=st.sampled_from(["", "full.json"]),
    tag=st.sampled_from(["", "Keeper"]),
    min_stars=st.integers(0, 5),
    unrated=st.booleans(),
    words=st.sampled_from(["", "  ", "sea"]),
    order=st.sampled_from(["newest", "best"]),
)


@given(
    filters,
    st.dictionaries(
        st.sampled_from([*Wanted.__slots__, "else"]), st.sampled_from([9, -1, "x", "", None, True, []])
    ),
)
def test_what_was_remembered_of_a_filter_is_kept_and_nonsense_is_not(wanted: Wanted, odd: Any) -> None:
    assert Wanted.of(wanted.kept()) == wanted
    found = Wanted.of({**wanted.kept(), **odd})
    assert 0 <= found.min_stars <= 5
    assert found.order in ("newest", "best")
    found.message()


@given(filters)
def test_a_filter_without_its_conditions_lets_all_through(wanted: Wanted) -> None:
    for condition in wanted.conditions():
        assert condition.told in wanted.told
        assert len(condition.without.conditions()) >= len(wanted.conditions()) - 1
    message = replace(wanted, min_stars=0 if wanted.unrated else wanted.min_stars).message()
    assert bool(wanted.conditions()) == bool(message.ByteSize())


def test_where_nothing_is_found_it_says_what_to_do_without(bench: Bench) -> None:
    bench.kernel.stored[3].stars = 4
    bench.review.want(Wanted(model="other", min_stars=4))
    bench.pass_time(0)
    assert bench.review.total == 0
    assert [(one.told, one.images) for one in bench.review.loosenings] == [("model other", 1)]
    bench.review.want(bench.review.loosenings[0].wanted)
    bench.pass_time(0)
    assert (bench.seen(), list(bench.review.loosenings), bench.review.everything) == ([7], [], 10)


# --- keeping up ---------------------------------------------------------------------------------------------


def test_new_images_are_shown_at_the_top(bench: Bench) -> None:
    bench.saved(11)
    assert bench.seen(0, 2) == [11, 10]
    assert bench.review.new == 0


def test_new_images_wait_while_somebody_is_further_down(bench: Bench) -> None:
    bench.review.click(4)
    bench.saved(11, 12)
    bench.saved(13)
    assert bench.review.new == 3
    assert bench.seen() == [10, 9, 8, 7, 6, 5, 4, 3]
    assert bench.review.shown is not None
    assert bench.review.shown.seed == 6
    bench.review.show_new()
    assert bench.seen(0, 4) == [13, 12, 11, 10]


@settings(max_examples=20)
@given(data=st.data())
def test_nothing_moves_under_the_hand(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = bench_of(tmp_path_factory.mktemp("hand"), 200)
    place = data.draw(st.integers(1, 199), "cursor")
    bench.review.at(place)
    bench.review.click(place)
    before = bench.seen(max(0, place - 3), place + 3)
    number = 1_000
    for came in data.draw(st.lists(st.integers(1, 30), max_size=4), "new images"):
        bench.saved(*range(number, number + came))
        number += came
    bench.seen(max(0, place - 3), place + 3)
    assert bench.seen(max(0, place - 3), place + 3) == before
    assert bench.review.new == number - 1_000


def test_ratings_made_elsewhere_appear(bench: Bench) -> None:
    bench.kernel.stored[1].stars = 5
    bench.pass_time(REFRESH_EVERY + 1)
    assert bench.seen(0, 1) == [10]
    found = bench.review.at(1)
    assert found is not None
    assert bench.ratings.of(found).stars == 5


def test_the_cursor_stays_at_its_image_when_others_go(bench: Bench) -> None:
    bench.review.click(5)
    del bench.kernel.stored[2]
    bench.pass_time(REFRESH_EVERY + 1)
    assert bench.review.shown is not None
    assert (bench.review.shown.seed, bench.review.cursor) == (5, 4)


def test_the_cursor_stays_where_another_file_has_the_same_content(bench: Bench) -> None:
    shown = bench.review.at(1)
    assert shown is not None
    again = image(int(shown.image_sha256, 16), "run-0")
    bench.kernel.stored.append(again)
    bench.review.show_new()
    bench.review.click(1)
    bench.pass_time(REFRESH_EVERY + 1)
    assert bench.review.cursor == 1
    assert bench.review.shown is not None
    assert bench.review.shown.path == shown.path


def test_a_kernel_that_starts_anew_is_asked_again(bench: Bench) -> None:
    bench.desk.state.lost("killed")
    bench.pass_time(30)
    assert bench.seen(0, 2) == [10, 9]
    bench.kernel.stored.insert(0, image(77))
    bench.connect()
    assert bench.seen(0, 2) == [77, 10]


# --- rating -------------------------------------------------------------------------------------------------


def test_a_rating_moves_on_and_undo_takes_it_back(bench: Bench) -> None:
    bench.review.rate(4)
    bench.review.rate(2)
    assert bench.review.cursor == 2
    assert [call[:2] for call in bench.kernel.called("rate")] == [(pixels(10), 4), (pixels(9), 2)]
    bench.ratings.undo()
    bench.ratings.undo()
    assert [one.stars for one in bench.kernel.stored[:2]] == [0, 0]
    bench.review.set_moves_on(False)
    bench.review.rate(3)
    assert bench.review.cursor == 2


def test_all_that_is_chosen_is_rated_and_stays_chosen(bench: Bench) -> None:
    bench.review.click(1)
    bench.review.click(3, extend=True)
    assert [one.seed for one in bench.review.selected] == [9, 8, 7]
    bench.review.rate(5)
    bench.review.toggle_tag("Keeper")
    assert {one.seed for one in bench.kernel.stored if one.stars == 5 and "Keeper" in one.tags} == {7, 8, 9}
    bench.ratings.undo()
    assert all(not one.tags for one in bench.kernel.stored)
    bench.review.click(0, toggle=True)
    assert len(bench.review.selected) == 4
    bench.review.click(2)
    assert bench.review.selected == []


@pytest.mark.parametrize("what", ["click", "clear_selection", "toggle_cursor", "extend"])
def test_what_is_chosen_later_does_not_take_the_place_of_what_was_chosen_since(
    tmp_path: Path, what: str
) -> None:
    bench = Bench(tmp_path, FakeKernel([image(n) for n in range(3 * PAGE, 0, -1)]))
    bench.connect()
    background = bench.desk.background
    assert isinstance(background, Inline)
    background.held = True
    bench.review.choose_all()  # thousands, of which some pages are still to come
    if what == "click":
        bench.review.click(2)
    elif what == "extend":
        bench.review.click(2, extend=True)
    else:
        getattr(bench.review, what)()
    chosen = list(bench.review.selected)
    background.release()
    background.release()
    assert bench.review.selected == chosen


def test_images_that_are_chosen_have_in_common_what_these_have(bench: Bench) -> None:
    bench.review.choose_all()
    bench.review.rate(4)
    assert bench.review.common == Opinion(4)
    bench.review.toggle_tag("Keeper")
    assert bench.review.common == Opinion(4, ("Keeper",))
    middle, other = bench.review.selected[5], image(10_000)
    bench.review._chosen.choose([one if one is not middle else other for one in bench.review.selected])
    assert bench.review.common == Opinion()  # though it begins, and ends, and is as long as before
    for one in bench.review.selected:
        assert bench.review.is_selected(one)


def test_undo_leads_back_to_the_image_that_a_rating_had_left(bench: Bench) -> None:
    for stars in (4, 2, 5):
        bench.review.rate(stars)
    bench.review.move(9)
    bench.review.undo()
    assert bench.review.cursor == 2
    bench.review.move(7)
    bench.review.set_moves_on(False)
    bench.review.rate(1)
    bench.review.undo()
    assert bench.review.cursor == 7
    bench.review.undo()
    assert bench.review.cursor == 1
    assert [one.stars for one in bench.kernel.stored[:4]] == [4, 0, 0, 0]


def press(bench: Bench, keys: str) -> None:
    found = find(bench.review.shortcuts(), keys, tab=TAB, typing=False, overlay="")
    assert found is not None, keys
    found.act()


def test_keys_go_through_the_grid_by_rows_and_pages(bench: Bench) -> None:
    bench.review.columns, bench.review.rows = 3, 2
    places = []
    for key in ("Right", "Down", "PageDown", "PageDown", "Up", "PageUp", "End", "Down", "Home", "Up"):
        press(bench, key)
        places.append(bench.review.cursor)
    assert places == [1, 4, 9, 9, 6, 0, 9, 9, 0, 0]
    press(bench, "Shift+Down")
    press(bench, "Shift+Right")
    assert [one.seed for one in bench.review.selected] == [10, 9, 8, 7, 6]
    press(bench, "Shift+Home")
    assert [one.seed for one in bench.review.selected] == [10]
    press(bench, "Escape")
    press(bench, "Ctrl+Space")
    assert [one.seed for one in bench.review.selected] == [10]
    press(bench, "Enter")
    assert bench.view.overlay == "viewer"


def test_thousands_are_chosen_though_few_were_looked_at(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 5_000)
    press(bench, "Ctrl+A")
    assert len(bench.review.selected) == 5_000
    bench.review.click(10)
    bench.review.click(3_000)
    bench.review.click(1_900, extend=True)
    assert [one.seed for one in bench.review.selected] == list(range(3_100, 1_999, -1))


def test_a_tag_waits_for_stars(bench: Bench) -> None:
    bench.review.press(bench.review.letters["Keeper"])
    assert bench.kernel.called("rate") == []
    bench.review.rate(3)
    assert bench.kernel.called("rate")[0][1:3] == (3, ("Keeper",))


def test_own_tags_are_offered_from_then_on(bench: Bench) -> None:
    bench.review.rate(3)
    bench.review.step(-1)
    bench.review.add_tag("  Poster   wall ")
    assert bench.ratings.tags[0] == "Poster wall"
    assert bench.kernel.stored[0].tags == ["Poster wall"]
    assert "Poster wall" in Ratings(bench.desk).tags
    bench.review.add_tag("   ")
    assert "" not in bench.ratings.tags


def test_ratings_given_without_a_kernel_are_sent_in_order(bench: Bench) -> None:
    bench.desk.state.lost("killed")
    bench.review.set_moves_on(False)
    for stars in (1, 5, 2):
        bench.review.rate(stars)
    shown = bench.review.shown
    assert shown is not None
    assert bench.ratings.of(shown).stars == 2
    bench.connect()
    assert [call[1] for call in bench.kernel.called("rate")] == [1, 5, 2]


def test_a_rating_whose_call_is_cut_off_is_sent_again(bench: Bench) -> None:
    bench.kernel.gone = True
    bench.review.rate(4)
    bench.kernel.gone = False
    bench.connect()
    assert [call[1] for call in bench.kernel.called("rate")] == [4]


def test_undo_holds_though_the_images_were_listed_anew(bench: Bench) -> None:
    old, rated = image(10), image(10)
    rated.stars = 4
    bench.ratings.rate([old], 4)
    bench.ratings.arrived([rated], bench.ratings.mark())
    bench.ratings.undo()
    assert [call[:2] for call in bench.kernel.called("rate")] == [(pixels(10), 4), (pixels(10), 0)]
    assert bench.ratings.of(rated) == Opinion(0)


def test_an_answer_that_was_on_its_way_does_not_undo_a_rating(bench: Bench) -> None:
    background = bench.desk.background
    assert isinstance(background, Inline)
    shown = bench.review.shown
    assert shown is not None
    old = image(10)
    mark = bench.ratings.mark()
    bench.review.rate(4)
    bench.ratings.arrived([old], mark)
    assert bench.ratings.of(old) == Opinion(4)
    bench.ratings.arrived([old], bench.ratings.mark())
    assert bench.ratings.of(old) == Opinion(0)


@given(given_stars=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12))
def test_undo_leads_back_to_the_beginning(
    tmp_path_factory: pytest.TempPathFactory, given_stars: list[tuple[int, int]]
) -> None:
    bench = bench_of(tmp_path_factory.mktemp("undo"), 4)
    for place, stars in given_stars:
        found = bench.review.at(place)
        assert found is not None
        bench.ratings.rate([found], stars)
    while bench.ratings.can_undo:
        bench.ratings.undo()
    assert [one.stars for one in bench.kernel.stored] == [0, 0, 0, 0]


@given(st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=12), unique=True, max_size=40))
def test_no_two_tags_have_one_key(tags: list[str]) -> None:
    keys = letters_of(tags)
    assert len(set(keys.values())) == len(keys) == min(len(tags), len(LETTERS))
    assert not set(keys.values()) & {"C", "P"}


# --- what is done with them ---------------------------------------------------------------------------------


def test_what_is_chosen_is_promoted_after_its_plan_was_shown(bench: Bench) -> None:
    bench.review.click(0)
    bench.review.click(2, toggle=True)
    bench.review.promote()
    assert not bench.promotion.can_submit
    bench.pass_time(1)
    assert bench.promotion.title == "Upscale: 2 images"
    assert bench.promotion.summary is not None
    bench.promotion.submit()
    (request,) = bench.kernel.called("submit")
    assert list(request.promote.image_sha256s) == [pixels(10), pixels(8)]
    assert request.confirmed
    assert list(request.sets) == ["upscale.upscaler=Lanczos", "pipeline.image_format=webp"]


def test_what_is_promoted_is_what_was_shown_whatever_is_chosen_since(bench: Bench) -> None:
    bench.review.promote()
    bench.pass_time(1)
    background = bench.desk.background
    assert isinstance(background, Inline)
    background.held = True
    bench.promotion.submit()
    bench.promotion.toggle("adetailer")
    bench.pass_time(1)
    bench.promotion.toggle("adetailer")
    bench.promotion.toggle("upscale")
    bench.pass_time(1)  # nothing is chosen any more, and the plan is still on its way
    background.release()
    (request,) = bench.kernel.called("submit")
    assert list(request.only_stages) == ["upscale"]
    assert bench.promotion.problem
    assert not bench.promotion.can_submit


def test_keepers_are_promoted_by_their_stars(bench: Bench) -> None:
    for place in (0, 1):
        bench.kernel.stored[place].stars = 4 + place
    bench.pass_time(REFRESH_EVERY + 1)
    assert bench.review.keepers == 2
    bench.review.promote_keepers()
    bench.promotion.toggle("adetailer")
    bench.promotion.set_like_pipeline(False)
    bench.pass_time(1)
    bench.promotion.submit()
    (request,) = bench.kernel.called("submit")
    assert request.promote.min_rating == 4
    assert not request.promote.image_sha256s
    assert list(request.only_stages) == ["adetailer", "upscale"]
    assert not request.sets


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_not_known_of_images_is_not_called_the_same(bench: Bench, is_there: bool) -> None:
    bench.kernel.gone = True
    if not is_there:
        bench.desk.state.lost("it is gone")
    bench.review.compare()
    assert len(bench.compare.images) == 2
    assert bench.compare.problem
    assert not bench.compare.rows
    bench.kernel.gone = False
    bench.connect()
    bench.review.compare()
    assert not bench.compare.problem
    assert bench.compare.rows


def test_two_to_four_are_compared(bench: Bench) -> None:
    bench.review.compare()
    assert [one.seed for one in bench.compare.images] == [10, 9]
    assert bench.view.overlay == "compare"
    rows = bench.compare.rows
    assert rows is not None
    assert [row.name for row in rows] == ["Prompt", "Seed"]
    bench.review.click(1)
    bench.review.click(7, extend=True)
    bench.review.compare()
    assert len(bench.compare.images) == 4
    bench.compare.look_at(2)
    bench.compare.rate(5)
    assert bench.kernel.called("rate")[0][:2] == (bench.compare.images[2].image_sha256, 5)
    for _time in range(4):
        bench.compare.drop(0)
    assert len(bench.compare.images) == 2


def test_the_viewer_goes_through_the_grid(bench: Bench) -> None:
    bench.review.open(3)
    assert bench.view.overlay == "viewer"
    bench.viewer.step(1)
    assert bench.viewer.image is not None
    assert bench.viewer.image.seed == 6
    bench.viewer.rate(4)
    assert bench.kernel.called("rate")[0][0] == pixels(6)
    assert bench.review.place == "6 of 10"


# --- learning -----------------------------------------------------------------------------------------------


def test_the_mode_is_the_kernels(bench: Bench) -> None:
    assert bench.learning.mode == "passive"
    bench.learning.choose("off")
    assert bench.kernel.called("change_settings") == [{"learning_mode": "off"}]
    assert bench.learning.mode == "off"
    bench.learning.choose("active")
    assert len(bench.kernel.called("change_settings")) == 1
    assert "next version" in bench.desk.toasts.shown[-1].text


def test_a_kernel_without_the_setting_says_so(tmp_path: Path) -> None:
    kernel = FakeKernel()
    kernel.learning_mode = None
    bench = Bench(tmp_path, kernel)
    bench.connect()
    assert all(mode.why_not for mode in bench.learning.modes)


# --- keys and zoom ------------------------------------------------------------------------------------------


def test_a_tabs_key_goes_before_one_that_works_everywhere() -> None:
    done: list[str] = []
    table = [
        Shortcut("1", "everywhere", lambda: done.append("everywhere")),
        Shortcut("1", "tab", lambda: done.append("tab"), tab="learning"),
        Shortcut("1", "overlay", lambda: done.append("overlay"), overlay="viewer"),
    ]
    for tab, overlay in (("queue", ""), ("learning", ""), ("learning", "viewer")):
        found = find(table, "1", tab=tab, typing=False, overlay=overlay)
        assert found is not None
        found.act()
    assert done == ["everywhere", "tab", "overlay"]
    assert find(table, "1", tab="learning", typing=False, overlay="settings") is None
    assert find(table, "1", tab="learning", typing=True, overlay="viewer") is None


sides = st.floats(50, 4_000)
sizes = st.tuples(sides, sides)
moves = st.lists(
    st.tuples(st.floats(0.2, 5), st.floats(0, 1), st.floats(0, 1), st.floats(-500, 500), st.floats(-500, 500)),
    max_size=8,
)


@given(view=sizes, size=sizes, other=sizes, moves=moves)
def test_what_is_seen_is_in_the_image_and_in_the_view(view: Any, size: Any, other: Any, moves: Any) -> None:
    point = Viewpoint()
    for factor, x, y, dx, dy in moves:
        point.zoom_by(factor, (x * view[0], y * view[1]), view, size)
        point.pan(dx, dy, view, size)
    assert 1.0 <= point.zoom <= max(1.0, CLOSEST / fitting(view, size)) + 1e-9
    for image_size in (size, other):
        part = point.part(view, image_size)
        assert -1e-6 <= part.left < part.right <= view[0] + 1e-6
        assert -1e-6 <= part.top < part.bottom <= view[1] + 1e-6
        u0, v0, u1, v1 = part.uv
        assert -1e-6 <= u0 < u1 <= 1 + 1e-6
        assert -1e-6 <= v0 < v1 <= 1 + 1e-6
        scale = point.zoom * fitting(view, image_size)
        assert part.right - part.left == pytest.approx((u1 - u0) * image_size[0] * scale, rel=1e-6, abs=1e-3)


@given(x=st.floats(0.4, 0.6), y=st.floats(0.4, 0.6))
def test_what_is_under_the_pointer_stays_there(x: float, y: float) -> None:
    view, size = (800.0, 600.0), (1600.0, 1200.0)
    point = Viewpoint()
    point.zoom_by(4, (400, 300), view, size)
    at = (x * view[0], y * view[1])

    def under() -> tuple[float, float]:
        part = point.part(view, size)
        u0, v0, u1, v1 = part.uv
        return u0 + (u1 - u0) * at[0] / view[0], v0 + (v1 - v0) * at[1] / view[1]

    before = under()
    point.zoom_by(1.5, at, view, size)
    assert under() == pytest.approx(before, abs=1e-6)


def test_pixel_by_pixel_and_back() -> None:
    view, size = (400.0, 300.0), (1600.0, 1200.0)
    point = Viewpoint()
    point.toggle_pixels(view, size)
    assert point.zoom * fitting(view, size) == pytest.approx(1)
    point.toggle_pixels(view, size)
    assert point.zoom == 1
