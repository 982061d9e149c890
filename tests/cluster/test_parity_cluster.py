"""From the dry run over the queue to the file and back: one job, the same bytes everywhere, and made again the
same pixels. With real processes and the embedded engine."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from house import PRESET, House, json_lines
from PIL import Image

from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import canonical_json

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PACK = b"a {lighthouse|castle|barn} at [[light]], __mood__\nneg: {fog|}\n\na {!misty|sunny} forest, __mood__\n"
RANDOMIZATION = {
    "matrix": {"slots": [{"name": "light", "values": ["dawn", "dusk"]}]},
    "wildcards": {"tokens": [{"token": "__mood__", "values": ["calm", "wild", "{deep|quiet} blue"]}]},
}


def in_images(folder: Path) -> dict[int, tuple[bytes, str]]:
    """By place in the run: the job that each image carries, and the sha256 of its pixels as they are."""
    found = {}
    for line in map(json.loads, (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()):
        with Image.open(folder / line["file"]) as image:
            chunk = json.loads(image.text["stablenew"])  # type: ignore[attr-defined]
            pixels = pixel_sha256(image)
        spec = canonical_json(chunk["spec"])
        assert sha256(spec).hexdigest() == line["spec_sha256"] == chunk["spec_sha256"]
        assert pixels == line["image_sha256"] == chunk["image_sha256"]
        first = chunk["spec"]["stages"][0]
        assert (line["prompt"], line["negative_prompt"], line["seed"]) == (
            first["prompt"],
            first["negative_prompt"],
            first["seed"],
        )
        assert line["choices"] == chunk["spec"]["provenance"]["choices"]
        found[line["index"]] = spec, pixels
    return found


def test_the_same_bytes_all_the_way_and_the_same_pixels_again(house: House, tmp_path: Path) -> None:
    client = house.start_kernel()
    for name in ("one", "two"):
        house.start_agent(name)
    house.wait_online(client, 2)
    pack = tmp_path / "demo.txt"
    pack.write_bytes(PACK)
    pack.with_suffix(".json").write_text(
        json.dumps({**PRESET, "randomization": RANDOMIZATION}), encoding="utf-8"
    )
    run = ("run", pack, "--count", 2, "--seed", -1, "--out", tmp_path / "out")

    *jobs, summary = json_lines(house.stablenew(*run, "--dry-run"))
    planned = [canonical_json(job["spec"]) for job in jobs]
    assert len(planned) == summary["jobs"] == 8
    assert summary["line"] == (
        "(2 lights + 2 options (misty, sunny)) x 2 seeds = 8 images; each takes its own "
        "{lighthouse|castle|…, mood and negative {fog|}"
    )
    assert summary["time"] == "how long it takes is not known yet: nothing like this has run here"

    events = json_lines(house.stablenew(*run))
    run_id, end = str(events[0]["run_id"]), events[-1]
    queued = [client.job(f"{run_id}/{index}").spec_json for index in range(8)]
    assert queued == planned, "the run is what the dry run showed, drawn seeds and all"
    folder = Path(str(end["out_dir"]))
    made = in_images(folder)
    assert [made[index][0] for index in range(8)] == planned

    *jobs, summary = json_lines(house.stablenew("replay", folder, "--dry-run"))
    assert [canonical_json(job["spec"]) for job in jobs] == planned
    assert re.match(r"about \d+ s on 2 nodes; from \d+ images? like these", str(summary["time"]))
    again = json_lines(house.stablenew("replay", folder, "--out", tmp_path / "again"))[-1]
    assert (again["done"], again["failed"]) == (8, 0)
    assert in_images(Path(str(again["out_dir"]))) == made, "jobs and pixels, each in its place"
    first = sorted(folder.glob("0*.png"))[0]
    assert house.stablenew("replay", folder / "contact_sheet.png", first, code=2) == "", "nothing is queued"
