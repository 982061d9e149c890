"""Fields of stage cards that are typed into."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    row,
)
from stablenew_plugins.desktop.components.fields import is_in_use, lines_height, put, text_field
from stablenew_plugins.desktop.panels.pipeline.fieldview import FieldView
from stablenew_plugins.desktop.text import _


class TypedField(FieldView):
    """A number or a text that is typed."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self.item = text_field(self.ui, "", self.type, tag=self.tag)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        put(self.item, self.written(value))


class LinesField(TypedField):
    """A long text. It is as high as what stands in it, within reason."""

    MOST_LINES = 5

    def make(self) -> None:
        """See :class:`FieldView`."""
        self._lines = 1
        self.item = text_field(self.ui, "", self.type, height=lines_height(1), tag=self.tag)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        super().show(value)
        lines = min(self.written(value).count("\n") + 1, self.MOST_LINES)
        if lines != self._lines:
            self._lines = lines
            dpg.configure_item(self.item, height=self.ui.px(lines_height(lines)))


class JsonField(TypedField):
    """What has no field of its own, as JSON or as lines."""

    def help(self) -> str:
        """With how it is written."""
        how = _("Written as JSON.") if self.one.kind == "json" else _("One a line.")
        return f"{self.one.help}\n{how}" if self.one.help else how

    def make(self) -> None:
        """See :class:`FieldView`."""
        lines = 6 if self.one.takes_text else 3
        self.item = text_field(self.ui, "", self.type, lines=lines, mono=True, tag=self.tag)


class ColourField(TypedField):
    """A colour, typed or picked."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        with row(ui, 8):
            self._picker = dpg.add_color_edit(
                (0, 0, 0, 255),
                no_alpha=True,
                no_inputs=True,
                no_label=True,
                width=ui.px(40),
                callback=lambda _s, value, _u: self._picked(value),
            )
            self.item = text_field(ui, "", self.type, tag=self.tag)

    def _picked(self, value: Any) -> None:
        parts = [round(part * 255) if isinstance(part, float) and part <= 1 else round(part) for part in value]
        self.set("#" + "".join(f"{min(max(part, 0), 255):02x}" for part in parts[:3]))

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        super().show(value)
        code = str(value).lstrip("#")
        if len(code) == 6 and not is_in_use(self._picker):
            try:
                parts = [int(code[at : at + 2], 16) for at in (0, 2, 4)]
            except ValueError:
                return
            dpg.set_value(self._picker, [*parts, 255])
