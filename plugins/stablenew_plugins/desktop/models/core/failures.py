"""Says so when an image can't be made: what happened and what to try, once for what fails alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.plainwords import explain_failure
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

QUIET = 60.0
"""Seconds in which failures of one kind in one run are told once."""
KEPT = 200
"""Runs and kinds that are remembered."""


class FailureNews:
    """Listens to jobs that end. Jobs that fail and are tried again by themselves are no news."""

    def __init__(self, desk: Desk, show: Callable[[str], None]) -> None:
        """``show``: brings what failed of a run to the front."""
        self._desk, self._show = desk, show
        self._told: dict[tuple[str, str], float] = {}
        desk.state.on_job.append(self._changed)

    def _changed(self, job: pb.Job) -> None:
        if job.state != "failed":
            return
        key, now = (job.run_id, job.failure.kind), self._desk.clock()
        if now - self._told.get(key, float("-inf")) < QUIET:
            return
        self._told[key] = now
        while len(self._told) > KEPT:
            del self._told[next(iter(self._told))]
        # What the job was to make is in its spec: with it the text names sizes, and what would fit.
        self._desk.ask(
            lambda kernel: kernel.job(job.job_id),
            lambda answer: self._tell(answer.job, answer.spec_json),
            lambda _error: self._tell(job, b""),
        )

    def _tell(self, job: pb.Job, spec_json: bytes) -> None:
        state = self._desk.state
        spec = json.loads(spec_json) if spec_json else None
        told = explain_failure(job.failure, job, list(state.nodes.values()), spec, title_of=state.stage_title)
        run = state.runs.get(job.run_id)
        name = job.run_name or (run.name if run is not None else "")
        self._desk.toasts.say(
            f"{name}: {told.text}" if name else told.text,
            "error",
            hint=told.hint,
            detail=told.detail,
            action=_("Show what failed"),
            act=lambda: self._show(job.run_id),
        )
