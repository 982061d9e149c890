"""``dev.py``: what it installs and when, what it runs, how it ends. Nothing is installed here."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_under_test", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Dev:
    """dev.py in a clone of its own, with every command recorded in place of run."""

    def __init__(self, root: Path) -> None:
        self.module = load()
        self.root = root
        self.commands: list[list[str]] = []
        self.codes: dict[str, int] = {}
        module = self.module
        module.ROOT, module.VENV = root, root / ".venv"
        module.STAMP, module.EXAMPLE = root / ".venv" / "stablenew-dev.json", root / "plugins" / "example"
        module.run = module.quiet = self.run
        module.start_quietly = self.start
        module.Beside = self.beside
        self.programs = {"Xvfb": "/usr/bin/Xvfb"}
        self.waited: list[float] = []
        module.find = lambda program: self.programs.get(program, "")
        module.pause = self.waited.append
        (root / "plugins" / "example").mkdir(parents=True)
        (root / "plugins" / "example" / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
        (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")

    def run(self, command: list[object], cwd: Path | None = None) -> int:
        words = [str(word) for word in command]
        self.commands.append(words)
        if "venv" in words and not self.code(words):
            python = self.module.venv_python()
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
            (self.root / ".venv" / "pyvenv.cfg").write_text("version = 3.11.7\n", encoding="utf-8")
        return self.code(words)

    def start(self, command: list[object]) -> Any:
        self.run(command)
        return SimpleNamespace(wait=lambda: 0)

    def beside(self, command: list[object]) -> Any:
        code = self.run(command)
        return SimpleNamespace(wait=lambda: (code, 1.0))

    def code(self, words: list[str]) -> int:
        return next((code for word, code in self.codes.items() if word in words), 0)

    def ensure(self, level: str) -> list[str]:
        """The commands that ``ensure(level)`` ran, without the interpreter, as text."""
        self.commands.clear()
        self.module.ensure(level)
        return [" ".join(words[1:]) for words in self.commands]


@pytest.fixture
def dev(tmp_path: Path) -> Dev:
    return Dev(tmp_path)


PIP = "-m pip install --quiet --disable-pip-version-check --no-input"


def test_the_first_time_makes_the_environment_and_installs(dev):
    assert dev.ensure("dev") == [
        f"-m venv --clear {dev.root / '.venv'}",
        f"{PIP} -e .[dev,detect] -e plugins/example",
    ]


def test_the_second_time_starts_no_process_at_all(dev):
    dev.ensure("dev")
    assert dev.ensure("dev") == []
    assert dev.ensure("use") == []


def test_a_demo_needs_only_the_program_itself(dev):
    assert dev.ensure("use")[-1] == f"{PIP} -e .[detect]"
    assert dev.ensure("dev")[-1] == f"{PIP} -e .[dev,detect] -e plugins/example"


@pytest.mark.parametrize("changed", ["pyproject.toml", "plugins/example/pyproject.toml", ".venv/pyvenv.cfg"])
def test_a_change_of_what_it_depends_on_installs_again_and_keeps_the_level(dev, changed):
    dev.ensure("dev")
    with (dev.root / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert dev.ensure("use") == ["-m pip --version", f"{PIP} -e .[dev,detect] -e plugins/example"]
    assert dev.ensure("use") == []


def test_an_environment_that_was_moved_is_made_anew(dev):
    dev.ensure("dev")
    dev.module.STAMP.write_text(
        '{"key": "old", "level": "dev", "root": "/elsewhere"}', encoding="utf-8", newline="\n"
    )
    assert dev.ensure("dev")[0].startswith("-m venv --clear")


def test_a_broken_environment_is_made_anew(dev):
    dev.ensure("use")
    dev.module.STAMP.unlink()
    dev.codes["--version"] = 1
    assert [line.split()[1] for line in dev.ensure("use")] == ["pip", "venv", "pip"]


def test_a_damaged_stamp_is_no_stamp(dev):
    dev.ensure("use")
    dev.module.STAMP.write_text("[", encoding="utf-8")
    assert dev.ensure("use")[-1] == f"{PIP} -e .[detect]"


@pytest.mark.parametrize(("word", "text"), [("venv", "python3-venv"), ("install", "network")])
def test_what_fails_says_what_to_do_and_is_tried_again(dev, word, text, capsys):
    dev.codes[word] = 1
    assert dev.module.main(["setup"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("dev.py: ")
    assert text in error
    dev.codes.clear()
    assert dev.ensure("dev") != []


def test_tests_run_every_check_and_sum_up_with_the_closing_line_last(dev, capsys):
    (dev.root / "plugins" / "example" / "tests").mkdir()
    runs: list[tuple[list[str], object]] = []

    def run_pytest(command, cwd=None):
        runs.append(([str(word) for word in command][3:], cwd))
        return 0, f"=== {len(runs)} passed in 1.00s ==="

    dev.module.run_pytest = run_pytest
    dev.codes["mypy"] = 1
    assert dev.module.main(["test", "--fast"]) == 1
    assert runs == [
        (["--color=no", "-q", "-m", "not slow"], dev.module.EXAMPLE),
        (["--color=no", *dev.module.SPREAD, "-m", "not slow"], None),
    ]
    lines = capsys.readouterr().out.splitlines()
    summary = [line.split()[:2] for line in lines[-7:-1]]
    assert summary == [
        ["ok", "ruff"],
        ["ok", "ruff"],
        ["ok", "import-linter"],
        ["ok", "pytest"],
        ["FAILED", "mypy"],
        ["ok", "pytest"],
    ]
    assert lines[-1] == "=== 2 passed in 1.00s ==="
    assert [words[-2:] for words in dev.commands if "pytest" in words] == [["--collect-only", "-qq"]]


def test_what_runs_beside_others_says_it_when_it_is_waited_for(capsys):
    program = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)"
    beside = load().Beside([sys.executable, "-c", program])
    assert capsys.readouterr().out == ""
    code, took = beside.wait()
    assert code == 3
    assert took > 0
    assert capsys.readouterr().out.splitlines() == ["one", "two"]


def test_no_two_test_modules_share_a_name():
    """A directory on its own would pass; all together cannot be collected."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_is_compiled_is_kept(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    module, seen = load(), []
    module.COMMANDS["types"] = lambda _arguments: seen.append(dict(os.environ)) or 0
    assert module.main(["types"]) == 0
    assert "PYTHONDONTWRITEBYTECODE" not in seen[0]


def test_torch_is_installed_when_asked_for_and_stays(dev):
    dev.ensure("dev")
    dev.commands.clear()
    dev.module.ensure("dev", torch=True)
    with_torch = f"{PIP} -e .[dev,detect,diffusers,dev-torch] -e plugins/example"
    assert [" ".join(words[1:]) for words in dev.commands][-1] == with_torch
    assert dev.ensure("dev") == []
    with (dev.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert dev.ensure("use")[-1] == with_torch


def test_the_pin_of_torch_is_that_of_pyproject(dev):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'dev-torch = ["{dev.module.TORCH}"]' in text


@pytest.mark.parametrize(
    ("flag", "url", "installed"),
    [
        ("--torch", "https://somewhere/torch.whl", True),
        ("--torch=near", "file:///disk/torch.whl", True),
        ("--torch=near", "https://somewhere/torch.whl", False),
        ("--torch=near", "", False),
    ],
)
def test_torch_is_for_those_who_want_it(dev, flag, url, installed, capsys):
    report = json.dumps({"install": [{"download_info": {"url": url}}]}) if url else ""
    dev.module.output = lambda command: report
    seen: list[list[str]] = []
    dev.module.run_pytest = lambda command, cwd=None: (seen.append([str(word) for word in command]), (0, ""))[1]
    assert dev.module.main(["test", flag, "-k", "rows"]) == 0
    assert [words[-2:] for words in seen] == [["-k", "rows"]]
    assert any("dev-torch" in word for words in dev.commands for word in words) is installed
    assert ("left out" in capsys.readouterr().out) is not installed


def test_tests_pass_when_all_do_and_take_arguments_for_pytest(dev, capsys):
    seen: list[list[str]] = []
    dev.module.run_pytest = lambda command, cwd=None: (seen.append([str(word) for word in command]), (0, ""))[1]
    assert dev.module.main(["test", "tests/cli", "-k", "rows"]) == 0
    assert [words[-3:] for words in seen] == [["tests/cli", "-k", "rows"]]


# --- Xvfb ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(dev):
    """A Debian without Xvfb, as root; ``bare.works_after`` installations it is there."""
    dev.module.on_linux = dev.module.is_root = lambda: True
    dev.programs = {"apt-get": "/usr/bin/apt-get"}
    dev.works_after = 1
    dev.apt = []

    def run(command, cwd=None):
        words = [str(word) for word in command]
        if "apt-get" not in words:
            return dev.run(command)
        dev.apt.append("update" if "update" in words else "install")
        if dev.apt[-1] == "update":
            return 100  # a broken source is no reason to give up
        if dev.apt.count("install") < dev.works_after:
            return 100
        dev.programs["Xvfb"] = "/usr/bin/Xvfb"
        return 0

    dev.module.run = dev.module.quiet = run
    dev.module.run_pytest = lambda command, cwd=None: (0, "")
    return dev


def test_xvfb_is_installed_once_where_nobody_has_to_be_asked(bare):
    assert bare.module.main(["test"]) == 0
    assert bare.module.main(["test"]) == 0
    assert bare.apt == ["install"]


def test_xvfb_is_tried_again_after_an_update_of_the_lists(bare):
    bare.works_after = 3
    assert bare.module.main(["test"]) == 0
    assert bare.apt == ["install", "update", "install", "update", "install"]
    assert bare.waited == [5]


def test_xvfb_that_cannot_be_installed_stops_the_tests_with_what_to_type(bare, capsys):
    bare.works_after = 99
    assert bare.module.main(["test"]) == 1
    assert bare.apt.count("install") == 1 + bare.module.ATTEMPTS
    assert bare.commands == []
    assert "apt-get update && apt-get install -y --no-install-recommends xvfb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("manager", "root", "command"),
    [
        ("apt-get", False, "again: sudo apt-get install -y --no-install-recommends xvfb\n"),
        ("dnf", False, "again: sudo dnf install -y xorg-x11-server-Xvfb"),
        ("pacman", True, "again: pacman -S --needed xorg-server-xvfb"),
        ("", True, "need Xvfb: install it with the package manager"),
    ],
)
def test_xvfb_is_not_installed_where_that_has_to_be_asked(bare, manager, root, command, capsys):
    bare.module.is_root = lambda: root
    bare.programs = {manager: "/usr/bin/" + manager}
    assert bare.module.main(["test"]) == 1
    assert bare.apt == bare.commands == []
    assert command in capsys.readouterr().err


def test_xvfb_is_for_linux(bare):
    bare.module.on_linux = lambda: False
    assert bare.module.main(["test"]) == 0
    assert bare.apt == []


@pytest.mark.parametrize("linux", [True, False])
def test_pictures_are_made_where_there_can_be_an_x_server(dev, linux, capsys):
    dev.module.on_linux = lambda: linux
    assert dev.module.main(["shots", "walk"]) == (0 if linux else 1)
    made = [words[1:] for words in dev.commands if "tests.desktop.shots" in words]
    assert made == ([["-m", "tests.desktop.shots", "walk"]] if linux else [])
    assert ("needs Linux" in capsys.readouterr().err) is not linux


@pytest.mark.parametrize("was_running", [True, False])
def test_the_demo_leaves_no_kernel_that_was_not_there(dev, was_running):
    dev.codes["status"] = 0 if was_running else 3
    dev.codes["run"] = 1
    assert dev.module.main(["demo"]) == 1
    ends = [" ".join(words[-2:]) for words in dev.commands]
    assert "packs/demo.txt" in " ".join(dev.commands[-1 if was_running else -2])
    assert ("kernel stop" in ends) is not was_running
    assert all(str(dev.root / ".demo") in words for words in dev.commands if "stablenew_kernel.cli" in words)


def test_a_ctrl_c_is_left_to_the_child():
    class Child:
        waits = 0

        def wait(self):
            self.waits += 1
            if self.waits < 3:
                raise KeyboardInterrupt
            return 130

    assert load().wait(Child()) == 130


def test_pytest_is_passed_on_as_it_comes_with_its_closing_line(tmp_path, capfd):
    (tmp_path / "test_small.py").write_text(
        "import pytest\ndef test_ok(): pass\n@pytest.mark.skip\ndef test_not(): pass\n", encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--color=yes",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    code, closing = load().run_pytest(command, cwd=tmp_path)
    assert code == 0
    assert "1 passed, 1 skipped" in closing
    assert closing.startswith("=")
    assert "\x1b" not in closing
    assert "test_small.py" in capfd.readouterr().out


def test_a_failing_pytest_keeps_its_exit_code(tmp_path, capfd):
    (tmp_path / "test_small.py").write_text("def test_bad(): assert 0\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    code, closing = load().run_pytest(command, cwd=tmp_path)
    assert (code, "1 failed" in closing) == (1, True)
    capfd.readouterr()


def test_help_names_every_command(capsys):
    module = load()
    assert module.main([]) == 0
    out = capsys.readouterr().out
    for name in module.COMMANDS:
        assert f"\n  {name} " in out


def test_an_unknown_command_is_refused(capsys):
    assert load().main(["tset"]) == 2
    assert "no command 'tset'; there are: setup, demo, test" in capsys.readouterr().err


def test_an_unknown_benchmark_is_refused(dev, capsys):
    (dev.root / "benchmarks").mkdir()
    (dev.root / "benchmarks" / "dispatch.py").touch()
    assert dev.module.main(["bench", "nope"]) == 1
    assert "there are: dispatch" in capsys.readouterr().err
    dev.module.main(["bench", "dispatch", "--jobs", "9"])
    assert dev.commands[-1][1:] == ["-m", "benchmarks.dispatch", "--jobs", "9"]
    dev.module.main(["bench", "--peers", "dispatch"])
    assert "-e .[dev,detect,bench]" in " ".join(dev.commands[-2])


def test_python_3_6_can_read_it_and_is_told_what_is_needed():
    source = (ROOT / "dev.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    pretend = (
        "import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.version = '3.9.2 (main)'; "
        "sys.argv = ['dev.py', 'demo']; "
        "exec(compile(open('dev.py', encoding='utf-8').read(), 'dev.py', 'exec'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.startswith("dev.py: StableNew needs Python 3.11 or newer; this is 3.9.2 (")
    assert len(done.stderr.splitlines()) == 2


def test_it_imports_the_standard_library_alone():
    tree = ast.parse((ROOT / "dev.py").read_text(encoding="utf-8"))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
