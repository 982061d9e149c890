"""The shell around the coordinator: effects are committed first and carried out afterwards, in order.

All effects of one turn of the loop make a *batch*. Its records go to the writer thread in one function; when
they are committed, and all earlier batches are through, its sends go out. So nothing is acknowledged and no
lease is offered before it is on disk, and the loop never waits for the disk: while one batch is being synced
the next ones gather and share the following transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import grpc
from stablenew_api.clock import Clock
from stablenew_api.faults import crash_point
from stablenew_proto.v1 import agent_link_pb2 as pb

from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.link import (
    RECORDS,
    AckFacts,
    CloseSession,
    Effect,
    Event,
    FillWindow,
    NodeChanged,
    QueuedJob,
    Record,
    RefuseHello,
    SchedulerFault,
    SendCancel,
    SendDrain,
    SendOffer,
    SendWelcome,
    Tick,
    Transition,
    WindowFilled,
)
from stablenew_kernel.hub.link import AgentLink
from stablenew_kernel.store import jobs, meta
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.records import commit

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between Tick events: the resolution of every time-out of the link."""


class Listener(Protocol):
    """Who wants to know what the dispatcher did. All calls are on the loop, after the commit."""

    def committed(self, transitions: Sequence[Transition]) -> None:
        """These jobs changed, and that is on disk."""

    def node_changed(self, node_id: str) -> None:
        """Something about a node that people see has changed."""

    def progressed(self, link: AgentLink, progress: pb.JobProgress) -> None:
        """A running job moved on. A gauge: nothing was committed."""

    def store_failed(self, error: BaseException) -> None:
        """A commit failed: memory is ahead of the disk. The dispatcher has stopped; rebuild it."""


@dataclass(slots=True)
class _Batch:
    records: list[Record] = field(default_factory=list)
    also: list[Callable[[], None]] = field(default_factory=list)
    sends: list[Effect] = field(default_factory=list)
    committed: bool = False


class Dispatcher:
    """Feeds a :class:`Coordinator` and carries out what it says. Lives on the loop; see :class:`Listener`."""

    def __init__(self, coordinator: Coordinator, database: Database, clock: Clock, listener: Listener) -> None:
        self.coordinator = coordinator
        self._database = database
        self._clock = clock
        self._listener = listener
        self._links: dict[int, AgentLink] = {}
        self._sessions: dict[str, AgentLink] = {}
        self._batch: _Batch | None = None
        self._under_way: deque[_Batch] = deque()
        self._stopped = False
        self._ticker: asyncio.Task[None] | None = None

    # --- life -----------------------------------------------------------------------------------------------

    def start(self, first: Event) -> None:
        """Take in the first event (Restored) and let time pass."""
        self.feed(first)
        self._ticker = asyncio.create_task(self._tick(), name="dispatcher-tick")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.feed(Tick())

    async def stop(self, code: grpc.StatusCode, why: str) -> None:
        """Take in nothing more, and end all streams: agents dial again and tell what they hold."""
        self._stopped = True
        if self._ticker is not None:
            self._ticker.cancel()
        for link in tuple(self._links.values()):
            link.end(code, why)

    async def settled(self) -> None:
        """Return once everything fed so far is committed and carried out."""
        while self._batch is not None or self._under_way:
            await self._database.write_async(lambda _: None)
            await asyncio.sleep(0)

    # --- links (LinkPort) -----------------------------------------------------------------------------------

    def connected(self, link: AgentLink) -> None:
        """A stream has said Hello."""
        self._links[link.conn_id] = link
        if self._stopped:
            link.end(grpc.StatusCode.UNAVAILABLE, "the kernel is stopping; dial again later")

    def disconnected(self, link: AgentLink) -> None:
        """The stream ended."""
        self._links.pop(link.conn_id, None)
        if self._sessions.get(link.node_id) is link:
            del self._sessions[link.node_id]
        self._listener.node_changed(link.node_id)

    def reported(self, link: AgentLink, report: pb.NodeReport) -> None:
        """A gauge for people."""
        link.report = report
        self._listener.node_changed(link.node_id)

    def progressed(self, link: AgentLink, progress: pb.JobProgress) -> None:
        """A gauge for people."""
        self._listener.progressed(link, progress)

    def link_of(self, node_id: str) -> AgentLink | None:
        """The live session of a node."""
        return self._sessions.get(node_id)

    def watch_previews(self, wanted: bool) -> None:
        """Tell every node whether somebody looks at previews."""
        for link in self._sessions.values():
            link.send_watch(wanted)

    # --- effects --------------------------------------------------------------------------------------------

    def feed(self, event: Event, also: Callable[[], None] | None = None) -> None:
        """Take in one event. ``also`` runs after the commit of this turn, before its sends."""
        if self._stopped:
            return
        effects = self.coordinator.handle(event, self._clock.monotonic())
        if not effects and also is None:
            return
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            asyncio.get_running_loop().call_soon(self._flush)
        for effect in effects:
            if isinstance(effect, RECORDS):
                batch.records.append(effect)  # type: ignore[arg-type]
            else:
                batch.sends.append(effect)
        if also is not None:
            batch.also.append(also)

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None
        self._under_way.append(batch)
        if not batch.records:
            # Nothing to commit, but an ack in here may cover facts of a batch that is still being committed.
            batch.committed = True
            self._release()
            return
        records = batch.records
        if _has_outcome(records):
            crash_point("kernel.result.before_commit")
        at = meta.timestamp(self._clock)
        future = self._database.write_async(lambda connection: commit(connection, records, at))
        future.add_done_callback(lambda done: self._committed(batch, done))

    def _committed(self, batch: _Batch, done: asyncio.Future[None]) -> None:
        if self._stopped or done.cancelled():
            return
        if error := done.exception():
            self._fail(error)
            return
        if _has_outcome(batch.records):
            crash_point("kernel.result.after_commit")
        batch.committed = True
        self._release()

    def _release(self) -> None:
        """Carry out batches from the front, as far as they are committed."""
        while self._under_way and self._under_way[0].committed:
            batch = self._under_way.popleft()
            transitions = [record for record in batch.records if isinstance(record, Transition)]
            if transitions:
                self._listener.committed(transitions)
            for also in batch.also:
                also()
            for effect in batch.sends:
                self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendOffer(node_id, epoch, offer):
                if link := self._session(node_id, epoch):
                    crash_point("kernel.lease.after_commit")
                    link.send_offer(offer)
            case AckFacts(node_id, epoch, up_to):
                if link := self._session(node_id, epoch):
                    link.send_ack(up_to)
            case SendCancel(node_id, epoch, cancel):
                if link := self._session(node_id, epoch):
                    link.send_cancel(cancel)
            case SendWelcome(conn_id=conn_id):
                if link := self._links.get(conn_id):
                    self._sessions[link.node_id] = link
                    link.send_welcome(effect.drop, effect.report_interval, effect.session_ttl)
                    self._listener.node_changed(link.node_id)
            case RefuseHello(conn_id=conn_id):
                if link := self._links.get(conn_id):
                    link.end(grpc.StatusCode[effect.code], effect.text)
            case SendDrain(node_id, epoch, draining, reason, exit_when_idle):
                if link := self._session(node_id, epoch):
                    link.send_drain(draining, reason, exit_when_idle)
            case CloseSession(node_id, epoch, why):
                if link := self._session(node_id, epoch):
                    del self._sessions[node_id]
                    link.end(grpc.StatusCode.ABORTED, why)
            case FillWindow():
                self._fill_window(effect)
            case NodeChanged(node_id, name, what):
                log.info("%s: %s", name, what, extra={"node_id": node_id})
                self._listener.node_changed(node_id)
            case SchedulerFault(scheduler, text):
                log.error("scheduler %s: %s", scheduler, text, extra={"plugin": scheduler})

    def _session(self, node_id: str, epoch: int) -> AgentLink | None:
        """The stream that an effect is for; None if the session was replaced or has ended meanwhile: whoever
        came after has been told everything at its own Hello."""
        link = self._sessions.get(node_id)
        return link if link is not None and link.epoch == epoch else None

    def _fill_window(self, wanted: FillWindow) -> None:
        # On the writer, behind every commit decided so far, so that no job is read as queued that is leased.
        future = self._database.write_async(
            lambda connection: jobs.queued(connection, wanted.limit + 1, after=wanted.after)
        )

        def filled(done: asyncio.Future[list[QueuedJob]]) -> None:
            if self._stopped or done.cancelled():
                return
            if error := done.exception():
                self._fail(error)
                return
            found = done.result()
            more = len(found) > wanted.limit
            self.feed(WindowFilled(wanted.generation, tuple(found[: wanted.limit]), more))

        future.add_done_callback(filled)

    def _fail(self, error: BaseException) -> None:
        """Memory is ahead of the disk now: take in nothing more, so that nothing more is promised."""
        self._stopped = True
        self._listener.store_failed(error)


def _has_outcome(records: Sequence[Record]) -> bool:
    return any(isinstance(record, Transition) and record.outcome is not None for record in records)
