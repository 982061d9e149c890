"""The line that says what the next run is, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION
from stablenew_plugins.desktop.models.pipeline.pipeline import Brought, PipelineModel
from stablenew_plugins.desktop.models.run import Plan, RunModel
from stablenew_plugins.desktop.text import _, duration, many

SHOWN = 4
"""Remarks that are shown at once."""

_NOT_SENT = ("no effect, ", " has no effect, as ")
"""Of remarks about settings that are off, which the cards show as such."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is wrong or worth a word."""

    text: str
    hint: str
    """What to do."""
    is_error: bool
    is_about_packs: bool = False
    """Whether it is about settings that packs bring: then those of the cards can be put over them."""


@dataclass(frozen=True, slots=True)
class NextRun:
    """What the next run is."""

    line: str
    remarks: Sequence[Remark] = ()


def next_run(run: RunModel, pipeline: PipelineModel) -> NextRun:
    """In words."""
    remarks = _remarks(run, pipeline)
    if not run.sources:
        return NextRun(_("Choose a prompt pack on the left: this line then says what a run makes."), remarks)
    plan = run.plan
    if not plan.packs:
        return NextRun(_("Working out the next run …"), remarks)
    if not plan.images:
        return NextRun(_("The next run would make no image."), remarks)
    first = plan.packs[0]
    name = first.source.title
    if len(plan.packs) > 1:
        name = many("{name} + {n} pack", "{name} + {n} packs", len(plan.packs) - 1).replace("{name}", name)
    parts = [name]
    jobs = plan.jobs
    if jobs:
        parts.append(many("{n} stage", "{n} stages", len(jobs[0].stages)))
    if len(plan.packs) == 1 and first.summary is not None and first.summary.line:
        parts.append(first.summary.line.replace(" x ", " × "))
    else:
        parts.append(many("{n} image", "{n} images", plan.images))
    if plan.seconds >= 1:
        parts.append(_("about {time}").replace("{time}", duration(plan.seconds)))
    return NextRun("  ·  ".join(parts), remarks)


def _remarks(run: RunModel, pipeline: PipelineModel) -> Sequence[Remark]:
    told: dict[str, Remark] = {}
    for path, problem in run.plan.problems:
        if not any(pipeline.problem(name) for name in _named(problem)):
            _tell(told, f"{path.stem}: {problem}", is_error=True)
    if pipeline.unplaced_refusal and not any(pipeline.unplaced_refusal in text for text in told):
        _tell(told, pipeline.unplaced_refusal, is_error=True)
    if overruled := pipeline.overruled:
        packs = ", ".join(dict.fromkeys(pipeline.brought[name].pack for name in overruled))
        text = many(
            "{packs} has its own settings: {n} is not as on the cards.",
            "{packs} has its own settings: {n} are not as on the cards.",
            len(overruled),
        ).replace("{packs}", packs)
        hint = _("What a pack brings lies over the preset. The cards say where.")
        told[text] = Remark(text, hint, is_error=False, is_about_packs=True)
    for warning in run.plan.warnings:
        if not (warning.startswith("--set ") and any(part in warning for part in _NOT_SENT)):
            _tell(told, warning, is_error=False)
    return list(told.values())


def brought_by(plan: Plan, pipeline: PipelineModel, *, seeded: bool = False) -> Mapping[str, Brought]:
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


def _named(problem: str) -> Sequence[str]:
    """Settings that a text may be about: ``txt2img.steps`` of ``--set txt2img.steps: ...``."""
    return [word.strip(":,;") for word in problem.split() if "." in word.strip(".:,;")]


def _tell(told: dict[str, Remark], text: str, *, is_error: bool) -> None:
    words = _plain(text)
    what, _sep, hint = words.partition("; ")
    told.setdefault(text, Remark(what, hint[:1].upper() + hint[1:], is_error))


def _plain(text: str) -> str:
    """Without the words of the command line."""
    return text.replace("--set ", "").replace("add pipeline.", "set pipeline.")
