"""The tab Queue: jobs that wait, run and are over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    empty_state,
    enable_button,
    icon_button,
    row,
    set_text,
    style_button,
    text,
)
from stablenew_plugins.desktop.components.fields import is_in_use, put, text_field
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.menu import Entry, close_menu, open_menu
from stablenew_plugins.desktop.components.table import Drag, VirtualTable
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.plainwords import explain
from stablenew_plugins.desktop.models.queue.jobwords import ACTIVE, WAITING
from stablenew_plugins.desktop.models.queue.queue import Ended
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.queue import queuelines
from stablenew_plugins.desktop.panels.queue.queuedetails import QueueDetails
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

PAD = 20
TOOLS, BODY = 74, 106
"""Where the tools and the list begin, before scaling."""
ROW, PICTURE_ROW = 40, 52
"""Heights of rows, before scaling."""
LEAST_LIST = 160
"""Height that the list keeps; in a lower window there are no details."""


class QueuePanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        queue = bench.queue
        super().__init__(
            ui, queue, queue.queue, queue.history, queue.found, queue.runs, queue.details, bench.state
        )
        self._bench, self._queue = bench, queue
        self._tables: dict[str, VirtualTable] = {}
        self._chips: dict[str, Item] = {}
        self._filters: dict[Ended, Item] = {}
        self._empties: dict[str, Item] = {}
        self._tools: dict[str, Item] = {}
        self._in_front = ""
        self._listed: object = None
        self._reveals = 0
        self._room = (0, 0)

    # --- making ---------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui, queue = self.ui, self._queue
        text(ui, _("Queue"), "h1", pos=(ui.px(PAD), ui.px(18)))
        self._summary = text(ui, "", "small", ui.colours.muted, pos=(ui.px(PAD), ui.px(46)))
        with row(ui, 8, pos=(0, ui.px(18))) as self._head:
            dpg.add_spacer(width=1)  # the place of a row is that of its first item: one that is never hidden
            self._search = text_field(
                ui,
                queue.words,
                queue.search,
                hint=_("Search: lake steps>=30 seed=42"),
                width=240,
                show=False,
                tag="queue.search",
            )
            self._pause = button(ui, "", queue.pause.toggle, "soft", height=34, tag="queue.pause")
            self._clear = icon_button(
                ui,
                icons.TRASH_2,
                queue.clear_ended,
                _("Clear the history: forget jobs that are over. Images and files stay."),
                "soft",
                show=False,
                tag="queue.clear",
            )
        self._build_tools()
        for name in ("queue", "history", "found", "runs"):
            with area(ui, show=False, pos=(ui.px(PAD), ui.px(BODY)), tag=f"queue.empty.{name}") as empty:
                self._empties[name] = empty
        self._details = QueueDetails(ui, self._bench)
        self._details.build()
        self.resized()
        self._settle()

    def _table(self, name: str) -> VirtualTable:
        """The table called ``name``; made when it is first looked at."""
        if name not in self._tables:
            ui, queue = self.ui, self._queue
            lines = queuelines.Lines(queue, ui.colours)
            columns, line, height = {
                "queue": (queuelines.queue_columns, lines.waiting, ROW),
                "history": (queuelines.history_columns, lines.ended, PICTURE_ROW),
                "found": (queuelines.found_columns, lines.found, PICTURE_ROW),
                "runs": (queuelines.run_columns, lines.run, ROW),
            }[name]
            drag = Drag(queue.take, queue.moves.landing, queue.moves.drop, queue.let_go)
            dpg.push_container_stack("area.queue")
            try:
                table = VirtualTable(
                    ui,
                    columns(),
                    row=line,
                    select=queue.select,
                    open=queue.activate,
                    menu=self._menu,
                    sort=queue.sort,
                    order=queue.order,
                    drag=drag if name == "queue" else None,
                    row_height=height,
                    tag=f"queue.table.{name}",
                )
            finally:
                dpg.pop_container_stack()
            dpg.configure_item(table.box, show=False, pos=(ui.px(PAD - 6), ui.px(BODY)))
            self._tables[name] = table
            self.resized()
        return self._tables[name]

    def _build_tools(self) -> None:
        ui, queue = self.ui, self._queue
        with row(ui, 6, pos=(ui.px(PAD), ui.px(TOOLS))):
            for view in ("queue", "history", "runs"):
                self._chips[view] = button(
                    ui, "", partial(queue.show, view), "chip", font="small_medium", tag=f"queue.view.{view}"
                )
            dpg.add_spacer(width=ui.px(4))
            with row(ui, 6, show=False) as self._filter_row:
                for name, words in self._ended_words().items():
                    self._filters[name] = button(
                        ui,
                        words,
                        partial(queue.filter_ended, name),
                        "chip",
                        font="small_medium",
                        tag=f"queue.ended.{name}",
                    )
            self._run_chip = button(
                ui, "", partial(queue.show_run, ""), "chip_on", font="small_medium", show=False, tag="queue.run"
            )
        with row(ui, 2, pos=(0, ui.px(TOOLS - 4)), show=False) as self._tool_row:
            dpg.add_spacer(width=1)
            for tool, icon, act, tip in (
                ("top", icons.CHEVRONS_UP, queue.move_top, _("To the top (Alt+Home)")),
                ("up", icons.CHEVRON_UP, queue.move_up, _("Up (Alt+Up)")),
                ("down", icons.CHEVRON_DOWN, queue.move_down, _("Down (Alt+Down)")),
                ("bottom", icons.CHEVRONS_DOWN, queue.move_bottom, _("To the end (Alt+End)")),
                ("retry", icons.ROTATE_CW, queue.retry, _("Try again (R)")),
                ("cancel", icons.CIRCLE_STOP, queue.cancel, _("Cancel (Delete)")),
                ("menu", icons.ELLIPSIS, lambda: self._menu(0), _("More (right click)")),
            ):
                self._tools[tool] = icon_button(ui, icon, act, tip, size=30, tag=f"queue.{tool}")

    @staticmethod
    def _ended_words() -> dict[Ended, str]:
        return {"all": _("All"), "done": _("Done"), "failed": _("Failed"), "cancelled": _("Cancelled")}

    # --- up to date -----------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        queue = self._queue
        self._apply_head()
        name = self._name()
        table = self._table(name)
        # Progress changes many times a second, and what is over does not show any.
        moves = self._bench.state.revision if name in ("queue", "runs") else 0
        listed = (name, queue.rows.revision, moves, self._bench.state.stages)
        if listed != self._listed:
            self._listed = listed
            table.update(queue.rows.total)
        if name != self._in_front:
            self._in_front = name
            for other, item in self._tables.items():
                dpg.configure_item(item.box, show=other == name and queue.rows.total > 0)
            self._reveals = queue.rows.reveals
        dpg.configure_item(table.box, show=queue.rows.total > 0)
        self._apply_empty(name)
        self._apply_tools()
        if self._details.apply():
            self.resized()
        if queue.rows.reveals != self._reveals:  # behind what takes its room from the list
            self._reveals = queue.rows.reveals
            if queue.rows.cursor >= 0:
                table.reveal(queue.rows.cursor)
        if queue.to_copy:
            dpg.set_clipboard_text(queue.to_copy)
            queue.to_copy = ""
        if queue.searching:
            queue.searching = False
            dpg.focus_item("queue.search")

    def _settle(self) -> None:
        """Place again what stands at the right, once its width is known: two frames on."""
        self.ui.later(lambda: self.ui.later(self.resized))

    def _name(self) -> str:
        return "found" if self._queue.is_searching else self._queue.view

    def _apply_head(self) -> None:
        ui, queue = self.ui, self._queue
        set_text(self._summary, self._summary_words())
        enable_button(self._pause, self._bench.state.is_connected)
        label = f"{icons.PLAY}  {_('Resume')}" if queue.pause.is_on else f"{icons.PAUSE}  {_('Pause')}"
        if dpg.get_item_label(self._pause) != label:
            dpg.configure_item(self._pause, label=label)
            style_button(ui, self._pause, "primary" if queue.pause.is_on else "soft")
            self._settle()
        for view, words in queue.view_titles.items():
            if dpg.get_item_label(self._chips[view]) != words:
                dpg.configure_item(self._chips[view], label=words)
            style_button(ui, self._chips[view], "chip_on" if view == queue.view else "chip")
        history = queue.view == "history"
        dpg.configure_item(self._filter_row, show=history and not queue.is_searching)
        if dpg.is_item_shown(self._clear) != history:
            for item in (self._search, self._clear):
                dpg.configure_item(item, show=history)
            dpg.configure_item(self._pause, show=not history)
            self._settle()
        if not is_in_use(self._search):
            put(self._search, queue.words)
        for name, item in self._filters.items():
            style_button(ui, item, "chip_on" if name == queue.ended else "chip")
        dpg.configure_item(self._run_chip, show=bool(queue.run_id) and queue.view != "runs")
        if queue.run_id:
            dpg.configure_item(self._run_chip, label=f"{queue.run_name(queue.run_id)}  {icons.X}")

    def _summary_words(self) -> str:
        """As much of it as there is room for beside the buttons."""
        head = dpg.get_item_rect_size(self._head)[0]
        room = self._room[0] - self.ui.px(2 * PAD + 12) - head
        return fit(self.ui, self._queue.summary, "small", max(room, self.ui.px(120))) if head else ""

    def _apply_tools(self) -> None:
        queue = self._queue
        states = queue.states_selected()
        waiting = bool(states & set(WAITING))
        run = queue.selected_run
        if dpg.is_item_shown(self._tool_row) != bool(queue.rows.chosen):
            dpg.configure_item(self._tool_row, show=bool(queue.rows.chosen))
            self._settle()
        for name in ("top", "up", "down", "bottom"):
            dpg.configure_item(self._tools[name], show=queue.view == "queue")
            enable_button(self._tools[name], waiting)
        enable_button(self._tools["retry"], bool(states & {"failed", "cancelled"}) or bool(run and run.failed))
        active = bool(states & {*ACTIVE, *WAITING}) or (run is not None and run.state == "running")
        enable_button(self._tools["cancel"], active)
        dpg.configure_item(self._tools["retry"], show=queue.view != "queue")
        dpg.configure_item(self._tools["cancel"], show=queue.view != "history")

    def _apply_empty(self, name: str) -> None:
        """What stands where there is no row: why, and what to do."""
        rows = self._queue.rows
        shown = not rows.total
        for other, item in self._empties.items():
            dpg.configure_item(item, show=shown and other == name)
        if not shown:
            return
        action, act = self._empty_action(name)
        if rows.problem is not None:
            told = explain(rows.problem)
            icon, title, words, action = icons.CIRCLE_ALERT, told.text, told.hint or told.detail, ""
        elif not self._bench.state.is_connected:
            icon, title, words, action = (
                icons.PLUG,
                _("No kernel answers yet"),
                _("The list comes as soon as one does."),
                "",
            )
        elif not rows.loaded:
            icon, title, words, action = icons.LOADER, _("One moment"), _("The list is on its way."), ""
        else:
            icon, title, words = self._empty_words(name)
        item = self._empties[name]
        if dpg.get_item_user_data(item) == (title, words, action):
            return
        dpg.set_item_user_data(item, (title, words, action))
        dpg.delete_item(item, children_only=True)
        dpg.push_container_stack(item)
        try:
            empty_state(self.ui, icon, title, words, action, act)
        finally:
            dpg.pop_container_stack()

    def _empty_action(self, name: str) -> tuple[str, Callable[[], None]]:
        """What gets a person on from a list without a row."""
        queue = self._queue
        if name == "found":
            return _("Clear the search"), partial(queue.search, "")
        if name == "history" and queue.ended != "all":
            return _("Show all"), partial(queue.filter_ended, "all")
        if name != "runs" and queue.run_id:
            return _("Show all runs"), partial(queue.show_run, "")
        return (_("See the history") if name == "queue" else ""), partial(queue.show, "history")

    def _empty_words(self, name: str) -> tuple[str, str, str]:
        queue = self._queue
        if name in ("queue", "history") and queue.run_id:
            words = _("Only jobs of the run {name} are listed.").format(name=queue.run_name(queue.run_id))
            return icons.LAYERS, _("Nothing of this run here"), words
        if name == "history" and queue.ended != "all":
            return icons.HISTORY, _("No such job"), _("Only jobs that ended so are listed.")
        if name == "queue":
            return (
                icons.LIST_ORDERED,
                _("Nothing is queued"),
                _("Choose a prompt pack on the left and press Run: its images wait here until a node is free."),
            )
        if name == "history":
            return (
                icons.HISTORY,
                _("Nothing here yet"),
                _("Jobs that are done, failed or cancelled are listed here."),
            )
        if name == "found":
            words = _(
                "Words are looked for in prompts, models and file names; settings are compared: steps>=30, "
                "cfg_scale=7, txt2img.width>1024, seed=42."
            )
            return icons.SEARCH, _("No image fits"), words
        return icons.LAYERS, _("No run yet"), _("Each time you press Run, a run with its own folder is made.")

    def frame(self) -> None:
        """Follow the scroll bar."""
        table = self._tables[self._in_front] if self._in_front else None
        if table is None:
            return
        if self._room != self._size():
            self.resized()
        table.frame()
        self._queue.rows.look(*table.shown)
        self._details.frame()

    def _size(self) -> tuple[int, int]:
        return dpg.get_item_width("area.queue") or 0, dpg.get_item_height("area.queue") or 0

    def resized(self) -> None:
        """Give everything its place."""
        ui = self.ui
        width, height = self._room = self._size()
        if width < 2:
            return
        inner = width - 2 * ui.px(PAD)
        below = ui.px(self._details.height)
        room = height - ui.px(BODY) - ui.px(12)
        if below and room - below < ui.px(LEAST_LIST):
            below = max(0, room - ui.px(LEAST_LIST))
        body = room - (below + ui.px(12) if below else 0)
        for table in self._tables.values():
            table.resize(inner + ui.px(12), body)
        for empty in self._empties.values():
            dpg.configure_item(empty, width=inner, height=body)
        self._details.place(ui.px(PAD), height - below - ui.px(12), inner, below)
        for item, top in ((self._head, 18), (self._tool_row, TOOLS - 4)):
            wide = dpg.get_item_rect_size(item)[0]
            dpg.set_item_pos(item, [max(ui.px(PAD), width - ui.px(PAD) - int(wide)), ui.px(top)])
        set_text(self._summary, self._summary_words())

    # --- the menu -------------------------------------------------------------------------------------------

    def _menu(self, _index: int) -> None:
        queue = self._queue
        if queue.view == "runs":
            open_menu(self.ui, self._run_entries())
            return
        states = queue.states_selected()
        waiting, ended = bool(states & set(WAITING)), bool(states & {"failed", "cancelled"})
        active, done = bool(states & {*ACTIVE, *WAITING}), "done" in states
        entries = []
        if queue.view == "queue":
            entries += [
                Entry(_("Move to the top"), queue.move_top, icons.CHEVRONS_UP, "Alt+Home", waiting, "top"),
                Entry(
                    _("Move to the end"), queue.move_bottom, icons.CHEVRONS_DOWN, "Alt+End", waiting, "bottom"
                ),
                Entry(),
                Entry(_("High priority"), partial(queue.set_priority, 10), icons.ARROW_UP, "", waiting, "high"),
                Entry(_("Normal priority"), partial(queue.set_priority, 0), icons.MINUS, "", waiting, "normal"),
                Entry(
                    _("Low priority"), partial(queue.set_priority, -10), icons.ARROW_DOWN, "", waiting, "low"
                ),
                Entry(),
                Entry(_("Cancel"), queue.cancel, icons.CIRCLE_STOP, "Delete", active, "cancel"),
            ]
        else:
            entries += [
                Entry(_("Open the image"), queue.open_image, icons.IMAGE, "Enter", done, "open"),
                Entry(_("Open the folder"), queue.open_folder, icons.FOLDER_OPEN, "O", done, "folder"),
                Entry(),
                Entry(_("Try again"), queue.retry, icons.ROTATE_CW, "R", ended, "retry"),
            ]
        entries.append(Entry(_("Copy the id"), queue.copy_id, icons.COPY, "Ctrl+C", True, "copy"))
        open_menu(self.ui, entries)

    def _run_entries(self) -> list[Entry]:
        queue = self._queue
        run = queue.selected_run
        if run is None:
            return []
        runs = run.state == "running"
        return [
            Entry(_("Show its jobs"), partial(queue.show_run, run.run_id), icons.LIST, "", True, "jobs"),
            Entry(_("Open the folder"), queue.open_folder, icons.FOLDER_OPEN, "O", True, "folder"),
            Entry(
                _("Open the contact sheet"), queue.open_image, icons.IMAGES, "Enter", bool(run.files), "sheet"
            ),
            Entry(),
            Entry(_("Cancel the run"), queue.cancel, icons.CIRCLE_STOP, "Delete", runs, "cancel"),
            Entry(_("Retry what failed"), queue.retry, icons.ROTATE_CW, "R", bool(run.failed), "retry"),
            Entry(
                _("Run again, same seeds"), partial(queue.whole.again, run), icons.REFRESH_CW, "", True, "again"
            ),
            Entry(),
            Entry(_("Copy the id"), queue.copy_id, icons.COPY, "Ctrl+C", True, "copy"),
        ]

    def close(self) -> None:
        """Take away what is outside the panel."""
        close_menu()
        for table in self._tables.values():
            table.close()
