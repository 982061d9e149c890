"""Short messages at the edge of the window: what happened, what to try, the technical text one click away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from stablenew_plugins.desktop.models.core.model import Model

Level = Literal["info", "good", "warning", "error"]

SECONDS = {"info": 5.0, "good": 4.0, "warning": 10.0, "error": 0.0}
"""For how long one of each level stays; 0: until it is closed."""

MOST = 4
"""On the screen at a time; older ones go."""


@dataclass(slots=True)
class Toast:
    """One message."""

    number: int
    level: Level
    text: str
    hint: str = ""
    """What to try."""
    detail: str = ""
    """The technical text, shown on request."""
    until: float = 0.0
    """When it goes, by the clock of :class:`Toasts`; 0: when it is closed."""
    action: str = ""
    """Label of a button."""
    act: Callable[[], None] = field(default=lambda: None)
    times: int = 1
    """How often it was said: the same words twice are one message."""


class Toasts(Model):
    """The messages that are shown now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._count = 0
        self.shown: list[Toast] = []

    def say(
        self,
        text: str,
        level: Level = "info",
        *,
        hint: str = "",
        detail: str = "",
        action: str = "",
        act: Callable[[], None] = lambda: None,
    ) -> None:
        """Show ``text``. ``action``: the label of a button that does ``act`` and closes the message."""
        seconds = SECONDS[level]
        until = self._clock() + seconds if seconds else 0.0
        for toast in self.shown:
            if (toast.level, toast.text, toast.hint) == (level, text, hint):
                toast.times, toast.until, toast.detail = toast.times + 1, until, detail
                toast.action, toast.act = action, act
                self.touch()
                return
        self._count += 1
        self.shown.append(Toast(self._count, level, text, hint, detail, until, action, act))
        del self.shown[:-MOST]
        self.touch()

    def close(self, number: int) -> None:
        """Take one away."""
        self.shown = [toast for toast in self.shown if toast.number != number]
        self.touch()

    def tick(self) -> None:
        """Take away those whose time is over. Called each frame."""
        now = self._clock()
        left = [toast for toast in self.shown if not toast.until or toast.until > now]
        if len(left) != len(self.shown):
            self.shown = left
            self.touch()
