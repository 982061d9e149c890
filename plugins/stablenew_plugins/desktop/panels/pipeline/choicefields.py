"""Fields of stage cards that are chosen from what there is."""

from __future__ import annotations

from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    button,
)
from stablenew_plugins.desktop.components.picker import Picker
from stablenew_plugins.desktop.models.pipeline.names import filtered
from stablenew_plugins.desktop.panels.pipeline.fieldview import FieldView
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT


class SwitchField(FieldView):
    """On or off."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        with dpg.group():
            dpg.add_spacer(height=self.ui.px(1))
            self._toggle = Toggle(self.ui, False, self.set, tag=self.tag)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        if self._toggle.is_on != bool(value):
            self._toggle.show(bool(value))


class OptionField(FieldView):
    """One of a few."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self._picker = Picker(
            self.ui,
            self.set,
            lambda: self.one.options,
            tag=self.tag,
            find=filtered,
            height=CONTROL_HEIGHT,
        )

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        self._picker.show(str(value))

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()


class ChoiceField(FieldView):
    """One of what nodes have."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        choices = self.one.choices
        self._picker = Picker(
            self.ui,
            self.set,
            lambda: self.model.names(choices),
            tag=self.tag,
            nothing="" if self.one.shortest else self._nothing(),
            find=filtered,
            height=CONTROL_HEIGHT,
        )

    def _nothing(self) -> str:
        if self.one.choices == "models" and not self.one.master:
            return _("The node's own")
        return _("None or as before") if self.one.master else _("Automatic")

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        self._picker.show(str(value or ""))

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()


class ChoicesField(FieldView):
    """Several of what nodes have."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self._shown: list[str] | None = None
        self._chips = dpg.add_group(horizontal=True, horizontal_spacing=self.ui.px(6))
        self._picker = Picker(
            self.ui,
            self._add,
            lambda: [name for name in self.model.names(self.one.choices) if name not in (self._shown or ())],
            tag=self.tag,
            find=filtered,
            width=280,
            height=CONTROL_HEIGHT,
        )
        self._picker.show("", _("Add …"))

    def _add(self, name: str) -> None:
        self.set([*(self._shown or ()), name])

    def _drop(self, name: str) -> None:
        self.set([one for one in self._shown or () if one != name])

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        names = [str(one) for one in value] if isinstance(value, list) else []
        if names == self._shown:
            return
        self._shown = names
        dpg.delete_item(self._chips, children_only=True)
        dpg.configure_item(self._chips, show=bool(names))
        dpg.push_container_stack(self._chips)
        try:
            for name in names:
                button(self.ui, f"{name}  {icons.X}", partial(self._drop, name), "chip_on", font="small_medium")
        finally:
            dpg.pop_container_stack()

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()
