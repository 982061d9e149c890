"""``stablenew replay`` of one image and of whole batches, against a kernel on a real socket."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from PIL import Image

from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_api.png import with_text
from stablenew_kernel.domain.infotext import stablenew_chunk


def spec_of(seed: int) -> JobSpec:
    return JobSpec((StageSpec("txt2img", "1.0", "蝶", "", seed, {"steps": 3}),))


@pytest.fixture
def save(tmp_path):
    """Saves an image in the folder ``shots`` as StableNew does, or without its job."""
    folder = tmp_path / "shots"
    folder.mkdir()

    def make(name: str, seed: int | None):
        path = folder / name
        Image.new("RGB", (4, 3), (1, 2, 3)).save(path)
        if seed is not None:
            chunk = stablenew_chunk(
                spec_of(seed),
                {},
                version="0.1.0",
                job_id="j",
                run_id="r",
                node="n",
                attempt=1,
                image_sha256="00",
            )
            path.write_bytes(with_text(path.read_bytes(), {"stablenew": chunk}))
        return path

    return make


def manifest(folder, entries):
    lines = [
        json.dumps({"file": name, "index": index, "spec_sha256": sha256(spec_of(seed).canonical()).hexdigest()})
        for name, index, seed in entries
    ]
    path = folder / "manifest.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


def seeds(request) -> list[int]:
    return [json.loads(spec.content)["stages"][0]["seed"] for spec in request.specs]


def test_several_images_are_one_run_in_the_order_given(kernel, call, save):
    images = [save("b.png", 2), save("a.png", 2**64 - 1), save("c.png", 3)]
    assert call("replay", *images).code == 0
    (request,) = kernel.requests("Replay")
    assert [spec.content for spec in request.specs] == [spec_of(seed).canonical() for seed in (2, 2**64 - 1, 3)]
    assert [spec.name for spec in request.specs] == ["b.png", "a.png", "c.png"]
    assert (request.source_name, request.spec_json) == ("replay", b"")


def test_a_runs_folder_is_read_by_its_manifest(kernel, call, save):
    folder = save("z.png", 0).parent
    save("a.png", 1)
    save("m.png", 2)
    save("contact_sheet.png", None)
    (folder / "run.json").write_text('{"name": "demo"}', encoding="utf-8")
    path = manifest(folder, [("m.png", 2, 2), ("z.png", 0, 0), ("a.png", 1, 1)])
    assert call("replay", folder).code == 0
    assert call("replay", path).code == 0
    by_folder, by_manifest = kernel.requests("Replay")
    assert seeds(by_folder) == seeds(by_manifest) == [0, 1, 2]
    assert by_folder.source_name == by_manifest.source_name == "demo"


def test_any_other_folder_is_read_by_name(kernel, call, save):
    folder = save("z.png", 0).parent
    save("a.PNG", 1)
    (folder / "notes.txt").write_text("not an image", encoding="utf-8")
    assert call("replay", folder).code == 0
    (request,) = kernel.requests("Replay")
    assert (seeds(request), request.source_name) == ([1, 0], "shots")


def test_images_without_a_job_are_named_and_nothing_is_queued(kernel, call, save):
    folder = save("a.png", 1).parent
    save("b.png", None)
    (folder / "c.png").write_bytes(b"no image")
    result = call("replay", folder)
    assert result.code == 2
    told = result.err.splitlines()
    assert "b.png: no 'stablenew' text in it" in told[0]
    assert "c.png" in told[1]
    assert told[2] == (
        "stablenew: error: 2 images of 3 without a job; nothing was queued; --skip-unreadable makes the other 1"
    )
    assert not kernel.calls


def test_the_others_can_be_made(kernel, call, save):
    folder = save("a.png", 1).parent
    save("b.png", None)
    save("c.png", 3)
    result = call("replay", folder, "--skip-unreadable")
    assert result.code == 0
    assert "b.png: no 'stablenew' text in it" in result.err
    assert seeds(kernel.requests("Replay")[0]) == [1, 3]


def test_what_the_manifest_names_must_be_there_and_be_it(kernel, call, save):
    folder = save("a.png", 1).parent
    save("b.png", 7)  # another image took its name
    manifest(folder, [("a.png", 0, 1), ("b.png", 1, 2), ("gone.png", 2, 3)])
    err = call("replay", folder).err
    assert "b.png: made by another job than the manifest says; the file was replaced" in err
    assert "gone.png: not there any more (moved, renamed or deleted)" in err
    assert not kernel.calls


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no image in it"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"{}\n", "line 1: not a line of a manifest"),
        (
            b'{"index": 0, "file": "../secret.png", "spec_sha256": ""}\n',
            "'../secret.png' is not a plain file name",
        ),
        (b'{"index": "0", "file": "a.png", "spec_sha256": ""}\n', "line 1: not a line of a manifest"),
    ],
)
def test_a_manifest_that_is_none(kernel, call, tmp_path, text, words):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(text)
    result = call("replay", path)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_folders_with_nothing_in_them_and_names_of_nothing(kernel, call, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (
        "no PNG file, no image with a job and no manifest.jsonl in it" in call("replay", tmp_path / "empty").err
    )
    assert "no such file" in call("replay", tmp_path / "gone.png").err
    assert "gone.jsonl: cannot be read" in call("replay", tmp_path / "gone.jsonl").err


def test_dry_run_asks_for_the_jobs_that_would_be_queued(kernel, call, save):
    result = call("replay", save("a.png", 1), save("b.png", 2), "--dry-run", "--show", 1)
    assert result.code == 0, result.err
    (request,) = kernel.requests("PreviewRun")
    assert (seeds(request.replay), request.show, request.HasField("run")) == ([1, 2], 1, False)
    assert "nothing was queued (--dry-run)" in result.out
    assert not kernel.requests("Replay")


def test_a_large_batch_needs_a_yes(kernel, call, save):
    kernel.question = "600 images, more than the 500 that are queued unasked"
    images = [save("a.png", 1), save("b.png", 2)]
    assert call("replay", *images).code == 5
    assert call("replay", *images, "--yes").code == 0
    assert [request.confirmed for request in kernel.requests("Replay")] == [False, True]
