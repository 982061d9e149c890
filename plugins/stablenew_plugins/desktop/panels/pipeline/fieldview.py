"""A field of a stage card: name, help, the mark of a difference, and what is to be said of its value."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.components.basic import (
    column,
    row,
    set_text,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.values import short, written
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons


class FieldView:
    """A setting with its name, help, mark and remark."""

    def __init__(self, ui: Ui, model: PipelineModel, one: Field, width: float) -> None:
        """Make the items, in the container that is current. ``width``: pixels that there are for it."""
        self.ui, self.model, self.one, self.width = ui, model, one, width
        self.tag = f"pipeline.{one.name}"
        with column(ui, 5):
            self._head()
            self.make()
            self._remark = text(ui, "", "small", ui.colours.red, wrap=round(width), show=False)
            ui.on_click(self._remark, self._remark_clicked)
        self.apply()

    def _head(self) -> None:
        """Name, help, and the mark of a difference, which takes it back."""
        ui, one = self.ui, self.one
        with row(ui, 6):
            unit = f"  {one.unit}" if one.unit and one.kind not in ("whole", "number") else ""
            self._title = text(ui, f"{self.title()}{unit}", "small", ui.colours.muted)
            if self.help():
                info = text(ui, icons.INFO, "small", ui.colours.faint, tag=f"{self.tag}.info")
                tooltip(ui, info, self.help())
            self._mark = text(
                ui, f"•  {_('reset')}", "small", ui.colours.accent_high, show=False, tag=f"{self.tag}.reset"
            )
            ui.on_click(self._mark, self._reset)
            self._mark_tip = tooltip(ui, self._mark, "")

    def title(self) -> str:
        """What it is called."""
        return self.one.title

    def help(self) -> str:
        """What it does, in plain words."""
        return self.one.help

    def names(self) -> tuple[str, ...]:
        """The settings that it shows."""
        return (self.one.name,)

    def _reset(self) -> None:
        self.model.reset(*self.names())

    def make(self) -> None:
        """Make what is edited."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def apply(self) -> None:
        """Bring it up to date."""
        model, ui, one = self.model, self.ui, self.one
        self.show(model.value(one.name))
        changed = any(model.is_changed(name) for name in self.names())
        if dpg.is_item_shown(self._mark) != changed:
            dpg.configure_item(self._mark, show=changed)
        if changed:
            before = ", ".join(short(model.beneath(name)) or _("empty") for name in self.names())
            packs = next((own.packs for name in self.names() if (own := model.brought.get(name))), ())
            words = _("{pack} has {value}. A click brings it back.")
            words = words.replace("{pack}", packs[0] if packs else _("The preset")).replace("{value}", before)
            set_text(self._mark_tip, words if len(words) < 400 else f"{words[:400]}…")
        problem = next((found for name in self.names() if (found := model.problem(name))), "")
        if problem:
            self._say(problem, ui.colours.red)
        elif model.is_missing(one):
            self._say(f"{icons.TRIANGLE_ALERT}  {_('No node has this.')}", ui.colours.amber)
        else:
            self._say(self._of_pack(), ui.colours.cyan)

    def _of_pack(self) -> str:
        """That a value is a pack's own, or what packs have instead; a click takes the preset's."""
        model, names = self.model, self.names()
        found = [one for name in names if (one := model.brought_at(name)) is not None]
        if not found:
            return ""
        if all(one.is_shared for one in found):
            words = _("from {pack}, not {value}").replace("{pack}", found[0].pack)
            values = [model.of_preset(name) for name in names]
        else:
            words = _("{pack} has {value}: use this").replace("{pack}", found[0].pack)
            brought = [model.brought.get(name) for name in names]
            values = [
                one.value if one is not None else model.value(name)
                for one, name in zip(brought, names, strict=True)
            ]
        return words.replace("{value}", " × ".join(self._in_words(value) for value in values))

    def _in_words(self, value: JsonValue) -> str:
        if self.one.kind == "seed" and value == -1:
            return _("a new one each run")
        return short(value) or _("nothing")

    def _remark_clicked(self) -> None:
        names = [name for name in self.names() if self.model.brought_at(name) is not None]
        if names:
            self.model.use_preset(*names)

    def _say(self, words: str, colour: Any) -> None:
        set_text(self._remark, words, colour)
        if dpg.is_item_shown(self._remark) != bool(words):
            dpg.configure_item(self._remark, show=bool(words))

    def set(self, value: Any) -> None:
        """A person gave it a value."""
        self.model.set(self.one.name, value)

    def type(self, words: str) -> None:
        """A person typed."""
        self.model.type(self.one.name, words)

    def fitted(self) -> None:
        """The widths of items are known now."""

    def written(self, value: Any) -> str:
        """What stands in a field that is typed into: the draft, if there is one."""
        draft = self.model.drafts.get(self.one.name)
        return draft.text if draft is not None else written(self.one, value)
