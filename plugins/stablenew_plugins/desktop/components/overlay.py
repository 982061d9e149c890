"""What lies over the window: one overlay at a time, with the rest dimmed, closed by Escape or its cross."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import column, icon_button, space, text
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

MARGIN = 24


class Overlay:
    """A card in the middle of the window, the rest dimmed. ``with overlay:`` fills it.

    One window over everything, with the card in it: Dear PyGui's own modal windows do not follow one another
    reliably when one is closed and the next is opened in the same frame.
    """

    def __init__(
        self,
        ui: Ui,
        title: str,
        close: Callable[[], None],
        *,
        width: float = 720,
        height: float = 0,
        tag: str = "overlay",
        sub: str = "",
    ) -> None:
        """``width`` and ``height`` (0: as high as what is in it) before scaling; it never grows out of the
        window. ``close``: what the cross does. ``sub``: the line below the title, tagged ``TAG.sub``."""
        self._ui, self._wanted = ui, (ui.px(width), ui.px(height))
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        margin = 2 * ui.px(MARGIN)
        self.width = min(self._wanted[0], room[0] - margin)
        """In pixels."""
        self.height = min(self._wanted[1], room[1] - margin) if height else 0
        """In pixels; 0: as high as what is in it."""
        self._room = room
        self._window: Item = dpg.add_window(
            no_title_bar=True,
            no_resize=True,
            no_move=True,
            no_collapse=True,
            no_saved_settings=True,
            no_scrollbar=True,
            no_scroll_with_mouse=True,
            width=room[0],
            height=room[1],
            pos=(0, 0),
            tag=tag,
        )
        dim = ui.themes.theme({"WindowBg": ui.colours.dim}, {"WindowRounding": 0, "WindowPadding": (0, 0)})
        dpg.bind_item_theme(self._window, dim)
        self.item: Item = dpg.add_child_window(
            parent=self._window,
            width=self.width,
            height=self.height,
            auto_resize_y=not height,
            border=True,
            always_use_window_padding=True,
            pos=((room[0] - self.width) // 2, ui.px(MARGIN)),
            tag=f"{tag}.card",
        )
        dpg.bind_item_theme(
            self.item,
            ui.themes.theme(
                {"ChildBg": ui.colours.card, "Border": ui.colours.line},
                {"WindowPadding": (22, 20), "ChildRounding": 14},
                dpg.mvChildWindow,
            ),
        )
        dpg.push_container_stack(self.item)
        with column(ui, 4):
            text(ui, title, "h1")
            if sub:
                text(ui, sub, "small", ui.colours.muted, wrap=self.width - ui.px(110), tag=f"{tag}.sub")
        cross = icon_button(ui, icons.X, close, _("Close (Esc)"), tag=f"{tag}.close")
        dpg.set_item_pos(cross, [self.width - ui.px(54), ui.px(16)])
        space(ui, 4)
        dpg.pop_container_stack()
        ui.later(self._centre)

    def __enter__(self) -> Overlay:
        dpg.push_container_stack(self.item)
        return self

    def __exit__(self, *_error: object) -> None:
        dpg.pop_container_stack()

    def _centre(self) -> None:
        """Put the card into the middle, whatever its height and the window's size. Called each frame."""
        if not dpg.does_item_exist(self.item):
            return
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        if room != self._room:
            self._room = room
            dpg.configure_item(self._window, width=room[0], height=room[1])
        height = dpg.get_item_rect_size(self.item)[1]
        largest = room[1] - 2 * self._ui.px(MARGIN)
        if height > largest:
            dpg.configure_item(self.item, auto_resize_y=False, height=largest)
        place = [(room[0] - self.width) // 2, max(self._ui.px(MARGIN), (room[1] - height) // 2)]
        if height > 1 and dpg.get_item_pos(self.item) != place:
            dpg.set_item_pos(self.item, place)
        self._ui.later(self._centre)

    def close(self) -> None:
        """Take it away."""
        if dpg.does_item_exist(self._window):
            dpg.delete_item(self._window)
