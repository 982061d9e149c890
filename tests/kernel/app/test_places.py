"""What the randomizer keeps between runs: it moves once a run, with its commit, and never for a dry run."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from kernel_kit import FullDisk, House, held_commits, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.store import places
from stablenew_kernel.store.errors import StoreError
from stablenew_plugins import randomizers
from stablenew_proto.v1 import kernel_pb2 as pb

PACK = b"{@red|green|blue} house"


def request(images: int = 1, pack: bytes = PACK, **more: Any) -> pb.RunRequest:
    return pb.RunRequest(pack_name="doors.txt", pack=pack, count=images, seed=1, **more)


async def submit(house: House, images: int = 1, **more: Any) -> str:
    answer = await house.client.SubmitRun(pb.SubmitRunRequest(run=request(images, **more)))
    return str(answer.run_id)


async def prompts(house: House, run_id: str) -> list[str]:
    answer = await house.client.ListJobs(pb.ListJobsRequest(run_id=run_id, limit=100))
    return [job.prompt for job in answer.jobs]


async def previewed(house: House, images: int) -> list[str]:
    stream = house.client.PreviewRun(pb.PreviewRunRequest(run=request(images)))
    return [job.prompt async for message in stream for job in message.jobs]


async def listed(house: House, **which: str) -> list[tuple[str, str, str, str]]:
    answer = await house.client.ListPlaces(pb.ListPlacesRequest(**which))
    return [(place.pack, place.slot, place.mode, place.state) for place in answer.places]


def test_a_look_at_the_places_that_fails_leaves_no_folder(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise StoreError("the disk does not answer")

    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            with monkeypatch.context() as patch:
                patch.setattr(places, "hold", refuse)
                with pytest.raises(grpc.aio.AioRpcError, match="the disk does not answer"):
                    await submit(house)
            assert not list(data.outputs.iterdir())
            assert await prompts(house, await submit(house)) == ["red house"]

    run(main)


def test_a_run_goes_on_where_the_last_one_stopped_and_a_dry_run_shows_it(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            assert await previewed(house, 2) == ["red house", "green house"]
            assert await listed(house) == []
            assert await prompts(house, await submit(house, 2)) == ["red house", "green house"]
            assert await listed(house) == [("doors", "{@red|green|blue}", "rotate", "next is 3 of 3")]
            before = await house.client.ListPlaces(pb.ListPlacesRequest())
            assert await previewed(house, 2) == ["blue house", "red house"]
            assert await house.client.ListPlaces(pb.ListPlacesRequest()) == before
            assert await prompts(house, await submit(house, 2)) == ["blue house", "red house"]
        async with kernel_on(data, randomizers) as house:  # and after a restart
            assert await previewed(house, 1) == ["green house"]

    run(main)


def test_a_submit_that_fails_moves_nothing(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            with pytest.raises(grpc.aio.AioRpcError):
                await submit(house, reports=["nobody makes this"])
            disk = FullDisk(house.database)
            disk.full = True
            with pytest.raises(grpc.aio.AioRpcError, match="the disk is full"):
                await submit(house)
            disk.full = False
            assert await listed(house) == []

    run(main)


def test_runs_submitted_at_once_take_one_place_after_the_other(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            with held_commits(house.database):  # so that all of them are planned before the first one commits
                waiting = [asyncio.ensure_future(submit(house, pack=b"{@0|1|2|3|4|5|6} x")) for _ in range(7)]
                await asyncio.sleep(0)
            runs = await asyncio.gather(*waiting)
            taken = sorted([(await prompts(house, run_id))[0] for run_id in runs])
            assert taken == [f"{n} x" for n in range(7)]
            assert [state for *_, state in await listed(house)] == ["next is 1 of 7"]
            folders = [run.out_dir for run in (await house.client.ListRuns(pb.ListRunsRequest())).runs]
            assert len(set(folders)) == 7
            assert len(list(data.outputs.iterdir())) == 7, "a plan made anew leaves no empty folder"

    run(main)


def test_a_plan_that_no_longer_holds_is_made_again(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run commits between a plan and its own turn: exactly the race, made to happen."""

    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            really, raced = places.hold, []

            def hold(connection: Any, memory: Any) -> bool:
                if not raced:
                    raced.append(memory)
                    return False
                return really(connection, memory)

            monkeypatch.setattr(places, "hold", hold)
            assert await prompts(house, await submit(house)) == ["red house"]
            assert len(raced) == 1
            assert len(list(data.outputs.iterdir())) == 1

    run(main)


def test_places_are_listed_and_reset_by_pack_and_slot(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            await submit(house, pack=b"{@a|b} {@c|d|e}")
            assert [slot for _, slot, *_ in await listed(house)] == ["{@a|b}", "{@c|d|e}"]
            assert await listed(house, pack="other") == []
            answer = await house.client.ResetPlaces(pb.ResetPlacesRequest(pack="doors", slot="{@a|b}"))
            assert answer.reset == 1
            assert await listed(house) == [("doors", "{@c|d|e}", "rotate", "next is 2 of 3")]
            assert (await house.client.ResetPlaces(pb.ResetPlacesRequest())).reset == 1
            assert (await house.client.ResetPlaces(pb.ResetPlacesRequest())).reset == 0

    run(main)


def test_a_place_of_a_mode_that_is_gone_is_still_listed(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            await submit(house)
        async with kernel_on(data) as house:
            [(_, _, mode, state)] = await listed(house)
            assert (mode, state) == ("rotate", "kept for the mode rotate, which no plugin provides now")

    run(main)


def test_an_edited_pack_goes_on_and_a_replay_moves_nothing(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            run_id = await submit(house)
            [job] = (await house.client.ListJobs(pb.ListJobsRequest(run_id=run_id))).jobs
            spec = (await house.client.GetJob(pb.GetJobRequest(job_id=job.job_id))).spec_json
            kept = await listed(house)
            answer = await house.client.Replay(pb.ReplayRequest(spec_json=spec, source_name="x.png"))
            assert await prompts(house, answer.run_id) == ["red house"]
            assert await listed(house) == kept
            edited = b"# new\n\nanother row first\n\n" + PACK + b", at night"
            assert await prompts(house, await submit(house, pack=edited)) == [
                "another row first",
                "green house, at night",
            ]

    run(main)
