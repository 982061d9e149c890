"""Plans of any size: counted and shown; asked about when large; refused only when they are to be queued."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from kernel_kit import House, kernel_on, run

from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import NotConfirmed
from stablenew_client import KernelClient
from stablenew_kernel.domain.settings import Settings
from stablenew_plugins import randomizers
from stablenew_proto.v1 import kernel_pb2 as pb

HUGE = " ".join("{!" + "|".join(f"{slot}{option}" for option in range(10)) + "}" for slot in range(30))
"""10^30 images: more than `len` can say, and more than 64 bits can hold."""

SETTINGS = Settings(scheduler="queue_order", confirm_above=5)


async def preview(house: House, show: int = 0, **request: Any) -> tuple[list[pb.PlannedJob], pb.PlanSummary]:
    asked = pb.PreviewRunRequest(run=pb.RunRequest(pack_name="p.txt", **request), show=show)
    messages = [message async for message in house.client.PreviewRun(asked)]
    return [job for message in messages for job in message.jobs], messages[-1].summary


async def refused(house: House, **request: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.client.SubmitRun(pb.SubmitRunRequest(run=pb.RunRequest(pack_name="p.txt", **request)))
    return str(caught.value.details())


def test_a_large_plan_needs_a_yes(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, settings=SETTINGS) as house:
            shown, summary = await preview(house, pack=b"a house", count=6)
            assert len(shown) == summary.jobs == 6, "a dry run asks nothing"
            assert summary.question.startswith(
                "6 images, more than the 5 that are queued unasked: 6 seeds = 6 images;"
            )
            assert "--sample 5 draws 5 of them, --limit 5 makes the first 5" in summary.question
            text = await refused(house, pack=b"a house", count=6)
            assert text == summary.question
            assert not list(data.outputs.glob("*")), "nothing is made for a run that is not queued"
            assert (await preview(house, pack=b"a house", count=5))[1].question == ""
            await house.submit(5, confirmed=False)
            agreed = await house.submit(6, confirmed=True)
            assert (await house.run_of(agreed)).total == 6

    run(main)


def test_zero_never_asks(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, settings=Settings(scheduler="queue_order", confirm_above=0)) as house:
            assert (await preview(house, show=1, pack=b"a house", count=2000))[1].question == ""
            await house.submit(2000, confirmed=False)

    run(main)


def test_the_refusal_carries_the_summary(data: DataFolder) -> None:
    """For ``--json`` and for a desktop that asks in a window."""

    async def main() -> None:
        async with kernel_on(data, settings=SETTINGS) as house:
            with KernelClient(KernelInfo(house.address, "token-of-the-test", 1, "now", "test")) as client:
                with pytest.raises(NotConfirmed) as caught:
                    await asyncio.to_thread(client.submit, house.request(9, confirmed=False))
                summary = pb.PlanSummary.FromString(caught.value.summary)
                assert (summary.jobs, summary.question) == (9, str(caught.value))
                answer = await asyncio.to_thread(client.submit, house.request(9))
                specs = [
                    (await asyncio.to_thread(client.job, f"{answer.run_id}/{n}")).spec_json for n in range(9)
                ]
                batch = pb.ReplayRequest(
                    specs=[pb.NamedFile(name=f"{n}.png", content=spec) for n, spec in enumerate(specs)]
                )
                with pytest.raises(NotConfirmed, match="name fewer images"):
                    await asyncio.to_thread(client.replay_batch, batch)

    run(main)


def test_what_was_asked_about_is_what_a_yes_queues(data: DataFolder) -> None:
    """A refusal uses nothing up: dry run, question and run draw the same."""

    async def main() -> None:
        async with kernel_on(data, randomizers, settings=SETTINGS) as house:
            request = {"pack": b"{a|b|c|d|e|f|g}", "count": 7}
            shown, _ = await preview(house, **request)
            await refused(house, **request)
            run_id = await house.submit(7, pack_name="p.txt", pack=request["pack"], seed=-1)
            specs = [
                (await house.client.GetJob(pb.GetJobRequest(job_id=f"{run_id}/{n}"))).spec_json
                for n in range(7)
            ]
            assert [json.loads(spec)["stages"] for spec in specs] == [
                json.loads(job.spec_json)["stages"] for job in shown
            ]

    run(main)


def test_a_plan_that_nobody_could_queue_is_counted_and_shown(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            shown, summary = await preview(house, show=150, pack=HUGE.encode())
            assert [job.index for job in shown] == list(range(150))
            assert shown[149].prompt.split()[-3:] == ["271", "284", "299"]
            assert summary.jobs == 2**64 - 1
            assert summary.line.endswith(f" = {10**30:,} images")
            assert summary.question == "", "a yes would not help"
            [warning] = summary.warnings
            assert f"{10**30:,} images are more than the 1,000,000 jobs a run may have" in warning
            assert "--sample 500" in warning
            assert await refused(house, pack=HUGE.encode(), confirmed=True) == warning
            assert len((await preview(house, pack=HUGE.encode()))[0]) == 1000, "not for ever"
            assert len((await preview(house, pack=HUGE.encode(), limit=2**63, show=5))[0]) == 5
            drawn, summary = await preview(house, pack=HUGE.encode(), sample=30)
            assert summary.jobs == len({job.prompt for job in drawn}) == 30
            run_id = await house.submit(1, pack_name="p.txt", pack=HUGE.encode(), sample=30, confirmed=True)
            assert (await house.run_of(run_id)).total == 30

    run(main)


@pytest.mark.parametrize(("show", "expected"), [(0, 7), (1, 1), (7, 7), (99, 7)])
def test_as_many_are_shown_as_asked_for(data: DataFolder, show: int, expected: int) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            shown, summary = await preview(house, show, pack=b"a house", count=7)
            assert ([job.index for job in shown], summary.jobs) == (list(range(expected)), 7)

    run(main)


def test_a_batch_is_made_again_as_one_run(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            run_id = await house.submit(4, pack_name="p.txt", pack=b"{a|b}\n\n{!c|d}", seed=-1)
            total = (await house.run_of(run_id)).total

            async def spec(of: str, n: int) -> bytes:
                return bytes((await house.client.GetJob(pb.GetJobRequest(job_id=f"{of}/{n}"))).spec_json)

            specs = [await spec(run_id, n) for n in range(total)]
            turned = [*specs[::-1], specs[0]]
            request = pb.ReplayRequest(
                source_name="demo.of mine",
                specs=[pb.NamedFile(name=f"{n}.png", content=content) for n, content in enumerate(turned)],
            )
            stream = house.client.PreviewRun(pb.PreviewRunRequest(replay=request))
            messages = [message async for message in stream]
            assert [job.spec_json for message in messages for job in message.jobs] == turned
            answer = await house.client.Replay(request)
            again = await house.run_of(answer.run_id)
            assert (again.total, again.name) == (len(turned), "demo.of mine")
            assert [await spec(answer.run_id, n) for n in range(again.total)] == turned
            assert (
                answer.summary.line == messages[-1].summary.line == f"{len(turned)} images, as they were made"
            )
            bad = pb.ReplayRequest(specs=[*request.specs, pb.NamedFile(name="bad.png", content=b"{}")])
            with pytest.raises(grpc.aio.AioRpcError, match=r"bad\.png: the job stored in it cannot be read"):
                await house.client.Replay(bad)

    run(main)


@pytest.mark.slow
def test_ten_thousand_images_are_made_again_in_one_request(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            (job,), _ = await preview(house, pack=b"a house " * 100, count=1)
            spec = json.loads(job.spec_json)
            specs = []
            for n in range(10_000):
                spec["stages"][0]["seed"] = n
                content = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
                specs.append(pb.NamedFile(name=f"{n}.png", content=content.encode("utf-8")))
            request = pb.ReplayRequest(source_name="all", specs=specs, confirmed=True)
            assert request.ByteSize() > 10 * 2**20
            answer = await house.client.Replay(request)
            assert (await house.run_of(answer.run_id)).total == 10_000
            last = await house.client.GetJob(pb.GetJobRequest(job_id=f"{answer.run_id}/9999"))
            assert last.spec_json == specs[-1].content

    run(main)
