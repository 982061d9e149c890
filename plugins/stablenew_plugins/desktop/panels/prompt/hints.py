"""What is worth a word, as a list of lines with an icon; nothing while there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import button, card, column, row, space, text
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.hints import Hint
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour, tint

MOST = 6
"""Lines; of more the first ones."""


class HintList:
    """See above."""

    def __init__(self, ui: Ui, forget: Callable[[str], None]) -> None:
        """``forget``: takes a change back, by its setting."""
        self._ui, self._forget = ui, forget
        self._shown: Sequence[Hint] | None = None
        self._width = 400
        self._card: Item = 0

    def build(self) -> None:
        """Make the place for it."""
        with dpg.group(show=False) as self._card:
            pass

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        self._width = width
        shown, self._shown = self._shown, None
        if shown is not None:
            self.apply(shown)

    def apply(self, hints: Sequence[Hint]) -> None:
        """Show ``hints``: errors first."""
        order = {"error": 0, "warning": 1, "info": 2}
        hints = sorted(hints, key=lambda hint: order[hint.level])
        if hints == self._shown:
            return
        self._shown = hints
        dpg.delete_item(self._card, children_only=True)
        dpg.configure_item(self._card, show=bool(hints))
        if not hints:
            return
        dpg.push_container_stack(self._card)
        try:
            self._fill(hints)
        finally:
            dpg.pop_container_stack()

    def _fill(self, hints: Sequence[Hint]) -> None:
        ui = self._ui
        colour = self._colour(hints[0].level)
        with card(ui, (14, 11), tint(colour, 20), tint(colour, 70), width=self._width), column(ui, 7):
            for number, hint in enumerate(hints[:MOST]):
                with row(ui, 9):
                    icon = icons.INFO if hint.level == "info" else icons.TRIANGLE_ALERT
                    text(ui, icon, "body", self._colour(hint.level))
                    room = self._width - ui.px(64) - (ui.px(90) if hint.forget else 0)
                    text(ui, hint.text, "small", wrap=room, tag=f"prompt.hint.{number}")
                    if hint.forget:
                        button(
                            ui, _("Forget it"), partial(self._forget, hint.forget), "chip", font="small_medium"
                        )
            if len(hints) > MOST:
                more = many("and {n} more", "and {n} more", len(hints) - MOST)
                with row(ui, 9):
                    space(ui, 0, 15)
                    text(ui, more, "small", ui.colours.muted)

    def _colour(self, level: str) -> Colour:
        colours = self._ui.colours
        return {"error": colours.red, "warning": colours.amber}.get(level, colours.cyan)
