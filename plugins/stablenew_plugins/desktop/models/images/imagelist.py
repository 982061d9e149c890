"""Images that a filter lets through: thousands, of which the records come by pages, as they are looked at.

Images that are made while somebody looks further down wait until they are wanted, so that nothing moves under
the hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.images.filters import Wanted

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2 as pb

PAGE = 120
"""Images asked for at a time."""
PAGES_KEPT = 16
"""Nearly 2,000 records, the ones looked at last."""
LARGEST_PAGE = 1_000
"""Images asked for at a time where many are wanted."""


class ImageList:
    """See above. Used by :class:`~.review.ReviewModel`, which knows what somebody does with them."""

    def __init__(
        self,
        desk: Desk,
        ratings: Ratings,
        is_at_work: Callable[[], bool],
        came: Callable[[int, Sequence[pb.Image]], None],
        changed: Callable[[], None],
    ) -> None:
        """``is_at_work``: whether somebody is busy with images, which are not to move. ``came``: called with
        the place of the first of some images before they take the place of what was there; ``changed``: behind
        each change."""
        self._desk, self._ratings = desk, ratings
        self._is_at_work, self._came, self._changed = is_at_work, came, changed
        self.wanted = Wanted()
        """What they are asked for with."""
        self.total = 0
        """Images that the filter lets through, but for :attr:`new`."""
        self.new = 0
        """Images that came while somebody looked further down."""
        self.problem = ""
        """What is wrong with the filter."""
        self.is_loading = True
        self._pages: dict[int, Sequence[pb.Image]] = {}
        self._asked: set[int] = set()
        self._stale: set[int] = set()
        self._generation = 0
        self._known = 0
        """All images that the filter let through when it was asked last; 0: not known."""

    # --- reading --------------------------------------------------------------------------------------------

    def at(self, index: int) -> pb.Image | None:
        """The image of that place; None: not known yet, it comes."""
        page = index // PAGE
        if page not in self._pages or page in self._stale:
            self._ask_page(page)
        return self.known_at(index)

    def known_at(self, index: int) -> pb.Image | None:
        """The image of that place; None: not known, and not asked for."""
        page, place = divmod(index, PAGE)
        images = self._pages.get(page, ())
        return images[place] if 0 <= place < len(images) else None

    @property
    def pages(self) -> int:
        """How many of them are kept."""
        return len(self._pages)

    @property
    def is_empty(self) -> bool:
        """Whether none is known."""
        return not self._pages

    def fetch(self, first: int, last: int, done: Callable[[Sequence[pb.Image]], None]) -> None:
        """Ask for all images from place ``first`` up to and with ``last``; ``done`` gets them, unless the list
        is another one by then. None of the pages changes."""
        generation, mark, hidden = self._generation, self._ratings.mark(), self.new
        where, order = self.wanted.message(), self.wanted.order

        def work(kernel: KernelClient) -> Sequence[pb.Image]:
            found: list[pb.Image] = []
            while (missing := last + 1 - first - len(found)) > 0:
                page = kernel.gallery.images(
                    where,
                    order=order,
                    limit=min(missing, LARGEST_PAGE),
                    offset=first + hidden + len(found),
                )
                if not page.images:
                    break
                found += page.images
            return found

        def came(images: Sequence[pb.Image]) -> None:
            if generation == self._generation:
                self._ratings.arrived(images, mark)
                done(images)

        self._desk.ask(work, came, key="many images")

    # --- asking ---------------------------------------------------------------------------------------------

    def begin(self, wanted: Wanted, near: int, *, keep: bool) -> None:
        """List what ``wanted`` lets through, beginning with the page of the place ``near``. ``keep``: what is
        known stays on the screen until the new ones are there."""
        self.wanted, self.problem = wanted, ""
        self._generation += 1
        self._asked.clear()
        self._stale = set(self._pages)
        if not keep:
            self._pages.clear()
            self._stale.clear()
            self.new = self._known = 0
        self.is_loading = True
        self._ask_page(near // PAGE)

    def refresh(self, near: int) -> None:
        """Ask for what is to be seen again. Nothing moves."""
        self._stale = set(self._pages)
        self._ask_page(near // PAGE)

    def _ask_page(self, page: int) -> None:
        if page in self._asked:
            return
        generation, mark, hidden = self._generation, self._ratings.mark(), self.new
        where, order = self.wanted.message(), self.wanted.order

        def done(answer: pb.ListImagesResponse) -> None:
            if generation != self._generation:
                return
            self._asked.discard(page)
            self.is_loading, self.problem = False, ""
            if self._holds_back(page, answer.total):
                return
            images = list(answer.images)
            self._ratings.arrived(images, mark)
            self._came(page * PAGE, images)
            self._pages.pop(page, None)
            self._pages[page] = images
            self._stale.discard(page)
            self._known, self.total = answer.total, max(0, answer.total - self.new)
            while len(self._pages) > PAGES_KEPT:
                self._pages.pop(next(iter(self._pages)))
            self._changed()

        def failed(error: Exception) -> None:
            if generation != self._generation:
                return
            self._asked.discard(page)
            self.is_loading = False
            if not self._desk.state.is_connected:  # asked again when one answers
                self._stale.discard(page)
            elif self.problem != str(error):
                # The page stays asked for, so that a wrong filter is not asked in each frame.
                self.problem = str(error)
                self._asked.add(page)
                self.total = self.new = self._known = 0
                self._pages.clear()
            self._changed()

        self._asked.add(page)
        asked = self._desk.ask(
            lambda kernel: kernel.gallery.images(where, order=order, limit=PAGE, offset=page * PAGE + hidden),
            done,
            failed,
        )
        if not asked:
            self._asked.discard(page)
            self.is_loading = False

    def _holds_back(self, page: int, total: int) -> bool:
        """Whether new images are in front, and are to wait. Then the page is asked for again, behind them."""
        came = total - self._known
        if not self._known or came <= 0 or self.wanted.order != "newest":
            return False
        self._stale = set(self._pages)
        if not self._is_at_work():
            return False
        self.new += came
        self._known = total
        self._generation += 1
        self._asked.clear()
        self._ask_page(page)
        self._changed()
        return True
