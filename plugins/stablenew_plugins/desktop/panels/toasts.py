"""Short messages, above the status bar on the right."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import button, column, icon_button, row, text
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.toasts import Toast
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import FOOT_HEIGHT, tint

WIDTH = 400
ICONS = {
    "info": icons.INFO,
    "good": icons.CIRCLE_CHECK,
    "warning": icons.TRIANGLE_ALERT,
    "error": icons.CIRCLE_ALERT,
}


class ToastsPanel(Panel):
    """See above. Each message is a small window of its own, which takes no focus."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.toasts)
        self._toasts, self._view = bench.toasts, bench.view
        self._under = ""
        self._windows: dict[int, tuple[Item, int]] = {}
        self._detailed: set[int] = set()

    def build(self) -> None:
        """Nothing before there is a message."""

    def apply(self) -> None:
        """Make windows for new messages, take away those that are gone."""
        shown = {toast.number: toast for toast in self._toasts.shown}
        for number, (window, times) in list(self._windows.items()):
            if number not in shown or shown[number].times != times:
                dpg.delete_item(window)
                del self._windows[number]
        for number, toast in shown.items():
            if number not in self._windows:
                self._windows[number] = (self._window(toast), toast.times)

    def frame(self) -> None:
        """Stack them, the newest at the bottom."""
        ui = self.ui
        if self._view.overlay != self._under:  # what was opened lies over them: made anew, they lie over it
            self._under = self._view.overlay
            self.close()
            self.apply()
        bottom = dpg.get_viewport_client_height() - ui.px(FOOT_HEIGHT + 12)
        right = dpg.get_viewport_client_width() - ui.px(16)
        for number in sorted(self._windows, reverse=True):
            window = self._windows[number][0]
            width, height = dpg.get_item_rect_size(window)
            bottom -= height
            dpg.set_item_pos(window, [right - (width or ui.px(WIDTH)), bottom])
            bottom -= ui.px(8)

    def _window(self, toast: Toast) -> Item:
        ui = self.ui
        c = ui.colours
        colour = {"info": c.cyan, "good": c.green, "warning": c.amber, "error": c.red}[toast.level]
        window: Item = dpg.add_window(
            no_title_bar=True,
            no_resize=True,
            no_move=True,
            no_collapse=True,
            no_saved_settings=True,
            no_focus_on_appearing=True,
            no_scrollbar=True,
            autosize=True,
            min_size=(ui.px(WIDTH), ui.px(40)),
            max_size=(ui.px(WIDTH), ui.px(600)),
            pos=(dpg.get_viewport_client_width(), dpg.get_viewport_client_height()),
            tag=f"toast.{toast.number}",
        )
        dpg.bind_item_theme(
            window,
            ui.themes.theme(
                {"WindowBg": c.raised, "Border": tint(colour, 120)},
                {"WindowPadding": (14, 12), "WindowBorderSize": 1, "WindowRounding": 10},
            ),
        )
        dpg.push_container_stack(window)
        # It comes first: what is placed last leaves an empty line below.
        icon_button(
            ui,
            icons.X,
            lambda: self._toasts.close(toast.number),
            _("Close"),
            size=26,
            pos=(ui.px(WIDTH - 36), ui.px(8)),
            tag=f"toast.{toast.number}.close",
        )
        with row(ui, 10, pos=(ui.px(14), ui.px(12))):
            text(ui, ICONS[toast.level], "icon", colour)
            with column(ui, 5):
                again = f"  ×{toast.times}" if toast.times > 1 else ""
                text(ui, toast.text + again, "medium", wrap=ui.px(WIDTH - 100), beside_frame=18)
                if toast.hint:
                    text(ui, toast.hint, "small", c.muted, wrap=ui.px(WIDTH - 100))
                if toast.detail and toast.number in self._detailed:
                    text(ui, toast.detail[-2_000:], "mono", c.muted, wrap=ui.px(WIDTH - 100))
                with row(ui, 6, show=bool(toast.action or toast.detail)):
                    if toast.action:
                        button(
                            ui, toast.action, lambda: self._act(toast), "soft", tag=f"toast.{toast.number}.act"
                        )
                    if toast.detail:
                        button(ui, _("Details"), lambda: self._more(toast), "ghost", font="small_medium")
                        button(
                            ui,
                            _("Copy"),
                            lambda: dpg.set_clipboard_text(f"{toast.text}\n{toast.detail}"),
                            "ghost",
                            font="small_medium",
                        )
        dpg.pop_container_stack()
        return window

    def _act(self, toast: Toast) -> None:
        self._toasts.close(toast.number)
        toast.act()

    def _more(self, toast: Toast) -> None:
        self._detailed ^= {toast.number}
        window, _times = self._windows.pop(toast.number)
        self.ui.later(lambda: dpg.delete_item(window))
        self._toasts.touch()

    def close(self) -> None:
        """Take all windows away."""
        for window, _times in self._windows.values():
            dpg.delete_item(window)
        self._windows.clear()
