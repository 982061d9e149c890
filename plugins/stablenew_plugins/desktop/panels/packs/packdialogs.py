"""What is asked about packs over the window: the name of a new one, where to import from, lists of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import button, card, column, icon_button, row, space, text
from stablenew_plugins.desktop.components.fields import text_field
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.packs.packs import LIST
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

Opened = Callable[[], None]
"""Closes it again."""


def new_pack(ui: Ui, bench: Workbench) -> Opened:
    """Which name a new pack gets."""
    folder = bench.desk.data.packs
    return _one_text(
        ui,
        bench,
        title=_("New pack"),
        sub=_("A text file in {folder}. It opens in the editor.").format(folder=folder),
        hint=_("Name, such as: Harbour at night"),
        action=_("Make it"),
        icon=icons.PLUS,
        act=bench.packs.new,
        tag="newpack",
    )


def import_packs(ui: Ui, bench: Workbench) -> Opened:
    """Which pack or folder to bring."""
    return _one_text(
        ui,
        bench,
        title=_("Import packs"),
        sub=_(
            "Paste a path. A pack is copied to your packs, with its settings. A styles.csv, a list of prompts, "
            "wildcards, or an image that carries its prompt is made into packs. Of a folder, all packs are "
            "shown from now on, and stay where they are."
        ),
        hint=_("Path of a file or of a folder"),
        action=_("Import"),
        icon=icons.UPLOAD,
        act=bench.packs.bring,
        tag="import",
    )


def _one_text(
    ui: Ui,
    bench: Workbench,
    *,
    title: str,
    sub: str,
    hint: str,
    action: str,
    icon: str,
    act: Callable[[str], None],
    tag: str,
) -> Opened:
    overlay = Overlay(ui, title, bench.view.close, width=560, sub=sub, tag=tag)

    def done() -> None:
        given = dpg.get_value(field)
        if given.strip():
            bench.view.close()
            act(given)

    with overlay:
        space(ui, 4)
        field: Item = text_field(ui, "", lambda _given: None, hint=hint, tag=f"{tag}.field")
        dpg.configure_item(field, on_enter=True, callback=lambda *_event: done())
        space(ui, 2)
        with row(ui, 10):
            button(ui, action, done, "primary", icon=icon, height=34, tag=f"{tag}.do")
            button(ui, _("Cancel"), bench.view.close, "ghost", height=34)
    ui.later(lambda: dpg.focus_item(field) if dpg.does_item_exist(field) else None)
    return overlay.close


class PackListsOverlay(Panel):
    """Lists of packs: choose one, keep the selection as one, put the pack that is looked at into one."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.packs)
        self._bench, self._model = bench, bench.packs
        self._shown: object = None
        self.build()

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Lists of packs"),
            self._bench.view.close,
            width=600,
            height=520,
            sub=_("Keep the packs that you use together. The packs themselves stay where they are."),
            tag="packlists",
        )
        with self._overlay:
            space(ui, 2)
            with row(ui, 8):
                self._field = text_field(
                    ui, "", lambda _given: None, hint=_("Name of a new list"), width=300, tag="packlists.name"
                )
                dpg.configure_item(self._field, on_enter=True, callback=lambda *_event: self._save())
                self._save_button = button(ui, "", self._save, "primary", icon=icons.SAVE, tag="packlists.save")
            space(ui, 2)
            with dpg.child_window(border=False, width=-1, height=-1), column(ui, 6) as self._lists:
                pass
        self.apply()

    def _save(self) -> None:
        name = dpg.get_value(self._field).strip()
        if name and self._model.selected:
            dpg.set_value(self._field, "")
            self._model.save_list(name)

    def apply(self) -> None:
        """Show the lists."""
        model = self._model
        count = len(model.selected)
        label = many("Save {n} selected pack", "Save {n} selected packs", count)
        dpg.configure_item(self._save_button, label=f"{icons.SAVE}  {label}", enabled=count > 0)
        shown = (dict(model.lists), model.current, model.filter)
        if shown == self._shown:
            return
        self._shown = shown
        self.ui.later(self._rebuild)

    def _rebuild(self) -> None:
        if not dpg.does_item_exist(self._lists):
            return
        dpg.delete_item(self._lists, children_only=True)
        dpg.push_container_stack(self._lists)
        try:
            for name, paths in self._model.lists.items():
                self._build_list(name, len(paths))
            if not self._model.lists:
                text(
                    self.ui,
                    _("No lists yet. Select packs on the left, then give the selection a name here."),
                    "small",
                    self.ui.colours.muted,
                    wrap=self._overlay.width - self.ui.px(60),
                )
        finally:
            dpg.pop_container_stack()

    def _build_list(self, name: str, count: int) -> None:
        ui, model, view = self.ui, self._model, self._bench.view
        current = model.current

        def show() -> None:
            model.choose_filter(LIST + name)
            view.close()

        def select() -> None:
            model.select_list(name)
            view.close()

        with card(ui, (14, 10), ui.colours.inset, height=ui.px(58)):
            with column(ui, 3):
                text(ui, fit(ui, name, "medium", ui.px(240)), "medium")
                text(ui, many("{n} pack", "{n} packs", count), "small", ui.colours.muted)
            with row(
                ui,
                4,
                pos=(self._overlay.width - ui.px(44 + 14 + (222 if current is not None else 184)), ui.px(12)),
            ):
                button(ui, _("Show"), show, "soft", height=34, width=64, tag=f"packlists.show.{name}")
                button(ui, _("Select"), select, "soft", height=34, width=72, tag=f"packlists.select.{name}")
                inside = current is not None and current in model.lists.get(name, ())
                icon = icons.MINUS if inside else icons.PLUS
                tip = _("Take {pack} out of it") if inside else _("Put {pack} into it")
                change = model.remove_from_list if inside else model.add_to_list
                if current is not None:
                    icon_button(ui, icon, partial(change, name, [current]), tip.format(pack=current.stem))
                icon_button(
                    ui, icons.TRASH_2, partial(model.drop_list, name), _("Forget the list; its packs stay")
                )

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()
