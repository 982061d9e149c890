"""The bar at the top: tabs, and all that starts and stops runs."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    enable_button,
    icon_button,
    row,
    style_button,
    style_card,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.view import TABS, tab_titles
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import ICON_WIDTH
from stablenew_plugins.desktop.theme.tokens import BAR_HEIGHT, CONTROL_HEIGHT, NONE, WHITE

TAB_ICONS = {
    "prompt": icons.TYPE,
    "pipeline": icons.WORKFLOW,
    "queue": icons.LIST_ORDERED,
    "cluster": icons.SERVER,
    "learning": icons.GRADUATION_CAP,
}
TIGHTEST = 4
"""How little room there can be. 0: all is said; 1: tabs are icons; 2: so are commands, but Run; 3: the logo
goes; 4: Run is an icon too, and the queue's mode goes."""
GROUP_HEIGHT, GROUP_PAD, GROUP_GAP = 44, 4, 4
TAB_GAP = 4
RUN_WIDTH = 170
"""Before scaling, at least: so that the bar stands still while the number of images changes."""


class CommandBar(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.view, bench.run, bench.state)
        self._bench = bench
        self._tabs: dict[str, Item] = {}
        self._width, self._tabs_at = 0, 0
        self._placed: object = None

    def build(self) -> None:
        """Make the items."""
        ui, bench = self.ui, self._bench
        top = ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)
        with row(ui, 12, pos=(ui.px(20), top)) as self._logo:
            side = ui.px(34)
            with dpg.drawlist(side, side):
                c = ui.colours
                dpg.draw_rectangle((0, 0), (side, side), rounding=ui.px(10), fill=c.accent_low, color=NONE)
                logo = dpg.draw_text(
                    ((side - ui.px(20) * ICON_WIDTH) / 2, (side - ui.px(20)) / 2),
                    icons.LAYERS,
                    color=WHITE,
                    size=ui.px(20),
                )
                dpg.bind_item_font(logo, ui.fonts["icon_large"])
            self._name = text(ui, "StableNew", "logo", beside_frame=True)
        with row(ui, TAB_GAP, pos=(ui.px(316), top)) as self._tab_row:
            for tab in TABS:
                self._tabs[tab] = button(
                    ui,
                    "",
                    partial(bench.view.show_tab, tab),
                    "tab",
                    height=CONTROL_HEIGHT,
                    tag=f"tab.{tab}",
                )
        self._settings = icon_button(
            ui,
            icons.SETTINGS,
            lambda: bench.view.open("settings"),
            _("Settings (Ctrl+,)"),
            pos=(0, top),
            tag="bar.settings",
        )
        with dpg.child_window(
            auto_resize_x=True,
            height=ui.px(GROUP_HEIGHT),
            pos=(0, ui.px((BAR_HEIGHT - GROUP_HEIGHT) / 2)),
            no_scrollbar=True,
            no_scroll_with_mouse=True,
            always_use_window_padding=True,
            tag="bar.commands",
        ) as self._actions:
            style_card(ui, self._actions, ui.colours.inset, ui.colours.line_soft, 11, (GROUP_PAD, GROUP_PAD))
            with row(ui, GROUP_GAP):
                self._build_commands()
        tooltip(ui, self._name, _("StableNew"))

    def _build_commands(self) -> None:
        ui, run = self.ui, self._bench.run
        self._mode = button(
            ui,
            "",
            self._switch_mode,
            "ghost",
            height=CONTROL_HEIGHT,
            tag="bar.mode",
            tip=_(
                "What Run does. At once: the queue starts on it right away. Collect: runs wait in the queue "
                "until you start it."
            ),
        )
        self._pause = icon_button(ui, icons.PAUSE, run.toggle_pause, "", "ghost", tag="bar.pause")
        self._pause_tip = tooltip(ui, self._pause, "")
        self._stop = button(
            ui,
            _("Stop"),
            run.stop,
            "danger",
            height=CONTROL_HEIGHT,
            tag="bar.stop",
            tip=_("Stop the run that is being made (Ctrl+.)"),
        )
        self._add = icon_button(
            ui,
            icons.CHEVRONS_UP,
            run.run_next,
            _("First in line: run it before all that waits"),
            "ghost",
            tag="bar.next",
        )
        self._run = button(ui, "", run.run, "primary", height=CONTROL_HEIGHT, tag="bar.run")
        self._run_tip = tooltip(ui, self._run, "")

    def apply(self) -> None:
        """Bring them up to date."""
        ui, bench = self.ui, self._bench
        for tab, item in self._tabs.items():
            style_button(ui, item, "tab_on" if tab == bench.view.tab else "tab")
        run = bench.run
        paused = run.is_paused
        dpg.configure_item(self._pause, label=icons.PLAY if paused else icons.PAUSE)
        dpg.set_value(
            self._pause_tip, _("Start the queue (Ctrl+P)") if paused else _("Pause the queue (Ctrl+P)")
        )
        style_button(ui, self._pause, "lit" if paused else "ghost")
        enable_button(self._stop, run.can_stop)
        enable_button(self._add, run.can_run)
        enable_button(self._run, run.can_run)
        dpg.set_value(
            self._run_tip,
            run.why_not or _("Everything that is switched on, for all selected packs (Ctrl+Enter)"),
        )
        if self._width:
            self._fit()

    def _switch_mode(self) -> None:
        self._bench.run.choose_mode("run" if self._bench.run.queue_mode == "collect" else "collect")

    # --- what there is room for -----------------------------------------------------------------------------

    def _words(self, tight: int) -> dict[Item, str]:
        """What stands on each button that has words, the tighter the fewer: see :data:`TIGHTEST`."""
        queue = self._bench.state.queue
        waiting = queue.queued + queue.active if queue is not None else 0
        words = {}
        for tab, item in self._tabs.items():
            title = "" if tight >= 1 else f"  {tab_titles()[tab]}"
            count = f"  {waiting:,}" if tab == "queue" and waiting and tight < 3 else ""
            words[item] = f"{TAB_ICONS[tab]}{title}{count}"
        run = self._bench.run
        collects = run.queue_mode == "collect"
        icon, mode = (icons.LAYERS, _("Queue: collect")) if collects else (icons.ZAP, _("Queue: at once"))
        words[self._mode] = icon if tight >= 2 else f"{icon}  {mode}"
        words[self._stop] = icons.SQUARE if tight >= 2 else f"{icons.SQUARE}  {_('Stop')}"
        icon = icons.LIST_ORDERED if collects else icons.PLAY
        words[self._run] = icon if tight >= TIGHTEST else f"{icon}  {run.label}"
        return words

    def _widths(self, words: dict[Item, str], tight: int) -> tuple[int, int]:
        """Pixels that the tabs take, and those that the commands take."""
        ui = self.ui
        pad = 2 * ui.px(10)
        icon = ui.px(CONTROL_HEIGHT)
        each = {item: max(icon, text_width(ui, shown, "medium") + pad) for item, shown in words.items()}
        tabs = sum(each[item] for item in self._tabs.values()) + ui.px(TAB_GAP) * (len(self._tabs) - 1)
        if tight < 2:
            each[self._run] = max(each[self._run], ui.px(RUN_WIDTH))
        shown = [each[self._stop], each[self._run], icon]
        if tight < TIGHTEST:
            shown += [each[self._mode], icon]
        return tabs, sum(shown) + ui.px(GROUP_GAP) * (len(shown) - 1) + 2 * ui.px(GROUP_PAD)

    def _fit(self) -> None:
        """Say as much as there is room for, and put all in its place."""
        ui, width = self.ui, self._width
        gap, end = ui.px(12), ui.px(14)
        for tight in range(TIGHTEST + 1):
            words = self._words(tight)
            tabs, commands = self._widths(words, tight)
            start = self._tabs_at if tight < 1 else ui.px(74) if tight < 3 else ui.px(10)
            settings = width - end - commands - ui.px(8) - ui.px(CONTROL_HEIGHT)
            if start + tabs + gap <= settings:
                break
        placed = (tight, tuple(words.values()), start, settings)
        if placed == self._placed:
            return
        self._placed = placed
        for item, shown in words.items():
            dpg.configure_item(item, label=shown)
        dpg.configure_item(self._name, show=tight < 1)
        dpg.configure_item(self._logo, show=tight < 3)
        for item in (self._mode, self._add):
            dpg.configure_item(item, show=tight < TIGHTEST)
        icon = ui.px(CONTROL_HEIGHT)
        for item in (self._mode, self._stop):
            dpg.configure_item(item, width=icon if tight >= 2 else 0)
        run = max(ui.px(RUN_WIDTH), text_width(ui, words[self._run], "medium") + 2 * ui.px(10))
        dpg.configure_item(self._run, width=run if tight < 2 else icon if tight >= TIGHTEST else 0)
        for item in self._tabs.values():
            dpg.configure_item(item, width=icon if tight >= 3 else 0)
        top = ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)
        dpg.set_item_pos(self._tab_row, [start, top])
        dpg.set_item_pos(self._settings, [settings, top])
        dpg.set_item_pos(self._actions, [width - end - commands, ui.px((BAR_HEIGHT - GROUP_HEIGHT) / 2)])

    def lay_out(self, width: int, tabs_at: int) -> None:
        """Put the parts where they belong in a bar of ``width`` pixels; the tabs begin at ``tabs_at``, or
        further left where there is little room."""
        self._width, self._tabs_at = width, max(tabs_at, self.ui.px(200))
        self._fit()
