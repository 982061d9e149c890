"""A prompt that is written in the window and runs without a pack."""

from __future__ import annotations

from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.remembered import Remembered

NAME = "prompt.txt"
"""What it is called where a pack has its file name: in error texts, and for the folder of its images."""


class QuickPrompt(Model):
    """Text as a row of a pack has it, slots and wildcards included."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__()
        self._remembered = remembered
        self.is_open: bool = remembered.get("quick_open", False)
        """Whether it is to be seen although packs are selected."""
        self.positive: str = remembered.get("quick_prompt", "")
        self.negative: str = remembered.get("quick_negative", "")

    def write(self, positive: str) -> None:
        """Another prompt."""
        self.positive = positive
        self._remembered.set("quick_prompt", positive)
        self.touch()

    def write_negative(self, negative: str) -> None:
        """Another text of what should not be there."""
        self.negative = negative
        self._remembered.set("quick_negative", negative)
        self.touch()

    def open(self, is_open: bool) -> None:
        """Show it in the place of the selected packs, or not."""
        self.is_open = is_open
        self._remembered.set("quick_open", is_open)
        self.touch()

    @property
    def pack(self) -> bytes:
        """A pack of this one row; empty: nothing is written. Blank lines would begin another row, so they are
        left out, and lines that begin with ``#`` are comments, as in every pack."""
        positive = [line for line in self.positive.splitlines() if line.strip()]
        if all(line.lstrip().startswith("#") for line in positive):
            return b""
        negative = [f"neg: {line.strip()}" for line in self.negative.splitlines() if line.strip()]
        return ("\n".join([*positive, *negative]) + "\n").encode("utf-8", "replace")

    @property
    def has_comments(self) -> bool:
        """Whether a part of it is not looked at."""
        return any(line.lstrip().startswith("#") for line in self.positive.splitlines())
