"""The store's copies of saved images go after a while; what anything needs stays."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from kernel_kit import House, eventually, kernel_on, png, run
from test_later_runs import Later, image, on

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder
from stablenew_kernel.app import copies
from stablenew_kernel.app.copies import CopyKeeping
from stablenew_kernel.domain.settings import Settings
from stablenew_proto.v1 import kernel_pb2 as pb


class InDays(SystemClock):
    """So many days from now."""

    def __init__(self, days: float) -> None:
        self._days = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() + self._days


def let_pass(house: House, days: float) -> None:
    house.kernel._core.clock = InDays(days)


def held(house: House) -> set[str]:
    return {path.parent.name + path.name for path in house.artifacts.folder.glob("??/*")}


def saved(ended: pb.Run, ending: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(ended.out_dir).glob(f"0*.{ending}"))]


def digest(number: int) -> str:
    return hashlib.sha256(png(number)[0]).hexdigest()


async def sweep(house: House) -> int:
    files, size = await house.kernel._copies.sweep()
    assert (size > 0) == (files > 0)
    return files


def test_copies_go_after_their_time_and_the_saved_images_stay(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent(works=True)
            ended = await house.ended(await house.submit(3))
            before = saved(ended, "png")
            assert len(held(house)) == 1, "three times the same picture"
            let_pass(house, 29)
            assert await sweep(house) == 0
            let_pass(house, 31)
            assert await sweep(house) == 1
            assert not held(house)
            assert saved(ended, "png") == before
            assert await sweep(house) == 0, "a second look finds nothing"
            # The same pictures made again are the same files: sent anew, and saved.
            again = await house.ended(await house.submit(3))
            assert (again.state, again.done) == ("done", 3)

    run(main)


def test_the_store_alone_has_all_of_a_picture_that_was_saved_as_jpeg(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            await house.agent(works=True)
            ended = await house.ended(await house.submit(2, sets=["pipeline.image_format=jpeg"]))
            assert len(saved(ended, "jpg")) == 2
            let_pass(house, 1000)
            assert await sweep(house) == 0

    run(main)


def test_what_a_job_begins_with_stays_until_the_job_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with kernel_on(DataFolder(tmp_path / "data"), Later()) as house:
            house.artifacts.put(png(1)[0])
            house.artifacts.put(png(2)[0])  # sent, and never used
            await house.client.SubmitRun(pb.SubmitRunRequest(run=on(image(1))))
            let_pass(house, 1000)
            assert await sweep(house) == 1
            assert held(house) == {digest(1)}
            await house.change("cancel", all=True)
            let_pass(house, 29)
            assert await sweep(house) == 0
            let_pass(house, 31)
            assert await sweep(house) == 1

    run(main)


def test_who_is_told_that_a_file_is_here_can_rely_on_it(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house:
            sha256 = house.artifacts.put(png(1)[0])
            limit = house.artifacts._path(sha256).stat().st_mtime + 0.001
            await eventually(lambda: SystemClock().now().timestamp() > limit, "a later moment")
            assert house.artifacts.unused_since(limit) == [sha256]
            assert house.artifacts.committed(sha256)[1]
            assert house.artifacts.remove_unused(sha256, limit) is None
            assert held(house) == {sha256}

    run(main)


@pytest.mark.parametrize("days", [0, 30])
def test_the_look_at_the_start_is_taken_unless_they_are_kept_for_ever(
    data: DataFolder, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()

    async def look(self: CopyKeeping) -> tuple[int, int]:
        looked.set()
        return 0, 0

    monkeypatch.setattr(CopyKeeping, "sweep", look)
    monkeypatch.setattr(copies, "EVERY", 0.001)

    async def main() -> None:
        settings = Settings(scheduler="queue_order", keep_copies_days=days)
        async with kernel_on(data, settings=settings) as house:
            if not days:
                await asyncio.sleep(0.02)
                assert not looked.is_set()
                values = {"keep_copies_days": b"7"}
                await house.client.ChangeSettings(pb.ChangeSettingsRequest(values_json=values))
            async with asyncio.timeout(20):
                await looked.wait()

    run(main)
