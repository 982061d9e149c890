"""Finished images to their folder, whatever becomes of the folder meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kernel_kit import FullDisk, House, eventually, files_of, kernel_on, key_of, run

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.jobs import Artifact, JsonValue
from stablenew_api.leases import LeaseState, Outcome
from stablenew_api.report import Report, RunImage, WriteFile
from stablenew_kernel.app import delivery as delivery_module
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.runfolder import RunFolder
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "RETRY_INTERVAL", 0.01)


def manifest(ended: pb.Run) -> list[dict[str, Any]]:
    text = (Path(ended.out_dir) / "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def learned(data: DataFolder) -> list[str]:
    lines = data.learning.read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["record_id"]) for line in lines]


def unplug(folder: Path, gone: Path) -> None:
    folder.rename(gone)
    folder.write_bytes(b"a file where the folder was")


def plug_in(gone: Path, folder: Path) -> None:
    folder.unlink()
    gone.rename(folder)


def throw_away(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def images(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.png")}


def test_an_output_folder_that_breaks_during_a_run_and_is_mended(data: DataFolder, tmp_path: Path) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(3, out_dir=str(tmp_path / "usb"))
            [one, _] = await agent.offered(2)
            await agent.tell((key_of(one.lease), await agent.made()))
            folder = Path((await house.run_of(run_id)).out_dir)
            await eventually(lambda: "manifest.jsonl" in files_of(folder), "the first image")
            await agent.offered(3)

            gone = tmp_path / "unplugged"
            unplug(tmp_path / "usb", gone)
            await agent.tell(*[(key_of(offer.lease), await agent.made()) for offer in agent.offers[1:]])
            problem = await eventually(lambda: house.kernel._core.problem, "the problem shown")
            assert str(folder) in problem
            assert "\n" not in problem
            # Others are not held up, and the problem stays shown meanwhile.
            agent.works = True
            other = await house.ended(await house.submit(2, name="other.txt"))
            assert other.done == 2
            assert str(folder) in (await house.status()).problem
            assert (await house.run_of(run_id)).state == "running"

            plug_in(gone, tmp_path / "usb")
            ended = await house.ended(run_id)
            assert (ended.state, ended.done) == ("done", 3)
            assert sorted(line["index"] for line in manifest(ended)) == [0, 1, 2]
            assert [line["choices"] for line in manifest(ended)] == [[], [], []], "nothing varied"
            assert {line["file"] for line in manifest(ended)} == images(folder)
            await eventually(lambda: not house.kernel._core.problem, "the problem cleared")
            assert len(learned(data)) == len(set(learned(data))) == 5

    run(main)


def test_a_folder_that_was_thrown_away_is_made_anew(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(1)
            [offer] = await agent.offered(1)
            folder = Path((await house.run_of(run_id)).out_dir)
            throw_away(folder)
            await agent.tell((key_of(offer.lease), await agent.made()))
            ended = await house.ended(run_id)
            assert {"run.json", "manifest.jsonl"} < files_of(folder).keys()
            assert len(manifest(ended)) == 1

    run(main)


class Failing(Report):
    name, title, default_enabled = "failing", "Failing", True

    def build(self, title: str, images: Sequence[RunImage], write: WriteFile) -> None:
        write("half.txt", b"before the bug")
        raise RuntimeError("a bug in a report")


class Listing(Report):
    name, title, default_enabled = "listing", "Listing", True

    def build(self, title: str, images: Sequence[RunImage], write: WriteFile) -> None:
        write("listing.txt", "\n".join(image.path.name for image in images).encode())


class Reports:
    plugin_name = "reports_of_the_test"

    @hookimpl
    def stablenew_reports(self) -> Sequence[type[Report]]:
        return [Failing, Listing]


def test_a_report_that_fails_costs_only_itself(data: DataFolder, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with kernel_on(data, Reports()) as house:
            await house.agent(works=True)
            ended = await house.ended(await house.submit(2))
            assert (ended.state, ended.done) == ("done", 2)
            assert [Path(file).name for file in ended.files] == ["half.txt", "listing.txt"]
            listed = (Path(ended.out_dir) / "listing.txt").read_text(encoding="utf-8")
            assert listed.split() == sorted(line["file"] for line in manifest(ended))
            assert not (await house.status()).problem

    run(main)
    assert "report failing failed; the images are not touched" in caplog.text


def test_names_that_clash_get_a_number_and_nothing_is_overwritten(data: DataFolder) -> None:
    settings = Settings(scheduler="queue_order", file_name="{row:03}")

    async def main() -> None:
        async with kernel_on(data, settings=settings) as house:
            agent = await house.agent(slots=3)
            run_id = await house.submit(3)
            folder = Path((await house.run_of(run_id)).out_dir)
            (folder / "001-2.png").write_bytes(b"somebody else's")
            for number, offer in enumerate(await agent.offered(3)):
                await agent.tell((key_of(offer.lease), await agent.made(number)))
            ended = await house.ended(run_id)
            assert {line["file"] for line in manifest(ended)} == {"001.png", "001-3.png", "001-4.png"}
            assert (folder / "001-2.png").read_bytes() == b"somebody else's"
            assert images(folder) == {
                "001.png",
                "001-2.png",
                "001-3.png",
                "001-4.png",
            }

    run(main)


@pytest.mark.parametrize(("kind", "ending"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_a_restart_between_file_and_commit_adopts_the_file(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    async def main() -> None:
        monkeypatch.setattr(delivery_module, "RETRY_INTERVAL", 1000.0)
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(1, sets=[f"pipeline.image_format={kind}"])
            [offer] = await agent.offered(1)
            disk = FullDisk(house.database)
            delivery = house.kernel._core.delivery
            really = delivery._note

            def die_behind_it(delivered: Any) -> None:
                really(delivered)
                disk.full = True

            monkeypatch.setattr(delivery, "_note", die_behind_it)
            await agent.tell((key_of(offer.lease), await agent.made()))
            await eventually(lambda: house.kernel._core.problem, "the commit lost")
            folder = Path((await house.run_of(run_id)).out_dir)
            before = files_of(folder)
            assert {Path(name).suffix for name in before} == {ending, ".jsonl", ".json"}
        async with kernel_on(data, clean=False) as house:
            ended = await house.ended(run_id)
            after = files_of(folder)
            assert after.keys() == before.keys()
            assert all(after[name] == before[name] for name in before if name != "run.json")
            assert len(manifest(ended)) == len(learned(data)) == 1

    run(main)


def test_an_output_that_is_no_image_holds_up_nobody_else(
    data: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent(slots=2)
            broken = await house.submit(2)
            [one, two] = await agent.offered(2)
            junk = house.artifacts.put(b"no PNG at all")
            lies = Outcome(LeaseState.SUCCEEDED, (Artifact("image.png", "image/png", junk, 13),))
            await agent.tell((key_of(one.lease), lies), (key_of(two.lease), await agent.made()))
            agent.works = True
            assert (await house.ended(await house.submit(3))).done == 3
            problem = (await house.status()).problem
            assert f"run {broken}: cannot be saved" in problem
            shown = await house.run_of(broken)
            assert (shown.state, shown.done, shown.active) == ("running", 1, 1)

    run(main)
    assert "cannot be saved" in caplog.text


@pytest.mark.parametrize("report", [b"\xff{", b"[1]", b"null"])
def test_an_image_is_not_lost_for_its_report(
    data: DataFolder, report: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            agent = await house.agent()
            run_id = await house.submit(1)
            [offer] = await agent.offered(1)
            await agent.tell((key_of(offer.lease), replace(await agent.made(), report=report)))
            assert (await house.ended(run_id)).done == 1

    run(main)
    assert "is left out" in caplog.text


def test_the_end_of_a_run_is_told_even_if_run_json_had_to_wait(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = iter([True, True, False])
    really = RunFolder.write_run_json

    def write_run_json(folder: RunFolder, run: Mapping[str, JsonValue]) -> None:
        if next(fails, False):
            raise StoreError(f"{folder.path}: the disk is full; free some space")
        really(folder, run)

    monkeypatch.setattr(RunFolder, "write_run_json", write_run_json)

    async def main() -> None:
        async with kernel_on(data, Reports()) as house:
            call = house.client.Watch(pb.WatchRequest())
            await call.read()
            await house.agent(works=True)
            run_id = await house.submit(1)
            states: list[str] = []
            while "done" not in states:
                states += [found.state for found in (await call.read()).runs]
            ended = await house.ended(run_id)
            written = json.loads((Path(ended.out_dir) / "run.json").read_text(encoding="utf-8"))
            assert (written["state"], written["done"], written["ended_at"]) == ("done", 1, ended.ended_at)
            assert [Path(file).name for file in ended.files] == ["half.txt", "listing.txt"], (
                "adopted, not doubled"
            )
            call.cancel()

    run(main)


def test_a_retry_while_the_reports_are_made_keeps_the_run_open(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with kernel_on(data, Reports()) as house:
            agent = await house.agent()
            run_id = await house.submit(2)
            [one, two] = await agent.offered(2)
            delivery = house.kernel._core.delivery
            really = delivery._in_thread
            retried: list[int] = []

            async def retry_behind_run_json(function: Any, *arguments: object) -> Any:
                result = await really(function, *arguments)
                if getattr(function, "__name__", "") == "write_run_json" and not retried:
                    retried.append((await house.change("retry", run_id)).changed)
                return result

            monkeypatch.setattr(delivery, "_in_thread", retry_behind_run_json)
            await house.change("cancel", job_ids=[two.lease.job_id])
            cancelled = Outcome(LeaseState.CANCELLED)
            await agent.tell((key_of(one.lease), await agent.made()), (key_of(two.lease), cancelled))
            [_, _, again] = await agent.offered(3)
            await eventually(lambda: retried, "the answer to the retry, which the offer may overtake")
            assert retried == [1]
            assert (await house.run_of(run_id)).state == "running"
            await agent.tell((key_of(again.lease), await agent.made(1)))
            ended = await house.ended(run_id)
            assert (ended.state, ended.done, ended.cancelled) == ("done", 2, 0)
            await _told(house, run_id)

    run(main)


async def _told(house: House, run_id: str) -> None:
    """The run is over in memory too."""
    await eventually(lambda: house.kernel._core.board.get(run_id) is None, "the run off the board")
