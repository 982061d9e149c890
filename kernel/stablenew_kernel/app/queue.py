"""The queue: listed, looked into, changed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, JobState
from stablenew_kernel.app.board import run_message
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.stagekeeping import StageKeeping
from stablenew_kernel.domain.link import CancelRequested, PauseSet, QueueChanged, QueuedJob
from stablenew_kernel.hub import views
from stablenew_kernel.store import changes, jobs, locate, meta, ordering, runs
from stablenew_kernel.store.database import Connection
from stablenew_proto.v1 import kernel_pb2 as pb

_Changes = tuple[changes.Changed, list[runs.RunRow], dict[str, int]]


class QueueDesk:
    """What clients ask about jobs; see ``kernel.proto``."""

    def __init__(self, core: Core, stages: StageKeeping) -> None:
        self._core = core
        self._stages = stages

    async def list_jobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        """Jobs, a page at a time."""
        states = tuple(_job_state(state) for state in request.states)

        def read(connection: Connection) -> tuple[list[jobs.JobRow], int, dict[str, int]]:
            run_id = locate.run(connection, request.run_id) if request.run_id else ""
            limit = request.limit or 100
            rows, total = jobs.list_jobs(
                connection,
                run_id=run_id,
                states=states,
                order=request.order,
                limit=limit,
                offset=request.offset,
            )
            return rows, total, _places(connection, rows)

        rows, total, places = await self._core.database.read_async(read)
        return pb.ListJobsResponse(
            jobs=[self._job_of_row(row, places.get(row.job_id, 0)) for row in rows], total=total
        )

    async def get_job(self, job_id: str) -> pb.GetJobResponse:
        """One job with its history."""

        def read(connection: Connection) -> tuple[jobs.JobDetail, int]:
            detail = jobs.get(connection, locate.job(connection, job_id))
            return detail, _places(connection, [detail.row]).get(detail.row.job_id, 0)

        detail, place = await self._core.database.read_async(read)
        return pb.GetJobResponse(
            job=self._job_of_row(detail.row, place),
            spec_json=detail.row.spec,
            events=[
                pb.JobEvent(
                    at=event.at,
                    who=event.who,
                    from_state=event.from_state,
                    to_state=event.to_state,
                    attempt=event.attempt,
                    why=event.why,
                )
                for event in detail.events
            ],
        )

    async def change_jobs(self, request: pb.ChangeJobsRequest) -> pb.ChangeJobsResponse:
        """Cancel, retry, move or clear jobs, or set their priority."""
        change = {
            "cancel": self._cancel,
            "retry": self._retry,
            "move_top": self._move,
            "move_bottom": self._move,
            "move_before": self._move,
            "set_priority": self._move,
            "clear": self._clear,
        }.get(request.action)
        if change is None:
            raise UserError(
                f"action {request.action!r}: must be cancel, retry, move_top, move_bottom, move_before, "
                "set_priority or clear"
            )
        if request.action == "move_before" and not request.before_job_id:
            raise UserError("action move_before: name the job that they go before (before_job_id)")
        if not (request.job_ids or request.run_id or request.all):
            raise UserError("name jobs, a run, or all")
        selection = await self._core.database.read_async(
            lambda connection: changes.Selection(
                job_ids=frozenset(locate.job(connection, text) for text in request.job_ids),
                run_ids=frozenset([locate.run(connection, request.run_id)] if request.run_id else []),
                everything=request.all,
            )
        )
        changed, extra = await change(selection, request)
        return pb.ChangeJobsResponse(changed=changed.changed + extra, notes=changed.notes)

    async def _cancel(
        self, selection: changes.Selection, request: pb.ChangeJobsRequest
    ) -> tuple[changes.Changed, int]:
        """Queued jobs end in the store, active ones by the agent's word.

        The coordinator drops the jobs from its window at once, and the store's turn comes in the commit of that
        very moment. Whatever is read into the window later was read after it: no cancelled job is ever leased.
        """
        core = self._core
        reason = request.reason or "cancelled by the operator"
        active = sum(
            selection.everything or job.job.job_id in selection.job_ids or job.job.run_id in selection.run_ids
            for job in core.dispatcher.coordinator.active_jobs()
        )
        before = core.board.totals["cancelled"]
        core.dispatcher.feed(
            CancelRequested(selection.job_ids, selection.run_ids, selection.everything, reason=reason)
        )
        changed = await self._change(
            lambda connection: changes.cancel_queued(connection, selection, at=core.now(), reason=reason),
            behind_fed=True,
        )
        ended = max(changed.changed, core.board.totals["cancelled"] - before)
        return replace(changed, changed=ended), active

    async def _retry(
        self, selection: changes.Selection, request: pb.ChangeJobsRequest
    ) -> tuple[changes.Changed, int]:
        changed = await self._change(
            lambda connection: changes.retry(connection, selection, at=self._core.now())
        )
        self._core.dispatcher.feed(QueueChanged())
        return changed, 0

    async def _move(
        self, selection: changes.Selection, request: pb.ChangeJobsRequest
    ) -> tuple[changes.Changed, int]:
        at = self._core.now()

        def change(connection: Connection) -> changes.Changed:
            if request.action == "move_before":
                before = locate.job(connection, request.before_job_id)
                return ordering.move_before(connection, selection, before, at=at)
            if request.action == "set_priority":
                return ordering.set_priority(connection, selection, request.priority, at=at)
            return ordering.move(connection, selection, top=request.action == "move_top", at=at)

        changed = await self._change(change)
        self._core.dispatcher.feed(QueueChanged())
        return changed, 0

    async def _clear(
        self, selection: changes.Selection, request: pb.ChangeJobsRequest
    ) -> tuple[changes.Changed, int]:
        changed = await self._change(lambda connection: changes.clear(connection, selection))
        await self._stages.sweep()
        return changed, 0

    async def _change(
        self,
        function: Callable[[Connection], changes.Changed],
        *,
        behind_fed: bool = False,
    ) -> changes.Changed:
        """Change jobs in the store (``behind_fed``: in the commit of what was just fed to the dispatcher) and
        take the new counts over.

        Commits come back in the order they were asked for, so the counts are those of this very moment: no
        await between a commit's return and the taking over.
        """

        def change(connection: Connection) -> _Changes:
            changed = function(connection)
            rows = [runs.get(connection, run_id) for run_id in changed.run_ids]
            return changed, rows, meta.queue_state(connection).counts

        def take_over(found: _Changes) -> None:
            _, rows, counts = found
            self._core.board.set_totals(counts)
            for row in rows:
                if row.ended_at:
                    self._core.board.remove(row.run_id)
                    self._core.bulletin.run(run_message(row))
                else:
                    self._core.board.put(row)
                    self._core.settle(row.run_id)
            self._core.tell_queue()

        if behind_fed:
            found = await self._core.dispatcher.change(change, take_over)
        else:
            found = await self._core.database.write_async(change)
            take_over(found)
        return found[0]

    async def set_paused(self, paused: bool, reason: str) -> pb.QueueSummary:
        """Pause or resume the queue."""
        reason = (reason or "paused by the operator") if paused else ""
        await self._core.database.write_async(lambda connection: meta.set_paused(connection, paused, reason))
        self._core.paused_reason = reason
        self._core.dispatcher.feed(PauseSet(paused))
        self._core.tell_queue()
        return self._core.queue()

    def _job_of_row(self, row: jobs.JobRow, place: int) -> pb.Job:
        spec = JobSpec.from_json(json.loads(row.spec))
        prompt, _, seed = views.headline(spec)
        stages = tuple(stage.name for stage in spec.stages)
        waiting = ""
        if row.state is JobState.QUEUED:
            queued = QueuedJob(
                row.job_id,
                row.run_id,
                row.priority,
                spec.needs,
                stages,
                row.attempt,
                row.failures,
                row.spec,
                spec.run_timeout,
                row.min_vram,
            )
            waiting = self._core.dispatcher.coordinator.explain(queued)
        return pb.Job(
            job_id=row.job_id,
            run_id=row.run_id,
            state=row.state,
            attempt=row.attempt,
            node=row.node_name,
            priority=row.priority,
            prompt=prompt,
            seed=seed,
            stages=stages,
            failure=views.failure(row.failure),
            waiting_reason=waiting,
            path=row.path,
            run_time=row.run_time,
            index=row.index,
            run_name=row.run_name,
            place=place,
            ended_at=row.ended_at,
        )


def _places(connection: Connection, rows: Sequence[jobs.JobRow]) -> dict[str, int]:
    """Where those that are queued stand in the queue."""
    return ordering.places(connection, [row.job_id for row in rows if row.state is JobState.QUEUED])


def _job_state(text: str) -> JobState:
    try:
        return JobState(text)
    except ValueError:
        raise UserError(f"job state {text!r}: must be one of {', '.join(JobState)}") from None
