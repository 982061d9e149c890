"""What all view-models have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.core.shortcuts import Shortcut


class Model:
    """Something that is shown. ``revision`` grows whenever what is to be seen may have changed: comparing two
    numbers a frame is all that it costs to be up to date, and there is nothing to subscribe or to forget."""

    def __init__(self) -> None:
        self.revision = 0

    def touch(self) -> None:
        """There is something new to see."""
        self.revision += 1

    def tick(self) -> None:
        """Called each frame. Must cost next to nothing when there is nothing to do."""

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys that belong to it."""
        return ()
