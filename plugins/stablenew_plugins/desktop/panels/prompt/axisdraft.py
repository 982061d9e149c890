"""Choosing a setting that is to vary, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    card,
    column,
    icon_button,
    row,
    set_text,
    style_button,
    text,
)
from stablenew_plugins.desktop.components.fields import combo, put, text_field
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.axisdraft import AxisDraft
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

MOST_CHIPS = 24
"""Values that are offered."""


class AxisForm:
    """See above."""

    def __init__(self, ui: Ui, draft: AxisDraft) -> None:
        self._ui, self._draft = ui, draft
        self._width = ui.px(700)
        self._chips: dict[str, Item] = {}
        self._offered: Sequence[str] | None = None
        self._field_seen = ""

    def build(self) -> None:
        """Make the items."""
        ui, draft = self._ui, self._draft
        self._begin = button(
            ui,
            _("Vary a setting"),
            partial(draft.open, True),
            "soft",
            icon=icons.PLUS,
            height=32,
            tag="axis.open",
            tip=_("CFG scale, steps, sampler, model, size: the prompt is made with each value."),
        )
        with (
            card(
                ui, (14, 12), ui.colours.inset, ui.colours.line_soft, 9, tag="axis.form", show=False
            ) as self._form,
            column(ui, 8),
        ):
            with row(ui, 8):
                self._stage = combo(ui, [self._often()], "", self._choose_stage, width=150, tag="axis.stage")
                self._setting = combo(ui, [], "", self._choose, width=190, tag="axis.setting")
                self._values = text_field(
                    ui, draft.values, draft.write, width=240, mono=True, tag="axis.values"
                )
                button(ui, _("Vary it"), draft.add, "soft", icon=icons.CHECK, height=34, tag="axis.add")
                icon_button(ui, icons.X, partial(draft.open, False), _("Leave it"), tag="axis.close")
            self._problem = text(ui, "", "small", ui.colours.red, tag="axis.problem", show=False)
            self._about = text(ui, "", "small", ui.colours.faint)
            with dpg.group() as self._offers:
                pass

    def _often(self) -> str:
        return _("Often varied")

    def _choose_stage(self, title: str) -> None:
        self._draft.choose_stage("" if title == self._often() else title)

    def _choose(self, title: str) -> None:
        chosen = next((one for one in self._draft.settings if self._title(one.field) == title), None)
        if chosen is not None:
            self._draft.choose(chosen.field)

    def _title(self, name: str) -> str:
        found = next(one for one in self._draft.settings if one.field == name)
        twins = sum(one.title == found.title for one in self._draft.settings) > 1
        return f"{found.title} ({found.stage})" if twins and found.stage else found.title

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        ui = self._ui
        self._width = width
        dpg.configure_item(self._form, width=width)
        # The two lists, the button, the cross and what is between them.
        values = width - ui.px(28 + 150 + 190 + 110 + 34 + 4 * 8 + 4)
        dpg.configure_item(self._values, width=max(values, ui.px(120)))
        for item in (self._about, self._problem):
            dpg.configure_item(item, wrap=width - ui.px(40))
        self._offered = None

    def apply(self) -> None:
        """Bring it up to date."""
        draft = self._draft
        dpg.configure_item(self._begin, show=not draft.is_open)
        dpg.configure_item(self._form, show=draft.is_open)
        if not draft.is_open:
            return
        dpg.configure_item(self._stage, items=[self._often(), *draft.stages])
        put(self._stage, draft.stage or self._often())
        dpg.configure_item(self._setting, items=[self._title(one.field) for one in draft.settings])
        setting = draft.setting
        put(self._setting, self._title(setting.field) if setting is not None else "")
        if draft.field != self._field_seen:  # another setting: what was typed for the one before is gone
            self._field_seen = draft.field
            dpg.set_value(self._values, draft.values)
        put(self._values, draft.values)
        dpg.configure_item(self._values, hint=draft.hint)
        set_text(self._problem, draft.problem)
        dpg.configure_item(self._problem, show=bool(draft.problem))
        set_text(self._about, setting.about if setting is not None else "")
        self._offer(draft.suggestions[:MOST_CHIPS])
        for value, chip in self._chips.items():
            style_button(self._ui, chip, "chip_on" if draft.has(value) else "chip")

    def _offer(self, values: Sequence[str]) -> None:
        if values == self._offered:
            return
        ui = self._ui
        self._offered = list(values)
        self._chips.clear()
        dpg.delete_item(self._offers, children_only=True)
        dpg.push_container_stack(self._offers)
        try:
            lines: list[list[str]] = [[]]
            left = self._width - ui.px(40)
            for value in values:
                width = ui.px(len(value) * 7.2 + 30)
                if width > left and lines[-1]:
                    lines.append([])
                    left = self._width - ui.px(40)
                lines[-1].append(value)
                left -= width
            for line in lines:
                with row(ui, 6):
                    for value in line:
                        self._chips[value] = button(
                            ui, value, partial(self._draft.toggle, value), "chip", font="small_medium"
                        )
        finally:
            dpg.pop_container_stack()
