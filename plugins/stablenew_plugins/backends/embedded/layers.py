"""What a picture is made of: layers, painted back to front on bands of rows.

A layer is called with the band (three planes), its first row and the whole picture, of which all rows above the
band are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stablenew_plugins.backends.embedded.field import Canvas, Plane, Rgb
from stablenew_plugins.backends.embedded.scene import Colour

Layer = Callable[[Rgb, int, Rgb], None]
"""``layer(band, first_row, picture)``."""

WHITE: Colour = (1.0, 1.0, 1.0)


def rows_of(canvas: Canvas, band: Rgb, first: int) -> Plane:
    """v of the band's rows."""
    return canvas.v[first : first + band.shape[1]]


@dataclass(frozen=True, slots=True)
class Light:
    """Where the sun or moon stands, in u and v, and its radius."""

    u: float
    v: float
    radius: float
