"""The left side: prompt packs."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    badge,
    button,
    column,
    row,
    set_text,
    space,
    style_button,
    text,
)
from stablenew_plugins.desktop.components.fields import put, text_field
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.packs.packs import LIST
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.packs import packpreview
from stablenew_plugins.desktop.panels.packs.packlist import PackList
from stablenew_plugins.desktop.panels.packs.packpreview import PackPreview
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

MARGIN = 16
LIST_TOP = 138
"""Before scaling: below title, search and chips."""
LIST_LEAST = 190
"""Height that the list keeps; for it the preview goes."""


class SidebarPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.packs, bench.state)
        self._preview_wants = 0
        self._bench, self._model = bench, bench.packs
        self._search_wanted = self._model.search_wanted
        self._nothing_shown = ""

    def build(self) -> None:
        """Make the items."""
        ui, model = self.ui, self._model
        left = ui.px(MARGIN)
        text(ui, _("Prompt packs"), "h2", pos=(left, ui.px(24)))
        with row(ui, 2, pos=(left, ui.px(18))) as self._head:
            self._select_all = button(
                ui,
                _("Select all"),
                model.toggle_shown,
                "ghost",
                font="small_medium",
                height=28,
                tag="sidebar.selectall",
                tip=_("Let all packs that are shown run, or none of them (Ctrl+Shift+A)"),
            )
            button(
                ui,
                _("New"),
                partial(model.open, "newpack"),
                "ghost",
                icon=icons.PLUS,
                font="small_medium",
                height=28,
                tag="sidebar.new",
                tip=_("Make a pack (Ctrl+N)"),
            )
        self._search = text_field(
            ui,
            model.search,
            model.look_for,
            hint=f"{icons.SEARCH}  {_('Search packs, prompts, wildcards')}",
            tag="sidebar.search",
            pos=(left, ui.px(56)),
        )
        with row(ui, 6, pos=(left, ui.px(102))):
            self._chips = {
                name: button(
                    ui,
                    "",
                    partial(model.choose_filter, name),
                    "chip",
                    font="small_medium",
                    tag=f"sidebar.filter.{name}",
                )
                for name in ("all", "selected", "recent")
            }
            self._lists = button(
                ui,
                icons.BOOKMARK,
                lambda: model.open("packlists"),
                "chip",
                font="small_medium",
                tip=_("Lists of packs: keep what is selected under a name, and select it again"),
                tag="sidebar.lists",
            )
        with row(ui, 6, pos=(left, ui.px(132)), show=False) as self._list_row:
            with column(ui, 0):
                space(ui, 5)
                self._list_name = text(ui, "", "small_medium", ui.colours.accent_high)
            button(ui, _("Select these"), self._select_list, "chip", font="small", tag="sidebar.list.select")
            button(
                ui,
                icons.X,
                partial(model.choose_filter, "all"),
                "ghost",
                font="small",
                width=26,
                height=26,
                tag="sidebar.list.leave",
            )
        self._list = PackList(ui, model)
        self._nothing = dpg.add_child_window(border=False, show=False)  # in a low window it scrolls
        self._preview = PackPreview(ui, model)

    def _select_list(self) -> None:
        self._model.select_list(self._model.filter.removeprefix(LIST))

    def resized(self) -> None:
        """Give each part its room."""
        ui = self.ui
        width, height = dpg.get_item_width("area.sidebar"), dpg.get_item_height("area.sidebar")
        left = ui.px(MARGIN)
        room = width - 2 * left
        dpg.configure_item(self._search, width=room)
        listed = self._model.filter.startswith(LIST)
        top = ui.px(LIST_TOP + (30 if listed else 0))
        foot = self._preview_wants = self._preview.wanted(room)
        if height - top - foot < ui.px(LIST_LEAST):
            foot = ui.px(packpreview.BARE)
        foot += ui.px(8)
        dpg.set_item_pos(self._list.item, [left, top])
        self._list.resize(room + ui.px(12), height - top - foot - ui.px(6))
        dpg.set_item_pos(self._nothing, [left, top])
        dpg.configure_item(self._nothing, width=room, height=max(1, height - top - foot - ui.px(6)))
        dpg.set_item_pos(self._preview.item, [left, height - foot])
        self._preview.resize(room, foot - ui.px(4))
        ui.later(self._place_head)

    def _place_head(self) -> None:
        if dpg.does_item_exist(self._head):
            end = dpg.get_item_width("area.sidebar") - self.ui.px(MARGIN)
            dpg.set_item_pos(self._head, [end - dpg.get_item_rect_size(self._head)[0], self.ui.px(18)])

    def apply(self) -> None:
        """Bring them up to date."""
        model = self._model
        put(self._search, model.search)
        labels = {
            "all": f"{_('All')}  {len(model.entries):,}",
            "selected": f"{_('Selected')}  {len(model.selected):,}",
            "recent": _("Recent"),
        }
        for name, item in self._chips.items():
            dpg.configure_item(item, label=labels[name])
            style_button(self.ui, item, "chip_on" if model.filter == name else "chip")
        all_selected = bool(model.shown) and all(map(model.is_selected, model.shown))
        words = _("Select none") if all_selected else _("Select all")
        if dpg.get_item_label(self._select_all) != words:
            dpg.configure_item(self._select_all, label=words)
            later = self.ui.later
            later(lambda: later(self._place_head))  # its width is known when it was drawn
        listed = model.filter.startswith(LIST)
        style_button(self.ui, self._lists, "chip_on" if listed else "chip")
        set_text(self._list_name, f"{icons.BOOKMARK}  {model.filter.removeprefix(LIST)}" if listed else "")
        if dpg.is_item_shown(self._list_row) != listed:
            dpg.configure_item(self._list_row, show=listed)
            self.resized()
        self._list.apply()
        room = dpg.get_item_width("area.sidebar") - 2 * self.ui.px(MARGIN)
        if self._preview.wanted(room) != self._preview_wants:
            self.resized()
        self._preview.apply()
        self._apply_nothing()
        if model.search_wanted != self._search_wanted:
            self._search_wanted = model.search_wanted
            dpg.focus_item(self._search)

    def frame(self) -> None:
        """Follow scrolling and the pointer."""
        self._list.frame()

    # --- where there is nothing -----------------------------------------------------------------------------

    def _apply_nothing(self) -> None:
        model = self._model
        kind = ""
        if model.is_scanned and not model.shown:
            kind = "empty" if not model.entries else "search" if model.search else "filter"
        if kind == self._nothing_shown:
            return
        self._nothing_shown = kind
        dpg.configure_item(self._nothing, show=bool(kind))
        dpg.configure_item(self._list.item, show=not kind)
        dpg.delete_item(self._nothing, children_only=True)
        if kind:
            dpg.push_container_stack(self._nothing)
            try:
                self._build_nothing(kind)
            finally:
                dpg.pop_container_stack()

    def _build_nothing(self, kind: str) -> None:
        ui, model = self.ui, self._model
        wrap = dpg.get_item_width("area.sidebar") - ui.px(2 * MARGIN)
        titles = {
            "empty": (icons.LAYERS, _("No prompt packs yet")),
            "search": (icons.SEARCH, _("Nothing found")),
            "filter": (icons.FILTER, _("Nothing here yet")),
        }
        words = {
            "empty": _("A pack is a text file of prompts. Begin with the examples, or bring your own."),
            "search": _("No pack has all of these words in its name, prompts or wildcards."),
            "filter": _("Packs that you select or look at are listed here."),
        }
        with column(ui, 10):
            badge(ui, titles[kind][0], ui.colours.accent, 44)
            text(ui, titles[kind][1], "h2")
            text(ui, words[kind], "small", ui.colours.muted, wrap=wrap)
            if kind == "empty":
                button(
                    ui, _("Add the examples"), model.add_examples, icon=icons.SPARKLES, tag="sidebar.examples"
                )
            elif kind == "search":
                button(ui, _("Clear the search"), self._clear, icon=icons.X, tag="sidebar.clear")
            else:
                button(ui, _("Show all"), partial(model.choose_filter, "all"), tag="sidebar.showall")

    def _clear(self) -> None:
        dpg.set_value(self._search, "")
        self._model.look_for("")
