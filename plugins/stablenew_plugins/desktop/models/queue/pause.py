"""The queue stands still, or goes on. Jobs that run are finished."""

from __future__ import annotations

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.queue.queueruns import WHO


class Pause:
    """See above."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def is_on(self) -> bool:
        """Whether the queue stands still."""
        queue = self._desk.state.queue
        return queue is not None and queue.paused

    def toggle(self) -> None:
        """Pause the queue, or let it go on."""
        paused = not self.is_on
        self._desk.order(lambda kernel: kernel.set_paused(paused, f"paused {WHO}" if paused else ""))

    def end(self) -> None:
        """Let it go on."""
        self._desk.order(lambda kernel: kernel.set_paused(False, ""))
