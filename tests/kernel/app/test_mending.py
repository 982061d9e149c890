"""The disk refuses and later takes again: it is said while it lasts, nothing is acked, nothing is lost."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import grpc
import pytest
from kernel_kit import FakeAgent, FullDisk, eventually, held_commits, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.leases import HeldLease, LeaseState
from stablenew_kernel.app import delivery as delivery_module
from stablenew_kernel.app import kernel as kernel_module
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "MEND_INTERVAL", 0.01)
    monkeypatch.setattr(delivery_module, "RETRY_INTERVAL", 0.01)


def exactly_once(data: DataFolder, ended: pb.Run) -> None:
    """Each image of the run stands once in its folder, in its manifest and in the learning journal."""
    folder = Path(ended.out_dir)
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(ended.done))
    assert {path.name for path in folder.glob("*.png")} == {line["file"] for line in lines}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["done"] == ended.done
    records = [json.loads(line) for line in data.learning.read_text(encoding="utf-8").splitlines()]
    ids = [record["record_id"] for record in records if record["run_id"] == ended.run_id]
    assert sorted(ids) == sorted(f"{line['job_id']}/0" for line in lines)


def test_a_full_disk_in_the_middle_of_a_run(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            disk = FullDisk(house.database)
            agent = await house.agent(slots=2)
            run_id = await house.submit(6)
            [one, two, three] = await agent.offered(3)
            made = await agent.made()
            await house.kernel.dispatcher.settled()  # the leases are on disk
            disk.full = True
            await agent.tell((key_of(one.lease), made))
            await agent.ended.wait()
            assert agent.code is grpc.StatusCode.UNAVAILABLE
            assert agent.acked == 0
            await eventually(lambda: disk.refused >= 3, "tried again, in vain")
            assert (await house.status()).problem == f"{data.database}: {disk.text}"
            for change in ("cancel", "retry", "clear"):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await house.change(change, run_id)
                assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            refused = FakeAgent(house, "n1", epoch=2)
            house.agents.append(refused)
            await refused.dial()
            await refused.ended.wait()
            assert refused.code is grpc.StatusCode.UNAVAILABLE

            disk.full = False
            await eventually(lambda: not house.kernel._core.problem, "all well again")
            held = [
                HeldLease(key_of(one.lease), LeaseState.SUCCEEDED),
                HeldLease(key_of(two.lease), LeaseState.RUNNING),
                HeldLease(key_of(three.lease), LeaseState.HELD),
            ]
            back = await house.agent(epoch=3, slots=2, held=held, works=True)
            await back.tell(*((key_of(offer.lease), made) for offer in (one, two, three)))
            ended = await house.ended(run_id)
            assert (ended.state, ended.done) == ("done", 6)
            assert not {offer.lease.job_id for offer in back.offers} & {
                offer.lease.job_id for offer in (one, two, three)
            }, "run twice"
            await eventually(lambda: back.acked >= 3, "acks")
            exactly_once(data, ended)
            await house.recount()

    run(main)


def test_no_room_for_a_run_queues_nothing_and_leaves_no_folder(data: DataFolder) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def free(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    async def main() -> None:
        async with kernel_on(data) as house:
            await house.database.write_async(fill)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.submit(500)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert "the disk is full; free some space" in (caught.value.details() or "")
            assert (await house.status()).queue.queued == 0
            assert not list(data.outputs.iterdir())
            await house.database.write_async(free)
            await house.agent(works=True, slots=4)
            ended = await house.ended(await house.submit(20))
            assert ended.done == 20
            exactly_once(data, ended)

    run(main)


def test_the_database_fills_up_by_itself_while_a_run_goes_on(data: DataFolder) -> None:
    """A real SQLITE_FULL, wherever it strikes: small commits may still fit when larger ones do not."""

    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def free(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(slots=4)
            run_id = await house.submit(60)
            await agent.offered(5)
            await house.kernel.dispatcher.settled()
            await house.database.write_async(fill)
            agent.works = True
            await agent.tell(*[(key_of(offer.lease), await agent.made()) for offer in agent.offers])
            seen = await eventually(lambda: house.kernel._core.problem, "no room")
            assert "the disk is full; free some space" in seen
            await house.database.write_async(free)
            await eventually(lambda: not house.kernel._core.problem, "all well again")
            agent.cut()
            await house.agent(epoch=2, slots=4, works=True, first_fact=1000)
            ended = await house.ended(run_id)
            assert (ended.state, ended.done) == ("done", 60)
            exactly_once(data, ended)
            await house.recount()

    run(main)


def test_images_that_are_saved_while_the_disk_fills_up(data: DataFolder) -> None:
    """Between an image's line in the manifest and the commit that calls it saved."""

    async def main() -> None:
        async with kernel_on(data) as house:
            disk = FullDisk(house.database)
            agent = await house.agent()
            run_id = await house.submit(2)
            offers = await agent.offered(2)
            delivery = house.kernel._core.delivery
            really = delivery._note

            def fill_behind_it(delivered: object) -> None:
                really(delivered)  # type: ignore[arg-type]
                disk.full = True

            delivery._note = fill_behind_it  # type: ignore[method-assign]
            await agent.tell(*[(key_of(offer.lease), await agent.made()) for offer in offers])
            await eventually(lambda: disk.refused >= 2, "tried again, in vain")
            assert disk.text in (await house.status()).problem
            delivery._note = really  # type: ignore[method-assign]
            disk.full = False
            ended = await house.ended(run_id)
            assert ended.done == 2
            exactly_once(data, ended)
            await eventually(lambda: not house.kernel._core.problem, "all well again")

    run(main)


def test_a_stop_while_the_disk_is_full_comes_to_an_end(data: DataFolder) -> None:
    async def main() -> None:
        for mending in (False, True):
            async with kernel_on(data) as house:
                disk = FullDisk(house.database)
                agent = await house.agent(epoch=1 + mending)
                run_id = await house.submit(1)
                [offer, *_] = await agent.offered(1)
                await house.kernel.dispatcher.settled()
                if mending:
                    disk.full = True
                    await agent.tell((key_of(offer.lease), await agent.made()))
                    await agent.ended.wait()
                    continue
                with held_commits(house.database):
                    await agent.tell((key_of(offer.lease), await agent.made()))
                    await eventually(lambda: house.kernel.dispatcher._committing, "the result taken in")
                    disk.full = True
        async with kernel_on(data) as house:
            await house.agent(epoch=9, works=True)
            assert (await house.ended(run_id)).done == 1

    run(main)
