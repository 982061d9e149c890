"""The tab Pipeline: the next run in a line, the preset, and a card a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    column,
    empty_state,
    icon_button,
    row,
    set_text,
    show_column,
    space,
    style_card,
    text,
    tooltip,
    within,
)
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.menu import Entry, open_menu
from stablenew_plugins.desktop.components.picker import Picker, close_popup
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.names import filtered
from stablenew_plugins.desktop.models.pipeline.nextrun import SHOWN, Remark, next_run
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.pipeline.glances import RandomizerGlance, UpNext
from stablenew_plugins.desktop.panels.pipeline.stagecard import StageCard
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, tint

SIDE = 20
GAP = 10
PRESET_WIDTH, LEAST_PRESET = 190, 90
HEAD_HEIGHT = 74
LINE_AT, LINE_BELOW_AT = 46, 62
"""Where the line of the next run stands: beside the buttons, or below them where it has no room there."""
CARDS_A_FRAME = 1
"""Cards that are made in one frame: all at once would hold it up."""


class PipelinePanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(
            ui, bench.pipeline, bench.presets, bench.run, bench.packs, bench.randomizer, bench.upnext
        )
        self._bench = bench
        self._varies, self._upnext = RandomizerGlance(ui, bench), UpNext(ui, bench)
        self._cards: dict[str, StageCard] = {}
        self._seen_cards = -1
        self._order: list[str] = []
        self._remarks: Sequence[Remark] = ()
        self._more = False
        self._width = 0
        self._line = self._how = ""
        self._is_below = self._is_begun = self._goes_on = False

    def build(self) -> None:
        """Make the items. Cards follow, some a frame."""
        ui = self.ui
        text(ui, _("Pipeline"), "h1", pos=(ui.px(SIDE), ui.px(18)))
        with dpg.group(pos=(ui.px(SIDE), ui.px(LINE_AT))) as self._next_place:
            self._next = text(ui, "", "small", ui.colours.muted, tag="pipeline.next")
            self._next_tip = tooltip(ui, self._next, "", width=420)
        with row(ui, 8, pos=(0, ui.px(18))) as self._actions:
            self._preset = Picker(
                ui,
                self._bench.presets.choose,
                lambda: self._bench.presets.names,
                tag="pipeline.preset",
                find=filtered,
                width=PRESET_WIDTH,
            )
            self._undo = icon_button(
                ui, icons.UNDO_2, self._bench.pipeline.undo, _("Undo (Ctrl+Z)"), "soft", tag="pipeline.undo"
            )
            button(
                ui,
                _("Save"),
                self._bench.presets.save,
                "soft",
                icon=icons.SAVE,
                height=34,
                tip=_("Write what was changed into the preset (Ctrl+S)"),
                tag="pipeline.save",
            )
            self._menu = icon_button(
                ui,
                icons.ELLIPSIS_VERTICAL,
                self._open_menu,
                _("More about presets"),
                "soft",
                tag="pipeline.menu",
            )
        with area(ui, NONE, tag="pipeline.scroll", pos=(0, ui.px(HEAD_HEIGHT))) as self._scroll:
            dpg.bind_item_theme(
                self._scroll,
                ui.themes.theme(
                    {"ChildBg": NONE}, {"ChildRounding": 0, "WindowPadding": (SIDE, 4)}, dpg.mvChildWindow
                ),
            )
            dpg.configure_item(self._scroll, always_use_window_padding=True)
            with column(ui, GAP):
                self._remark_box = dpg.add_group(show=False)
                self._empty = dpg.add_group(show=False)
                with dpg.group() as self._list:
                    dpg.bind_item_theme(self._list, ui.themes.theme({}, {"ItemSpacing": (8, GAP)}))
                self._more_button = button(
                    ui,
                    "",
                    self._toggle_more,
                    "ghost",
                    font="small_medium",
                    height=32,
                    tag="pipeline.more_stages",
                    show=False,
                )
                with dpg.group(show=False) as self._more_list:
                    dpg.bind_item_theme(self._more_list, ui.themes.theme({}, {"ItemSpacing": (8, GAP)}))
                with column(ui, GAP) as self._glances:
                    pass
                space(ui, 16)

    def pieces(self) -> Sequence[Callable[[], None]]:
        """The cards at the end."""
        return (partial(within, self._glances, self._varies.build), self._finish)

    def _finish(self) -> None:
        within(self._glances, self._upnext.build)
        self.resized()
        self.ui.later(self.resized)  # the width of the buttons is known behind the first frame

    # --- up to date -----------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        bench, pipeline = self._bench, self._bench.pipeline
        self._preset.show(pipeline.preset, bench.presets.label)
        dpg.configure_item(self._undo, enabled=pipeline.can_undo)
        found = next_run(bench.run, pipeline)
        self._line, self._how = found.line, found.how
        self._show_line()
        if found.remarks != self._remarks:
            self._remarks = found.remarks
            self._show_remarks(found.remarks)
        if pipeline.cards_revision != self._seen_cards:
            self._seen_cards = pipeline.cards_revision
            self._clear()
        self._show_empty()
        self._arrange()
        for card in self._cards.values():
            card.apply()
        self._varies.apply()
        self._upnext.apply()

    def _show_line(self) -> None:
        ui = self.ui
        room = self._width - 2 * ui.px(SIDE)
        beside = room - self._actions_width() - ui.px(16)
        below = width_of(ui, self._line, "small") > beside
        if below != self._is_below:
            self._is_below = below
            dpg.set_item_pos(self._next_place, [ui.px(SIDE), ui.px(LINE_BELOW_AT if below else LINE_AT)])
            self._lay_out_scroll()
        shown = fit(ui, self._line, "small", room if below else beside)
        set_text(self._next, shown)
        cut = "" if shown == self._line else self._line
        set_text(self._next_tip, "\n".join(part for part in (cut, self._how) if part) or self._line)

    def _lay_out_scroll(self) -> None:
        height = dpg.get_item_height("area.pipeline") or 0
        top = self.ui.px(HEAD_HEIGHT + (LINE_BELOW_AT - LINE_AT if self._is_below else 0))
        dpg.configure_item(self._scroll, pos=(0, top), width=max(self._width, 1), height=max(height - top, 1))

    def _show_empty(self) -> None:
        show = not self._bench.pipeline.cards
        show_column(self._glances, not show)
        if dpg.is_item_shown(self._empty) == show:
            return
        dpg.configure_item(self._empty, show=show)
        if show:
            dpg.delete_item(self._empty, children_only=True)
            dpg.push_container_stack(self._empty)
            try:
                empty_state(
                    self.ui,
                    icons.WORKFLOW,
                    _("The stages are not there yet"),
                    _("They come from the kernel, with all plugins that are installed. This takes a moment."),
                )
            finally:
                dpg.pop_container_stack()

    def _clear(self) -> None:
        self._cards.clear()
        self._order.clear()
        dpg.delete_item(self._list, children_only=True)
        dpg.delete_item(self._more_list, children_only=True)

    def _arrange(self) -> None:
        """Cards in their order and in their list; those that are still to be made come some a frame."""
        pipeline = self._bench.pipeline
        if not pipeline.cards:
            return
        shown = [*pipeline.shown, pipeline.run_card]
        hidden = list(pipeline.hidden)
        wanted = [*shown, *(hidden if self._more else [])]
        made = 0
        waits = not self._is_begun or any(card.is_filling for card in self._cards.values())
        most = 0 if waits else CARDS_A_FRAME  # the first frame has all else to do
        self._is_begun = True
        for card in wanted:
            if card.name not in self._cards and made < most:
                made += 1
                dpg.push_container_stack(self._list)
                try:
                    self._cards[card.name] = StageCard(self.ui, pipeline, card, self._card_width)
                finally:
                    dpg.pop_container_stack()
                self._cards[card.name].apply()
        if any(card.name not in self._cards for card in wanted) and not self._goes_on:
            self._goes_on = True
            self.ui.later(self._go_on)
        names = [card.name for card in shown if card.name in self._cards]
        names += ["", *(card.name for card in hidden if card.name in self._cards)]
        if names != self._order:
            self._order = names
            parent = self._list
            for name in names:
                if not name:
                    parent = self._more_list
                    continue
                dpg.move_item(self._cards[name].item, parent=parent)
        self._show_more(len(hidden))

    def _go_on(self) -> None:
        self._goes_on = False
        if dpg.does_item_exist(self._list):
            self._arrange()

    def _show_more(self, count: int) -> None:
        icon = icons.CHEVRON_UP if self._more else icons.CHEVRON_DOWN
        words = _("Fewer stages") if self._more else many("{n} more stage", "{n} more stages", count)
        dpg.configure_item(self._more_button, label=f"{icon}  {words}", show=count > 0)
        dpg.configure_item(self._more_list, show=self._more)

    def _toggle_more(self) -> None:
        self._more = not self._more
        self._bench.pipeline.touch()

    def frame(self) -> None:
        """Fields that come or go wait until the mouse lets go."""
        self._upnext.frame()
        if not dpg.is_mouse_button_down(dpg.mvMouseButton_Left) and any(
            card.is_behind for card in self._cards.values()
        ):
            for card in self._cards.values():
                card.apply()

    # --- remarks --------------------------------------------------------------------------------------------

    def _show_remarks(self, found: Sequence[Remark]) -> None:
        ui = self.ui
        dpg.delete_item(self._remark_box, children_only=True)
        dpg.configure_item(self._remark_box, show=bool(found))
        if not found:
            return
        dpg.push_container_stack(self._remark_box)
        try:
            with column(ui, 6):
                for remark in found[:SHOWN]:
                    self._remark(remark)
                if len(found) > SHOWN:
                    more = many("and {n} more", "and {n} more", len(found) - SHOWN)
                    text(ui, more, "small", ui.colours.muted)
        finally:
            dpg.pop_container_stack()

    def _remark(self, remark: Remark) -> None:
        ui, c = self.ui, self.ui.colours
        colour = c.red if remark.is_error else c.cyan if remark.is_about_packs else c.amber
        with dpg.child_window(
            border=True,
            auto_resize_y=True,
            width=self._card_width,
            no_scrollbar=True,
            always_use_window_padding=True,
        ) as box:
            style_card(ui, box, tint(colour, 20), tint(colour, 70), 9, (12, 9))
            with row(ui, 10):
                icon = icons.CIRCLE_ALERT if remark.is_error else icons.TRIANGLE_ALERT
                icon = icons.INFO if remark.is_about_packs else icon
                text(ui, icon, "body", colour)
                with column(ui, 3):
                    wrap = round(self._card_width - ui.px(210 if remark.is_about_packs else 60))
                    beside = 28 if remark.is_about_packs and not remark.hint else 0
                    text(ui, remark.text, "small", c.text, wrap=wrap, beside_frame=beside)
                    if remark.hint:
                        text(ui, remark.hint, "small", c.muted, wrap=wrap)
                if remark.is_about_packs:
                    with column(ui, 3):
                        use = self._bench.pipeline.use_preset
                        words = _("Use the preset's")
                        tag = "pipeline.use_preset"
                        button(ui, words, use, "soft", font="small_medium", height=28, tag=tag)

    # --- the menu -------------------------------------------------------------------------------------------

    def _open_menu(self) -> None:
        bench = self._bench
        pipeline = bench.pipeline
        open_ = bench.view.open
        entries = [
            Entry(_("Save as …"), partial(open_, "preset_save"), icons.SAVE, name="save_as"),
            Entry(_("Compare …"), partial(open_, "preset_diff"), icons.COLUMNS_2, "Ctrl+D", name="diff"),
            Entry(_("Where from?"), partial(open_, "explain"), icons.CIRCLE_HELP, name="explain"),
            Entry(_("From an image …"), partial(open_, "apply_image"), icons.IMAGE, name="image"),
            Entry(),
            Entry(
                _("Revert all"),
                pipeline.revert,
                icons.ROTATE_CCW,
                enabled=bool(pipeline.changes),
                name="revert",
            ),
            Entry(_("Do again"), pipeline.redo, icons.REDO_2, "Ctrl+Y", enabled=pipeline.can_redo, name="redo"),
            Entry(),
            Entry(_("All presets …"), partial(open_, "presets"), icons.FOLDER, name="presets"),
        ]
        open_menu(self.ui, entries)

    # --- sizes ----------------------------------------------------------------------------------------------

    @property
    def _card_width(self) -> int:
        return max(self._width - 2 * self.ui.px(SIDE), self.ui.px(300))

    def _actions_width(self) -> int:
        return int(dpg.get_item_rect_size(self._actions)[0]) or self.ui.px(PRESET_WIDTH + 34 + 90 + 34 + 24)

    def resized(self) -> None:
        """Follow the width of the tab."""
        ui = self.ui
        self._width = dpg.get_item_width("area.pipeline") or 0
        self._lay_out_scroll()
        buttons = 2 * ui.px(34) + text_width(ui, f"{icons.SAVE}  {_('Save')}", "medium") + ui.px(20 + 3 * 8)
        room = self._width - 2 * ui.px(SIDE) - text_width(ui, _("Pipeline"), "h1") - ui.px(16) - buttons
        preset = min(max(room, ui.px(LEAST_PRESET)), ui.px(PRESET_WIDTH))
        dpg.configure_item(self._preset.item, width=preset)
        dpg.set_item_pos(self._actions, [self._width - preset - buttons - ui.px(SIDE), ui.px(18)])
        self._show_line()
        ui.later(lambda: self._preset.lay_out() if dpg.does_item_exist(self._preset.item) else None)
        for card in self._cards.values():
            card.resized(self._card_width)
        self._varies.resized(self._card_width)
        self._upnext.resized(self._card_width)

    def close(self) -> None:
        """Take the open list away, too: it is drawn with what goes with the window."""
        close_popup()
