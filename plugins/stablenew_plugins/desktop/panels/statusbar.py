"""The bar at the bottom: what happens now."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import Bar, Dot, row, set_text, text, tooltip
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour

GAP, MARGIN = 10, 20
BAR, SHORT_BAR = 260, 110
"""Widths of how far it is, where there is room, and where there is less."""
VRAM_BAR = 84
DOT = 10
LEAST_TEXT = 300
"""Width of what is being made, before scaling, for which other things go."""
GIVEN_UP = ("speed", "long bar", "vram", "queued", "text", "eta", "bar", "nodes")
"""What goes where there is little room, in this order. ``text`` is cut before it goes."""


class StatusBar(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.status)
        self._status, self._view = bench.status, bench.view
        self._width = 0

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with row(ui, GAP, pos=(ui.px(MARGIN), ui.px(14))):
            self._dot = Dot(ui, ui.colours.faint)
            self._title = text(ui, "", "small_medium", tag="status.title")
            self._text = text(ui, "", "small", ui.colours.muted, tag="status.text")
            self._whole_text = tooltip(ui, self._text, "", width=520)
            self._start = text(ui, "", "small_medium", ui.colours.accent_high, show=False, tag="status.start")
            ui.on_click(self._start, self._start_it)
            self._start_tip = tooltip(ui, self._start, "")
            self._bar = Bar(ui, BAR)
            self._percent = text(ui, "", "small_medium", tag="status.percent")
            self._eta = text(ui, "", "small_medium", ui.colours.accent_high, tag="status.eta")
            tooltip(ui, self._eta, _("About the time until this run is made"))
            self._speed = text(ui, "", "small", ui.colours.muted, tag="status.speed")
        with row(ui, GAP, pos=(0, ui.px(14))) as self._right:
            with row(ui, GAP) as self._vram_part:
                text(ui, _("VRAM"), "small", ui.colours.muted)
                self._vram_bar = Bar(ui, VRAM_BAR, ui.colours.cyan)
                self._vram = text(ui, "", "small", ui.colours.muted, tag="status.vram")
            self._vram_tip = tooltip(ui, self._vram_part, "")
            self._queued = text(ui, "", "small", ui.colours.muted, tag="status.queued")
            tooltip(ui, self._queued, _("Images that wait for their turn. A click shows them."))
            with row(ui, GAP) as self._nodes_part:
                self._node_dot = Dot(ui, ui.colours.faint)
                self._nodes = text(ui, "", "small", ui.colours.muted, tag="status.nodes")
            self._nodes_tip = tooltip(ui, self._nodes_part, "")
        for item, tab in ((self._vram, "cluster"), (self._queued, "queue"), (self._nodes, "cluster")):
            ui.on_click(item, partial(self._view.show_tab, tab))
        self._all: dict[str, Sequence[Item]] = {
            "bar": (self._bar.item, self._percent),
            "eta": (self._eta,),
            "speed": (self._speed,),
            "vram": (self._vram_part,),
            "queued": (self._queued,),
            "nodes": (self._nodes_part,),
        }

    def apply(self) -> None:
        """Bring them up to date."""
        now, c = self._status.now, self.ui.colours
        colours: dict[str, Colour] = {
            "running": c.green,
            "stopping": c.amber,
            "paused": c.amber,
            "error": c.red,
            "starting": c.cyan,
        }
        self._dot.show(colours.get(now.state, c.faint))
        set_text(self._title, now.title)
        set_text(self._whole_text, now.text)
        start = _("Start it") if now.can_start else _("Start the queue") if now.can_resume else ""
        set_text(self._start, f"{icons.PLAY}  {start}" if start else "")
        dpg.set_value(
            self._start_tip,
            _("Start the kernel, which makes the images. What is queued goes on.")
            if now.can_start
            else _("What waits is made (Ctrl+P)"),
        )
        self._show(bool(start), self._start)
        self._bar.show(now.fraction)
        set_text(self._percent, f"{now.fraction * 100:.0f} %")
        set_text(self._eta, f"{icons.TIMER}  {now.eta}")
        set_text(self._speed, now.speed)
        self._vram_bar.show(now.vram_fraction, c.red if now.vram_fraction > 0.92 else c.cyan)
        set_text(self._vram, now.vram)
        dpg.set_value(
            self._vram_tip,
            "\n".join((_("Memory of the GPUs that is in use, of all nodes together"), *now.vram_by_node)),
        )
        set_text(self._queued, f"{icons.LIST_ORDERED}  {now.queued}")
        self._node_dot.show(c.green if now.nodes_good else c.amber)
        set_text(self._nodes, now.nodes)
        dpg.set_value(
            self._nodes_tip, "\n".join(now.node_states) or _("No node is in touch: nothing can be made.")
        )
        self._fit()

    def _start_it(self) -> None:
        if self._status.now.can_start:
            self._status.start_kernel()
        else:
            self._status.start_queue()

    def _show(self, shown: bool, *items: Item) -> None:
        for item in items:
            if dpg.is_item_shown(item) != shown:
                dpg.configure_item(item, show=shown)

    # --- what there is room for -----------------------------------------------------------------------------

    def _parts(self) -> dict[str, int]:
        """How wide all is that there is to say now, but the title and what is being made."""
        ui, now = self.ui, self._status.now
        gap = ui.px(GAP)

        def wide(item: Item, font: str = "small") -> int:
            return text_width(ui, dpg.get_value(item), font) + gap

        parts: dict[str, int] = {}
        if now.state in ("running", "stopping"):
            short = ui.px(SHORT_BAR) + gap + wide(self._percent, "small_medium")
            parts["bar"] = short
            parts["long bar"] = ui.px(BAR) - ui.px(SHORT_BAR)
        if now.eta:
            parts["eta"] = wide(self._eta, "small_medium")
        if now.speed:
            parts["speed"] = wide(self._speed)
        if now.vram:
            parts["vram"] = text_width(ui, _("VRAM"), "small") + gap + ui.px(VRAM_BAR) + gap + wide(self._vram)
        if now.queued:
            parts["queued"] = wide(self._queued)
        if now.nodes:
            parts["nodes"] = ui.px(DOT) + gap + wide(self._nodes)
        return parts

    def _fit(self) -> None:
        """Say as much as there is room for, and put the right part at the right end."""
        ui, now, c = self.ui, self._status.now, self.ui.colours
        if not self._width:
            return
        parts = self._parts()
        gap = ui.px(GAP)
        title = ui.px(DOT) + 2 * gap + text_width(ui, now.title, "small_medium")
        if dpg.is_item_shown(self._start):
            title += text_width(ui, dpg.get_value(self._start), "small_medium") + gap
        room = self._width - 2 * ui.px(MARGIN) - title - gap
        words = text_width(ui, now.text, "small") + gap if now.text else 0
        failed = now.state == "error"  # why nothing works matters more than how much there is of what does
        least = min(words, room if failed else ui.px(LEAST_TEXT))
        gone: set[str] = set()
        for name in GIVEN_UP:
            if sum(parts.values()) - sum(parts.get(one, 0) for one in gone) + least <= room:
                break
            gone.add(name)
            if name == "text" and not failed:
                least = 0
        used = sum(width for name, width in parts.items() if name not in gone)
        self._bar.resize(SHORT_BAR if "long bar" in gone else BAR)
        told = bool(now.text) and (failed or "text" not in gone)
        short = fit(ui, now.text, "small", max(0, room - used - gap))
        self._show(told, self._text)
        set_text(self._text, short, c.red if now.state == "error" else c.muted)
        for name, items in self._all.items():
            self._show(name in parts and name not in gone, *items)
        at_right = ("vram", "queued", "nodes")
        width = sum(parts[name] for name in at_right if name in parts and name not in gone)
        dpg.set_item_pos(self._right, [self._width - width + gap - ui.px(MARGIN), ui.px(14)])

    def lay_out(self, width: int) -> None:
        """Fill a bar of ``width`` pixels."""
        self._width = width
        self._fit()
        self.ui.later(self._fit)  # how wide texts are is known behind the first frame
