"""What all that is asked about presets over the window has in common: being kept up to date, long tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.theme.tokens import Colour

LINES_SHOWN = 150
"""Of a long list; typing finds the others."""
LINES_A_FRAME = 25
"""Of them, so many are made at once: all of them would hold up a frame."""


class PresetOverlay(Panel):
    """An overlay that is kept up to date."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.presets, bench.pipeline)
        self._bench, self._presets, self._pipeline = bench, bench.presets, bench.pipeline
        self._overlay: Overlay | None = None
        self.build()

    def _refill(self, container: Item, fill: Callable[[], None]) -> None:
        dpg.delete_item(container, children_only=True)
        dpg.push_container_stack(container)
        try:
            fill()
        finally:
            dpg.pop_container_stack()

    def _lines(self, rows: Sequence[Sequence[tuple[str, str, Colour]]], widths: Sequence[float]) -> None:
        """A table of ``(words, font, colour)``; ``widths``: parts of the whole."""
        ui = self.ui
        room = (self._overlay.width if self._overlay is not None else ui.px(700)) - ui.px(70)
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingStretchProp, borders_innerH=True) as table:
            dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 6)}, dpg.mvTable))
            for width in widths:
                dpg.add_table_column(init_width_or_weight=width)
        rooms = [room * width / sum(widths) - ui.px(14) for width in widths]
        self._add_lines(table, list(rows), rooms)

    def _add_lines(
        self, table: Item, rows: Sequence[Sequence[tuple[str, str, Colour]]], rooms: Sequence[float]
    ) -> None:
        """Some of them; the others behind the next frame."""
        ui = self.ui
        if not dpg.does_item_exist(table):
            return
        for cells in rows[:LINES_A_FRAME]:
            with dpg.table_row(parent=table):
                for (words, font, colour), room in zip(cells, rooms, strict=True):
                    flat = words.replace("\n", " ")
                    shown = fit(ui, flat, font, room)
                    item = text(ui, shown, font, colour)
                    if shown != flat:
                        tooltip(ui, item, words if len(words) < 800 else f"{words[:800]}…")
        if rest := rows[LINES_A_FRAME:]:
            ui.later(partial(self._add_lines, table, rest, rooms))

    def close(self) -> None:
        """Take it away."""
        if self._overlay is not None:
            self._overlay.close()
