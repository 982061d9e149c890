"""Review: a grid of images, found by what they are, rated by key, compared, sent on to later stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.chosen import Chosen, common
from stablenew_plugins.desktop.models.images.filters import Loosening, Wanted
from stablenew_plugins.desktop.models.images.imagelist import ImageList
from stablenew_plugins.desktop.models.images.ratings import KEEPER_STARS, MOST_STARS, Opinion
from stablenew_plugins.desktop.models.images.reviewkeys import TAB, review_keys
from stablenew_plugins.desktop.models.images.starcounts import mean_of, rated_of
from stablenew_plugins.desktop.models.images.tagkeys import letters_of
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.compare import CompareModel
    from stablenew_plugins.desktop.models.images.preview import PreviewModel
    from stablenew_plugins.desktop.models.images.promote import PromoteModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_plugins.desktop.models.images.viewer import ViewerModel
    from stablenew_proto.v1 import gallery_pb2 as pb

    _Counts = tuple[pb.ListFacetsResponse, pb.ListFacetsResponse, Sequence[Loosening]]

FILTER = "learning_filter"
"""The name under which the filter is remembered."""
QUIET = 0.3
"""Seconds without a change of the filter before it is asked."""
REFRESH_EVERY = 10.0
"""Seconds between two looks at what others changed, while the tab is to be seen."""
SETTLE = 0.5
"""Seconds that further images or ratings are waited for."""
COMPARED = (2, 4)
"""Least and most images side by side."""
TRAIL = 200
"""Images that were left behind by a rating, to come back to when it is taken back."""


class ReviewModel(Model):
    """See above. The images are those of an :class:`~.imagelist.ImageList`."""

    def __init__(
        self,
        desk: Desk,
        view: ViewModel,
        preview: PreviewModel,
        ratings: Ratings,
        promote: PromoteModel,
        viewer: ViewerModel,
        compare: CompareModel,
    ) -> None:
        super().__init__()
        self._desk, self._view = desk, view
        self._preview, self.ratings, self._promote = preview, ratings, promote
        self._viewer, self._compare = viewer, compare
        self.wanted = Wanted.of(desk.remembered.get(FILTER, {}))
        self.list = ImageList(desk, ratings, self._is_at_work, self._came, self._list_changed)
        self.facets: pb.ListFacetsResponse | None = None
        """What there is to filter by, of all images."""
        self.counts: pb.ListFacetsResponse | None = None
        """How many stars the images have that the filter lets through."""
        self.loosenings: Sequence[Loosening] = ()
        """Where the filter lets nothing through: conditions to do without."""
        self.cursor = 0
        """Place of the image that keys work on."""
        self.cursor_revision = 0
        """Grows when the cursor was moved by a key: it is to be brought into sight."""
        self.columns = 1
        """Of the grid; the panel says so."""
        self.rows = 1
        """Of the grid that are to be seen whole; the panel says so."""
        self.at_top = True
        """Whether the first row is to be seen; the panel says so."""
        self.moves_on: bool = desk.remembered.get("learning_moves_on", True)
        """Whether a rating moves to the next image."""
        self._chosen = Chosen(ratings)
        self._anchor = 0
        self._trail: list[tuple[int, pb.Image]] = []
        self._shows_late = False
        """Whether the image of the cursor is not known yet, and is to be shown when it is."""
        self._due = 0.0
        self._counts_due = 0.0
        self._looked_at = 0.0
        self._seen = (-1, -1, -1)
        desk.state.on_connected.append(self._connected)

    # --- what is to be seen ---------------------------------------------------------------------------------

    @property
    def is_visible(self) -> bool:
        """Whether the tab is in front."""
        return self._view.tab == TAB

    @property
    def total(self) -> int:
        """Images that the filter lets through, but for :attr:`new`."""
        return self.list.total

    @property
    def new(self) -> int:
        """Images that came while somebody looked further down."""
        return self.list.new

    @property
    def problem(self) -> str:
        """What is wrong with the filter."""
        return self.list.problem

    @property
    def is_loading(self) -> bool:
        """Whether images are asked for and none are there yet."""
        return self.list.is_loading

    def at(self, index: int) -> pb.Image | None:
        """The image of that place; None: not known yet, it comes."""
        return self.list.at(index)

    @property
    def shown(self) -> pb.Image | None:
        """The image that keys work on; None: there is none, or it is not known yet."""
        return self.list.known_at(self.cursor) if 0 <= self.cursor < self.total else None

    @property
    def place(self) -> str:
        """Where it stands: "3 of 48"."""
        return _("{n} of {all}").format(n=f"{self.cursor + 1:,}", all=f"{self.total:,}") if self.total else ""

    def is_selected(self, image: pb.Image) -> bool:
        """Whether ``image`` is chosen with others."""
        return image in self._chosen

    @property
    def selected(self) -> Sequence[pb.Image]:
        """Images that are chosen together, in the order in which they were."""
        return self._chosen.images

    @property
    def targets(self) -> Sequence[pb.Image]:
        """What keys work on: what is chosen, else the image of the cursor."""
        if self._chosen:
            return self.selected
        return [self.shown] if self.shown is not None else []

    @property
    def common(self) -> Opinion:
        """The stars that all of these have, 0 if they differ, and the tags that all have."""
        return self._chosen.common if self._chosen else common(self.ratings, self.targets)

    @property
    def rated(self) -> tuple[int, int]:
        """How many images that the filter lets through are rated, and how many there are."""
        counts = _by_stars(self.counts)
        return rated_of(counts), sum(counts)

    @property
    def average(self) -> float:
        """Stars of the rated ones on average; 0: none is rated."""
        return mean_of(_by_stars(self.counts))

    @property
    def everything(self) -> int:
        """How many images there are without a filter."""
        return sum(_by_stars(self.facets))

    # --- finding --------------------------------------------------------------------------------------------

    def want(self, wanted: Wanted) -> None:
        """Show the images that ``wanted`` lets through."""
        if wanted == self.wanted:
            return
        quiet = QUIET if wanted.words != self.wanted.words else 0.0
        self.wanted = wanted
        self._desk.remembered.set(FILTER, wanted.kept())
        self._due = self._desk.clock() + quiet
        self.touch()

    def clear_filter(self) -> None:
        """Show all."""
        self.want(Wanted(order=self.wanted.order))

    def show_new(self) -> None:
        """Show the images that came meanwhile."""
        self._begin_anew(keep_place=False)

    def _begin_anew(self, *, keep_place: bool) -> None:
        if not keep_place:
            self.cursor = self._anchor = 0
            self.cursor_revision += 1
            self._chosen.choose(())
            self._trail.clear()
        self._counts_due = self._desk.clock()
        self.loosenings = ()
        self.list.begin(self.wanted, self.cursor, keep=keep_place)
        self.touch()

    def _is_at_work(self) -> bool:
        """Whether somebody is busy with images further down, which are not to move."""
        return bool(not self.at_top or self.cursor or self._chosen)

    def _came(self, first: int, images: Sequence[pb.Image]) -> None:
        held = self.shown if self._is_at_work() else None
        for place, image in enumerate(images, first):
            self._chosen.renew(image)
            if held is not None and _is_one_file(image, held):  # others went, and it moved
                self.cursor = place

    def _list_changed(self) -> None:
        self.cursor = max(0, min(self.cursor, self.total - 1))
        if self._shows_late and (image := self.shown) is not None:
            self._shows_late = False
            self._preview.show(image)
        self.touch()

    # --- keeping up -----------------------------------------------------------------------------------------

    def _connected(self) -> None:
        self._due = self._desk.clock()

    def tick(self) -> None:
        """Ask again when the filter, the images or the ratings changed; only while the tab is to be seen."""
        if not self.is_visible:
            return
        now = self._desk.clock()
        if self._due and now >= self._due:
            self._due = 0.0
            self._looked_at = now
            self._begin_anew(keep_place=not self.list.is_empty and self.wanted == self.list.wanted)
        state = self._desk.state
        seen = (state.images_revision, self.ratings.sent, self.ratings.revision)
        if seen != self._seen:
            if seen[:2] != self._seen[:2]:
                self._looked_at = min(self._looked_at, now - REFRESH_EVERY + SETTLE)
            self._seen = seen
            self.touch()
        if now - self._looked_at >= REFRESH_EVERY and not self._due:
            self._looked_at = now
            self._refresh()
        if self._counts_due and now >= self._counts_due:
            self._counts_due = 0.0
            self._ask_counts()

    def _refresh(self) -> None:
        if not self.problem:
            self._counts_due = self._desk.clock()
            self.list.refresh(self.cursor)

    def _ask_counts(self) -> None:
        wanted = self.wanted

        def work(kernel: KernelClient) -> _Counts:
            everything, counts = kernel.gallery.facets(), kernel.gallery.facets(wanted.message())
            found = []
            if not any(facet.images for facet in counts.stars):
                for condition in wanted.conditions():
                    images = kernel.gallery.images(condition.without.message(), limit=1).total
                    if images:
                        found.append(Loosening(condition.told, condition.without, images))
            return everything, counts, sorted(found, key=lambda one: -one.images)

        def done(answers: _Counts) -> None:
            if wanted == self.wanted:
                self.facets, self.counts, self.loosenings = answers
                self.touch()

        def failed(error: Exception) -> None:
            # A filter that can't be understood is told where the images would be.
            if self._desk.state.is_connected and not self.problem:
                self.list.problem = str(error)
                self.touch()

        self._desk.ask(work, done, failed, key="facets")

    # --- moving and choosing --------------------------------------------------------------------------------

    def click(self, index: int, *, extend: bool = False, toggle: bool = False) -> None:
        """Look at the image of that place. ``extend``: choose all from the last one to it; ``toggle``: choose
        it too, or not any more."""
        image = self.at(index)
        if image is None:
            return
        if extend:
            self._extend(index)
        elif toggle:
            if not self._chosen and (before := self.shown) is not None and self.cursor != index:
                self._chosen.toggle(before)
            self._chosen.toggle(image)
            self._anchor = index
        else:
            self._chosen.choose(())
            self._anchor = index
        self.cursor = index
        self._shows_late = False
        self._preview.show(image)
        self.touch()

    def _extend(self, index: int) -> None:
        """Choose all from the last one that was chosen to this one."""
        self._choose_all(min(self._anchor, index), max(self._anchor, index))

    def _choose_all(self, first: int, last: int) -> None:
        """Choose the images of these places. Those that are not known yet are asked for: that may take a
        moment."""
        take = self._chosen.later()

        def choose(images: Sequence[pb.Image]) -> None:
            if take(images):
                self.touch()

        known = [self.list.known_at(place) for place in range(first, last + 1)]
        found = [image for image in known if image is not None]
        if len(found) == len(known):
            choose(found)
        else:
            self.list.fetch(first, last, choose)

    def choose_all(self) -> None:
        """Choose all that the filter lets through."""
        if self.total:
            self._choose_all(0, self.total - 1)

    def open(self, index: int) -> None:
        """Look at the image of that place, as large as the window."""
        self.click(index)
        self._viewer.open(self, self.undo)

    def open_cursor(self) -> None:
        """Look at the image of the cursor, as large as the window."""
        self._viewer.open(self, self.undo)

    def step(self, by: int) -> None:
        """Move the cursor."""
        self.move(self.cursor + by)

    def step_row(self, by: int, *, extend: bool = False) -> None:
        """Move the cursor by so many rows, as far as there are some; it stays in its column."""
        if not self.total:
            return
        last = (self.total - 1) // self.columns
        row, column = divmod(self.cursor, self.columns)
        self.move(min(max(row + by, 0), last) * self.columns + column, extend=extend)

    def move(self, index: int, *, extend: bool = False) -> None:
        """Move the cursor to that place, or the nearest that there is. ``extend``: choose all up to it."""
        if not self.total:
            return
        self.cursor = min(max(index, 0), self.total - 1)
        self.cursor_revision += 1
        if extend:
            self._extend(self.cursor)
        else:
            self._anchor = self.cursor
        image = self.at(self.cursor)
        self._shows_late = image is None
        if image is not None:
            self._preview.show(image)
        self.touch()

    def toggle_cursor(self) -> None:
        """Choose the image of the cursor too, or not any more."""
        if (image := self.shown) is not None:
            self._chosen.toggle(image)
            self.touch()

    def clear_selection(self) -> None:
        """Choose nothing."""
        self._chosen.choose(())
        self.touch()

    # --- rating ---------------------------------------------------------------------------------------------

    def rate(self, stars: int) -> None:
        """Rate what is chosen; of a single image the next one is looked at then, if that is wanted."""
        targets = self.targets
        if not targets:
            return
        self.ratings.rate(targets, stars)
        if self.moves_on and not self._chosen and stars:
            self._trail = [*self._trail[1 - TRAIL :], (self.cursor, targets[0])]
            self.step(1)
        self.touch()

    def undo(self) -> None:
        """Take the last rating back, and look at its image again where the rating had moved on from it."""
        place, image = self._trail[-1] if self._trail else (0, None)
        before = None if image is None else self.ratings.of(image)
        self.ratings.undo()
        if image is not None and self.ratings.of(image) != before:
            self._trail.pop()
            known = self.list.known_at(place)
            if not self._chosen and (known is None or _is_one_file(known, image)):
                self.move(place)
        self.touch()

    def toggle_tag(self, tag: str) -> None:
        """Give ``tag`` to what is chosen, or take it away."""
        if targets := self.targets:
            self.ratings.toggle_tag(targets, tag)

    def add_tag(self, name: str) -> None:
        """Give a tag of one's own to what is chosen."""
        if targets := self.targets:
            self.ratings.add_tag(targets, name)

    @property
    def letters(self) -> dict[str, str]:
        """The key of each tag: the first of its letters that is free."""
        return letters_of(self.ratings.tags)

    def press(self, letter: str) -> None:
        """Give the tag with this key."""
        for tag, key in self.letters.items():
            if key == letter:
                self.toggle_tag(tag)

    def set_moves_on(self, moves_on: bool) -> None:
        """See :attr:`moves_on`."""
        self.moves_on = moves_on
        self._desk.remembered.set("learning_moves_on", moves_on)
        self.touch()

    # --- what is done with them -----------------------------------------------------------------------------

    def compare(self) -> None:
        """Show what is chosen side by side; of a single image, it and the next one."""
        images = list(self.selected)
        if len(images) < COMPARED[0]:
            pair = (
                self.at(self.cursor + place) for place in range(COMPARED[0]) if self.cursor + place < self.total
            )
            images = [image for image in pair if image is not None]
        if len(images) < COMPARED[0]:
            self._desk.toasts.say(
                _("Choose two to four images to compare."), hint=_("Ctrl and a click chooses more.")
            )
            return
        if len(images) > COMPARED[1]:
            left = len(images) - COMPARED[1]
            self._desk.toasts.say(
                many(
                    "{n} image is left out: four fit side by side.",
                    "{n} images are left out: four fit side by side.",
                    left,
                )
            )
        self._compare.open(images[: COMPARED[1]])

    def promote(self) -> None:
        """Ask which stages what is chosen is to go through."""
        if targets := self.targets:
            self._promote.begin([image.image_sha256 for image in targets])

    @property
    def keepers(self) -> int:
        """How many images have four stars or more, of all."""
        return sum(_by_stars(self.facets)[KEEPER_STARS:])

    def promote_keepers(self) -> None:
        """Ask which stages all images with four stars or more are to go through."""
        self._promote.begin_keepers(KEEPER_STARS)

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab."""
        return review_keys(self)


def _is_one_file(one: pb.Image, other: pb.Image) -> bool:
    """Two files may have the same content: of an image that was made again."""
    return (one.image_sha256, one.path) == (other.image_sha256, other.path)


def _by_stars(facets: pb.ListFacetsResponse | None) -> Sequence[int]:
    """How many images have no rating, 1 star, 2, up to 5; none while that is not known."""
    found = {facet.value: facet.images for facet in facets.stars} if facets is not None else {}
    return [found.get(str(stars), 0) for stars in range(MOST_STARS + 1)]
