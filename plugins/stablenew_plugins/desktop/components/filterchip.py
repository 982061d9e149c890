"""A choice that looks like a chip: as wide as what it shows, and lit while it asks for something."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.fields import is_in_use
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui, on_value
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import measured, size_of
from stablenew_plugins.desktop.theme.tokens import NONE, RADIUS_CHIP

FONT = "small_medium"
HEIGHT, SIDE, GAP = 28, 11, 6
"""Before scaling: its height, what is left of its text, and between the text and the arrow."""
CHEVRON = icons.CHEVRON_DOWN + "   "
"""With what is right of it. What is called a label stands behind a combo, at a distance: here at one that puts
it inside."""


class FilterChip:
    """See above. One of several values, of which "" asks for nothing."""

    def __init__(self, ui: Ui, tag: str, change: Callable[[str], None]) -> None:
        """``change`` gets the value that was chosen. The item is ``tag``."""
        self._ui, self._tag, self._change = ui, tag, change
        self._choices: dict[str, str] = {}
        self._seen: tuple[object, ...] = ()
        self._chevron = measured(CHEVRON, FONT, ui.scale)

    def build(self) -> Item:
        """Make it in the current container."""
        ui = self._ui
        item = dpg.add_combo(
            [],
            label=CHEVRON,
            callback=on_value(self._chosen),
            height_mode=dpg.mvComboHeight_Large,
            no_arrow_button=True,
            width=ui.px(60),
            tag=self._tag,
        )
        dpg.bind_item_font(item, ui.fonts[FONT])
        return item

    def natural_width(self, words: str) -> int:
        """In pixels, with ``words`` uncut."""
        ui = self._ui
        return round(width_of(ui, words, FONT)) + ui.px(SIDE) + ui.px(GAP) + self._chevron + 1

    def show(self, choices: Mapping[str, str], value: str, words: str, width: int, *, lit: bool) -> None:
        """Offer ``choices`` (what stands for each value), of which ``value`` is the one; show ``words`` in
        ``width`` pixels."""
        ui = self._ui
        if self._choices != choices:
            self._choices = dict(choices)
            dpg.configure_item(self._tag, items=list(choices.values()))
        seen = (value, words, width, lit)
        if seen == self._seen or is_in_use(self._tag):
            return
        self._seen = seen
        dpg.configure_item(self._tag, width=width)
        room = width - ui.px(SIDE) - ui.px(GAP) - self._chevron
        dpg.set_value(self._tag, fit(ui, words, FONT, room))
        c = ui.colours
        inside = -self._chevron / ui.scale
        colours = {
            "FrameBg": c.accent_soft if lit else NONE,
            "FrameBgHovered": c.accent_soft if lit else c.raised,
            "FrameBgActive": c.raised,
            "Text": c.accent_high if lit else c.muted,
            "Border": c.accent_line if lit else c.line,
        }
        measures: dict[str, float | tuple[float, float]] = {
            "FramePadding": (SIDE, (HEIGHT - size_of(FONT)) / 2),
            "FrameRounding": RADIUS_CHIP,
            "ItemInnerSpacing": (inside, 6),
        }
        dpg.bind_item_theme(self._tag, ui.themes.theme(colours, measures, dpg.mvCombo))

    def _chosen(self, shown: str) -> None:
        self._seen = ()  # what the combo shows is the line that was chosen, in full
        self._change(next((value for value, words in self._choices.items() if words == shown), ""))
