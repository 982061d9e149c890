"""A menu at the pointer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import row, text
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ui import Ui, on

TAG = "menu"
WIDTH = 236
KEYS = 90
"""Of it, before scaling, for the keys."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; without a label: a thin line between others."""

    label: str = ""
    act: Callable[[], None] = lambda: None
    icon: str = ""
    keys: str = ""
    """The keys that do the same, to learn them."""
    enabled: bool = True
    name: str = ""
    """Its tag is ``menu.NAME``."""
    heading: bool = False
    """Only says what the lines below are."""


def open_menu(
    ui: Ui,
    entries: Sequence[Entry],
    width: float = WIDTH,
    keys: float = KEYS,
    place: tuple[int, int] | None = None,
) -> None:
    """Show ``entries``, ``width`` wide, of that ``keys`` for their keys, both before scaling. ``place``: its
    corner, in pixels; None: where the pointer is. A click beside it closes it."""
    close_menu()
    if not any(entry.keys for entry in entries):
        keys = 0
    room = max((text_width(ui, _shown(entry), "small") for entry in entries), default=0) + ui.px(12)
    room = max(room, ui.px(width - keys))  # no label is cut
    with dpg.window(
        tag=TAG,
        popup=True,
        no_title_bar=True,
        autosize=True,
        no_saved_settings=True,
        **({"pos": place} if place is not None else {}),
        min_size=(room + ui.px(keys), ui.px(10)),
    ) as window:
        dpg.bind_item_theme(
            window,
            ui.themes.theme(
                {
                    "PopupBg": ui.colours.raised,
                    "WindowBg": ui.colours.raised,
                    "Border": ui.colours.line,
                    "Separator": ui.colours.line,
                    "HeaderHovered": ui.colours.raised_active,
                    "Header": ui.colours.raised_active,
                },
                {"WindowPadding": (8, 14), "ItemSpacing": (8, 12), "WindowRounding": 10},
            ),
        )
        for entry in entries:
            if not entry.label:
                dpg.add_separator()
                continue
            if entry.heading:
                text(ui, f" {entry.label}", "micro", ui.colours.faint)
                continue
            tag = {"tag": f"{TAG}.{entry.name}"} if entry.name else {}
            with row(ui, 0):
                item = dpg.add_selectable(
                    label=_shown(entry),
                    callback=on(partial(_chosen, ui, entry.act)),
                    enabled=entry.enabled,
                    width=room,
                    height=ui.px(20),
                    **tag,
                )
                dpg.bind_item_font(item, ui.fonts["small"])
                if not entry.enabled:
                    dpg.bind_item_theme(item, ui.themes.theme({"Text": ui.colours.faint}))
                text(ui, entry.keys or " ", "small", ui.colours.faint)  # each line is as high


def _shown(entry: Entry) -> str:
    return f" {entry.icon}   {entry.label}" if entry.icon else f" {entry.label}"


def _chosen(ui: Ui, act: Callable[[], None]) -> None:
    if dpg.does_item_exist(TAG):
        dpg.configure_item(TAG, show=False)
    ui.later(close_menu)
    act()


def close_menu() -> None:
    """Take it away, if there is one."""
    if dpg.does_item_exist(TAG):
        dpg.delete_item(TAG)
