"""AgentLinkService: one stream an agent, from its Hello to its end.

What comes in is turned into events of the :mod:`~stablenew_kernel.domain.coordinator` and fed to the
:class:`LinkPort`; what goes out is gathered in a frame and written by one task a stream, so that whatever is
due at one moment travels together and a slow node never makes the kernel wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import grpc
import grpc.aio

from stablenew_api.backend import Capabilities
from stablenew_api.leases import Cancel, LeaseKey, Offer
from stablenew_client import wire
from stablenew_client.pace import LAZY, Pace
from stablenew_kernel.domain.link import (
    Disconnected,
    Event,
    FactsReceived,
    HelloReceived,
    NodeFacts,
    NodeGauges,
    Progressed,
    Reported,
)
from stablenew_proto.options import PROTOCOL_MINOR, STAGE_RESULTS
from stablenew_proto.v1 import agent_link_pb2 as pb
from stablenew_proto.v1 import agent_link_pb2_grpc

log = logging.getLogger(__name__)

HELLO_TIMEOUT = 10.0
"""Seconds a new stream may take to say Hello."""


class LinkPort(Protocol):
    """What links need of the kernel. All calls are on the loop."""

    def connected(self, link: AgentLink) -> None:
        """A stream has said Hello; it may yet be refused. Comes before its HelloReceived event."""

    def feed(self, event: Event) -> None:
        """Something happened on a link."""

    def reported(self, link: AgentLink, report: pb.NodeReport) -> None:
        """A gauge for people: the node's latest report."""

    def progressed(self, link: AgentLink, progress: pb.JobProgress) -> None:
        """A gauge for people: how far a job is."""

    def disconnected(self, link: AgentLink) -> None:
        """The stream ended. Comes after its Disconnected event."""


class AgentLink:
    """One live stream of one node. ``send_*`` methods gather; :meth:`pump` writes."""

    _numbers = itertools.count(1)

    def __init__(self, hello: pb.Hello) -> None:
        self.conn_id = next(self._numbers)
        """Names this stream as long as the kernel runs; (node_id, epoch) names it once it is welcomed."""
        self.node_id = hello.node_id
        self.epoch = hello.epoch
        self.info = hello.node
        self.protocol_minor = min(hello.protocol_minor, PROTOCOL_MINOR)
        self.at_work = 0
        """Offers not answered by a fact. While there are others, a frame may wait for its fellows; a node that
        has nothing to do is told at once."""
        self.welcomed = False
        self.report = pb.NodeReport()
        """The latest one."""
        self.orderly = False
        """Whether the agent said Goodbye."""
        self._frame = pb.ConnectResponse()
        self._due = asyncio.Event()
        self._urgent = asyncio.Event()
        self.ended: asyncio.Future[tuple[grpc.StatusCode, str]] = asyncio.get_running_loop().create_future()
        """Resolves when the kernel wants the stream gone: the status code and text to end it with."""

    def send_welcome(self, drop: Iterable[LeaseKey], report_interval: float, session_ttl: float) -> None:
        """The answer to Hello. Nothing is written before it."""
        self.welcomed = True
        self._frame.welcome.CopyFrom(
            pb.Welcome(
                protocol_minor=self.protocol_minor,
                report_interval=report_interval,
                session_ttl=session_ttl,
                drop_leases=[wire.lease_key_to_proto(lease) for lease in drop],
                features=[STAGE_RESULTS],
            )
        )
        self._wake()

    def send_ack(self, up_to: int) -> None:
        """Facts up to this one are committed. No hurry: it travels with the next offer, or soon by itself."""
        self._frame.acked_fact_id = max(self._frame.acked_fact_id, up_to)
        self._due.set()

    def send_offer(self, offer: Offer) -> None:
        """Run this."""
        self.at_work += 1
        self._frame.offers.append(wire.offer_to_proto(offer))
        self._wake()

    def send_cancel(self, cancel: Cancel) -> None:
        """Stop this."""
        self._frame.cancels.append(wire.cancel_to_proto(cancel))
        self._wake()

    def send_drain(self, draining: bool, reason: str = "", exit_when_idle: bool = False) -> None:
        """Take no more work, or take work again."""
        self._frame.drain.CopyFrom(pb.Drain(draining=draining, reason=reason, exit_when_idle=exit_when_idle))
        self._wake()

    def send_watch(self, previews: bool) -> None:
        """Whether somebody looks at previews."""
        self._frame.watch.CopyFrom(pb.Watch(previews=previews))
        self._wake()

    def _wake(self) -> None:
        self._due.set()
        self._urgent.set()

    def end(self, code: grpc.StatusCode, text: str) -> None:
        """End the stream from this side."""
        if not self.ended.done():
            self.ended.set_result((code, text))

    async def pump(self, context: Any) -> None:
        """Write what is due, a frame at a time, until cancelled."""
        pace = Pace()
        clock = asyncio.get_running_loop().time
        while True:
            await self._due.wait()
            if not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAZY):
                        await self._urgent.wait()
            if self.at_work > len(self._frame.offers) and (delay := pace.delay(clock())) > 0:
                await asyncio.sleep(delay)
            self._due.clear()
            self._urgent.clear()
            frame, self._frame = self._frame, pb.ConnectResponse()
            pace.sent(clock())
            await context.write(frame)


class AgentLinkServicer(agent_link_pb2_grpc.AgentLinkServiceServicer):
    """Runs the streams. Each keeps to the port that was there when it began: a kernel that has to begin anew
    (its disk was full) ends the old streams, and agents dial the new port."""

    def __init__(self, port: Callable[[], LinkPort]) -> None:
        self._port = port

    async def Connect(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: Any
    ) -> None:
        """One stream, from Hello to its end."""
        hello = await self._hello(context)
        link = AgentLink(hello)
        port = self._port()
        port.connected(link)
        reader = asyncio.ensure_future(self._read(port, link, hello, context))
        writer = asyncio.ensure_future(link.pump(context))
        try:
            await asyncio.wait((reader, writer, link.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Also when gRPC cancels this very call because the agent is gone: no task may outlive its stream.
            reader.cancel()
            writer.cancel()
            if link.welcomed:  # a refused stream must not end the session that it failed to displace
                port.feed(Disconnected(link.node_id, link.epoch, link.orderly))
            port.disconnected(link)
        for task in (reader, writer):
            await _settle(task)
        if link.ended.done():
            code, text = link.ended.result()
            await context.abort(code, text)

    async def _hello(self, context: Any) -> pb.Hello:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT):
                frame = await context.read()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "an agent says Hello first, within 10 s")
            raise
        if not isinstance(frame, pb.ConnectRequest) or not frame.HasField("hello"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an agent says Hello first; update the agent")
        hello: pb.Hello = frame.hello
        if not hello.node_id or not hello.epoch:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Hello needs node_id and epoch")
        return hello

    async def _read(self, port: LinkPort, link: AgentLink, hello: pb.Hello, context: Any) -> None:
        """Feed frames until the stream ends."""
        node_id, epoch = link.node_id, link.epoch
        try:
            port.feed(
                HelloReceived(
                    node_id,
                    epoch,
                    node_facts(hello.node),
                    tuple(wire.held_from_proto(held) for held in hello.held_leases),
                    link.conn_id,
                )
            )
            while isinstance(frame := await context.read(), pb.ConnectRequest):
                if frame.HasField("report"):
                    # Before the facts: a backend that has gone makes its job fail and its node unhealthy, and
                    # the job must not be given to that node again in between.
                    port.feed(Reported(node_id, epoch, node_gauges(frame.report, link.info)))
                    port.reported(link, frame.report)
                if frame.facts:
                    ends = sum(not fact.HasField("stage") for fact in frame.facts)
                    link.at_work = max(0, link.at_work - ends)
                    facts = tuple([wire.fact_from_proto(fact) for fact in frame.facts])
                    port.feed(FactsReceived(node_id, epoch, facts))
                for progress in frame.progress:
                    port.feed(Progressed(node_id, epoch, wire.lease_key_from_proto(progress.lease)))
                    port.progressed(link, progress)
                if frame.HasField("goodbye"):
                    link.orderly = True
        except wire.WireError as error:
            log.error("agent %s: %s", link.info.name, error, extra={"node_id": node_id})
            link.end(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def _settle(task: asyncio.Future[None]) -> None:
    """Wait for a task that was told to end. A broken stream is no news here; any other exception is."""
    with contextlib.suppress(asyncio.CancelledError, grpc.RpcError, grpc.aio.UsageError):
        await task


def node_facts(info: pb.NodeInfo) -> NodeFacts:
    """What scheduling needs to know of a node, once."""
    return NodeFacts(
        name=info.name,
        slots=max(1, info.slots),
        stages={stage.name: stage.version for stage in info.stages},
        features=frozenset(info.backend.features),
        models=frozenset(info.backend.models),
        names={
            kind: frozenset(names)
            for kind in Capabilities.lists()
            if kind != "models" and (names := getattr(info.backend, kind))
        },
        vram_total_bytes=max((gpu.vram_total_bytes for gpu in info.gpus), default=0),
        loopback=info.loopback,
    )


def node_gauges(report: pb.NodeReport, info: pb.NodeInfo) -> NodeGauges:
    """What scheduling needs to know of a node, again and again. VRAM and load are those of the largest GPU."""
    totals = {gpu.uuid: gpu.vram_total_bytes for gpu in info.gpus}
    largest = max(report.gpus, key=lambda gpu: totals.get(gpu.uuid, 0), default=pb.GpuLoad())
    return NodeGauges(
        state=report.state,
        loaded_model=report.loaded_model,
        vram_free_bytes=max(0, totals.get(largest.uuid, 0) - largest.vram_used_bytes),
        utilization=largest.utilization,
        leases=tuple([wire.held_from_proto(held) for held in report.leases]),
        problem=report.problem,
    )
