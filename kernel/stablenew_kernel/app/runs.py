"""Runs: planned, shown, queued, listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.faults import crash_point
from stablenew_api.ids import uuid7
from stablenew_api.jobs import canonical_json
from stablenew_kernel.app.board import run_message
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.delivery import VERSION
from stablenew_kernel.app.places import PlaceDesk
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.link import QueueChanged, QueuedJob
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, parse_pattern, run_folder
from stablenew_kernel.domain.plan import Plan, PlannedJob
from stablenew_kernel.hub import views
from stablenew_kernel.store import jobs, meta, places, runs
from stablenew_kernel.store.database import Connection
from stablenew_kernel.store.runfolder import RunFolder
from stablenew_proto.v1 import kernel_pb2 as pb

PREVIEW_BATCH = 100
"""Planned jobs in one message of a dry run."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    plan: Plan
    run_id: str
    started: datetime
    request: bytes
    """Canonical JSON: what was asked for."""
    folder: RunFolder


class RunDesk:
    """What clients ask about runs; see ``kernel.proto``."""

    def __init__(self, core: Core, planner: Planner, places: PlaceDesk) -> None:
        self._core = core
        self._places = places
        self._planner = planner

    async def preview(self, run: pb.RunRequest) -> AsyncIterator[pb.PreviewRunResponse]:
        """The very jobs that :meth:`submit` would queue, with the node each would go to now."""
        plan = await self._core.in_thread(self._planner.plan, run)
        out_dir = self._out_dir(run.out_dir)
        for start in range(0, len(plan.jobs), PREVIEW_BATCH):
            batch = await self._core.in_thread(
                lambda start=start: list(plan.jobs[start : start + PREVIEW_BATCH])
            )
            places = self._core.dispatcher.coordinator.preview(
                [_queued(job, str(job.index), "") for job in batch]
            )
            yield pb.PreviewRunResponse(
                jobs=[
                    views.planned_job(job, place.node_name, place.reason)
                    for job, place in zip(batch, places, strict=True)
                ]
            )
        yield pb.PreviewRunResponse(summary=_summary(plan, str(out_dir)))

    async def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        """Plan and queue; returns after the commit."""
        asked = {
            "pack": run.pack_path or run.pack_name,
            "preset": run.preset_name or run.preset,
            "rows": run.rows,
            "sets": list(run.sets),
            "axes": list(run.axes),
            "seed": run.seed if run.HasField("seed") else None,
            "count": run.count if run.HasField("count") else None,
            "reports": list(run.reports),
        }
        return pb.SubmitRunResponse(
            **await self._queue(partial(self._planner.plan, run), asked, run.out_dir, run.priority)
        )

    async def replay(self, request: pb.ReplayRequest) -> pb.ReplayResponse:
        """Queue a stored job again, unchanged."""
        plan = partial(self._planner.replay, request.spec_json, request.source_name)
        asked = {"replay": request.source_name, "reports": []}
        return pb.ReplayResponse(**await self._queue(plan, asked, request.out_dir, 0))

    def _prepare(self, plan: Callable[[], Plan], asked: Mapping[str, Any], out_dir: str) -> _Prepared:
        """Plan, check all that can be wrong, make the folder."""
        planned = plan()
        if not planned.jobs:
            raise UserError("nothing to do: the plan is empty")
        for report in asked["reports"]:
            self._core.host.report(report)
        pattern = planned.filename_pattern or self._core.settings.file_name or DEFAULT_PATTERN
        parse_pattern(pattern)
        started = self._core.clock.now()
        run_id = uuid7(started)
        request = {
            **asked,
            "name": planned.name,
            "line": planned.line,
            "plan_seed": planned.plan_seed,
            "file_name": pattern,
            "version": VERSION,
        }
        folder = RunFolder.create(
            self._out_dir(out_dir), run_folder(started.astimezone(), planned.name), run_id
        )
        return _Prepared(planned, run_id, started, canonical_json(request), folder)

    async def _queue(
        self, plan: Callable[[], Plan], asked: Mapping[str, Any], out_dir: str, priority: int
    ) -> dict[str, Any]:
        """Plan and queue; what Submit and Replay answer, after the commit."""
        core = self._core
        ready = await core.in_thread(self._prepare, plan, asked, out_dir)
        try:
            # Runs that move places go one by one from here to the commit; all others need not wait.
            async with self._places.moving if ready.plan.memory.slots else nullcontext():
                if not await self._places.hold(ready.plan.memory):  # another run moved them: go on behind it
                    stale = ready
                    ready = await core.in_thread(self._prepare, plan, asked, out_dir)
                    await core.in_thread(stale.folder.discard)
                run_id, folder = ready.run_id, ready.folder
                row, counts = await self._insert(ready, priority)
        except BaseException:  # a cancel, too: nobody is to find an empty folder of a run that is not there
            await core.in_thread(ready.folder.discard)
            raise
        crash_point("kernel.submit.after_commit")
        core.delivery.take_up(run_id)
        core.board.put(row)
        core.board.set_totals(counts)
        core.bulletin.run(run_message(row))
        core.tell_queue()
        return {"run_id": run_id, "summary": _summary(ready.plan, str(folder.path))}

    def _insert(self, ready: _Prepared, priority: int) -> asyncio.Future[tuple[runs.RunRow, dict[str, int]]]:
        """Write a run and its jobs. The dispatcher knows the jobs, and may offer them, while their commit is
        still being synced; the future resolves after it."""
        core, loop = self._core, asyncio.get_running_loop()
        new = runs.NewRun(ready.run_id, ready.plan.name, str(ready.folder.path), priority, ready.request)
        at = core.now()
        added: list[QueuedJob] = []
        offered = False

        def insert(connection: Connection) -> tuple[runs.RunRow, dict[str, int]]:
            crash_point("kernel.submit.before_commit")
            runs.insert_run(connection, new, at)
            places.advance(connection, ready.plan.memory, at)
            jobs.insert_jobs(
                connection,
                ready.run_id,
                (jobs.NewJob.of(uuid7(ready.started), job.index, job.spec) for job in ready.plan.jobs),
                at=at,
                on_insert=added.append,
            )
            found = runs.get(connection, ready.run_id), meta.queue_state(connection).counts
            loop.call_soon_threadsafe(offer)  # last: what is left to do here is to wait for the disk
            return found

        def offer() -> None:
            nonlocal offered
            offered = True
            core.dispatcher.feed(QueueChanged(tuple(added) if len(added) == len(ready.plan.jobs) else ()))

        def ended(done: asyncio.Future[tuple[runs.RunRow, dict[str, int]]]) -> None:
            if offered and not done.cancelled() and (error := done.exception()):
                core.dispatcher.fail(error)

        future = core.database.write_async(insert)
        future.add_done_callback(ended)
        return future

    def _out_dir(self, asked: str) -> Path:
        if asked and not Path(asked).is_absolute():
            raise UserError(f"output folder {asked}: must be an absolute path")
        return Path(asked) if asked else self._core.data.outputs

    async def list_runs(self, limit: int) -> pb.ListRunsResponse:
        """Runs, newest first; those that go on with the very latest counts."""
        rows = await self._core.database.read_async(lambda connection: runs.list_runs(connection, limit or 50))
        return pb.ListRunsResponse(
            runs=[
                live.to_proto() if (live := self._core.board.get(row.run_id)) else run_message(row)
                for row in rows
            ]
        )


def _queued(job: PlannedJob, job_id: str, run_id: str) -> QueuedJob:
    """A planned job as if it were queued, for a dry run."""
    stages = tuple(stage.name for stage in job.spec.stages)
    return QueuedJob(job_id, run_id, 0, job.spec.needs, stages, 0, 0, b"", job.spec.run_timeout)


def _summary(plan: Plan, out_dir: str) -> pb.PlanSummary:
    return pb.PlanSummary(jobs=len(plan.jobs), line=plan.line, warnings=plan.warnings, out_dir=out_dir)
