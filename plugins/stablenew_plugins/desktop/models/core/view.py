"""How the window is arranged: tab, sizes, theme, what lies over it. Remembered from one time to the next."""

from __future__ import annotations

from collections.abc import Callable

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.remembered import Remembered
from stablenew_plugins.desktop.text import _

TABS = ("prompt", "pipeline", "queue", "cluster", "learning")

SIDEBAR = (220, 296, 480)
"""Least, first and largest width, before scaling."""
PREVIEW = (300, 400, 760)
WINDOW = (1600, 1000)
SMALLEST_WINDOW = (640, 420)
WINDOW_AT = (40, 40)
"""Where on the screen it opens: its border stays within reach."""
LARGEST_WINDOW = 16_384
"""What graphics cards can draw, as far as the screen is not known."""
THEMES = ("dark", "light")
LARGEST_SCALE = 2.0


def tab_titles() -> dict[str, str]:
    """What stands on each tab."""
    return {
        "prompt": _("Prompt"),
        "pipeline": _("Pipeline"),
        "queue": _("Queue"),
        "cluster": _("Cluster"),
        "learning": _("Learning"),
    }


class ViewModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._remembered = desk.remembered
        get = desk.remembered.get
        tab = get("tab", "pipeline")
        self.tab: str = tab if tab in TABS else "pipeline"
        theme = get("theme", "dark")
        self.theme: str = theme if theme in THEMES else "dark"
        self.scale: float = min(max(float(get("scale", 1.0)), 1.0), LARGEST_SCALE)
        self.sidebar: float = _within(get("sidebar", SIDEBAR[1]), SIDEBAR)
        self.preview: float = _within(get("preview", PREVIEW[1]), PREVIEW)
        self.sidebar_shown: bool = get("sidebar_shown", True)
        self.preview_shown: bool = get("preview_shown", True)
        self.overlay = ""
        """Name of the overlay that lies over the window (see ``panels/shell.py``); empty: none."""
        self.may_close: dict[str, Callable[[], bool]] = {}
        """By overlay, what is asked before it closes."""
        self.quits = False
        """Whether the window is to close."""
        self.stops_kernel = False
        """Whether the kernel is to stop with it."""
        self.looks_revision = 0
        """Grows when the theme or the scale changed: everything is drawn anew."""

    def show_tab(self, tab: str) -> None:
        """Bring ``tab`` to the front. Raises ValueError if there is none of that name."""
        if tab not in TABS:
            raise ValueError(f"no tab {tab!r}")
        self.tab = tab
        self._remember("tab", tab)

    def open(self, overlay: str) -> None:
        """Lay ``overlay`` over the window, in place of another one."""
        self.overlay = overlay
        self.touch()

    def close(self) -> None:
        """Take the overlay away, unless it has to ask something first."""
        if self.may_close.get(self.overlay, lambda: True)():
            self.close_anyway()

    def close_anyway(self) -> None:
        """Take the overlay away."""
        self.overlay = ""
        self.touch()

    def choose_theme(self, theme: str) -> None:
        """``dark`` or ``light``."""
        self.theme = theme if theme in THEMES else self.theme
        self.looks_revision += 1
        self._remember("theme", self.theme)

    def choose_scale(self, scale: float) -> None:
        """How large everything is: 1 to 2."""
        self.scale = min(max(scale, 1.0), LARGEST_SCALE)
        self.looks_revision += 1
        self._remember("scale", self.scale)

    def size_sidebar(self, width: float) -> None:
        """Give the left side ``width`` (before scaling)."""
        self.sidebar = _within(width, SIDEBAR)
        self._remember("sidebar", self.sidebar)

    def size_preview(self, width: float) -> None:
        """Give the right side ``width`` (before scaling)."""
        self.preview = _within(width, PREVIEW)
        self._remember("preview", self.preview)

    def toggle_sidebar(self) -> None:
        """Hide the left side, or show it."""
        self.sidebar_shown = not self.sidebar_shown
        self._remember("sidebar_shown", self.sidebar_shown)

    def toggle_preview(self) -> None:
        """Hide the right side, or show it."""
        self.preview_shown = not self.preview_shown
        self._remember("preview_shown", self.preview_shown)

    def quit(self, *, stop_kernel: bool = False) -> None:
        """Close the window behind this frame. ``stop_kernel``: and stop the kernel; queued jobs stay queued."""
        self.quits, self.stops_kernel = True, stop_kernel

    def left_at(self, width: int, height: int) -> None:
        """Remember the size of the window."""
        self._remembered.set("window_w", width)
        self._remembered.set("window_h", height)

    def _remember(self, name: str, value: str | float | bool) -> None:
        self._remembered.set(name, value)
        self.touch()


def window_size(remembered: Remembered, screen: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of the window, as it was left, within ``screen`` (None: not known)."""
    sizes = []
    for i, side in enumerate("wh"):
        size = min(int(remembered.get(f"window_{side}", WINDOW[i])), LARGEST_WINDOW)
        if screen is not None:
            size = min(size, screen[i] - 2 * WINDOW_AT[i])
        sizes.append(max(size, SMALLEST_WINDOW[i]))
    return sizes[0], sizes[1]


def _within(value: float, limits: tuple[int, int, int]) -> float:
    return min(max(float(value), limits[0]), limits[2])
