"""How a run gets into the queue: a few jobs at once, a long run piece by piece; as a whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import grpc
import pytest
from kernel_kit import DEADLINE, eventually, held_commits, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import PluginError
from stablenew_api.leases import LeaseState, Outcome
from stablenew_kernel.app import adding, dispatcher
from stablenew_kernel.store import jobs, meta, runs
from stablenew_proto.v1 import kernel_pb2 as pb

PIECE = 10


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", PIECE)
    monkeypatch.setattr(adding, "PIECE", PIECE)


def images_in(ended: pb.Run) -> int:
    return len(list(Path(ended.out_dir).glob("*.png")))


def test_others_commit_between_the_pieces_of_a_long_run(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, pieces: None
) -> None:
    insert, inserted, others = jobs.insert_jobs, 0, 0
    ready = asyncio.Event()

    def insert_piece(connection: sqlite3.Connection, *arguments: Any, **options: Any) -> int:
        nonlocal inserted
        inserted += 1
        return insert(connection, *arguments, **options)

    async def main() -> None:
        nonlocal others
        async with kernel_on(data) as house:
            monkeypatch.setattr(jobs, "insert_jobs", insert_piece)

            async def commit_all_the_time() -> None:
                nonlocal others
                while not ready.is_set():
                    await house.database.write_async(lambda c: meta.put(c, "test", "other"))
                    others += 0 < inserted < 8

            other = asyncio.create_task(commit_all_the_time())
            run_id = await house.submit(8 * PIECE - 3)
            ready.set()
            await other
            assert inserted == 8
            assert others >= 3, "the run was written in one go"
            assert (await house.run_of(run_id)).queued == 8 * PIECE - 3
            agent = await house.agent(works=True, slots=4)
            ended = await house.ended(run_id)
            assert ended.done == 8 * PIECE - 3
            assert images_in(ended) == ended.done
            await house.recount()
            numbers = [offer.lease.job_id for offer in agent.offers]
            assert len(numbers) == len(set(numbers))

    run(main)


@pytest.mark.parametrize("at", [1, PIECE + 1, 3 * PIECE + 4])
def test_a_job_that_cannot_be_made_queues_nothing(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, pieces: None, at: int
) -> None:
    made = 0
    of = jobs.NewJob.of

    def fails(*arguments: Any) -> jobs.NewJob:
        nonlocal made
        made += 1
        if made == at:
            raise PluginError("stage draw: resolve_prompts failed")
        return of(*arguments)

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(works=True)
            monkeypatch.setattr(jobs.NewJob, "of", staticmethod(fails))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.submit(4 * PIECE)
            assert "resolve_prompts failed" in (caught.value.details() or "")
            monkeypatch.setattr(jobs.NewJob, "of", staticmethod(of))
            assert not (await house.client.ListRuns(pb.ListRunsRequest())).runs
            assert (await house.status()).queue.queued == 0
            assert not list(data.outputs.iterdir())
            assert await house.database.read_async(runs.hidden) == []
            assert not agent.offers
            assert (await house.ended(await house.submit(2))).done == 2
            await house.recount()

    run(main)


def test_what_a_dead_kernel_left_half_queued_is_put_away(data: DataFolder, pieces: None) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.submit(3 * PIECE)

            def hide_again(connection: sqlite3.Connection) -> None:
                """As if the kernel had died before the last of the commits."""
                connection.execute("UPDATE run SET cleared = 1")
                connection.execute("UPDATE tally SET n = 0")

            await house.database.write_async(hide_again)
        async with kernel_on(data) as house:
            await house.kernel.runs._adder._tidying  # type: ignore[misc]
            assert await house.database.read_async(runs.hidden) == []
            agent = await house.agent(works=True)
            assert (await house.ended(await house.submit(2))).done == 2
            assert len(agent.offers) == 2
            await house.recount()

    run(main)


def test_a_few_jobs_are_offered_while_they_are_written_and_a_client_may_hang_up(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            data.outputs.mkdir(parents=True, exist_ok=True)
            agent = await house.agent(slots=2)
            await house.kernel.dispatcher.settled()
            with held_commits(house.database):
                call = house.client.SubmitRun(pb.SubmitRunRequest(run=house.request(2)))
                await agent.offered(2)
                assert not call.done(), "answered before the commit"
                call.cancel()
                await agent.tell(*[(key_of(offer.lease), await agent.made()) for offer in agent.offers])
            await eventually(lambda: agent.acked == 2, "the acks")
            [found] = (await house.client.ListRuns(pb.ListRunsRequest())).runs
            ended = await house.ended(found.run_id)
            assert ended.done == 2
            assert images_in(ended) == ended.done
            await house.recount()

    run(main)


def test_where_jobs_take_no_time_run_and_results_are_one_commit(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to whoever submitted comes after that commit, as ever."""
    for module in (adding, dispatcher):
        monkeypatch.setattr(module, "LEASES_WAIT", DEADLINE)

    async def main() -> None:
        async with kernel_on(data) as house:
            data.outputs.mkdir(parents=True, exist_ok=True)
            agent = await house.agent(slots=2)
            await house.kernel.dispatcher.settled()
            first = await house.submit(1)  # nobody knows yet how long they take: answered at once
            [offer] = await agent.offered(1)
            await agent.tell((key_of(offer.lease), quick := Outcome(LeaseState.SUCCEEDED, run_time=0.0001)))
            await house.ended(first)
            before = house.database.commits
            call = house.client.SubmitRun(pb.SubmitRunRequest(run=house.request(2)))
            offers = await agent.offered(3)
            assert house.database.commits == before
            assert not call.done(), "answered before the commit"
            await agent.tell(*[(key_of(offer.lease), quick) for offer in offers[1:]])
            run_id = (await call).run_id
            assert house.database.commits == before + 1
            assert (await house.ended(run_id)).done == 2
            await house.recount()

    run(main)


def test_a_folder_that_cannot_be_made_refuses_the_run(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(works=True)
            if data.outputs.exists():
                data.outputs.rmdir()
            data.outputs.write_bytes(b"a file where the folder should be")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.submit(1)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert str(data.outputs) in (caught.value.details() or "")
            assert not agent.offers
            data.outputs.unlink()
            assert (await house.ended(await house.submit(1))).done == 1

    run(main)
