"""Drives a window as a person does: with real mouse and keyboard events, and by what is drawn.

A :class:`Driver` is the person. Where things are, it asks a :class:`Target`: the window of this process
(``window.py``) or that of another one (``appprocess.py``). Nothing here waits for a time to pass; everything
waits for a condition, and draws frames while it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image, ImageChops
from tests.desktop.xdisplay import MODIFIERS, XDisplay

PATIENCE = 45.0
"""Seconds until a condition counts as not met. Only a failing test waits for so long."""
TRIES = 20
"""Double clicks until one is quick enough."""
APART = 0.5
"""Seconds after which a click is not taken for the second one of two any more."""
AT_ONCE = 10
"""Frames that are drawn as fast as they can be. What has not come by then waits for somebody else, a kernel
say, who needs the processor that frames without end would take."""
PACE = 1 / 25
"""Seconds from one frame to the next from then on."""
AT_LEAST = 30
"""Frames that a condition gets in any case: on a busy machine a frame may take a second."""

Tag = str | int


@dataclass(frozen=True)
class Rect:
    """Where an item is drawn on the screen, in px."""

    x: float
    y: float
    width: float
    height: float

    def at(self, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """A place in it, as fractions of width and height; the middle unless told."""
        return self.x + self.width * across, self.y + self.height * down

    def inside(self, other: Rect) -> bool:
        """Whether its middle is in ``other``, so that it can be clicked there."""
        x, y = self.at()
        return other.x <= x < other.x + other.width and other.y <= y < other.y + other.height


class Target(Protocol):
    """What a driver must know of the window that it drives."""

    def frame(self) -> None:
        """Return when one more frame has been drawn. Raises what went wrong in the window since the last."""

    def rect(self, tag: Tag) -> Rect | None:
        """Where an item is drawn; ``None`` if it is not drawn now. Raises AssertionError if there is none."""

    def value(self, tag: Tag) -> Any:
        """The value of an item."""

    def hovered(self, tag: Tag) -> bool | None:
        """Whether the pointer is over an item and nothing lies between; ``None`` where nobody can tell."""

    def entries(self, tag: Tag) -> list[str]:
        """What can be chosen in an item, such as a combo."""

    def mouse(self) -> tuple[float, float, frozenset[int]]:
        """Where on the screen the window last saw the pointer, and which buttons it saw pressed (1, 2, 3)."""

    def double_clicked(self) -> bool | None:
        """Whether the last frame took a click for the second one of two; ``None`` where nobody can tell."""

    def bounds(self) -> Rect:
        """Where on the screen the window's content is."""


class Driver:
    """Mouse, keyboard and eyes of a person in front of a window. ``tag``: that of an item."""

    def __init__(self, target: Target, screen: XDisplay) -> None:
        self.target = target
        self.screen = screen
        self.input = screen.input

    # --- looking ---

    def frames(self, count: int = 1) -> None:
        """Let ``count`` frames be drawn."""
        for _ in range(count):
            self.target.frame()

    def until(
        self,
        condition: Callable[[], object],
        what: str | Callable[[], object] = "",
        patience: float | None = None,
    ) -> Any:
        """Draw frames until ``condition()`` is true, and return what it gave. ``what``: for the message of the
        AssertionError when it does not become true; a function is asked then."""
        seconds = PATIENCE if patience is None else patience
        deadline = time.monotonic() + seconds
        drawn, began = 0, time.monotonic()
        while True:
            result = condition()
            if result:
                return result
            if drawn >= AT_LEAST and time.monotonic() > deadline:
                said = what() if callable(what) else what or getattr(condition, "__qualname__", repr(condition))
                raise AssertionError(f"not so after {seconds:g} s and {drawn} frames: {said}")
            if drawn >= AT_ONCE:
                time.sleep(max(0.0, began + PACE - time.monotonic()))
            began = time.monotonic()
            self.target.frame()
            drawn += 1

    def visible(self, tag: Tag) -> bool:
        """Whether an item is drawn now, in the window and on the screen. The edge of a list may hide a part."""
        return self._seen(self._where(tag))

    def rect(self, tag: Tag) -> Rect:
        """Where an item is on the screen; waits until it is drawn there and has stopped moving."""
        last: list[Rect | str] = [""]

        def resting() -> Rect | None:
            now = self._where(tag)
            same = now == last[0] and self._seen(now)
            last[0] = now
            return now if isinstance(now, Rect) and same else None

        found: Rect = self.until(resting, lambda: f"{tag} is to be seen (it is at {last[0]})")
        return found

    def _where(self, tag: Tag) -> Rect | str:
        """Where an item is; or why that can't be told: it may not have been made yet."""
        try:
            return self.target.rect(tag) or "not drawn"
        except AssertionError as error:
            return str(error)

    def value(self, tag: Tag) -> Any:
        """The value of an item."""
        return self.target.value(tag)

    def until_value(self, tag: Tag, value: object) -> None:
        """Wait until an item has a value."""
        self.until(lambda: self.value(tag) == value, lambda: f"{tag} is {value!r} (it is {self.value(tag)!r})")

    def shot(self, tag: Tag | None = None) -> Image.Image:
        """What is to be seen of the window, or of one item, without the pointer."""
        rect = self.target.bounds() if tag is None else self.rect(tag)
        left, top = round(rect.x), round(rect.y)
        return self.screen.shot((left, top, left + round(rect.width), top + round(rect.height)))

    # --- the mouse ---

    def move(self, x: float, y: float) -> None:
        """Move the pointer to a place on the screen, and wait until the window knows."""
        x, y = round(x), round(y)
        self.input.move(x, y)
        self.until(lambda: self.target.mouse()[:2] == (x, y), lambda: f"the pointer is at {x}, {y}")
        self.frames(1)  # what is under it can be another item only now

    def park(self) -> None:
        """Move the pointer to where it changes nothing: the top left corner. Not its first pixel: GLFW takes
        that for its own doing, and does not tell the window."""
        bounds = self.target.bounds()
        self.move(bounds.x + 1, bounds.y + 1)

    def hover(self, tag: Tag, across: float = 0.5, down: float = 0.5) -> None:
        """Move the pointer over an item; ``across`` and ``down``: to where in it, as fractions."""
        self.move(*self.rect(tag).at(across, down))

    def press(self, button: int = 1) -> None:
        """Press a mouse button, and wait until the window knows."""
        self.input.down(button)
        self.until(lambda: button in self.target.mouse()[2], f"button {button} is down")

    def release(self, button: int = 1) -> None:
        """Let a mouse button go, and wait until the window knows."""
        self.input.up(button)
        self.until(lambda: button not in self.target.mouse()[2], f"button {button} is up")
        self.frames(2)  # one in which the item is told, one in which its callback has run

    def aim(self, tag: Tag, across: float = 0.5, down: float = 0.5) -> None:
        """Move the pointer over an item, and wait until the item knows. Raises AssertionError if it does not
        hear of it: something lies over it, or it is disabled."""
        self.hover(tag, across, down)
        self.until(
            lambda: self.target.hovered(tag) is not False, f"{tag} is under the pointer, uncovered and enabled"
        )

    def click(
        self, tag: Tag, across: float = 0.5, down: float = 0.5, *, button: int = 1, held: str = ""
    ) -> None:
        """Click an item; ``held``: modifiers held meanwhile, such as ``ctrl`` or ``ctrl+shift``."""
        self.aim(tag, across, down)
        self._with(held.split("+") if held else [], lambda: self.click_here(button))

    def click_here(self, button: int = 1) -> None:
        """Click where the pointer is, whatever is there: a disabled item, or one without a tag."""
        self.press(button)
        self.release(button)

    def right_click(self, tag: Tag, across: float = 0.5, down: float = 0.5) -> None:
        """Click an item with the right button."""
        self.click(tag, across, down, button=3)

    def double_click(self, tag: Tag, across: float = 0.5, down: float = 0.5) -> None:
        """Click an item twice within the time of a double click. Where frames take so long that the window took
        it for two single ones, it is tried again a moment later, as a person would."""
        self.aim(tag, across, down)
        for _ in range(TRIES):
            for _ in range(2):
                self.input.down()
                self.input.up()
            seen = False
            for _ in range(6):  # the window takes one change of a button a frame
                self.frames(1)
                seen = seen or self.target.double_clicked() is not False
            if seen:
                return
            again = time.monotonic() + APART
            self.until(lambda again=again: time.monotonic() > again)  # type: ignore[misc]
        raise AssertionError(
            f"{TRIES} double clicks on {tag} were all taken for single ones: frames take too long"
        )

    def choose(self, tag: Tag, entry: str) -> None:
        """Choose an entry of a combo, as far as its list shows all of them at once. Entries have no tags: where
        the list is, is seen by what changes when it opens, and it is divided among them."""
        entries = self.target.entries(tag)
        if entry not in entries:
            raise AssertionError(f"{tag} has no entry {entry!r}; it has {', '.join(entries)}")
        self.aim(tag)
        closed, combo, bounds = self.shot(), self.target.rect(tag), self.target.bounds()
        assert combo is not None
        self.click_here()
        changed = ImageChops.difference(closed, self.shot())
        left, top = round(combo.x - bounds.x), round(combo.y - bounds.y)
        changed.paste(0, (left, top, left + round(combo.width), top + round(combo.height)))
        box = changed.getbbox()
        if box is None:
            raise AssertionError(f"{tag} opened no list when it was clicked")
        step = (box[3] - box[1]) / len(entries)
        self.move(bounds.x + left + 12, bounds.y + box[1] + (entries.index(entry) + 0.5) * step)
        self.click_here()
        self.until_value(tag, entry)

    def drag(self, tag: Tag, to: Tag, *, steps: int = 8) -> None:
        """Drag an item onto another one, from middle to middle."""
        self.aim(tag)
        self.press()
        self._slide(self.rect(tag).at(), lambda: self.rect(to).at(), steps)
        self.release()

    def drag_by(
        self, tag: Tag, x: float, y: float, *, steps: int = 8, across: float = 0.5, down: float = 0.5
    ) -> None:
        """Drag an item by so many px to the right and down; it is taken at ``across`` and ``down``."""
        start = self.rect(tag).at(across, down)
        self.move(*start)
        self.press()
        self._slide(start, lambda: (start[0] + x, start[1] + y), steps)
        self.release()

    def wheel(self, tag: Tag, notches: int) -> None:
        """Turn the wheel over an item: down by ``notches``, up if they are negative."""
        self.hover(tag)
        for _ in range(abs(notches)):
            self.input.notch("down" if notches > 0 else "up")
            self.frames(1)
        self.frames(2)

    def scroll_to(self, tag: Tag, over: Tag, limit: int = 100) -> None:
        """Turn the wheel over the item ``over``, at most ``limit`` notches down and then up, until another item
        is to be seen. ``over`` is the list, or an item of it that is to be seen now."""
        x, y = self.rect(over).at()
        self.move(x, y)
        for direction in ("down", "up"):
            before: Image.Image | None = None
            for _ in range(limit):
                if self.visible(tag):
                    self.hover(tag)
                    self.frames(2)
                    if self.target.hovered(tag) is not False:
                        return
                    self.move(x, y)  # the edge of the list is over it
                now = self.shot()
                if now == before:
                    break  # the list is at its end
                before = now
                self.input.notch(direction)
                self.frames(3)
        raise AssertionError(f"{tag} did not come into sight by turning the wheel over {over}")

    # --- the keyboard ---

    def type(self, text: str) -> None:
        """Type ``text`` into whatever has the focus. A newline is the Return key, a tab the Tab key."""
        for character in text:
            self.input.character(character)
            self.frames(1)
        self.frames(3)

    def enter(self, tag: Tag, text: str) -> None:
        """Click a field, and put ``text`` in the place of what is in it."""
        self.click(tag)
        self.key("ctrl+a")
        self.key("Delete")
        self.type(text)

    def key(self, chord: str) -> None:
        """Press a key, with its modifiers: ``Return``, ``F5``, ``ctrl+Return``, ``ctrl+shift+z``."""
        *held, key = chord.split("+")
        self._with(held, lambda: self._tap(key))
        self.frames(2)

    # --- parts of these ---

    def _seen(self, rect: Rect | str) -> bool:
        screen = Rect(0, 0, self.screen.width, self.screen.height)
        return isinstance(rect, Rect) and rect.inside(self.target.bounds()) and rect.inside(screen)

    def _rest(self, seconds: float) -> None:
        """Draw frames for so long."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def _tap(self, key: str) -> None:
        # Both at once: the window takes one change of a key a frame, and where frames take long, a key that is
        # held for two of them would repeat.
        self.input.key_down(key)
        self.input.key_up(key)
        self.frames(3)

    def _with(self, held: list[str], act: Callable[[], None]) -> None:
        unknown = [name for name in held if name not in MODIFIERS]
        if unknown:
            raise ValueError(f"{unknown[0]} is no modifier; there are {', '.join(MODIFIERS)}")
        for name in held:
            self.input.key_down(name)
            self.frames(1)
        try:
            act()
        finally:
            for name in reversed(held):
                self.input.key_up(name)
        self.frames(1)

    def _slide(self, start: tuple[float, float], end: Callable[[], tuple[float, float]], steps: int) -> None:
        """Move in ``steps``; ``end`` is asked for once the drag has begun: things may make room."""
        self.move(start[0] + 4, start[1])
        (x0, y0), (x1, y1) = start, end()
        for step in range(1, steps + 1):
            self.move(x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps)
        self.frames(2)
