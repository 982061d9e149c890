"""The overlay of the first start."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import button, column, row, space, text
from stablenew_plugins.desktop.components.choicecard import choice_card
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.settings import Server
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

WIDTH, EDGE = 640, 22


def open_start(ui: Ui, bench: Workbench) -> Panel:
    """Lay it over the window."""
    panel = StartPanel(ui, bench)
    panel.build()
    return panel


class StartPanel(Panel):
    """What makes your images, and: go."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.start)
        self._bench, self._model, self._settings = bench, bench.start, bench.settings
        self._drawn: object = None

    def build(self) -> None:
        """Make the overlay."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Welcome to StableNew"),
            self._model.later,
            width=WIDTH,
            tag="start",
            sub=_("Prompt packs in, finished images out. What should make your images?"),
        )
        with self._overlay:
            with column(ui, 8) as self._choices:
                pass
            space(ui, 6)
            with row(ui, 10):
                button(
                    ui,
                    _("Make the example images"),
                    partial(self._model.begin, demo=True),
                    "primary",
                    icon=icons.PLAY,
                    height=36,
                    tag="start.demo",
                )
                button(
                    ui,
                    _("Start without them"),
                    partial(self._model.begin, demo=False),
                    "ghost",
                    height=36,
                    tag="start.begin",
                )

    def apply(self) -> None:
        """Show what was found."""
        shown = (tuple(self._settings.servers), self._settings.is_looking, self._model.choice)
        if shown == self._drawn:
            return
        self._drawn = shown
        ui, c = self.ui, self.ui.colours
        dpg.delete_item(self._choices, children_only=True)
        dpg.push_container_stack(self._choices)
        try:
            for number, server in enumerate(self._settings.servers):
                icon = icons.WORKFLOW if server.kind == "comfyui" else icons.SERVER
                words = _("Found on this machine at {url}").format(url=server.url)
                if not server.usable:
                    words = "  ".join(finding.advice or finding.text for finding in server.to_fix[:1])
                self._choice(icon, server.name, words, server, f"start.server{number}")
            self._choice(
                icons.APERTURE,
                _("Embedded engine"),
                _("Paints simple pictures without an AI model or a GPU. To see how everything works."),
                None,
                "start.embedded",
            )
            words = _("Looking for a WebUI or ComfyUI on this machine …")
            if not self._settings.is_looking:
                words = _("A WebUI or ComfyUI that you start later can be chosen in the settings.")
            text(ui, words, "small", c.muted, wrap=ui.px(WIDTH - 60))
        finally:
            dpg.pop_container_stack()

    def _choice(self, icon: str, title: str, words: str, server: Server | None, tag: str) -> None:
        ui, c = self.ui, self.ui.colours
        chosen = self._model.choice == server
        usable = server is None or server.usable
        mark = None
        if chosen:
            mark = icons.CIRCLE_CHECK, "icon_large", c.accent_high
        elif not usable:
            mark = _("Not usable yet"), "small", c.red
        choice_card(
            ui,
            icon,
            c.accent if usable else c.faint,
            title,
            words,
            self._overlay.width - ui.px(2 * EDGE),
            chosen=chosen,
            mark=mark,
            action=_("Choose"),
            act=partial(ui.later, partial(self._model.choose, server)) if usable else None,
            tag=tag,
        )

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()
