"""What a client is told when something goes wrong in the kernel."""

from __future__ import annotations

import json
import logging

import grpc
import grpc.aio
import pytest
from kernel_kit import kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import KernelUnavailable, PluginError, StableNewError, UserError
from stablenew_kernel.store.errors import Conflict, NotFound, StoreError
from stablenew_proto.v1 import kernel_pb2 as pb


def refusal(data: DataFolder, error: Exception, monkeypatch: pytest.MonkeyPatch) -> tuple[grpc.StatusCode, str]:
    """What a client gets when the kernel raises ``error``: the same from a plain call and from a stream."""

    async def fail(*_: object) -> None:
        raise error

    async def main() -> tuple[grpc.StatusCode, str]:
        async with kernel_on(data) as house:
            monkeypatch.setattr(house.kernel, "status", fail)
            monkeypatch.setattr(house.kernel, "watch", fail)
            monkeypatch.setattr(house.kernel.queue, "change_jobs", fail)
            found = set()
            for call in (
                house.client.GetStatus(pb.GetStatusRequest()),
                house.client.ChangeJobs(pb.ChangeJobsRequest()),
                house.client.Watch(pb.WatchRequest()).read(),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                found.add((caught.value.code(), caught.value.details() or ""))
            [one] = found
            return one

    return run(main)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError, grpc.StatusCode.INVALID_ARGUMENT),
        (PluginError, grpc.StatusCode.FAILED_PRECONDITION),
        (NotFound, grpc.StatusCode.NOT_FOUND),
        (Conflict, grpc.StatusCode.ABORTED),
        (StoreError, grpc.StatusCode.FAILED_PRECONDITION),
        (KernelUnavailable, grpc.StatusCode.UNKNOWN),
        (StableNewError, grpc.StatusCode.UNKNOWN),
    ],
)
def test_our_errors_arrive_word_for_word(
    data: DataFolder, error: type[Exception], code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "pack demo.txt, row 3: steps: must be 1 to 150; correct the row"
    assert refusal(data, error(text), monkeypatch) == (code, text)


def test_a_bug_is_said_in_one_line_and_its_traceback_goes_to_the_log(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        code, text = refusal(data, KeyError("who"), monkeypatch)
    assert code is grpc.StatusCode.INTERNAL
    assert text == "a bug in the kernel (KeyError('who')); its log has the details: logs/kernel.jsonl"
    assert sum(record.exc_info is not None for record in caplog.records) == 3


def test_the_end_of_a_watch_leaves_no_watcher(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            call = house.client.Watch(pb.WatchRequest(progress=True, previews=True))
            snapshot = await call.read()
            assert snapshot.snapshot
            assert [node.node_id for node in snapshot.nodes] == ["n1"]
            late = await house.agent("n2")
            assert house.kernel._core.bulletin
            call.cancel()
            while house.kernel._core.bulletin:
                await house.status()
            for one in (agent, late):
                while one.watch != [True, False]:
                    await house.status()

    run(main)


def test_a_watch_of_a_run_that_is_not_there_is_refused(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.client.Watch(pb.WatchRequest(run_id="01234567")).read()
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            assert not house.kernel._core.bulletin

    run(main)


def test_a_preview_plans_the_jobs_that_submit_queues_and_queues_nothing(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent(slots=2)
            request = house.request(250)
            told = [m async for m in house.client.PreviewRun(pb.PreviewRunRequest(run=request))]
            assert [len(message.jobs) for message in told] == [100, 100, 50, 0]
            assert told[-1].summary.jobs == 250
            assert told[0].jobs[0].node == "n1"
            assert (await house.status()).queue == pb.QueueSummary()
            assert not data.outputs.exists()
            run_id = await house.submit(250)
            rows = await house.database.read_async(
                lambda connection: connection.execute("SELECT spec_sha256 FROM job ORDER BY idx").fetchall()
            )
            assert [sha256 for (sha256,) in rows] == [job.spec_sha256 for m in told for job in m.jobs]
            assert (await house.run_of(run_id)).total == 250

    run(main)


def test_a_pack_of_more_than_grpc_takes_by_itself_is_planned(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            row = b"x" * 100_000
            request = pb.RunRequest(pack_name="big.txt", pack=b"\n\n".join([row] * 100), limit=1)
            told = [m async for m in house.client.PreviewRun(pb.PreviewRunRequest(run=request))]
            assert told[-1].summary.line.startswith("100 rows = 100 images; the first 1 of them")

    run(main)


def test_stages_are_listed_with_the_plugin_that_brings_them(data: DataFolder) -> None:
    async def main() -> pb.ListStagesResponse:
        async with kernel_on(data) as house:
            return await house.client.ListStages(pb.ListStagesRequest())  # type: ignore[no-any-return]

    [stage] = [one for one in run(main).stages if one.name == "txt2img"]
    assert (stage.version, stage.title, stage.phase, stage.plugin) == ("1.0", "Draw", "generate", "basics")
    assert stage.description == ""
    assert "seed" in json.loads(stage.schema_json)["properties"]
