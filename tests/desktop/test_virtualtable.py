"""The table of any number of rows: with a context, without a display."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.desk_kit import Inline

from stablenew_plugins.desktop.components.fit import cut as cut_to
from stablenew_plugins.desktop.components.fit import width_of
from stablenew_plugins.desktop.components.table import VirtualTable, span
from stablenew_plugins.desktop.components.tablecells import Cell, Cells, Column, Row
from stablenew_plugins.desktop.components.ui import Ui

COLUMNS = [
    Column("Name", 80),
    Column("Progress", 120, kind="bar"),
    Column("", 30, kind="picture"),
    Column("Text"),
]


@given(st.floats(0, 1e6), st.integers(20, 80), st.integers(0, 100_000), st.integers(8, 80), st.floats(0.1, 1.0))
def test_the_rows_that_can_be_seen_are_drawn_and_the_height_is_true(
    scroll: float, height: int, count: int, pool: int, part: float
) -> None:
    room = (pool - 3) * height * part
    scroll = min(scroll, max(0.0, count * height - room))  # a list is not scrolled beyond its end
    found = span(scroll, height, count, pool)
    shown = min(pool, count - found.first)
    assert found.above + shown * height + found.below == count * height
    assert 0 <= found.first <= max(0, count - shown)
    assert found.above <= scroll or found.first == 0
    assert found.above + shown * height >= min(scroll + room, count * height)


@given(st.text(max_size=40), st.floats(0, 400))
def test_a_text_that_is_cut_fits_and_is_no_shorter_than_needed(text: str, width: float) -> None:
    def measure(part: str) -> float:
        return 10.0 * len(part)

    cut = cut_to(text, width, measure)
    assert cut == text or cut.endswith("…")
    assert measure(cut) <= width or cut == "…"
    if cut != text and text.strip() == text and "  " not in text and not any(map(str.isspace, text)):
        assert measure(cut) + 10 > width or cut == "…"


class Table:
    """A table over numbers, and what it was asked."""

    def __init__(self, ui: Ui, count: int) -> None:
        self.asked: list[int] = []
        self.selected: list[tuple[int, str]] = []
        self.opened: list[int] = []
        self.missing: set[int] = set()
        self.marked: set[int] = set()
        self.suffix = ""
        self.table = VirtualTable(
            ui,
            COLUMNS,
            row=self.row,
            select=lambda index, how: self.selected.append((index, how)),
            open=self.opened.append,
            tag="t",
        )
        self.table.resize(600, 400)
        self.table.update(count)

    def fill(self) -> None:
        """Draw until all rows are made."""
        while len(self.table._lines) < self.table._needed:
            self.table.frame()

    def row(self, index: int) -> Row | None:
        self.asked.append(index)
        if index in self.missing:
            return None
        cells = [
            Cell(f"{index}{self.suffix}"),
            Cell("half", fraction=0.5) if index % 2 else Cell("none"),
            Cell(picture=Path("gone.png")),
            Cell("text", (1, 2, 3, 255)),
        ]
        return Row(cells, index in self.marked, "tip")

    def texts(self, column: int = 0) -> list[str]:
        found = []
        for line in self.table._lines:
            item = line.cells[column].text
            if line.visible and item is not None:
                found.append(str(dpg.get_value(item)))
        return found


@pytest.fixture
def ui(context: None) -> Iterator[Ui]:
    with dpg.window():
        yield Ui("dark", 1.0, Inline())


def test_only_as_many_rows_are_made_as_fit(ui: Ui) -> None:
    table = Table(ui, 10_000)
    table.fill()
    assert table.texts() == [str(number) for number in range(16)]
    assert len(table.asked) == 16
    table.table.resize(600, 2_000)
    table.fill()
    assert table.texts() == [str(number) for number in range(66)]


def test_a_frame_makes_some_rows_and_the_table_is_shown_when_it_has_all(ui: Ui) -> None:
    table = Table(ui, 10_000)
    made = []
    while len(table.table._lines) < table.table._needed:
        assert not dpg.is_item_shown(table.table._around)
        before = len(dpg.get_all_items())
        table.table.frame()
        made.append(len(dpg.get_all_items()) - before)
    assert dpg.is_item_shown(table.table._around)
    assert len(made) == 4
    assert max(made[1:]) <= made[0], "and lines between the rows in the first"
    assert table.texts() == [str(number) for number in range(16)]


def test_a_frame_in_which_nothing_changed_asks_for_nothing(ui: Ui) -> None:
    table = Table(ui, 10_000)
    table.fill()
    table.asked.clear()
    for _number in range(5):
        table.table.frame()
    assert table.asked == []
    table.suffix = "!"
    table.table.update(10_000)
    table.table.frame()
    assert table.texts()[0] == "0!"


def test_fewer_rows_than_the_pool_and_none_at_all(ui: Ui) -> None:
    table = Table(ui, 3)
    table.table.frame()
    assert table.texts() == ["0", "1", "2"]
    table.table.update(0)
    table.table.frame()
    assert table.texts() == []
    table.table.update(2)
    table.table.frame()
    assert table.texts() == ["0", "1"]


def test_a_row_that_is_not_there_yet_says_so(ui: Ui) -> None:
    table = Table(ui, 3)
    table.missing = {1}
    table.table.frame()
    assert table.texts() == ["0", "…", "2"]
    assert table.texts(3) == ["text", "", "text"]


def test_a_text_in_a_font_that_is_still_looked_for_is_cut_to_its_column(ui: Ui) -> None:
    cells, column = Cells(ui, 20), Column("Prompt", 100)
    items = cells.make(column)
    cells.write(items, Cell("日本の湖" * 10), 100, column)
    shown = dpg.get_value(items.text)
    assert shown.endswith("…")
    assert 80 < width_of(ui, shown, "small") <= 100


def test_bars_and_selection_are_shown(ui: Ui) -> None:
    table = Table(ui, 3)
    table.marked = {2}
    table.table.frame()
    lines = table.table._lines
    bars = [dpg.is_item_shown(line.cells[1].bar or 0) for line in lines[:3]]
    assert bars == [False, True, False]
    assert [dpg.get_value(line.selectable) for line in lines[:3]] == [False, False, True]


def test_a_click_selects_what_the_model_says(ui: Ui) -> None:
    table = Table(ui, 10)
    table.fill()
    line = table.table._lines[4]
    dpg.set_value(line.selectable, True)
    dpg.get_item_callback(line.selectable)(line.selectable, True, None)
    assert table.selected == [(4, "one")]
    assert dpg.get_value(line.selectable) is False, "whether it is selected, the model says"


def test_revealing_a_row_scrolls_no_further_than_needed(ui: Ui) -> None:
    table = Table(ui, 1_000)
    table.fill()
    table.table.reveal(3)
    assert table.table._state.scroll_to is None
    table.table.reveal(500)
    table.table.frame()
    first = table.table._state.first
    assert first <= 500 < first + 16


def test_a_click_on_a_title_sorts_and_the_order_at_first_is_shown(ui: Ui) -> None:
    asked: list[str] = []
    columns = [
        Column("Name"),
        Column("State", 80, orders=("failed", "done")),
        Column("Took", 80, orders=("shortest", "longest"), downwards=True),
    ]
    table = VirtualTable(
        ui,
        columns,
        row=lambda _index: None,
        select=lambda _index, _how: None,
        sort=asked.append,
        order="done",
        tag="sorted",
    )
    items = dpg.get_item_children(table.item, 0)[1:]
    looks = [dpg.get_item_configuration(item) for item in items]
    assert [look["no_sort"] for look in looks] == [True, False, False]
    assert [look["default_sort"] for look in looks] == [False, True, False]
    assert [look["prefer_sort_descending"] for look in looks] == [False, True, True]
    click = dpg.get_item_callback(table.item)
    click(table.item, [[items[2], -1]], None)
    click(table.item, [[items[2], 1]], None)
    click(table.item, [[items[1], 1]], None)
    click(table.item, None, None)
    assert asked == ["longest", "shortest", "failed"]


def test_two_lines_a_dot_and_a_bar_that_comes_and_goes(ui: Ui) -> None:
    cells = [
        Cell("lake", note="seed 5", note_colour=(1, 2, 3, 255)),
        Cell("demo", dot=(9, 9, 9, 255)),
        Cell("x"),
    ]
    columns = [
        Column("Prompt", kind="lines"),
        Column("Run", 80, kind="dot"),
        Column("Progress", 90, kind="bar"),
    ]
    table = VirtualTable(
        ui, columns, row=lambda _index: Row(cells), select=lambda _index, _how: None, row_height=52, tag="kinds"
    )
    table.resize(600, 400)
    table.update(1)
    table.frame()
    lines, dot, bar = table._lines[0].cells
    assert (dpg.get_value(lines.text), dpg.get_value(lines.note or 0)) == ("lake", "seed 5")
    assert (dpg.is_item_shown(dot.dot or 0), dpg.is_item_shown(bar.bar or 0)) == (True, False)
    cells[1:] = [Cell("demo"), Cell("x", fraction=0.5)]
    table.update(1)
    table.frame()
    assert (dpg.is_item_shown(dot.dot or 0), dpg.is_item_shown(bar.bar or 0)) == (False, True)
