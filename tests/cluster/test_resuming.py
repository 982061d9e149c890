"""What is made between stages is kept: a job goes on where it was, on another node, with the same pixels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from house import House, eventually, images_of
from PIL import Image

from stablenew_client import KernelClient
from stablenew_proto.v1 import kernel_pb2 as pb

pytestmark = pytest.mark.cluster

SETS = ("img2img.enabled=true", "img2img.steps=4", "upscale.enabled=true", "upscale.upscaling_resize=1.5")
PACK = b"a lighthouse at dusk"
SLOW = ("img2img.steps=60", "img2img.denoising_strength=1")
UNHURRIED = ("--backend-option", "seconds_per_step=10")
"""At 512 x 512. For our small images the second stage takes nine seconds: time to pull the plug in it."""


def request(house: House, *sets: str, name: str = "out") -> pb.RunRequest:
    return house.request(*SETS, *sets, pack=PACK, out=house.folder / name)


def agent(house: House, name: str, *options: str) -> None:
    house.start_agent(name, "--keep-after", "0", *options)


def whys(client: KernelClient, run_id: str) -> list[str]:
    return [event.why for event in client.job(f"{run_id}/0").events]


def wait_kept(client: KernelClient, run_id: str) -> None:
    eventually(lambda: any("kept behind stage 1" in why for why in whys(client, run_id)), "a stage is kept")


def report_of(run: pb.Run) -> tuple[str, dict[str, object]]:
    (path,) = Path(run.out_dir).glob("0*.png")
    with Image.open(path) as image:
        texts = dict(image.text)  # type: ignore[attr-defined]
    return texts["parameters"].split("StableNew node")[0], json.loads(texts["stablenew"])


def stored(house: House) -> int:
    """Files in the artifact store."""
    return sum(path.is_file() for path in house.data.artifacts.rglob("*"))


def test_another_node_goes_on_behind_the_stage_that_was_done(house: House) -> None:
    client = house.start_kernel("orphan_timeout=1")
    agent(house, "one", *UNHURRIED)
    house.wait_online(client, 1)
    run_id = client.submit(request(house, *SLOW)).run_id
    wait_kept(client, run_id)
    house.kill_agent("one")
    agent(house, "two")
    run = house.wait_run(run_id)
    assert run.done == 1
    story = whys(client, run_id)
    assert any("goes on at img2img (stage 2 of 4)" in why for why in story), story
    parameters, chunk = report_of(run)
    assert [stage["name"] for stage in chunk["stages"]] == ["txt2img", "img2img", "upscale", "frame"]
    assert [stage["node"] for stage in chunk["stages"]] == ["one", "two", "two", "two"]
    assert all(stage["seconds"] > 0 for stage in chunk["stages"])

    undisturbed = house.wait_run(client.submit(request(house, *SLOW, name="again")).run_id)
    assert images_of(run) == images_of(undisturbed), "the same pixels as without the plug pulled"
    assert parameters == report_of(undisturbed)[0], "and the same words about them"
    eventually(lambda: stored(house) == 1, "of two equal runs one final artifact is left, and nothing between")


def test_a_job_that_was_cancelled_goes_on_when_it_is_tried_again(house: House) -> None:
    client = house.start_kernel()
    agent(house, "one", *UNHURRIED)
    house.wait_online(client, 1)
    run_id = client.submit(request(house, *SLOW)).run_id
    wait_kept(client, run_id)
    client.change_jobs("cancel", run_id=run_id)
    assert house.wait_run(run_id).cancelled == 1
    house.kill_kernel()  # what is kept is on disk
    client = house.start_kernel()
    house.wait_online(client, 1)
    # A run with other later stages begins alike, and goes on from there, too.
    other = client.submit(request(house, "img2img.steps=5", "upscale.enabled=false", name="other")).run_id
    assert house.wait_run(other).done == 1
    assert any("goes on at img2img (stage 2 of 3)" in why for why in whys(client, other))
    client.change_jobs("retry", run_id=run_id)
    eventually(lambda: any("goes on at" in why for why in whys(client, run_id)), "it goes on")
    client.change_jobs("cancel", run_id=run_id)
    house.wait_run(run_id)
    client.change_jobs("clear", run_id=run_id)
    eventually(lambda: stored(house) == 1, "what was kept for a job that is cleared is gone")
