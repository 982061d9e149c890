"""The command line as a process: exit codes, one-line errors, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import click
import pytest

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import Cancelled, KernelUnavailable, PluginError, StableNewError, UserError
from stablenew_api.frontend import Frontend
from stablenew_kernel.cli import frontends
from stablenew_kernel.cli.commands import NAMES
from stablenew_kernel.cli.exits import MEANING, ExitCode, exit_code_for, one_line
from stablenew_kernel.cli.main import cli, main
from stablenew_kernel.domain.settings import Settings


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), ExitCode.BAD_INPUT),
        (KernelUnavailable("x"), ExitCode.NO_KERNEL),
        (PluginError("x"), ExitCode.BROKEN),
        (StableNewError("x"), ExitCode.BROKEN),
        (ZeroDivisionError("x"), ExitCode.BROKEN),
        (Cancelled("x"), ExitCode.CANCELLED),
        (KeyboardInterrupt(), ExitCode.CANCELLED),
    ],
)
def test_each_error_has_its_code(error, code):
    assert exit_code_for(error) is code


def test_each_code_says_what_it_means():
    assert set(MEANING) == set(ExitCode)


def test_an_error_is_one_line_whatever_its_text():
    assert one_line(UserError("pack a.txt:\n  line 3")) == "pack a.txt: line 3"
    assert one_line(KeyError("x")).startswith("unexpected KeyError: 'x'")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rnu"], "no command 'rnu'; did you mean: stablenew run"),
        (["zzz"], "no command 'zzz'; see: stablenew --help"),
        (["run"], "give a PACK, or --from-stage STAGE --images FOLDER (see: stablenew run --help)"),
        (["queue", "frob"], "No such command 'frob'"),
        (["queue", "list", "--state", "gone"], "Invalid value for '--state'"),
        (["run", "x.txt", "--count", "0"], "Invalid value for '--count'"),
        (["--nope"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(call, arguments, text):
    result = call(*arguments)
    assert result.code == 2
    assert result.err.startswith(f"stablenew: error: {text}")
    assert len(result.err.splitlines()) == 1
    assert result.out == ""


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in NAMES:
        assert f"\n  {name} " in out


class Window(Frontend):
    """A front end of a test."""

    name, title = "desktop", "Desktop"
    reason = ""
    opened: ClassVar[list[Path]] = []

    @classmethod
    def missing(cls) -> str:
        return cls.reason

    def run(self, data: DataFolder) -> int:
        self.opened.append(data.root)
        return 7


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setattr(Window, "reason", "")
    monkeypatch.setattr(Window, "opened", [])
    monkeypatch.setattr(frontends, "chosen_frontend", lambda data: Window)
    return Window


def test_without_a_command_the_front_end_opens(window, tmp_path):
    assert main(["--data", str(tmp_path)]) == 7
    assert window.opened == [tmp_path]


def test_without_a_display_it_says_so_and_helps(window, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(window, "reason", "no display: the variable DISPLAY is not set")
    assert main(["--data", str(tmp_path)]) == ExitCode.FAILED
    captured = capsys.readouterr()
    assert captured.err == (
        "stablenew: the desktop can't open here: no display: the variable DISPLAY is not set\n"
    )
    assert "\n  run " in captured.out
    assert window.opened == []


def test_the_desktop_is_the_front_end(tmp_path):
    assert frontends.chosen_frontend(DataFolder(tmp_path)).name == "desktop"
    assert Settings().frontend == frontends.DEFAULT


def test_another_front_end_must_exist(tmp_path):
    (tmp_path / "settings.toml").write_text('frontend = "teletype"\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"no front end 'teletype' \(there are: desktop\)"):
        frontends.chosen_frontend(DataFolder(tmp_path))


def test_every_command_helps(call):
    for name in NAMES:
        result = call(name, "--help")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"Usage: stablenew {name}")


def test_commands_are_named_after_their_modules():
    context = click.Context(cli, info_name="stablenew")
    for name in NAMES:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_help_starts_quickly_because_it_loads_nothing_heavy():
    code = (
        "import sys; from stablenew_kernel.cli.main import main; code = main(['--help']); "
        "heavy = {'grpc', 'google.protobuf', 'rich', 'pydantic', 'numpy', 'PIL', 'sqlite3', 'asyncio'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "[]\n"


def test_debug_shows_the_traceback(spawn):
    process = spawn("run", "nope.txt", STABLENEW_DEBUG="1")
    err = process.communicate(timeout=60)[1]
    assert err.startswith("Traceback")
    assert "UserError: pack nope.txt" in err


def test_exit_codes_reach_the_shell(spawn, kernel):
    for arguments, code in ((["run", "nope.txt"], 2), (["runs"], 0), (["--version"], 0)):
        process = spawn(*arguments)
        process.communicate(timeout=60)
        assert process.returncode == code


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_has_seen_enough_is_no_error(kernel, spawn):
    kernel.jobs_a_run = 9_000
    kernel.add_run()
    process = spawn("queue", "list", "--limit", 9_000)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


def test_letters_that_the_terminal_lacks_do_not_end_the_command(kernel, spawn):
    kernel.add_run()
    kernel.jobs[kernel.job_id(0)].prompt = "蝶 é"
    process = spawn("queue", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "\\u8776 \\xe9" in out
    process = spawn("queue", "--json", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert "\\u8776 \\u00e9" in process.communicate(timeout=60)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_in_a_terminal_the_run_is_drawn_in_place(kernel, data, pack):
    import pty

    def script(fake):
        fake.progress(0)
        assert drawn.wait(60)
        fake.finish(0)
        fake.finish(1)
        fake.end()

    import threading

    drawn = threading.Event()
    kernel.script = script
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(data.root), "run", str(pack)]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    try:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is gone
                break
            if not part:
                break
            seen += part
            if b"step 3/20" in seen:
                drawn.set()
    finally:
        process.kill()
        code = process.wait()
        os.close(ours)
    text = seen.decode()
    assert code == 0, text
    assert "attic" in text
    assert "txt2img (1/2)" in text
    assert "4.0 s left" in text
    assert "\x1b[?25h" in text  # the cursor is back
    assert "contact sheet: /out/demo/contact_sheet.png" in text
