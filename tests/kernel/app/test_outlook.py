"""How long live runs still take: known from what was made, told with Watch, and looked up once in a while."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from kernel_kit import FakeAgent, House, eventually, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.app import forecast, outlook
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.v1 import kernel_pb2 as pb


async def finish(agent: FakeAgent, first: int, images: int, seconds: float = 3.0) -> None:
    """Make the images of these offers, each in so many seconds, as the node tells."""
    for number in range(first, first + images):
        offers = await agent.offered(number + 1)
        report = json.dumps({"stages": [{"name": "txt2img", "seconds": seconds * 0.9}]}).encode()
        outcome = replace(await agent.made(number), run_time=seconds, report=report)
        await agent.tell((key_of(offers[number].lease), outcome))


async def look_again(house: House) -> None:
    house.kernel.runs.outlook._at = float("-inf")
    house.kernel.runs._forecaster._read.clear()


async def seconds_of(house: House, *run_ids: str) -> list[float]:
    await look_again(house)
    return [(await house.run_of(run_id)).seconds for run_id in run_ids]


def test_runs_and_the_queue_tell_how_long_they_take(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            first = await house.submit(6)
            assert await seconds_of(house, first) == [0.0], "nothing like it was made before"
            await finish(agent, 0, 6)
            assert (await house.ended(first)).seconds == 0
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=True))
            low, high = await house.submit(10), await house.submit(4, priority=1)
            assert await seconds_of(house, low, high) == pytest.approx([42, 12])
            assert (await house.status()).queue.seconds == pytest.approx(42)
            # Looked up once in a while: until then the last look holds.
            await house.change("cancel", high)
            assert (await house.run_of(low)).seconds == pytest.approx(42)
            assert await seconds_of(house, low) == pytest.approx([30])
            # A run that nobody can make is not known, and so is the whole.
            agent.cut()
            await eventually(lambda: not house.kernel.nodes.online, "the node gone")
            assert await seconds_of(house, low) == [0.0]
            assert (await house.status()).queue.seconds == 0.0
            await house.change("cancel", all=True)
            await look_again(house)
            assert (await house.status()).queue.seconds == 0.0

    run(main)


def test_who_watches_is_told_as_it_changes(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "INTERVAL", 0.02)

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            ended = await house.submit(6)
            await finish(agent, 0, 6)
            await house.ended(ended)
            call = house.client.Watch(pb.WatchRequest())
            await call.read()
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=True))
            run_id = await house.submit(10)

            async def told(seconds: float) -> None:
                run_tells = queue_tells = False
                while not (run_tells and queue_tells):
                    message: Any = await call.read()
                    run_tells |= any(
                        one.run_id == run_id and one.seconds == pytest.approx(seconds) for one in message.runs
                    )
                    queue_tells |= message.queue.seconds == pytest.approx(seconds)

            await told(30.0)
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=False))
            await finish(agent, 6, 2)
            await told(3.0 * (6 + 2 / 2))  # two are with the node, and taken to be half done
            call.cancel()

    run(main)


def test_a_busy_client_costs_no_look_each_time(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            looks = []
            original = house.kernel.runs._forecaster.left

            async def counting() -> Any:
                looks.append(1)
                return await original()

            monkeypatch.setattr(house.kernel.runs._forecaster, "left", counting)
            await house.status()
            assert not looks, "nothing is left to do"
            await house.submit(3)
            for _ in range(20):
                await house.status()
                await house.client.ListRuns(pb.ListRunsRequest())
            assert len(looks) == 1

    monkeypatch.setattr(outlook, "INTERVAL", 60.0)
    run(main)


def test_a_history_that_cannot_be_read_costs_the_seconds_alone(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:

            def broken(*_: Any) -> Any:
                raise StoreError("the disk is gone")

            run_id = await house.submit(2)
            monkeypatch.setattr(forecast, "_history", broken)
            for _ in range(3):
                assert await seconds_of(house, run_id) == [0.0]
            assert caplog.text.count("no estimate of what is left") == 1

    run(main)
