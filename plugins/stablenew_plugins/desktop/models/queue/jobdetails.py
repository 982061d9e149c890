"""One job, looked at closely: what it makes, its history, what went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.plainwords import Told, explain_failure, explain_waiting, sizes
from stablenew_plugins.desktop.models.queue.jobwords import ENDED
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

PERIOD = 0.5
"""Seconds between two looks at a job that changes."""
AGAIN = 2.0
"""Seconds between two looks at one that waits or runs: why it waits changes without a word of the job."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of it."""

    job: pb.Job
    spec: Mapping[str, Any]
    events: Sequence[pb.JobEvent]

    @property
    def image(self) -> Path | None:
        """Its image, if it is made."""
        return Path(self.job.path) if self.job.path else None


class JobDetailsModel(Model):
    """The job that is shown beside the list; none at first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.job_id = ""
        self.details: Details | None = None
        self.problem = ""
        """Why it can't be shown."""
        self.technical = False
        """Whether the technical text is shown as well."""
        self._stale = False
        self._asked_at = float("-inf")
        desk.state.on_job.append(self._changed)
        desk.state.on_connected.append(self._again)

    def show(self, job_id: str) -> None:
        """Look at this one; empty: at none."""
        if job_id == self.job_id:
            return
        self.job_id, self.details, self.problem, self.technical = job_id, None, "", False
        self._stale, self._asked_at = bool(job_id), float("-inf")
        self.touch()

    def toggle_technical(self) -> None:
        """Show the technical text, or hide it."""
        self.technical = not self.technical
        self.touch()

    def _changed(self, job: pb.Job) -> None:
        if job.job_id == self.job_id:
            self._stale = True

    def _again(self) -> None:
        self._stale = bool(self.job_id)

    def tick(self) -> None:
        """Ask for it, and again when it changed."""
        now = self._desk.clock()
        lives = self.details is not None and self.details.job.state not in ENDED
        if now - self._asked_at < (PERIOD if self._stale else AGAIN) or not (self._stale or lives):
            return
        job_id = self.job_id

        def done(answer: pb.GetJobResponse) -> None:
            if job_id == self.job_id:
                spec = json.loads(answer.spec_json) if answer.spec_json else {}
                details = Details(answer.job, spec, list(answer.events))
                if details != self.details or self.problem:
                    self.details, self.problem = details, ""
                    self.touch()

        def failed(error: Exception) -> None:
            if job_id == self.job_id:
                self.problem = str(error)
                self.touch()

        if self._desk.ask(lambda kernel: kernel.job(job_id), done, failed, key="job-details"):
            self._stale, self._asked_at = False, now

    # --- in words -------------------------------------------------------------------------------------------

    @property
    def told(self) -> Told | None:
        """What went wrong, or why it waits; None: nothing to say."""
        if self.details is None:
            return None
        job = self.details.job
        if job.failure.kind:
            nodes = list(self._desk.state.nodes.values())
            return explain_failure(
                job.failure, job, nodes, self.details.spec, title_of=self._desk.state.stage_title
            )
        if job.state == "queued":
            told = explain_waiting(job.waiting_reason, job.place)
            return Told(told.text, told.hint)
        return None

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """What it makes, as names and values."""
        return facts_of(self.details, self._desk.state.stage_title) if self.details is not None else ()


def facts_of(details: Details, title_of: Callable[[str], str] = str) -> Sequence[tuple[str, str]]:
    """The settings of a job that people ask for first."""
    job, spec = details.job, details.spec
    stages: Mapping[str, Mapping[str, Any]] = {
        stage.get("name", ""): stage.get("config", {}) for stage in spec.get("stages", ())
    }
    first = next(iter(stages.values()), {})
    found = [(_("Stages"), "  ›  ".join(map(title_of, job.stages))), (_("Seed"), str(job.seed))]
    model = first.get("model") or spec.get("needs", {}).get("model")
    found.append((_("Model"), str(model) if model else _("the node's own")))
    if "sampler_name" in first:
        found.append((_("Sampler"), _join(first["sampler_name"], first.get("scheduler"))))
    if "steps" in first:
        found.append((_("Steps"), f"{first['steps']}  ·  CFG {first.get('cfg_scale', 0):g}"))
    if known := sizes(spec):
        found.append((_("Size"), "  ›  ".join(f"{size.width} × {size.height}" for size in known)))
    provenance = spec.get("provenance", {})
    if provenance.get("pack"):
        row = _("row {n}").format(n=provenance["row"]) if provenance.get("row") else ""
        found.append((_("Pack"), _join(provenance["pack"], row)))
    choices = [_choice(choice) for choice in provenance.get("choices", ())]
    if choices := [choice for choice in choices if choice]:
        found.append((_("Choices"), ", ".join(choices)))
    if job.attempt > 1:
        found.append((_("Attempts"), str(job.attempt)))
    return [(name, value) for name, value in found if value]


def _choice(choice: Any) -> str:
    if isinstance(choice, Mapping):
        return f"{choice.get('slot', '')} = {choice.get('value', choice.get('text', ''))}"
    if isinstance(choice, Sequence) and not isinstance(choice, str) and len(choice) >= 2:
        return f"{choice[0]} = {choice[1]}"
    return ""


def _join(first: Any, second: Any) -> str:
    return "  ·  ".join(str(part) for part in (first, second) if part)
