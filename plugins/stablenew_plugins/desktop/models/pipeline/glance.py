"""What the randomizer does to the next run, at a glance. To be changed it is in the tab Prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.models.prompt.slots import mode_title
from stablenew_plugins.desktop.text import many

SHOWN = 4
"""Lines that are shown."""


@dataclass(frozen=True, slots=True)
class VaryingLine:
    """One thing that varies."""

    title: str
    is_setting: bool
    """Whether it is a setting rather than a part of a prompt."""
    options: Sequence[str]
    """The first of them."""
    count: int
    """Of all options."""
    mode: str
    """How one is chosen, for people."""


@dataclass(frozen=True, slots=True)
class Glance:
    """All of it."""

    summary: str
    lines: Sequence[VaryingLine] = ()
    more: str = ""
    """What is behind the lines; empty: nothing."""
    is_on: bool = True
    """Whether anything varies."""


def glance(randomizer: RandomizerModel, images: int) -> Glance:
    """``images``: of the next run; 0: not known."""
    lines = [line for line in randomizer.lines if line.mode != "off"]
    if not randomizer.chosen.enabled or not lines:
        return Glance(randomizer.summary, is_on=False)
    parts = [many("{n} thing varies", "{n} things vary", len(lines))]
    if images:
        parts.append(many("{n} image", "{n} images", images))
    shown = [
        VaryingLine(
            randomizer.title(line), line.kind == "axis", line.options, line.count, mode_title(line.mode)
        )
        for line in lines[:SHOWN]
    ]
    left = len(lines) - len(shown)
    more = many("and {n} more", "and {n} more", left) if left else ""
    return Glance("  ·  ".join(parts), shown, more)
