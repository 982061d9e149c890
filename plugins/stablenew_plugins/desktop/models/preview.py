"""The image that is looked at: a live one while it is made, then the final one, and those of its run."""

from __future__ import annotations

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model


class PreviewModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
