"""The queue changed by hand, over the wire, while agents work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc
import pytest
from kernel_kit import FakeAgent, House, eventually, held_commits, kernel_on, key_of, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.jobs import Failure, FailureKind
from stablenew_api.leases import LeaseState, Outcome
from stablenew_proto.v1 import kernel_pb2 as pb


def test_a_run_goes_from_submit_to_its_folder(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent(works=True, slots=2)
            run_id = await house.submit(5)
            ended = await house.ended(run_id)
            assert (ended.state, ended.done, ended.total) == ("done", 5, 5)
            await house.recount()

    run(main)


def test_cancel_reaches_jobs_that_the_window_never_saw(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(slots=2)
            run_id = await house.submit(2000)
            await agent.offered(3)
            answer = await house.change("cancel", run_id)
            assert answer.changed == 2000
            assert await house.states(run_id) == {"cancelled": 1997, "leased": 3}
            await eventually(lambda: len(agent.cancels) == 3, "cancels of what it holds")
            await agent.tell(*((key_of(c.lease), Outcome(LeaseState.CANCELLED)) for c in agent.cancels))
            ended = await house.ended(run_id)
            assert (ended.state, ended.cancelled) == ("cancelled", 2000)
            await house.recount()
            assert len(agent.offers) == 3, "a cancelled job was offered"

    run(main)


def test_retry_move_and_clear(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            first = await house.submit(2)
            [one, two] = await agent.offered(2)
            broken = Outcome(LeaseState.FAILED, failure=Failure(FailureKind.BAD_INPUT, "no such sampler"))
            await agent.tell((key_of(one.lease), broken), (key_of(two.lease), await agent.made()))
            ended = await house.ended(first)
            assert (ended.state, ended.done, ended.failed) == ("done", 1, 1)

            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=True))
            second = await house.submit(1)
            assert (await house.change("retry", first)).changed == 1
            assert (await house.run_of(first)).state == "running"
            assert (await house.change("move_top", first)).changed == 1
            await house.recount()
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=False))
            [_, _, again, other] = await agent.offered(4)
            assert (again.lease.job_id, again.lease.attempt) == (one.lease.job_id, 2)
            await agent.tell((key_of(again.lease), await agent.made(1)), (key_of(other.lease), broken))
            assert (await house.ended(first)).done == 2
            assert (await house.ended(second)).failed == 1

            assert (await house.change("clear", all=True)).changed == 3
            await house.recount()
            assert (await house.status()).queue == pb.QueueSummary()
            assert not (await house.client.ListRuns(pb.ListRunsRequest())).runs

    run(main)


def test_jobs_go_before_another_one_and_tell_their_place(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=True))
            low = await house.submit(3, name="low.txt")
            high = await house.submit(2, name="high.txt", priority=4)

            async def queue(**more: Any) -> list[tuple[str, int, int, int]]:
                answer = await house.client.ListJobs(pb.ListJobsRequest(**more))
                return [(job.run_name, job.index, job.place, job.priority) for job in answer.jobs]

            assert await queue(states=["queued"]) == [
                ("high", 0, 1, 4),
                ("high", 1, 2, 4),
                ("low", 0, 3, 0),
                ("low", 1, 4, 0),
                ("low", 2, 5, 0),
            ]
            assert await queue(states=["queued"], limit=1, offset=3) == [("low", 1, 4, 0)]
            answer = await house.change("move_before", job_ids=[f"{low}/2"], before_job_id=f"{high}/1")
            assert answer.changed == 1
            assert await queue(run_id=low) == [("low", 0, 4, 0), ("low", 1, 5, 0), ("low", 2, 2, 4)]
            assert (await house.change("set_priority", low, priority=9)).changed == 3
            found = await queue(states=["queued"])
            assert {(name, priority) for name, _, _, priority in found[:3]} == {("low", 9)}
            one = await house.client.GetJob(pb.GetJobRequest(job_id=f"{high}/0"))
            assert (one.job.run_name, one.job.place) == ("high", 4)

            # Agents get them in that order, and what is not queued has no place.
            agent = await house.agent(works=True)
            await house.client.SetQueuePaused(pb.SetQueuePausedRequest(paused=False))
            await house.ended(low)
            await house.ended(high)
            runs = [offer.lease.job_id for offer in agent.offers]
            done = {job.job_id: job.run_id for job in (await house.client.ListJobs(pb.ListJobsRequest())).jobs}
            assert [done[job_id] for job_id in runs] == [low] * 3 + [high] * 2
            assert {place for _, _, place, _ in await queue()} == {0}
            with pytest.raises(grpc.aio.AioRpcError, match="is done: jobs can be moved only before one"):
                await house.change("move_before", job_ids=[f"{low}/2"], before_job_id=f"{high}/1")

    run(main)


def _offers(agents: Sequence[FakeAgent], wanted: int) -> bool:
    return sum(len(agent.offers) for agent in agents) >= wanted


def test_cancel_races_with_dispatch_thirty_times(data: DataFolder) -> None:
    """Once cancel has answered, no job of the run is queued, and only those that were active may end DONE."""

    async def main() -> None:
        async with kernel_on(data) as house:
            agents = [await house.agent(f"n{number}", works=True, slots=3) for number in range(2)]
            for turn in range(30):
                wanted = sum(len(agent.offers) for agent in agents) + 1
                run_id = await house.submit(16, priority=turn % 3)
                for _ in range(turn % 7):
                    await asyncio.sleep(0)
                await eventually(partial(_offers, agents, wanted), "some offers")
                await house.change("cancel", run_id)
                at_answer = await house.states(run_id)
                assert "queued" not in at_answer
                active = sum(at_answer.get(state, 0) for state in ("leased", "running", "unknown"))
                ended = await house.ended(run_id)
                assert ended.done <= at_answer.get("done", 0) + active
                assert ended.done + ended.cancelled == 16
                assert ended.state == ("cancelled" if ended.cancelled else "done")
            await house.recount()

    run(main)


def test_cancel_and_submit_in_one_commit_leave_the_counts_right(data: DataFolder) -> None:
    """The race: both commits come back in one group, and the cancel's answer takes a step more to arrive."""

    async def main() -> None:
        async with kernel_on(data) as house:
            first = await house.submit(10)
            await house.started()
            with held_commits(house.database):
                planned = house.kernel.runs._planner.plan(house.request(5))
                cancel = asyncio.create_task(house.change("cancel", first))
                await eventually(lambda: house.kernel.dispatcher._committing, "the cancel on its way")
                submit = asyncio.create_task(house.kernel.runs._queue(lambda: planned, {"reports": []}, "", 0))
                await eventually(lambda: house.database._writer._queue.qsize() >= 2, "both on their way")
            await cancel
            await submit
            await house.recount()
            assert (await house.ended(first)).cancelled == 10

    run(main)


def test_cancel_while_an_image_is_saved_does_not_keep_the_run_open(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race: the commit that calls an image saved follows that of the cancel in one group."""

    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(20)
            [one, _] = await agent.offered(2)
            noting = asyncio.Event()
            go_on = asyncio.Event()
            delivery = house.kernel._core.delivery
            in_thread = delivery._in_thread

            async def stop_before_the_commit(function: Any, *arguments: object) -> Any:
                result = await in_thread(function, *arguments)
                if function == delivery._note:
                    noting.set()
                    await go_on.wait()
                return result

            monkeypatch.setattr(delivery, "_in_thread", stop_before_the_commit)
            await agent.tell((key_of(one.lease), await agent.made()))
            await noting.wait()
            await agent.offered(3)
            await house.kernel.dispatcher.settled()
            await house.started()
            with held_commits(house.database):
                cancel = asyncio.create_task(house.change("cancel", run_id))
                await eventually(lambda: house.kernel.dispatcher._committing, "the cancel on its way")
                go_on.set()
                await eventually(lambda: house.database._writer._queue.qsize() >= 2, "both on their way")
            await cancel
            await agent.tell(
                *((key_of(offer.lease), Outcome(LeaseState.CANCELLED)) for offer in agent.offers[1:])
            )
            ended = await house.ended(run_id)
            assert (ended.state, ended.done, ended.cancelled) == ("cancelled", 1, 19)
            await house.recount()

    run(main)


def test_a_client_that_hangs_up_does_not_stop_what_it_began(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.started()
            with held_commits(house.database):
                call = house.client.SubmitRun(pb.SubmitRunRequest(run=house.request(3)))
                waiting = asyncio.ensure_future(call)
                await eventually(lambda: house.database._writer._queue.qsize() >= 1, "the submit on its way")
                call.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                await _hung_up(house)
            await eventually(lambda: list(house.kernel._core.board), "the run, known in memory")
            [found] = (await house.client.ListRuns(pb.ListRunsRequest())).runs
            assert found.queued == 3
            await house.recount()
            await house.agent(works=True, slots=3)
            assert (await house.ended(found.run_id)).done == 3

    run(main)


async def _hung_up(house: House) -> None:
    """Calls of one connection come in order: once a later one is answered, the cancel has arrived."""
    await house.client.ListPlugins(pb.ListPluginsRequest())


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (pb.ChangeJobsRequest(action="burn", all=True), "action 'burn': must be cancel, retry"),
        (pb.ChangeJobsRequest(action="cancel"), "name jobs, a run, or all"),
        (pb.ChangeJobsRequest(action="move_before", all=True), "name the job that they go before"),
        (pb.ChangeJobsRequest(action="set_priority", all=True, priority=-(2**31)), "must be -2,147,483,647 to"),
    ],
)
def test_changes_that_make_no_sense_are_refused(
    data: DataFolder, request_: pb.ChangeJobsRequest, says: str
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.client.ChangeJobs(request_)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert says in (caught.value.details() or "")

    run(main)
