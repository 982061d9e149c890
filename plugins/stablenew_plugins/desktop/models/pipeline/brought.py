"""Settings that packs have of their own: they lie over the preset, and below what is changed here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.jobs import JsonValue

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.run import PackPlan, Plan

CHANGE, SIDECAR = "--set", "sidecar "
"""How the kernel calls where a setting comes from: a change, and the pack's own file."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A setting that packs of the next run have of their own."""

    packs: tuple[str, ...]
    values: tuple[JsonValue, ...]
    """Of these packs, in the same order."""
    is_shared: bool
    """Whether each pack of the run has it, with the same value: then that is what the run carries."""

    @property
    def pack(self) -> str:
        """The first of them."""
        return self.packs[0]

    @property
    def value(self) -> JsonValue:
        """That of the first."""
        return self.values[0]


def brought_by(plan: Plan, *, seeded: bool = False) -> Mapping[str, Brought]:
    """By the name of the setting. What the randomizer chooses is each job's own, and so is no pack's.
    ``seeded``: the run itself gives the seeds."""
    found: dict[str, dict[int, JsonValue]] = {}
    for number, pack in enumerate(plan.packs):
        for name, value in _own(pack):
            if not (seeded and name.endswith(".seed")):
                found.setdefault(name, {})[number] = value
    made = {}
    for name, values in found.items():
        first = next(iter(values.values()))
        shared = len(values) == len(plan.packs) and all(value == first for value in values.values())
        packs = tuple(plan.packs[number].source.title for number in values)
        made[name] = Brought(packs, tuple(values.values()), shared)
    return made


def _own(pack: PackPlan) -> Iterator[tuple[str, JsonValue]]:
    chosen = _chosen(pack)
    for setting in pack.settings:
        layers = [
            (setting.source, setting.value_json),
            *((one.source, one.value_json) for one in setting.below),
        ]
        source, value_json = next(((of, value) for of, value in layers if of != CHANGE), ("", b""))
        if source.startswith(SIDECAR) and setting.name not in chosen:
            yield setting.name, json.loads(value_json)


def _chosen(pack: PackPlan) -> set[str]:
    """What the randomizer chooses for each job."""
    if not pack.jobs:
        return set()
    told = json.loads(pack.jobs[0].spec_json or b"{}").get("provenance", {})
    return {choice.get("slot", "") for choice in told.get("choices", ()) if isinstance(choice, dict)}
