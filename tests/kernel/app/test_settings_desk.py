"""Settings over the wire: shown, written in place, in effect."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio
import pytest
from kernel_kit import House, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.domain.settings import AT_START, Settings
from stablenew_plugins.backends import embedded
from stablenew_proto.v1 import kernel_pb2 as pb


def with_kernel(data: DataFolder, test: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with kernel_on(data, embedded) as house:
            await test(house)

    run(main)


async def shown(house: House) -> dict[str, pb.KernelSetting]:
    answer = await house.client.GetSettings(pb.GetSettingsRequest())
    return {setting.name: setting for setting in answer.settings}


async def change(house: House, **values: Any) -> pb.ChangeSettingsResponse:
    encoded = {name: json.dumps(value).encode() for name, value in values.items()}
    answer = await house.client.ChangeSettings(pb.ChangeSettingsRequest(values_json=encoded))
    assert isinstance(answer, pb.ChangeSettingsResponse)
    return answer


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.details() or ""


def test_every_setting_is_told_with_what_it_means(data: DataFolder) -> None:
    async def test(house: House) -> None:
        data.settings.write_text("confirm_above = 7\n", encoding="utf-8")
        found = await shown(house)
        assert list(found) == list(Settings.model_fields)
        one = found["confirm_above"]
        assert (one.value_json, one.active_json, one.restart) == (b"7", b"500", False)
        assert json.loads(one.schema_json)["minimum"] == 0
        assert one.description == Settings.model_fields["confirm_above"].description
        assert {name for name, setting in found.items() if setting.restart} == AT_START

    with_kernel(data, test)


def test_a_change_is_written_and_counts_from_now_on(data: DataFolder) -> None:
    async def test(house: House) -> None:
        data.settings.parent.mkdir(parents=True, exist_ok=True)
        data.settings.write_bytes(b"# mine\nconfirm_above = 9 # nine\n")
        answer = await change(house, confirm_above=1, run_timeout=5.0)
        assert data.settings.read_bytes() == b"# mine\nconfirm_above = 1 # nine\nrun_timeout = 5.0\n"
        assert list(answer.notes) == []
        found = {setting.name: setting for setting in answer.settings}
        assert found["confirm_above"].active_json == found["confirm_above"].value_json == b"1"
        large = pb.SubmitRunRequest(run=house.request(2, confirmed=False))
        assert "more than the 1 that are queued unasked" in await refused(house.client.SubmitRun(large))
        run_id = await house.submit(2, confirmed=True)
        [job, _] = (await house.client.ListJobs(pb.ListJobsRequest(run_id=run_id))).jobs
        spec = (await house.client.GetJob(pb.GetJobRequest(job_id=job.job_id))).spec_json
        assert json.loads(spec)["run_timeout"] == 5.0
        await change(house, confirm_above=None)
        assert data.settings.read_bytes() == b"# mine\nrun_timeout = 5.0\n"
        await house.submit(2)

    with_kernel(data, test)


def test_the_file_is_made_if_there_is_none(data: DataFolder) -> None:
    async def test(house: House) -> None:
        assert not data.settings.exists()
        await change(house, confirm_above=None)
        assert not data.settings.exists()
        await change(house, pack_folders=["/somewhere"])
        assert data.settings.read_bytes() == b'pack_folders = ["/somewhere"]\n'

    with_kernel(data, test)


def test_what_counts_at_the_next_start_is_told(data: DataFolder) -> None:
    async def test(house: House) -> None:
        answer = await change(house, port=4711, scheduler="queue_order")
        assert list(answer.notes) == ["port takes effect at the kernel's next start: stablenew kernel stop"]
        port = next(setting for setting in answer.settings if setting.name == "port")
        assert (port.value_json, port.active_json) == (b"4711", b"0")

    with_kernel(data, test)


def test_a_wrong_value_and_a_broken_file_are_refused_and_nothing_is_written(data: DataFolder) -> None:
    async def test(house: House) -> None:
        for wrong, words in (
            ({"port": 70000}, "port: 70000 is out of range"),
            ({"prot": 1}, "there is no setting 'prot'"),
            ({"learning_mode": "active"}, "experiments are not built yet"),
            ({"local_backend": "nope"}, "nope"),
            (
                {"local_backend_options": ["spede=3"]},
                "local_backend_options: spede: backend embedded has no such",
            ),
            ({"local_backend_options": ["speed"]}, "local_backend_options: 'speed': write KEY=VALUE"),
            ({"local_backend_options": ["speed=x"]}, "local_backend_options: speed: "),
            ({"scheduler": "nope"}, "nope"),
        ):
            assert words in await refused(change(house, **wrong))
        assert not data.settings.exists()
        bad = pb.ChangeSettingsRequest(values_json={"port": b"{"})
        assert "port: its value is no JSON" in await refused(house.client.ChangeSettings(bad))
        data.settings.write_bytes(b"port = 1\nprot = 2\n")
        answer = await house.client.GetSettings(pb.GetSettingsRequest())
        assert answer.problem.startswith(f"{data.settings}: there is no setting 'prot'")
        assert "'prot'" in await refused(change(house, confirm_above=1))
        assert data.settings.read_bytes() == b"port = 1\nprot = 2\n"
        found = await shown(house)
        assert found["confirm_above"].active_json == b"500"

    with_kernel(data, test)


def test_learning_off_records_no_image_and_ratings_all_the_same(data: DataFolder) -> None:
    async def test(house: House) -> None:
        await house.agent(works=True)
        await change(house, learning_mode="off")
        await house.ended(await house.submit(1))
        assert not list(house.kernel._learning.images())
        await house.client.RateImage(pb.RateImageRequest(image_sha256="ab" * 32, stars=5))
        assert len(house.kernel._learning.ratings()) == 1
        await change(house, learning_mode="passive")
        await house.ended(await house.submit(1))
        assert len(list(house.kernel._learning.images())) == 1

    with_kernel(data, test)


def test_runs_go_into_the_output_folder_of_the_settings(data: DataFolder, tmp_path: Any) -> None:
    async def test(house: House) -> None:
        await house.agent(works=True)
        await change(house, output_folder=str(tmp_path / "mine"))
        ended = await house.ended(await house.submit(1))
        assert ended.out_dir.startswith(str(tmp_path / "mine"))
        other = await house.ended(await house.submit(1, out_dir=str(tmp_path / "other")))
        assert other.out_dir.startswith(str(tmp_path / "other"))
        await change(house, output_folder="")
        assert (await house.ended(await house.submit(1))).out_dir.startswith(str(data.outputs))

    with_kernel(data, test)
