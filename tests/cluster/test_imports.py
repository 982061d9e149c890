"""What ``stablenew packs import`` writes is a pack like any other: it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from house import House
from PIL import Image

from stablenew_api.images import pixel_sha256

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(90)]
GOLDEN = Path(__file__).parents[1] / "plugins" / "importers_golden"


def stablenew(house: House, *arguments: object) -> list[dict[str, object]]:
    """Run the command line; the JSON values that it printed."""
    command = [
        sys.executable,
        "-m",
        "stablenew_kernel.cli",
        "--data",
        str(house.data.root),
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_an_image_imported_and_run_is_that_image_again(house: House) -> None:
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    request = house.request(pack=rb"a {red|blue} house, (old:1.2) <embedding:x>" + b"\nneg: fog\n")
    run = house.wait_run(client.submit(request).run_id)
    (first,) = Path(run.out_dir).glob("0*.png")
    out = house.folder / "imported"
    command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(house.data.root)]
    done = subprocess.run(
        [*command, "packs", "import", str(first), "--to", str(out), "--name", "again", "--json"],
        capture_output=True, encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["imports"][0]["format"] == "stablenew_image"
    *_, end = stablenew(house, "run", out / "again.txt", "--out", house.folder / "second", "--json")
    assert (end["state"], end["done"]) == ("done", 1)
    (second,) = Path(str(end["out_dir"])).glob("0*.png")
    with Image.open(first) as one, Image.open(second) as two:
        assert pixel_sha256(one) == pixel_sha256(two)


def test_imported_packs_are_planned_as_the_other_program_would(house: House) -> None:
    """Dream Factory makes 2 x 2 x 3 combinations of its file, in this order; the other has four styles."""
    house.start_kernel()
    out = house.folder / "out"
    stablenew(
        house,
        "packs",
        "import",
        GOLDEN / "dream-combination.prompts",
        GOLDEN / "styles-modern.csv",
        "--to",
        out,
    )
    *jobs, summary = stablenew(house, "run", out / "dream-combination.txt", "--dry-run", "--json")
    assert summary["jobs"] == len(jobs) == 12
    assert [job["prompt"] for job in jobs[:4]] == [
        "a robot, art by Vermeer, in oil",
        "a robot, art by Vermeer",
        "a robot, art by Vermeer on paper",
        "a robot, art by Hokusai, in oil",
    ]
    assert {job["negative_prompt"] for job in jobs} == {"fog"}
    *jobs, summary = stablenew(house, "run", out / "styles-modern.txt", "--dry-run", "--json")
    assert [job["prompt"] for job in jobs] == [
        "film still of , grain, # not a comment, anamorphic",
        "neon streets [ [dim] ] (glow:1.2)",
        "quoted prompt",
        "a second one of that name",
    ]
