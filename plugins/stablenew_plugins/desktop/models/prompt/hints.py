"""What is worth a word about the lines of the randomizer before it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stablenew_plugins.desktop.models.prompt.slots import Line
from stablenew_plugins.desktop.text import _


@dataclass(frozen=True, slots=True)
class Hint:
    """Something worth a word before it runs."""

    text: str
    level: str = "warning"
    """info, warning or error."""
    forget: str = ""
    """A change that has no effect, which can be taken back."""


def hints_of(line: Line, title: str, running: Mapping[str, Collection[int]]) -> list[Hint]:
    """What is wrong with a line, or of no use. ``title``: what it is called; ``running``: rows that run, by the
    key of their pack."""
    if not line.count:
        fix = _("Write some values here, or put {name}.txt into the folder “wildcards”.")
        name = line.token.strip("_") or line.token
        how = (
            fix.format(name=name)
            if line.kind == "wildcard"
            else _("Write some here.")
            if line.values_setting
            else _("Mend it in the pack.")
        )
        return [Hint(_("{slot} has no options.").format(slot=title) + " " + how, "error")]
    if line.count == 1 and line.mode and line.mode != "off":
        return [Hint(_("{slot} has one option only, so it never varies.").format(slot=title), "info")]
    named = line.kind == "axis" or not line.rows
    if not named and not any(row in running.get(pack, ()) for pack, row in line.rows):
        return [Hint(_("{slot} stands only in prompts that do not run.").format(slot=title), "info")]
    return []
