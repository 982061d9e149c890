"""What a person thinks of images: stars and tags, shown at once, sent one by one, taken back by undo."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import gallery_pb2

MOST_STARS = 5
KEEPER_STARS = 4
"""What makes an image a keeper, at least."""
UNDO_KEPT = 200
"""Steps."""
TAGS_SHOWN = 16
TAGS_QUIET = 1.0
"""Seconds behind a rating before the known tags are asked for anew."""
LARGEST_TAG = 40
"""Letters."""


def default_tags() -> Sequence[str]:
    """Tags for somebody who has none yet: what is good, then what went wrong."""
    return (_("Keeper"), _("Composition"), _("Light"), _("Hands"), _("Face"), _("Artefacts"))


@dataclass(frozen=True, slots=True)
class Opinion:
    """Stars and tags of one image."""

    stars: int = 0
    """1 to 5; 0: not rated."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """An opinion on its way to the kernel."""

    image_sha256: str
    file_name: str
    opinion: Opinion


@dataclass(slots=True)
class _Kept:
    """An opinion that lists of images do not have yet."""

    opinion: Opinion
    settled: int = 0
    """After which number of answers the kernel has it; 0: not yet."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one key press changed: each image with what was thought of it before, and since. The image may be
    listed anew meanwhile, and this message of it be old."""

    changes: Sequence[tuple[gallery_pb2.Image, Opinion, Opinion]]


class Ratings(Model):
    """See above. What was given while no kernel answers is sent when one does."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._kept: dict[str, _Kept] = {}
        self._loose: dict[str, tuple[str, ...]] = {}
        """Tags of images without stars: a rating has both."""
        self._waiting: deque[_Given] = deque()
        self._sending = False
        self._answers = 0
        self._undo: deque[_Step] = deque(maxlen=UNDO_KEPT)
        self._tags_due = 0.0
        own = desk.remembered.get("tags", [])
        self._own = [tag for tag in own if isinstance(tag, str)]
        self.tags: Sequence[str] = self._known({})
        """Those that can be given: one's own and those in use, the most frequent first, then some good ones."""
        self.sent = 0
        """Grows with each rating that the kernel has taken: counts of images are asked for again."""
        desk.state.on_connected.append(self._connected)

    # --- reading --------------------------------------------------------------------------------------------

    def of(self, image: gallery_pb2.Image) -> Opinion:
        """What is thought of ``image`` now, whatever the list that it is from says."""
        kept = self._kept.get(image.image_sha256)
        opinion = kept.opinion if kept is not None else Opinion(image.stars, tuple(image.tags))
        if not opinion.stars and (loose := self._loose.get(image.image_sha256)):
            return Opinion(0, loose)
        return opinion

    def mark(self) -> int:
        """To be taken before images are asked for, and given to :meth:`arrived` with them."""
        return self._answers

    def arrived(self, images: Sequence[gallery_pb2.Image], mark: int) -> None:
        """``images`` came from the kernel, asked for at ``mark``: what they say counts, unless it is old."""
        for image in images:
            kept = self._kept.get(image.image_sha256)
            if kept is not None and 0 < kept.settled <= mark:
                del self._kept[image.image_sha256]

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._undo)

    # --- giving ---------------------------------------------------------------------------------------------

    def rate(self, images: Sequence[gallery_pb2.Image], stars: int) -> None:
        """Give ``images`` 1 to 5 stars, or take their rating back with 0. Raises ValueError for others."""
        if not 0 <= stars <= MOST_STARS:
            raise ValueError(f"stars must be 0 to {MOST_STARS}, not {stars}")
        self._change([(image, Opinion(stars, self.of(image).tags if stars else ())) for image in images])

    def toggle_tag(self, images: Sequence[gallery_pb2.Image], tag: str) -> None:
        """Take ``tag`` from ``images`` if all have it, else give it to all."""
        opinions = [(image, self.of(image)) for image in images]
        takes = all(tag in opinion.tags for _image, opinion in opinions)
        changed = []
        for image, opinion in opinions:
            tags = tuple(one for one in opinion.tags if one != tag) if takes else (*opinion.tags, tag)
            changed.append((image, Opinion(opinion.stars, tuple(dict.fromkeys(tags)))))
        self._change(changed)
        if not takes and any(not opinion.stars for _image, opinion in opinions):
            self._desk.toasts.say(
                _("Tags are kept together with stars."), hint=_("Give 1 to 5 stars, and the tags go with them.")
            )

    def add_tag(self, images: Sequence[gallery_pb2.Image], name: str) -> None:
        """Give ``images`` a tag of one's own. It is offered from now on."""
        tag = " ".join(name.split())[:LARGEST_TAG]
        if not tag:
            return
        same = next((known for known in self.tags if known.casefold() == tag.casefold()), tag)
        if same not in self.tags:
            self._own.append(same)
            self._desk.remembered.set("tags", list(self._own))
            self.tags = [same, *self.tags][: max(TAGS_SHOWN, len(self._own))]
        lacking = [image for image in images if same not in self.of(image).tags]
        if lacking:
            self.toggle_tag(lacking, same)
        self.touch()

    def undo(self) -> None:
        """Take the last change back."""
        if not self._undo:
            self._desk.toasts.say(_("There is no rating to take back."))
            return
        step = self._undo.pop()
        self._apply([(image, since, before) for image, before, since in step.changes])
        self._desk.toasts.say(
            many(
                "The rating of {n} image is as it was.",
                "The ratings of {n} images are as they were.",
                len(step.changes),
            )
        )

    def _change(self, changed: Sequence[tuple[gallery_pb2.Image, Opinion]]) -> None:
        changes = [(image, self.of(image), opinion) for image, opinion in changed if self.of(image) != opinion]
        if changes:
            self._undo.append(_Step(changes))
            self._apply(changes)

    def _apply(self, changes: Sequence[tuple[gallery_pb2.Image, Opinion, Opinion]]) -> None:
        for image, had, opinion in changes:
            pixels = image.image_sha256
            if not opinion.stars:
                self._loose[pixels] = opinion.tags
            else:
                self._loose.pop(pixels, None)
            if opinion.stars or had.stars:
                sent = opinion if opinion.stars else Opinion()
                self._kept[pixels] = _Kept(sent)
                name = image.path.replace("\\", "/").rpartition("/")[2]
                self._waiting.append(_Given(pixels, name, sent))
        self.touch()
        self._send()

    # --- sending --------------------------------------------------------------------------------------------

    def _connected(self) -> None:
        self._tags_due = self._desk.clock()
        self._send()

    def _send(self) -> None:
        """One at a time: the latest rating of an image wins, so their order must stay."""
        if self._sending or not self._waiting:
            return
        given = self._waiting.popleft()
        self._sending = True

        def done(_known: bool) -> None:
            self._sending = False
            self._answers += 1
            self.sent += 1
            kept = self._kept.get(given.image_sha256)
            if kept is not None and kept.opinion == given.opinion:
                kept.settled = self._answers
            self._tags_due = self._desk.clock() + TAGS_QUIET
            self._send()

        def failed(error: Exception) -> None:
            self._sending = False
            if isinstance(error, KernelUnavailable):  # it is sent when one answers again
                self._waiting.appendleft(given)
                return
            self._kept.pop(given.image_sha256, None)
            self._desk.complain(error)
            self.touch()
            self._send()

        opinion = given.opinion
        asked = self._desk.ask(
            lambda kernel: kernel.rate(given.image_sha256, opinion.stars, opinion.tags, given.file_name),
            done,
            failed,
        )
        if not asked:
            self._sending = False
            self._waiting.appendleft(given)

    # --- tags -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask which tags are in use, a moment after the last rating."""
        if self._tags_due and self._desk.clock() >= self._tags_due:
            self._tags_due = 0.0
            self._desk.ask(lambda kernel: kernel.gallery.facets(), self._told, key="tags in use")

    def _told(self, facets: gallery_pb2.ListFacetsResponse) -> None:
        tags = self._known({facet.value: facet.images for facet in facets.tags})
        if tags != self.tags:
            self.tags = tags
            self.touch()

    def _known(self, used: dict[str, int]) -> Sequence[str]:
        often = sorted(used, key=lambda tag: (-used[tag], tag.casefold()))
        found: dict[str, str] = {}
        for tag in (*often, *reversed(self._own), *default_tags()):
            found.setdefault(tag.casefold(), tag)
        return list(found.values())[:TAGS_SHOWN]
