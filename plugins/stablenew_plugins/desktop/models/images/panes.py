"""How two to four images stand beside each other, as large as they can be. Arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stablenew_plugins.desktop.models.images.zoom import fitting

Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panes:
    """Equal places in rows, in pixels."""

    columns: int
    rows: int
    width: int
    height: int
    """Of each, without what is written below it."""


def panes_for(
    images: Sequence[Size], room: Size, gap: int, below: int, table: int, most_table: int, heads: int = 0
) -> Panes:
    """Places for ``images`` (their sizes) and below them a table that wants ``table`` pixels of height, of
    which it gets ``most_table`` where the images need the others. ``room``: for all of it; ``gap`` between
    places; ``below``: what is written below each; ``heads``: above the columns of the table, where they are not
    below the images.

    In one row, or four in two, whichever shows them larger. No place is higher than its image can be.
    """
    count = max(len(images), 1)
    shapes = [(count, 1)] + ([(2, 2)] if count == 4 else [])
    best, largest = None, -1.0
    for columns, rows in shapes:
        width = max(1, int((room[0] - (columns - 1) * gap) // columns))
        wanted = table + (heads if rows > 1 else 0)
        left = room[1] - min(wanted, most_table) - rows * below - (rows - 1) * gap
        height = max(1, int(left // rows))
        tallest = max((fitting((width, height), image) * image[1] for image in images), default=height)
        shown = sum(fitting((width, height), image) ** 2 * image[0] * image[1] for image in images)
        if shown > largest + 0.5:
            best, largest = Panes(columns, rows, width, max(1, min(height, round(tallest)))), shown
    assert best is not None
    return best
