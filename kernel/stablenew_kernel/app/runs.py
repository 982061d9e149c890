"""Runs: planned, shown, queued, listed.

A short run goes into the store in one transaction, and its jobs are offered to nodes at that very moment: the
nodes work while the disk does. A long one goes there a piece at a time, hidden until the last piece is there,
so that the commits of everybody else come in between; it is there as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.faults import crash_point
from stablenew_api.ids import uuid7
from stablenew_api.jobs import canonical_json
from stablenew_kernel.app.board import run_message
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.delivery import VERSION
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.link import QueueChanged, QueuedJob
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, parse_pattern, run_folder
from stablenew_kernel.domain.plan import Plan, PlannedJob
from stablenew_kernel.hub import views
from stablenew_kernel.store import jobs, meta, runs
from stablenew_kernel.store.database import Connection
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.runfolder import RunFolder
from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)

PREVIEW_BATCH = 100
"""Planned jobs in one message of a dry run."""

PIECE = 250
"""Jobs of a long run in one transaction: some 10 ms, for which the commits of others wait."""

FEW = 16
"""Jobs that are made in a moment."""

_Inserted = tuple[runs.RunRow, dict[str, int]]
"""A run as it is in the store now, and the counts of the whole queue."""


@dataclass(slots=True)
class _Prepared:
    plan: Plan
    run: runs.NewRun
    """Its folder's path is empty until :meth:`make_folder`."""
    started: datetime
    parent: Path
    new: tuple[jobs.NewJob, ...]
    """All of them, if they are written in one transaction; none of a long run, whose jobs are made piece by
    piece."""
    queued: tuple[QueuedJob, ...]
    """Likewise, for the dispatcher."""
    folder: RunFolder | None = None

    def make_folder(self) -> None:
        """Make the run's folder. Last, so that nobody finds an empty folder of a run that was refused.
        Raises StoreError."""
        name = run_folder(self.started.astimezone(), self.plan.name)
        self.folder = RunFolder.create(self.parent, name, self.run.run_id)
        self.run = replace(self.run, folder=str(self.folder.path))

    def discard_folder(self) -> None:
        """It is not queued after all."""
        if self.folder is not None:
            self.folder.discard()

    def answer(self) -> dict[str, Any]:
        """The fields of what a client is told."""
        return {"run_id": self.run.run_id, "summary": _summary(self.plan, self.run.folder)}

    def new_jobs(self) -> Iterator[jobs.NewJob]:
        """The jobs, made one by one."""
        for job in self.plan.jobs:
            yield jobs.NewJob.of(uuid7(self.started), job.index, job.spec)


class RunDesk:
    """What clients ask about runs; see ``kernel.proto``."""

    def __init__(self, core: Core, planner: Planner) -> None:
        self._core = core
        self._planner = planner
        self._tidying: asyncio.Task[None] | None = None

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
        """Plan and queue; returns after the commit. A client that hangs up stops nothing."""
        asked = {
            "pack": run.pack_path or run.pack_name,
            "preset": run.preset_name or run.preset,
            "rows": run.rows,
            "sets": list(run.sets),
            "seed": run.seed if run.HasField("seed") else None,
            "count": run.count if run.HasField("count") else None,
            "reports": list(run.reports),
        }
        plan = partial(self._planner.plan, run)
        # Only in our own folder, which is on the database's disk: others may be on one that sleeps.
        if not run.out_dir and self._planner.quick(run) and self._folder_is_fine():
            planned = plan()  # here: to hand it to a thread and back takes longer
            if len(planned.jobs) <= FEW:
                ready = self._prepare(planned, asked, "", run.priority)
                await asyncio.shield(self._insert_at_once(ready))
                return pb.SubmitRunResponse(**ready.answer())
            plan = partial(_same, planned)
        queued = self._queue(plan, asked, run.out_dir, run.priority)
        return pb.SubmitRunResponse(**await asyncio.shield(queued))

    async def replay(self, request: pb.ReplayRequest) -> pb.ReplayResponse:
        """Queue a stored job again, unchanged."""
        plan = partial(self._planner.replay, request.spec_json, request.source_name)
        asked = {"replay": request.source_name, "reports": []}
        queued = self._queue(plan, asked, request.out_dir, 0)
        return pb.ReplayResponse(**await asyncio.shield(queued))

    async def start(self) -> None:
        """Begin to do away with what a kernel left that died while it added a long run. Nobody has seen it, and
        it is in nobody's way."""
        if left := await self._core.database.read_async(runs.hidden):
            self._tidying = asyncio.create_task(self._put_away_all(left), name="put-away")

    async def stop(self) -> None:
        """Leave the rest of it to the next start."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])

    async def _put_away_all(self, run_ids: Sequence[str]) -> None:
        try:
            for run_id in run_ids:
                log.warning("a run that was not queued to the end is put away", extra={"run_id": run_id})
                await self._put_away(run_id)
        except StoreError as error:  # the next start tries again
            log.error("%s", error)

    def _plan_and_prepare(
        self, plan: Callable[[], Plan], asked: Mapping[str, Any], out_dir: str, priority: int
    ) -> _Prepared:
        ready = self._prepare(plan(), asked, out_dir, priority)
        ready.make_folder()
        return ready

    def _prepare(self, planned: Plan, asked: Mapping[str, Any], out_dir: str, priority: int) -> _Prepared:
        """Check all that can be wrong, and make the jobs of a short run."""
        parent = self._out_dir(out_dir)
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
        new: tuple[jobs.NewJob, ...] = ()
        if len(planned.jobs) <= jobs.CHUNK:
            new = tuple([jobs.NewJob.of(uuid7(started), job.index, job.spec) for job in planned.jobs])
        queued = tuple([job.queued(run_id, priority) for job in new])
        run = runs.NewRun(run_id, planned.name, "", priority, canonical_json(request))
        return _Prepared(planned, run, started, parent, new, queued)

    async def _queue(
        self, plan: Callable[[], Plan], asked: Mapping[str, Any], out_dir: str, priority: int
    ) -> dict[str, Any]:
        """Plan and queue; what Submit and Replay answer, after the commit."""
        ready = await self._core.in_thread(self._plan_and_prepare, plan, asked, out_dir, priority)
        try:
            inserted = await (self._insert(ready) if ready.new else self._insert_long(ready))
        except BaseException:  # nobody is to find an empty folder of a run that is not there
            await self._core.in_thread(ready.discard_folder)
            raise
        self._take_over(*inserted)
        if not ready.new:
            self._core.dispatcher.feed(QueueChanged())
        return ready.answer()

    def _take_over(self, row: runs.RunRow, counts: dict[str, int]) -> None:
        """A run is in the store: know it. In the very step in which its commit comes back, so that nothing that
        was committed behind it is heard of before."""
        core = self._core
        crash_point("kernel.submit.after_commit")
        core.delivery.take_up(row.run_id)
        core.board.put(row)
        core.board.set_totals(counts)
        core.bulletin.run(run_message(row))
        core.tell_queue()

    def _insert_at_once(self, ready: _Prepared) -> asyncio.Future[_Inserted]:
        """Write a few jobs. The future resolves after the commit, with all done that goes with it.

        The dispatcher knows them already, and offers them while they and their folder are on their way to the
        disk. What it then writes of them is queued behind them, since it writes nothing in the step in which it
        is fed. Should they not get there, memory is ahead of the disk and the kernel begins anew: nodes are
        told to drop what they were offered (see :mod:`.dispatcher`). So this is for what hardly ever fails.
        """
        at, dispatcher = self._core.now(), self._core.dispatcher

        def insert(connection: Connection) -> _Inserted:
            ready.make_folder()
            return _insert(connection, ready, at)

        def ended(done: asyncio.Future[_Inserted]) -> None:
            if done.cancelled():
                return
            if error := done.exception():
                ready.discard_folder()
                dispatcher.fail(error)
            else:
                self._take_over(*done.result())

        dispatcher.feed(QueueChanged(ready.queued))
        future = self._core.database.write_async(insert)
        future.add_done_callback(ended)
        return future

    def _insert(self, ready: _Prepared) -> asyncio.Future[_Inserted]:
        """Write a short run. The dispatcher knows its jobs, and may offer them, while their commit is still
        being synced; the future resolves after it."""
        core, loop = self._core, asyncio.get_running_loop()
        at, offered = core.now(), False

        def insert(connection: Connection) -> _Inserted:
            inserted = _insert(connection, ready, at)
            loop.call_soon_threadsafe(offer)  # last: what is left to do here is to wait for the disk
            return inserted

        def offer() -> None:
            nonlocal offered
            offered = True
            core.dispatcher.feed(QueueChanged(ready.queued))

        def ended(done: asyncio.Future[_Inserted]) -> None:
            if offered and not done.cancelled() and (error := done.exception()):
                core.dispatcher.fail(error)

        future = core.database.write_async(insert)
        future.add_done_callback(ended)
        return future

    async def _insert_long(self, ready: _Prepared) -> _Inserted:
        """Write a long run piece by piece, each in a transaction of its own, and reveal it with the last one.
        A piece is made while the one before it is written; no more than these two are in memory."""
        core, at, run_id = self._core, self._core.now(), ready.run.run_id
        write = core.database.write_async
        new_jobs = ready.new_jobs()

        def make() -> list[jobs.NewJob]:
            return list(islice(new_jobs, PIECE))

        def insert(connection: Connection, piece: list[jobs.NewJob], first: int) -> None:
            crash_point("kernel.submit.before_commit")
            jobs.insert_jobs(connection, run_id, piece, at=at, hidden_from=first)

        def reveal(connection: Connection) -> _Inserted:
            crash_point("kernel.submit.before_commit")
            runs.reveal(connection, run_id)
            return _inserted(connection, run_id)

        first = await write(partial(runs.begin_hidden, run=ready.run, total=len(ready.plan.jobs), at=at))
        try:
            piece = await core.in_thread(make)
            while piece:
                written = write(partial(insert, piece=piece, first=first))
                piece, _ = await asyncio.gather(core.in_thread(make), written)
            return await write(reveal)
        except Exception:
            try:
                await self._put_away(run_id)
            except StoreError as error:  # still hidden; the next start puts it away
                log.error("%s", error, extra={"run_id": run_id})
            raise

    async def _put_away(self, run_id: str) -> None:
        """Do away with a hidden run, in turns with the commits of others."""
        at, start = self._core.now(), 0
        while True:
            start = await self._core.database.write_async(
                partial(
                    jobs.put_away, run_id=run_id, start=start, at=at, why="its run was not queued to the end"
                )
            )
            if not start:
                return

    def _folder_is_fine(self) -> bool:
        """Whether a run's folder can most likely be made where they are made by default."""
        return os.access(self._core.data.outputs, os.W_OK | os.X_OK)

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


def _same(planned: Plan) -> Plan:
    return planned


def _insert(connection: Connection, ready: _Prepared, at: str) -> _Inserted:
    crash_point("kernel.submit.before_commit")
    runs.insert_run(connection, ready.run, at)
    jobs.insert_jobs(connection, ready.run.run_id, ready.new, at=at)
    return _inserted(connection, ready.run.run_id)


def _inserted(connection: Connection, run_id: str) -> _Inserted:
    return runs.get(connection, run_id), meta.queue_state(connection).counts


def _summary(plan: Plan, out_dir: str) -> pb.PlanSummary:
    return pb.PlanSummary(jobs=len(plan.jobs), line=plan.line, warnings=plan.warnings, out_dir=out_dir)
