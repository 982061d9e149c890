"""Cards at the end of the tab Pipeline that tell of other tabs: what varies, and which runs come next."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Dot,
    badge,
    button,
    card,
    column,
    draw_words,
    set_text,
    text,
)
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.glance import Glance, VaryingLine, glance
from stablenew_plugins.desktop.models.queue.upnext import SHOWN, Waiting
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, Colour

PAD = 16
HEAD, LINE = 36, 34
TOKEN, MODE, COUNT = 140, 84, 48
"""Widths of the columns beside the options, before scaling."""
NARROW = 480
"""Below it there is no column that says how an option is chosen."""
CHIP, CHIP_PAD, CHIP_GAP = 22, 10, 6
LONGEST_CHIP = 20
"""Letters."""
NEXT = 22
"""Height of a line of a run."""


class RandomizerGlance:
    """What varies, to be read. A click goes to where it is changed."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._width = ui.px(600)
        self._shown: object = None

    def build(self) -> None:
        """Make the items, in the container that is current."""
        ui, c = self._ui, self._ui.colours
        with card(ui, (PAD, 15), tag="pipeline.randomizer") as self._card, column(ui, 8):
            with strip(ui, self._width, ui.px(HEAD)) as self._head:
                with dpg.group() as self._badge_on:
                    badge(ui, icons.SHUFFLE, c.green)
                with dpg.group(show=False) as self._badge_off:
                    badge(ui, icons.SHUFFLE, c.faint)
                for item in (self._badge_on, self._badge_off):
                    put_at(item, 0, 0)
                self._title = text(ui, _("Randomizer"), "h2")
                put_at(self._title, ui.px(50), ui.px(0))
                self._summary = text(ui, "", "small", c.muted, tag="pipeline.randomizer.summary")
                put_at(self._summary, ui.px(50), ui.px(21))
                self._open = button(
                    ui,
                    _("Change"),
                    self._go,
                    "soft",
                    icon=icons.SHUFFLE,
                    font="small_medium",
                    tip=_("Opens the tab Prompt (Ctrl+1)"),
                    tag="pipeline.randomizer.open",
                )
            self._drawing = dpg.add_drawlist(10, 10, show=False)
            ui.on_click(self._drawing, self._go)

    def _go(self) -> None:
        self._bench.view.show_tab("prompt")

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        self._width = width
        self.apply()

    def apply(self) -> None:
        """Bring it up to date."""
        found = glance(self._bench.randomizer, self._bench.run.plan.images)
        wide = width_of(self._ui, f"{icons.SHUFFLE}  {_('Change')}", "small_medium") + 2 * self._ui.px(10)
        if (shown := (found, self._width, wide)) == self._shown:
            return
        self._shown = shown
        ui, c = self._ui, self._ui.colours
        inner = self._width - 2 * ui.px(PAD)
        dpg.configure_item(self._card, width=self._width)
        dpg.configure_item(self._head, width=inner)
        dpg.configure_item(self._badge_on, show=found.is_on)
        dpg.configure_item(self._badge_off, show=not found.is_on)
        set_text(self._title, _("Randomizer"), c.text if found.is_on else c.muted)
        put_at(self._open, inner - wide, ui.px(4))
        room = inner - wide - ui.px(50 + 12)
        set_text(self._summary, fit(ui, found.summary, "small", room), c.muted if found.is_on else c.faint)
        self._draw(found, inner)

    def _draw(self, found: Glance, inner: int) -> None:
        ui, c = self._ui, self._ui.colours
        height = len(found.lines) * ui.px(LINE) + (ui.px(20) if found.more else 0)
        dpg.delete_item(self._drawing, children_only=True)
        dpg.configure_item(self._drawing, width=max(inner, 1), height=max(height, 1), show=bool(found.lines))
        for place, line in enumerate(found.lines):
            top = place * ui.px(LINE)
            if place:
                dpg.draw_line((0, top), (inner, top), color=c.line_soft, parent=self._drawing)
            self._line(line, top, inner)
        if found.more:
            self._words((0, len(found.lines) * ui.px(LINE) + ui.px(4)), found.more, "small", c.faint)

    def _line(self, line: VaryingLine, top: int, inner: int) -> None:
        ui, c = self._ui, self._ui.colours
        right = inner - ui.px(COUNT)
        self._words((right + ui.px(8), top + ui.px(9)), f"× {line.count:,}", "small_medium", c.text)
        if inner > ui.px(NARROW):
            right -= ui.px(MODE)
            mode = fit(ui, line.mode, "small", ui.px(MODE - 8))
            self._words((right + ui.px(8), top + ui.px(9)), mode, "small", c.muted)
        font = "small_medium" if line.is_setting else "mono"
        title = fit(ui, line.title, font, ui.px(TOKEN - 10))
        self._words((0, top + ui.px(9)), title, font, c.accent_high)
        x = ui.px(TOKEN)
        left = line.count
        for option in line.options:
            words = option.strip() or _("(nothing)")
            words = words if len(words) <= LONGEST_CHIP else words[: LONGEST_CHIP - 1] + "…"
            wide = self._chip_width(words)
            kept = self._chip_width(f"+ {left - 1:,}") + ui.px(CHIP_GAP) if left > 1 else 0
            if x + wide + kept > right:
                break
            self._chip(words, x, top, wide)
            x += wide + ui.px(CHIP_GAP)
            left -= 1
        if left:
            words = f"+ {left:,}"
            self._chip(words, x, top, self._chip_width(words))

    def _chip_width(self, words: str) -> int:
        return round(width_of(self._ui, words, "small_medium")) + 2 * self._ui.px(CHIP_PAD)

    def _chip(self, words: str, x: int, top: int, wide: int) -> None:
        ui, c = self._ui, self._ui.colours
        y = top + ui.px((LINE - CHIP) / 2)
        dpg.draw_rectangle(
            (x, y),
            (x + wide, y + ui.px(CHIP)),
            rounding=ui.px(CHIP) / 2,
            color=c.line,
            fill=NONE,
            parent=self._drawing,
        )
        self._words((x + ui.px(CHIP_PAD), y + ui.px(3)), words, "small_medium", c.muted)

    def _words(self, place: tuple[float, float], words: str, font: str, colour: Colour) -> None:
        draw_words(self._ui, self._drawing, place, words, colour, font)


class UpNext:
    """The first runs with images that wait."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._width = ui.px(600)
        self._shown: object = None

    def build(self) -> None:
        """Make the items, in the container that is current."""
        ui, c = self._ui, self._ui.colours
        with (
            card(ui, (PAD, 13), background=c.inset, border=c.line_soft, tag="pipeline.upnext") as self._card,
            strip(ui, self._width, ui.px(NEXT)) as self._strip,
        ):
            put_at(text(ui, _("UP NEXT"), "micro", c.faint), 0, ui.px(1))
            self._lines = [_Next(ui, number) for number in range(SHOWN)]
            self._rest = text(ui, "", "small", c.faint, tag="pipeline.upnext.rest")
            self._open = button(
                ui,
                _("Open queue"),
                self._go,
                "soft",
                icon=icons.LIST_ORDERED,
                font="small_medium",
                tip=_("Opens the tab Queue (Ctrl+3)"),
                tag="pipeline.upnext.open",
            )

    def _go(self) -> None:
        self._bench.queue.show("queue")
        self._bench.view.show_tab("queue")

    def frame(self) -> None:
        """Somebody looks."""
        self._bench.upnext.look()

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        self._width = width
        self.apply()

    def apply(self) -> None:
        """Bring it up to date."""
        ui, model = self._ui, self._bench.upnext
        words = f"{icons.LIST_ORDERED}  {_('Open queue')}"
        wide = width_of(ui, words, "small_medium") + 2 * ui.px(10)
        rest = model.problem or model.more or ("" if model.runs else _("Nothing waits."))
        if (shown := (model.runs, rest, self._width, wide)) == self._shown:
            return
        self._shown = shown
        inner = self._width - 2 * ui.px(PAD)
        room = inner - wide - ui.px(16)
        top = ui.px(20)
        for place, line in enumerate(self._lines):
            run = model.runs[place] if place < len(model.runs) else None
            line.show(run, top, room)
            top += ui.px(NEXT) if run is not None else 0
        set_text(self._rest, fit(ui, rest, "small", room), ui.colours.red if model.problem else None)
        dpg.configure_item(self._rest, show=bool(rest))
        put_at(self._rest, 0, top + ui.px(2))
        top += ui.px(NEXT) if rest else 0
        height = max(top, ui.px(28))
        dpg.configure_item(self._card, width=self._width)
        dpg.configure_item(self._strip, width=inner, height=height)
        put_at(self._open, inner - wide, (height - ui.px(28)) / 2)


class _Next:
    """A line of a run."""

    def __init__(self, ui: Ui, number: int) -> None:
        self._ui = ui
        with dpg.group(show=False) as self._place:  # a drawing can't be put anywhere by itself
            self._dot = Dot(ui, ui.colours.amber)
        self._name = text(ui, "", "small_medium", tag=f"pipeline.upnext.{number}", show=False)
        self._note = text(ui, "", "small", ui.colours.muted, tag=f"pipeline.upnext.{number}.note", show=False)

    def show(self, run: Waiting | None, top: int, room: float) -> None:
        """Show ``run`` at ``top``, in ``room`` pixels; None: nothing."""
        ui, c = self._ui, self._ui.colours
        for item in (self._place, self._name, self._note):
            dpg.configure_item(item, show=run is not None)
        if run is None:
            return
        self._dot.show(c.cyan if run.works else c.amber)
        put_at(self._place, 0, top + ui.px(1))
        left = ui.px(20)
        count = f"  ·  {run.count}"
        most = max(room - left - width_of(ui, count, "small_medium"), ui.px(60))
        name = fit(ui, run.name, "small_medium", most) + count
        set_text(self._name, name)
        put_at(self._name, left, top + ui.px(2))
        left += round(width_of(ui, name, "small_medium")) + ui.px(12)
        note = fit(ui, run.note, "small", room - left) if room - left > ui.px(50) else ""
        set_text(self._note, note)
        put_at(self._note, left, top + ui.px(2))
