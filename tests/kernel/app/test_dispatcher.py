"""Nothing is promised before it is on disk, and what cannot be put there stops everything."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest
from kernel_kit import FullDisk, QueueOrder, eventually, held_commits, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.jobs import JobState
from stablenew_api.testing import FakeClock
from stablenew_kernel.app import kernel as kernel_module
from stablenew_kernel.app.dispatcher import Dispatcher
from stablenew_kernel.domain.coordinator import Coordinator, InvalidTransition
from stablenew_kernel.domain.link import (
    CancelRequested,
    HelloReceived,
    LinkSettings,
    NodeFacts,
    Restored,
    Transition,
)
from stablenew_kernel.hub.link import AgentLink
from stablenew_kernel.store import nodes
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.v1 import agent_link_pb2 as pb


class Ears:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.failures: list[BaseException] = []

    def committed(self, transitions: Sequence[Transition]) -> None:
        self.transitions += transitions

    def node_changed(self, node_id: str) -> None: ...

    def progressed(self, link: AgentLink, progress: pb.JobProgress) -> None: ...

    def store_failed(self, error: BaseException) -> None:
        self.failures.append(error)


@asynccontextmanager
async def dispatcher_on(data: DataFolder) -> AsyncIterator[tuple[Dispatcher, Database, Ears]]:
    ears, clock = Ears(), FakeClock()
    with Database.open(data.database, clock) as database:
        dispatcher = Dispatcher(Coordinator(LinkSettings(), QueueOrder()), database, clock, ears)
        dispatcher.start(Restored())
        await dispatcher.settled()
        try:
            yield dispatcher, database, ears
        finally:
            await dispatcher.stop(grpc.StatusCode.UNAVAILABLE, "the test is over")


def hello(dispatcher: Dispatcher, node_id: str = "n1", epoch: int = 1) -> AgentLink:
    link = AgentLink(pb.Hello(node_id=node_id, epoch=epoch))
    dispatcher.connected(link)
    facts = NodeFacts(node_id, 1, {"txt2img": "1.0"}, frozenset())
    dispatcher.feed(HelloReceived(node_id, epoch, facts, (), link.conn_id))
    return link


def test_nothing_is_acknowledged_before_the_commit(data: DataFolder) -> None:
    """The next offer alone goes out at once: it promises nothing."""

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(4)
            [one, _] = await agent.offered(2)
            await house.kernel.dispatcher.settled()
            with held_commits(house.database):
                await agent.tell((key_of(one.lease), await agent.made()))
                await eventually(lambda: house.kernel.dispatcher._committing, "the result taken in")
                assert await house.status()  # a round trip: whatever was sent before it has arrived
                await agent.offered(3)
                assert agent.acked == 0
                assert (await house.run_of(run_id)).done == 0
            await eventually(lambda: agent.acked == 1, "the ack")

    run(main)


def test_the_order_of_events_is_the_order_on_disk_and_of_the_news(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            heard: list[tuple[str, str, int]] = []
            really = house.kernel.committed

            def committed(transitions: Sequence[Transition]) -> None:
                heard.extend((t.job_id, str(t.to_state), t.attempt) for t in transitions)
                really(transitions)

            monkeypatch.setattr(house.kernel, "committed", committed)
            for number in range(3):
                await house.agent(f"n{number}", slots=3, works=True)
            await house.ended(await house.submit(40))
            rows = await house.database.write_async(
                lambda connection: connection.execute(
                    "SELECT job.job_id, to_state, job_event.attempt FROM job_event"
                    " JOIN job ON job.seq = job_event.job_seq WHERE from_state <> '' ORDER BY job_event.rowid"
                ).fetchall()
            )
            assert heard == rows
            assert len(heard) >= 80

    run(main)


def test_a_commit_that_fails_stops_everything(data: DataFolder) -> None:
    async def main() -> None:
        async with dispatcher_on(data) as (dispatcher, database, ears):
            disk = FullDisk(database)
            with held_commits(database):
                disk.full = True
                first = hello(dispatcher)
                failing = dispatcher.change(lambda _: 1)
                await eventually(lambda: dispatcher._committing, "the commit under way")
                second = hello(dispatcher, "n2")
                behind = dispatcher.change(lambda _: 2)
            for change in (failing, behind):
                with pytest.raises(StoreError, match="the disk is full"):
                    await change
            [error] = ears.failures
            assert isinstance(error, StoreError)
            assert not first.welcomed
            assert not second.welcomed
            disk.full = False
            hello(dispatcher, "n3")
            await dispatcher.settled()
            with pytest.raises(StoreError, match="try again in a moment"):
                await dispatcher.change(lambda _: 3)
            assert not await database.read_async(nodes.nodes), "memory was ahead of the disk: nothing more"
            assert len(ears.failures) == 1
            late = AgentLink(pb.Hello(node_id="n4", epoch=1))
            dispatcher.connected(late)
            assert late.ended.result()[0] is grpc.StatusCode.UNAVAILABLE

    run(main)


def test_a_caller_that_is_gone_does_not_break_the_commit(data: DataFolder) -> None:
    async def main() -> None:
        async with dispatcher_on(data) as (dispatcher, database, ears):
            disk = FullDisk(database)
            for full in (False, True):
                with held_commits(database):
                    disk.full = full
                    gone = dispatcher.change(lambda _: 1)
                    await eventually(lambda: dispatcher._committing, "the commit under way")
                    gone.cancel()
                await eventually(lambda: not dispatcher._committing, "the commit over")
            assert len(ears.failures) == 1

    run(main)


def test_a_change_shares_the_transaction_of_what_was_fed_before_it(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_module, "MEND_INTERVAL", 0.01)

    def cancelled(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM job WHERE state = 'cancelled'").fetchone()[0])

    def fail(connection: sqlite3.Connection) -> None:
        assert cancelled(connection) == 7, "it sees what it is to undo"
        raise StoreError("no room")

    async def main() -> None:
        async with kernel_on(data) as house:
            one, two = await house.submit(3), await house.submit(4)
            dispatcher = house.kernel.dispatcher
            await dispatcher.settled()
            dispatcher.feed(CancelRequested(run_ids=frozenset([one])))
            assert await dispatcher.change(cancelled) == 3
            dispatcher.feed(CancelRequested(run_ids=frozenset([two])))
            with pytest.raises(StoreError, match="no room"):
                await dispatcher.change(fail)
            assert await house.states(two) == {"queued": 4}
            await eventually(lambda: house.kernel.dispatcher is not dispatcher, "a new beginning")
            await house.recount()
            await house.agent(works=True)
            assert (await house.ended(two)).done == 4

    run(main)


def test_what_memory_takes_over_comes_before_any_later_news(data: DataFolder) -> None:
    async def main() -> None:
        async with dispatcher_on(data) as (dispatcher, database, _):
            order: list[str] = []
            with held_commits(database):
                change = dispatcher.change(lambda _: 1, lambda _: order.append("taken over"))
                change.add_done_callback(lambda _: order.append("answered"))
                await eventually(lambda: dispatcher._committing, "the commit under way")
                later = database.write_async(lambda _: 2)
                later.add_done_callback(lambda _: order.append("later"))
            await asyncio.gather(change, later)
            await asyncio.sleep(0)
            assert order.index("taken over") < order.index("later")

    run(main)


def test_a_broken_rule_begins_anew_from_the_disk(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_module, "MEND_INTERVAL", 0.01)

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            broken = house.kernel.dispatcher

            def refuse(*_: object) -> None:
                raise InvalidTransition("j1", JobState.DONE, JobState.RUNNING, "a test", ())

            monkeypatch.setattr(broken.coordinator, "handle", refuse)
            run_id = await house.submit(2)
            await agent.ended.wait()
            assert agent.code is grpc.StatusCode.UNAVAILABLE
            await eventually(lambda: house.kernel.dispatcher is not broken, "a new beginning")
            await house.agent(epoch=2, works=True)
            assert (await house.ended(run_id)).done == 2
            assert not (await house.status()).problem

    run(main)
    assert "beginning anew" in caplog.text
