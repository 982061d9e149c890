"""Two to four images side by side: zoomed and moved together, rated, with what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.imagefacts import Difference, differences
from stablenew_plugins.desktop.models.images.zoom import STEP, Viewpoint
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2

MOVING = ("Left", "Right", "=", "-")
"""Keys that go on while they are held."""
OVERLAY = "compare"


class CompareModel(Model):
    """See above."""

    def __init__(self, desk: Desk, view: ViewModel, ratings: Ratings) -> None:
        super().__init__()
        self._desk, self._view, self.ratings = desk, view, ratings
        self.images: Sequence[gallery_pb2.Image] = []
        self.rows: Sequence[Difference] | None = None
        """What differs; None: not known yet."""
        self.focus = 0
        """Place of the image that keys rate."""
        self.point = Viewpoint()
        """Where all of them are looked at."""
        self.room = (1.0, 1.0)
        """Pixels that the panel has for each."""
        self._ratings_seen = -1

    def open(self, images: Sequence[gallery_pb2.Image]) -> None:
        """Compare ``images``."""
        self.images, self.rows, self.focus = list(images), None, 0
        self.point.fit()
        self._view.open(OVERLAY)
        self._ask()
        self.touch()

    def _ask(self) -> None:
        hashes = [image.image_sha256 for image in self.images]

        def work(kernel: KernelClient) -> Sequence[gallery_pb2.GetImageResponse]:
            return [kernel.gallery.image(one) for one in hashes]

        def done(details: Sequence[gallery_pb2.GetImageResponse]) -> None:
            self.rows = differences(details, self._desk.state.stage_title)
            self.touch()

        def failed(error: Exception) -> None:
            self.rows = []
            self._desk.complain(error)
            self.touch()

        self._desk.ask(work, done, failed, key="compare")

    def tick(self) -> None:
        """Follow the ratings while it is open."""
        if self._view.overlay == OVERLAY and self.ratings.revision != self._ratings_seen:
            self._ratings_seen = self.ratings.revision
            self.touch()

    def look_at(self, place: int) -> None:
        """Keys rate the image of that place from now on."""
        if self.images and place != self.focus:
            self.focus = min(max(place, 0), len(self.images) - 1)
            self.touch()

    def rate(self, stars: int, place: int | None = None) -> None:
        """Rate the image of that place, or the one that is looked at."""
        if self.images:
            self.focus = self.focus if place is None else place
            self.ratings.rate([self.images[self.focus]], stars)
            self.touch()

    def drop(self, place: int) -> None:
        """Take an image out; the last two stay."""
        if len(self.images) > 2:
            self.images = [image for at, image in enumerate(self.images) if at != place]
            self.focus = min(self.focus, len(self.images) - 1)
            self.rows = None
            self._ask()
            self.touch()

    @property
    def size(self) -> tuple[float, float]:
        """Pixels of the image that is looked at."""
        if not self.images or not self.images[self.focus].width:
            return 1.0, 1.0
        image = self.images[self.focus]
        return float(image.width), float(image.height)

    def zoom_by(self, factor: float) -> None:
        """Come closer, in all of them."""
        self.point.zoom_by(factor, (self.room[0] / 2, self.room[1] / 2), self.room, self.size)
        self.touch()

    def fit(self) -> None:
        """Show all of each."""
        self.point.fit()
        self.touch()

    def toggle_pixels(self) -> None:
        """Pixel by pixel, or all of each."""
        self.point.toggle_pixels(self.room, self.size)
        self.touch()

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys while it is open."""
        group = _("Comparing")
        keys = [
            ("Left", _("Look at the image on the left"), lambda: self.look_at(self.focus - 1)),
            ("Right", _("Look at the image on the right"), lambda: self.look_at(self.focus + 1)),
            ("=", _("Closer, in all of them"), lambda: self.zoom_by(STEP)),
            ("-", _("Further away"), lambda: self.zoom_by(1 / STEP)),
            ("F", _("All of each"), self.fit),
            ("Z", _("Pixel by pixel, or all of each"), self.toggle_pixels),
            ("Delete", _("Take the image out"), lambda: self.drop(self.focus)),
            ("C", _("Close"), self._view.close),
            ("Ctrl+Z", _("Take the last rating back"), self.ratings.undo),
            ("0", _("Take the stars back"), lambda: self.rate(0)),
        ]
        made = [
            Shortcut(key, what, act, group=group, overlay=OVERLAY, repeats=key in MOVING)
            for key, what, act in keys
        ]
        for stars in range(1, 6):
            act = lambda stars=stars: self.rate(stars)  # noqa: E731
            what = many("Give {n} star", "Give {n} stars", stars)
            made.append(Shortcut(str(stars), what, act, group=group, overlay=OVERLAY, repeats=False))
        return made
