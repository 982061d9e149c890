"""Settings that packs bring along: they lie over the preset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.pipeline.pipelinevalues import PipelineValues
    from stablenew_plugins.desktop.models.run import Plan


@dataclass(frozen=True, slots=True)
class Brought:
    """A setting that a pack has of its own: it lies over the preset."""

    pack: str
    value: JsonValue


def brought_by(plan: Plan, pipeline: PipelineValues, *, seeded: bool = False) -> Mapping[str, Brought]:
    """Settings that jobs have from the packs' own settings, by name: what the first job of each pack carries.
    What the randomizer chose is each job's own; so are seeds, but for the first one where it was not drawn.
    ``seeded``: the run itself gives that, and so no pack does."""
    found: dict[str, Brought] = {}
    for pack in plan.packs:
        if not pack.jobs:
            continue
        spec = json.loads(pack.jobs[0].spec_json or b"{}")
        told = spec.get("provenance", {})
        if not told.get("sidecar"):
            continue
        chosen = {choice.get("slot") for choice in told.get("choices", ()) if isinstance(choice, dict)}
        stages = {stage["name"]: stage["config"] for stage in spec.get("stages", ())}
        for card in pipeline.cards:
            found[f"{RUN_SECTION}.{card.name}_enabled"] = Brought(pack.source.title, card.name in stages)
        first: Mapping[str, int] = next(iter(stages.values()), {})
        batch = first.get("batch_size", 1) * first.get("batch_count", 1)
        if not chosen and (images := told.get("images", 0)) and images % batch == 0:
            found[f"{RUN_SECTION}.images_per_prompt"] = Brought(pack.source.title, images // batch)
        for stage, config in stages.items():
            for key, value in config.items():
                one = pipeline.field(f"{stage}.{key}")
                if one is not None and one.kind != "seed" and one.name not in chosen:
                    found[one.name] = Brought(pack.source.title, value)
        seed = pipeline.field(f"{next(iter(stages), '')}.seed")
        fixed = told.get("base_seed") if told.get("plan_seed") == 0 else None
        if fixed is not None and seed is not None and seed.name not in chosen and not seeded:
            found[seed.name] = Brought(pack.source.title, fixed)
    return found
