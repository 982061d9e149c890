"""The learning mode, and what people liked so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.images.review import average
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.ratings import Ratings
    from stablenew_proto.v1 import gallery_pb2, kernel_pb2

SETTING = "learning_mode"
OVERLAY = "liked"
MOST = 8
"""Models, presets and packs that are compared, each: those with the most images."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A learning mode that can be chosen, or why not."""

    name: str
    title: str
    what: str
    """What it does, in a line."""
    why_not: str = ""
    """Why it can't be chosen; empty: it can."""


@dataclass(frozen=True, slots=True)
class Liked:
    """How images with something in common were rated."""

    kind: str
    """"Model"."""
    name: str
    stars: float
    """On average."""
    rated: int
    """Of how many images."""
    images: int
    """How many there are."""


class LearningModel(Model):
    """See above."""

    def __init__(self, desk: Desk, view: ViewModel, ratings: Ratings) -> None:
        super().__init__()
        self._desk, self._view, self._ratings = desk, view, ratings
        self.mode = ""
        """``off``, ``passive`` or ``active``; empty: the kernel has not told one."""
        self._problem = ""
        """Why it has not."""
        self.liked: Sequence[Liked] | None = None
        """The best first within its kind; None: not known yet."""
        self._sent = -1
        desk.state.on_connected.append(self._ask_mode)

    # --- the mode -------------------------------------------------------------------------------------------

    @property
    def modes(self) -> Sequence[Mode]:
        """All of them."""
        none = "" if self.mode else self._problem or _("This kernel has no such setting.")
        return [
            Mode("off", _("Off"), _("Nothing is learned. Your ratings are kept all the same."), none),
            Mode(
                "passive",
                _("Passive"),
                _("Settings and ratings of each image are recorded. Nothing changes."),
                none,
            ),
            Mode(
                "active",
                _("Active"),
                _("Small experiments vary settings, to find what you like best."),
                _("Experiments come with the next version."),
            ),
        ]

    def _ask_mode(self) -> None:
        self._desk.ask(lambda kernel: kernel.settings(), self._told, self._untold, key="learning mode")

    def _told(self, answer: kernel_pb2.GetSettingsResponse | kernel_pb2.ChangeSettingsResponse) -> None:
        found = next((one for one in answer.settings if one.name == SETTING), None)
        self.mode, self._problem = str(json.loads(found.value_json)) if found is not None else "", ""
        self.touch()

    def _untold(self, error: Exception) -> None:
        self.mode, self._problem = "", str(error)
        self.touch()

    def choose(self, mode: str) -> None:
        """Learn in this way from now on."""
        chosen = next((one for one in self.modes if one.name == mode), None)
        if chosen is None or mode == self.mode:
            return
        if chosen.why_not:
            self._desk.toasts.say(chosen.why_not, "info")
            return
        self._desk.order(lambda kernel: kernel.change_settings({SETTING: mode}), self._told)

    # --- what was liked -------------------------------------------------------------------------------------

    def open_liked(self) -> None:
        """Show how models, presets and packs were rated."""
        self._view.open(OVERLAY)
        self._ask_liked()

    def tick(self) -> None:
        """Ask again when ratings changed, while it is to be seen."""
        if self._view.overlay == OVERLAY and self._ratings.sent != self._sent:
            self._ask_liked()

    def _ask_liked(self) -> None:
        self._sent = self._ratings.sent

        def done(liked: Sequence[Liked]) -> None:
            self.liked = liked
            self.touch()

        self._desk.ask(_liked, done, key="liked")


def _liked(kernel: KernelClient) -> Sequence[Liked]:
    """How models, presets and packs were rated. Some calls of the kernel."""

    everything = kernel.gallery.facets()
    found: list[Liked] = []
    kinds: Sequence[tuple[str, str, Sequence[gallery_pb2.Facet]]] = (
        (_("Model"), "models", everything.models),
        (_("Preset"), "presets", everything.presets),
        (_("Pack"), "packs", everything.packs),
    )
    for kind, field, facets in kinds:
        rows = []
        for facet in facets[:MOST]:
            stars, rated = average(kernel.gallery.facets(_only(field, facet.value)))
            name = facet.value.removesuffix(".json") if field == "presets" else facet.value
            rows.append(Liked(kind, name, stars, rated, facet.images))
        found += sorted(rows, key=lambda row: (-row.stars, -row.rated, row.name))
    return found


def _only(field: str, value: str) -> gallery_pb2.ImageFilter:
    """A filter for the images whose ``field`` is ``value``."""
    from stablenew_proto.v1 import gallery_pb2 as pb

    where = pb.ImageFilter()
    getattr(where, field).append(value)
    return where
