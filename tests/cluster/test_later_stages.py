"""``stablenew run --from-stage`` and ``stablenew promote``, from the command line to the images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from house import House, images_of, json_lines
from PIL import Image

from stablenew_api.images import pixel_sha256
from stablenew_proto.v1 import kernel_pb2 as pb

pytestmark = pytest.mark.cluster

LATER = ("img2img.enabled=true", "img2img.steps=4", "upscale.enabled=true")
SETS = [part for text in LATER for part in ("--set", text)]


def parameters(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.text["parameters"]).split(", StableNew stages")[0]  # type: ignore[attr-defined]


def test_stages_in_two_runs_make_what_they_make_in_one(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("one")
    house.wait_online(client, 1)
    first = house.wait_run(client.submit(house.request("frame.enabled=false")).run_id)
    whole = house.wait_run(
        client.submit(house.request(*LATER, "frame.enabled=false", out=house.folder / "whole")).run_id
    )
    images = sorted(Path(first.out_dir).glob("0*.png"))

    folder = house.folder / "mixed"
    folder.mkdir()
    for image in images:
        shutil.copy(image, folder / f"copy-of-{image.name}")
    shutil.copy(images[0], folder / "twin.png")
    (folder / "torn.png").write_bytes(images[0].read_bytes()[:200])
    Image.new("RGB", (64, 64), (9, 9, 9)).save(folder / "unknown.jpg")

    arguments = ["run", "--from-stage", "img2img", "--images", folder, *SETS, "--out", house.folder / "later"]
    shown = json_lines(house.stablenew(*arguments, "--dry-run"))
    jobs, (summary,) = shown[:-1], shown[-1:]
    assert [job["stages"] for job in jobs] == [["img2img", "upscale"]] * 4
    warnings = " ".join(map(str, summary["warnings"]))  # type: ignore[call-overload]
    assert "the same picture twice, made once: twin.png is copy-of-00001" in warnings
    assert "no prompt is known of 1 image (unknown.jpg)" in warnings
    said = json_lines(house.stablenew(*arguments))
    run = next(run for run in client.runs() if run.run_id == said[0]["run_id"])
    later = images_of(house.wait_run(run.run_id))
    assert {index: later[index] for index in range(3)} == images_of(whole), "the very same pixels"
    assert len(later) == 4
    made, one_go = (sorted(Path(one.out_dir).glob("0*.png")) for one in (run, whole))
    assert [parameters(path) for path in made[:3]] == [parameters(path) for path in one_go]

    for image, stars in zip(images, (5, 3, 4), strict=True):
        with Image.open(image) as picture:
            assert client.rate(pixel_sha256(picture), stars)
    images[0].rename(house.folder / "moved.png")
    promote = [
        "promote",
        "--min-rating",
        4,
        "--stages",
        "img2img,upscale",
        *SETS,
        "--out",
        house.folder / "best",
    ]
    # Two of the three went through these very stages in the run before.
    assert json_lines(house.stablenew(*promote))[-1]["jobs"] == 0
    said = json_lines(house.stablenew(*promote, "--again"))
    best = house.wait_run(str(said[0]["run_id"]))
    assert [later[index] for index in (0, 2)] == [image for _, image in sorted(images_of(best).items())]


def test_an_image_that_is_gone_fails_in_clear_words(house: House) -> None:
    client = house.start_kernel()
    path = house.folder / "image.png"
    Image.new("RGB", (64, 64)).save(path)
    said = json_lines(
        house.stablenew("run", "--from-stage", "upscale", "--images", path, "--prompt", "a fox", "--detach")
    )
    run_id = str(said[0]["run_id"])
    spec = json.loads(client.job(f"{run_id}/0").spec_json)
    assert spec["stages"][0]["prompt"] == "a fox"
    (stored,) = [file for file in house.data.artifacts.rglob("*") if file.is_file()]
    stored.unlink()
    house.start_agent("one")
    run: pb.Run = house.wait_run(run_id)
    assert (run.done, run.failed) == (0, 1)
    failure = client.job(f"{run_id}/0").job.failure
    assert (failure.kind, "has not the image that this job starts from" in failure.message) == (
        "bad_input",
        True,
    )
