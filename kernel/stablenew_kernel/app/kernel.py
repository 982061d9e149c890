"""The kernel: what clients can ask for, and how its parts hear of each other.

Lives on one event loop. Whatever blocks (planning, files) runs in threads; the database has its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TypeVar

import grpc
from stablenew_api.clock import Clock
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import UserError
from stablenew_api.faults import crash_point
from stablenew_api.host import PluginHost
from stablenew_api.ids import uuid7
from stablenew_api.jobs import JobSpec, JobState, canonical_json
from stablenew_api.learning import Rating
from stablenew_proto.v1 import agent_link_pb2
from stablenew_proto.v1 import kernel_pb2 as pb

from stablenew_kernel.app.board import LiveRun, RunBoard, run_message
from stablenew_kernel.app.delivery import Delivery
from stablenew_kernel.app.dispatcher import Dispatcher
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.link import (
    CancelRequested,
    DrainSet,
    LinkSettings,
    NodeStatus,
    PauseSet,
    QueueChanged,
    QueuedJob,
    Restored,
    Transition,
)
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, parse_pattern, run_folder
from stablenew_kernel.domain.plan import Plan, PlannedJob
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.hub import views
from stablenew_kernel.hub.link import AgentLink
from stablenew_kernel.hub.watch import Watcher
from stablenew_kernel.store import jobs, meta, nodes, outputs, runs
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.errors import NotFound, StoreError
from stablenew_kernel.store.learning import LearningJournal
from stablenew_kernel.store.runfolder import RunFolder

log = logging.getLogger(__name__)
T = TypeVar("T")

PREVIEW_BATCH = 100
"""Planned jobs in one message of a dry run."""

MEND_INTERVAL = 2.0
"""Seconds between attempts to write again after the disk refused."""


class Kernel:
    """One kernel on one data folder. ``start`` it on the loop it lives on."""

    def __init__(
        self,
        *,
        data: DataFolder,
        settings: Settings,
        host: PluginHost,
        database: Database,
        artifacts: ArtifactStore,
        clock: Clock,
        rng: Random,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._data = data
        self._settings = settings
        self._host = host
        self._database = database
        self._clock = clock
        self._threads = threads
        self._planner = Planner(host, data.presets, settings, rng)
        self._board = RunBoard()
        self._watchers: set[Watcher] = set()
        self._progress: dict[str, pb.RunningJob] = {}
        self._remembered: dict[str, bytes] = {}
        self._refusals: dict[str, str] = {}
        self._paused_reason = ""
        self._problem = ""
        self._start_note = ""
        self._info: KernelInfo | None = None
        self._mending: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._idle = asyncio.Event()
        self._wait_for_running = False
        self._learning = LearningJournal(data.learning)
        self.delivery = Delivery(
            database=database,
            artifacts=artifacts,
            learning=self._learning,
            host=host,
            clock=clock,
            threads=threads,
            listener=self,
        )
        self.dispatcher = self._new_dispatcher()

    # --- life -----------------------------------------------------------------------------------------------

    def _new_dispatcher(self) -> Dispatcher:
        link = LinkSettings(
            orphan_timeout=self._settings.orphan_timeout,
            loopback_orphan_timeout=min(self._settings.orphan_timeout, LinkSettings().loopback_orphan_timeout),
        )
        scheduler = self._host.scheduler(self._settings.scheduler)()
        return Dispatcher(Coordinator(link, scheduler), self._database, self._clock, self)

    async def start(self, info: KernelInfo, *, clean: bool) -> None:
        """Take up what the last kernel left, and begin. ``clean``: it stopped in order."""
        self._info = info
        restored = await self._restore(clean=clean)
        self.dispatcher.start(restored)
        self.delivery.start()

    async def _restore(self, *, clean: bool) -> Restored:
        at = self._now()
        pause_after_crash = not clean and self._settings.after_crash == "paused"

        def read(
            connection: sqlite3.Connection,
        ) -> tuple[Restored, meta.QueueState, list[runs.RunRow], list[nodes.NodeRow]]:
            queue = meta.queue_state(connection)
            if pause_after_crash and (queue.active or queue.counts["queued"]) and not queue.paused:
                meta.set_paused(
                    connection, True, "the last kernel was killed; look, then: stablenew queue resume"
                )
                queue = meta.queue_state(connection)
            rows = nodes.nodes(connection)
            restored = Restored(
                tuple(jobs.active(connection)), tuple(row.known for row in rows), paused=queue.paused
            )
            return restored, queue, runs.open_runs(connection), rows

        restored, queue, open_runs, rows = await self._database.write_async(read)
        self._paused_reason = queue.paused_reason
        self._board = RunBoard()
        self._board.set_totals(queue.counts)
        self._remembered = {row.known.node_id: row.info for row in rows}
        for row in open_runs:
            await self._delivery_folder(row)
            self._board.put(row)
        self._start_note = _start_note(clean, queue, len(restored.jobs))
        if self._start_note:
            log.info("%s (%s)", self._start_note, at)
        for run in tuple(self._board):
            self._settle(run)
        return restored

    async def _delivery_folder(self, row: runs.RunRow) -> None:
        try:
            await self.delivery.reopen(row)
        except StoreError as error:
            # The run's folder may be on a disk that is not plugged in. The images wait; say so and go on.
            self._set_problem(str(error))

    def request_stop(self, *, wait_for_running: bool = False) -> None:
        """Ask the process to stop. On the loop."""
        self._wait_for_running = wait_for_running
        self._stop.set()

    async def stopped_requested(self) -> None:
        """Return when somebody asked for a stop."""
        await self._stop.wait()

    async def drain(self) -> None:
        """If that was asked for, hand out nothing more and wait until running jobs have ended."""
        if not self._wait_for_running:
            return
        self.dispatcher.feed(PauseSet(True))
        self._idle.clear()
        if self.dispatcher.coordinator.active_count:
            await self._idle.wait()

    async def stop(self) -> None:
        """Commit what is decided, end all streams, finish the files that are being written."""
        if self._mending is not None:
            self._mending.cancel()
        else:
            await self.dispatcher.settled()
        await self.dispatcher.stop(grpc.StatusCode.UNAVAILABLE, "the kernel is stopping; dial again later")
        await self.delivery.stop()
        await self._in_thread(self._learning.close)

    # --- what happened (Listener of dispatcher and delivery) ------------------------------------------------

    def committed(self, transitions: Sequence[Transition]) -> None:
        """Jobs changed."""
        changed = self._board.apply(transitions)
        made = False
        listening = self._host.listens("job_changed")
        for transition in transitions:
            final = transition.to_state.final
            if final or transition.to_state is JobState.QUEUED:
                self._progress.pop(transition.job_id, None)
            if transition.failure is not None and transition.node_id:
                self._refusals[transition.node_id] = transition.failure.message
            outcome = transition.outcome
            made = made or (final and outcome is not None and bool(outcome.outputs))
            if listening:
                self._threads.submit(self._host.job_changed, _job_json(transition))
        for watcher in self._watchers:
            if watcher.wants_jobs:
                for transition in transitions:
                    watcher.put_job(_job_message(transition), final=transition.to_state.final)
        if made:
            self.delivery.wake()
        if not self.dispatcher.coordinator.active_count:
            self._idle.set()
        for run_id in changed:
            run = self._board.get(run_id)
            if run is not None and not self._settle(run):
                self._tell_run(run.to_proto())
        self._tell_queue()

    def node_changed(self, node_id: str) -> None:
        """Something about a node changed."""
        if not self._watchers and not self._host.listens("node_changed"):
            return
        status = next((status for status in self._node_statuses() if status.node_id == node_id), None)
        if status is None:
            return
        message = self._node_message(status)
        for watcher in self._watchers:
            watcher.put_node(message)
        if self._host.listens("node_changed"):
            plain = {"node_id": node_id, "name": status.name, "state": message.state}
            self._threads.submit(self._host.node_changed, plain)

    def progressed(self, link: AgentLink, progress: agent_link_pb2.JobProgress) -> None:
        """A running job moved on."""
        job_id = progress.lease.job_id
        active = self.dispatcher.coordinator.active(job_id)
        if active is None or active.node_id != link.node_id or active.job.attempt != progress.lease.attempt:
            return
        running = pb.RunningJob(job_id=job_id, run_id=active.job.run_id, node=link.info.name, progress=progress)
        self._progress[job_id] = running
        for watcher in self._watchers:
            watcher.put_progress(running)

    def image_saved(self, image: pb.SavedImage) -> None:
        """An image stands in its folder, and that is committed."""
        for watcher in self._watchers:
            watcher.put_image(image)
        run = self._board.saved(image.run_id)
        if run is not None and not self._settle(run):
            self._tell_run(run.to_proto())

    def run_ended(self, row: runs.RunRow | None, run_id: str) -> None:
        """A run is over and its reports are made; None: it is not over after all (a retry came between)."""
        if row is None:
            return
        self._board.remove(run_id)
        self._tell_run(run_message(row))

    def trouble(self, text: str) -> None:
        """Files cannot be written (or can again: empty). Nothing is lost; it is tried again."""
        self._set_problem(text)

    def store_failed(self, error: BaseException) -> None:
        """The database refused a commit: stop everything that would promise more, and mend."""
        log.error("the store failed: %s", error)
        self._set_problem(str(error))
        if self._mending is None:
            self._mending = asyncio.create_task(self._mend(), name="mend")

    async def _mend(self) -> None:
        """Try until the database can be written again, then begin anew from what is on disk."""
        await self.dispatcher.stop(
            grpc.StatusCode.UNAVAILABLE, "the kernel cannot write its database; dial again"
        )
        while True:
            await asyncio.sleep(MEND_INTERVAL)
            try:
                await self._database.write_async(
                    lambda connection: meta.put(connection, "mended_at", self._now())
                )
                restored = await self._restore(clean=True)
            except StoreError as error:
                self._set_problem(str(error))
                continue
            break
        log.info("the database can be written again")
        self._mending = None
        self._set_problem("")
        self.dispatcher = self._new_dispatcher()
        self.dispatcher.start(restored)
        self.delivery.wake()

    def _set_problem(self, text: str) -> None:
        if text and text != self._problem:
            log.error("%s", text)
        self._problem = text

    def _settle(self, run: LiveRun) -> bool:
        """If nothing is left of the run, have it ended. Returns whether that is so."""
        if run.settled:
            self.delivery.end_run(run.row.run_id)
        return run.settled

    def _tell_run(self, run: pb.Run) -> None:
        for watcher in self._watchers:
            watcher.put_run(run)

    def _tell_queue(self) -> None:
        if self._watchers:
            queue = self._queue()
            for watcher in self._watchers:
                watcher.put_queue(queue)

    # --- runs -----------------------------------------------------------------------------------------------

    async def preview(self, run: pb.RunRequest) -> AsyncIterator[pb.PreviewRunResponse]:
        """The very jobs that :meth:`submit` would queue, with the node each would go to now."""
        plan = await self._in_thread(self._planner.plan, run)
        out_dir = self._out_dir(run.out_dir)
        for start in range(0, len(plan.jobs), PREVIEW_BATCH):
            batch = await self._in_thread(lambda start=start: list(plan.jobs[start : start + PREVIEW_BATCH]))
            places = self.dispatcher.coordinator.preview([_queued(job, str(job.index), "") for job in batch])
            yield pb.PreviewRunResponse(
                jobs=[
                    views.planned_job(job, place.node_name, place.reason)
                    for job, place in zip(batch, places, strict=True)
                ]
            )
        yield pb.PreviewRunResponse(summary=_summary(plan, str(out_dir)))

    async def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        """Plan and queue; returns after the commit."""
        plan = await self._in_thread(self._planner.plan, run)
        asked = {
            "pack": run.pack_path or run.pack_name,
            "preset": run.preset_name or run.preset,
            "rows": run.rows,
            "sets": list(run.sets),
            "seed": run.seed if run.HasField("seed") else None,
            "count": run.count if run.HasField("count") else None,
            "reports": list(run.reports),
        }
        run_id, folder = await self._queue_plan(plan, asked, run.out_dir, run.priority, list(run.reports))
        return pb.SubmitRunResponse(run_id=run_id, summary=_summary(plan, folder))

    async def replay(self, request: pb.ReplayRequest) -> pb.ReplayResponse:
        """Queue a stored job again, unchanged."""
        plan = await self._in_thread(self._planner.replay, request.spec_json, request.source_name)
        asked = {"replay": request.source_name, "reports": []}
        run_id, folder = await self._queue_plan(plan, asked, request.out_dir, 0, [])
        return pb.ReplayResponse(run_id=run_id, summary=_summary(plan, folder))

    async def _queue_plan(
        self, plan: Plan, asked: Mapping[str, object], out_dir: str, priority: int, reports: list[str]
    ) -> tuple[str, str]:
        if not plan.jobs:
            raise UserError("nothing to do: the plan is empty")
        for report in reports:
            self._host.report(report)
        pattern = plan.filename_pattern or self._settings.file_name or DEFAULT_PATTERN
        parse_pattern(pattern)
        started = self._clock.now()
        run_id = uuid7(started)
        request = {
            **asked,
            "name": plan.name,
            "line": plan.line,
            "plan_seed": plan.plan_seed,
            "file_name": pattern,
            "version": version("stablenew"),
        }
        folder = await self._in_thread(
            RunFolder.create,
            self._out_dir(out_dir),
            run_folder(started.astimezone(), plan.name),
            {"run_id": run_id, "created_at": meta.timestamp(self._clock), "jobs": len(plan.jobs), **request},
        )
        new = runs.NewRun(run_id, plan.name, str(folder.path), priority, canonical_json(request))
        at = meta.timestamp(self._clock)
        added: list[QueuedJob] = []

        def insert(connection: sqlite3.Connection) -> tuple[runs.RunRow, dict[str, int]]:
            crash_point("kernel.submit.before_commit")
            added.clear()
            runs.insert_run(connection, new, at)
            jobs.insert_jobs(
                connection,
                run_id,
                (jobs.NewJob.of(uuid7(started), job.index, job.spec) for job in plan.jobs),
                at=at,
                on_insert=added.append,
            )
            return runs.get(connection, run_id), meta.queue_state(connection).counts

        try:
            row, counts = await self._database.write_async(insert)
        except BaseException:
            await self._in_thread(folder.discard)
            raise
        crash_point("kernel.submit.after_commit")
        self.delivery.add(row, folder)
        self._board.put(row)
        self._board.set_totals(counts)
        self.dispatcher.feed(QueueChanged(tuple(added) if len(added) == len(plan.jobs) else ()))
        self._tell_run(run_message(row))
        self._tell_queue()
        return run_id, str(folder.path)

    async def list_runs(self, limit: int) -> pb.ListRunsResponse:
        """Runs, newest first; those that go on with the very latest counts."""
        rows = await self._database.read_async(lambda connection: runs.list_runs(connection, limit or 50))
        return pb.ListRunsResponse(
            runs=[
                live.to_proto() if (live := self._board.get(row.run_id)) else run_message(row) for row in rows
            ]
        )

    async def watch(self, watcher: Watcher) -> pb.WatchResponse:
        """Begin to tell ``watcher`` what changes; return the state now."""
        found: list[pb.Run] = []
        if watcher.run_id:
            row = await self._database.read_async(lambda connection: runs.get(connection, watcher.run_id))
            live = self._board.get(row.run_id)
            found = [live.to_proto() if live else run_message(row)]
        else:
            found = [live.to_proto() for live in self._board]
        # No await from here on: what happens next is told to the watcher, what happened before is in here.
        if watcher.run_id and (live := self._board.get(watcher.run_id)):
            found = [live.to_proto()]
        self._watchers.add(watcher)
        self._look_at_previews()
        return pb.WatchResponse(
            snapshot=True,
            runs=found,
            progress=[
                running
                for running in self._progress.values()
                if watcher.wants_progress and watcher.concerns(running.run_id)
            ],
            nodes=[] if watcher.run_id else [self._node_message(status) for status in self._node_statuses()],
            queue=self._queue(),
        )

    def unwatch(self, watcher: Watcher) -> None:
        """The reader is gone."""
        self._watchers.discard(watcher)
        self._look_at_previews()

    def _look_at_previews(self) -> None:
        self.dispatcher.watch_previews(any(watcher.wants_previews for watcher in self._watchers))

    # --- queue ----------------------------------------------------------------------------------------------

    async def list_jobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        """Jobs, a page at a time."""
        states = tuple(_job_state(state) for state in request.states)

        def read(connection: sqlite3.Connection) -> tuple[list[jobs.JobRow], int]:
            run_id = jobs.locate_run(connection, request.run_id) if request.run_id else ""
            limit = request.limit or 100
            return jobs.list_jobs(connection, run_id=run_id, states=states, limit=limit, offset=request.offset)

        rows, total = await self._database.read_async(read)
        return pb.ListJobsResponse(jobs=[self._job_of_row(row) for row in rows], total=total)

    async def get_job(self, job_id: str) -> pb.GetJobResponse:
        """One job with its history."""
        detail = await self._database.read_async(
            lambda connection: jobs.get(connection, jobs.locate(connection, job_id))
        )
        return pb.GetJobResponse(
            job=self._job_of_row(detail.row),
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
        """Cancel, retry, move or clear jobs."""
        change = {
            "cancel": self._cancel,
            "retry": self._retry,
            "move_top": lambda selection, reason: self._move(selection, top=True),
            "move_bottom": lambda selection, reason: self._move(selection, top=False),
            "clear": self._clear,
        }.get(request.action)
        if change is None:
            raise UserError(f"action {request.action!r}: must be cancel, retry, move_top, move_bottom or clear")
        if not (request.job_ids or request.run_id or request.all):
            raise UserError("name jobs, a run, or all")
        selection = await self._database.read_async(
            lambda connection: jobs.Selection(
                job_ids=frozenset(jobs.locate(connection, text) for text in request.job_ids),
                run_ids=frozenset([jobs.locate_run(connection, request.run_id)] if request.run_id else []),
                everything=request.all,
            )
        )
        changed, extra = await change(selection, request.reason)
        return pb.ChangeJobsResponse(changed=changed.changed + extra, notes=changed.notes)

    async def _cancel(self, selection: jobs.Selection, reason: str) -> tuple[jobs.Changed, int]:
        """Queued jobs end in the store, active ones by the agent's word.

        The coordinator drops the jobs from its window before the store is asked, and anything it leases later
        was read after the store's change: so no job is leased that was cancelled.
        """
        reason = reason or "cancelled by the operator"
        event = CancelRequested(selection.job_ids, selection.run_ids, selection.everything, reason=reason)
        coordinator = self.dispatcher.coordinator
        active = sum(
            selection.everything or job.job.job_id in selection.job_ids or job.job.run_id in selection.run_ids
            for job in coordinator.active_jobs()
        )
        before = self._board.totals["cancelled"]
        self.dispatcher.feed(event)
        await self.dispatcher.settled()
        in_window = self._board.totals["cancelled"] - before
        changed = await self._change(
            lambda connection: jobs.cancel_queued(connection, selection, at=self._now(), reason=reason)
        )
        return changed, active + in_window

    async def _retry(self, selection: jobs.Selection, reason: str) -> tuple[jobs.Changed, int]:
        changed = await self._change(lambda connection: jobs.retry(connection, selection, at=self._now()))
        self.dispatcher.feed(QueueChanged())
        return changed, 0

    async def _move(self, selection: jobs.Selection, *, top: bool) -> tuple[jobs.Changed, int]:
        changed = await self._change(
            lambda connection: jobs.move(connection, selection, top=top, at=self._now())
        )
        self.dispatcher.feed(QueueChanged())
        return changed, 0

    async def _clear(self, selection: jobs.Selection, reason: str) -> tuple[jobs.Changed, int]:
        return await self._change(lambda connection: jobs.clear(connection, selection)), 0

    async def _change(self, function: Callable[[sqlite3.Connection], jobs.Changed]) -> jobs.Changed:
        """Change jobs in the store and take the new counts over.

        Commits come back in the order they were asked for, so the counts are those of this very moment.
        """

        def change(
            connection: sqlite3.Connection,
        ) -> tuple[jobs.Changed, list[runs.RunRow], dict[str, int]]:
            changed = function(connection)
            rows = [runs.get(connection, run_id) for run_id in changed.run_ids]
            return changed, rows, meta.queue_state(connection).counts

        changed, rows, counts = await self._database.write_async(change)
        self._board.set_totals(counts)
        for row in rows:
            if row.ended_at:
                self._board.remove(row.run_id)
                self._tell_run(run_message(row))
                continue
            if not self.delivery.knows(row.run_id):
                await self._delivery_folder(row)
            run = self._board.put(row)
            if not self._settle(run):
                self._tell_run(run.to_proto())
        self._tell_queue()
        return changed

    async def set_paused(self, paused: bool, reason: str) -> pb.QueueSummary:
        """Pause or resume the queue."""
        reason = (reason or "paused by the operator") if paused else ""
        await self._database.write_async(lambda connection: meta.set_paused(connection, paused, reason))
        self._paused_reason = reason
        self.dispatcher.feed(PauseSet(paused))
        self._tell_queue()
        return self._queue()

    # --- nodes, plugins, the rest ---------------------------------------------------------------------------

    async def status(self) -> pb.GetStatusResponse:
        """Who the kernel is, and how its queue stands."""
        info = self._info
        assert info is not None
        return pb.GetStatusResponse(
            version=info.version,
            pid=info.pid,
            data_folder=str(self._data.root),
            address=info.address,
            started_at=info.started_at,
            sqlite_version=sqlite3.sqlite_version,
            queue=self._queue(),
            nodes_online=sum(status.connected for status in self._node_statuses()),
            start_note=self._start_note,
            problem=self._problem,
        )

    async def list_nodes(self) -> pb.ListNodesResponse:
        """Every node, connected or not, by name."""
        return pb.ListNodesResponse(nodes=[self._node_message(status) for status in self._node_statuses()])

    async def drain_node(self, node: str, draining: bool, reason: str) -> pb.Node:
        """No more work for a node, or work again."""
        statuses = self._node_statuses()
        found = [status for status in statuses if status.name == node] or [
            status for status in statuses if node and status.node_id.startswith(node)
        ]
        if len(found) != 1:
            known = ", ".join(status.name for status in statuses) or "none"
            problem = "no node is" if not found else f"{len(found)} nodes are"
            raise NotFound(f"{problem} called {node!r}; known: {known}; give a name or the beginning of an id")
        self.dispatcher.feed(DrainSet(found[0].node_id, draining, reason))
        await self.dispatcher.settled()
        status = next(status for status in self._node_statuses() if status.node_id == found[0].node_id)
        return self._node_message(status)

    async def list_plugins(self) -> pb.ListPluginsResponse:
        """Every plugin, the broken ones with their reason."""
        return pb.ListPluginsResponse(plugins=[views.plugin(info) for info in self._host.plugins])

    async def rate(self, request: pb.RateImageRequest) -> pb.RateImageResponse:
        """Rate an image by its pixels."""
        if not 0 <= request.stars <= 5:
            raise UserError(f"{request.stars} stars: must be 1 to 5, or 0 to take a rating back")
        if len(request.image_sha256) != 64:
            raise UserError("an image is named by the sha256 of its pixels, 64 hex digits")
        rating = Rating(
            self._now(), request.image_sha256, request.stars, tuple(request.tags), request.file_name
        )
        await self._in_thread(self._learning.rate, rating)
        images = await self._database.read_async(
            lambda connection: outputs.by_pixels(connection, request.image_sha256)
        )
        return pb.RateImageResponse(known=bool(images))

    # --- plumbing -------------------------------------------------------------------------------------------

    def _queue(self) -> pb.QueueSummary:
        return self._board.queue(self.dispatcher.coordinator.paused, self._paused_reason)

    def _node_statuses(self) -> list[NodeStatus]:
        return self.dispatcher.coordinator.nodes(self._clock.monotonic())

    def _node_message(self, status: NodeStatus) -> pb.Node:
        running = [
            self._progress.get(lease.job.job_id)
            or pb.RunningJob(job_id=lease.job.job_id, run_id=lease.job.run_id, node=status.name)
            for lease in status.leases
        ]
        link = self.dispatcher.link_of(status.node_id)
        if link is not None:
            self._remember(link)
        return views.node(
            status,
            link,
            self._remembered.get(status.node_id, b""),
            running,
            self._refusals.get(status.node_id, ""),
        )

    def _remember(self, link: AgentLink) -> None:
        """Keep what a node is, to show it while it is away."""
        info = link.info.SerializeToString(deterministic=True)
        if self._remembered.get(link.node_id) != info:
            self._remembered[link.node_id] = info
            self._database.write(lambda connection: nodes.save_info(connection, link.node_id, info))

    def _job_of_row(self, row: jobs.JobRow) -> pb.Job:
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
            waiting = self.dispatcher.coordinator.explain(queued)
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
        )

    def _out_dir(self, asked: str) -> Path:
        if asked and not Path(asked).is_absolute():
            raise UserError(f"output folder {asked}: must be an absolute path")
        return Path(asked) if asked else self._data.outputs

    def _now(self) -> str:
        return meta.timestamp(self._clock)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _queued(job: PlannedJob, job_id: str, run_id: str) -> QueuedJob:
    """A planned job as if it were queued, for a dry run."""
    stages = tuple(stage.name for stage in job.spec.stages)
    return QueuedJob(job_id, run_id, 0, job.spec.needs, stages, 0, 0, b"", job.spec.run_timeout)


def _job_state(text: str) -> JobState:
    try:
        return JobState(text)
    except ValueError:
        raise UserError(f"job state {text!r}: must be one of {', '.join(JobState)}") from None


def _summary(plan: Plan, out_dir: str) -> pb.PlanSummary:
    return pb.PlanSummary(jobs=len(plan.jobs), line=plan.line, warnings=plan.warnings, out_dir=out_dir)


def _start_note(clean: bool, queue: meta.QueueState, active: int) -> str:
    waiting = queue.counts["queued"] + active
    if not waiting:
        return ""
    how = "" if clean else "the last kernel did not stop in order; "
    what = f"{waiting} jobs were left, {active} of them on nodes"
    if queue.paused:
        return f"{how}{what}; the queue is paused ({queue.paused_reason}): stablenew queue resume"
    return f"{how}{what}; the queue goes on"


def _job_message(transition: Transition) -> pb.Job:
    """A change of a job, for a watcher: state and what belongs to it. Prompt and stages are in ListJobs."""
    outcome = transition.outcome
    return pb.Job(
        job_id=transition.job_id,
        run_id=transition.run_id,
        state=transition.to_state,
        attempt=transition.attempt,
        node=transition.node_name,
        failure=views.failure(transition.failure),
        run_time=outcome.run_time if outcome else 0.0,
    )


def _job_json(transition: Transition) -> dict[str, object]:
    """A change of a job, for plugins."""
    return {
        "job_id": transition.job_id,
        "run_id": transition.run_id,
        "from": transition.from_state.value,
        "to": transition.to_state.value,
        "attempt": transition.attempt,
        "node": transition.node_name,
        "why": transition.why,
    }
