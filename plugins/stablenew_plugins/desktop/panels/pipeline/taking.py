"""Settings of an image over the window: which to take over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    checkbox,
    enable_button,
    row,
    set_text,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import text_field
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.models.pipeline.taken import Item as TakenItem
from stablenew_plugins.desktop.models.pipeline.values import short
from stablenew_plugins.desktop.panels.pipeline.presetoverlay import PresetOverlay
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons


class TakeOverlay(PresetOverlay):
    """Settings of an image: choose which to take over."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Settings of an image"),
            self._bench.view.close,
            width=860,
            height=640,
            sub=_("Take over what an image was made with. Prompts stay those of your packs."),
            tag="apply_image",
        )
        self._chosen: set[str] = set()
        self._shown: object = None
        with self._overlay:
            with row(ui, 8):
                self._path = text_field(
                    ui,
                    "",
                    lambda _value: None,
                    hint=_("Paste the path of an image file"),
                    width=520,
                    tag="apply_image.path",
                )
                button(ui, _("Read it"), self._read, "soft", icon=icons.IMAGE, tag="apply_image.read")
            self._told = text(ui, "", "small", ui.colours.muted, wrap=ui.px(800))
            with dpg.child_window(border=False, width=-1, height=-ui.px(50)) as self._list:
                pass
            with row(ui, 10):
                self._do = button(ui, "", self._take, "primary", icon=icons.CHECK, tag="apply_image.do")
                self._some = (
                    button(ui, _("All"), partial(self._all, True), "ghost", tag="apply_image.all"),
                    button(ui, _("None"), partial(self._all, False), "ghost", tag="apply_image.none"),
                )

    def _read(self) -> None:
        given = dpg.get_value(self._path).strip().strip('"').removeprefix("file://")
        if given:
            self._pipeline.take_from_file(Path(given).expanduser())

    def _items(self) -> Sequence[TakenItem]:
        return self._pipeline.taken.items if self._pipeline.taken is not None else ()

    def apply(self) -> None:
        """Show the lines."""
        taken, c = self._pipeline.taken, self.ui.colours
        if taken is not self._shown:
            self._shown = taken
            self._chosen = {item.name for item in self._items() if item.chosen and not item.problem}
            if taken is None:
                set_text(self._told, "", c.muted)
            elif not taken.items:
                words = _("{name}: everything is set like that already.").replace("{name}", taken.label)
                set_text(self._told, words, c.muted)
            else:
                by = f" ({taken.program})" if taken.program else ""
                words = many("{n} setting differs.", "{n} settings differ.", len(taken.items))
                set_text(self._told, "\n".join([f"{taken.label}{by}: {words}", *taken.notes]), c.muted)
            self._refill(self._list, self._fill)
        self._count()

    def _count(self) -> None:
        for item in (self._do, *self._some):
            dpg.configure_item(item, show=bool(self._items()))
        words = many("Take {n} setting", "Take {n} settings", len(self._chosen))
        dpg.configure_item(self._do, label=f"{icons.CHECK}  {words}")
        enable_button(self._do, bool(self._chosen))

    def _fill(self) -> None:
        ui, c = self.ui, self.ui.colours
        room = (self._overlay.width if self._overlay is not None else ui.px(700)) - ui.px(120)
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingStretchProp, borders_innerH=True) as table:
            dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 5)}, dpg.mvTable))
            for weight in (0.3, 1.0, 1.2, 1.5, 1.5):
                dpg.add_table_column(init_width_or_weight=weight)
            if self._items():
                with dpg.table_row():
                    for words in ("", "", "", _("Now"), _("The image has")):
                        text(ui, words, "small", c.faint)
            for item in self._items():
                with dpg.table_row():
                    checkbox(
                        ui,
                        item.name in self._chosen,
                        partial(self._choose, item.name),
                        enabled=not item.problem,
                        tag=f"apply_image.{item.name}",
                    )
                    text(ui, item.stage, "small", c.muted)
                    text(ui, item.title, "small", c.text)
                    text(ui, fit(ui, short(item.now) or "–", "small", room * 0.25), "small", c.muted)
                    then = fit(ui, short(item.then) or "–", "small", room * 0.25)
                    shown = text(ui, then, "small", c.red if item.problem else c.accent_high)
                    if item.problem:
                        tooltip(ui, shown, item.problem)

    def _choose(self, name: str, chosen: bool) -> None:
        self._chosen = self._chosen | {name} if chosen else self._chosen - {name}
        self._count()

    def _all(self, chosen: bool) -> None:
        self._chosen = {item.name for item in self._items() if chosen and not item.problem}
        self._refill(self._list, self._fill)
        self._count()

    def _take(self) -> None:
        self._pipeline.take(sorted(self._chosen))
        self._bench.view.close()

    def close(self) -> None:
        """Take it away; what was not taken is forgotten."""
        super().close()
        self._pipeline.taken = None
