"""One image, as large as the window: gone through, zoomed into, rated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.starkeys import star_keys
from stablenew_plugins.desktop.models.images.zoom import STEP, Viewpoint
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2

MOVING = ("Left", "Right", "=", "-")
"""Keys that go on while they are held."""
OVERLAY = "viewer"


class Album(Protocol):
    """Images in a row, one of which is looked at."""

    revision: int

    @property
    def shown(self) -> gallery_pb2.Image | None:
        """That is looked at."""

    @property
    def place(self) -> str:
        """Where it stands: "3 of 48"."""

    def step(self, by: int) -> None:
        """Look at another one."""

    def rate(self, stars: int) -> None:
        """Rate the one that is looked at."""


class ViewerModel(Model):
    """See above."""

    def __init__(self, view: ViewModel, ratings: Ratings, preview: Album) -> None:
        """``preview``: what the key opens where no tab has images of its own."""
        super().__init__()
        self._view, self.ratings, self._preview = view, ratings, preview
        self.album: Album | None = None
        self._undo: Callable[[], None] = ratings.undo
        self.point = Viewpoint()
        self.room = (1.0, 1.0)
        """Pixels that the panel has for the image."""
        self._seen = (-1, -1)

    def open(self, album: Album, undo: Callable[[], None] | None = None) -> None:
        """Look at the images of ``album``, beginning with the one that it shows. ``undo``: how it takes the
        last rating back."""
        if album.shown is None:
            return
        self.album, self._undo = album, undo or self.ratings.undo
        self.point.fit()
        self._view.open(OVERLAY)
        self.touch()

    def _open_preview(self) -> None:
        self.open(self._preview)

    @property
    def image(self) -> gallery_pb2.Image | None:
        """That is shown."""
        return None if self.album is None else self.album.shown

    @property
    def size(self) -> tuple[float, float]:
        """Of the image, in pixels."""
        image = self.image
        return (1.0, 1.0) if image is None or not image.width else (float(image.width), float(image.height))

    @property
    def percent(self) -> int:
        """How large a pixel of the image is shown."""
        part = self.point.part(self.room, self.size)
        wide = (part.uv[2] - part.uv[0]) * self.size[0]
        return round(100 * (part.right - part.left) / wide) if wide else 100

    def tick(self) -> None:
        """Follow the album and the ratings while it is open."""
        if self.album is not None and self._view.overlay == OVERLAY:
            seen = (self.album.revision, self.ratings.revision)
            if seen != self._seen:
                self._seen = seen
                self.touch()

    def step(self, by: int) -> None:
        """The next image, or the one before; the zoom stays."""
        if self.album is not None:
            self.album.step(by)
            self.touch()

    def rate(self, stars: int) -> None:
        """Rate the image that is shown."""
        if self.album is not None:
            self.album.rate(stars)
            self.touch()

    def undo(self) -> None:
        """Take the last rating back."""
        self._undo()
        self.touch()

    def zoom_by(self, factor: float, at: tuple[float, float] | None = None) -> None:
        """Come closer, or go away; at the middle unless told."""
        where = at or (self.room[0] / 2, self.room[1] / 2)
        self.point.zoom_by(factor, where, self.room, self.size)
        self.touch()

    def fit(self) -> None:
        """Show all of it."""
        self.point.fit()
        self.touch()

    def toggle_pixels(self) -> None:
        """Pixel by pixel, or all of it."""
        self.point.toggle_pixels(self.room, self.size)
        self.touch()

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys while it is open."""
        group = _("Full view")
        keys = [
            ("Left", _("Image before"), lambda: self.step(-1)),
            ("Right", _("Next image"), lambda: self.step(1)),
            ("=", _("Closer"), lambda: self.zoom_by(STEP)),
            ("-", _("Further away"), lambda: self.zoom_by(1 / STEP)),
            ("F", _("All of it"), self.fit),
            ("Z", _("Pixel by pixel, or all of it"), self.toggle_pixels),
            ("Space", _("Close"), self._view.close),
            ("Enter", _("Close"), self._view.close),
            ("Ctrl+Z", _("Take the last rating back"), self.undo),
        ]
        made = [
            Shortcut(
                "Space",
                _("Show the image as large as the window"),
                self._open_preview,
                group=group,
                repeats=False,
            )
        ]
        made += [
            Shortcut(key, what, act, group=group, overlay=OVERLAY, repeats=key in MOVING)
            for key, what, act in keys
        ]
        return [*made, *star_keys(self.rate, group=group, overlay=OVERLAY)]
