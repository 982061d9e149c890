"""Where one looks at an image: how close, and at which part. Arithmetic; several views can share one."""

from __future__ import annotations

from dataclasses import dataclass

CLOSEST = 16.0
"""Pixels of the screen a pixel of the image at most."""
STEP = 1.25
"""Factor of a notch of the wheel or a key."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of an image is to be seen, and where."""

    left: float
    """On the screen, from the corner of the view; so are the next three."""
    top: float
    right: float
    bottom: float
    uv: tuple[float, float, float, float]
    """Left, top, right and bottom in the image, 0 to 1."""


class Viewpoint:
    """``zoom`` 1 fits the image into the view; (``x``, ``y``) is what is in the middle of it, 0 to 1."""

    def __init__(self) -> None:
        self.zoom, self.x, self.y = 1.0, 0.5, 0.5
        self.revision = 0

    def fit(self) -> None:
        """Show all of it."""
        self._set(1.0, 0.5, 0.5)

    def show_pixels(self, view: tuple[float, float], image: tuple[float, float]) -> None:
        """A pixel of the image for each of the screen."""
        self._set(1.0 / fitting(view, image), self.x, self.y, view, image)

    def toggle_pixels(
        self,
        view: tuple[float, float],
        image: tuple[float, float],
        at: tuple[float, float] | None = None,
    ) -> None:
        """Pixel by pixel, or all of it when it is so. ``at``: the pixel of the view that stays."""
        if abs(self.zoom * fitting(view, image) - 1.0) < 0.001:
            self.fit()
        elif at is None or fitting(view, image) >= 1.0:
            self.show_pixels(view, image)
        else:
            self.zoom_by(1.0 / (self.zoom * fitting(view, image)), at, view, image)

    def zoom_by(
        self, factor: float, at: tuple[float, float], view: tuple[float, float], image: tuple[float, float]
    ) -> None:
        """Come closer by ``factor``; what is at ``at`` (pixels of the view) stays there."""
        before = self.zoom * fitting(view, image)
        zoom = min(max(self.zoom * factor, 1.0), max(1.0, CLOSEST / fitting(view, image)))
        after = zoom * fitting(view, image)
        dx, dy = at[0] - view[0] / 2, at[1] - view[1] / 2
        x = self.x + dx / image[0] * (1 / before - 1 / after)
        y = self.y + dy / image[1] * (1 / before - 1 / after)
        self._set(zoom, x, y, view, image)

    def pan(self, dx: float, dy: float, view: tuple[float, float], image: tuple[float, float]) -> None:
        """Move the image by so many pixels of the screen."""
        scale = self.zoom * fitting(view, image)
        self._set(self.zoom, self.x - dx / (image[0] * scale), self.y - dy / (image[1] * scale), view, image)

    def _set(
        self,
        zoom: float,
        x: float,
        y: float,
        view: tuple[float, float] = (1.0, 1.0),
        image: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        scale = zoom * fitting(view, image)
        self.zoom = zoom
        self.x = _inside(x, view[0] / (image[0] * scale))
        self.y = _inside(y, view[1] / (image[1] * scale))
        self.revision += 1

    def part(self, view: tuple[float, float], image: tuple[float, float]) -> Part:
        """What of an image of this size is to be seen in a view of this size, both in pixels."""
        scale = self.zoom * fitting(view, image)
        left, u0, right, u1 = _side(self.x, image[0] * scale, view[0])
        top, v0, bottom, v1 = _side(self.y, image[1] * scale, view[1])
        return Part(left, top, right, bottom, (u0, v0, u1, v1))


def fitting(view: tuple[float, float], image: tuple[float, float]) -> float:
    """The scale at which an image of this size just fits into the view."""
    return min(view[0] / max(image[0], 1.0), view[1] / max(image[1], 1.0))


def _inside(centre: float, seen: float) -> float:
    """The middle of what is seen, so that nothing beside the image is where the image could be."""
    if seen >= 1.0:
        return 0.5
    return min(max(centre, seen / 2), 1.0 - seen / 2)


def _side(centre: float, length: float, room: float) -> tuple[float, float, float, float]:
    """Where a side of ``length`` begins and ends on the screen and in the image. ``centre`` is brought inside:
    views that are locked together may have other proportions."""
    start = room / 2 - _inside(centre, room / length) * length
    first, last = max(start, 0.0), min(start + length, room)
    return first, (first - start) / length, last, (last - start) / length
