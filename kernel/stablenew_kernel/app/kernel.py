"""The kernel: its parts put together, how they hear of each other, and its life from start to stop.

Lives on one event loop. Whatever blocks (planning, files) runs in threads; the database has its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import grpc

from stablenew_api.clock import Clock
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JobState, JsonValue
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.board import RunBoard, run_message
from stablenew_kernel.app.copies import CopyKeeping
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.delivery import Delivery
from stablenew_kernel.app.dispatcher import Dispatcher
from stablenew_kernel.app.gallery import GalleryDesk
from stablenew_kernel.app.library import Library, LibraryDesk
from stablenew_kernel.app.local_agent import LocalAgentKeeper
from stablenew_kernel.app.nodes import NodeDesk
from stablenew_kernel.app.packs import PackDesk, PackReader
from stablenew_kernel.app.places import PlaceDesk
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.app.queue import QueueDesk
from stablenew_kernel.app.runs import RunDesk
from stablenew_kernel.app.settings import SettingsDesk
from stablenew_kernel.app.sources import ImageSources
from stablenew_kernel.app.stagekeeping import StageKeeping
from stablenew_kernel.domain import cards
from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.link import LinkSettings, PauseSet, ReleaseImages, Restored, Transition
from stablenew_kernel.domain.randomizer.variants import Place
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.hub import views
from stablenew_kernel.hub.link import AgentLink
from stablenew_kernel.hub.watch import Watcher
from stablenew_kernel.store import jobs, locate, meta, nodes, places, runs, stages
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import SQLITE_VERSION, Connection, Database
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.learning import LearningJournal
from stablenew_proto.v1 import agent_link_pb2
from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)

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
        core = self._core = Core(data, settings, host, database, clock, threads)
        self._learning = LearningJournal(data.learning)
        core.delivery = Delivery(
            database=database,
            artifacts=artifacts,
            learning=self._learning,
            host=host,
            clock=clock,
            threads=threads,
            listener=self,
        )
        core.dispatcher = self._new_dispatcher()

        def recall(pack: str) -> Mapping[Place, JsonValue]:
            return database.read(lambda connection: places.recall(connection, pack)).result()

        sources = ImageSources(database, artifacts, self._learning)
        planner = self._planner = Planner(host, data, settings, rng, recall, sources)
        self._stages = StageKeeping(core, artifacts)
        self._copies = CopyKeeping(core, artifacts)
        self.places = PlaceDesk(core)
        self.runs = RunDesk(core, planner, self.places)
        self.library = LibraryDesk(core, planner, Library(data, host, clock))
        self.local = LocalAgentKeeper(core)
        self.settings = SettingsDesk(core, self._settings_changed, self.local.apply)
        self._settings_changed(settings)
        self.queue = QueueDesk(core, self._stages)
        self.nodes = NodeDesk(core)
        self.gallery = GalleryDesk(core, self._learning)
        reader = PackReader(host, planner, WildcardFolder(data.wildcards))
        self.packs = PackDesk(core, reader, self.nodes.messages)
        self._info: KernelInfo | None = None
        self._start_note = ""
        self._mending: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._stopping = False
        self._idle = asyncio.Event()
        self._wait_for_running = False

    @property
    def dispatcher(self) -> Dispatcher:
        """Where links go: see :class:`~stablenew_kernel.hub.link.LinkPort`."""
        return self._core.dispatcher

    # --- life -----------------------------------------------------------------------------------------------

    def _new_dispatcher(self) -> Dispatcher:
        core = self._core
        patience = core.settings.orphan_timeout
        link = LinkSettings(
            orphan_timeout=patience,
            loopback_orphan_timeout=min(patience, LinkSettings().loopback_orphan_timeout),
        )
        scheduler = core.host.scheduler(core.settings.scheduler)()
        return Dispatcher(Coordinator(link, scheduler), core.database, core.clock, self)

    async def start(self, info: KernelInfo, *, clean: bool, agent_comes: bool = False) -> None:
        """Take up what the last kernel left, and begin. ``clean``: it stopped in order; ``agent_comes``: one is
        about to be started on this machine."""
        self._info = info
        if not agent_comes:
            self._core.met.set()
        await self.runs.start()
        restored = await self._restore(clean=clean)
        self._core.dispatcher.start(restored)
        self._core.delivery.start()
        await self._stages.sweep()
        self._copies.start()
        self.gallery.start()

    def _settings_changed(self, settings: Settings) -> None:
        """Hand on what parts took from the settings; all else they look up."""
        self._planner.settings = settings
        self._core.delivery.records = settings.learning_mode != "off"

    async def _restore(self, *, clean: bool) -> Restored:
        core = self._core
        pause = not clean and core.settings.after_crash == "paused"

        def read(
            connection: Connection,
        ) -> tuple[Restored, meta.QueueState, list[runs.RunRow], list[nodes.NodeRow]]:
            queue = meta.queue_state(connection)
            if pause and (queue.active or queue.counts["queued"]) and not queue.paused:
                meta.set_paused(connection, True, "the last kernel did not stop in order")
                queue = meta.queue_state(connection)
            rows = nodes.nodes(connection)
            active = tuple(jobs.active(connection))
            kept = tuple(stages.kept(connection))
            restored = Restored(active, tuple(row.known for row in rows), paused=queue.paused, kept=kept)
            return restored, queue, runs.open_runs(connection), rows

        restored, queue, open_runs, rows = await core.database.write_async(read)
        core.paused_reason = queue.paused_reason
        core.board = RunBoard()
        core.board.set_totals(queue.counts)
        self.nodes.restore({row.known.node_id: row.info for row in rows})
        for row in open_runs:
            core.board.put(row)
            core.delivery.take_up(row.run_id)
        self._start_note = _start_note(clean, queue, len(restored.jobs))
        if self._start_note:
            log.info("%s", self._start_note)
        for row in open_runs:
            core.settle(row.run_id)
        return restored

    def request_stop(self, *, wait_for_running: bool = False) -> None:
        """Ask the process to stop. On the loop."""
        self._wait_for_running = wait_for_running
        self._stop.set()

    async def stop_requested(self) -> None:
        """Return when somebody asked for a stop; if also for that, once no job runs any more."""
        await self._stop.wait()
        if self._wait_for_running:
            self._idle.clear()
            self._core.dispatcher.feed(PauseSet(True))
            if self._core.dispatcher.coordinator.active_count:
                await self._idle.wait()

    async def stop(self) -> None:
        """Commit what is decided, end all streams, finish the files that are being written."""
        try:
            await self._core.dispatcher.settled()
        except StoreError as error:  # agents tell again what was not committed
            self._core.set_problem("database", str(error))
        self._stopping = True
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])
        await self._core.dispatcher.stop(
            grpc.StatusCode.UNAVAILABLE, "the kernel is stopping; dial again later"
        )
        await self.runs.stop()
        await self._stages.stop()
        await self._copies.stop()
        await self.gallery.stop()
        await self._core.delivery.stop()
        self._core.bulletin.end()
        await self._core.in_thread(self._learning.close)

    # --- what happened (listener of dispatcher and delivery) ------------------------------------------------

    def committed(self, transitions: Sequence[Transition]) -> None:
        """Jobs changed."""
        core = self._core
        changed = core.board.apply(transitions)
        made = False
        listens = core.host.listens("job_changed")
        for transition in transitions:
            if transition.to_state.final or transition.to_state is JobState.QUEUED:
                if self.nodes.running.pop(transition.job_id, None) is not None:
                    core.bulletin.job_ended(transition.job_id)
                if transition.failure is not None and transition.node_id:
                    self.nodes.refusals[transition.node_id] = transition.failure.message
                made = made or (transition.outcome is not None and bool(transition.outcome.outputs))
            if listens:
                core.threads.submit(core.host.job_changed, _job_json(transition))
        core.bulletin.jobs(transitions)
        if made:
            core.delivery.wake()
        if not core.dispatcher.coordinator.active_count:
            self._idle.set()
        for run_id in changed:
            core.settle(run_id)
        core.tell_queue()

    def node_changed(self, node_id: str) -> None:
        """Something about a node changed."""
        self._core.met.set()
        self.nodes.changed(node_id)

    def progressed(self, link: AgentLink, progress: agent_link_pb2.JobProgress) -> None:
        """A running job moved on."""
        job_id = progress.lease.job_id
        active = self._core.dispatcher.coordinator.active(job_id)
        if active is None or active.node_id != link.node_id or active.job.attempt != progress.lease.attempt:
            return
        running = pb.RunningJob(job_id=job_id, run_id=active.job.run_id, node=link.info.name, progress=progress)
        self.nodes.running[job_id] = running
        self._core.bulletin.progress(running)

    def image_saved(self, image: pb.SavedImage) -> None:
        """An image stands in its folder, and that is committed."""
        self._core.bulletin.image(image)
        self._core.board.saved(image.run_id)
        self._core.settle(image.run_id)

    def run_ended(self, row: runs.RunRow | None, run_id: str) -> None:
        """A run is over and its reports are made; None: it is not over after all (a retry came between)."""
        if row is not None:
            self._core.board.remove(run_id)
            self._core.bulletin.run(run_message(row))

    def trouble(self, text: str) -> None:
        """An output folder cannot be written (or can again: empty)."""
        self._core.set_problem("delivery", text)

    def released(self, effect: ReleaseImages) -> None:
        """Images between stages are of no use any more."""
        self._stages.released(effect)

    def store_failed(self, error: BaseException) -> None:
        """The database refused a commit: stop everything that would promise more, and mend."""
        self._core.set_problem("database", str(error))
        if self._mending is None and not self._stopping:
            self._mending = asyncio.create_task(self._mend(), name="mend")

    async def _mend(self) -> None:
        """Try until the database can be written again, then begin anew from what is on disk."""
        core = self._core
        await core.dispatcher.stop(
            grpc.StatusCode.UNAVAILABLE, "the kernel cannot write its database; dial again later"
        )
        while True:
            await asyncio.sleep(MEND_INTERVAL)
            try:
                await core.database.write_async(
                    lambda connection: meta.put(connection, "mended_at", core.now())
                )
                restored = await self._restore(clean=True)
            except StoreError as error:
                core.set_problem("database", str(error))
                continue
            break
        log.info("the database can be written again")
        self._mending = None
        core.set_problem("database", "")
        core.dispatcher = self._new_dispatcher()
        core.dispatcher.start(restored)
        core.dispatcher.watch_previews(core.bulletin.previews_wanted)
        core.delivery.wake()
        self.gallery.start()

    # --- what clients ask besides runs, queue and nodes -----------------------------------------------------

    async def status(self) -> pb.GetStatusResponse:
        """Who the kernel is, and how its queue stands."""
        info = self._info
        assert info is not None
        await self.runs.outlook.refresh()
        return pb.GetStatusResponse(
            version=info.version,
            pid=info.pid,
            data_folder=str(self._core.data.root),
            address=info.address,
            started_at=info.started_at,
            sqlite_version=SQLITE_VERSION,
            queue=self._core.queue(),
            nodes_online=self.nodes.online,
            start_note=self._start_note,
            problem=self._core.problem,
        )

    async def watch(self, watcher: Watcher) -> pb.WatchResponse:
        """Begin to tell ``watcher`` what changes; return the state now."""
        core = self._core
        row = None
        if watcher.run_id:
            run_id = await core.database.read_async(lambda connection: locate.run(connection, watcher.run_id))
            watcher.run_id = run_id
            # On the writer, whose answers come in the order of the commits: what the reader says may be older
            # than an end of the run that was told before this watcher is known.
            row = await core.database.write_async(lambda connection: runs.get(connection, run_id))
        # No await from here on: what happens next is told to the watcher, what happened before is in here.
        live = [run for run in core.board if watcher.concerns(run.row.run_id)]
        found = [run.to_proto() for run in live] or ([run_message(row)] if row else [])
        core.bulletin.add(watcher)
        core.dispatcher.watch_previews(core.bulletin.previews_wanted)
        return pb.WatchResponse(
            snapshot=True,
            runs=found,
            progress=watcher.progress_of(self.nodes.running.values()),
            nodes=[] if watcher.run_id else self.nodes.messages(),
            queue=core.queue(),
        )

    def unwatch(self, watcher: Watcher) -> None:
        """The reader is gone."""
        self._core.bulletin.remove(watcher)
        self._core.dispatcher.watch_previews(self._core.bulletin.previews_wanted)

    async def plugins(self) -> pb.ListPluginsResponse:
        """Every plugin, the broken ones with their reason."""
        return pb.ListPluginsResponse(plugins=[views.plugin(info) for info in self._core.host.plugins])

    async def stages(self) -> pb.ListStagesResponse:
        """Every stage that is offered to people, in the order of the pipeline."""
        host = self._core.host

        def listed() -> list[pb.Stage]:
            return [
                views.stage(kind, host.provider("stage", kind.name).name) for kind in cards.offered(host.stages)
            ]

        return pb.ListStagesResponse(stages=await self._core.in_thread(listed))


def _start_note(clean: bool, queue: meta.QueueState, active: int) -> str:
    waiting = queue.counts["queued"] + active
    if not waiting:
        return ""
    how = "" if clean else "the last kernel did not stop in order; "
    what = f"{waiting} jobs were left, {active} of them on nodes"
    if queue.paused:
        return f"{how}{what}; the queue is paused ({queue.paused_reason}): stablenew queue resume"
    return f"{how}{what}; the queue goes on"


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
