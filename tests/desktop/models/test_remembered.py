"""What the window remembers: what is damaged is as if it had never been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from desk_kit import make_desk
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.remembered import Remembered
from stablenew_plugins.desktop.models.core.view import PREVIEW, SIDEBAR, TABS, ViewModel, window_size

values = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8)


def test_what_is_set_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "desktop.json"
    remembered = Remembered(path)
    remembered.set("tab", "queue")
    remembered.set("list", ["a", 1])
    remembered.save()
    again = Remembered(path)
    assert again.get("tab", "") == "queue"
    assert again.get("list", []) == ["a", 1]
    written = path.stat().st_mtime_ns
    again.save()
    assert path.stat().st_mtime_ns == written, "nothing changed, nothing to write"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'"x"', b"[" * 100_000])
def test_a_file_that_cannot_be_read_is_no_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "desktop.json"
    path.write_bytes(content)
    assert Remembered(path).get("tab", "pipeline") == "pipeline"


def test_a_file_that_cannot_be_written_is_told_and_stays(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    remembered = Remembered(blocked / "desktop.json")
    remembered.set("tab", "queue")
    with pytest.raises((NotADirectoryError, FileExistsError, FileNotFoundError)):
        remembered.save()
    assert blocked.read_text(encoding="utf-8") == "x"


@given(values | st.lists(values, max_size=2), values)
def test_a_value_of_another_kind_is_the_default(value: Any, default: Any) -> None:
    remembered = Remembered(Path("no such folder") / "desktop.json")
    remembered.set("x", value)
    got = remembered.get("x", default)
    assert got is default or got == value
    if default is not None:
        assert isinstance(got, type(default)) or (isinstance(got, int) and isinstance(default, int))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", str(10**400)])
def test_numbers_that_are_no_sizes_open_the_window_all_the_same(tmp_path: Path, number: str) -> None:
    names = ("window_w", "window_h", "sidebar", "preview", "scale")
    text = "{" + ", ".join(f'"{name}": {number}' for name in names) + "}"
    (tmp_path / "desktop.json").write_text(text, encoding="utf-8")
    desk = make_desk(tmp_path)
    view = ViewModel(desk)
    assert (view.sidebar, view.preview, view.scale) == (SIDEBAR[1], PREVIEW[1], 1.0)
    assert all(0 < side < 20_000 for side in window_size(desk.remembered, None))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
NAMES = (
    "tab",
    "theme",
    "scale",
    "sidebar",
    "preview",
    "sidebar_shown",
    "preview_shown",
    "window_w",
    "window_h",
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, json_values)))
def test_whatever_stands_there_the_window_can_be_laid_out(tmp_path_factory: Any, plain: Any) -> None:
    folder = tmp_path_factory.mktemp("data")
    (folder / "desktop.json").write_text(json.dumps(plain), encoding="utf-8")
    desk = make_desk(folder)
    view = ViewModel(desk)
    assert view.tab in TABS
    assert view.theme in ("dark", "light")
    assert 1.0 <= view.scale <= 2.0
    assert SIDEBAR[0] <= view.sidebar <= SIDEBAR[2]
    assert PREVIEW[0] <= view.preview <= PREVIEW[2]
    assert all(isinstance(side, int) and side > 0 for side in window_size(desk.remembered, None))
