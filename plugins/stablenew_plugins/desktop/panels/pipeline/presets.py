"""Presets over the window: a name for one, and all of them."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    column,
    enable_button,
    icon_button,
    label,
    row,
    set_text,
    space,
    text,
)
from stablenew_plugins.desktop.components.fields import text_field
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Item
from stablenew_plugins.desktop.panels.pipeline.presetoverlay import PresetOverlay
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

WIDTH, EDGE = 820, 22
"""Of the list of presets, with what the card around keeps free."""
LINE, ICON = 42, 32
"""Height of one, and of its buttons."""


class SaveOverlay(PresetOverlay):
    """A name and a description for a preset."""

    def build(self) -> None:
        """Make the items."""
        ui, presets = self.ui, self._presets
        own = presets.is_own
        name = self._pipeline.preset if own else presets.free_name(self._pipeline.preset or _("preset"))
        told = presets.current.description if presets.current is not None else ""
        self._overlay = Overlay(
            ui,
            _("Save the preset"),
            self._bench.view.close,
            width=560,
            sub=_("All settings as they are now. What came with StableNew stays as it is."),
            tag="preset_save",
        )
        with self._overlay, column(ui, 8):
            label(ui, _("Name"))
            self._name = text_field(ui, name, lambda _value: self.apply(), tag="preset_save.name")
            dpg.configure_item(self._name, on_enter=False)
            self._problem = text(ui, "", "small", ui.colours.muted, wrap=ui.px(500))
            space(ui, 4)
            label(ui, _("What it is good for"))
            self._told = text_field(ui, told, lambda _value: None, tag="preset_save.description")
            space(ui, 4)
            with row(ui, 10):
                self._do = button(ui, _("Save"), self._save, "primary", icon=icons.SAVE, tag="preset_save.do")
                button(ui, _("Cancel"), self._bench.view.close, "ghost")
        ui.later(lambda: dpg.focus_item(self._name) if dpg.does_item_exist(self._name) else None)

    def apply(self) -> None:
        """Say what is wrong with the name."""
        name, c = dpg.get_value(self._name), self.ui.colours
        problem = self._presets.name_problem(name)
        if problem:
            set_text(self._problem, problem, c.red)
        elif self._presets.failure:
            set_text(self._problem, self._presets.failure, c.red)
        elif self._presets.replaces(name):
            set_text(self._problem, _("There is one of this name: it goes to the trash."), c.amber)
        else:
            set_text(self._problem, _("A new preset."), c.muted)
        enable_button(self._do, not problem and not self._presets.saving)

    def _save(self) -> None:
        self._presets.save_as(dpg.get_value(self._name), dpg.get_value(self._told))


class PresetsOverlay(PresetOverlay):
    """All presets, those in the trash, and the profiles."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Presets and profiles"),
            self._bench.view.close,
            width=WIDTH,
            height=680,
            sub=_(
                "A preset is a whole pipeline. A profile says what suits a model, and lies below the preset."
            ),
            tag="presets",
        )
        self._renaming = ""
        self._shown: object = None
        with self._overlay, dpg.child_window(border=False, width=-1, height=-1) as self._list:
            pass
        self._presets.load()

    def apply(self) -> None:
        """Show the lists."""
        presets = self._presets
        key = (
            tuple((entry.name, entry.description) for entry in presets.entries),
            tuple((entry.name, entry.changed_at) for entry in presets.trash),
            tuple(presets.profile_texts.items()),
            tuple(presets.problems),
            self._pipeline.preset,
            self._renaming,
        )
        if key != self._shown:
            self._shown = key
            self._refill(self._list, self._fill)

    def _fill(self) -> None:
        ui, presets, c = self.ui, self._presets, self.ui.colours
        with column(ui, 8):
            for name in presets.names:
                self._preset(name)
            for problem in presets.problems:
                text(ui, problem, "small", c.red, wrap=ui.px(740))
            if presets.trash:
                space(ui, 6)
                text(ui, _("In the trash"), "h2")
                for entry in presets.trash:
                    with row(ui, 10):
                        text(ui, fit(ui, entry.name, "body", ui.px(420)), "body", c.muted, beside_frame=True)
                        restore = partial(presets.restore, entry.name)
                        button(ui, _("Restore"), restore, "ghost", icon=icons.UNDO_2, font="small_medium")
            space(ui, 6)
            text(ui, _("Profiles"), "h2")
            if not presets.profiles:
                words = _("None yet: NAME.profile.json in the folder profiles says what suits the model NAME.")
                text(ui, words, "small", c.muted, wrap=ui.px(740))
            for entry in presets.profiles:
                with column(ui, 2):
                    kind = _("LoRA") if entry.subject == "lora" else _("model")
                    text(ui, f"{fit(ui, entry.name, 'medium', ui.px(560))}  ·  {kind}", "medium")
                    told = presets.profile_texts.get(entry.name, "") or entry.description
                    text(ui, fit(ui, told, "small", ui.px(740)), "small", c.muted)

    def _preset(self, name: str) -> None:
        ui, presets, c = self.ui, self._presets, self.ui.colours
        entry = presets.entry(name)
        if entry is None:
            return
        on = name == self._pipeline.preset
        if self._renaming == name:
            with row(ui, 6):
                field = text_field(ui, name, lambda _value: None, width=300, tag="presets.rename")
                dpg.configure_item(field, on_enter=True, callback=lambda *_: self._renamed(name, field))
                button(ui, _("Rename"), lambda: self._renamed(name, field), "soft", height=33)
                button(ui, _("Cancel"), partial(self._rename, ""), "ghost", height=33)
            return
        width = (self._overlay.width if self._overlay is not None else ui.px(WIDTH)) - ui.px(2 * EDGE + 14)
        with strip(ui, width, ui.px(LINE)):
            use = icon_button(
                ui,
                icons.CIRCLE_CHECK if on else icons.CIRCLE,
                partial(presets.choose, name),
                _("Use it"),
                "chip_on" if on else "ghost",
                size=ICON,
                tag=f"presets.use.{name}",
            )
            put_at(use, 0, ui.px((LINE - ICON) / 2))
            new = partial(presets.duplicate, name, presets.free_name(name))
            acts = [("copy", icons.COPY, new, _("Duplicate"))]
            if not entry.shipped:
                acts += [
                    ("rename", icons.PENCIL, partial(self._rename, name), _("Rename")),
                    ("delete", icons.TRASH_2, partial(presets.delete, name), _("Into the trash")),
                ]
            right = width
            for what, icon, act, tip in acts:
                right -= ui.px(ICON + 4)
                item = icon_button(ui, icon, act, tip, size=ICON, tag=f"presets.{what}.{name}")
                put_at(item, right, ui.px((LINE - ICON) / 2))
            left = ui.px(ICON + 12)
            with row(ui, 10, pos=(left, ui.px(3))):
                text(ui, fit(ui, name, "medium", ui.px(380)), "medium", c.accent_high if on else c.text)
                if entry.shipped:
                    text(ui, _("came with StableNew"), "small", c.faint, beside_frame=17)
            told = text(ui, fit(ui, entry.description, "small", right - left - ui.px(12)), "small", c.muted)
            put_at(told, left, ui.px(22))

    def _rename(self, name: str) -> None:
        self._renaming = name
        self._presets.touch()

    def _renamed(self, name: str, field: Item) -> None:
        new = dpg.get_value(field).strip()
        problem = self._presets.name_problem(new)
        if new == name:
            self._rename("")
        elif problem or self._presets.replaces(new):
            words = problem or _("There is a preset of this name already.")
            self._bench.toasts.say(words, "warning")
        else:
            self._presets.rename(name, new)
            self._rename("")
