"""Review: a grid of images, found by what they are, rated by key, compared, sent on to later stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
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

TAB = "learning"
PAGE = 120
"""Images asked for at a time."""
PAGES_KEPT = 16
"""Nearly 2,000 records, the ones looked at last."""
QUIET = 0.3
"""Seconds without a change of the filter before it is asked."""
REFRESH_EVERY = 10.0
"""Seconds between two looks at what others changed, while the tab is to be seen."""
SETTLE = 0.5
"""Seconds that further images or ratings are waited for."""
COMPARED = (2, 4)
"""Least and most images side by side."""
KEEPER_STARS = 4

Order = Literal["newest", "best"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images are to be seen. Empty: all."""

    pack: str = ""
    model: str = ""
    preset: str = ""
    tag: str = ""
    min_stars: int = 0
    unrated: bool = False
    words: str = ""
    order: Order = "newest"

    @property
    def is_empty(self) -> bool:
        """Whether it lets all images through."""
        return replace(self, order="newest") == Wanted()


class ReviewModel(Model):
    """See above. Records come by pages, as they are looked at. Images that are made while somebody looks
    further down wait until they are wanted, so that nothing moves under the hand."""

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
        self.wanted = Wanted()
        self.total = 0
        """Images that the filter lets through, but for :attr:`new`."""
        self.new = 0
        """Images that came while somebody looked further down."""
        self.problem = ""
        """What is wrong with the filter."""
        self.is_loading = True
        self.facets: pb.ListFacetsResponse | None = None
        """What there is to filter by, of all images."""
        self.counts: pb.ListFacetsResponse | None = None
        """How many stars the images have that the filter lets through."""
        self.cursor = 0
        """Place of the image that keys work on."""
        self.cursor_revision = 0
        """Grows when the cursor was moved by a key: it is to be brought into sight."""
        self.columns = 1
        """Of the grid; the panel says so."""
        self.at_top = True
        """Whether the first row is to be seen; the panel says so."""
        self.moves_on: bool = desk.remembered.get("learning_moves_on", True)
        """Whether a rating moves to the next image."""
        self._selected: dict[str, pb.Image] = {}
        self._anchor = 0
        self._pages: dict[int, Sequence[pb.Image]] = {}
        self._asked: set[int] = set()
        self._stale: set[int] = set()
        self._generation = 0
        self._listed = Wanted()
        """What the pages were asked for with."""
        self._known = 0
        """All images that the filter let through when it was asked last; 0: not known."""
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

    def at(self, index: int) -> pb.Image | None:
        """The image of that place; None: not known yet, it comes."""
        page = index // PAGE
        if page not in self._pages or page in self._stale:
            self._ask_page(page)
        return self._known_at(index)

    def _known_at(self, index: int) -> pb.Image | None:
        page, place = divmod(index, PAGE)
        images = self._pages.get(page, ())
        return images[place] if place < len(images) else None

    @property
    def shown(self) -> pb.Image | None:
        """The image that keys work on; None: there is none, or it is not known yet."""
        return self._known_at(self.cursor) if 0 <= self.cursor < self.total else None

    @property
    def place(self) -> str:
        """Where it stands: "3 of 48"."""
        return _("{n} of {all}").format(n=f"{self.cursor + 1:,}", all=f"{self.total:,}") if self.total else ""

    def is_selected(self, image: pb.Image) -> bool:
        """Whether ``image`` is chosen with others."""
        return image.image_sha256 in self._selected

    @property
    def selected(self) -> Sequence[pb.Image]:
        """Images that are chosen together, in the order in which they were."""
        return list(self._selected.values())

    @property
    def targets(self) -> Sequence[pb.Image]:
        """What keys work on: what is chosen, else the image of the cursor."""
        if self._selected:
            return self.selected
        return [self.shown] if self.shown is not None else []

    @property
    def rated(self) -> tuple[int, int]:
        """How many images that the filter lets through are rated, and how many there are."""
        if self.counts is None:
            return 0, 0
        by_stars = {facet.value: facet.images for facet in self.counts.stars}
        everything = sum(by_stars.values())
        return everything - by_stars.get("0", 0), everything

    @property
    def average(self) -> float:
        """Stars of the rated ones on average; 0: none is rated."""
        return average(self.counts)[0]

    # --- finding --------------------------------------------------------------------------------------------

    def want(self, wanted: Wanted) -> None:
        """Show the images that ``wanted`` lets through."""
        if wanted == self.wanted:
            return
        quiet = QUIET if wanted.words != self.wanted.words else 0.0
        self.wanted = wanted
        self._due = self._desk.clock() + quiet
        self.touch()

    def clear_filter(self) -> None:
        """Show all."""
        self.want(Wanted(order=self.wanted.order))

    def show_new(self) -> None:
        """Show the images that came meanwhile."""
        self.new = 0
        self._begin_anew(keep_place=False)

    def _filter(self) -> pb.ImageFilter:
        from stablenew_proto.v1 import gallery_pb2 as pb

        wanted = self.wanted
        return pb.ImageFilter(
            packs=[wanted.pack] if wanted.pack else [],
            models=[wanted.model] if wanted.model else [],
            presets=[wanted.preset] if wanted.preset else [],
            tags=[wanted.tag] if wanted.tag else [],
            min_stars=0 if wanted.unrated else wanted.min_stars,
            unrated=wanted.unrated,
            words=wanted.words.strip(),
        )

    def _begin_anew(self, *, keep_place: bool) -> None:
        """Another list: forget the pages. Their images stay on the screen until the new ones are there."""
        self._generation += 1
        self._asked.clear()
        self._stale = set(self._pages)
        if not keep_place:
            self.cursor = self._anchor = 0
            self.cursor_revision += 1
            self._selected.clear()
            self._pages.clear()
            self._stale.clear()
            self.new = self._known = 0
        self.is_loading = True
        self._counts_due = self._desk.clock()
        self._ask_page(self.cursor // PAGE)
        self.touch()

    def _ask_page(self, page: int) -> None:
        if page in self._asked:
            return
        generation, mark, hidden = self._generation, self.ratings.mark(), self.new
        order = self.wanted.order
        where = self._filter()

        def done(answer: pb.ListImagesResponse) -> None:
            if generation != self._generation:
                return
            self._asked.discard(page)
            self.is_loading, self.problem = False, ""
            if self._holds_back(answer.total):
                return
            images = list(answer.images)
            self.ratings.arrived(images, mark)
            held = self.shown if self._is_at_work else None
            self._pages.pop(page, None)
            self._pages[page] = images
            self._stale.discard(page)
            self._known, self.total = answer.total, max(0, answer.total - self.new)
            while len(self._pages) > PAGES_KEPT:
                self._pages.pop(next(iter(self._pages)))
            for place, image in enumerate(images):
                if image.image_sha256 in self._selected:
                    self._selected[image.image_sha256] = image
                if held is not None and _is_one_file(image, held):  # others went, and it moved
                    self.cursor = page * PAGE + place
            self.cursor = max(0, min(self.cursor, self.total - 1))
            self.touch()

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
            self.touch()

        self._asked.add(page)
        asked = self._desk.ask(
            lambda kernel: kernel.gallery.images(where, order=order, limit=PAGE, offset=page * PAGE + hidden),
            done,
            failed,
        )
        if not asked:
            self._asked.discard(page)
            self.is_loading = False

    @property
    def _is_at_work(self) -> bool:
        """Whether somebody is busy with images further down, which are not to move."""
        return bool(not self.at_top or self.cursor or self._selected)

    def _holds_back(self, total: int) -> bool:
        """Whether new images are in front, and are to wait. Then the pages are asked for again, behind them."""
        came = total - self._known
        if not self._known or came <= 0 or self.wanted.order != "newest":
            return False
        self._stale = set(self._pages)
        if not self._is_at_work:
            return False
        self.new += came
        self._known = total
        self._generation += 1
        self._asked.clear()
        self._ask_page(self.cursor // PAGE)
        self.touch()
        return True

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
            self.problem = ""
            self._begin_anew(keep_place=bool(self._pages) and self.wanted == self._listed)
            self._listed = self.wanted
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
        """Ask for what is to be seen again. Nothing moves."""
        if self.problem:
            return
        self._stale = set(self._pages)
        self._counts_due = self._desk.clock()
        self._ask_page(self.cursor // PAGE)

    def _ask_counts(self) -> None:
        where = self._filter()

        def work(kernel: KernelClient) -> tuple[pb.ListFacetsResponse, pb.ListFacetsResponse]:
            return kernel.gallery.facets(), kernel.gallery.facets(where)

        def done(answers: tuple[pb.ListFacetsResponse, pb.ListFacetsResponse]) -> None:
            self.facets, self.counts = answers
            self.touch()

        def failed(error: Exception) -> None:
            # A filter that can't be understood is told where the images would be.
            if self._desk.state.is_connected and not self.problem:
                self.problem = str(error)
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
            if not self._selected and (before := self.shown) is not None and self.cursor != index:
                self._selected[before.image_sha256] = before
            self._toggle(image)
            self._anchor = index
        else:
            self._selected.clear()
            self._anchor = index
        self.cursor = index
        self._preview.show(image)
        self.touch()

    def _toggle(self, image: pb.Image) -> None:
        if self._selected.pop(image.image_sha256, None) is None:
            self._selected[image.image_sha256] = image

    def _extend(self, index: int) -> None:
        first, last = min(self._anchor, index), max(self._anchor, index)
        found = [image for place in range(first, last + 1) if (image := self.at(place)) is not None]
        self._selected = {image.image_sha256: image for image in found}
        if len(found) <= last - first:
            self._desk.toasts.say(
                _("Not all of them are known yet."), hint=_("Scroll past them once, then choose again.")
            )

    def open(self, index: int) -> None:
        """Look at the image of that place, as large as the window."""
        self.click(index)
        self._viewer.open(self)

    def open_cursor(self) -> None:
        """Look at the image of the cursor, as large as the window."""
        self._viewer.open(self)

    def step(self, by: int) -> None:
        """Move the cursor."""
        self._move(self.cursor + by)

    def _move(self, index: int, *, extend: bool = False) -> None:
        if not self.total:
            return
        self.cursor = min(max(index, 0), self.total - 1)
        self.cursor_revision += 1
        if extend:
            self._extend(self.cursor)
        else:
            self._anchor = self.cursor
        if (image := self.at(self.cursor)) is not None:
            self._preview.show(image)
        self.touch()

    def toggle_cursor(self) -> None:
        """Choose the image of the cursor too, or not any more."""
        if (image := self.shown) is not None:
            self._toggle(image)
            self.touch()

    def clear_selection(self) -> None:
        """Choose nothing."""
        self._selected.clear()
        self.touch()

    # --- rating ---------------------------------------------------------------------------------------------

    def rate(self, stars: int) -> None:
        """Rate what is chosen; of a single image the next one is looked at then, if that is wanted."""
        targets = self.targets
        if not targets:
            return
        self.ratings.rate(targets, stars)
        if self.moves_on and not self._selected and stars:
            self.step(1)
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
        if self.facets is None:
            return 0
        return sum(facet.images for facet in self.facets.stars if int(facet.value) >= KEEPER_STARS)

    def promote_keepers(self) -> None:
        """Ask which stages all images with four stars or more are to go through."""
        self._promote.begin_keepers(KEEPER_STARS)

    # --- keys -----------------------------------------------------------------------------------------------

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab."""
        group = _("Learning")
        keys = [
            ("Left", _("Image before"), lambda: self.step(-1)),
            ("Right", _("Next image"), lambda: self.step(1)),
            ("Up", _("Row above"), lambda: self.step(-self.columns)),
            ("Down", _("Row below"), lambda: self.step(self.columns)),
            ("Home", _("First image"), lambda: self._move(0)),
            ("End", _("Last image"), lambda: self._move(self.total - 1)),
            ("Shift+Left", _("Choose the image before, too"), lambda: self._move(self.cursor - 1, extend=True)),
            ("Shift+Right", _("Choose the next image, too"), lambda: self._move(self.cursor + 1, extend=True)),
            ("Enter", _("Choose this image, too"), self.toggle_cursor),
            ("Escape", _("Choose nothing"), self.clear_selection),
            ("Space", _("As large as the window"), self.open_cursor),
            ("C", _("Compare what is chosen"), self.compare),
            ("P", _("Promote what is chosen"), self.promote),
            ("Ctrl+Z", _("Take the last rating back"), self.ratings.undo),
            ("0", _("Take the stars back"), lambda: self.rate(0)),
        ]
        made = [
            Shortcut(key, what, act, tab=TAB, group=group, repeats=key.endswith(MOVING))
            for key, what, act in keys
        ]
        for stars in range(1, 6):
            act = lambda stars=stars: self.rate(stars)  # noqa: E731
            made.append(
                Shortcut(
                    str(stars),
                    many("Give {n} star", "Give {n} stars", stars),
                    act,
                    tab=TAB,
                    group=group,
                    repeats=False,
                )
            )
        for letter in LETTERS:
            press = lambda letter=letter: self.press(letter)  # noqa: E731
            made.append(Shortcut(letter, "", press, tab=TAB, group=group, repeats=False))
        return made


MOVING = ("Left", "Right", "Up", "Down")
"""Keys that go on while they are held; all others would do and undo."""
LETTERS = "ABDEFGHIJKLMNOQRSTUVWXYZ"
"""Keys for tags: all but those that do something else in the tab."""


def _is_one_file(one: pb.Image, other: pb.Image) -> bool:
    """Two files may have the same content: of an image that was made again."""
    return (one.image_sha256, one.path) == (other.image_sha256, other.path)


def letters_of(tags: Sequence[str]) -> dict[str, str]:
    """A key for each of ``tags``: the first of its letters that is free, else any; none where all are taken."""
    free = list(LETTERS)
    found = {}
    for tag in tags:
        key = next((letter for letter in tag.upper() if letter in free), None)
        if key is None:
            continue
        free.remove(key)
        found[tag] = key
    for tag in tags:
        if tag not in found and free:
            found[tag] = free.pop(0)
    return found


def average(counts: pb.ListFacetsResponse | None) -> tuple[float, int]:
    """Stars on average, and of how many rated images; 0 and 0 if none is."""
    if counts is None:
        return 0.0, 0
    stars = {int(facet.value): facet.images for facet in counts.stars}
    rated = sum(images for value, images in stars.items() if value)
    return (sum(value * images for value, images in stars.items()) / rated if rated else 0.0), rated
