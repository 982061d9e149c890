"""The learning mode: a setting of the kernel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2

SETTING = "learning_mode"


@dataclass(frozen=True, slots=True)
class Mode:
    """A learning mode that can be chosen, or why not."""

    name: str
    title: str
    what: str
    """What it does, in a line."""
    why_not: str = ""
    """Why it can't be chosen; empty: it can."""


class LearningModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.mode = ""
        """``off``, ``passive`` or ``active``; empty: the kernel has not told one."""
        self._problem = ""
        """Why it has not."""
        desk.state.on_connected.append(self._ask_mode)

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
