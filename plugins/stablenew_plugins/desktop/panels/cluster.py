"""The tab Cluster: a card a node."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    card,
    column,
    empty_state,
    icon_button,
    row,
    set_text,
    space,
    text,
    within,
)
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.cluster import NodeCard
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.nodecard import NodeCardView
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, RADIUS

PAD = 20
TOP = 64
LEAST_CARD = 326
"""Width of a card, at least; there are as many beside each other as fit."""
GAP_CARDS = 14
CARDS_A_FRAME = 2
"""That are made in one frame when the tab is first looked at: all at once would hold it up."""


class ClusterPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.cluster, bench.state)
        self._bench, self._cluster = bench, bench.cluster
        self._views: dict[str, NodeCardView] = {}
        self._arranged: tuple[object, ...] = ()
        self._room = (0, 0)
        self._to_make: list[tuple[Item, NodeCard, int]] = []
        """Cards that are still to be made: before which item, of which node, and how wide."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        text(ui, _("Cluster"), "h1", pos=(ui.px(PAD), ui.px(18)))
        self._summary = text(ui, "", "small", ui.colours.muted, pos=(ui.px(PAD), ui.px(46)))
        with area(ui, pos=(ui.px(PAD), ui.px(TOP)), tag="cluster.area") as self._area:
            pass
        self.resized()

    def apply(self) -> None:
        """Bring them up to date."""
        cluster = self._cluster
        set_text(
            self._summary, cluster.summary if self._bench.state.is_connected else _("No kernel answers yet.")
        )
        shapes = tuple(
            (card.node_id, len(card.gpus), card.offline, cluster.open.get(card.node_id))
            for card in cluster.cards
        )
        arranged = (
            self._columns(),
            self._card_width(),
            shapes,
            cluster.command,
            self._bench.state.is_connected,
        )
        if arranged != self._arranged:
            self._arranged = arranged
            self._arrange()
        for shown in cluster.cards:
            if (view := self._views.get(shown.node_id)) is not None:
                view.apply(shown)

    def frame(self) -> None:
        """Show previews that have come."""
        if self._room != self._size():
            self.resized()
        if self._to_make:
            self._make_some(CARDS_A_FRAME)
        for view in self._views.values():
            view.frame()

    def _size(self) -> tuple[int, int]:
        return dpg.get_item_width("area.cluster") or 0, dpg.get_item_height("area.cluster") or 0

    def resized(self) -> None:
        """As many cards beside each other as fit."""
        width, height = self._room = self._size()
        ui = self.ui
        dpg.configure_item(
            self._area, width=max(1, width - ui.px(PAD)), height=max(1, height - ui.px(TOP) - ui.px(8))
        )
        if self._arranged and self._arranged[:2] != (self._columns(), self._card_width()):
            self.apply()

    def _inner(self) -> int:
        return self._room[0] - self.ui.px(2 * PAD)

    def _columns(self) -> int:
        gap = self.ui.px(GAP_CARDS)
        fitting = max(1, (self._inner() + gap) // (self.ui.px(LEAST_CARD) + gap))
        return min(fitting, len(self._cluster.cards) + 1)  # and how to add one

    def _card_width(self) -> int:
        columns = self._columns()
        return max(self.ui.px(200), (self._inner() - self.ui.px(GAP_CARDS) * (columns - 1)) // columns)

    def _arrange(self) -> None:
        """Make the cards anew: nodes, lists or the room for them changed. At first some a frame, and nothing is
        shown before there are all; later at once, so that nothing flickers."""
        ui = self.ui
        is_first = not self._views
        scroll = dpg.get_y_scroll(self._area)
        focused = next((i for i, view in self._views.items() if view.is_typing()), None)
        dpg.delete_item(self._area, children_only=True)
        for view in self._views.values():
            view.close()
        self._views, self._to_make = {}, []
        columns, width = self._columns(), self._card_width()
        cards = self._cluster.cards
        # Where the columns are as long as each other, below the last one: who is away has a small card.
        place = len(cards) % columns or (columns - 1 if cards else 0)
        dpg.push_container_stack(self._area)
        try:
            if not cards:
                self._nobody()
            with row(ui, GAP_CARDS):
                for number in range(columns):
                    with column(ui, GAP_CARDS):
                        dpg.add_spacer(width=width, height=0)
                        place_of_cards = dpg.add_spacer(height=0, show=False)
                        self._to_make += [(place_of_cards, shown, width) for shown in cards[number::columns]]
                        if number == place:
                            self._how_to_add(width)
            space(ui, 8)
        finally:
            dpg.pop_container_stack()
        dpg.configure_item(self._area, show=not (is_first and self._to_make))
        if not is_first:
            self._make_some(len(self._to_make))
        dpg.set_y_scroll(self._area, scroll)
        if focused is not None and focused in self._views:
            self._views[focused].focus()

    def _make_some(self, count: int) -> None:
        """Make so many of the cards that are missing."""
        now = {card.node_id: card for card in self._cluster.cards}
        for place, shown, width in self._to_make[:count]:
            view = NodeCardView(self.ui, self._cluster, shown, width)
            around = dpg.add_group(parent=dpg.get_item_parent(place), before=place)
            within(around, view.build)
            self._views[shown.node_id] = view
            view.apply(now.get(shown.node_id, shown))
        del self._to_make[:count]
        if not self._to_make:
            dpg.configure_item(self._area, show=True)

    def _nobody(self) -> None:
        ui = self.ui
        connected = self._bench.state.is_connected
        if connected:
            words = _(
                "Nothing can be made before one is. The kernel starts one on its own machine, unless that is "
                "switched off in the settings (local_agent)."
            )
            settings = partial(self._bench.view.open, "settings")
            empty_state(ui, icons.SERVER, _("No node is there"), words, _("Settings"), settings)
        else:
            words = _("The nodes are shown as soon as one does.")
            empty_state(ui, icons.PLUG, _("No kernel answers yet"), words)
        space(ui, 10)

    def _how_to_add(self, width: int) -> None:
        ui, c, cluster = self.ui, self.ui.colours, self._cluster
        wrap = width - ui.px(36)
        with card(ui, background=NONE, width=width, tag="cluster.add"), column(ui, 10):
            with row(ui, 8):
                text(ui, icons.PLUS, "body", c.accent_high)
                text(ui, _("Add a node"), "h2")
            text(
                ui,
                _("For another GPU or server of this machine, type in a terminal:"),
                "small",
                c.muted,
                wrap=wrap,
            )
            self._command(cluster.command, width, "cluster.command")
            words = _(
                "Other machines: pairing is not built yet, and the link is not encrypted, so the kernel "
                "listens to its own machine only. An SSH tunnel works; type there, in two terminals:"
            )
            text(ui, words, "small", c.muted, wrap=wrap)
            for number, line in enumerate(cluster.tunnel, 1):
                self._command(line, width, f"cluster.tunnel.{number}")

    def _command(self, line: str, width: int, tag: str) -> Item:
        """A command to copy: all of it is to be seen."""
        ui = self.ui
        room = width - ui.px(36 + 38)
        with row(ui, 6):
            with card(ui, (12, 9), ui.colours.inset, radius=RADIUS, width=room):
                item = text(ui, line, "mono", wrap=room - ui.px(24), tag=tag)
            icon_button(ui, icons.COPY, partial(dpg.set_clipboard_text, line), _("Copy"), size=32)
        return item
