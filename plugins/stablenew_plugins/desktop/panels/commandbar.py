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
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.view import TABS, tab_titles
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import BAR_HEIGHT, CONTROL_HEIGHT, NONE, WHITE

TAB_ICONS = {
    "prompt": icons.TYPE,
    "pipeline": icons.WORKFLOW,
    "queue": icons.LIST_ORDERED,
    "cluster": icons.SERVER,
    "learning": icons.GRADUATION_CAP,
}
NARROW = 1360
"""Below this width, before scaling, tabs are icons."""
TIGHT = 900
"""Below this one all buttons are, but for the one that runs."""
RUN_WIDTH, TIGHT_RUN_WIDTH = 186, 88


class CommandBar(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.view, bench.run, bench.state)
        self._bench = bench
        self._tabs: dict[str, Item] = {}
        self._narrow: bool | None = None
        self._tight = False
        self._width = 0
        self._placed = -1

    def build(self) -> None:
        """Make the items."""
        ui, bench = self.ui, self._bench
        top = ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)
        with row(ui, 12, pos=(ui.px(20), top)):
            side = ui.px(34)
            with dpg.drawlist(side, side):
                c = ui.colours
                dpg.draw_rectangle((0, 0), (side, side), rounding=ui.px(10), fill=c.accent_low, color=NONE)
                logo = dpg.draw_text((ui.px(6.5), ui.px(5.5)), icons.LAYERS, color=WHITE, size=ui.px(20))
                dpg.bind_item_font(logo, ui.fonts["icon_large"])
            self._name = text(ui, "StableNew", "logo", beside_frame=True)
        with row(ui, 4, pos=(ui.px(316), top)) as self._tab_row:
            for tab in TABS:
                self._tabs[tab] = button(
                    ui,
                    "",
                    partial(bench.view.show_tab, tab),
                    "tab",
                    height=CONTROL_HEIGHT,
                    tag=f"tab.{tab}",
                )
        with row(ui, 8, pos=(0, top)) as self._actions:
            icon_button(
                ui,
                icons.SETTINGS,
                lambda: bench.view.open("settings"),
                _("Settings (Ctrl+,)"),
                tag="bar.settings",
            )
            self._mode = button(
                ui,
                "",
                self._switch_mode,
                "ghost",
                height=CONTROL_HEIGHT,
                tag="bar.mode",
                tip=_("Run at once, or collect runs first and start them together."),
            )
            self._pause = icon_button(ui, icons.PAUSE, bench.run.toggle_pause, "", "soft", tag="bar.pause")
            self._pause_tip = tooltip(ui, self._pause, "")
            self._stop = button(
                ui,
                _("Stop"),
                bench.run.stop,
                "danger",
                icon=icons.SQUARE,
                height=CONTROL_HEIGHT,
                tag="bar.stop",
                tip=_("Stop the run that is being made (Ctrl+.)"),
            )
            self._add = icon_button(
                ui,
                icons.PLUS,
                bench.run.run_next,
                _("Queue it before all others"),
                "soft",
                tag="bar.next",
            )
            self._run = button(
                ui,
                "",
                bench.run.run,
                "primary",
                height=CONTROL_HEIGHT,
                width=RUN_WIDTH,
                tag="bar.run",
            )
            self._run_tip = tooltip(ui, self._run, "")
        tooltip(ui, self._name, _("StableNew"))

    def apply(self) -> None:
        """Bring them up to date."""
        ui, bench = self.ui, self._bench
        for tab, item in self._tabs.items():
            style_button(ui, item, "tab_on" if tab == bench.view.tab else "tab")
        self._label_tabs()
        run = bench.run
        collects = run.queue_mode == "collect"
        sign, mode = (icons.LAYERS, _("Collect")) if collects else (icons.ZAP, _("Run at once"))
        dpg.configure_item(self._mode, label=self._label(sign, mode))
        dpg.configure_item(self._stop, label=self._label(icons.SQUARE, _("Stop")))
        paused = run.is_paused
        dpg.configure_item(self._pause, label=icons.PLAY if paused else icons.PAUSE)
        dpg.set_value(
            self._pause_tip, _("Start the queue (Ctrl+P)") if paused else _("Pause the queue (Ctrl+P)")
        )
        style_button(ui, self._pause, "chip_on" if paused else "soft")
        enable_button(self._stop, run.can_stop)
        enable_button(self._add, run.can_run)
        icon = icons.LIST_ORDERED if collects else icons.PLAY
        words = (_("Add") if collects else _("Run")) if self._tight else run.label
        width = ui.px(TIGHT_RUN_WIDTH if self._tight else RUN_WIDTH)
        dpg.configure_item(self._run, label=f"{icon}  {words}", width=width)
        enable_button(self._run, run.can_run)
        tip = run.why_not or _("Everything that is switched on, for all selected packs (Ctrl+Enter)")
        dpg.set_value(self._run_tip, f"{run.label}. {tip}" if self._tight and not run.why_not else tip)

    def _label(self, icon: str, words: str) -> str:
        """Of a button, as far as there is room."""
        return icon if self._tight else f"{icon}  {words}"

    def _switch_mode(self) -> None:
        self._bench.run.choose_mode("run" if self._bench.run.queue_mode == "collect" else "collect")

    def _label_tabs(self) -> None:
        titles = tab_titles()
        queue = self._bench.state.queue
        waiting = queue.queued + queue.active if queue is not None else 0
        for tab, item in self._tabs.items():
            words = "" if self._narrow else f"  {titles[tab]}"
            count = f"  {waiting:,}" if tab == "queue" and waiting and not self._tight else ""
            dpg.configure_item(item, label=f"{TAB_ICONS[tab]}{words}{count}")

    def lay_out(self, width: int, tabs_at: int) -> None:
        """Put the parts where they belong in a bar of ``width`` pixels; the tabs begin at ``tabs_at``."""
        ui = self.ui
        top = ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)
        narrow = width < ui.px(NARROW)
        if narrow != self._narrow:
            self._narrow = narrow
            dpg.configure_item(self._name, show=not narrow)
            self._label_tabs()
        tight = width < ui.px(TIGHT)
        if tight != self._tight:
            self._tight = tight
            self.apply()
        dpg.set_item_pos(self._tab_row, [ui.px(74) if narrow else max(tabs_at, ui.px(200)), top])
        self._width = width
        self.frame()

    def frame(self) -> None:
        """Keep the buttons at the right end: how wide they are is known only when they have been drawn."""
        ui = self.ui
        actions = dpg.get_item_rect_size(self._actions)[0] or ui.px(520)
        left = max(ui.px(300), self._width - actions - ui.px(16))
        if self._width and left != self._placed:
            self._placed = left
            dpg.set_item_pos(self._actions, [left, ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)])
