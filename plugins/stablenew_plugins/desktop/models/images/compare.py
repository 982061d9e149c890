"""Two to four images side by side: zoomed and moved together, rated, with what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_api.errors import StableNewError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.plainwords import explain
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.imagefacts import Compared, caption_of, side_by_side
from stablenew_plugins.desktop.models.images.ratings import KEEPER_STARS
from stablenew_plugins.desktop.models.images.starkeys import star_keys
from stablenew_plugins.desktop.models.images.zoom import STEP, Viewpoint
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2

MOVING = ("Left", "Right", "Tab", "Shift+Tab", "=", "-")
"""Keys that go on while they are held."""
OVERLAY = "compare"
FEWEST = 2
LONGEST_VALUE = 24
"""Letters of a value that stands in a caption."""


class CompareModel(Model):
    """See above."""

    def __init__(self, desk: Desk, view: ViewModel, ratings: Ratings) -> None:
        super().__init__()
        self._desk, self._view, self.ratings = desk, view, ratings
        self.images: Sequence[gallery_pb2.Image] = []
        self.settings: Sequence[Compared] | None = None
        """What they were made with; None: not known yet."""
        self.problem = ""
        """Why it can't be known; empty: it can."""
        self.shows_equal = False
        """Whether what is the same in all of them is shown, too."""
        self.focus = 0
        """Place of the image that keys rate."""
        self.point = Viewpoint()
        """Where all of them are looked at."""
        self.room = (1.0, 1.0)
        """Pixels that the panel has for each."""
        self._ratings_seen = -1

    def open(self, images: Sequence[gallery_pb2.Image]) -> None:
        """Compare ``images``."""
        self.images, self.focus, self.shows_equal = list(images), 0, False
        self.point.fit()
        self._view.open(OVERLAY)
        self._ask()
        self.touch()

    def _ask(self) -> None:
        self.settings, self.problem = None, ""
        hashes = [image.image_sha256 for image in self.images]

        def work(kernel: KernelClient) -> Sequence[gallery_pb2.GetImageResponse]:
            return [kernel.gallery.image(one) for one in hashes]

        def done(details: Sequence[gallery_pb2.GetImageResponse]) -> None:
            state = self._desk.state
            self.settings = side_by_side(details, state.stage_title, state.setting_title)
            self.touch()

        def failed(error: Exception) -> None:
            self.settings, self.problem = [], explain(error).text
            if not isinstance(error, StableNewError):
                self._desk.complain(error)
            self.touch()

        if not self._desk.ask(work, done, failed, key="compare"):
            self.settings, self.problem = [], _("No kernel answers yet.")

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

    def keep(self) -> None:
        """Make the image that is looked at a keeper: it has four stars at least."""
        if self.images:
            self.rate(max(KEEPER_STARS, self.ratings.of(self.images[self.focus]).stars))

    def next(self, by: int) -> None:
        """Look at another one; behind the last comes the first."""
        if self.images:
            self.look_at((self.focus + by) % len(self.images))

    def drop(self, place: int) -> None:
        """Take an image out; the last two stay."""
        if len(self.images) == FEWEST:
            self._desk.toasts.say(_("Two are the fewest that can be compared."), hint=_("Escape closes."))
        if len(self.images) > FEWEST:
            self.images = [image for at, image in enumerate(self.images) if at != place]
            self.focus = min(self.focus - (place < self.focus), len(self.images) - 1)
            self._ask()
            self.touch()

    # --- what differs ---------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[Compared] | None:
        """What differs; None: not known yet."""
        return None if self.settings is None else [row for row in self.settings if row.differs]

    @property
    def equal(self) -> Sequence[Compared]:
        """What is the same in all of them."""
        return [row for row in self.settings or () if not row.differs]

    def toggle_equal(self) -> None:
        """See :attr:`shows_equal`."""
        self.shows_equal = not self.shows_equal
        self.touch()

    @property
    def captions(self) -> Sequence[Sequence[str]]:
        """Of each image: where it is from, then what sets it apart from the others, the most telling first."""
        told = [[caption_of(image)] for image in self.images]
        rows = [row for row in self.rows or () if not row.is_text]
        rows.sort(key=lambda row: row.name == _("Seed"))  # it differs nearly always, and says least
        for row in rows:
            for parts, value in zip(told, row.values, strict=True):
                if len(value) <= LONGEST_VALUE:
                    parts.append(f"{row.name.rpartition(' · ')[2]} {value}")
        return told

    # --- looking --------------------------------------------------------------------------------------------

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
            ("Left", _("Look at the image before"), lambda: self.next(-1)),
            ("Right", _("Look at the next image"), lambda: self.next(1)),
            ("Shift+Tab", "", lambda: self.next(-1)),
            ("Tab", "", lambda: self.next(1)),
            ("=", _("Closer, in all of them"), lambda: self.zoom_by(STEP)),
            ("-", _("Further away"), lambda: self.zoom_by(1 / STEP)),
            ("F", _("All of each"), self.fit),
            ("Z", _("Pixel by pixel, or all of each"), self.toggle_pixels),
            ("K", _("Keep it: four stars at least"), self.keep),
            ("X", _("Take the image out"), lambda: self.drop(self.focus)),
            ("Delete", "", lambda: self.drop(self.focus)),
            ("E", _("Show what is the same, too"), self.toggle_equal),
            ("C", _("Close"), self._view.close),
            ("Ctrl+Z", _("Take the last rating back"), self.ratings.undo),
        ]
        made = [
            Shortcut(key, what, act, group=group, overlay=OVERLAY, repeats=key in MOVING)
            for key, what, act in keys
        ]
        return [*made, *star_keys(self.rate, group=group, overlay=OVERLAY)]
