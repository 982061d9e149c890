"""Runs: planned, shown, queued, listed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from stablenew_api.errors import NotConfirmed, UserError
from stablenew_api.ids import uuid7
from stablenew_api.jobs import Needs, canonical_json
from stablenew_kernel.app.adding import Adder, NewRun
from stablenew_kernel.app.board import run_message
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.delivery import VERSION
from stablenew_kernel.app.forecast import Forecaster
from stablenew_kernel.app.outlook import Outlook
from stablenew_kernel.app.places import PlaceDesk
from stablenew_kernel.app.planning import Planner, is_later, pack_of
from stablenew_kernel.domain.estimate import Estimate
from stablenew_kernel.domain.link import QueuedJob
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, parse_pattern
from stablenew_kernel.domain.plan import Plan, PlannedJob, refuse_too_many, too_many
from stablenew_kernel.domain.summary import question
from stablenew_kernel.hub import views
from stablenew_kernel.store import recall, runs
from stablenew_proto.v1 import kernel_pb2 as pb

PREVIEW_BATCH = 100
"""Planned jobs in one message of a dry run."""

PREVIEW_OF_TOO_MANY = 1000
"""Jobs shown, unless asked for more, of a plan that is too large to be queued."""

LOOKED_INTO = 256
"""Jobs of a long run, spread over all of it, whose needs are held against what the nodes have."""

FEW = 16
"""Jobs that are made in a moment."""


class _Unconfirmed(Exception):
    """The plan needs a yes."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.line)
        self.plan = plan


class RunDesk:
    """What clients ask about runs; see ``kernel.proto``."""

    def __init__(self, core: Core, planner: Planner, places: PlaceDesk) -> None:
        self._core = core
        self._places = places
        self._planner = planner
        self._forecaster = Forecaster(core)
        self.outlook = Outlook(core, self._forecaster)
        self._adder = Adder(core)

    async def start(self) -> None:
        """Begin; before the queue is looked at."""
        await self._adder.start()
        self.outlook.start()

    async def stop(self) -> None:
        """Leave what can wait to the next start."""
        await self.outlook.stop()
        await self._adder.stop()

    async def preview(self, request: pb.PreviewRunRequest) -> AsyncIterator[pb.PreviewRunResponse]:
        """The very jobs that :meth:`submit` or :meth:`replay` would queue, with the node each would go to."""
        run, replay = request.run, request.replay
        replays = request.HasField("replay")
        if replays:
            plan = await self._core.in_thread(self._planner.replay, replay)
        else:
            plan_dry = partial(self._planner.plan, dry=True)
            plan = await self._core.in_thread(plan_dry, run, await last_run(self._core, run))
        out_dir = self._out_dir(replay.out_dir if replays else run.out_dir)
        await self._core.meet_node()
        needs: set[Needs] = set()
        shown = min(plan.count, request.show or (PREVIEW_OF_TOO_MANY if too_many(plan.count) else plan.count))
        for start in range(0, shown, PREVIEW_BATCH):
            batch = await self._core.in_thread(
                lambda start=start: list(plan.jobs[start : min(start + PREVIEW_BATCH, shown)])
            )
            needs.update(job.spec.needs for job in batch)
            places = self._core.dispatcher.coordinator.preview(
                [_queued(job, str(job.index), "") for job in batch]
            )
            yield pb.PreviewRunResponse(
                jobs=[
                    views.planned_job(job, place.node_name, place.reason)
                    for job, place in zip(batch, places, strict=True)
                ]
            )
        if shown < plan.count:
            needs |= await self._core.in_thread(_needs_of, plan)
        estimate = await self._forecaster.estimate(plan, run.priority)
        yield pb.PreviewRunResponse(
            summary=self._summary(plan, str(out_dir), estimate, needs, sampled=not replays)
        )

    async def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        """Plan and queue; returns after the commit. A client that hangs up stops nothing."""
        asked = {
            "pack": pack_of(run),
            "preset": run.preset_name or run.preset,
            "rows": run.rows,
            "sets": list(run.sets),
            "axes": list(run.axes),
            "seed": run.seed if run.HasField("seed") else None,
            "count": run.count if run.HasField("count") else None,
            "reports": list(run.reports),
            "like_last": run.like_last,
            **(_asked_later(run) if is_later(run) else {}),
        }
        # Only in our own folder, which is on the database's disk: others may be on one that sleeps.
        elsewhere = run.out_dir or self._core.settings.output_folder
        if not elsewhere and self._planner.quick(run) and self._folder_is_fine():
            new = self._prepare_few(run, asked)  # here: to hand it to a thread and back takes longer
            if new is not None:
                added = self._adder.add_at_once(new)
                answer = None
                if new.plan.count == 1:  # made while the disk is at work, and behind the offers
                    await asyncio.sleep(0)
                    answer = pb.SubmitRunResponse(**await self._answer(new, sampled=True))
                await asyncio.shield(added)
                if answer is None:
                    return pb.SubmitRunResponse(**await self._answer(new, sampled=True))
                answer.summary.out_dir = new.row.folder  # which the writer made
                return answer
        plan = partial(self._planner.plan, run, await last_run(self._core, run))
        queued = self._queue(plan, asked, run.out_dir, run.priority, confirmed=run.confirmed)
        return pb.SubmitRunResponse(**await asyncio.shield(queued))

    async def replay(self, request: pb.ReplayRequest) -> pb.ReplayResponse:
        """Queue stored jobs again, unchanged."""
        plan = partial(self._planner.replay, request)
        asked = {"replay": request.source_name, "reports": []}
        queued = self._queue(plan, asked, request.out_dir, 0, confirmed=request.confirmed, sampled=False)
        return pb.ReplayResponse(**await asyncio.shield(queued))

    def _prepare_few(self, run: pb.RunRequest, asked: Mapping[str, Any]) -> NewRun | None:
        """A run of a few jobs, planned here and now; None: it is more than that, or somebody else plans."""
        with self._planner.turn(wait=False) as ours:
            if not ours:
                return None
            planned = self._planner.plan(run)
            if planned.count > FEW or planned.memory.slots or (self._needs_yes(planned) and not run.confirmed):
                return None
            new = self._prepared(planned, asked, "", run.priority)
            self._planner.draw_anew(asked.get("pack", ""))
            return new

    def _prepare(
        self, plan: Callable[[], Plan], asked: Mapping[str, Any], out_dir: str, priority: int, confirmed: bool
    ) -> NewRun:
        """Plan, check all that can be wrong, make the folder. Raises _Unconfirmed."""
        with self._planner.turn():
            planned = plan()
            refuse_too_many(planned.count)
            if not confirmed and self._needs_yes(planned):
                raise _Unconfirmed(planned)
            new = self._prepared(planned, asked, out_dir, priority)
            new.make_folder()
            self._planner.draw_anew(asked.get("pack", ""))
            return new

    def _prepared(self, planned: Plan, asked: Mapping[str, Any], out_dir: str, priority: int) -> NewRun:
        """Check all that can be wrong, and make the jobs of a short run."""
        parent = self._out_dir(out_dir)
        if not planned.count:
            raise UserError("nothing to do: the plan is empty")
        for report in asked["reports"]:
            self._core.host.report(report)
        pattern = planned.filename_pattern or self._core.settings.file_name or DEFAULT_PATTERN
        parse_pattern(pattern)
        started = self._core.clock.now()
        request = {
            **asked,
            "name": planned.name,
            "line": planned.line,
            "plan_seed": planned.plan_seed,
            "file_name": pattern,
            **planned.saved_as.to_request(),
            "version": VERSION,
        }
        if planned.used is not None:
            request[recall.SETTINGS] = planned.used
        row = runs.NewRun(uuid7(started), planned.name, "", priority, canonical_json(request))
        return NewRun(planned, row, started, parent)

    async def _queue(
        self,
        plan: Callable[[], Plan],
        asked: Mapping[str, Any],
        out_dir: str,
        priority: int,
        *,
        confirmed: bool = False,
        sampled: bool = True,
    ) -> dict[str, Any]:
        """Plan and queue; what Submit and Replay answer, after the commit. Raises NotConfirmed."""
        core = self._core
        prepare = partial(core.in_thread, self._prepare, plan, asked, out_dir, priority, confirmed)
        try:
            new = await prepare()
        except _Unconfirmed as error:
            estimate = await self._forecaster.estimate(error.plan, priority)
            needs = await core.in_thread(_needs_of, error.plan)
            summary = self._summary(error.plan, str(self._out_dir(out_dir)), estimate, needs, sampled=sampled)
            raise NotConfirmed(summary.question, summary.SerializeToString()) from None
        # Runs that move places go one by one from here to the commit; all others need not wait.
        async with self._places.moving if new.plan.memory.slots else nullcontext():
            holds = False
            try:
                holds = await self._places.hold(new.plan.memory)
            finally:
                if not holds:
                    await core.in_thread(new.discard_folder)
            if not holds:  # another run moved them: go on behind it
                new = await prepare()
            await self._adder.add(new)
        return await self._answer(new, sampled=sampled)

    async def _answer(self, new: NewRun, *, sampled: bool) -> dict[str, Any]:
        """The fields of what the client of a new run is told."""
        estimate = None
        # A single image is over before anybody has read how long it takes; without a node there is no telling.
        if new.plan.count > 1 and self._core.met.is_set():
            estimate = await self._forecaster.estimate(new.plan, new.row.priority, new.row.run_id, hurry=True)
        needs = frozenset(job.needs for job in new.queued) or await self._core.in_thread(_needs_of, new.plan)
        summary = self._summary(new.plan, new.row.folder, estimate, needs, sampled=sampled)
        return {"run_id": new.row.run_id, "summary": summary}

    def _needs_yes(self, plan: Plan) -> bool:
        above = self._core.settings.confirm_above
        return bool(above) and above < plan.count and not too_many(plan.count)

    def _summary(
        self, plan: Plan, out_dir: str, estimate: Estimate | None, needs: Iterable[Needs], *, sampled: bool
    ) -> pb.PlanSummary:
        """``needs``: of its jobs, or of many of them. ``sampled``: whether ``--sample`` can make it smaller."""
        time, refused = str(estimate or ""), too_many(plan.count)
        asked = self._needs_yes(plan)
        return pb.PlanSummary(
            jobs=min(plan.count, 2**64 - 1),
            line=plan.line,
            warnings=[
                *plan.warnings,
                *self._core.dispatcher.coordinator.lacking(needs),
                *([refused] if refused else []),
            ],
            out_dir=out_dir,
            seconds=(estimate.seconds if estimate else None) or 0.0,
            time=time,
            question=question(plan.count, plan.line, time, self._core.settings.confirm_above, sampled=sampled)
            if asked
            else "",
        )

    def _folder_is_fine(self) -> bool:
        """Whether a run's folder can most likely be made where they are made by default."""
        return os.access(self._core.data.outputs, os.W_OK | os.X_OK)

    def _out_dir(self, asked: str) -> Path:
        if asked and not Path(asked).is_absolute():
            raise UserError(f"output folder {asked}: must be an absolute path")
        return Path(asked or self._core.settings.output_folder or self._core.data.outputs)

    async def list_runs(self, limit: int) -> pb.ListRunsResponse:
        """Runs, newest first; those that go on with the very latest counts."""
        await self.outlook.refresh()
        rows = await self._core.database.read_async(lambda connection: runs.list_runs(connection, limit or 50))
        return pb.ListRunsResponse(
            runs=[
                live.to_proto() if (live := self._core.board.get(row.run_id)) else run_message(row)
                for row in rows
            ]
        )


async def last_run(core: Core, run: pb.RunRequest) -> Mapping[str, Any] | None:
    """The settings of the last run, if ``run`` is to be like it. Raises UserError if there is none."""
    if not run.like_last:
        return None
    settings = await core.database.read_async(recall.last_settings)
    if settings is None:
        raise UserError("no run of this data folder has settings to be like; leave --like-last out")
    return settings


def _asked_later(run: pb.RunRequest) -> dict[str, Any]:
    """What was asked for, of a run of later stages."""
    promote = run.promote
    return {
        "from_stage": run.from_stage,
        "stages": list(run.only_stages),
        "images": len(run.images) or len(promote.image_sha256s),
        **(
            {"min_rating": promote.min_rating, "tags": list(promote.tags), "since": promote.since}
            if run.HasField("promote")
            else {}
        ),
    }


def _needs_of(plan: Plan) -> frozenset[Needs]:
    """What jobs of the plan need, of so many of them that it is known in a moment."""
    places = range(min(plan.count, LOOKED_INTO))
    many = (plan.jobs[place * plan.count // len(places)] for place in places if not too_many(plan.count))
    return frozenset(job.spec.needs for job in many)


def _queued(job: PlannedJob, job_id: str, run_id: str) -> QueuedJob:
    """A planned job as if it were queued, for a dry run."""
    stages = tuple(stage.name for stage in job.spec.stages)
    return QueuedJob(job_id, run_id, 0, job.spec.needs, stages, 0, 0, b"", job.spec.run_timeout)
