"""Which settings earn stars here: how the images that the filter lets through were rated, by what they have in
common. An average, how many it is from, and what that is worth in plain words; it proves nothing, since
people change several settings at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.images.filters import Wanted
from stablenew_plugins.desktop.models.images.imagefacts import GENERATORS
from stablenew_plugins.desktop.models.images.starcounts import (
    interval_of,
    mean_of,
    rated_of,
    together,
    without,
)
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_plugins.desktop.models.images.review import ReviewModel
    from stablenew_proto.v1 import gallery_pb2 as pb

OVERLAY = "liked"
FEW = 5
"""Below so many rated images an average is a hint at most."""
MOST = 8
"""Lines of a kind: those with the most ratings."""
OWN_LINES = 6
"""So many different numbers have a line each; more are put together."""
WIDTHS = {"steps": 10.0, "cfg_scale": 2.0}
"""How far numbers reach that are put together."""
SETTINGS = tuple(f"{stage}.{name}" for stage in GENERATORS for name in ("sampler_name", *WIDTHS))


@dataclass(frozen=True, slots=True)
class Liked:
    """The images that have one thing in common."""

    name: str
    """"dreamshaper_8", "20 to 28"."""
    counts: Sequence[int]
    """Images without a rating, with 1 star, with 2, up to 5."""
    wanted: Wanted
    """The filter that shows them."""
    remark: str = ""
    """What the average is worth, in plain words."""
    is_sure: bool = False
    """Whether it is of enough ratings to look at."""

    @property
    def rated(self) -> int:
        """How many of them are rated."""
        return rated_of(self.counts)

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def stars(self) -> float:
        """On average; 0: none is rated."""
        return mean_of(self.counts)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the average may well be; see :func:`~.starcounts.interval_of`."""
        return interval_of(self.counts)


@dataclass(frozen=True, slots=True)
class Kind:
    """Lines that can be compared."""

    name: str
    """``model``, ``txt2img.steps``."""
    title: str
    lines: Sequence[Liked]
    """Numbers by size; others the best first, those of few ratings last."""
    more: int = 0
    """Lines that are left out: those with the fewest ratings."""


class LikedModel(Model):
    """See above."""

    def __init__(
        self,
        desk: Desk,
        view: ViewModel,
        ratings: Ratings,
        review: ReviewModel,
    ) -> None:
        super().__init__()
        self._desk, self._view, self._ratings, self._review = desk, view, ratings, review
        self.kinds: Sequence[Kind] | None = None
        """None: not known yet."""
        self.counts: Sequence[int] = [0] * 6
        """Of all images that the filter lets through."""
        self.problem = ""
        """Why nothing is known."""
        self.wanted = Wanted()
        """The filter of the tab, but for its stars: what is left out by stars can't be averaged."""
        self.leaves_stars = False
        """Whether the filter of the tab asks for stars, which do not count here."""
        self._sent = -1

    @property
    def rated(self) -> int:
        """How many images are rated."""
        return rated_of(self.counts)

    @property
    def stars(self) -> float:
        """On average; 0: none is rated."""
        return mean_of(self.counts)

    def open(self) -> None:
        """Show it, for the filter of the tab."""
        of_tab = self._review.wanted
        self.wanted = replace(of_tab, min_stars=0, unrated=False)
        self.leaves_stars = bool(of_tab.min_stars or of_tab.unrated)
        self.kinds, self.problem = None, ""
        self._view.open(OVERLAY)
        self._ask()

    def choose(self, line: Liked) -> None:
        """Show the images of that line in the grid."""
        self._view.close()
        self._review.want(line.wanted)

    def tick(self) -> None:
        """Ask again when ratings changed, while it is to be seen."""
        if self._view.overlay == OVERLAY and self._ratings.sent != self._sent:
            self._ask()

    def _ask(self) -> None:
        self._sent = self._ratings.sent
        wanted = self.wanted

        def done(answer: pb.CountStarsResponse) -> None:
            self.kinds, self.counts = kinds_of(answer, wanted, self._desk.state.stage_title)
            self.problem = ""
            self.touch()

        def failed(error: Exception) -> None:
            self.kinds, self.problem = [], str(error)
            self.touch()

        if not self._desk.ask(
            lambda kernel: kernel.gallery.count_stars(wanted.message(), SETTINGS), done, failed, key="liked"
        ):
            self.kinds, self.problem = [], _("No kernel answers yet.")
        self.touch()


def kinds_of(
    answer: pb.CountStarsResponse, wanted: Wanted, title_of: Callable[[str], str]
) -> tuple[Sequence[Kind], Sequence[int]]:
    """The lines for what the kernel counted with the filter ``wanted``; and the counts of all images."""
    found: dict[str, list[tuple[str, Sequence[int]]]] = {}
    for one in answer.counts:
        found.setdefault(one.kind, []).append((one.value, list(one.images)))
    everything = together([counts for _value, counts in found.get("all", [])])
    titles = {"model": _("Model")}
    for stage in GENERATORS:
        of = "" if stage == GENERATORS[0] else f", {title_of(stage)}"
        titles[f"{stage}.sampler_name"] = _("Sampler") + of
        titles[f"{stage}.steps"] = _("Steps") + of
        titles[f"{stage}.cfg_scale"] = _("CFG scale") + of
    titles |= {"pack": _("Pack"), "preset": _("Preset"), "tag": _("Tag")}
    made = []
    for name, title in titles.items():
        if lines := _lines(name, found.get(name, []), wanted):
            made.append(_kind(name, title, lines, everything))
    return made, everything


def _lines(kind: str, values: Sequence[tuple[str, Sequence[int]]], wanted: Wanted) -> Sequence[Liked]:
    """A line for each value, or for numbers that are near each other."""
    setting = kind.rpartition(".")[2]
    if setting in WIDTHS:
        return _number_lines(kind, WIDTHS[setting], values, wanted)
    if "." in kind:
        return [
            Liked(value, counts, _and_words(wanted, f'{kind}="{value}"'))
            for value, counts in values
            if '"' not in value
        ]
    if kind == "preset":
        return [Liked(v.removesuffix(".json"), counts, replace(wanted, preset=v)) for v, counts in values]
    if kind == "tag":
        return [Liked(value, counts, replace(wanted, tag=value)) for value, counts in values]
    if kind == "model":
        return [Liked(value, counts, replace(wanted, model=value)) for value, counts in values]
    return [Liked(value, counts, replace(wanted, pack=value)) for value, counts in values]


def _number_lines(
    kind: str, width: float, values: Sequence[tuple[str, Sequence[int]]], wanted: Wanted
) -> Sequence[Liked]:
    numbers = sorted((float(value), counts) for value, counts in values if _is_number(value))
    if len(numbers) <= OWN_LINES:
        groups = [[one] for one in numbers]
    else:
        by_place: dict[int, list[tuple[float, Sequence[int]]]] = {}
        for one in numbers:
            by_place.setdefault(int(one[0] // width), []).append(one)
        groups = list(by_place.values())
    made = []
    for group in groups:
        low, high = f"{group[0][0]:.15g}", f"{group[-1][0]:.15g}"
        counts = together([counts for _number, counts in group])
        if low == high:
            made.append(Liked(low, counts, _and_words(wanted, f"{kind}={low}")))
        else:
            name = _("{low} to {high}").format(low=low, high=high)
            made.append(Liked(name, counts, _and_words(wanted, f"{kind}>={low} {kind}<={high}")))
    return made


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _and_words(wanted: Wanted, words: str) -> Wanted:
    return replace(wanted, words=f"{wanted.words.strip()} {words}".strip())


def _kind(name: str, title: str, lines: Sequence[Liked], everything: Sequence[int]) -> Kind:
    """The lines with what their averages are worth, in order."""
    kept = sorted(lines, key=lambda line: -line.rated)[:MOST]
    others = sum(1 for line in lines if line.rated)
    told = [_remarked(line, everything, is_only=others < 2) for line in lines if line in kept]
    if name.rpartition(".")[2] not in WIDTHS:
        told.sort(key=lambda line: (not line.is_sure, -line.stars, -line.rated, line.name))
    return Kind(name, title, told, len(lines) - len(kept))


def _remarked(line: Liked, everything: Sequence[int], *, is_only: bool) -> Liked:
    rest = without(everything, line.counts)
    low, high = line.interval
    if not line.rated:
        return replace(line, remark=_("not rated yet"))
    if line.rated < FEW:
        remark = many("only {n} rated: a hint, not a fact", "only {n} rated: a hint, not a fact", line.rated)
        return replace(line, remark=remark)
    if is_only or not rated_of(rest):
        return replace(line, remark=_("nothing to compare it with"), is_sure=True)
    others = f"{mean_of(rest):.1f}"
    if low > mean_of(rest):
        remark = _("clearly above the others ({stars})").format(stars=others)
    elif high < mean_of(rest):
        remark = _("clearly below the others ({stars})").format(stars=others)
    else:
        remark = _("no clear difference to the others ({stars})").format(stars=others)
    return replace(line, remark=remark, is_sure=True)
