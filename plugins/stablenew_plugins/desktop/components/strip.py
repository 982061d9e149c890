"""A line of a list whose parts stand where they are put: some at the left, some at the right edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Item, Ui


@contextmanager
def strip(ui: Ui, width: int, height: int, **options: Any) -> Iterator[Item]:
    """A part of ``width`` and ``height`` pixels with nothing around it. What is made within is put into place
    with ``pos``, or :func:`put_at`, in pixels from its corner."""
    with dpg.child_window(
        border=False, width=width, height=height, no_scrollbar=True, no_scroll_with_mouse=True, **options
    ) as item:
        dpg.bind_item_theme(
            item, ui.themes.theme({}, {"WindowPadding": (0, 0), "ChildRounding": 0}, dpg.mvChildWindow)
        )
        yield item


def put_at(item: Item, x: float, y: float) -> None:
    """Move ``item`` to this place in its strip."""
    dpg.set_item_pos(item, [round(x), round(y)])
