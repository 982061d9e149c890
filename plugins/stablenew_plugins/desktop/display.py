"""What the display is like. Dear PyGui aborts the whole process where there is none, so we look first."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from typing import Any


def missing() -> str:
    """What keeps a window from opening here, and what to do, in one line; empty: nothing."""
    if not sys.platform.startswith("linux"):
        return ""  # Windows and macOS draw for whoever is logged in
    name = os.environ.get("DISPLAY", "")
    if not name:
        return (
            "no display: the variable DISPLAY is not set; start it from a desktop session, or use the "
            "commands (stablenew --help), which need no window"
        )
    try:
        x11 = _x11()
    except OSError:
        return "libX11 is not installed; on Debian and Ubuntu: sudo apt install libx11-6 libgl1"
    display = x11.XOpenDisplay(None)
    if not display:
        return f"the display {name} does not answer; is the desktop session still there?"
    x11.XCloseDisplay(display)
    return ""


def screen_size() -> tuple[int, int] | None:
    """Width and height of the main screen, in pixels; None where that can't be told."""
    if sys.platform == "win32":
        user32 = ctypes.windll.user32
        return user32.GetSystemMetrics(0), user32.GetSystemMetrics(1)
    if not sys.platform.startswith("linux"):
        return None
    try:
        x11 = _x11()
    except OSError:
        return None
    if not (display := x11.XOpenDisplay(None)):
        return None
    screen = x11.XDefaultScreen(display)
    size = x11.XDisplayWidth(display, screen), x11.XDisplayHeight(display, screen)
    x11.XCloseDisplay(display)
    return size


def _x11() -> Any:
    """The X library. Raises OSError where there is none."""
    x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    for name in ("XCloseDisplay", "XDefaultScreen"):
        getattr(x11, name).argtypes = [ctypes.c_void_p]
    for name in ("XDisplayWidth", "XDisplayHeight"):
        getattr(x11, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    return x11
