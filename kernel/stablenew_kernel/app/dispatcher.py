"""The shell around the coordinator: effects are committed first and carried out afterwards, in order.

Effects gather in a *batch*. Its records go to the writer thread in one function; when they are committed, its
sends go out. So nothing is acknowledged before it is on disk, and the loop never waits for the disk: while one
batch is being synced, the next one gathers, and the busier the house, the fuller it is.

Offers alone do not wait: they promise nothing. The race: a kernel that dies before the lease is on disk finds
the job queued when it starts again, and does not know the lease that the agent lists; the agent is told to drop
it. Should the same attempt be offered once more, then only a word of the node that holds it now counts, and
equal jobs give equal bytes. The same holds for jobs that are being queued (see ``RunDesk``): they
are offered while their own commit is still being synced, and whoever queued them is answered behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import grpc

from stablenew_api.clock import Clock
from stablenew_api.faults import crash_point
from stablenew_api.jobs import JobState
from stablenew_kernel.domain.coordinator import Coordinator, InvalidTransition
from stablenew_kernel.domain.link import (
    RECORDS,
    AckFacts,
    CloseSession,
    Effect,
    Event,
    FactsReceived,
    FillWindow,
    NodeChanged,
    QueuedJob,
    Record,
    RefuseHello,
    ReleaseImages,
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
from stablenew_kernel.store.database import Connection, Database
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.records import commit
from stablenew_proto.v1 import agent_link_pb2 as pb

log = logging.getLogger(__name__)
T = TypeVar("T")

LEASES_WAIT = 0.004
"""Seconds that leases alone may wait for their commit. Nobody is told anything by it, and a job that takes no
time has its result by then: one commit does for both, and for the run it belongs to (see :mod:`.adding`)."""

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

    def released(self, effect: ReleaseImages) -> None:
        """Images between stages are of no use any more."""

    def store_failed(self, error: BaseException) -> None:
        """A commit failed: memory is ahead of the disk. The dispatcher has stopped; rebuild it."""


@dataclass(slots=True)
class _Change:
    function: Callable[[Connection], Any]
    then: Callable[[Any], object]
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Batch:
    records: list[Record] = field(default_factory=list)
    changes: list[_Change] = field(default_factory=list)
    sends: list[Effect] = field(default_factory=list)
    timer: asyncio.Handle | None = None
    """When it is to be committed; None while another one is."""
    urgent: bool = False
    """Whether it has more than leases."""


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
        """What gathers."""
        self._committing = False
        self._stopped = False
        self._previews = False
        """Whether somebody looks at previews."""
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
        if not self._stopped and (self._batch is not None or self._committing):
            await self.change(lambda _: None)

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
        self._previews = wanted
        for link in self._sessions.values():
            link.send_watch(wanted)

    # --- effects --------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Take in one event."""
        if self._stopped:
            return
        try:
            effects = self.coordinator.handle(event, self._clock.monotonic())
        except InvalidTransition as error:
            log.exception("a rule of the life cycle was broken; beginning anew from what is on disk")
            self.fail(error)
            return
        if effects:
            batch = self._gathering()
            for effect in effects:
                if isinstance(effect, RECORDS):
                    batch.records.append(effect)  # type: ignore[arg-type]
                elif isinstance(effect, SendOffer):
                    self._offer(effect, batch)
                else:
                    batch.sends.append(effect)
            self._plan_flush(batch, urgent=bool(batch.sends) or not _only_leases(effects))
            if isinstance(event, FactsReceived) and not self._committing:
                # Somebody waits for these, and nothing of this step is to share their commit.
                if batch.timer is not None:
                    batch.timer.cancel()
                self._flush()

    def change(
        self, function: Callable[[Connection], T], then: Callable[[T], object] = lambda _: None
    ) -> asyncio.Future[T]:
        """Let ``function`` change the store in the very commit of what was fed last, behind its records.

        The future has the result once that is committed and carried out; StoreError if it cannot be.
        ``then`` gets it a step earlier, before whatever was committed behind it is heard of: what memory takes
        over from the store, it takes over there.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._stopped:
            future.set_exception(_not_now())
        else:
            batch = self._gathering()
            batch.changes.append(_Change(function, then, future))
            self._plan_flush(batch, urgent=True)
        return future

    def _gathering(self) -> _Batch:
        if self._batch is None:
            self._batch = _Batch()
        return self._batch

    def _plan_flush(self, batch: _Batch, *, urgent: bool) -> None:
        """Have ``batch`` committed: soon, or a little later if it can wait for its fellows."""
        hurries_already, batch.urgent = batch.urgent, batch.urgent or urgent
        if self._committing or (batch.timer is not None and (hurries_already or not urgent)):
            return
        if batch.timer is not None:
            batch.timer.cancel()
        loop = asyncio.get_running_loop()
        if batch.urgent:
            batch.timer = loop.call_soon(self._flush)
        else:
            batch.timer = loop.call_later(LEASES_WAIT, self._flush)

    def _offer(self, effect: SendOffer, batch: _Batch) -> None:
        """At once if the node was welcomed; behind its welcome otherwise."""
        if link := self._session(effect.node_id, effect.epoch):
            link.send_offer(effect.offer)
        else:
            batch.sends.append(effect)

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        if batch is None:
            return
        if self._stopped:
            _refuse(batch, _not_now())
            return
        if not batch.records and not batch.changes:
            self._release(batch, [])
            return
        if _has_outcome(batch.records):
            crash_point("kernel.result.before_commit")
        at = meta.timestamp(self._clock)

        def write(connection: Connection) -> list[Any]:
            commit(connection, batch.records, at)
            return [change.function(connection) for change in batch.changes]

        self._committing = True
        future = self._database.write_async(write)
        future.add_done_callback(lambda done: self._committed(batch, done))

    def _committed(self, batch: _Batch, done: asyncio.Future[list[Any]]) -> None:
        self._committing = False
        if done.cancelled():
            return
        if error := done.exception():
            _refuse(batch, error)
            self.fail(error)
            return
        if _has_lease(batch.records):
            crash_point("kernel.lease.after_commit")
        if _has_outcome(batch.records):
            crash_point("kernel.result.after_commit")
        self._release(batch, done.result())
        if self._batch is not None and not self._committing:
            self._plan_flush(self._batch, urgent=False)

    def _release(self, batch: _Batch, results: list[Any]) -> None:
        """Carry out a batch that is on disk."""
        transitions = [record for record in batch.records if isinstance(record, Transition)]
        if transitions:
            self._listener.committed(transitions)
        for change, result in zip(batch.changes, results, strict=True):
            change.then(result)
        for effect in batch.sends:
            self._carry_out(effect)
        for change, result in zip(batch.changes, results, strict=True):
            if not change.future.done():  # whoever asked may be gone
                change.future.set_result(result)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendOffer(node_id, epoch, offer):
                if link := self._session(node_id, epoch):
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
                    if self._previews:
                        link.send_watch(True)
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
            case ReleaseImages():
                self._listener.released(effect)
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
                self.fail(error)
                return
            found = done.result()
            more = len(found) > wanted.limit
            self.feed(WindowFilled(wanted.generation, tuple(found[: wanted.limit]), more))

        future.add_done_callback(filled)

    def fail(self, error: BaseException) -> None:
        """A commit failed, and memory is ahead of the disk now: take in nothing more, so that nothing more is
        promised, and have the kernel begin anew from the disk."""
        if self._stopped:
            return
        self._stopped = True
        if self._batch is not None:
            _refuse(self._batch, error)
            self._batch = None
        self._listener.store_failed(error)


def _refuse(batch: _Batch, error: BaseException) -> None:
    """Tell whoever waits for a change that it was not made."""
    for change in batch.changes:
        if not change.future.done():
            change.future.set_exception(error)


def _not_now() -> StoreError:
    return StoreError("the kernel is stopping, or cannot write its database now; try again in a moment")


def _only_leases(effects: Sequence[Effect]) -> bool:
    """Whether all that is to be written is that offers were made."""
    return all(
        isinstance(effect, SendOffer) or (isinstance(effect, Transition) and effect.to_state is JobState.LEASED)
        for effect in effects
    )


def _has_outcome(records: Sequence[Record]) -> bool:
    return any(isinstance(record, Transition) and record.outcome is not None for record in records)


def _has_lease(records: Sequence[Record]) -> bool:
    return any(isinstance(record, Transition) and record.to_state is JobState.LEASED for record in records)
