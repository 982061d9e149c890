"""How the window is arranged."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk_kit import make_desk
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.view import PREVIEW, SIDEBAR, TABS, ViewModel, tab_titles


@pytest.fixture
def view(tmp_path: Path) -> ViewModel:
    return ViewModel(make_desk(tmp_path))


def test_every_tab_has_a_title() -> None:
    assert tuple(tab_titles()) == TABS
    assert all(tab_titles().values())


def test_all_of_it_is_remembered(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    view = ViewModel(desk)
    view.show_tab("queue")
    view.choose_theme("light")
    view.choose_scale(1.5)
    view.size_sidebar(333)
    view.size_preview(444)
    view.toggle_sidebar()
    view.toggle_preview()
    desk.remembered.save()
    again = ViewModel(make_desk(tmp_path))
    assert (again.tab, again.theme, again.scale) == ("queue", "light", 1.5)
    assert (again.sidebar, again.preview) == (333, 444)
    assert (again.sidebar_shown, again.preview_shown) == (False, False)


def test_a_tab_that_there_is_not(view: ViewModel) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        view.show_tab("nonsense")
    assert view.tab in TABS


def test_a_theme_that_there_is_not_changes_nothing(view: ViewModel) -> None:
    view.choose_theme("pink")
    assert view.theme == "dark"


@given(st.floats(-1e6, 1e6))
def test_sizes_stay_within_their_limits(tmp_path_factory: pytest.TempPathFactory, width: float) -> None:
    view = ViewModel(make_desk(tmp_path_factory.mktemp("data")))
    view.size_sidebar(width)
    view.size_preview(width)
    view.choose_scale(width)
    assert SIDEBAR[0] <= view.sidebar <= SIDEBAR[2]
    assert PREVIEW[0] <= view.preview <= PREVIEW[2]
    assert 1.0 <= view.scale <= 2.0


def test_looks_change_only_when_everything_is_to_be_drawn_anew(view: ViewModel) -> None:
    looks = view.looks_revision
    view.show_tab("queue")
    view.open("settings")
    view.close()
    assert view.looks_revision == looks
    view.choose_theme("light")
    view.choose_scale(1.25)
    assert view.looks_revision == looks + 2


def test_closing_the_window_and_the_kernel(view: ViewModel) -> None:
    view.quit()
    assert (view.quits, view.stops_kernel) == (True, False)
    view.quit(stop_kernel=True)
    assert view.stops_kernel
