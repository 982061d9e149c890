"""A card that is one of several to choose from: an icon, what it is, and the button that chooses it."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import badge, button, card, text
from stablenew_plugins.desktop.components.fit import broken, fit
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.theme.fonts import size_of
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT, Colour

PAD_X, PAD_Y, ICON, BETWEEN = 14, 12, 36, 12
LINES = 3
"""Pixels between title and words, before scaling, as the above."""


def choice_card(
    ui: Ui,
    icon: str,
    tone: Colour,
    title: str,
    words: str,
    width: int,
    *,
    chosen: bool = False,
    mark: tuple[str, str, Colour] | None = None,
    action: str = "",
    act: Callable[[], None] | None = None,
    tag: str = "",
) -> None:
    """Make one in the current container, ``width`` pixels wide and as high as its words need. At its right
    stands ``mark`` (words, font and colour), or a button ``action``, tagged ``tag``, that calls ``act``."""
    c = ui.colours
    beside = 0
    if mark is not None:
        beside = text_width(ui, mark[0], mark[1])
    elif act is not None:
        beside = text_width(ui, action, "medium") + ui.px(24)
    left = ui.px(PAD_X + ICON + BETWEEN)
    room = max(width - left - ui.px(PAD_X + BETWEEN) - beside, ui.px(80))
    told = broken(ui, words, "small", room)
    written = size_of("medium") + LINES + size_of("small") * (told.count("\n") + 1)
    height = ui.px(max(ICON, written) + 2 * PAD_Y)
    face, border = (c.accent_soft, c.accent_line) if chosen else (c.inset, c.line)
    with card(ui, 0, face, border, width=width, height=height):
        with dpg.group(pos=(ui.px(PAD_X), (height - ui.px(ICON)) // 2)):  # a drawing itself cannot be placed
            badge(ui, icon, tone, ICON)
        top = (height - ui.px(written)) // 2
        quiet = c.muted if mark is not None and not chosen else c.text
        text(ui, fit(ui, title, "medium", room), "medium", quiet, pos=(left, top))
        text(ui, told, "small", c.muted, wrap=left + room, pos=(left, top + ui.px(size_of("medium") + LINES)))
        item: Item
        if mark is not None:
            item, high = text(ui, *mark), ui.px(size_of(mark[1]))
        elif act is not None:
            item, high = button(ui, action, act, width=beside / ui.scale, tag=tag), ui.px(CONTROL_HEIGHT)
        else:
            return
        dpg.set_item_pos(item, [width - ui.px(PAD_X) - beside, (height - high) // 2])
