"""Rows of a list that are taken with the mouse and put elsewhere in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SLACK = 6
"""Pixels that the pointer may stray, before scaling, before a click becomes a drag."""
EDGE = 0.75
"""Of a row's height: so near at the edge of the list the pointer makes it scroll."""
SPEED = 0.4
"""Rows that it then scrolls by in a frame, at most."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the rows are on the screen, in pixels."""

    left: float
    top: float
    """Of the first row that can be seen, and of what can be seen of the list."""
    width: float
    height: float
    row: float
    """Height of a row."""
    scroll: float
    count: int


@dataclass(frozen=True, slots=True)
class Mouse:
    """Where the pointer is, and what is held down."""

    x: float
    y: float
    down: bool
    escape: bool = False


class RowDrag:
    """A drag, from the press to the release; fed with where the mouse is in each frame. Draws nothing."""

    def __init__(
        self,
        begin: Callable[[int], bool],
        land: Callable[[int], int | None],
        drop: Callable[[int], None],
        end: Callable[[], None],
        slack: float,
    ) -> None:
        """``begin``: row ``index`` is taken; False: it can't be. ``land``: where rows that are held before row
        ``index`` would come to stand, as the row that they then stand before; None: nowhere. ``drop``: they are
        let go there. ``end``: they are held no more, wherever they went. ``slack`` in pixels."""
        self._begin, self._land, self._drop, self._slack = begin, land, drop, slack
        self._over = end
        self._pressed: tuple[int, float, float] | None = None
        self.dragging = False
        self.target: int | None = None
        """The row that they would stand before; None: they would go nowhere."""
        self.scroll_by = 0.0
        """Pixels that the list is to be scrolled by."""

    def press(self, index: int, mouse: Mouse) -> None:
        """The button went down on row ``index``."""
        if not self.dragging:
            self._pressed = (index, mouse.x, mouse.y)

    def frame(self, mouse: Mouse, ground: Ground) -> None:
        """Follow the mouse."""
        self.scroll_by = 0.0
        if self._pressed is None:
            return
        if mouse.escape:
            self._end()
        elif not mouse.down:
            target = self._aim(mouse, ground) if self.dragging else None
            self._end()
            if target is not None:
                self._drop(target)
        elif self.dragging:
            self.target = self._aim(mouse, ground)
            self.scroll_by = self._near_edge(mouse, ground)
        elif abs(mouse.y - self._pressed[2]) > self._slack:
            self.dragging = self._begin(self._pressed[0])
            if not self.dragging:
                self._pressed = None

    def _end(self) -> None:
        was, self.dragging = self.dragging, False
        self._pressed, self.target = None, None
        if was:
            self._over()

    def _aim(self, mouse: Mouse, ground: Ground) -> int | None:
        """The row before which the pointer is; None: it has left the list, or nothing can stand there."""
        inside = ground.left <= mouse.x <= ground.left + ground.width
        near = ground.top - ground.row <= mouse.y <= ground.top + ground.height + ground.row
        if not inside or not near:
            return None
        y = min(max(mouse.y, ground.top), ground.top + ground.height) - ground.top + ground.scroll
        return self._land(min(max(round(y / ground.row), 0), ground.count))

    @staticmethod
    def _near_edge(mouse: Mouse, ground: Ground) -> float:
        edge = EDGE * ground.row
        above = (ground.top + edge - mouse.y) / edge
        below = (mouse.y - (ground.top + ground.height - edge)) / edge
        return SPEED * ground.row * (min(max(below, 0.0), 1.0) - min(max(above, 0.0), 1.0))
