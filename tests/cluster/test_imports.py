"""What ``stablenew packs import`` writes is a pack like any other: it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from house import House, json_lines
from PIL import Image

from stablenew_api.images import pixel_sha256

pytestmark = pytest.mark.cluster
GOLDEN = Path(__file__).parents[1] / "plugins" / "importers_golden"


def test_an_image_imported_and_run_is_that_image_again(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    request = house.request(pack=rb"a {red|blue} house, (old:1.2) <embedding:x>" + b"\nneg: fog\n")
    run = house.wait_run(client.submit(request).run_id)
    (first,) = Path(run.out_dir).glob("0*.png")
    out = house.folder / "imported"
    done = house.stablenew("packs", "import", first, "--to", out, "--name", "again")
    assert json.loads(done)["imports"][0]["format"] == "stablenew_image"
    *_, end = json_lines(house.stablenew("run", out / "again.txt", "--out", house.folder / "second"))
    assert (end["state"], end["done"]) == ("done", 1)
    (second,) = Path(str(end["out_dir"])).glob("0*.png")
    with Image.open(first) as one, Image.open(second) as two:
        assert pixel_sha256(one) == pixel_sha256(two)


def test_imported_packs_are_planned_as_the_other_program_would(house: House) -> None:
    """Dream Factory makes 2 x 2 x 3 combinations of its file, in this order; the other has four styles."""
    house.start_kernel()
    out = house.folder / "out"
    house.stablenew(
        "packs",
        "import",
        GOLDEN / "dream-combination.prompts",
        GOLDEN / "styles-modern.csv",
        "--to",
        out,
    )
    *jobs, summary = json_lines(house.stablenew("run", out / "dream-combination.txt", "--dry-run"))
    assert summary["jobs"] == len(jobs) == 12
    assert [job["prompt"] for job in jobs[:4]] == [
        "a robot, art by Vermeer, in oil",
        "a robot, art by Vermeer",
        "a robot, art by Vermeer on paper",
        "a robot, art by Hokusai, in oil",
    ]
    assert {job["negative_prompt"] for job in jobs} == {"fog"}
    *jobs, summary = json_lines(house.stablenew("run", out / "styles-modern.txt", "--dry-run"))
    assert [job["prompt"] for job in jobs] == [
        "film still of , grain, # not a comment, anamorphic",
        "neon streets [ [dim] ] (glow:1.2)",
        "quoted prompt",
        "a second one of that name",
    ]
