"""Images that are chosen together: a few, or thousands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.images.ratings import Opinion

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2 as pb


class Chosen:
    """See above. By their pixels, in the order in which they were chosen."""

    def __init__(self, ratings: Ratings) -> None:
        self._ratings = ratings
        self._images: dict[str, pb.Image] = {}
        self._choices = 0
        """Grows when others are chosen."""
        self._common: Opinion | None = None
        self._common_of = -1

    def __len__(self) -> int:
        return len(self._images)

    def __contains__(self, image: pb.Image) -> bool:
        return image.image_sha256 in self._images

    @property
    def images(self) -> Sequence[pb.Image]:
        """All of them."""
        return list(self._images.values())

    def choose(self, images: Iterable[pb.Image]) -> None:
        """These, and no others."""
        self._images = {image.image_sha256: image for image in images}
        self._choices += 1
        self._common = None

    def toggle(self, image: pb.Image) -> None:
        """It too, or not any more."""
        others = [one for one in self.images if one.image_sha256 != image.image_sha256]
        self.choose(others if image in self else [*others, image])

    def later(self) -> Callable[[Iterable[pb.Image]], bool]:
        """To be called with images that are still asked for: they are chosen, unless others have been
        meanwhile. Whether they were."""
        self._choices += 1
        asked = self._choices

        def choose(images: Iterable[pb.Image]) -> bool:
            if asked != self._choices:
                return False
            self.choose(images)
            return True

        return choose

    def renew(self, image: pb.Image) -> None:
        """``image`` was listed anew."""
        if image in self:
            self._images[image.image_sha256] = image
            self._common = None

    @property
    def common(self) -> Opinion:
        """The stars that all of them have, 0 if they differ, and the tags that all have. They are gone through
        when they or ratings changed: there may be thousands."""
        if self._common is None or self._common_of != self._ratings.revision:
            self._common_of, self._common = self._ratings.revision, common(self._ratings, self.images)
        return self._common


def common(ratings: Ratings, images: Sequence[pb.Image]) -> Opinion:
    """See :attr:`Chosen.common`; of no image it is none."""
    opinions = [ratings.of(image) for image in images]
    if not opinions:
        return Opinion()
    stars = {opinion.stars for opinion in opinions}
    tags = set(opinions[0].tags).intersection(*(opinion.tags for opinion in opinions))
    return Opinion(stars.pop() if len(stars) == 1 else 0, tuple(tag for tag in opinions[0].tags if tag in tags))
