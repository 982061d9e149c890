"""A fake kernel, and two ways to call the command line: in this process and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_kernel import FakeKernel

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.cli.main import main


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def kernel(data: DataFolder) -> Iterator[FakeKernel]:
    """A kernel that runs on ``data``."""
    fake = FakeKernel(data)
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def call(data: DataFolder, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the command line in this process."""

    def run(*arguments: object) -> Result:
        code = main(["--data", str(data.root), *(str(argument) for argument in arguments)])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack without a sidecar."""
    path = tmp_path / "demo.txt"
    path.write_text("a castle\nneg: fog\n", encoding="utf-8", newline="\n")
    return path


@pytest.fixture
def spawn(data: DataFolder) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line as a process of its own; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(data.root), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1", **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()
