"""The bar at the bottom: what happens now."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import Bar, Dot, row, set_text, text, tooltip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour

LONGEST_TEXT = 64
"""Characters of what is being made; the rest is in the Queue tab."""
ERROR_ROOM = 260
"""Of the width, before scaling, what an error must leave free: it alone has the bar to itself."""
LETTER = 6.4
"""Width of a small letter on average, before scaling."""


TIGHT = 900
"""Below this width of the window, before scaling, only the most important things are shown."""
TIGHT_TEXT = 26
"""Letters of the text then."""


class StatusBar(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.status)
        self._status = bench.status
        self._width = 0

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with row(ui, 10, pos=(ui.px(20), ui.px(14))):
            self._dot = Dot(ui, ui.colours.faint)
            self._title = text(ui, "", "small_medium", tag="status.title")
            self._text = text(ui, "", "small", ui.colours.muted, tag="status.text")
            self._whole_text = tooltip(ui, self._text, "", width=520)
            words = f"{icons.PLAY}  {_('Start it')}"
            self._start = text(
                ui, words, "small_medium", ui.colours.accent_high, show=False, tag="status.start"
            )
            ui.on_click(self._start, lambda: self._status.start_kernel())
            tooltip(ui, self._start, _("Start the kernel, which makes the images. What is queued goes on."))
            self._bar = Bar(ui, 260)
            self._percent = text(ui, "", "small_medium", tag="status.percent")
            self._eta = text(ui, "", "small_medium", ui.colours.accent_high, tag="status.eta")
            self._speed = text(ui, "", "small", ui.colours.muted, tag="status.speed")
        with row(ui, 10, pos=(0, ui.px(14))) as self._right:
            self._vram_label = text(ui, _("VRAM"), "small", ui.colours.muted)
            self._vram_bar = Bar(ui, 84, ui.colours.cyan)
            self._vram = text(ui, "", "small", ui.colours.muted, tag="status.vram")
            self._queued = text(ui, "", "small", ui.colours.muted, tag="status.queued")
            self._node_dot = Dot(ui, ui.colours.faint)
            self._nodes = text(ui, "", "small", ui.colours.muted, tag="status.nodes")

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
        tight = self._tight
        room = TIGHT_TEXT if tight else LONGEST_TEXT
        if now.state == "error" and not now.nodes:
            room = max(room, int((self._width / self.ui.scale - ERROR_ROOM) / LETTER))
        short = now.text if len(now.text) <= room else now.text[: room - 1] + "…"
        set_text(self._whole_text, now.text)
        set_text(self._text, short, c.red if now.state == "error" else c.muted)
        self._show(now.can_start, self._start)
        busy = now.state in ("running", "stopping")
        self._show(busy and not tight, self._bar.item)
        self._show(busy, self._percent)
        self._bar.show(now.fraction)
        set_text(self._percent, f"{now.fraction * 100:.0f} %")
        self._show(bool(now.eta), self._eta)
        set_text(self._eta, f"{icons.TIMER}  {now.eta}")
        self._show(bool(now.speed) and not tight, self._speed)
        set_text(self._speed, now.speed)
        self._show(bool(now.vram) and not tight, self._vram_label, self._vram_bar.item, self._vram)
        self._vram_bar.show(now.vram_fraction, c.red if now.vram_fraction > 0.92 else c.cyan)
        set_text(self._vram, now.vram)
        self._show(bool(now.queued), self._queued)
        set_text(self._queued, f"{icons.LIST_ORDERED}  {now.queued}")
        self._show(bool(now.nodes), self._node_dot.item, self._nodes)
        self._node_dot.show(c.green if now.nodes_good else c.amber)
        set_text(self._nodes, now.nodes)
        self.ui.later(self._place)

    def _show(self, shown: bool, *items: Item) -> None:
        for item in items:
            if dpg.is_item_shown(item) != shown:
                dpg.configure_item(item, show=shown)

    def lay_out(self, width: int) -> None:
        """Put the right part at the right end of ``width`` pixels."""
        before, self._width = self._tight, width
        if self._tight != before:
            self.apply()
        self.ui.later(self._place)

    @property
    def _tight(self) -> bool:
        return self._width < self.ui.px(TIGHT)

    def _place(self) -> None:
        if dpg.does_item_exist(self._right):
            size = dpg.get_item_rect_size(self._right)[0]
            dpg.set_item_pos(self._right, [max(0, self._width - size - self.ui.px(20)), self.ui.px(14)])
