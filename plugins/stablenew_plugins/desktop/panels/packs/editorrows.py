"""The rows of a pack in the editor: as many as fit are drawn, however many there are."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import column, scroll_into_sight
from stablenew_plugins.desktop.components.fit import fit, shorten
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.packs.editor import EditorModel
from stablenew_plugins.desktop.models.packs.rowedits import EditRow
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme.tokens import NONE, tint

HEIGHT, GAP = 46, 3
"""Of a row, before scaling."""


class _Row:
    """One row, given to whichever row of the pack is to be seen in its place."""

    def __init__(self, ui: Ui, number: int, width: int, click: Callable[[int], None]) -> None:
        self._ui, self._width = ui, width
        self.index = -1
        self._shown: tuple[object, ...] = ()
        height = ui.px(HEIGHT)
        with dpg.drawlist(width, height, tag=f"editor.row.{number}") as self.item:
            self._back = dpg.draw_rectangle(
                (0.5, 0.5), (width - 1, height - 1), rounding=ui.px(8), color=NONE, fill=NONE
            )
            self._number = self._words((ui.px(10), ui.px(8)), "small_medium")
            self._first = self._words((ui.px(44), ui.px(7)), "small")
            self._second = self._words((ui.px(44), ui.px(24)), "small")
            self._dot = dpg.draw_circle((ui.px(14), ui.px(33)), ui.px(3), color=NONE, fill=NONE)
        ui.on_click(self.item, lambda: click(self.index) if self.index >= 0 else None)

    def _words(self, place: tuple[float, float], font: str) -> Item:
        item = dpg.draw_text(place, "", color=self._ui.colours.text, size=self._ui.px(13))
        dpg.bind_item_font(item, self._ui.fonts[font])
        return item

    def show(self, index: int, row: EditRow | None, *, current: bool, changed: bool) -> None:
        """Show ``row``; None: nothing."""
        self.index = index if row is not None else -1
        shown = (index, row, current, changed)
        if shown == self._shown:
            return
        self._shown = shown
        dpg.configure_item(self.item, show=row is not None)
        if row is None:
            return
        c = self._ui.colours
        dpg.configure_item(
            self._back, fill=c.accent_soft if current else NONE, color=c.accent_line if current else NONE
        )
        dpg.configure_item(self._number, text=f"{index + 1:,}", color=c.accent_high if current else c.faint)
        first, second = self._lines(row)
        dpg.configure_item(self._first, text=first, color=c.text if row.positive.strip() else c.faint)
        dpg.configure_item(self._second, text=second, color=c.faint)
        dpg.configure_item(self._dot, fill=c.amber if changed else tint(c.amber, 0))

    def _lines(self, row: EditRow) -> tuple[str, str]:
        ui, room = self._ui, self._width - self._ui.px(54)
        words = shorten(row.positive.strip(), 160) or _("empty: type a prompt")
        first = fit(ui, words, "small", room)
        if not first.endswith("…") or not words.startswith(first[:-1]):
            return first, fit(
                ui, _("not:  {text}").format(text=row.negative), "small", room
            ) if row.negative else ""
        cut = first[:-1]
        blank = cut.rfind(" ")
        cut = cut[:blank] if blank > len(cut) // 2 else cut
        return cut, fit(ui, words[len(cut) :].lstrip(), "small", room)


class RowList:
    """The rows in their scrolling window."""

    def __init__(self, ui: Ui, model: EditorModel, width: int, height: int) -> None:
        """``width`` and ``height`` in pixels."""
        self._ui, self._model, self._height = ui, model, height
        self._first = 0
        self._followed: tuple[int, int] | None = None
        window = dpg.child_window(border=False, width=width, height=height, tag="editor.rows")
        with window as self.item, column(ui, GAP):
            self._above = dpg.add_spacer(height=0, show=False)
            with column(ui, GAP):
                self._rows = [
                    _Row(ui, number, width - ui.px(14), model.choose)
                    for number in range(height // self._step + 3)
                ]
            self._below = dpg.add_spacer(height=0, show=False)

    @property
    def _step(self) -> int:
        return self._ui.px(HEIGHT) + self._ui.px(GAP)

    def apply(self) -> None:
        """Give each its row."""
        rows, count = self._model.rows, len(self._rows)
        self._first = min(self._first, max(0, len(rows) - count + 1))
        for index, shown in enumerate(self._rows, self._first):
            row = rows[index] if index < len(rows) else None
            changed = row is not None and self._model.is_changed(row)
            shown.show(index, row, current=index == self._model.at, changed=changed)
        self._space(self._above, self._first)
        self._space(self._below, max(0, len(rows) - self._first - count))
        followed = (self._model.at, len(rows))
        if followed != self._followed:
            self._followed = followed
            self._ui.later(self._follow)

    def _space(self, item: Item, rows: int) -> None:
        height = rows * self._step - self._ui.px(GAP)
        dpg.configure_item(item, height=max(height, 0), show=rows > 0)

    def _follow(self) -> None:
        if not dpg.does_item_exist(self.item):
            return
        top = self._model.at * self._step
        scroll_into_sight(self.item, top, self._step, self._height)

    def frame(self) -> None:
        """Follow the scroll bar."""
        first = max(0, int(dpg.get_y_scroll(self.item)) // self._step - 1)
        if first != self._first and first <= max(0, len(self._model.rows) - len(self._rows) + 1):
            self._first = first
            self.apply()
