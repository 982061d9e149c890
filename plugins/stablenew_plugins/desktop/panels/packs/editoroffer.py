"""What can be meant while a name is typed in the editor: a list below the caret."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import set_text, style_card, text
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui, on
from stablenew_plugins.desktop.models.packs.completion import MOST, Completion
from stablenew_plugins.desktop.models.packs.offers import Offers
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import tint

WIDTH = 420
LINE, PAD, FOOT = 28, 6, 24
"""Heights, before scaling."""

ICONS = {
    "loras": icons.SLIDERS_HORIZONTAL,
    "embeddings": icons.TAG,
    "wildcards": icons.SHUFFLE,
    "slots": icons.GRID_2X2,
}


class OfferList:
    """See above."""

    def __init__(self, ui: Ui, offers: Offers, take: Callable[[int], None]) -> None:
        """In the current container. ``take``: the option of this place was clicked."""
        self._ui, self._offers = ui, offers
        self._drawn: Completion | None = None
        c = ui.colours
        tones = (c.pink, c.cyan, c.green, c.accent_high)
        self._tones = dict(zip(ICONS, tones, strict=True))
        with dpg.child_window(
            border=True,
            show=False,
            width=ui.px(WIDTH),
            height=10,
            pos=(0, 0),
            no_scrollbar=True,
            always_use_window_padding=True,
            tag="editor.offer",
        ) as self.item:
            style_card(ui, self.item, c.raised, c.accent_line, 10, PAD)
            look = ui.themes.theme(
                {"Header": c.accent_soft, "HeaderHovered": tint(c.accent, 60), "Text": c.text},
                {"ItemSpacing": (8, 0)},
                dpg.mvSelectable,
            )
            self._options: list[Item] = []
            self._icons: list[Item] = []
            self._names: list[Item] = []
            self._counts: list[Item] = []
            for number in range(MOST):
                y = PAD + number * LINE
                option = dpg.add_selectable(
                    callback=on(partial(take, number)),
                    width=ui.px(WIDTH - 2 * PAD),
                    height=ui.px(LINE - 2),
                    pos=(ui.px(PAD), ui.px(y)),
                    tag=f"editor.option.{number}",
                )
                dpg.bind_item_theme(option, look)
                self._options.append(option)
                at = ui.px(y + 5)
                self._icons.append(text(ui, "", "small_medium", pos=(ui.px(PAD + 8), at)))
                self._names.append(text(ui, "", "small_medium", pos=(ui.px(PAD + 32), at)))
                self._counts.append(text(ui, "", "small", c.muted, tag=f"editor.option.{number}.about"))
            self._foot = text(ui, _("Enter or Tab takes it, Esc leaves it"), "small", c.faint)

    @property
    def height(self) -> int:
        """In pixels, with what is offered now."""
        found = self._offers.completion
        return self._ui.px(2 * PAD + FOOT + (len(found.options) if found is not None else 0) * LINE)

    def apply(self) -> bool:
        """Show what is offered. False: nothing is."""
        found = self._offers.completion
        if dpg.is_item_shown(self.item) != (found is not None):
            dpg.configure_item(self.item, show=found is not None)
        if found is not None:
            if found is not self._drawn:
                self._fill(found)
            for number, item in enumerate(self._options):
                dpg.set_value(item, number == self._offers.choice)
        self._drawn = found
        return found is not None

    def _fill(self, found: Completion) -> None:
        ui = self._ui
        for number, item in enumerate(self._options):
            shown = number < len(found.options)
            for one in (item, self._icons[number], self._names[number], self._counts[number]):
                dpg.configure_item(one, show=shown)
            if not shown:
                continue
            count, first = self._offers.about(found.options[number])
            about = "  ·  ".join(part for part in (count, first) if part)
            name = fit(ui, found.options[number], "small_medium", ui.px(WIDTH * (0.5 if about else 0.85)))
            set_text(self._icons[number], ICONS.get(found.kind, ""), self._tones.get(found.kind))
            set_text(self._names[number], name)
            left = PAD + 32 + round(width_of(ui, name, "small_medium") / ui.scale) + 14
            set_text(self._counts[number], fit(ui, about, "small", ui.px(WIDTH - PAD - 8 - left)))
            dpg.set_item_pos(self._counts[number], [ui.px(left), ui.px(PAD + number * LINE + 5)])
        dpg.set_item_pos(self._foot, [ui.px(PAD + 8), ui.px(PAD + len(found.options) * LINE + 4)])
        dpg.configure_item(self.item, height=self.height)
