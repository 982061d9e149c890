"""The keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk_kit import make_desk

from stablenew_plugins.desktop.models.core.shortcuts import Shortcut, find
from stablenew_plugins.desktop.models.core.view import TABS
from stablenew_plugins.desktop.models.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(make_desk(tmp_path))


def key(keys: str, tab: str = "", *, typing: bool = False) -> Shortcut:
    return Shortcut(keys, keys, lambda: None, tab, while_typing=typing, group="x")


def test_a_key_means_one_thing_in_each_place(bench: Workbench) -> None:
    found = [(one.keys, one.overlay, one.tab) for one in bench.shortcuts]
    assert sorted(found) == sorted(set(found))


def test_the_tab_goes_before_what_a_key_means_everywhere() -> None:
    table = [key("Z"), key("Z", "queue")]
    assert find(table, "Z", tab="queue", typing=False, overlay="") is table[1]
    assert find(table, "Z", tab="prompt", typing=False, overlay="") is table[0]


def test_every_key_belongs_somewhere_and_the_help_is_not_empty(bench: Workbench) -> None:
    for one in bench.shortcuts:
        assert one.group, one.keys
        assert one.tab in ("", *TABS), one.keys
    told = {one.group for one in bench.shortcuts if one.what}
    assert told == {one.group for one in bench.shortcuts}


def test_letters_do_nothing_while_somebody_types() -> None:
    table = [key("1"), key("Ctrl+S", typing=True)]
    assert find(table, "1", tab="queue", typing=True, overlay="") is None
    assert find(table, "1", tab="queue", typing=False, overlay="") is table[0]
    assert find(table, "Ctrl+S", tab="queue", typing=True, overlay="") is table[1]


def test_a_key_of_a_tab_works_there_only() -> None:
    table = [key("R", "queue"), key("R", "cluster")]
    assert find(table, "R", tab="cluster", typing=False, overlay="") is table[1]
    assert find(table, "R", tab="prompt", typing=False, overlay="") is None


def test_under_an_overlay_only_what_works_everywhere() -> None:
    table = [key("R", "queue"), key("1"), key("Escape", typing=True)]
    assert find(table, "R", tab="queue", typing=False, overlay="settings") is None
    assert find(table, "1", tab="queue", typing=False, overlay="settings") is None
    assert find(table, "Escape", tab="queue", typing=False, overlay="settings") is table[2]


def test_the_tabs_have_numbers(bench: Workbench) -> None:
    for number, tab in enumerate(TABS, 1):
        found = find(bench.shortcuts, f"Ctrl+{number}", tab="queue", typing=True, overlay="")
        assert found is not None
        found.act()
        assert bench.view.tab == tab
