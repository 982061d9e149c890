"""The gallery over the wire: images that agents made, rated, found again, and read from their files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from kernel_kit import FullDisk, House, eventually, files_of, kernel_on, key_of, png, run
from PIL import Image

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.images import pixel_sha256
from stablenew_api.importer import Imported, Importer
from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_api.learning import Rating
from stablenew_kernel.app.gallery import as_written
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store import gallery as store_gallery
from stablenew_kernel.store import meta
from stablenew_kernel.store.database import Connection
from stablenew_proto.v1 import gallery_pb2 as pb
from stablenew_proto.v1 import gallery_pb2_grpc, kernel_pb2

Test = Callable[[House, Any], Coroutine[Any, Any, None]]


class Own(Importer):
    """Knows what we write ourselves."""

    name, title, endings = "own", "Ours", (".png", ".jpg")

    def sniff(self, name: str, data: bytes) -> bool:
        return b"parameters" in data

    def read(self, name: str, data: bytes) -> Imported:
        return Imported({}, ("a note",), {"txt2img": {"steps": 1}}, "a house", "fog", "StableNew")


class Importers:
    plugin_name = "importers"

    @hookimpl
    def stablenew_importers(self) -> list[type[Importer]]:
        return [Own]

    @hookimpl
    def stablenew_describe_image(self, spec: object, info: object) -> dict[str, str]:
        return {"Weather": "fine"}


def with_gallery(data: DataFolder, test: Test, **more: Any) -> None:
    """Run ``test`` with a kernel on ``data`` and a stub of its gallery."""

    async def main() -> None:
        async with kernel_on(data, Importers(), **more) as house:
            await test(house, gallery_pb2_grpc.GalleryServiceStub(house.channel))

    run(main)


async def refused(call: Any, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    return caught.value.details() or ""


async def make(house: House, images: int, **more: Any) -> str:
    """A run of different images, made and saved."""
    agent = house.agents[0] if house.agents else await house.agent(slots=1)
    before = len(agent.offers)
    run_id = await house.submit(images, **more)
    for number in range(images):
        await agent.offered(before + number + 1)
        await agent.tell((key_of(agent.offers[before + number].lease), await agent.made(before + number)))
    assert (await house.ended(run_id)).done == images
    return run_id


async def found(
    stub: Any, order: str = "", limit: int = 0, offset: int = 0, **conditions: Any
) -> list[pb.Image]:
    """The page; the total is that of the whole."""
    answer = await stub.ListImages(
        pb.ListImagesRequest(filter=pb.ImageFilter(**conditions), order=order, limit=limit, offset=offset)
    )
    if not (limit or offset):
        assert answer.total == len(answer.images)
    return list(answer.images)


def content_of(image: pb.Image) -> bytes:
    return files_of(Path(image.path).parent)[Path(image.path).name]


async def rate(house: House, pixels: str, stars: int, *tags: str) -> bool:
    request = kernel_pb2.RateImageRequest(image_sha256=pixels, stars=stars, tags=tags)
    return bool((await house.client.RateImage(request)).known)


def test_images_are_found_rated_and_looked_into(data: DataFolder) -> None:
    async def test(house: House, stub: Any) -> None:
        assert await found(stub) == []
        first = await make(house, 3, name="demo.txt")
        await make(
            house, 2, name="other.txt", pack=b"a castle by the sea", preset_json=b"{}", preset_name="sea.json"
        )
        images = await found(stub)
        assert [image.run_name for image in images] == ["other"] * 2 + ["demo"] * 3
        newest, oldest = images[0], images[-1]
        assert newest.image_sha256 == png(4)[1]
        assert Path(newest.path).name in files_of(Path(newest.path).parent)
        assert (newest.prompt, newest.preset, list(newest.stages)) == (
            "a castle by the sea",
            "sea.json",
            ["txt2img"],
        )
        assert (newest.row, newest.node, newest.run_time, newest.stars) == (1, "n1", 0.5, 0)
        assert (oldest.run_id, oldest.seed, oldest.job_id != newest.job_id) == (first, 1000, True)
        assert (await found(stub, order="oldest"))[0] == oldest
        assert await found(stub, words="castle seed=1001", packs=["other"]) == [newest]
        assert await found(stub, words="castle", packs=["demo"]) == []
        assert len(await found(stub, run_id=first)) == 3
        assert len(await found(stub, limit=2, offset=4)) == 1

        assert await rate(house, newest.image_sha256, 4, "keep")
        assert not await rate(house, "0" * 64, 4)
        assert await rate(house, oldest.image_sha256, 5, "keep", "house")
        best = await found(stub, order="best", min_stars=1)
        assert [(image.stars, list(image.tags)) for image in best] == [(5, ["keep", "house"]), (4, ["keep"])]
        assert len(await found(stub, unrated=True)) == 3
        facets = await stub.ListFacets(pb.ListFacetsRequest())
        assert [(one.value, one.images) for one in facets.packs] == [("demo", 3), ("other", 2)]
        assert [(one.value, one.images) for one in facets.tags] == [("keep", 2), ("house", 1)]
        assert [one.images for one in facets.stars] == [3, 0, 0, 0, 1, 1]
        assert [(one.value, one.images) for one in facets.presets] == [("sea.json", 2)]
        counted = await stub.CountStars(
            pb.CountStarsRequest(
                filter=pb.ImageFilter(words="castle"), settings=["txt2img.steps", "txt2img.sampler_name"]
            )
        )
        assert {(one.kind, one.value): list(one.images) for one in counted.counts} == {
            ("all", ""): [1, 0, 0, 0, 1, 0],
            ("pack", "other"): [1, 0, 0, 0, 1, 0],
            ("preset", "sea.json"): [1, 0, 0, 0, 1, 0],
            ("tag", "keep"): [0, 0, 0, 0, 1, 0],
            ("txt2img.steps", "1"): [1, 0, 0, 0, 1, 0],
        }
        assert await rate(house, oldest.image_sha256, 0)
        assert len(await found(stub, tags=["house"])) == 0

        detail = await stub.GetImage(pb.GetImageRequest(image_sha256=newest.image_sha256[:12]))
        assert detail.image.stars == 4
        assert json.loads(detail.settings_json)["txt2img"]["steps"] == 1
        assert json.loads(detail.spec_json)["stages"][0]["prompt"] == newest.prompt
        with Image.open(newest.path) as image:
            assert detail.infotext == image.text["parameters"]  # type: ignore[attr-defined]
        assert "Weather: fine" in detail.infotext
        assert json.loads(detail.manifest_json)["file"] == Path(newest.path).name

    with_gallery(data, test)


def test_a_setting_is_told_as_it_was_written() -> None:
    config: dict[str, Any] = {"sampler_name": "DPM++ 2M", "steps": 20}
    spec = JobSpec((StageSpec("txt2img", "1", "a", "", 1, config),)).canonical()
    assert as_written(spec, "txt2img.sampler_name", "dpm++ 2m") == "DPM++ 2M"
    for kind, value in (("txt2img.sampler_name", "euler"), ("txt2img.steps", "20"), ("upscale.name", "x")):
        assert as_written(spec, kind, value) == value
    assert as_written(b"", "txt2img.sampler_name", "euler") == "euler"


def test_what_makes_no_sense_is_refused(data: DataFolder) -> None:
    async def test(house: House, stub: Any) -> None:
        def images(**more: Any) -> Any:
            return stub.ListImages(pb.ListImagesRequest(**more))

        assert "at most 1,000 images" in await refused(images(limit=1001))
        assert "order 'large'" in await refused(images(order="large"))
        assert "steps>" in await refused(images(filter=pb.ImageFilter(words="steps>")))
        assert "1 to 5" in await refused(images(filter=pb.ImageFilter(min_stars=6)))
        assert "one of the two" in await refused(images(filter=pb.ImageFilter(min_stars=1, unrated=True)))
        assert "no run" in await refused(images(filter=pb.ImageFilter(run_id="ff")), grpc.StatusCode.NOT_FOUND)
        for setting in ("steps", "txt2img.", ".steps"):
            call = stub.CountStars(pb.CountStarsRequest(settings=[setting]))
            assert "named with its stage" in await refused(call)
        too_many = [f"txt2img.{number}" for number in range(21)]
        assert "at most 20" in await refused(stub.CountStars(pb.CountStarsRequest(settings=too_many)))
        unknown = stub.GetImage(pb.GetImageRequest(image_sha256="ff"))
        assert "no image" in await refused(unknown, grpc.StatusCode.NOT_FOUND)
        for bad in (
            kernel_pb2.RateImageRequest(image_sha256="0" * 64, stars=6),
            kernel_pb2.RateImageRequest(image_sha256="0", stars=3),
        ):
            await refused(house.client.RateImage(bad))

    with_gallery(data, test)


def test_a_file_tells_about_itself_whoever_made_it(data: DataFolder) -> None:
    async def test(house: House, stub: Any) -> None:
        await make(house, 1)
        (image,) = await found(stub)
        ours = content_of(image)
        told = await stub.ReadImage(pb.ReadImageRequest(name="x.png", data=ours))
        assert (told.program, told.prompt, told.negative_prompt, list(told.notes)) == (
            "StableNew",
            "a house",
            "fog",
            ["a note"],
        )
        assert (told.width, told.height, told.image_sha256) == (2, 2, image.image_sha256)
        assert json.loads(told.settings_json) == {"txt2img": {"steps": 1}}
        spec = await house.client.GetJob(kernel_pb2.GetJobRequest(job_id=image.job_id))
        assert told.spec_json == spec.spec_json
        # The job in it was changed: it is told, and not run again.
        changed = await stub.ReadImage(
            pb.ReadImageRequest(name="x.png", data=_with_text(ours, '"seed":1000', '"seed":1001'))
        )
        assert changed.spec_json == b""
        assert "changed after it was made" in changed.notes[-1]
        # A picture that tells nothing is still a picture, and text is none.
        plain = png(7)
        told = await stub.ReadImage(pb.ReadImageRequest(name="x.png", data=plain[0]))
        assert told == pb.ReadImageResponse(width=2, height=2, image_sha256=plain[1])
        says = await refused(stub.ReadImage(pb.ReadImageRequest(name="notes.txt", data=b"hello")))
        assert says.startswith("image notes.txt: not an image")

    with_gallery(data, test)


def _with_text(data: bytes, old: str, new: str) -> bytes:
    """The picture with another text in it."""
    from PIL.PngImagePlugin import PngInfo

    with Image.open(io.BytesIO(data)) as image:
        texts, out = PngInfo(), io.BytesIO()
        for key, value in image.text.items():  # type: ignore[attr-defined]
            texts.add_text(key, value.replace(old, new))
        image.save(out, "PNG", pnginfo=texts)
    return out.getvalue()


def test_a_jpeg_is_known_by_the_pixels_that_were_made(data: DataFolder) -> None:
    async def test(house: House, stub: Any) -> None:
        await make(house, 1, sets=["pipeline.image_format=jpeg"])
        (image,) = await found(stub)
        told = await stub.ReadImage(pb.ReadImageRequest(name="x.jpg", data=content_of(image)))
        with Image.open(image.path) as picture:
            assert told.image_sha256 == image.image_sha256 != pixel_sha256(picture)

    with_gallery(data, test)


def test_ratings_of_a_restored_journal_show_after_the_next_start(data: DataFolder) -> None:
    pixels = ""

    async def before(house: House, stub: Any) -> None:
        nonlocal pixels
        await make(house, 2)
        pixels = (await found(stub))[0].image_sha256
        await rate(house, pixels, 2)

    async def after(house: House, stub: Any) -> None:
        (image,) = await found(stub, min_stars=1)
        assert (image.image_sha256, image.stars, list(image.tags)) == (pixels, 5, ["restored"])
        await rate(house, pixels, 3)
        assert [image.stars for image in await found(stub, min_stars=1)] == [3]

    with_gallery(data, before)
    line = json.dumps(Rating("2026-01-01", pixels, 5, ("restored",)).to_json()) + "\n"
    data.learning.write_text(line, encoding="utf-8")
    with_gallery(data, after)


def test_images_of_an_earlier_version_are_taken_in(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stablenew_kernel.app.gallery.EARLIER", 2)

    async def before(house: House, stub: Any) -> None:
        await make(house, 5, name="old.txt")

        def forget(connection: Connection) -> None:
            connection.execute("DELETE FROM image")
            connection.execute("INSERT INTO image_words (image_words) VALUES ('delete-all')")
            meta.put(connection, store_gallery.LEFT, "1000")

        await house.database.write_async(forget)

    async def after(house: House, stub: Any) -> None:
        await eventually(lambda: house.kernel.gallery.complete, "all earlier images")
        images = await found(stub, words="house seed>=1000")
        assert [image.seed for image in images] == [1004, 1003, 1002, 1001, 1000]
        assert {image.run_name for image in images} == {"old"}

    with_gallery(data, before)
    with_gallery(data, after)


def test_a_rating_is_kept_while_the_database_refuses(data: DataFolder) -> None:
    async def test(house: House, stub: Any) -> None:
        await make(house, 1)
        (image,) = await found(stub)
        disk = FullDisk(house.database)
        disk.full = True
        assert await rate(house, image.image_sha256, 4)
        assert "the rating is kept" in (await house.status()).problem
        disk.full = False
        assert await rate(house, "0" * 64, 1) is False
        assert (await house.status()).problem == ""
        assert [one.stars for one in await found(stub, min_stars=1)] == [4]

    with_gallery(data, test, settings=Settings(scheduler="queue_order"))
