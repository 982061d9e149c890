"""Slots and wildcards as lines of the randomizer: merged over packs, with modes in plain words and values as
text that a person edits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import packs_pb2

MODES = ("off", "fanout", "random", "sequential", "rotate", "least_used")
"""Those that come with StableNew; a plugin may bring others."""

KEPT = frozenset({"sequential", "rotate", "least_used"})
"""Modes that go on from one run to the next."""

AXIS_SOURCE = "--axis"
"""How the source of an axis begins that a request brought."""

_WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*::")
_SIGN = re.compile(r"\\.|[{}|]", re.DOTALL)


def mode_title(mode: str) -> str:
    """``mode`` for people."""
    titles = {
        "off": _("Off"),
        "fanout": _("Fan out"),
        "random": _("Random"),
        "sequential": _("Sequential"),
        "rotate": _("Rotate"),
        "least_used": _("Least used"),
    }
    return titles.get(mode, mode)


def mode_help(mode: str) -> str:
    """What ``mode`` does, in a sentence."""
    helps = {
        "off": _("Always the first option."),
        "fanout": _("Every option: the prompt is made once with each, in all combinations."),
        "random": _("Each image draws an option. All come up before one comes again."),
        "sequential": _("Each prompt takes the next option, for all of its images. Goes on in the next run."),
        "rotate": _("Each image takes the next option. Goes on in the next run."),
        "least_used": _("Each image takes an option that was used least so far, in this run and all before."),
    }
    return helps.get(mode, _("A way of choosing that a plugin brings."))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the randomizer: a place in prompts, or a setting, that takes one of several options."""

    key: str
    """Tells it from all others."""
    token: str
    """As it stands in a prompt: ``[[time]]``, ``__hair__``, ``{red|green}``; of a setting its name."""
    kind: str
    """slot, wildcard, choice or axis."""
    options: Sequence[str]
    """The first ones."""
    count: int
    """All of them. 0: nobody says what it stands for."""
    mode: str
    """That the plan uses for it. Empty: it is a part of another one."""
    source: str = ""
    """Where the options come from."""
    rows: Sequence[tuple[str, int]] = ()
    """Keys of packs, and rows there that name it."""
    mode_setting: str = ""
    """Setting of its mode; empty: it has none of its own."""
    values_setting: str = ""
    """Setting of its options; empty: they can't be changed here."""
    changed: bool = False
    """Whether mode or options were changed here."""
    axis: str = ""
    """The setting that was made to vary here."""


def merged(slots: Mapping[str, Sequence[packs_pb2.PackSlot]]) -> list[Line]:
    """A line a slot, of all packs (by key): what two of them have is one line, with the options that the first
    one has."""
    found: dict[str, Line] = {}
    for pack, own in slots.items():
        for slot in own:
            key = f"{slot.kind}:{slot.name}"
            rows = tuple((pack, row) for row in slot.rows)
            known = found.get(key)
            if known is not None:
                rows = (*known.rows, *rows)
            if known is None or (not known.count and slot.option_count):
                found[key] = _line(key, slot, rows)
            else:
                found[key] = replace(known, rows=rows)
    return list(found.values())


def _line(key: str, slot: packs_pb2.PackSlot, rows: Sequence[tuple[str, int]]) -> Line:
    return Line(
        key=key,
        token=f"[[{slot.name}]]" if slot.kind == "slot" else slot.name,
        kind=slot.kind,
        options=tuple(slot.options),
        count=slot.option_count,
        mode=slot.mode,
        source=slot.source,
        rows=rows,
        mode_setting=slot.setting,
        values_setting=slot.options_setting,
    )


def lines_of(text: str) -> tuple[str, ...]:
    """The values in ``text``, one a line; blank lines count for nothing."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def weight_of(line: str) -> tuple[float, str]:
    """``3::red`` as 3 and ``red``; a line without a weight weighs 1."""
    match = _WEIGHT.match(line)
    return (float(match[1]), line[match.end() :].strip()) if match else (1.0, line)


def as_values(lines: Sequence[str]) -> list[str]:
    """``lines`` as ``randomization.values`` takes them. With weights they are one choice: the kernel knows
    weights there only."""
    weighed = [weight_of(line) for line in lines]
    if not any(_WEIGHT.match(line) for line in lines):
        return list(lines)
    return ["{" + "|".join(f"{weight:g}::{_inside(text)}" for weight, text in weighed) + "}"]


def _inside(text: str) -> str:
    """``text`` as an option of a choice: its own ``|``, outside of braces, is a sign and divides nothing."""
    depth = 0
    made: list[str] = []
    at = 0
    for match in _SIGN.finditer(text):
        sign = match[0]
        made.append(text[at : match.start()])
        at = match.end()
        depth += (sign == "{") - (sign == "}")
        made.append(r"\|" if sign == "|" and depth <= 0 else sign)
    made.append(text[at:])
    return "".join(made)
