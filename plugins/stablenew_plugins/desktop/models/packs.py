"""Prompt packs: found, searched, selected, looked into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model


class PacksModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.selected: Sequence[Path] = []
        """Packs that the next run is made of, in order."""
        self.plan_revision = 0
        """Grows when the selection or the content of a selected pack changed."""
