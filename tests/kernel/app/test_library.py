"""The library: presets and profiles over the wire, settings explained, runs recalled."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from kernel_kit import House, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_proto.v1 import kernel_pb2, library_pb2_grpc
from stablenew_proto.v1 import library_pb2 as pb

Test = Callable[[House, Any], Coroutine[Any, Any, None]]


def with_library(data: DataFolder, test: Test) -> None:
    """Run ``test`` with a kernel on ``data`` and a stub of its library."""

    async def main() -> None:
        async with kernel_on(data) as house:
            await test(house, library_pb2_grpc.LibraryServiceStub(house.channel))

    run(main)


async def refused(call: Any, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    return caught.value.details() or ""


def content_of(path: str) -> bytes:
    return Path(path).read_bytes()


def explain(**more: Any) -> pb.ExplainSettingsRequest:
    return pb.ExplainSettingsRequest(run=kernel_pb2.RunRequest(**more))


def by_name(answer: pb.ExplainSettingsResponse) -> dict[str, tuple[Any, str]]:
    return {setting.name: (json.loads(setting.value_json), setting.source) for setting in answer.settings}


def test_a_list_has_what_came_along_the_persons_own_and_what_is_broken(data: DataFolder) -> None:
    data.presets.mkdir(parents=True)
    (data.presets / "mine.json").write_text('{"description": "for cats", "txt2img": {}}', encoding="utf-8")
    (data.presets / "broken.json").write_text('{\n"a": 1,}', encoding="utf-8")
    (data.presets / "folder.json").mkdir()
    (data.presets / "global_negative.txt").write_text("ugly", encoding="utf-8")

    async def test(_: House, library: Any) -> None:
        answer = await library.ListEntries(pb.ListEntriesRequest(kind="preset"))
        found = {entry.name: (entry.shipped, entry.description) for entry in answer.entries}
        assert found["mine"] == (False, "for cats")
        assert found["full"][0]
        assert {"broken", "folder"}.isdisjoint(found)
        [broken, folder] = answer.problems
        assert broken.startswith("preset broken.json, line 2, column 7: a comma before }")
        assert "it is a folder" in folder
        assert "line 2" in await refused(library.GetEntry(pb.GetEntryRequest(kind="preset", name="broken")))
        assert "did you mean preset" in await refused(
            library.ListEntries(pb.ListEntriesRequest(kind="presets"))
        )

    with_library(data, test)


def test_content_is_kept_byte_by_byte_whatever_is_in_it(data: DataFolder) -> None:
    """A preset for stages that are not here, with odd keys and layout, is kept; what it lacks is said."""
    content = b'\xef\xbb\xbf{"adetailer": {"enabled": true},\r\n\t"x": [1,2 ],"txt2img":{"stepz":1}}'

    async def test(_: House, library: Any) -> None:
        answer = await library.SaveEntry(pb.SaveEntryRequest(kind="preset", name="odd", content=content))
        assert content_of(answer.entry.path) == content
        [warning] = answer.warnings
        assert warning.startswith("preset odd.json, line 1, column 16 enables stage 'adetailer'")
        got = await library.GetEntry(pb.GetEntryRequest(kind="preset", name="odd"))
        assert (got.content, list(got.warnings)) == (content, [warning])
        taken = pb.SaveEntryRequest(kind="preset", name="ODD", content=b"{}")
        assert "there is a preset called odd already" in await refused(library.SaveEntry(taken))
        bad = pb.SaveEntryRequest(kind="preset", name="bad", content=b"{,}")
        assert (await refused(library.SaveEntry(bad))).startswith("preset bad.json, line 1, column 2: ")
        assert not (data.presets / "bad.json").exists()

    with_library(data, test)


def test_an_edit_starts_from_another_entry_or_from_itself(data: DataFolder) -> None:
    async def test(_: House, library: Any) -> None:
        async def save(name: str, *sets: str, **more: Any) -> pb.SaveEntryResponse:
            answer: pb.SaveEntryResponse = await library.SaveEntry(
                pb.SaveEntryRequest(kind="preset", name=name, sets=sets, **more)
            )
            return answer

        await save("a", "txt2img.steps=5", description="first")
        await save("b", "txt2img.seed=4", entry="a")
        changed = await save("b", unsets=["txt2img.steps"], replace=True, description="second")
        assert json.loads((data.presets / "b.json").read_bytes()) == {
            "txt2img": {"seed": 4},
            "description": "second",
        }
        assert json.loads(content_of(changed.trash_path))["txt2img"] == {"steps": 5, "seed": 4}
        assert json.loads((data.presets / "a.json").read_bytes())["description"] == "first"
        assert "steps: 'x' is not a whole number" in await refused(save("a", "txt2img.steps=x", replace=True))
        assert "no preset is called 'nobody'" in await refused(save("c", entry="nobody"))

    with_library(data, test)


def test_copy_rename_delete_restore(data: DataFolder) -> None:
    async def test(_: House, library: Any) -> None:
        async def change(action: str, name: str, new: str = "") -> pb.ChangeEntryResponse:
            answer: pb.ChangeEntryResponse = await library.ChangeEntry(
                pb.ChangeEntryRequest(kind="preset", action=action, name=name, new_name=new)
            )
            return answer

        copied = await change("copy", "full", "mine")
        shipped = await library.GetEntry(pb.GetEntryRequest(kind="preset", name="full"))
        assert content_of(copied.entry.path) == shipped.content
        assert (await change("rename", "mine", "ours")).entry.name == "ours"
        gone = await change("delete", "ours")
        assert content_of(gone.trash_path) == shipped.content
        trash = await library.ListEntries(pb.ListEntriesRequest(kind="preset", trash=True))
        assert [entry.name for entry in trash.entries] == ["ours"]
        assert (await change("restore", "ours")).entry.path == str(data.presets / "ours.json")
        assert "came with StableNew" in await refused(change("delete", "full"))
        assert "did you mean delete" in await refused(change("delet", "ours"))
        (data.presets / "broken.json").write_bytes(b"{")  # what cannot be read can still be put away
        await change("delete", "broken")
        await change("restore", "broken")
        assert (data.presets / "broken.json").read_bytes() == b"{"

    with_library(data, test)


def test_profiles_are_checked_before_they_are_kept(data: DataFolder) -> None:
    async def test(_: House, library: Any) -> None:
        async def save(name: str, content: bytes) -> pb.SaveEntryResponse:
            answer: pb.SaveEntryResponse = await library.SaveEntry(
                pb.SaveEntryRequest(kind="profile", name=name, content=content)
            )
            return answer

        made = await save("detail", b'{"weight": 0.5}')
        assert (made.entry.subject, Path(made.entry.path).name) == ("lora", "detail.profile.json")
        warned = await save("xl", b'{"txt2img": {"stepz": 3}}')
        assert list(warned.warnings) == [
            "profile xl.profile.json: unknown settings, ignored: "
            "txt2img.stepz (line 1, column 14; did you mean steps?)"
        ]
        assert "weight: 'x' is not a number" in await refused(save("bad", b'{"weight": "x"}'))
        listed = await library.ListEntries(pb.ListEntriesRequest(kind="profile"))
        assert [(entry.name, entry.subject) for entry in listed.entries] == [
            ("detail", "lora"),
            ("xl", "model"),
        ]

    with_library(data, test)


def test_a_run_is_recalled_even_after_a_restart(data: DataFolder) -> None:
    async def first(house: House, library: Any) -> None:
        assert "no run of this data folder has settings" in await refused(
            library.ExplainSettings(explain(like_last=True))
        )
        await house.submit(1, sets=["txt2img.steps=5"])
        run_id = await house.submit(2, sets=["txt2img.steps=7"], seed=-1)
        [job, _] = (await house.client.ListJobs(kernel_pb2.ListJobsRequest(run_id=run_id))).jobs
        spec = (await house.client.GetJob(kernel_pb2.GetJobRequest(job_id=job.job_id))).spec_json
        replayed = kernel_pb2.ReplayRequest(spec_json=spec, source_name="a.png")
        replay = (await house.client.Replay(replayed)).run_id
        saved = pb.SaveEntryRequest(kind="preset", name="again", run_id=run_id)
        await library.SaveEntry(saved)
        assert json.loads((data.presets / "again.json").read_bytes())["txt2img"] == {
            "steps": 7,
            "batch_size": 1,
            "batch_count": 1,
        }
        of_replay = pb.SaveEntryRequest(kind="preset", name="no", run_id=replay)
        assert "its settings were not recorded" in await refused(library.SaveEntry(of_replay))
        unknown = pb.SaveEntryRequest(kind="preset", name="no", run_id="ffff")
        await refused(library.SaveEntry(unknown), grpc.StatusCode.NOT_FOUND)

    async def second(house: House, library: Any) -> None:
        found = by_name(await library.ExplainSettings(explain(like_last=True)))
        assert found["txt2img.steps"] == (7, "last run")
        assert found["txt2img.seed"] == (-1, "default")
        assert found["pipeline.images_per_prompt"] == (2, "last run")
        over = explain(like_last=True, sets=["txt2img.steps=9"], preset_json=b'{"txt2img": {"steps": 8}}')
        assert by_name(await library.ExplainSettings(over))["txt2img.steps"] == (9, "--set")
        plan = kernel_pb2.PreviewRunRequest(
            run=kernel_pb2.RunRequest(pack_name="p.txt", pack=b"a", like_last=True)
        )
        jobs = [job async for answer in house.client.PreviewRun(plan) for job in answer.jobs]
        assert [json.loads(job.spec_json)["stages"][0]["config"]["steps"] for job in jobs] == [7, 7]

    with_library(data, first)
    with_library(data, second)


def test_explaining_says_what_is_wrong_as_a_run_would(data: DataFolder) -> None:
    async def test(_: House, library: Any) -> None:
        broken = explain(preset_json=b'{"txt2img": {"steps": "x"}}', preset_name="p.json")
        assert await refused(library.ExplainSettings(broken)) == (
            "preset p.json, line 1, column 14: txt2img.steps: 'x' is not a whole number"
        )
        assert "no preset is called 'fulll'; did you mean full?" in await refused(
            library.ExplainSettings(explain(preset="fulll"))
        )

    with_library(data, test)


def test_differences_by_name_and_by_content(data: DataFolder) -> None:
    async def test(_: House, library: Any) -> None:
        left = pb.SettingsSource(content=b'{"txt2img": {"steps": 5, "n_iter": 2}}', label="demo.json")
        right = pb.SettingsSource(content=b'{"txt2img": {"steps": 6, "batch_count": 2}}', label="other")
        answer = await library.DiffSettings(pb.DiffSettingsRequest(left=left, right=right))
        [one] = answer.differences
        assert (one.name, one.left_json, one.right_json, answer.equal) == ("txt2img.steps", b"5", b"6", 1)
        named = pb.SettingsSource(preset="full")
        same = await library.DiffSettings(pb.DiffSettingsRequest(left=named, right=named))
        assert not same.differences
        assert same.equal > 10

    with_library(data, test)


def test_the_global_negative_of_the_person_is_used_and_named(data: DataFolder) -> None:
    data.presets.mkdir(parents=True)
    path = data.presets / "global_negative.txt"
    path.write_bytes(b"\xef\xbb\xbfugly,\r\n  blurred\r\n")

    async def test(_: House, library: Any) -> None:
        on = explain(sets=["pipeline.apply_global_negative_txt2img=true"])
        assert by_name(await library.ExplainSettings(on))["global_negative"] == ("ugly, blurred", str(path))
        path.write_bytes(b"\xff")
        assert "not UTF-8 text" in await refused(library.ExplainSettings(on))
        path.unlink()
        answer = await library.ExplainSettings(on)
        assert str(path) in answer.warnings[0]

    with_library(data, test)
