"""The window of this process: made once, its items made anew for each test.

Dear PyGui never closes a window of the system, and leaks what it drew with; so a process has one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import dearpygui.dearpygui as dpg
from tests.desktop.driver import Rect, Tag
from tests.desktop.xdisplay import XDisplay

from stablenew_plugins.desktop import probe

WIDTH, HEIGHT = 1280, 800


FONTS = {f"mvAppItemType::{kind}" for kind in ("mvFontRegistry", "mvFont", "mvFontRange", "mvCharRemap")}
"""Never deleted: Dear PyGui 2.3 looks into a font that has gone, and sometimes crashes of it (``~mvFont``)."""
T = TypeVar("T")


def _known(ask: Callable[[Tag], T], tag: Tag) -> T:
    """What ``ask`` says of an item; a test that names one that is not there fails."""
    try:
        return ask(tag)
    except probe.ProbeError as error:
        raise AssertionError(str(error)) from None


class Framed(Protocol):
    """Something with a loop of its own, such as the application."""

    def frame(self) -> None:
        """Draw one frame and do what has to be done with it."""


class Complaints(logging.Handler):
    """Keeps what is logged as an error while a test runs: code that survives its errors says them there."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


class Window:
    """The one window of a test process; a :class:`~tests.desktop.driver.Target`.

    ``pump`` draws a frame: the loop below, unless a test puts its own there, or an object with ``frame()``.
    ``errors``: what callbacks have raised and what was logged as an error. They fail the test; one that expects
    them takes them out.
    """

    def __init__(self, screen: XDisplay, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.screen = screen
        self.width, self.height = width, height
        os.environ.pop("WAYLAND_DISPLAY", None)
        os.environ.update(screen.environment())
        dpg.create_context()
        dpg.configure_app(manual_callback_management=True)
        dpg.create_viewport(
            title="test",
            width=width,
            height=height,
            x_pos=0,
            y_pos=0,
            decorated=False,
            vsync=False,
            disable_close=True,  # as in the real one: the exit callback decides
        )
        dpg.setup_dearpygui()
        dpg.show_viewport()
        dpg.render_dearpygui_frame()
        self._base = set(dpg.get_all_items())
        self._complaints = Complaints()
        self._raised: list[BaseException] = []
        self.pump: Callable[[], object] | Framed = self.draw

    # --- what a driver asks ---

    def frame(self) -> None:
        """Draw one frame."""
        pump = self.pump
        if callable(pump):
            pump()
        else:
            pump.frame()

    def rect(self, tag: Tag) -> Rect | None:
        """Where an item is drawn."""
        box = _known(probe.rect, tag)
        return Rect(**box) if box is not None else None

    def value(self, tag: Tag) -> Any:
        """The value of an item."""
        return _known(probe.value, tag)

    def hovered(self, tag: Tag) -> bool | None:
        """Whether the pointer is over an item."""
        return _known(probe.hovered, tag)

    def entries(self, tag: Tag) -> list[str]:
        """What can be chosen in an item."""
        entries: list[str] = _known(probe.item, tag)["entries"]
        return entries

    def mouse(self) -> tuple[float, float, frozenset[int]]:
        """The pointer as the window saw it last."""
        x, y, buttons = probe.mouse()
        return x, y, frozenset(buttons)

    def double_clicked(self) -> bool | None:
        """Whether the last frame took a click for the second one of two."""
        return bool(dpg.is_mouse_button_double_clicked(dpg.mvMouseButton_Left))

    def bounds(self) -> Rect:
        """The content of the window; without a window manager the window is where it wanted to be."""
        return Rect(0, 0, dpg.get_viewport_client_width(), dpg.get_viewport_client_height())

    # --- the loop of tests that have no application ---

    def draw(self) -> None:
        """Draw a frame and call the callbacks that are due, each with sender, data and user data."""
        dpg.render_dearpygui_frame()
        for callback, sender, data, user_data in dpg.get_callback_queue() or ():
            if callback is not None:
                try:
                    callback(sender, data, user_data)
                except Exception as error:
                    self._raised.append(error)

    # --- between tests ---

    @property
    def errors(self) -> list[BaseException | str]:
        """What went wrong in the window since the test began."""
        logged = [self._text(record) for record in self._complaints.records]
        return [*self._raised, *logged]

    def forget_errors(self) -> None:
        """For a test that has caused them on purpose, and has looked at them."""
        self._raised.clear()
        self._complaints.records.clear()

    def begin(self) -> None:
        """Make the window as it was when it was new."""
        self.pump = self.draw
        self._empty()
        self.forget_errors()
        logging.getLogger().addHandler(self._complaints)

    def end(self) -> None:
        """Take away what a test has left."""
        logging.getLogger().removeHandler(self._complaints)
        self.pump = self.draw
        self._empty()

    def _empty(self) -> None:
        self.screen.input.release_everything()
        self.screen.input.move(1, 1)
        dpg.bind_theme(0)
        dpg.bind_font(0)
        dpg.set_viewport_resize_callback(None)
        dpg.set_exit_callback(None)
        items = [item for item in dpg.get_all_items() if item not in self._base]
        kept = {item for item in items if dpg.get_item_info(item)["type"] in FONTS}
        for roots in (True, False):  # a root takes its children with it; what is left then has no parent
            for item in items:
                if item in kept or not dpg.does_item_exist(item):
                    continue
                if not roots or dpg.get_item_parent(item) in (None, 0):
                    dpg.delete_item(item)
        for alias in dpg.get_aliases():
            if dpg.get_alias_id(alias) not in self._base:
                dpg.remove_alias(alias)
        self._base |= kept
        if (dpg.get_viewport_width(), dpg.get_viewport_height()) != (self.width, self.height):
            dpg.set_viewport_width(self.width)
            dpg.set_viewport_height(self.height)
        for _ in range(3):  # popups close, the pointer arrives, nothing stays pressed
            dpg.render_dearpygui_frame()
            dpg.get_callback_queue()

    @staticmethod
    def _text(record: logging.LogRecord) -> str:
        return logging.Formatter("%(name)s: %(message)s").format(record)

    def close(self) -> None:
        """Before the process ends. Nothing of Dear PyGui may be called afterwards."""
        dpg.destroy_context()
