"""Fixtures of the desktop's tests. ``gui`` is a window with a person in front of it::

    def test_a_click_counts(gui):
        with dpg.window(tag="main"):
            dpg.add_button(label="Add", tag="add", callback=...)
        gui.click("add")
        gui.until(lambda: ...)

Tests that use a display are marked ``desktop``. Where there is none they are skipped on Windows and macOS, with
the reason, and fail on Linux, where ``dev.py test`` provides one.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ON_A_DISPLAY = {"screen", "gui", "app_process"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a display."""
    for item in items:
        if HERE in item.path.parents and ON_A_DISPLAY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.desktop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test on a display fails, keep what was to be seen."""
    report = yield
    screen = getattr(item, "funcargs", {}).get("screen")
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and screen is not None and folder is not None:
        path = folder / "screen.png"
        screen.shot().save(path)
        report.sections.append(("the screen when it failed", str(path)))
    return report


@pytest.fixture(scope="session")
def _screen() -> Iterator[Any]:
    """One display for all tests of a process."""
    if not sys.platform.startswith("linux"):
        pytest.skip(f"real input is sent through an X server only, and this is {sys.platform}")
    from tests.desktop.xdisplay import XDisplay, why_not

    if why_not():
        pytest.fail(why_not(), pytrace=False)
    with XDisplay() as screen:
        yield screen


@pytest.fixture
def screen(_screen: Any, tmp_path: Path) -> Any:
    """A display without a screen, an :class:`~tests.desktop.xdisplay.XDisplay`."""
    return _screen


@pytest.fixture(scope="session")
def _window(_screen: Any) -> Iterator[Any]:
    """The one window of a process."""
    from tests.desktop.window import Window

    window = Window(_screen)
    yield window
    window.close()


@pytest.fixture
def gui(_window: Any, screen: Any) -> Iterator[Any]:
    """A :class:`~tests.desktop.driver.Driver` of an empty window: ``gui.target`` is the window. Whatever a
    callback raises, and whatever is logged as an error, fails the test."""
    from tests.desktop.driver import Driver

    _window.begin()
    try:
        yield Driver(_window, screen)
        errors = _window.errors
    finally:
        _window.end()
    if errors:
        pytest.fail("errors in the window:\n" + "\n".join(map(repr, errors)), pytrace=False)
