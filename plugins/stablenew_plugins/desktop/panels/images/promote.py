"""Which later stages some images are to go through, and what that would be."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    button,
    card,
    checkbox,
    column,
    enable_button,
    row,
    set_text,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import shortened
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

WIDTH = 640
PADDING = 22
LIST_HEIGHT = 300


class PromotePanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.promotion)
        self._promotion, self._bench = bench.promotion, bench
        self._toggles: dict[str, Toggle] = {}
        self._shown: tuple[str, ...] | None = None
        self.build()

    def build(self) -> None:
        """Make the window over the window."""
        ui, promotion, c = self.ui, self._promotion, self.ui.colours
        self._overlay = Overlay(
            ui,
            _("Further stages"),
            self._bench.view.close,
            width=WIDTH,
            tag="promote",
            sub=_(
                "The images go through these stages and no others. New images are made; these stay as they are."
            ),
        )
        self._inner = self._overlay.width - 2 * ui.px(PADDING)
        with self._overlay, column(ui, 10):
            with dpg.child_window(border=False, height=ui.px(LIST_HEIGHT), tag="promote.list") as area:
                dpg.bind_item_theme(area, ui.themes.panel((0, 0, 0, 0)))
                dpg.add_group(tag="promote.stages")
            checkbox(
                ui,
                promotion.like_pipeline,
                promotion.set_like_pipeline,
                _("Settings as in the Pipeline tab, where it has some for these stages"),
                tag="promote.like",
            )
            checkbox(
                ui,
                promotion.again,
                promotion.set_again,
                _("Also images that went through exactly this before"),
                tag="promote.again",
            )
            with card(ui, (16, 12), background=c.inset, tag="promote.told"), column(ui, 5):
                self._title = text(ui, "", "medium", wrap=self._inner - ui.px(40), tag="promote.title")
                self._line = text(ui, "", "small", c.muted, wrap=self._inner - ui.px(40), tag="promote.line")
                self._problem = text(
                    ui, "", "small", c.red, wrap=self._inner - ui.px(40), tag="promote.problem"
                )
            with row(ui, 10):
                button(ui, _("Queue"), promotion.submit, "primary", icon=icons.PLAY, tag="promote.submit")
                button(ui, _("Not now"), self._bench.view.close, "ghost", tag="promote.not_now")

    def apply(self) -> None:
        """Bring it up to date."""
        promotion, c = self._promotion, self.ui.colours
        names = tuple(stage.name for stage in promotion.stages)
        if names != self._shown:
            self._shown = names
            self._show_stages()
        for stage in promotion.stages:
            if self._toggles[stage.name].is_on != stage.chosen:
                self._toggles[stage.name].show(stage.chosen)
        set_text(self._title, promotion.title)
        summary = promotion.summary
        if promotion.is_planning:
            line = _("Planning …")
        elif summary is None:
            line = ""
        else:
            line = summary.line + (f"  ·  {summary.time}" if summary.time else "")
        set_text(self._line, line)
        told = [promotion.problem] if promotion.problem else []
        if summary is not None and not promotion.is_planning:
            told += [summary.question] if summary.question else []
            told += summary.warnings[:4]
        set_text(self._problem, "\n".join(told), c.red if promotion.problem else c.amber)
        dpg.configure_item(self._problem, show=bool(told))
        dpg.configure_item(self._line, show=bool(line))
        dpg.configure_item("promote.told", show=bool(promotion.title or line or told))
        enable_button("promote.submit", promotion.can_submit)

    def _show_stages(self) -> None:
        ui, promotion = self.ui, self._promotion
        dpg.delete_item("promote.stages", children_only=True)
        self._toggles.clear()
        dpg.push_container_stack("promote.stages")
        try:
            with column(ui, 12):
                if not promotion.stages:
                    text(ui, _("No kernel has told its stages yet."), "small", ui.colours.muted)
                for stage in promotion.stages:
                    with row(ui, 14):
                        with column(ui, 5):  # in the middle of the two lines beside it
                            space(ui, 0)
                            self._toggles[stage.name] = Toggle(
                                ui,
                                stage.chosen,
                                partial(self._toggled, stage.name),
                                tag=f"promote.stage.{stage.name}",
                            )
                        with column(ui, 3):
                            title = text(ui, stage.title, "medium")
                            ui.on_click(title, partial(promotion.toggle, stage.name))
                            told = shortened(ui, stage.description, self._inner - ui.px(80), "small")
                            words = text(ui, told, "small", ui.colours.muted)
                            if told != stage.description:
                                tooltip(ui, words, stage.description)
        finally:
            dpg.pop_container_stack()

    def _toggled(self, stage: str, _is_on: bool) -> None:
        self._promotion.toggle(stage)

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()
