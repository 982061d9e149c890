"""A setting that is about to be made to vary: which one, and the values that it is to take."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.prompt.axes import Varying, split_values
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.text import _

OFTEN = (
    "txt2img.cfg_scale",
    "txt2img.steps",
    "txt2img.sampler_name",
    "txt2img.scheduler",
    "txt2img.model",
    "size",
    "lora",
    "embedding",
    "negative_embedding",
    "txt2img.seed",
    "txt2img.clip_skip",
    "img2img.denoising_strength",
)
"""What people vary most, first of all."""


class AxisDraft(Model):
    """See above."""

    def __init__(self, randomizer: RandomizerModel) -> None:
        super().__init__()
        self._randomizer = randomizer
        self.is_open = False
        self.stage = ""
        """Heading of the stage that is looked at; empty: what is varied often."""
        self.field = ""
        self.values = ""
        """As they are written."""
        self.problem = ""

    @property
    def stages(self) -> Sequence[str]:
        """Headings of the stages."""
        return list(dict.fromkeys(one.stage for one in self._randomizer.varying if one.stage))

    @property
    def settings(self) -> Sequence[Varying]:
        """Settings to choose from."""
        found = self._randomizer.varying
        if self.stage:
            return [one for one in found if one.stage == self.stage]
        by_name = {one.field: one for one in found}
        return [by_name[name] for name in OFTEN if name in by_name]

    @property
    def setting(self) -> Varying | None:
        """The one that was chosen."""
        return next((one for one in self.settings if one.field == self.field), None)

    def open(self, is_open: bool) -> None:
        """Begin, or leave it."""
        self.is_open = is_open
        if is_open and self.setting is None:
            self._first()
        self.problem = ""
        self.touch()

    def choose_stage(self, stage: str) -> None:
        """Look at the settings of this stage; empty: at what is varied often."""
        self.stage = stage
        self._first()
        self.touch()

    def _first(self) -> None:
        self.field = self.settings[0].field if self.settings else ""
        self.values = self.problem = ""

    def choose(self, field: str) -> None:
        """Vary this setting."""
        self.field, self.values, self.problem = field, "", ""
        self.touch()

    def write(self, values: str) -> None:
        """Other values."""
        self.values, self.problem = values, ""
        self.touch()

    @property
    def suggestions(self) -> Sequence[str]:
        """Values that the nodes or the stage know."""
        return self._randomizer.suggestions(self.field)

    def has(self, value: str) -> bool:
        """Whether ``value`` is among those that are written."""
        return value in split_values(self.values)

    def toggle(self, value: str) -> None:
        """Take ``value`` in, or out."""
        values = list(split_values(self.values))
        values = [one for one in values if one != value] if value in values else [*values, value]
        comma = any("," in one for one in values)
        self.write(("\n" if comma else ", ").join(values) + ("\n" if comma and len(values) == 1 else ""))

    def add(self) -> None:
        """Let it vary."""
        self.problem = self._randomizer.add_axis(self.field, self.values)
        if not self.problem:
            self.is_open, self.values = False, ""
        self.touch()

    @property
    def hint(self) -> str:
        """What stands in the empty field of the values."""
        setting = self.setting
        return _("for example {values}").format(values=setting.hint) if setting is not None else ""
