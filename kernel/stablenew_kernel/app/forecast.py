"""How long a plan will take: the store's history and the nodes of now, handed to the estimator."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from stablenew_api.jobs import JobSpec, Needs
from stablenew_kernel.app.board import LiveRun
from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.estimate import (
    Estimate,
    History,
    Made,
    Standing,
    Work,
    Worker,
    estimate,
    in_line,
    made,
    work_of,
)
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


@dataclass(frozen=True, slots=True)
class _Usual:
    """A job of a run that stands for all of them."""

    work: Work
    needs: Needs
    stages: tuple[str, ...]


class Forecaster:
    """Answers how long a plan would take if it were queued now. Lives on the loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._read: dict[tuple[str, ...], _Read] = {}
        """By stages."""
        self._usual: dict[str, _Usual] = {}
        """By live run."""
        self._troubled = False
        """Whether the last look at what is left went wrong: that is logged once, not at each look."""

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
            self._usual[run_id] = _Usual(works[len(works) // 2], first.needs, stages)
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
            self._workers(first.needs, stages),
            self._read[stages].history,
            ahead=[
                (_left_of(run), usual.work if (usual := self._usual.get(run.row.run_id)) else None)
                for run in ahead
            ],
            paused=core.dispatcher.coordinator.paused,
        )

    async def left(self) -> tuple[dict[str, float], float]:
        """About how many seconds until the last image of each live run, by its id, and of all of them, as if
        the queue were not paused. A run of which it is not known is left out; 0: it is not known of all.

        Costs a moment for each of the first :data:`RUNS_AHEAD` runs, and now and then a look at the history.
        What goes wrong here costs the estimate.
        """
        try:
            found = await self._left()
            self._troubled = False
            return found
        except Exception:
            if not self._troubled:
                log.exception("no estimate of what is left")
            self._troubled = True
            return {}, 0.0

    async def _left(self) -> tuple[dict[str, float], float]:
        core = self._core
        live = [run for run in core.board if run.counts["queued"] or run.counts["active"]]
        live.sort(key=lambda run: -run.row.priority)  # stable: those of one priority as they were queued
        looked_at = live[:RUNS_AHEAD]
        strangers = [run.row.run_id for run in looked_at if run.row.run_id not in self._usual]
        if strangers:
            specs = await core.database.read_async(partial(history.middle_specs, run_ids=strangers))
            self._usual |= {run_id: _usual(spec) for run_id, spec in specs.items()}
        known = [(run, self._usual.get(run.row.run_id)) for run in looked_at]
        for stages in {usual.stages: None for _, usual in known if usual is not None}:
            if self._stale(stages):
                at, done = core.clock.monotonic(), core.board.totals["done"]
                reading = core.database.read_async(partial(_read, stages=stages, run_ids=()))
                await asyncio.wait([reading])
                self._take(stages, at, done, reading)
                reading.result()
        standing = [
            Standing(
                _left_of(run),
                usual.work if usual else None,
                self._workers(usual.needs, usual.stages) if usual else (),
                read.history if usual and (read := self._read.get(usual.stages)) else None,
                begun=not run.counts["queued"],
            )
            for run, usual in known
        ]
        ends, all_of_it = in_line(standing, more=sum(map(_left_of, live[RUNS_AHEAD:])))
        return {
            run.row.run_id: end for (run, _), end in zip(known, ends, strict=True) if end is not None
        }, all_of_it or 0.0

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
        reading: asyncio.Future[tuple[History, dict[str, _Usual]]],
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

    def _workers(self, needs: Needs, stages: tuple[str, ...]) -> list[Worker]:
        """The nodes that take such a job now."""
        return [
            Worker(status.node_id, status.facts.slots, status.gauges.loaded_model)
            for status in self._core.dispatcher.coordinator.nodes(self._core.clock.monotonic())
            if status.connected
            and not status.draining
            and status.facts is not None
            and status.gauges.state in ("ready", "starting")
            and why_not(needs, 0, stages, status.facts) is None
        ]


def _left_of(run: LiveRun) -> float:
    """Jobs of a run that are still to be made; those that a node has are taken to be half done."""
    return run.counts["queued"] + run.counts["active"] / 2


def _sampled(plan: Plan) -> tuple[list[Work], JobSpec]:
    """What some jobs of the plan, drawn evenly, have to do; and the first job."""
    total = plan.count
    rng = Random(total)  # noqa: S311
    places = range(total) if total <= SAMPLE else [rng.randrange(total) for _ in range(SAMPLE)]
    first = plan.jobs[0].spec
    return [work_of(plan.jobs[place].spec) for place in places], first


def _read(
    connection: Connection, stages: Sequence[str], run_ids: Sequence[str]
) -> tuple[History, dict[str, _Usual]]:
    """The history of a kind of job, and a usual job of each of the runs."""
    specs = history.middle_specs(connection, run_ids) if run_ids else {}
    return _history(connection, stages), {run_id: _usual(spec) for run_id, spec in specs.items()}


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


def _usual(canonical: bytes) -> _Usual:
    spec = JobSpec.from_json(json.loads(canonical))
    return _Usual(work_of(spec), spec.needs, tuple(stage.name for stage in spec.stages))
