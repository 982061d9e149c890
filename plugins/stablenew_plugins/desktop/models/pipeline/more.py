"""The line that the settings which most people leave alone are folded behind: what of them is worth a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stablenew_plugins.desktop.models.pipeline.cards import Card, Field
from stablenew_plugins.desktop.models.pipeline.pipelinevalues import PipelineValues
from stablenew_plugins.desktop.text import _, many

Mood = Literal["quiet", "changed", "brought", "missing", "problem"]


@dataclass(frozen=True, slots=True)
class MoreLine:
    """What it says."""

    text: str
    mood: Mood = "quiet"
    """Of the worst that it tells of."""


def folded(pipeline: PipelineValues, card: Card) -> Sequence[Field]:
    """The settings of ``card`` behind the line that have an effect, or would turn something on."""
    active = pipeline.active(card)
    plain = {one.key for one in card.plain}
    found = [one for one in active if one.advanced and one.key in plain]
    for group in card.inner:
        inner = group.fields if pipeline.is_given(group.master) else ()
        if group.is_advanced:
            found += [group.master, *inner]
        else:
            found += [one for one in inner if one.advanced]
    return found


def more_line(pipeline: PipelineValues, card: Card) -> MoreLine | None:
    """What stands on the line; None: there is nothing behind it."""
    fields = folded(pipeline, card)
    if not fields:
        return None
    if card.name in pipeline.folds.more:
        return MoreLine(_("Fewer settings"))
    parts = [many("{n} more setting", "{n} more settings", len(fields))]
    mood: Mood = "quiet"
    if changed := sum(pipeline.is_changed(one.name) for one in fields):
        parts.append(many("{n} changed", "{n} changed", changed))
        mood = "changed"
    if brought := sum(pipeline.brought_at(one.name) is not None for one in fields):
        parts.append(many("{n} from a pack", "{n} from packs", brought))
        mood = "brought"
    if missing := sum(pipeline.is_missing(one) for one in fields):
        parts.append(many("{n} that no node has", "{n} that no node has", missing))
        mood = "missing"
    if problems := sum(bool(pipeline.problem(one.name)) for one in fields):
        parts.append(many("{n} problem", "{n} problems", problems))
        mood = "problem"
    return MoreLine("  ·  ".join(parts), mood)
