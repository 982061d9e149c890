"""Fields of stage cards for numbers: sliders, seeds, sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    icon_button,
    row,
    style_button,
)
from stablenew_plugins.desktop.components.fields import number_format, put, slider, text_field
from stablenew_plugins.desktop.components.menu import Entry, open_menu
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.sizes import shape_of, sizes_like
from stablenew_plugins.desktop.models.pipeline.values import range_of, short
from stablenew_plugins.desktop.panels.pipeline.fieldview import FieldView
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT, FIELD_PADDING, NONE

TURN, SHAPE = 26, 52
"""Widths of the buttons beside a size."""


class SliderField(FieldView):
    """A number between two ends."""

    def help(self) -> str:
        """With the range, and how to type a number."""
        words = f"{range_of(self.one)} {_('Ctrl and click to type a number.')}"
        return f"{self.one.help}\n{words}" if self.one.help else words

    def make(self) -> None:
        """See :class:`FieldView`."""
        one = self.one
        self._digits = self._least_digits = one.digits if one.kind == "number" else 0
        least, most = float(one.least or 0), float(one.most or 0)
        self.item = slider(
            self.ui, least, self._moved, least, most, digits=self._digits, unit=one.unit, tag=self.tag
        )

    def _moved(self, value: float) -> None:
        rounded = self.one.rounded(value)
        self.set(rounded)
        dpg.set_value(self.item, rounded)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`. A value with more digits than a slider sets is shown with all of them."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        digits = max(self._least_digits, min(6, len(f"{value:.6f}".rstrip("0").partition(".")[2])))
        if digits != self._digits:
            self._digits = digits
            dpg.configure_item(self.item, format=number_format(digits, self.one.unit))
        if abs(dpg.get_value(self.item) - value) >= 1e-6:
            put(self.item, float(value))


class SeedField(FieldView):
    """A seed: drawn anew for each run, or one that stays."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        with row(ui, 6):
            self.item = text_field(ui, "", self._typed, hint=_("new each run"), width=-1, tag=self.tag)
            dpg.configure_item(self.item, width=-ui.px(2 * CONTROL_HEIGHT + 2 * 6))
            icon_button(
                ui,
                icons.DICE_5,
                lambda: self.model.draw_seed(self.one.name),
                _("Draw a seed that stays"),
                "soft",
                size=CONTROL_HEIGHT,
                tag=f"{self.tag}.dice",
            )
            self._lock = icon_button(
                ui,
                icons.UNLOCK,
                lambda: self.model.lock_seed(self.one.name),
                _("Keep one seed, or draw a new one for each run"),
                "soft",
                size=CONTROL_HEIGHT,
                tag=f"{self.tag}.lock",
            )

    def _typed(self, words: str) -> None:
        self.type(words if words.strip() else "-1")

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        fixed = isinstance(value, int) and value >= 0
        draft = self.model.drafts.get(self.one.name)
        put(self.item, draft.text if draft is not None else str(value) if fixed else "")
        icon = icons.LOCK if fixed else icons.UNLOCK
        if dpg.get_item_label(self._lock) != icon:
            dpg.configure_item(self._lock, label=icon)
            style_button(self.ui, self._lock, "chip_on" if fixed else "soft")


class SizeField(FieldView):
    """Width and height, turned around or given another shape together."""

    def __init__(self, ui: Ui, model: PipelineModel, one: Field, other: Field, width: float) -> None:
        """``one`` is the width, ``other`` the height."""
        self.other = other
        super().__init__(ui, model, one, width)

    def title(self) -> str:
        """See :class:`FieldView`."""
        return _("Size")

    def help(self) -> str:
        """See :class:`FieldView`."""
        step = _("multiples of {n}").replace("{n}", f"{self.one.step:g}") if self.one.step else ""
        ends = range_of(self.one).rstrip(".")
        return "  ·  ".join(part for part in (_("Width and height in pixels"), ends, step) if part)

    def names(self) -> tuple[str, ...]:
        """See :class:`FieldView`."""
        return self.one.name, self.other.name

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        half = max(44.0, (self.width / ui.scale - TURN - SHAPE - 3 * 6) / 2)
        with row(ui, 6):
            self._width = text_field(ui, "", partial(self._typed, self.one), width=half, tag=self.tag)
            turn = button(
                ui,
                "",
                self._swap,
                "ghost",
                icon=icons.ARROW_UP_DOWN,
                width=TURN,
                height=CONTROL_HEIGHT,
                tag=f"{self.tag}.swap",
                tip=_("Turn it around"),
            )
            c = ui.colours
            looks = {
                "Button": NONE,
                "Border": NONE,
                "Text": c.muted,
                "ButtonHovered": c.raised,
                "ButtonActive": c.line,
            }
            dpg.bind_item_theme(
                turn, ui.themes.theme(looks, {"FramePadding": (0, FIELD_PADDING)}, dpg.mvButton)
            )
            tag = f"pipeline.{self.other.name}"
            self._height = text_field(ui, "", partial(self._typed, self.other), width=half, tag=tag)
            self._shape = button(
                ui,
                "",
                self._shapes,
                "soft",
                font="small_medium",
                width=SHAPE,
                height=CONTROL_HEIGHT,
                tag=f"{self.tag}.shape",
                tip=_("Another shape of about as many pixels"),
            )
        narrow = ui.themes.theme({}, {"FramePadding": (8, FIELD_PADDING)}, dpg.mvInputText)
        for item in (self._width, self._height):
            dpg.bind_item_theme(item, narrow)

    def _typed(self, one: Field, words: str) -> None:
        self.model.type(one.name, words)

    def _sides(self) -> tuple[int, int]:
        width, height = (self.model.value(name) for name in self.names())
        return (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)

    def _swap(self) -> None:
        width, height = self._sides()
        self.model.set_all({self.one.name: height, self.other.name: width})

    def _shapes(self) -> None:
        width, height = self._sides()
        step = int(self.one.step) or 1
        entries = [
            Entry(
                f"{shape}   {wide} × {high}",
                partial(self.model.set_all, {self.one.name: wide, self.other.name: high}),
            )
            for shape, wide, high in sizes_like(width, height, step)
        ]
        open_menu(self.ui, entries)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        for item, one in ((self._width, self.one), (self._height, self.other)):
            draft = self.model.drafts.get(one.name)
            put(item, draft.text if draft is not None else short(self.model.value(one.name)))
        shape = shape_of(*self._sides()) or _("Shape")
        if dpg.get_item_label(self._shape) != shape:
            dpg.configure_item(self._shape, label=shape)
