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
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a display. Where a window hangs, it does so outside Python, which no signal ends: the
    process has to, and xdist starts another one."""
    for item in items:
        if HERE in item.path.parents and "_screen" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.desktop)
            if item.get_closest_marker("timeout") is None:
                seconds = item.config.getoption("timeout", None) or float(item.config.getini("timeout"))
                item.add_marker(pytest.mark.timeout(seconds, method="thread"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test on a display fails, keep what was to be seen."""
    report = yield
    screen = getattr(item, "funcargs", {}).get("screen")
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and screen is not None and folder is not None:
        path = folder / "screen.png"
        try:
            screen.shot().save(path)
        except OSError as error:  # the display has gone: that is why it failed
            report.sections.append(("no picture of the screen", str(error)))
        else:
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


_windows: list[Any] = []
"""The one window of this process, once there is one."""


@pytest.fixture(scope="session")
def _window(_screen: Any) -> Iterator[Any]:
    """The one window of a process."""
    from tests.desktop.window import Window

    window = Window(_screen)
    _windows.append(window)
    yield window
    _windows.clear()
    window.close()


@pytest.fixture
def context() -> Iterator[None]:
    """A Dear PyGui context for items that are made and not drawn; it needs no display. A process that has a
    window has no other."""
    import dearpygui.dearpygui as dpg

    from stablenew_plugins.desktop.theme.fonts import forget_fonts

    if _windows:
        _windows[0].begin()
        yield
        _windows[0].end()
        return
    dpg.create_context()
    yield
    dpg.destroy_context()
    forget_fonts()


@pytest.fixture
def gui(_window: Any, screen: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A :class:`~tests.desktop.driver.Driver` of an empty window: ``gui.target`` is the window. Whatever a
    callback raises, and whatever is logged as an error, fails the test. Messages stay: on a busy machine they
    would be gone before somebody has clicked them."""
    from tests.desktop.driver import Driver

    from stablenew_plugins.desktop.models.core import toasts

    monkeypatch.setattr(toasts, "SECONDS", dict.fromkeys(toasts.SECONDS, 0.0))
    _window.begin()
    try:
        yield Driver(_window, screen)
        errors = _window.errors
    finally:
        _window.end()
    if errors:
        pytest.fail("errors in the window:\n" + "\n".join(map(repr, errors)), pytrace=False)


@pytest.fixture
def app_process(screen: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a desktop in a process of its own: ``app_process(command)``, or without a command that of a data
    folder, ``app_process(data=folder)``. Gives an :class:`~tests.desktop.appprocess.AppProcess`, which ends
    with the test."""
    from tests.desktop.appprocess import AppProcess, stablenew, stop_kernel

    started: list[AppProcess] = []
    folders: list[Path] = []

    def start(
        command: Sequence[str] = (), *, data: Path | None = None, environment: dict[str, str] | None = None
    ) -> AppProcess:
        folder = tmp_path / f"app{len(started)}"
        if not command:
            folders.append(data or folder / "data")
            command = stablenew(folders[-1])
        process = AppProcess(command, screen, folder, environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
    for data_folder in folders:
        stop_kernel(data_folder)


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """``golden(name, image, tolerance)`` fails where a picture differs from ``golden/NAME.png``."""
    from tests.desktop import golden as pictures

    def check(name: str, image: Image.Image, tolerance: Any = pictures.STANDARD) -> None:
        update = request.config.option.update_golden
        pictures.compare(name, image, tmp_path, tolerance, update=update, agreed=pictures.FOLDER)

    return check


@pytest.fixture
def lone_app(gui: Any, tmp_path: Path) -> Iterator[Any]:
    """The desktop in ``gui``, with no kernel and nothing to welcome anybody for."""
    from stablenew_api.datafolder import DataFolder
    from stablenew_plugins.desktop.app import App

    app = App(DataFolder(tmp_path / "data"), connect=False)
    app.desk.remembered.set("welcomed", True)
    gui.target.pump = app
    gui.frames(3)
    yield app
    gui.target.pump = gui.target.draw
    app.close()
