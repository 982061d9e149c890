"""A window of rows over a long list: what is asked, when, and what is selected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.desktop.desk_kit import Clock, Inline, make_desk

from stablenew_plugins.desktop.models.core.longlist import AWAY, MARGIN, PATIENCE, PERIOD, RowsModel


class Lists:
    """Has rows ``"0"`` to ``str(total - 1)``, but for the first ones, which are gone."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.asked: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.gone = 0

    def fetch(self, _kernel: Any, limit: int, offset: int) -> tuple[Sequence[str], int]:
        self.asked.append((limit, offset))
        if self.error is not None:
            raise self.error
        numbers = range(self.gone, self.total)
        return [str(number) for number in numbers[offset : offset + limit]], len(numbers)


def make_rows(tmp_path: Path, total: int) -> tuple[RowsModel[str], Lists, Clock, Inline]:
    lists = Lists(total)
    desk = make_desk(tmp_path, kernel=lists)
    assert isinstance(desk.clock, Clock)
    assert isinstance(desk.background, Inline)
    return RowsModel(desk, "test", lists.fetch, lambda row: row), lists, desk.clock, desk.background


def pass_time(rows: RowsModel[str], clock: Clock, first: int, count: int = 30) -> None:
    """Somebody looks for a while."""
    for _number in range(12):
        rows.look(first, count)
        rows.tick()
        clock.move(0.1)


def test_nothing_is_asked_while_nobody_looks(tmp_path: Path) -> None:
    rows, lists, clock, _background = make_rows(tmp_path, 100)
    rows.tick()
    assert lists.asked == []
    rows.look(0, 10)
    clock.move(AWAY + 0.1)
    rows.tick()
    assert lists.asked == []


def test_rows_around_those_that_are_looked_at_are_asked_for_once(tmp_path: Path) -> None:
    rows, lists, clock, _background = make_rows(tmp_path, 10_000)
    pass_time(rows, clock, 5_000)
    assert lists.asked == [(30 + 2 * MARGIN, 5_000 - MARGIN)]
    assert rows.row(5_000) == "5000"
    assert rows.row(4_000) is None
    assert rows.total == 10_000
    before = len(lists.asked)
    pass_time(rows, clock, 5_005)
    assert len(lists.asked) == before, "a few rows on are here already"
    pass_time(rows, clock, 5_000 + MARGIN)
    assert rows.row(5_000 + MARGIN + 30) is not None, "prefetched before they are needed"


def test_one_question_at_a_time_and_not_more_than_a_few_a_second(tmp_path: Path) -> None:
    rows, lists, clock, background = make_rows(tmp_path, 10_000)
    background.held = True
    for number in range(50):
        rows.look(number * 150, 30)
        rows.refresh()
        rows.tick()
        clock.move(0.02)
    assert lists.asked == []
    assert len(background.waiting) == 1
    background.held = False
    background.release()
    for _number in range(100):
        rows.look(7_000, 30)
        rows.refresh()
        rows.tick()
        clock.move(0.02)
    assert 3 <= len(lists.asked) - 1 <= 2 / PERIOD + 1
    assert rows.row(7_010) == "7010"


def test_a_failure_is_kept_and_it_is_tried_again_later(tmp_path: Path) -> None:
    rows, lists, clock, _background = make_rows(tmp_path, 10)
    lists.error = OSError("no")
    pass_time(rows, clock, 0)
    assert rows.problem is lists.error
    assert len(lists.asked) == 1
    lists.error = None
    clock.move(PATIENCE)
    pass_time(rows, clock, 0)
    assert rows.problem is None
    assert rows.loaded
    assert rows.total == 10


def test_another_list_begins_anew_and_late_answers_are_of_the_old_one(tmp_path: Path) -> None:
    rows, lists, clock, background = make_rows(tmp_path, 10)
    background.held = True
    rows.look(0, 10)
    rows.tick()
    rows.restart()
    lists.total = 3
    background.release()
    assert not rows.loaded
    assert rows.rows == []
    background.held = False
    pass_time(rows, clock, 0)
    assert rows.total == 3


def test_selecting(tmp_path: Path) -> None:
    rows, _lists, clock, _background = make_rows(tmp_path, 50)
    pass_time(rows, clock, 0, 50)
    rows.select(3)
    assert rows.selected == ["3"]
    rows.select(6, "range")
    assert rows.selected == ["3", "4", "5", "6"]
    rows.select(1, "range")
    assert rows.selected == ["1", "2", "3"], "from where the range began"
    rows.select(9, "toggle")
    rows.select(2, "toggle")
    assert rows.selected == ["1", "3", "9"]
    rows.move(1)
    assert rows.selected == ["3"]
    assert rows.cursor == 3
    rows.move(-1, extend=True)
    assert rows.selected == ["2", "3"]
    rows.drop("2")
    assert rows.selected == ["3"]
    rows.select_none()
    assert rows.selected == []
    assert rows.cursor == -1
    rows.move(1)
    assert rows.selected == ["0"]
    rows.move(1 << 40)
    assert rows.selected == ["49"]


def test_the_cursor_goes_where_its_row_goes(tmp_path: Path) -> None:
    rows, lists, clock, _background = make_rows(tmp_path, 50)
    pass_time(rows, clock, 0, 50)
    rows.select(10)
    reveals = rows.reveals
    lists.gone = 4  # rows before it are over
    rows.refresh()
    pass_time(rows, clock, 0, 50)
    assert rows.cursor == 6
    assert rows.selected == ["10"]
    assert rows.reveals == reveals, "nobody went anywhere: the list does not scroll"
    rows.move(1)
    assert rows.selected == ["11"]
    rows.move(2, extend=True)
    assert rows.selected == ["11", "12", "13"]
    assert rows.reveals > reveals


def test_a_row_that_is_not_here_is_selected_when_it_comes(tmp_path: Path) -> None:
    rows, _lists, clock, _background = make_rows(tmp_path, 5_000)
    pass_time(rows, clock, 0)
    rows.move(1 << 40)
    assert rows.cursor == 4_999
    assert rows.selected == []
    pass_time(rows, clock, 4_990)
    assert rows.selected == ["4999"]


def test_a_long_range_is_asked_for_in_pages(tmp_path: Path) -> None:
    rows, lists, clock, _background = make_rows(tmp_path, 12_345)
    pass_time(rows, clock, 0)
    rows.select_all()
    assert len(rows.selected) == 12_345
    assert max(limit for limit, _offset in lists.asked) <= 500


@settings(max_examples=30)
@given(st.integers(0, 3_000), st.lists(st.integers(0, 3_000), min_size=1, max_size=6))
def test_wherever_one_looks_the_rows_come(tmp_path_factory: Any, total: int, places: list[int]) -> None:
    rows, _lists, clock, _background = make_rows(tmp_path_factory.mktemp("data"), total)
    for place in places:
        pass_time(rows, clock, place)
        assert rows.loaded
        for index in range(place, min(place + 30, total)):
            assert rows.row(index) == str(index)
