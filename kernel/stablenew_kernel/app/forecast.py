"""How long a plan will take: the store's history and the nodes of now, handed to the estimator."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
"""Images of a history that is read again after a second if there are more by then."""

KINDS = 16
"""Histories that are kept."""

AT_ONCE = 4
"""Jobs of a plan that are looked at on the loop: a thread would cost more."""


@dataclass(frozen=True, slots=True)
class _Read:
    history: History
    at: float
    """Monotonic."""
    done: int
    """Jobs that were done by then, of any kind."""


class Forecaster:
    """Answers how long a plan would take if it were queued now. Lives on the loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._read: dict[tuple[str, ...], _Read] = {}
        """By stages."""
        self._usual: dict[str, Work] = {}
        """By live run: what one of its jobs has to do."""

    async def estimate(self, plan: Plan, priority: int, run_id: str = "", *, hurry: bool = False) -> Estimate:
        """About how long ``plan`` takes, behind all that is queued with this or a higher priority.

        ``run_id``: its own run, if it is queued already. ``hurry``: somebody waits for a commit; take what was
        read a moment ago, and have it read again for the next one. What goes wrong here costs the estimate, and
        never the run.
        """
        try:
            return await self._estimate(plan, priority, run_id, hurry)
        except Exception:
            log.exception("no estimate")
            return Estimate(None, why="the images before could not be read; the kernel's log has the details")

    async def _estimate(self, plan: Plan, priority: int, run_id: str, hurry: bool) -> Estimate:
        core = self._core
        if not plan.count:
            return Estimate(None, why="there is nothing to do")
        works, first = _sampled(plan) if plan.count <= AT_ONCE else await core.in_thread(_sampled, plan)
        ahead = [run for run in core.board if run.row.priority >= priority and run.row.run_id != run_id]
        stages = tuple(stage.name for stage in first.stages)
        if run_id:
            self._usual[run_id] = works[len(works) // 2]
        strangers = [run.row.run_id for run in ahead[:RUNS_AHEAD] if run.row.run_id not in self._usual]
        if self._stale(stages) or (strangers and not hurry):
            reading = core.database.read_async(partial(_read, stages=stages, run_ids=strangers))
            read = partial(self._take, stages, core.clock.monotonic(), core.board.totals["done"])
            if hurry and stages in self._read and self._read[stages].history.images:
                reading.add_done_callback(read)
            else:
                await asyncio.wait([reading])
                read(reading)
                reading.result()
        return estimate(
            works,
            plan.count,
            self._workers(first),
            self._read[stages].history,
            ahead=[
                (run.counts["queued"] + run.counts["active"] / 2, self._usual.get(run.row.run_id))
                for run in ahead
            ],
            paused=core.dispatcher.coordinator.paused,
        )

    def _stale(self, stages: tuple[str, ...]) -> bool:
        read = self._read.get(stages)
        if read is None:
            return True
        age, images = self._core.clock.monotonic() - read.at, read.history.images
        more = self._core.board.totals["done"] != read.done
        return age >= FRESH or (more and (not images or (images < FEW and age >= 1.0)))

    def _take(
        self,
        stages: tuple[str, ...],
        at: float,
        done: int,
        reading: asyncio.Future[tuple[History, dict[str, Work]]],
    ) -> None:
        """Keep what was read."""
        if reading.cancelled() or reading.exception() is not None:
            return  # whoever awaits it hears of it; else the next one reads again
        made, usual = reading.result()
        while len(self._read) >= KINDS:
            del self._read[next(iter(self._read))]
        self._read[stages] = _Read(made, at, done)
        live = {run.row.run_id for run in self._core.board}
        self._usual = {run_id: work for run_id, work in self._usual.items() if run_id in live} | usual

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


def _read(
    connection: Connection, stages: Sequence[str], run_ids: Sequence[str]
) -> tuple[History, dict[str, Work]]:
    """The history of a kind of job, and what a job of each of the runs has to do."""
    specs = history.middle_specs(connection, run_ids) if run_ids else {}
    return _history(connection, stages), {run_id: _work(spec) for run_id, spec in specs.items()}


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
