"""The card at the top of the tab Prompt: the packs that will run, with their rows, or a prompt that is written
here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    badge,
    button,
    card,
    checkbox,
    column,
    icon_button,
    label,
    row,
    set_text,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import put, text_field
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.randomizer import ROWS_SHOWN, PackRows
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.packs.packlist import face_of
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

LISTED = 6
"""Rows of a pack that are seen at a time; the others scroll."""
LINE = 28
"""Height of one."""
HEAD = 42
"""Height of the line of a pack."""
FIELD = 130
"""Width of the field that says which rows run."""


class _PackLines:
    """One pack: its name, which rows run, and the rows themselves when they are opened."""

    def __init__(self, ui: Ui, bench: Workbench, place: int, pack: PackRows, width: int) -> None:
        self._ui, self._randomizer = ui, bench.randomizer
        self._tag = f"prompt.pack.{place}"
        self._width, self._pack = width, pack
        self._listed: Sequence[str] = ()
        self._boxes: dict[int, Item] = {}
        with column(ui, 6):
            self._head()
            with dpg.group(show=False, tag=f"{self._tag}.rows") as self._list:
                pass

    def _head(self) -> None:
        ui = self._ui
        with strip(ui, self._width, ui.px(HEAD)):
            icon, tone = face_of(self._pack.source.title, ui.colours)
            with dpg.group(pos=(0, ui.px(3))):  # a drawing itself cannot be placed
                badge(ui, icon, tone, 36)
            name = text(ui, self._pack.source.title, "medium")
            put_at(name, ui.px(48), ui.px(3))
            tooltip(ui, name, self._pack.source.key)
            self._sub = text(ui, "", "small", ui.colours.muted, tag=f"{self._tag}.sub")
            put_at(self._sub, ui.px(48), ui.px(23))
            self._sub_tip = tooltip(ui, self._sub, "", width=360)
            right = self._width - ui.px(34)
            self._open = icon_button(
                ui, icons.CHEVRON_DOWN, self._toggle, _("Show its prompts"), tag=f"{self._tag}.open"
            )
            put_at(self._open, right, ui.px(4))
            field = text_field(
                ui,
                self._randomizer.rows_text(self._pack),
                self._write,
                hint=_("all, or 1-3, 7"),
                width=FIELD,
                tag=f"{self._tag}.field",
            )
            self._field = field
            right -= ui.px(FIELD + 10)
            put_at(field, right, ui.px(4))
            tooltip(ui, field, _("Which of its prompts run: 1-3, 7. Empty: all of them."))
            words = label(ui, _("Prompts"))
            put_at(words, right - ui.px(60), ui.px(14))

    def _write(self, words: str) -> None:
        self._randomizer.write_rows(self._pack, words)

    def _toggle(self) -> None:
        shown = not dpg.is_item_shown(self._list)
        dpg.configure_item(self._list, show=shown)
        dpg.configure_item(self._open, label=icons.CHEVRON_UP if shown else icons.CHEVRON_DOWN)
        if shown:
            self._fill()

    def show(self, pack: PackRows) -> None:
        """Bring it up to date."""
        self._pack = pack
        c, randomizer = self._ui.colours, self._randomizer
        running = randomizer.rows_of(pack)
        problem = pack.problem or randomizer.rows_problem(pack)
        if not pack.count and not problem:
            words = _("Looking into it …")
        elif problem:
            words = problem
        elif len(running) == pack.count:
            words = many("{n} prompt", "{n} prompts", pack.count)
        else:
            words = _("{n} of {count} prompts").format(n=len(running), count=f"{pack.count:,}")
        room = max((self._width - self._ui.px(290)) // self._ui.px(6.6), 12)
        short = words if len(words) <= room else words[: room - 1] + "…"
        set_text(self._sub, short, c.red if problem else c.muted)
        dpg.set_value(self._sub_tip, words)
        put(self._field, randomizer.rows_text(pack))
        if dpg.is_item_shown(self._list):
            self._fill()

    def _fill(self) -> None:
        texts = [row.positive for row in self._pack.rows]
        if texts != self._listed:
            self._listed = texts
            dpg.delete_item(self._list, children_only=True)
            self._boxes.clear()
            dpg.push_container_stack(self._list)
            try:
                self._list_rows()
            finally:
                dpg.pop_container_stack()
        running = set(self._randomizer.rows_of(self._pack))
        for number, box in self._boxes.items():
            put(box, number in running)

    def _list_rows(self) -> None:
        ui, c = self._ui, self._ui.colours
        rows = self._pack.rows
        height = min(len(rows), LISTED) * ui.px(LINE) + ui.px(16)
        with card(ui, (10, 8), c.inset, c.line_soft, 8, width=self._width, height=height) as frame:
            dpg.configure_item(frame, no_scrollbar=False)
            for one in rows:
                with strip(ui, self._width - ui.px(34), ui.px(LINE)):
                    box = checkbox(
                        ui,
                        True,
                        partial(self._choose, one.number),
                        pos=(0, ui.px(3)),
                        tag=f"{self._tag}.row.{one.number}",
                    )
                    self._boxes[one.number] = box
                    number = text(ui, f"{one.number}", "small", c.faint)
                    put_at(number, ui.px(32), ui.px(6))
                    words = text(ui, " ".join(one.positive.split()), "small")
                    put_at(words, ui.px(62), ui.px(6))
                    full = (
                        f"{one.positive}\n\n{_('Negative')}: {one.negative}" if one.negative else one.positive
                    )
                    tooltip(ui, words, full)
            if self._pack.count > ROWS_SHOWN:
                more = _("The first {n} of {count} prompts. Choose others with the field above.")
                text(ui, more.format(n=ROWS_SHOWN, count=f"{self._pack.count:,}"), "small", ui.colours.muted)

    def _choose(self, number: int, runs: bool) -> None:
        self._randomizer.choose_row(self._pack, number, runs)


class WhatRunsCard:
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._width = ui.px(800)
        self._lines: list[_PackLines] = []
        self._keys: Sequence[tuple[str, int]] | None = None

    def build(self) -> None:
        """Make the items."""
        ui, quick = self._ui, self._bench.randomizer.quick
        with card(ui, tag="prompt.runs") as self._card, column(ui, 10):
            with row(ui, 6):
                self._packs_chip = button(
                    ui,
                    "",
                    partial(quick.open, False),
                    "chip_on",
                    font="small_medium",
                    tag="prompt.show.packs",
                )
                self._write_chip = button(
                    ui,
                    f"{icons.PENCIL}  {_('Write a prompt')}",
                    partial(quick.open, True),
                    "chip",
                    font="small_medium",
                    tag="prompt.show.quick",
                )
                self._note = text(ui, "", "small", ui.colours.amber, beside_frame=21)
                self._instead = button(
                    ui,
                    _("Run it instead"),
                    self._clear_packs,
                    "chip",
                    font="small_medium",
                    tag="prompt.quick.instead",
                    show=False,
                )
            with dpg.group() as self._packs:
                pass
            with dpg.group() as self._quick, column(ui, 8):
                self._positive = text_field(
                    ui,
                    quick.positive,
                    quick.write,
                    lines=5,
                    mono=True,
                    tag="prompt.quick",
                )
                self._hint = text(
                    ui,
                    _(
                        "What is to be seen, in a few words or many. {red|green} takes one of two, "
                        "__hair__ one of a list."
                    ),
                    "small",
                    ui.colours.faint,
                    wrap=ui.px(760),
                )
                label(ui, _("Not in the picture"))
                self._negative = text_field(
                    ui,
                    quick.negative,
                    quick.write_negative,
                    hint=_("blurry, watermark, extra fingers"),
                    mono=True,
                    tag="prompt.quick.negative",
                )
                self._comments = text(
                    ui, _("Lines that begin with # are left out."), "small", ui.colours.amber, show=False
                )

    def _clear_packs(self) -> None:
        packs = self._bench.packs
        for path in list(packs.selected):
            packs.toggle(path)

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        self._width = width - self._ui.px(34)
        dpg.configure_item(self._card, width=width)
        for field in (self._positive, self._negative):
            dpg.configure_item(field, width=self._width)
        dpg.configure_item(self._hint, wrap=self._width)
        if self._keys is not None:
            self._keys = None
            self.apply()

    def apply(self) -> None:
        """Bring it up to date."""
        ui, bench, randomizer = self._ui, self._bench, self._bench.randomizer
        quick, selected = randomizer.quick, len(bench.packs.selected)
        writes = quick.is_open or not selected
        for item, lit in ((self._packs_chip, not writes), (self._write_chip, writes)):
            style_button(ui, item, "chip_on" if lit else "chip")
        words = many("{n} selected pack", "{n} selected packs", selected)
        dpg.configure_item(self._packs_chip, label=f"{icons.FILE_TEXT}  {words}", show=bool(selected))
        waits = writes and bool(selected)
        set_text(self._note, _("Packs are selected, so they run and this waits.") if waits else "")
        dpg.configure_item(self._instead, show=waits)
        dpg.configure_item(self._packs, show=not writes)
        dpg.configure_item(self._quick, show=writes)
        dpg.configure_item(self._comments, show=quick.has_comments)
        put(self._positive, quick.positive)
        put(self._negative, quick.negative)
        packs = [pack for pack in randomizer.packs if pack.source.written is None] if selected else []
        keys = [(pack.source.key, self._width) for pack in packs]
        if keys != self._keys:
            self._keys = keys
            self._make(packs)
        for lines, pack in zip(self._lines, packs, strict=True):
            lines.show(pack)

    def _make(self, packs: Sequence[PackRows]) -> None:
        dpg.delete_item(self._packs, children_only=True)
        dpg.push_container_stack(self._packs)
        try:
            self._lines = [
                _PackLines(self._ui, self._bench, place, pack, self._width) for place, pack in enumerate(packs)
            ]
        finally:
            dpg.pop_container_stack()
