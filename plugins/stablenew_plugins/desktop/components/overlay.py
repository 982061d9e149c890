"""What lies over the window: one overlay at a time, with the rest dimmed, closed by Escape or its cross."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import column, icon_button, row, space, text
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

MARGIN = 24


class Overlay:
    """A window in the middle of the window. ``with overlay:`` fills it."""

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
        window. ``close``: what the cross does."""
        self._ui = ui
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        self.width = min(ui.px(width), room[0] - 2 * ui.px(MARGIN))
        self.height = min(ui.px(height), room[1] - 2 * ui.px(MARGIN)) if height else 0
        self._room = room
        self.item: Item = dpg.add_window(
            modal=True,
            no_title_bar=True,
            no_resize=True,
            no_move=True,
            no_saved_settings=True,
            autosize=not height,
            min_size=(self.width, ui.px(80)),
            max_size=(self.width, room[1] - 2 * ui.px(MARGIN)),
            width=self.width,
            height=self.height or ui.px(80),
            pos=((room[0] - self.width) // 2, (room[1] - (self.height or ui.px(400))) // 2),
            tag=tag,
        )
        dpg.bind_item_theme(
            self.item,
            ui.themes.theme(
                {"PopupBg": ui.colours.card, "WindowBg": ui.colours.card, "Border": ui.colours.line},
                {"WindowPadding": (22, 20), "WindowBorderSize": 1, "PopupRounding": 14, "WindowRounding": 14},
            ),
        )
        dpg.push_container_stack(self.item)
        with row(ui, 0), column(ui, 4):
            text(ui, title, "h1")
            if sub:
                text(ui, sub, "small", ui.colours.muted, wrap=self.width - ui.px(110))
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
        """Once its height is known."""
        if not dpg.does_item_exist(self.item):
            return
        width, height = dpg.get_item_rect_size(self.item)
        if height < 2:
            self._ui.later(self._centre)
            return
        dpg.set_item_pos(self.item, [(self._room[0] - width) // 2, max(0, (self._room[1] - height) // 2)])

    def close(self) -> None:
        """Take it away."""
        if dpg.does_item_exist(self.item):
            dpg.delete_item(self.item)
