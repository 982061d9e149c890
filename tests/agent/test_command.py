"""The command line of the agent: what it refuses, and how it says so."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from agent_fakes import PLUGIN
from click.testing import CliRunner

from stablenew_agent.dial import address_from, check_address
from stablenew_agent.main import command
from stablenew_agent.telemetry import Telemetry, choose_probes
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import UserError
from stablenew_api.probe import GpuReading, Probe


def run(tmp_path: Path, *options: str) -> tuple[int, str]:
    folder = tmp_path / "data"
    (folder / "plugins").mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / "for_tests.py").write_bytes(PLUGIN.read_bytes())
    result = CliRunner().invoke(command, ["--data", str(folder), *options])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--backend", "nonesuch"], "nonesuch"),
        (["--backend", "test", "--backend-option", "size"], "'size': must be KEY=VALUE"),
        (
            ["--backend", "test", "--backend-option", "colour=red"],
            "no such setting; it has: size, says_goodbye, answers_when",
        ),
        (["--backend", "test", "--backend-option", "size=big"], "size=big: Input should be a valid integer"),
        (["--backend", "test", "--probe", "nonesuch"], "probe 'nonesuch' is not installed; there are: "),
        (["--kernel", "192.168.1.7:7787"], "SSH tunnel works: ssh -N -L 7787:127.0.0.1:7787 192.168.1.7"),
        (["--kernel", "localhost"], "must be HOST:PORT"),
        (["--kernel", "localhost:99999"], "must be HOST:PORT"),
        (["--name", "a/b"], "--name 'a/b'"),
        (["--slots", "0"], "--slots"),
    ],
)
def test_wrong_options(tmp_path: Path, options: list[str], text: str) -> None:
    code, output = run(tmp_path, *options)
    assert code == 2
    assert text in output
    assert "Traceback" not in output


def test_disabled_plugins_of_the_data_folder_count(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.toml").write_text('disabled_plugins = ["for_tests"]', encoding="utf-8")
    code, output = run(tmp_path, "--backend", "test")
    assert code == 2
    assert "test" in output


def test_what_is_to_be_left_out_can_be_told_without_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.toml").write_text("this is [no toml", encoding="utf-8")
    asked = ["--backend", "test", "--backend-option", "size=big"]
    code, output = run(tmp_path, *asked)
    assert code == 2
    assert "settings.toml" in output
    code, output = run(tmp_path, *asked, "--disable-only", "--name", "second")
    assert code == 2
    assert "size=big: Input should be a valid integer" in output
    code, output = run(tmp_path, *asked, "--disable-only", "--disable", "for_tests", "--name", "third")
    assert code == 2
    assert "size=big" not in output  # there is no such backend


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, output = run(tmp_path, "--backend", "test", "--state", str(tmp_path / "file" / "state"))
    assert code == 2
    assert "choose another with --state" in output


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:7787", "[::1]:7787", "127.0.1.9:65535"])
def test_addresses_of_this_machine(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    "address", ["", ":", "example.org:1", "0.0.0.0:1", "127.0.0.1:x", "[::]:5", "127.0.0.1:0"]
)
def test_other_addresses(address: str) -> None:
    with pytest.raises(UserError):
        check_address(address)


def test_the_address_is_read_anew_for_each_dial(data: DataFolder) -> None:
    read = address_from(data.kernel_json)
    assert read() is None
    for port in (1, 2):
        data.write_kernel(KernelInfo(f"127.0.0.1:{port}", "", 1, "", ""))
        assert read() == f"127.0.0.1:{port}"
    data.kernel_json.write_text("{", encoding="utf-8")
    assert read() is None


class Flaky(Probe):
    name, title = "flaky", "Flaky"

    def __init__(self) -> None:
        self.broken = False

    def available(self) -> str | None:
        return None

    def read(self) -> list[GpuReading]:
        if self.broken:
            raise OSError("the driver is being replaced")
        return [GpuReading("gpu-0", "GPU", 100, random.randrange(100))]


class Absent(Flaky):
    name = "absent"

    def available(self) -> str | None:
        return "no driver"


class Broken(Flaky):
    name = "broken"

    def available(self) -> str | None:
        raise RuntimeError("bug")


class Fake(Flaky):
    name = "fake"


def test_probes() -> None:
    kinds = [Flaky, Absent, Broken, Fake]
    chosen, complaints = choose_probes(kinds, [])
    assert ([probe.name for probe in chosen], complaints) == (["flaky"], [])
    chosen, complaints = choose_probes(kinds, ["fake", "absent", "broken"])
    assert [probe.name for probe in chosen] == ["fake"]
    assert complaints == [
        "probe 'absent' cannot read here: no driver",
        "probe 'broken' cannot read here: RuntimeError: bug",
    ]


def test_a_probe_that_breaks_keeps_its_last_figures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    probe = Flaky()
    telemetry = Telemetry([probe], tmp_path)
    before = telemetry.read()
    probe.broken = True
    assert telemetry.read().gpus == before.gpus
    telemetry.read()
    assert len([r for r in caplog.records if "cannot read" in r.message]) == 1, "logged once, not every 2 s"
    probe.broken = False
    telemetry.read()
    probe.broken = True
    telemetry.read()
    assert len([r for r in caplog.records if "cannot read" in r.message]) == 2
