"""The overlay of the prompt editor."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    card,
    column,
    enable_button,
    icon_button,
    row,
    set_text,
    text,
)
from stablenew_plugins.desktop.components.codetext import CodeText
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.packs.packtexts import KINDS, Kind
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.packs.editoroffer import WIDTH as OFFERED
from stablenew_plugins.desktop.panels.packs.editoroffer import OfferList
from stablenew_plugins.desktop.panels.packs.editorrows import RowList
from stablenew_plugins.desktop.panels.packs.editorsamples import BAR, SampleList
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

WIDTH, HEIGHT = 1240, 860
ROWS_WIDTH = 288
PAD_X, PAD_Y = 22, 20
"""Of the overlay."""
HEAD, FOOT = 66, 52
BESIDES = 168
"""Height of what stands around the two texts and the samples."""
SHARES: dict[Kind, tuple[float, float]] = {"positive": (0.36, 0.62), "negative": (0.14, 0.2)}
"""How much of the rest a text has at least, and at most."""


class EditorPanel(Panel):
    """Rows at the left, texts and what a run makes of them at the right."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.editor)
        self._bench, self._model = bench, bench.editor
        self._bar_shown = ""
        self._model.open_pack(bench.packs.current)
        self.build()

    # --- building -------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui, model = self.ui, self._model
        path = model.path
        self._overlay = Overlay(
            ui,
            fit(ui, path.stem, "h1", ui.px(700)) if path is not None else _("Edit prompts"),
            self._bench.view.close,
            width=WIDTH,
            height=HEIGHT,
            sub=str(path or _("Choose a pack first.")),
            tag="editor",
        )
        left, top = ui.px(PAD_X), ui.px(PAD_Y + HEAD)
        width = self._overlay.width - 2 * left
        height = self._overlay.height - top - ui.px(FOOT) - ui.px(PAD_Y)
        rows_width = ui.px(ROWS_WIDTH)
        with self._overlay:
            with area(
                ui, tag="editor.left", pos=(left, top), width=rows_width, height=height, no_scrollbar=True
            ):
                self._build_rows(rows_width, height)
            x, wide = left + rows_width + ui.px(18), width - rows_width - ui.px(18)
            with area(ui, tag="editor.right", pos=(x, top), width=wide + ui.px(BAR), height=height):
                self._build_texts(wide, height)
            self._build_foot(left, self._overlay.height - ui.px(FOOT) - ui.px(PAD_Y) + ui.px(16), width)
            self._offer = OfferList(ui, self._model.offers, self._take)
        self.apply()
        ui.later(lambda: self._focus("positive"))

    def _build_rows(self, width: int, height: int) -> None:
        ui, model = self.ui, self._model
        self._count = text(ui, "", "micro", ui.colours.faint)
        with dpg.group(pos=(0, ui.px(22))):
            self._rows = RowList(ui, model, width, height - ui.px(22 + 44))
        with row(ui, 4, pos=(0, height - ui.px(38))):
            button(
                ui,
                _("Add row"),
                model.add_row,
                icon=icons.PLUS,
                height=34,
                tag="editor.add",
                tip=_("A new row below (Ctrl+Shift+N)"),
            )
            self._row_buttons = [
                icon_button(ui, icon, act, tip, tag=f"editor.{name}")
                for name, icon, act, tip in (
                    ("duplicate", icons.COPY, model.duplicate_row, _("Duplicate the row (Ctrl+D)")),
                    ("up", icons.ARROW_UP, partial(model.move_row, -1), _("Move it up (Alt+Shift+Up)")),
                    ("down", icons.ARROW_DOWN, partial(model.move_row, 1), _("Move it down (Alt+Shift+Down)")),
                    ("remove", icons.TRASH_2, model.remove_row, _("Take it out (Ctrl+Shift+D)")),
                )
            ]
            self._undo = icon_button(
                ui,
                icons.UNDO_2,
                model.undo_rows,
                _("Undo the last change of rows (Ctrl+Shift+Z)"),
                tag="editor.undo",
            )

    def _build_texts(self, width: int, height: int) -> None:
        ui, c = self.ui, self.ui.colours
        self._right = width
        titles: dict[Kind, str] = {"positive": _("PROMPT"), "negative": _("NEGATIVE PROMPT")}
        hints: dict[Kind, str] = {
            "positive": _("What is to be seen.  __ wildcards   [[ slots   <lora:   embedding:"),
            "negative": _("What must not be there"),
        }
        self._titles: dict[Kind, Item] = {}
        self._tokens: dict[Kind, Item] = {}
        self._problems: dict[Kind, Item] = {}
        self._fields: dict[Kind, CodeText] = {}
        self._heights: dict[Kind, int] = {}
        self._room = height - ui.px(BESIDES)
        with column(ui, 7):
            for kind in KINDS:
                with row(ui, 10):
                    self._titles[kind] = text(ui, titles[kind], "micro", c.faint, beside_frame=13)
                    self._tokens[kind] = text(ui, "", "small", c.muted, tag=f"editor.tokens.{kind}")
                self._fields[kind] = CodeText(
                    ui,
                    self._model.texts[kind],
                    partial(self._model.typed, kind),
                    partial(self._key, kind),
                    tag=f"editor.{kind}",
                    hint=hints[kind],
                )
                self._fields[kind].resize(width, round(SHARES[kind][0] * self._room))
                self._problems[kind] = text(
                    ui, "", "small", c.amber, wrap=width, show=False, tag=f"editor.problems.{kind}"
                )
                dpg.add_spacer(height=ui.px(2))
            self._samples = SampleList(ui, self._model, width)

    def _height_of(self, kind: Kind) -> int:
        """As high as its text, within bounds. What the samples do not need the prompt has."""
        least, most = SHARES[kind]
        wanted: float = self._fields[kind].wanted_height
        if kind == "positive" and "negative" in self._heights:
            wanted = max(wanted, self._room - self._heights["negative"] - self._samples.wanted_height)
        return round(min(max(wanted, least * self._room), most * self._room))

    def _grow(self) -> None:
        for kind in reversed(KINDS):
            height = self._height_of(kind)
            if height != self._heights.get(kind):
                self._heights[kind] = height
                self._fields[kind].resize(self._right, height)

    def _build_foot(self, left: int, top: int, width: int) -> None:
        ui, model, c = self.ui, self._model, self.ui.colours
        with row(ui, 8, pos=(left, top)) as self._state:
            self._dot = text(ui, "", "small", c.amber, beside_frame=True, tag="editor.state")
        with row(ui, 8, pos=(left + width - ui.px(344), top)) as self._foot:
            self._revert = button(
                ui,
                _("Revert"),
                model.revert,
                "ghost",
                icon=icons.ROTATE_CCW,
                height=34,
                width=100,
                tag="editor.revert",
                tip=_("Forget what is not saved"),
            )
            button(ui, _("Close"), self._bench.view.close, height=34, width=90, tag="editor.leave")
            self._save = button(
                ui,
                _("Save"),
                model.save,
                "primary",
                icon=icons.SAVE,
                height=34,
                width=138,
                tag="editor.save",
                tip=_("Ctrl+S"),
            )
        # What is asked stands over the foot: a file that changed meanwhile, closing without having saved.
        with card(
            ui,
            (12, 5),
            c.raised,
            c.accent_line,
            10,
            pos=(left, top - ui.px(8)),
            width=width,
            height=ui.px(42),
            show=False,
            tag="editor.bar",
        ) as self._bar:
            pass

    # --- keys -----------------------------------------------------------------------------------------------

    def _key(self, kind: Kind, keys: str) -> bool:
        model, offers = self._model, self._model.offers
        if offers.completion is not None and offers.completing == kind:
            if keys in ("Up", "Down"):
                offers.move(-1 if keys == "Up" else 1)
                return True
            if keys in ("Enter", "Tab"):
                return model.accept()
        if keys in ("Tab", "Shift+Tab"):
            self._focus("negative" if kind == "positive" else "positive")
            return True
        return keys == "Enter"

    def _take(self, number: int) -> None:
        kind, found = self._model.offers.completing, self._model.completion
        if found is not None and number < len(found.options):
            self._model.accept(number)
        self._focus(kind)

    def _focus(self, kind: Kind) -> None:
        if dpg.does_item_exist(self._overlay.item):
            self._fields[kind].focus()

    # --- showing --------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        model, c = self._model, self.ui.colours
        self._rows.apply()
        set_text(self._count, many("{n} ROW", "{n} ROWS", len(model.rows)))
        for item in self._row_buttons:
            enable_button(item, model.row is not None)
        enable_button(self._undo, model.can_undo_rows)
        for kind in KINDS:
            self._apply_text(kind)
        self._samples.apply()
        self._apply_offer()
        dirty = model.is_dirty
        enable_button(self._save, dirty and not model.is_saving and model.conflict is None)
        enable_button(self._revert, dirty)
        if model.problem:
            set_text(
                self._dot, f"{icons.OCTAGON_ALERT}  {fit(self.ui, model.problem, 'small', self._right)}", c.red
            )
        elif model.is_loading:
            set_text(self._dot, _("Reading …"), c.muted)
        elif model.is_saving:
            set_text(self._dot, _("Saving …"), c.muted)
        elif dirty:
            set_text(self._dot, f"{icons.CIRCLE_DOT}  {_('Not saved yet')}", c.amber)
        else:
            set_text(self._dot, f"{icons.CHECK}  {_('Saved')}" if model.row is not None else "", c.green)
        self._apply_bar()

    def _apply_text(self, kind: Kind) -> None:
        model, c = self._model, self.ui.colours
        readings = model.readings
        self._fields[kind].show(readings.pieces(kind), readings.marks(kind))
        set_text(self._tokens[kind], readings.tokens(kind), c.amber if readings.is_long(kind) else c.muted)
        found = readings.lines(kind) if readings.is_fresh(kind) else []
        worst = any(severity == "error" for severity, _text in found)
        mark = icons.OCTAGON_ALERT if worst else icons.TRIANGLE_ALERT
        lines = [f"{mark}  {words}" for _severity, words in found[:3]]
        set_text(self._problems[kind], "\n".join(lines), c.red if worst else c.amber)
        if dpg.is_item_shown(self._problems[kind]) != bool(lines):
            dpg.configure_item(self._problems[kind], show=bool(lines))

    def _apply_offer(self) -> None:
        if not self._offer.apply():
            return
        ui, height = self.ui, self._offer.height
        x, y = self._fields[self._model.offers.completing].caret_place
        origin = dpg.get_item_pos(self._overlay.item)
        room = self._overlay.width - ui.px(OFFERED + PAD_X)
        below = y - origin[1] + ui.px(2)
        if below + height > self._overlay.height:
            below = max(0, below - height - ui.px(30))
        dpg.set_item_pos(self._offer.item, [min(x - origin[0], room), below])

    def _apply_bar(self) -> None:
        model = self._model
        kind = "conflict" if model.conflict is not None else "close" if model.asks_to_close else ""
        if kind == self._bar_shown:
            return
        self._bar_shown = kind
        self.ui.later(self._build_bar)

    def _build_bar(self) -> None:
        if not dpg.does_item_exist(self._bar):
            return
        kind, ui, model = self._bar_shown, self.ui, self._model
        dpg.configure_item(self._bar, show=bool(kind))
        for item in (self._state, self._foot):
            dpg.configure_item(item, show=not kind)
        dpg.delete_item(self._bar, children_only=True)
        if not kind:
            return
        words = {
            "conflict": _("Somebody else changed this file meanwhile."),
            "close": _("There are changes that are not saved."),
        }[kind]
        dpg.push_container_stack(self._bar)
        try:
            with row(ui, 8):
                text(ui, f"{icons.TRIANGLE_ALERT}  {words}", "medium", ui.colours.amber, beside_frame=True)
                if kind == "conflict":
                    button(
                        ui,
                        _("Keep both"),
                        model.keep_mine,
                        "primary",
                        tag="editor.keep",
                        tip=_("Yours on top of theirs; nothing is written before you save"),
                    )
                    button(ui, _("Reload, without mine"), model.take_theirs, "danger", tag="editor.reload")
                else:
                    button(ui, _("Save and close"), model.save_and_close, "primary", tag="editor.saveclose")
                    button(ui, _("Discard them"), model.discard_and_close, "danger", tag="editor.discard")
                    button(ui, _("Stay"), model.stay, "ghost", tag="editor.stay")
        finally:
            dpg.pop_container_stack()

    def frame(self) -> None:
        """Texts take what is typed; rows follow the scroll bar."""
        for kind, field in self._fields.items():
            field.frame()
            if field.has_focus:
                self._model.active = kind
        self._grow()
        self._rows.frame()

    def close(self) -> None:
        """Take it away."""
        for field in self._fields.values():
            field.close()
        self._overlay.close()
