"""The bar below the grid: where one is, stars, tags, and what is done with what is chosen."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Stars,
    button,
    card,
    column,
    enable_button,
    icon_button,
    row,
    set_text,
    space,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.ratecard import TagChips
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.review import ReviewModel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import PAD_CARD

GAP = 8
ICON = 34
PAD = 11
"""Above and below, before scaling."""


class RateBar:
    """See above. Two lines; more while all tags are shown."""

    def __init__(self, ui: Ui, review: ReviewModel) -> None:
        self._ui, self._review = ui, review
        self._width = 0
        self._tags = TagChips(ui, "learning.tags", review.toggle_tag, review.add_tag, folds=True)

    def build(self) -> None:
        """Make it in the current container."""
        ui, review = self._ui, self._review
        with card(ui, (PAD_CARD, PAD), tag="learning.foot"), column(ui, 10, tag="learning.footrows"):
            with row(ui, GAP):
                self._place = text(ui, "", "medium", beside_frame=True, tag="learning.place")
                icon_button(
                    ui,
                    icons.X,
                    review.clear_selection,
                    _("Choose nothing (Esc)"),
                    show=False,
                    tag="learning.none",
                )
                self._left = space(ui, 0, 10)
                self._stars = Stars(ui, review.rate, "learning.star")
                button(
                    ui,
                    "",
                    lambda: review.set_moves_on(not review.moves_on),
                    "ghost",
                    icon=icons.SKIP_FORWARD,
                    font="icon",
                    width=ICON,
                    height=30,
                    tag="learning.moves",
                )
                self._moves_tip = tooltip(ui, "learning.moves", "")
                self._right = space(ui, 0, 10)
                button(
                    ui,
                    _("Compare"),
                    review.compare,
                    "soft",
                    icon=icons.COLUMNS_2,
                    tip=_("Side by side (C)"),
                    tag="learning.compare",
                )
                button(
                    ui,
                    _("Promote"),
                    review.promote,
                    "soft",
                    icon=icons.WAND_SPARKLES,
                    tip=_("Send what is chosen through further stages (P)"),
                    tag="learning.promote",
                )
                button(ui, "", review.promote_keepers, "soft", icon=icons.HEART, tag="learning.keepers")
                tooltip(
                    ui, "learning.keepers", _("Send all images with four stars or more through further stages")
                )
            self._tags.build()

    def place(self, width: int) -> None:
        """Give it so many pixels."""
        self._width = width
        dpg.configure_item("learning.foot", width=width)

    @property
    def height(self) -> int:
        """In pixels; known behind its first frame."""
        # A card as high as what is in it tells no size: what is in it does.
        inner = dpg.get_item_rect_size("learning.footrows")[1]
        return int(inner or self._ui.px(70)) + 2 * self._ui.px(PAD)

    def apply(self) -> None:
        """Bring it up to date."""
        ui, review = self._ui, self._review
        chosen = len(review.selected)
        place = many("{n} chosen", "{n} chosen", chosen) if chosen else review.place
        set_text(self._place, place, ui.colours.accent_high if chosen else ui.colours.text)
        dpg.configure_item("learning.none", show=chosen > 0)
        targets = review.targets
        common = review.common
        if common.stars != self._stars.stars:
            self._stars.show(common.stars)
        style_button(ui, "learning.moves", "lit" if review.moves_on else "ghost")
        moves = (
            _("A rating moves on to the next image: on")
            if review.moves_on
            else _("A rating moves on to the next image: off")
        )
        set_text(self._moves_tip, moves)
        inner = self._width - 2 * ui.px(PAD_CARD)
        self._tags.show(review.ratings.tags, common.tags, inner, review.letters)
        enable_button("learning.keepers", review.keepers > 0)
        enable_button("learning.promote", bool(targets))
        enable_button("learning.compare", review.total > 1)
        self._lay_out(inner, place, chosen > 0)

    def _lay_out(self, inner: int, place: str, chosen: bool) -> None:
        """The stars in the middle, as far as there is room."""
        ui, review = self._ui, self._review
        gap = ui.px(GAP)
        stars_wide = 5 * ui.px(32) + 4 * ui.px(2) + gap + ui.px(ICON)
        words = text_width(ui, place, "medium") + ((gap + ui.px(ICON)) if chosen else 0)
        keepers = many("{n} keeper", "{n} keepers", review.keepers)
        long = {
            "compare": f"{icons.COLUMNS_2}  {_('Compare')}",
            "promote": f"{icons.WAND_SPARKLES}  {_('Promote')}",
            "keepers": f"{icons.HEART}  {keepers}",
        }
        short = {
            "compare": icons.COLUMNS_2,
            "promote": icons.WAND_SPARKLES,
            "keepers": f"{icons.HEART} {review.keepers}",
        }
        free = 0
        for labels in (long, short):  # where there is no room for words, the icons say it
            buttons = sum(text_width(ui, label, "medium") + 2 * ui.px(10) for label in labels.values())
            free = inner - words - stars_wide - buttons - 6 * gap
            for name, label in labels.items():
                dpg.configure_item(f"learning.{name}", label=label)
            if free >= 0:
                break
        left = max(0, min((inner - stars_wide) // 2 - words - gap, free))
        dpg.configure_item(self._left, width=max(1, left))
        dpg.configure_item(self._right, width=max(1, free - left))
