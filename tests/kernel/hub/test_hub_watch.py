"""A watcher's mailbox: latest wins, bounded, calm, and nothing of other runs."""

from __future__ import annotations

import asyncio

import pytest
from kernel_kit import run

from stablenew_kernel.hub import watch
from stablenew_kernel.hub.watch import JOBS_KEPT, Watcher
from stablenew_proto.v1 import agent_link_pb2
from stablenew_proto.v1 import kernel_pb2 as pb


def running(job: str, run_id: str = "r", preview: bytes = b"", step: int = 0) -> pb.RunningJob:
    progress = agent_link_pb2.JobProgress(step=step, preview_jpeg=preview)
    return pb.RunningJob(job_id=job, run_id=run_id, progress=progress)


def everything(**more: object) -> Watcher:
    return Watcher(pb.WatchRequest(jobs=True, progress=True, **more))  # type: ignore[arg-type]


def test_the_latest_of_each_thing_wins() -> None:
    async def main() -> None:
        watcher = everything()
        for done in range(3):
            watcher.put_run(pb.Run(run_id="r", done=done, state="running"))
            watcher.put_job(pb.Job(job_id="j", attempt=done), final=False)
            watcher.put_progress(running("j", step=done))
            watcher.put_node(pb.Node(node_id="n", silent_for=done))
            watcher.put_queue(pb.QueueSummary(queued=done))
            watcher.put_image(pb.SavedImage(path=str(done)))
        message = await anext(watcher.messages())
        assert [item.done for item in message.runs] == [2]
        assert [job.attempt for job in message.jobs] == [2]
        assert [job.progress.step for job in message.progress] == [2]
        assert [node.silent_for for node in message.nodes] == [2]
        assert message.queue.queued == 2
        assert [image.path for image in message.images] == ["0", "1", "2"], "each image is news of its own"
        watcher.put_run(pb.Run(run_id="other"))
        second = await anext(watcher.messages())
        assert [item.run_id for item in second.runs] == ["other"]
        assert {field.name for field, _ in second.ListFields()} == {"runs"}, "the rest was told before"

    run(main)


def test_a_reader_that_never_reads_costs_a_bounded_amount() -> None:
    async def main() -> None:
        watcher = everything()
        for number in range(JOBS_KEPT + 5):
            watcher.put_job(pb.Job(job_id=str(number)), final=False)
            watcher.put_image(pb.SavedImage(job_id=str(number)))
        message = await anext(watcher.messages())
        latest = [str(number) for number in range(5, JOBS_KEPT + 5)]
        assert [job.job_id for job in message.jobs] == latest
        assert [image.job_id for image in message.images] == latest

    run(main)


def test_calm_news_wait_for_each_other_and_urgent_news_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(watch, "CALM", 30.0)
        watcher = everything()
        messages = watcher.messages()
        watcher.put_queue(pb.QueueSummary(queued=1))
        await anext(messages)  # the first is told at once
        watcher.put_queue(pb.QueueSummary(queued=2))
        waiting = asyncio.ensure_future(anext(messages))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done(), "calm news right behind others"
        watcher.put_job(pb.Job(job_id="j"), final=True)
        message = await waiting
        assert (message.queue.queued, message.jobs[0].job_id) == (2, "j")
        for urgent in (
            lambda: watcher.put_image(pb.SavedImage()),
            lambda: watcher.put_run(pb.Run(run_id="r", state="done")),
        ):
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            urgent()
            await waiting

    run(main)


def test_calm_news_come_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(watch, "CALM", 0.001)
        watcher = everything()
        messages = watcher.messages()
        for number in range(3):
            watcher.put_queue(pb.QueueSummary(queued=number))
            assert (await anext(messages)).queue.queued == number

    run(main)


def test_a_watcher_of_one_run_hears_of_no_other() -> None:
    async def main() -> None:
        watcher = everything(run_id="mine")
        for run_id in ("mine", "other"):
            watcher.put_run(pb.Run(run_id=run_id))
            watcher.put_job(pb.Job(job_id=run_id, run_id=run_id), final=True)
            watcher.put_progress(running(run_id, run_id))
            watcher.put_image(pb.SavedImage(run_id=run_id))
        watcher.put_node(pb.Node(node_id="n"))
        message = await anext(watcher.messages())
        assert [item.run_id for item in message.runs] == ["mine"]
        assert [job.job_id for job in message.jobs] == ["mine"]
        assert [job.job_id for job in message.progress] == ["mine"]
        assert [image.run_id for image in message.images] == ["mine"]
        assert not message.nodes

    run(main)


@pytest.mark.parametrize(
    ("request_", "seen"),
    [
        (pb.WatchRequest(), None),
        (pb.WatchRequest(previews=True), None),  # previews come with progress only
        (pb.WatchRequest(progress=True), b""),
        (pb.WatchRequest(progress=True, previews=True), b"jpeg"),
    ],
)
def test_previews_go_to_those_who_asked(request_: pb.WatchRequest, seen: bytes | None) -> None:
    async def main() -> None:
        watcher = Watcher(request_)
        original = running("j", preview=b"jpeg")
        watcher.put_progress(original)
        watcher.put_queue(pb.QueueSummary())
        message = await anext(watcher.messages())
        told = [job.progress.preview_jpeg for job in message.progress]
        assert told == ([] if seen is None else [seen])
        assert [job.progress.preview_jpeg for job in watcher.progress_of([original])] == told
        assert original.progress.preview_jpeg == b"jpeg", "others may want it"

    run(main)


def test_progress_of_a_job_that_ended_is_not_told() -> None:
    async def main() -> None:
        watcher = everything()
        watcher.put_progress(running("gone"))
        watcher.put_progress(running("there"))
        watcher.drop_progress("gone")
        assert [job.job_id for job in (await anext(watcher.messages())).progress] == ["there"]

    run(main)
