"""The queue and the history of jobs, a window of rows at a time."""

from __future__ import annotations

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model


class QueueModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
