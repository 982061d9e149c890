"""Items in lines, as many in a line as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from stablenew_plugins.desktop.components.basic import column, row
from stablenew_plugins.desktop.components.fit import cut, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui

T = TypeVar("T")


def text_width(ui: Ui, words: str, font: str = "body") -> int:
    """How wide ``words`` are, in whole pixels."""
    return round(width_of(ui, words, font))


def shortened(ui: Ui, words: str, width: int, font: str = "body") -> str:
    """``words``, with an ellipsis at the end where they are wider than ``width`` pixels."""
    return cut(" ".join(words.split()), width, lambda part: text_width(ui, part, font))


def lines_of(widths: Sequence[int], room: int, gap: int) -> Sequence[Sequence[int]]:
    """Which of the items with these ``widths`` stand in which line of ``room`` pixels, by their places."""
    lines: list[list[int]] = []
    left = 0
    for place, width in enumerate(widths):
        if not lines or width > left:
            lines.append([])
            left = room
        lines[-1].append(place)
        left -= width + gap
    return lines


def even_lines(widths: Sequence[int], room: int, gap: int) -> Sequence[Sequence[int]]:
    """As :func:`lines_of`, in no more lines, none of them much shorter than the others: the last thing does not
    stand alone below a full line."""
    most = len(lines_of(widths, room, gap))
    low, high = 0, room
    while low < high:
        half = (low + high) // 2
        if max(widths, default=0) <= half and len(lines_of(widths, half, gap)) <= most:
            high = half
        else:
            low = half + 1
    return lines_of(widths, high, gap)


def flow(
    ui: Ui,
    things: Iterable[T],
    width_of: Callable[[T], int],
    make: Callable[[T], Item | None],
    room: int,
    gap: float = 6,
    *,
    even: bool = False,
) -> int:
    """Make an item for each of ``things``, in lines of ``room`` pixels; ``even``: see :func:`even_lines`.
    Returns how many lines there are."""
    made = list(things)
    lines = (even_lines if even else lines_of)([width_of(thing) for thing in made], room, ui.px(gap))
    with column(ui, gap):
        for line in lines:
            with row(ui, gap):
                for place in line:
                    make(made[place])
    return len(lines)
