"""The keys that give stars: the same wherever an image can be rated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.ratings import MOST_STARS
from stablenew_plugins.desktop.text import _, many


def star_keys(rate: Callable[[int], None], **where: Any) -> Sequence[Shortcut]:
    """``0`` takes the stars back, ``1`` to ``5`` give so many; ``where`` they work, as :class:`Shortcut` has
    it."""
    made = [Shortcut("0", _("Take the stars back"), partial(rate, 0), repeats=False, **where)]
    for stars in range(1, MOST_STARS + 1):
        what = many("Give {n} star", "Give {n} stars", stars)
        made.append(Shortcut(str(stars), what, partial(rate, stars), repeats=False, **where))
    return made
