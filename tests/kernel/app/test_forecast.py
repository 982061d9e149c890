"""How long a plan takes, as the kernel tells it: from the nodes, the queue and the images there were."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from kernel_kit import FakeAgent, House, eventually, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.app import forecast
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.v1 import kernel_pb2 as pb

NOTHING_YET = "how long it takes is not known yet: nothing like this has run here"
NO_NODE = "how long it takes is not known: no node that can make these is online"


async def told(house: House, images: int, **more: Any) -> pb.PlanSummary:
    """What a dry run says, of a history that is read anew."""
    house.kernel.runs._forecaster._read.clear()
    asked = pb.PreviewRunRequest(run=house.request(images, **more), show=1)
    return [message async for message in house.client.PreviewRun(asked)][-1].summary


async def make(house: House, agent: FakeAgent, images: int, seconds: float) -> None:
    """A run whose images took so long each, as the node tells."""
    run_id = await house.submit(images)
    for n in range(images):
        offers = await agent.offered(n + 1 + agent.told)  # type: ignore[attr-defined]
        lease = key_of(offers[n + agent.told].lease)  # type: ignore[attr-defined]
        report = json.dumps({"stages": [{"name": "txt2img", "seconds": seconds * 0.9}]}).encode()
        await agent.tell((lease, replace(await agent.made(n), run_time=seconds, report=report)))
    agent.told += images  # type: ignore[attr-defined]
    await house.ended(run_id)


def test_from_nothing_to_an_estimate(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            summary = await told(house, 4)
            assert (summary.seconds, summary.time) == (0.0, NO_NODE)
            agent = await house.agent()
            agent.told = 0  # type: ignore[attr-defined]
            assert (await told(house, 4)).time == NOTHING_YET
            await make(house, agent, 6, seconds=3.0)
            summary = await told(house, 4)
            assert summary.time == "about 12 s on 1 node; from 5 images like these"
            assert summary.seconds == pytest.approx(12)
            assert (await told(house, 600, confirmed=False)).question.count("about 30 min on 1 node") == 1
            answer = await house.client.SubmitRun(pb.SubmitRunRequest(run=house.request(10)))
            assert answer.summary.seconds == pytest.approx(30), "not behind itself"
            await agent.offered(agent.told + 2)  # type: ignore[attr-defined]
            await house.kernel.dispatcher.settled()
            # Two are with the node, and taken to be half done.
            assert (await told(house, 4)).time == (
                "about 12 s on 1 node, after about 27 s for 9 images queued before; from 5 images like these"
            )
            assert (await told(house, 4, priority=5)).seconds == pytest.approx(12), "it goes before them"
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=True))
            assert "once the queue goes on" in (await told(house, 4)).time
            agent.cut()
            await eventually(lambda: not house.kernel.nodes.online, "the node gone")
            assert (await told(house, 4)).time == NO_NODE

    run(main)


def test_a_node_that_cannot_make_them_does_not_count(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent()
            node = house.kernel.dispatcher.coordinator.nodes(0)[0]
            assert node.facts is not None
            assert (await told(house, 4)).time == NOTHING_YET
            await house.client.DrainNode(pb.DrainNodeRequest(node="n1", draining=True))
            assert (await told(house, 4)).time == NO_NODE

    run(main)


def test_a_history_that_cannot_be_read_keeps_no_run_from_being_queued(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:

            def broken(*_: Any) -> Any:
                raise StoreError("the disk is gone")

            monkeypatch.setattr(forecast, "_history", broken)
            run_id = await house.submit(2)
            assert (await house.run_of(run_id)).total == 2
            summary = await told(house, 2)
            assert summary.seconds == 0.0
            assert summary.time.startswith("how long it takes is not known: the images before could not be")

    run(main)


def test_what_a_script_queues_one_after_the_other_is_read_once(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            read = []
            original = forecast._history

            def counting(*arguments: Any) -> Any:
                read.append(arguments)
                return original(*arguments)

            monkeypatch.setattr(forecast, "_history", counting)
            await asyncio.gather(*(house.submit(1) for _ in range(3)))
            reads = len(read)
            for _ in range(5):
                await house.submit(1)
            assert len(read) == reads

    run(main)
