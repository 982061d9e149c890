"""Runs through kernel, agents and workers: the main job, cancel, replay, queue by hand, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from house import House, eventually, images_of, learning_records, wait_ended
from PIL import Image

from stablenew_api.errors import StableNewError, UserError
from stablenew_api.images import pixel_sha256
from stablenew_proto.v1 import gallery_pb2

pytestmark = pytest.mark.cluster


def test_three_agents_make_what_one_makes(house: House, undisturbed: dict[int, tuple[int, bytes]]) -> None:
    client = house.start_kernel()
    for name in ("one", "two", "three"):
        house.start_agent(name)
    house.wait_online(client, 3)
    planned = [job for message in client.preview(house.request()) for job in message.jobs]
    run_id = client.submit(house.request()).run_id
    run = house.wait_run(run_id)
    assert images_of(run) == undisturbed
    assert [job.seed for job in planned] == [seed for _, (seed, _) in sorted(undisturbed.items())]
    specs = [client.job(f"{run_id}/{index}").spec_json for index in range(3)]
    assert specs == [job.spec_json for job in planned], "the dry run is the run"
    assert all(job.node and job.reason for job in planned)


def test_an_image_carries_its_story_and_can_be_replayed(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    run = house.wait_run(client.submit(house.request()).run_id)
    first = sorted(Path(run.out_dir).glob("0*.png"))[0]
    with Image.open(first) as image:
        texts = dict(image.text)  # type: ignore[attr-defined]
        pixels = pixel_sha256(image)
    assert "Steps: 4, Sampler: " in texts["parameters"]
    chunk = json.loads(texts["stablenew"])
    assert chunk["image_sha256"] == pixels
    assert chunk["node"] == "a"
    assert [stage["name"] for stage in chunk["stages"]] == ["txt2img", "frame"]
    again = client.replay(json.dumps(chunk["spec"]).encode("utf-8"), first.name, str(house.folder / "again"))
    replayed = house.wait_run(again.run_id)
    (copy,) = Path(replayed.out_dir).glob("0*.png")
    with Image.open(copy) as image:
        assert pixel_sha256(image) == pixels
    assert client.job(f"{again.run_id}/0").spec_json == client.job(f"{run.run_id}/0").spec_json
    assert client.rate(pixels, 4, ["too noisy"], first.name)
    assert not client.rate("0" * 64, 4)
    rated = client.gallery.images(gallery_pb2.ImageFilter(min_stars=4, words="steps=4 frame.seed>=0"))
    assert {(image.image_sha256, image.stars, tuple(image.tags)) for image in rated.images} == {
        (pixels, 4, ("too noisy",))
    }
    assert {image.run_id for image in rated.images} == {run.run_id, again.run_id}, "it was made twice"
    told = client.gallery.read(first.name, first.read_bytes())
    assert (told.program[:9], told.image_sha256) == ("StableNew", pixels)
    detail = client.gallery.image(pixels[:16])
    assert detail.image.path == str(copy), "the newest one"
    with Image.open(copy) as image:
        assert detail.infotext == image.text["parameters"]  # type: ignore[attr-defined]
    assert [time.stage for time in detail.times] == ["txt2img", "frame"]
    assert len(learning_records(house.data, run.run_id)) == 3


def test_cancel_is_honoured_at_once_and_leaves_nothing_half_done(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a", "--backend-option", "seconds_per_step=600")
    house.wait_online(client, 1)
    run_id = client.submit(house.request("txt2img.steps=40")).run_id
    eventually(lambda: client.jobs(run_id, ["running"]).jobs, "a job runs")
    client.change_jobs("cancel", run_id=run_id)
    run = house.wait_run(run_id)  # each image takes six minutes
    assert (run.state, run.cancelled) == ("cancelled", 3)
    assert not list(Path(run.out_dir).glob("*.png"))
    client.change_jobs("retry", run_id=run_id)
    assert client.jobs(run_id, ["cancelled"]).total == 0
    client.change_jobs("cancel", run_id=run_id)
    assert house.wait_run(run_id).state == "cancelled"


def test_the_queue_is_paused_moved_and_drained_by_hand(house: House) -> None:
    client = house.start_kernel()
    client.set_paused(True, "testing")
    house.start_agent("a")
    house.wait_online(client, 1)
    first = client.submit(house.request()).run_id
    second = client.submit(house.request()).run_id
    waiting = client.jobs(first).jobs[0]
    assert "paused" in waiting.waiting_reason
    client.change_jobs("move_top", run_id=second)
    assert [job.run_id for job in client.jobs(states=["queued"]).jobs] == [second] * 3 + [first] * 3
    assert client.drain_node("a", draining=True).state == "draining"
    client.set_paused(False)
    explained = client.jobs(first).jobs[0].waiting_reason
    assert "drain" in explained, explained
    client.drain_node("a", draining=False)
    assert house.wait_run(first).done == house.wait_run(second).done == 3
    ended = {run.run_id: run.ended_at for run in client.runs()}
    assert ended[second] <= ended[first]
    assert client.change_jobs("clear", all_jobs=True).changed == 6
    assert client.jobs().total == 0


def test_a_node_that_lacks_what_a_job_needs_is_told_apart(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    request = house.request("txt2img.model=no-such-model")
    (message,) = [message for message in client.preview(request) if message.jobs]
    assert {job.node for job in message.jobs} == {""}
    assert "no-such-model" in message.jobs[0].reason


def test_faults_are_failures_with_reasons_and_the_rest_goes_on(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    run_id = client.submit(house.request("txt2img.fault=fail@2", pack=b"only one")).run_id
    run = house.wait_run(run_id)
    assert (run.done, run.failed) == (0, 1)
    job = client.job(f"{run_id}/0")
    assert job.job.failure.message
    assert [event.to_state for event in job.events][-1] == "failed"


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("txt2img.steps=abc",), ("txt2img.steps", "abc")),
        (("txt2img.steps=100000",), ("txt2img.steps", "150")),
        (("nosuch.steps=3",), ("nosuch",)),
        (("txt2img.stepz=3",), ("stepz", "steps")),
    ],
)
def test_bad_settings_name_the_field_and_queue_nothing(
    house: House, sets: tuple[str, ...], words: tuple[str, ...]
) -> None:
    client = house.start_kernel()
    with pytest.raises(UserError) as caught:
        client.submit(house.request(*sets))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not client.runs()
    assert not (house.folder / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_refused_before_anything_is_queued(house: House) -> None:
    client = house.start_kernel()
    blocked = house.folder / "a file"
    blocked.write_bytes(b"")
    with pytest.raises(UserError, match="a file"):
        client.submit(house.request(out=blocked / "out"))
    assert not client.runs()


def test_a_second_kernel_and_a_taken_port_say_so_in_one_line(house: House) -> None:
    client = house.start_kernel()
    command = [sys.executable, "-m", "stablenew_kernel", "--setting", "local_agent=false", "--data"]
    second = subprocess.run([*command, str(house.data.root)], capture_output=True, text=True, timeout=120)
    assert second.returncode != 0
    assert len(second.stderr.strip().splitlines()) == 1
    assert str(house.data.root) in second.stderr
    port = client.status().address.rpartition(":")[2]
    taken = subprocess.run(
        [*command, str(house.folder / "other"), "--setting", f"port={port}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert taken.returncode != 0
    assert port in taken.stderr
    assert len(taken.stderr.strip().splitlines()) == 1
    assert client.status().pid


def test_a_database_of_a_newer_version_is_left_alone(house: House) -> None:
    import sqlite3

    house.start_kernel()
    house.kill_kernel()
    with sqlite3.connect(house.data.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = house.data.database.read_bytes()
    command = [sys.executable, "-m", "stablenew_kernel", "--data", str(house.data.root)]
    newer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert newer.returncode != 0
    assert "newer" in newer.stderr
    assert len(newer.stderr.strip().splitlines()) == 1
    assert house.data.database.read_bytes() == before


def test_a_client_without_the_token_gets_nothing(house: House) -> None:
    from dataclasses import replace

    from stablenew_client import KernelClient

    client = house.start_kernel()
    stranger = KernelClient(replace(client.info, token="guessed"))
    with pytest.raises(StableNewError, match="token"):
        stranger.status()
    stranger.close()


def test_the_local_agent_comes_with_the_kernel_and_goes_with_it(house: House) -> None:
    import psutil

    client = house.start_kernel("local_agent=true")
    assert house.kernel is not None
    house.wait_online(client, 1)
    assert [node.info.name for node in client.nodes()] == ["local"]
    run = house.wait_run(client.submit(house.request()).run_id)
    assert run.done == 3
    children = psutil.Process(house.kernel.pid).children(recursive=True)
    assert children
    client.stop()
    assert house.kernel.wait(60) == 0
    wait_ended(children)


def test_the_stage_of_a_third_party_runs_through_the_agent(house: House) -> None:
    """`plugins/example`, installed from its folder: listed, planned, run, and told of in the image."""
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    listed = {plugin.name: plugin for plugin in client.plugins()}
    assert listed["film_grain"].distribution == "stablenew-film-grain"
    assert listed["film_grain"].state == "active"
    plain = house.wait_run(client.submit(house.request(pack=b"dunes")).run_id)
    grainy = house.wait_run(client.submit(house.request("film_grain.enabled=true", pack=b"dunes")).run_id)
    (line,) = (Path(grainy.out_dir) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert "film_grain" in json.loads(line)["stages"]
    with Image.open(Path(grainy.out_dir) / json.loads(line)["file"]) as image:
        assert "film_grain" in image.text["parameters"]  # type: ignore[attr-defined]
    assert images_of(plain) != images_of(grainy)
