"""The tab Prompt: rows of the selected packs, and the randomizer."""

from __future__ import annotations

from stablenew_plugins.desktop.components.basic import column, heading
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _


class PromptPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.randomizer)
        self._bench = bench

    def build(self) -> None:
        """Make the items."""
        with column(self.ui, 10, pos=(self.ui.px(20), self.ui.px(18))):
            heading(self.ui, _("Prompt"))

    def apply(self) -> None:
        """Bring them up to date."""
