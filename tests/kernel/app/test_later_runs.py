"""Later stages through the kernel: images that were sent, images that were rated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from kernel_kit import House, kernel_on, png, run

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.jobs import Artifact, JobSpec
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_client import wire
from stablenew_proto.v1 import kernel_pb2 as pb


class EnlargeConfig(StageConfig):
    scale: float = 2.0


class Enlarge(Stage):
    name, version, title = "upscale", "1.0", "Enlarge"
    Config = EnlargeConfig
    phase = Phase.ENLARGE

    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        raise AssertionError("the kernel runs no stage")


class Later:
    plugin_name = "later"

    @hookimpl
    def stablenew_stages(self) -> Sequence[type[Stage]]:
        return [Enlarge]


@asynccontextmanager
async def house_of(tmp_path: Path) -> AsyncIterator[House]:
    async with kernel_on(DataFolder(tmp_path / "data"), Later()) as house:
        yield house


def image(number: int, **more: Any) -> pb.SourceImage:
    data, pixels = png(number)
    artifact = Artifact(f"{number}.png", "image/png", hashlib.sha256(data).hexdigest(), len(data), {})
    values = {"prompt": "a fox", "seed": number, "pixel_sha256": pixels, **more}
    return pb.SourceImage(artifact=wire.artifact_to_proto(artifact), **values)


def on(*images: pb.SourceImage, **more: Any) -> pb.RunRequest:
    return pb.RunRequest(pack_name="renders", from_stage="upscale", images=images, **more)


async def previewed(house: House, request: pb.RunRequest) -> tuple[list[JobSpec], pb.PlanSummary]:
    specs: list[JobSpec] = []
    summary = pb.PlanSummary()
    async for message in house.client.PreviewRun(pb.PreviewRunRequest(run=request)):
        specs += [JobSpec.from_json(json.loads(job.spec_json)) for job in message.jobs]
        if message.HasField("summary"):
            summary = message.summary
    return specs, summary


async def refused(house: House, request: pb.RunRequest) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.client.SubmitRun(pb.SubmitRunRequest(run=request))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value
    return str(caught.value.details())


def test_images_are_shown_before_they_are_sent_and_run_once_they_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with house_of(tmp_path) as house:
            request = on(image(1), image(2))
            specs, summary = await previewed(house, request)
            assert summary.line == "2 images through upscale"
            assert "2 images not sent to the kernel before the run: 1.png, 2.png" in await refused(
                house, request
            )
            for number in (1, 2):
                house.artifacts.put(png(number)[0])
            answer = await house.client.SubmitRun(pb.SubmitRunRequest(run=request))
            jobs = await house.client.ListJobs(pb.ListJobsRequest(run_id=answer.run_id))
            assert [job.stages for job in jobs.jobs] == [["upscale"]] * 2
            queued = [
                JobSpec.from_json(
                    json.loads((await house.client.GetJob(pb.GetJobRequest(job_id=job.job_id))).spec_json)
                )
                for job in jobs.jobs
            ]
            assert queued == specs, "the dry run is the run"
            assert [spec.inputs[0].name for spec in queued] == ["1.png", "2.png"]
            assert [spec.stages[0].seed for spec in queued] == [1, 2]

    run(main)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (on(image(1), pack=b"a fox"), "a pack or images, not both"),
        (on(), "no image to run later stages on"),
        (on(image(1, settings_json=b"{")), "1.png: its settings are no JSON"),
        (pb.RunRequest(images=[image(1)]), "--from-stage STAGE"),
        (pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(min_rating=9)), "must be 1 to 5"),
        (pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(min_rating=4)), "no image is rated so"),
        (
            pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(min_rating=4, run_id="0123")),
            "--run: no run begins with 0123",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, request_: pb.RunRequest, words: str) -> None:
    async def main() -> None:
        async with house_of(tmp_path) as house:
            house.artifacts.put(png(1)[0])
            assert words in await refused(house, request_)

    run(main)


def images_in(run: pb.Run) -> list[Path]:
    return sorted(Path(run.out_dir).glob("0*.png"))


def promote(**more: Any) -> pb.RunRequest:
    return pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(**{"min_rating": 4, **more}))


async def rate(house: House, number: int, stars: int, *tags: str) -> None:
    request = pb.RateImageRequest(
        image_sha256=png(number)[1], stars=stars, tags=tags, file_name=f"r{number}.png"
    )
    await house.client.RateImage(request)


async def made_images(house: House, count: int) -> pb.Run:
    """A run whose images are png(0), png(1) and so on."""
    run_id = await house.submit(count)
    agent = await house.agent(slots=count)
    for number, offer in enumerate((await agent.offered(count))[:count]):
        await agent.tell((wire.lease_key_from_proto(offer.lease), await agent.made(number)))
    return await house.ended(run_id)


def test_the_best_are_promoted_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with house_of(tmp_path) as house:
            made = await made_images(house, 4)
            for number, (stars, tags) in enumerate([(5, ["sharp"]), (4, []), (3, ["sharp"]), (5, [])]):
                await rate(house, number, stars, *tags)
            await rate(house, 3, 1)  # the latest counts
            await rate(house, 9, 5)  # made elsewhere

            async def found(**more: Any) -> list[int]:
                specs, _ = await previewed(house, promote(**more))
                pixels = [png(number)[1] for number in range(4)]
                return [pixels.index(spec.provenance["source"]["image_sha256"]) for spec in specs]

            assert await found() == [0, 1]
            assert await found(min_rating=3) == [0, 1, 2]
            assert await found(min_rating=3, tags=["sharp"]) == [0, 2]
            assert await found(run_id=made.run_id[:20]) == [0, 1]
            assert await found(since="2020") == [0, 1]
            assert "no image is rated so" in await refused(house, promote(since="2999"))

            specs, summary = await previewed(house, promote())
            assert "1 rated image not made here: r9.png" in summary.warnings[-1]
            first = specs[0].provenance["source"]
            assert (first["stages"], first["prompt"]) == (["txt2img"], "a house")
            assert ["Seed", "1000"] in first["parameters"]
            assert specs[0].stages[0].seed == 1000

            await house.client.SubmitRun(pb.SubmitRunRequest(run=promote()))
            specs, summary = await previewed(house, promote())
            assert (specs, summary.jobs) == ([], 0)
            assert "2 images went through these stages with these settings before" in summary.warnings[0]
            assert await found(again=True) == [0, 1]
            other = promote()
            other.sets.append("upscale.scale=3")
            assert len((await previewed(house, other))[0]) == 2, "with other settings it is another thing"
            await rate(house, 2, 4)
            assert await found() == [2]

            # What was cancelled was not done.
            await house.change("cancel", all=True)
            assert await found() == [0, 1, 2]

    run(main)


def chosen(*numbers: int, **more: Any) -> pb.RunRequest:
    pixels = [png(number)[1] for number in numbers]
    return pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(image_sha256s=pixels, **more))


def test_images_that_are_named_go_in_their_order_whatever_their_rating(tmp_path: Path) -> None:
    async def main() -> None:
        async with house_of(tmp_path) as house:
            made = await made_images(house, 4)
            await rate(house, 1, 1)

            async def found(*numbers: int, **more: Any) -> list[int]:
                specs, _ = await previewed(house, chosen(*numbers, **more))
                pixels = [png(number)[1] for number in range(4)]
                return [pixels.index(spec.provenance["source"]["image_sha256"]) for spec in specs]

            assert await found(3, 1, 0) == [3, 1, 0]
            assert await found(2, 2, min_rating=5) == [2]
            assert await found(2, 0, run_id=made.run_id[:20]) == [2, 0]
            _, summary = await previewed(house, chosen(2, 9))
            assert f"1 image not made here: {png(9)[1][:12]}" in summary.warnings[-1]
            said = await refused(house, chosen(9))
            assert said.startswith("none of these images can be promoted (1 image not made here")
            assert "leave tags and since out" in await refused(house, chosen(1, tags=["sharp"]))
            short = pb.RunRequest(only_stages=["upscale"], promote=pb.Promotion(image_sha256s=["ab"]))
            assert "image 'ab': named by the sha256" in await refused(house, short)

            await house.client.SubmitRun(pb.SubmitRunRequest(run=chosen(3, 1)))
            assert await found(3, 2, 1) == [2], "what was done before is left out"
            assert await found(3, 2, 1, again=True) == [3, 2, 1]

    run(main)


def test_a_file_that_moved_is_found_in_the_store_and_a_lost_artifact_in_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with house_of(tmp_path) as house:
            made = await made_images(house, 3)
            files = images_in(made)
            digests = [hashlib.sha256(png(number)[0]).hexdigest() for number in range(3)]
            files[0].rename(tmp_path / "elsewhere.png")
            house.artifacts.remove(digests[1])
            house.artifacts.remove(digests[2])
            files[2].write_bytes(files[1].read_bytes())  # another picture under its name
            for number in range(3):
                await rate(house, number, 5)
            specs, summary = await previewed(house, promote())
            assert [spec.provenance["source"]["name"] for spec in specs] == [files[0].name, files[1].name]
            assert house.artifacts.path(specs[1].inputs[0].sha256) is not None, "it is in the store again"
            assert f"1 image neither in the store nor where saved: {files[2].name}" in summary.warnings[-1]

    run(main)
