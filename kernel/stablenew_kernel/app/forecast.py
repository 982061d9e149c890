"""How long a plan will take: the store's history and the nodes of now, handed to the estimator."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from random import Random

from stablenew_api.jobs import JobSpec
from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.estimate import Estimate, History, Made, Work, Worker, estimate, made, work_of
from stablenew_kernel.domain.matching import why_not
from stablenew_kernel.domain.plan import Plan
from stablenew_kernel.store import history
from stablenew_kernel.store.database import Connection

log = logging.getLogger(__name__)

SAMPLE = 32
"""Jobs of a plan that are looked at."""

RUNS_AHEAD = 50
"""Runs before this one whose jobs are looked at; further ones are taken to be like it."""

FRESH = 10.0
"""Seconds for which a history is used again: a script that queues one run after the other reads it once."""

FEW = 50
"""Images of a history that is read again as soon as there are more."""

KINDS = 16
"""Histories that are kept."""


class Forecaster:
    """Answers how long a plan would take if it were queued now. Lives on the loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._histories: dict[tuple[str, ...], tuple[float, int, History]] = {}
        """By stages: when it was read, how many jobs were done then, and what."""

    async def estimate(self, plan: Plan, priority: int, run_id: str = "") -> Estimate:
        """About how long ``plan`` takes, behind all that is queued with this or a higher priority. ``run_id``:
        its own run, if it is queued already. What goes wrong here costs the estimate, and never the run."""
        try:
            return await self._estimate(plan, priority, run_id)
        except Exception:
            log.exception("no estimate")
            return Estimate(
                None, why="the images before could not be looked at; the kernel's log has the details"
            )

    async def _estimate(self, plan: Plan, priority: int, run_id: str) -> Estimate:
        core = self._core
        if not plan.count:
            return Estimate(None, why="there is nothing to do")
        works, first = await core.in_thread(_sampled, plan)
        ahead = [run for run in core.board if run.row.priority >= priority and run.row.run_id != run_id]
        looked_at = [run.row.run_id for run in ahead[:RUNS_AHEAD]]
        stages = tuple(stage.name for stage in first.stages)
        now = core.clock.monotonic()
        done = core.board.totals["done"]
        read_at, done_then, known = self._histories.get(stages, (now - FRESH, done, History(())))
        stale = now - read_at >= FRESH or (done != done_then and known.images < FEW)

        def read(connection: Connection) -> tuple[History, dict[str, Work]]:
            specs = history.middle_specs(connection, looked_at) if looked_at else {}
            return (
                _history(connection, stages) if stale else known,
                {run_id: _work(spec) for run_id, spec in specs.items()},
            )

        known, usual = (
            await core.database.read_async(read) if stale or looked_at else (known, dict[str, Work]())
        )
        if stale:
            while len(self._histories) >= KINDS:
                del self._histories[next(iter(self._histories))]
            self._histories[stages] = now, done, known
        return estimate(
            works,
            plan.count,
            self._workers(first),
            known,
            ahead=[
                (run.counts["queued"] + run.counts["active"] / 2, usual.get(run.row.run_id)) for run in ahead
            ],
            paused=core.dispatcher.coordinator.paused,
        )

    def _workers(self, job: JobSpec) -> list[Worker]:
        """The nodes that take such a job now."""
        stages = tuple(stage.name for stage in job.stages)
        return [
            Worker(status.node_id, status.facts.slots, status.gauges.loaded_model)
            for status in self._core.dispatcher.coordinator.nodes(self._core.clock.monotonic())
            if status.connected
            and not status.draining
            and status.facts is not None
            and status.gauges.state in ("ready", "starting")
            and why_not(job.needs, 0, stages, status.facts) is None
        ]


def _sampled(plan: Plan) -> tuple[list[Work], JobSpec]:
    """What some jobs of the plan, drawn evenly, have to do; and the first job."""
    total = plan.count
    rng = Random(total)  # noqa: S311
    places = range(total) if total <= SAMPLE else [rng.randrange(total) for _ in range(SAMPLE)]
    first = plan.jobs[0].spec
    return [work_of(plan.jobs[place].spec) for place in places], first


def _history(connection: Connection, stages: Sequence[str]) -> History:
    """Of jobs with these stages; if there are none, of any."""
    rows = history.timed_jobs(connection, stages) or history.timed_jobs(connection)
    return History(image for row in rows if (image := _made(row)) is not None)


def _made(row: history.TimedJob) -> Made | None:
    spec = JobSpec.from_json(json.loads(row.spec))
    try:
        report = json.loads(row.report or b"{}")
    except ValueError:  # a report that is none is left out wherever it is read
        return None
    return made(row.node_id, row.ended_at, spec, report, row.run_time) if isinstance(report, dict) else None


def _work(spec: bytes) -> Work:
    return work_of(JobSpec.from_json(json.loads(spec)))
