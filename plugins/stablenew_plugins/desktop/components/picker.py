"""A field that opens a list to choose from, which typing narrows down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import space, text, tooltip
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.ui import Item, Ui, on, on_value
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.look import Measure
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT, NONE

ROWS_SHOWN = 200
"""Rows of a list that are made at once; typing finds the others."""
SEARCHED = 9
"""From so many on there is a field to narrow the list down."""
ROW_HEIGHT = 30
POPUP, KEYS = "picker", "picker.keys"
"""Tags of the window, and of what its field does with keys."""
_WIDEST, _HIGHEST = 460, 360
_LOOKS = 8
"""Frames in which the size of a new window is looked for."""


class Popup:
    """A small window at the pointer or below an item; a click beside it closes it. ``with popup:`` fills it."""

    def __init__(self, ui: Ui, below: Item | None, *, width: float = 0) -> None:
        """``below``: the item that it belongs to; None: the pointer. ``width`` in pixels. There is one at a
        time: another one goes."""
        close_popup()
        self._ui = ui
        place = dpg.get_mouse_pos(local=False)
        self._top = place[1]
        if below is not None:
            left, top = dpg.get_item_rect_min(below)
            self._top = top
            place = [left, top + dpg.get_item_rect_size(below)[1] + ui.px(4)]
        self.place = place
        self.item = dpg.add_window(
            popup=True,
            no_title_bar=True,
            no_move=True,
            no_resize=True,
            no_saved_settings=True,
            autosize=True,
            min_size=(round(width), ui.px(20)),
            pos=[round(place[0]), round(place[1])],
            tag=POPUP,
        )
        dpg.bind_item_theme(
            self.item,
            ui.themes.theme({"PopupBg": ui.colours.raised}, {"WindowPadding": (6, 6), "ItemSpacing": (6, 2)}),
        )
        self._looks = 0
        ui.later(self._keep_inside)

    def _keep_inside(self) -> None:
        """Move it so that all of it is to be seen: above its item where there is no room below."""
        if not dpg.does_item_exist(self.item):
            return
        width, height = dpg.get_item_rect_size(self.item)
        if height < 2 or self._looks < 1:  # it grows to its height in its first frames
            self._looks += 1
            if self._looks < _LOOKS:
                self._ui.later(self._keep_inside)
            return
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        x, y = self.place
        if y + height > room[1]:
            above = self._top - height - self._ui.px(4)
            y = above if above >= 0 else room[1] - height
        dpg.set_item_pos(self.item, [round(max(0, min(x, room[0] - width))), round(max(0, y))])

    def __enter__(self) -> Popup:
        dpg.push_container_stack(self.item)
        return self

    def __exit__(self, *_error: object) -> None:
        dpg.pop_container_stack()

    def close(self) -> None:
        """Take it away, behind this frame."""
        self._ui.later(close_popup)


def close_popup() -> None:
    """Take it away, if there is one: one that is hidden is still there."""
    for item in (POPUP, KEYS):
        if dpg.does_item_exist(item):
            dpg.delete_item(item)


def popup_row(ui: Ui, words: str, click: Callable[[], None], *, is_on: bool = False, **options: Any) -> Item:
    """A line of a pop-up that is clicked."""
    c = ui.colours
    item = dpg.add_button(label=words, callback=on(click), width=-1, height=ui.px(ROW_HEIGHT), **options)
    colours = {
        "Button": c.accent_soft if is_on else NONE,
        "ButtonHovered": c.raised_hover,
        "ButtonActive": c.raised_active,
        "Border": NONE,
        "Text": c.accent_high if is_on else c.text,
    }
    style: dict[str, Measure] = {"ButtonTextAlign": (0.0, 0.5), "FramePadding": (10, 4), "FrameRounding": 6}
    dpg.bind_item_theme(item, ui.themes.theme(colours, style, dpg.mvButton, {"Text": c.faint}))
    return item


class Picker:
    """A field that shows a choice; a click opens the list, which typing narrows down."""

    def __init__(
        self,
        ui: Ui,
        choose: Callable[[str], None],
        names: Callable[[], Sequence[str]],
        *,
        tag: str,
        nothing: str = "",
        find: Callable[[Sequence[str], str], Sequence[str]],
        width: float = -1,
        height: float = CONTROL_HEIGHT,
    ) -> None:
        """``names``: asked for when the list is opened. ``nothing``: what an empty choice is called; then it
        can be chosen. ``find``: of the names, those that fit what was typed. ``tag``: of the button; rows of
        the list are ``TAG.0``, ``TAG.1``, ..., its field ``TAG.search``. ``width`` and ``height``
        before scaling; -1: all there is."""
        self._ui, self._choose, self._names, self._find = ui, choose, names, find
        self._nothing, self._tag = nothing, tag
        self._value, self._words = "", ""
        self._popup: Popup | None = None
        self._list: Item = 0
        self._first = ""
        c = ui.colours
        with dpg.child_window(
            width=ui.px(width) if width > 0 else -1,
            height=ui.px(height),
            no_scrollbar=True,
            no_scroll_with_mouse=True,
        ) as self.item:
            self._style()
            with dpg.group(horizontal=True, horizontal_spacing=0):
                self._button = dpg.add_button(
                    label="",
                    tag=tag,
                    callback=on(self.open),
                    width=-ui.px(30),
                    height=ui.px(height) - 2,
                )
                self._arrow = dpg.add_button(
                    label=icons.CHEVRON_DOWN,
                    callback=on(self.open),
                    width=ui.px(30),
                    height=ui.px(height) - 2,
                )
        colours = {
            "Button": NONE,
            "ButtonHovered": c.inset_hover,
            "ButtonActive": c.inset_active,
            "Border": NONE,
        }
        align = {"ButtonTextAlign": (0.0, 0.5), "FramePadding": (10, 4)}
        dpg.bind_item_theme(self._button, ui.themes.theme(colours, {**align}, dpg.mvButton))
        dpg.bind_item_theme(
            self._arrow, ui.themes.theme({**colours, "Text": c.muted}, {"FramePadding": (4, 4)}, dpg.mvButton)
        )
        self._tip = tooltip(ui, self._button, "")

    def _style(self) -> None:
        c = self._ui.colours
        dpg.bind_item_theme(
            self.item,
            self._ui.themes.theme(
                {"ChildBg": c.inset, "Border": c.line},
                {"ChildRounding": 7, "WindowPadding": (0, 0), "ItemSpacing": (0, 0)},
                dpg.mvChildWindow,
            ),
        )

    def show(self, value: str, words: str = "") -> None:
        """Show that ``value`` is chosen; ``words``: in its place."""
        self._value = value
        shown = words or value or self._nothing
        if shown == self._words:
            return
        self._words = shown
        self.lay_out()
        dpg.set_value(self._tip, shown)

    def lay_out(self) -> None:
        """Cut what is shown to the room that there is. Called again when that has changed."""
        room = dpg.get_item_rect_size(self._button)[0] - self._ui.px(16)
        label = fit(self._ui, self._words, "body", room) if room > self._ui.px(20) else self._words
        # Behind ## stands what makes the label its own without being shown.
        dpg.configure_item(self._button, label=label.replace("##", "# #"))

    def open(self) -> None:
        """Open the list."""
        ui = self._ui
        names = list(self._names())
        width = max(dpg.get_item_rect_size(self._button)[0] + ui.px(30), ui.px(220))
        width = min(width, ui.px(_WIDEST))
        self._popup = Popup(ui, self._button, width=width)
        rows = len(names) + bool(self._nothing)
        height = min(max(rows, 1) * ui.px(ROW_HEIGHT + 2), ui.px(_HIGHEST))
        with self._popup:
            if len(names) >= SEARCHED:
                search = dpg.add_input_text(
                    hint=_("Type to narrow down"),
                    width=round(width - ui.px(12)),
                    callback=on_value(lambda words: self._fill(names, words)),
                    tag=f"{self._tag}.search",
                )
                with dpg.item_handler_registry(tag=KEYS):
                    dpg.add_item_deactivated_handler(callback=on(self._entered))
                dpg.bind_item_handler_registry(search, KEYS)
                ui.later(lambda: dpg.focus_item(search) if dpg.does_item_exist(search) else None)
                space(ui, 2)
            self._list = dpg.add_child_window(
                width=round(width - ui.px(12)), height=height + ui.px(4), border=False
            )
        self._fill(names, "")

    def _fill(self, names: Sequence[str], words: str) -> None:
        ui, list_ = self._ui, self._list
        dpg.delete_item(list_, children_only=True)
        found = list(self._find(names, words))
        self._first = found[0] if found and words else ""
        dpg.push_container_stack(list_)
        try:
            if self._nothing and not words:
                popup_row(ui, self._nothing, partial(self._take, ""), is_on=not self._value)
            for number, name in enumerate(found[:ROWS_SHOWN]):
                room = dpg.get_item_width(list_) - ui.px(34)
                shown = fit(ui, name, "body", room).replace("##", "# #")
                popup_row(
                    ui,
                    f"{shown}##{number}",
                    partial(self._take, name),
                    is_on=name == self._value,
                    tag=f"{self._tag}.{number}",
                )
            if len(found) > ROWS_SHOWN:
                more = many("{n} more: type to find it", "{n} more: type to find them", len(found) - ROWS_SHOWN)
                text(ui, more, "small", ui.colours.muted)
            if not found and not (self._nothing and not words):
                text(ui, _("Nothing like that."), "small", ui.colours.muted)
        finally:
            dpg.pop_container_stack()

    def _entered(self) -> None:
        """Enter takes the first line. The field lets go for a click beside it, too."""
        if self._first and dpg.is_key_down(dpg.mvKey_Return):
            self._take(self._first)

    def _take(self, name: str) -> None:
        if self._popup is not None:
            self._popup.close()
        self._choose(name)
