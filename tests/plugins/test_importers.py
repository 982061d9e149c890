"""The built-in importers: what each makes of a file, to the byte.

``importers_golden/`` holds the inputs: the files themselves, and recipes of images (``.image.json``: which
texts are in which kind of file). Beside each lies what must come out. After a change that is meant, run with
``STABLENEW_WRITE_GOLDEN=1`` and read the diff.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importer_kit import IMPORTERS, examples, golden_inputs, load, own_picture, picture

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, import_file, recognise
from stablenew_api.png import read_text
from stablenew_api.testing import check_importer, host_of
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.tokens import resolve
from stablenew_plugins import importers, randomizers, stages
from stablenew_plugins.importers.common import split_words

WRITE = os.environ.get("STABLENEW_WRITE_GOLDEN", "") not in ("", "0")
STAGES = {stage.name: stage for stage in stages.stablenew_stages()}
RANDOMIZERS = {kind.name: kind for kind in randomizers.stablenew_randomizers()}
INPUTS = pytest.mark.parametrize("path", golden_inputs(), ids=lambda path: path.name)


def read(path: Path) -> tuple[str, Imported]:
    kind, name, data = load(path)
    return name, import_file(IMPORTERS[kind](), name, data)


def outcome(imported: Imported) -> dict[str, Any]:
    return {
        "files": {name: data.decode("utf-8").split("\n") for name, data in sorted(imported.files.items())},
        "notes": list(imported.notes),
        "settings": imported.settings,
        "prompt": imported.prompt,
        "negative_prompt": imported.negative_prompt,
        **({"program": imported.program} if imported.program else {}),
        **({"hashes": dict(imported.hashes)} if imported.hashes else {}),
    }


@INPUTS
def test_golden(path: Path) -> None:
    _, imported = read(path)
    golden = path.with_name(f"{path.name}.golden.json")
    if WRITE:
        text = json.dumps(outcome(imported), indent=1, ensure_ascii=False) + "\n"
        golden.write_text(text, encoding="utf-8", newline="\n")
    assert outcome(imported) == json.loads(golden.read_text(encoding="utf-8"))


@INPUTS
def test_each_file_is_known_to_one_importer(path: Path) -> None:
    kind, name, data = load(path)
    assert [importer.name for importer in recognise(IMPORTERS, name, data)] == [kind]


@INPUTS
def test_what_comes_out_runs(path: Path) -> None:
    """Each pack is planned with its sidecar; what a prompt of an image was, the job's prompt is."""
    _, imported = read(path)
    for name, data in imported.files.items():
        if name.startswith("wildcards/") or not name.endswith(".txt"):
            continue
        pack = parse_pack(name, data)
        assert not pack.problems
        sidecar = imported.files.get(f"{name[:-4]}.json")
        settings = parse_settings(name, sidecar) if sidecar else None
        boat = {"wildcards": {"tokens": [{"token": "__boat__", "values": ["a boat"]}]}}
        preset = {"randomization": boat} if b"__boat__" in data else None
        request = PlanRequest(pack, preset=preset, sidecar=settings, sidecar_name=f"{name[:-4]}.json", limit=5)
        plan = plan_run(request, STAGES, rng=Random(1), randomizers=RANDOMIZERS)
        assert len(plan.jobs) >= 1
        if imported.settings is not None:
            first = plan.jobs[0].spec.stages[0]
            assert words(first.prompt) == words(resolve(imported.prompt))
            assert words(first.negative_prompt) == words(resolve(imported.negative_prompt))
            assert first.seed == imported.settings.get("txt2img", {}).get("seed", first.seed)


def words(text: str) -> str:
    """Without white space, which decides nothing: ``[ [far] ]`` is ``[[far]]``."""
    return "".join(text.split())


def test_the_plugin_loads() -> None:
    (plugin,) = host_of(importers).plugins
    assert plugin.state == "active", plugin.reason
    assert set(host_of(importers).importers) == set(IMPORTERS)


@pytest.mark.parametrize("name", IMPORTERS)
def test_contract(name: str) -> None:
    check_importer(IMPORTERS[name], examples(name))


def test_our_own_image_comes_back_as_it_was_planned() -> None:
    """The pack of an image plans the very stages of its job, with its prompt and seed."""
    data, spec = own_picture(
        "img2img.enabled=1", "img2img.prompt_adjust=detailed", "upscale.enabled=1", "frame.enabled=1",
        "txt2img.negative_prompt=blurry",
    )  # fmt: skip
    (importer,) = recognise(IMPORTERS, "own.png", data)
    assert importer.name == "stablenew_image"
    imported = import_file(importer, "own.png", data)
    pack = parse_pack("own.txt", imported.files["own.txt"])
    sidecar = parse_settings("own.json", imported.files["own.json"])
    (job,) = plan_run(PlanRequest(pack, sidecar=sidecar, sidecar_name="own.json"), STAGES, rng=Random(2)).jobs
    assert [stage.name for stage in job.spec.stages] == [stage.name for stage in spec.stages]
    assert job.spec.stages[0].prompt == spec.stages[0].prompt
    assert job.spec.stages[0].negative_prompt == spec.stages[0].negative_prompt
    for ours, theirs in zip(job.spec.stages, spec.stages, strict=True):
        assert ours.seed == theirs.seed
        assert {**ours.config, "negative_prompt": ""} == {**theirs.config, "negative_prompt": ""} or (
            "negative_prompt" not in theirs.config and ours.config == theirs.config
        )
    assert any("randomizer" in note for note in imported.notes)


def test_an_image_of_ours_whose_job_was_changed_is_refused() -> None:
    data, _ = own_picture()
    changed = data.replace(b'"steps":30', b'"steps":31')
    assert changed != data
    texts = read_text(data)
    image = picture("own.png", {**texts, "stablenew": texts["stablenew"].replace('"steps":30', '"steps":31')})
    with pytest.raises(UserError, match="changed or cut"):
        IMPORTERS["stablenew_image"]().read("own.png", image)


@given(st.text(alphabet="ab\"'\\ \t-é\n", max_size=20))
def test_lines_are_split_as_shlex_does(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(ValueError, match="No "):
            split_words(line)
    else:
        assert split_words(line) == expected
