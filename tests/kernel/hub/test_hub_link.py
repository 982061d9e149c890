"""The link's shell over a real socket, with the real dispatcher, coordinator and database behind it."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from kernel_kit import FakeAgent, eventually, held_commits, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.jobs import Failure, FailureKind
from stablenew_api.leases import Fact, HeldLease, LeaseKey, LeaseState, Outcome
from stablenew_client import wire
from stablenew_client.pace import LAZY
from stablenew_kernel.hub import link as link_module
from stablenew_kernel.hub.link import AgentLink
from stablenew_proto.v1 import agent_link_pb2 as pb
from stablenew_proto.v1 import agent_link_pb2_grpc, kernel_pb2


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (pb.ConnectRequest(), "an agent says Hello first; update the agent"),
        (pb.ConnectRequest(report=pb.NodeReport(state="ready")), "an agent says Hello first"),
        (pb.ConnectRequest(hello=pb.Hello(epoch=1)), "Hello needs node_id and epoch"),
        (pb.ConnectRequest(hello=pb.Hello(node_id="n1")), "Hello needs node_id and epoch"),
        (
            pb.ConnectRequest(
                hello=pb.Hello(node_id="n1", epoch=1, held_leases=[pb.HeldLease(state="boiling")])
            ),
            "lease state 'boiling' is not known here",
        ),
    ],
    ids=["nothing in it", "a report first", "no node id", "no epoch", "a lease in no known state"],
)
def test_hello_first_and_whole_or_refused(data: DataFolder, first: pb.ConnectRequest, says: str) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = FakeAgent(house, "n1")
            house.agents.append(agent)
            await agent.dial(first)
            await agent.ended.wait()
            assert agent.code is grpc.StatusCode.INVALID_ARGUMENT
            assert says in agent.text
            assert (await house.status()).nodes_online == 0

    run(main)


def test_an_agent_that_says_nothing_is_let_go(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "HELLO_TIMEOUT", 0.01)

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = FakeAgent(house, "n1")
            house.agents.append(agent)
            agent._call = agent_link_pb2_grpc.AgentLinkServiceStub(agent._channel).Connect()
            agent._task = asyncio.create_task(agent._listen())
            await agent.ended.wait()
            assert agent.code is grpc.StatusCode.DEADLINE_EXCEEDED

    run(main)


def test_a_late_hello_of_an_old_connection_never_displaces(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            living = await house.agent(epoch=5)
            for epoch in (4, 5):
                late = FakeAgent(house, "n1", epoch=epoch)
                house.agents.append(late)
                await late.dial()
                await late.ended.wait()
                assert late.code is grpc.StatusCode.ABORTED
                assert "has connected since" in late.text
                assert not late.welcomed.is_set()
                # What comes over the late stream, and its end, are nothing to the living one.
                assert (await house.status()).nodes_online == 1
            await house.submit(1)
            [offer] = await living.offered(1)
            await living.tell((key_of(offer.lease), await living.made()))
            await eventually(lambda: living.acked == 1, "the living stream is served")

    run(main)


def test_a_newer_hello_displaces_and_reconciles(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            old = await house.agent(epoch=1, slots=2)
            await house.submit(2)
            [kept, lost] = await old.offered(2)
            strange = LeaseKey("never-heard-of", 3)
            held = [HeldLease(key_of(kept.lease), LeaseState.RUNNING), HeldLease(strange, LeaseState.HELD)]
            new = await house.agent(epoch=2, slots=2, held=held)
            await old.ended.wait()
            assert old.code is grpc.StatusCode.ABORTED
            [welcome] = [frame.welcome for frame in new.frames if frame.HasField("welcome")]
            assert [key_of(lease) for lease in welcome.drop_leases] == [strange]
            [again] = await new.offered(1)
            assert (again.lease.job_id, again.lease.attempt) == (lost.lease.job_id, 2)
            assert (await house.status()).nodes_online == 1

    run(main)


def test_a_node_that_lost_its_backend_does_not_get_the_job_again_that_failed_for_it(data: DataFolder) -> None:
    """Failure and report come in one frame: the report counts first. Only with it in mind is the job queued."""

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            await house.submit(1)
            [offer] = await agent.offered(1)
            gone = Outcome(LeaseState.FAILED, failure=Failure(FailureKind.BACKEND, "nobody answers", ""))
            fact = wire.fact_to_proto(Fact(1, key_of(offer.lease), gone))
            down = pb.NodeReport(state="unhealthy", problem="nobody answers")
            await agent.send(pb.ConnectRequest(facts=[fact], report=down))
            await eventually(lambda: agent.acked == 1, "the failure is on disk")
            assert len(agent.offers) == 1
            await agent.send(pb.ConnectRequest(report=pb.NodeReport(state="ready")))
            [_, again] = await agent.offered(2)
            assert (again.lease.job_id, again.lease.attempt) == (offer.lease.job_id, 2)

    run(main)


def test_what_is_due_at_one_moment_travels_in_one_frame(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(slots=7)
            before = len(agent.frames)
            await house.submit(20)
            await agent.offered(8)
            assert len(agent.frames) == before + 1
            await agent.tell(*[(key_of(offer.lease), await agent.made()) for offer in agent.offers])
            await agent.offered(16)
            await eventually(lambda: agent.acked == 8, "the acks, in one frame or with the next offers")
            assert len(agent.frames) <= before + 3

    run(main)


def test_acks_alone_are_lazy_but_arrive(data: DataFolder) -> None:
    class Context:
        def __init__(self) -> None:
            self.frames: list[tuple[float, pb.ConnectResponse]] = []

        async def write(self, frame: pb.ConnectResponse) -> None:
            self.frames.append((time.monotonic(), frame))

    async def main() -> None:
        link, context = AgentLink(pb.Hello(node_id="n1", epoch=1)), Context()
        pump = asyncio.create_task(link.pump(context))
        begun = time.monotonic()
        link.send_ack(7)
        link.send_ack(5)
        await eventually(lambda: context.frames, "the ack")
        [(at, frame)] = context.frames
        assert frame.acked_fact_id == 7, "an ack never falls back"
        assert at - begun >= LAZY * 0.9
        link.send_ack(9)
        await asyncio.sleep(0)
        link.send_drain(True)
        await eventually(lambda: len(context.frames) > 1, "the drain")
        (_, frame) = context.frames[1]
        assert (frame.acked_fact_id, frame.drain.draining) == (9, True), "it takes a lift"
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)

    run(main)


def test_an_agent_that_joins_while_somebody_looks_is_asked_for_previews(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            call = house.client.Watch(kernel_pb2.WatchRequest(progress=True, previews=True))
            await call.read()
            agent = await house.agent()
            await eventually(lambda: agent.watch == [True], "asked for previews")
            call.cancel()

    run(main)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pb.ConnectRequest(facts=[pb.Fact(fact_id=1, state="running")]), "a lease does not end as 'running'"),
        (pb.ConnectRequest(facts=[pb.Fact(fact_id=2, state="melted")]), "'melted' is not known here"),
        (
            pb.ConnectRequest(report=pb.NodeReport(leases=[pb.HeldLease(state="?")])),
            "lease state '?' is not known",
        ),
    ],
)
def test_a_broken_frame_ends_the_stream_and_the_session(
    data: DataFolder, frame: pb.ConnectRequest, says: str
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            await agent.send(frame)
            await agent.ended.wait()
            assert agent.code is grpc.StatusCode.INVALID_ARGUMENT
            assert says in agent.text
            assert agent.acked == 0
            assert (await house.status()).nodes_online == 0
            back = await house.agent(epoch=2)
            assert back.welcomed.is_set()

    run(main)


def test_a_cut_leaves_no_task_and_an_offline_node(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            before = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
            for epoch in range(1, 4):
                agent = await house.agent(epoch=epoch)
                agent.cut()
                await agent.ended.wait()
                while (await house.status()).nodes_online:
                    pass
            await house.kernel.dispatcher.settled()
            after = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
            assert not {name for name in after - before if "AgentLink" in name}
            assert not house.kernel.dispatcher._links
            assert not house.kernel.dispatcher._sessions

    run(main)


def test_nobody_is_welcomed_before_its_epoch_is_on_disk(data: DataFolder) -> None:
    """Otherwise a kernel that dies right after could be fooled by a late Hello."""

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = FakeAgent(house, "n1")
            house.agents.append(agent)
            with held_commits(house.database):
                await agent.dial()
                await eventually(lambda: house.kernel.dispatcher._committing, "Hello taken in")
                await house.status()
                assert not agent.frames
            await agent.welcomed.wait()

    run(main)
