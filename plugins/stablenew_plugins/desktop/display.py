"""Whether there is a display. Dear PyGui aborts the whole process where there is none, so we look first."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys


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
        x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    except OSError:
        return "libX11 is not installed; on Debian and Ubuntu: sudo apt install libx11-6 libgl1"
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if not display:
        return f"the display {name} does not answer; is the desktop session still there?"
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    x11.XCloseDisplay(display)
    return ""
