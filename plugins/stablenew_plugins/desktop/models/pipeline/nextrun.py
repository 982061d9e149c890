"""The line that says what the next run is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.run import Plan, RunModel
from stablenew_plugins.desktop.text import _, formula, many

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
    """Whether it is about settings that packs have of their own: the preset's can be put over them."""


@dataclass(frozen=True, slots=True)
class NextRun:
    """What the next run is."""

    line: str
    how: str = ""
    """How the number of images comes about, and how long they take; empty: nothing to say."""
    remarks: Sequence[Remark] = ()


def next_run(run: RunModel, pipeline: PipelineModel) -> NextRun:
    """In words."""
    remarks = _remarks(run, pipeline)
    if not run.sources:
        return NextRun(
            _("Choose a prompt pack on the left: this line then says what a run makes."), remarks=remarks
        )
    plan = run.plan
    if not plan.packs:
        return NextRun(_("Working out the next run …"), remarks=remarks)
    if not plan.images:
        return NextRun(_("The next run would make no image."), remarks=remarks)
    first = plan.packs[0]
    name = first.source.title
    if len(plan.packs) > 1:
        name = many("{name} + {n} pack", "{name} + {n} packs", len(plan.packs) - 1).replace("{name}", name)
    parts = [name]
    jobs = plan.jobs
    if jobs:
        parts.append(many("{n} stage", "{n} stages", len(jobs[0].stages)))
    parts.append(many("{n} image", "{n} images", plan.images))
    if plan.seconds >= 1:
        parts.append(about(plan.seconds))
    return NextRun("  ·  ".join(parts), _how(plan), remarks)


def _how(plan: Plan) -> str:
    """A line for each pack, and the kernel's words for the time where it is one."""
    lines = []
    for pack in plan.packs:
        if pack.summary is not None and pack.summary.line:
            name = f"{pack.source.title}: " if len(plan.packs) > 1 else ""
            lines.append(name + formula(pack.summary.line))
    if len(plan.packs) == 1 and plan.packs[0].summary is not None:
        lines.append(plan.packs[0].summary.time)
    return "\n".join(line for line in lines if line)


def about(seconds: float) -> str:
    """``about 3 min``: a time that nobody knows to the second."""
    if seconds < 60:
        return _("less than a minute")
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("about {n} min").replace("{n}", str(minutes))
    if minutes >= 600:
        return _("about {n} h").replace("{n}", f"{round(minutes / 60):,}")
    hours, minutes = divmod(round(minutes / 5) * 5, 60)
    if not minutes:
        return _("about {n} h").replace("{n}", str(hours))
    return _("about {n} h {m} min").replace("{n}", str(hours)).replace("{m}", str(minutes))


def _remarks(run: RunModel, pipeline: PipelineModel) -> Sequence[Remark]:
    told: dict[str, Remark] = {}
    for path, problem in run.plan.problems:
        if not any(pipeline.problem(name) for name in _named(problem)):
            _tell(told, f"{path.stem}: {problem}", is_error=True)
    if pipeline.unplaced_refusal and not any(pipeline.unplaced_refusal in text for text in told):
        _tell(told, pipeline.unplaced_refusal, is_error=True)
    if about_packs := _of_packs(pipeline):
        told[about_packs.text] = about_packs
    for warning in run.plan.warnings:
        if not (warning.startswith("--set ") and any(part in warning for part in _NOT_SENT)):
            _tell(told, warning, is_error=False)
    return list(told.values())


def _of_packs(pipeline: PipelineModel) -> Remark | None:
    shared, others = pipeline.from_packs(shared=True), pipeline.from_packs(shared=False)
    if not (shared or others):
        return None
    packs = ", ".join(
        dict.fromkeys(pack for name in (*shared, *others) for pack in pipeline.brought[name].packs)
    )
    text = many(
        "{n} setting comes from {packs}, not from the preset.",
        "{n} settings come from {packs}, not from the preset.",
        len(shared) + len(others),
    )
    hint = ""
    if others:
        hint = many(
            "The packs differ in {n} of them: its card says how.",
            "The packs differ in {n} of them: their cards say how.",
            len(others),
        )
    return Remark(text.replace("{packs}", packs), hint, is_error=False, is_about_packs=True)


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
