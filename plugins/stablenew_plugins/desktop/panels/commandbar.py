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
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.menu import Entry, open_menu
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
TIGHTEST = 5
"""How little room there can be. 0: all is said; 1: the tabs stand right behind the name; 2: they are icons; 3:
so is Stop; 4: the logo goes; 5: Run is an icon too, and the pause is in the menu alone."""
TAB_GAP, BUTTON_GAP = 4, 8
SPLIT = 2
"""Between Run and the button beside it, which belongs to it."""
MORE_WIDTH = 34
RUN_WIDTH, STOP_WIDTH = 164, 104
"""Before scaling, at least: so that the bar stands still while what they say changes."""
MENU_WIDTH, MENU_KEYS = 330, 130


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
        with row(ui, BUTTON_GAP, pos=(0, top), tag="bar.commands") as self._actions:
            self._build_commands()
        tooltip(ui, self._name, _("StableNew"))

    def _build_commands(self) -> None:
        ui, run = self.ui, self._bench.run
        self._pause = icon_button(
            ui, icons.PAUSE, run.pause.toggle, "", "ghost", CONTROL_HEIGHT, tag="bar.pause"
        )
        self._pause_tip = tooltip(ui, self._pause, "")
        with dpg.group() as around:  # an item that is disabled shows no tooltip
            self._stop = button(ui, "", run.stop, "danger", height=CONTROL_HEIGHT, tag="bar.stop")
        self._stop_tip = tooltip(ui, around, "")
        with row(ui, SPLIT):
            with dpg.group() as around:
                self._run = button(ui, "", run.run, "primary", height=CONTROL_HEIGHT, tag="bar.run")
            self._run_tip = tooltip(ui, around, "")
            self._more = button(
                ui,
                icons.CHEVRON_DOWN,
                self._open_menu,
                "primary",
                font="icon",
                width=MORE_WIDTH,
                height=CONTROL_HEIGHT,
                tip=_("Run next, add to the queue, and whether runs start at once"),
                tag="bar.more",
            )

    def apply(self) -> None:
        """Bring them up to date."""
        ui, bench = self.ui, self._bench
        for tab, item in self._tabs.items():
            style_button(ui, item, "tab_on" if tab == bench.view.tab else "tab")
        run = bench.run
        paused = run.pause.is_on
        dpg.configure_item(self._pause, label=icons.PLAY if paused else icons.PAUSE)
        dpg.set_value(
            self._pause_tip, _("Start the queue (Ctrl+P)") if paused else _("Pause the queue (Ctrl+P)")
        )
        style_button(ui, self._pause, "lit" if paused else "ghost")
        enable_button(self._pause, bench.state.is_connected)
        enable_button(self._stop, run.can_stop)
        dpg.set_value(
            self._stop_tip,
            _("Stop the run that is being made (Ctrl+.). What is finished stays.")
            if run.can_stop
            else _("It stops as soon as the image that is being made allows it.")
            if run.is_stopping
            else _("Nothing runs."),
        )
        enable_button(self._run, run.can_run)
        style_button(ui, self._more, "primary" if run.can_run else "soft")
        dpg.set_value(self._run_tip, run.why_not or self._what_run_does())
        if self._width:
            self._fit()

    def _what_run_does(self) -> str:
        if self._bench.run.queue_mode == "collect":
            return _("The next run waits in the queue until you start it (Ctrl+Enter)")
        return _("Everything that is switched on, for all selected packs (Ctrl+Enter)")

    def _open_menu(self) -> None:
        run = self._bench.run
        collects = run.queue_mode == "collect"
        on, off = icons.CIRCLE_DOT, icons.CIRCLE
        entries = [
            Entry(_("Run next"), run.run_next, icons.CHEVRONS_UP, "Ctrl+Shift+Enter", run.can_run, name="next"),
            Entry(_("Add to queue"), run.add_to_queue, icons.PLUS, "Ctrl+Alt+Enter", run.can_run, name="add"),
            Entry(),
            Entry(_("QUEUE MODE"), heading=True),
            Entry(
                _("Runs start at once"),
                partial(run.choose_mode, "run"),
                off if collects else on,
                "Ctrl+Shift+P" if collects else "",
                name="mode.run",
            ),
            Entry(
                _("Runs wait until I start them"),
                partial(run.choose_mode, "collect"),
                on if collects else off,
                "" if collects else "Ctrl+Shift+P",
                name="mode.collect",
            ),
            Entry(),
            Entry(
                _("Start the queue") if run.pause.is_on else _("Pause the queue"),
                run.pause.toggle,
                icons.PLAY if run.pause.is_on else icons.PAUSE,
                "Ctrl+P",
                name="pause",
            ),
            Entry(_("Stop every run"), run.stop_all, icons.SQUARE, enabled=run.can_stop, name="stop_all"),
        ]
        ui = self.ui
        left = self._width - ui.px(MENU_WIDTH + 16 + 2 * 8)
        open_menu(ui, entries, MENU_WIDTH, MENU_KEYS, (max(0, left), ui.px(BAR_HEIGHT - 4)))

    # --- what there is room for -----------------------------------------------------------------------------

    def _words(self, tight: int) -> dict[Item, str]:
        """What stands on each button that has words, the tighter the fewer: see :data:`TIGHTEST`."""
        queue = self._bench.state.queue
        waiting = queue.queued + queue.active if queue is not None else 0
        words = {}
        for tab, item in self._tabs.items():
            title = "" if tight >= 2 else f"  {tab_titles()[tab]}"
            count = f"  {waiting:,}" if tab == "queue" and waiting and tight < 4 else ""
            words[item] = f"{TAB_ICONS[tab]}{title}{count}"
        run = self._bench.run
        stop = _("Stopping") if run.is_stopping else _("Stop")
        words[self._stop] = icons.SQUARE if tight >= 3 else f"{icons.SQUARE}  {stop}"
        icon = icons.PLUS if run.queue_mode == "collect" else icons.PLAY
        words[self._run] = icon if tight >= TIGHTEST else f"{icon}  {run.label}"
        return words

    def _widths(self, words: dict[Item, str], tight: int) -> tuple[int, dict[Item, int]]:
        """Pixels that all tabs take, and those of each command."""
        ui = self.ui
        pad, icon = 2 * ui.px(10), ui.px(CONTROL_HEIGHT)
        each = {item: max(icon, text_width(ui, shown, "medium") + pad) for item, shown in words.items()}
        tabs = sum(each[item] for item in self._tabs.values()) + ui.px(TAB_GAP) * (len(self._tabs) - 1)
        run, stop = each[self._run], each[self._stop]
        commands = {
            self._stop: icon if tight >= 3 else max(stop, ui.px(STOP_WIDTH)) if tight < 2 else stop,
            self._run: icon if tight >= TIGHTEST else max(run, ui.px(RUN_WIDTH)) if tight < 3 else run,
        }
        if tight < TIGHTEST:
            commands[self._pause] = icon
        return tabs, commands

    def _fit(self) -> None:
        """Say as much as there is room for, and put all in its place."""
        ui, width = self.ui, self._width
        gap, end, icon = ui.px(12), ui.px(16), ui.px(CONTROL_HEIGHT)
        behind_name = ui.px(20 + 34 + 12 + 12) + text_width(ui, _("StableNew"), "logo")
        starts = (max(self._tabs_at, behind_name), behind_name, ui.px(74), ui.px(74), ui.px(10), ui.px(10))
        for tight, start in enumerate(starts):
            words = self._words(tight)
            tabs, commands = self._widths(words, tight)
            room = sum(commands.values()) + ui.px(BUTTON_GAP) * (len(commands) - 1)
            at = width - end - room - ui.px(SPLIT) - ui.px(MORE_WIDTH)
            settings = at - ui.px(BUTTON_GAP) - icon
            if start + tabs + gap <= settings:
                break
        placed = (tight, tuple(words.values()), tuple(commands.values()), start, settings)
        if placed == self._placed:
            return
        self._placed = placed
        for item, shown in words.items():
            dpg.configure_item(item, label=shown)
        for item, wide in commands.items():
            dpg.configure_item(item, width=wide)
        dpg.configure_item(self._name, show=tight < 2)
        dpg.configure_item(self._logo, show=tight < 4)
        dpg.configure_item(self._pause, show=tight < TIGHTEST)
        for item in self._tabs.values():
            dpg.configure_item(item, width=icon if tight >= 4 else 0)
        top = ui.px((BAR_HEIGHT - CONTROL_HEIGHT) / 2)
        dpg.set_item_pos(self._tab_row, [start, top])
        dpg.set_item_pos(self._settings, [settings, top])
        dpg.set_item_pos(self._actions, [at, top])

    def lay_out(self, width: int, tabs_at: int) -> None:
        """Put the parts where they belong in a bar of ``width`` pixels; the tabs begin at ``tabs_at``, or
        further left where there is little room."""
        self._width, self._tabs_at = width, tabs_at
        self._fit()
