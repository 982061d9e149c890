"""Starting a kernel that outlives the program that starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Thread
from typing import IO

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import KernelUnavailable

KERNEL_MODULE = "stablenew_kernel"
"""Run as ``python -m``: the client knows the kernel by name only."""

# What lets the child live on when the terminal or the parent goes away: flags on Windows, a session elsewhere.
if sys.platform == "win32":
    _DETACHED = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
else:
    _DETACHED = 0


def start_kernel(data: DataFolder, timeout: float = 30.0) -> None:
    """Start a kernel on ``data`` and return once it serves (or found that another one does already).

    The child says one line of JSON on its standard output when it is ready, or why it cannot be. Raises
    KernelUnavailable with that reason, or after ``timeout`` seconds of silence.
    """
    data.create()
    data.logs.mkdir(parents=True, exist_ok=True)
    complaint = data.logs / "kernel-start.log"
    with complaint.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", KERNEL_MODULE, "--data", str(data.root), "--announce"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            close_fds=True,
            creationflags=_DETACHED,
            start_new_session=sys.platform != "win32",
        )
    assert process.stdout is not None
    line = _first_line(process.stdout, timeout)
    if line is None:
        process.kill()
        process.wait()
        raise KernelUnavailable(f"the kernel did not come up within {timeout:.0f} s; see {complaint}")
    try:
        answer = json.loads(line)
    except ValueError:
        process.wait()
        raise KernelUnavailable(f"the kernel stopped while starting; see {complaint}") from None
    if "error" in answer:
        process.wait()
        raise KernelUnavailable(answer["error"])
    # From here on it is on its own; without this the interpreter would warn about the child it leaves behind.
    process.returncode = 0


def _first_line(stream: IO[bytes], timeout: float) -> bytes | None:
    """The first line of ``stream``, b"" at its end, None after ``timeout``. A thread, since Windows cannot
    select on a pipe."""
    lines: list[bytes] = []

    def read() -> None:
        lines.append(stream.readline())
        stream.close()

    reader = Thread(target=read, daemon=True, name="kernel-announcement")
    reader.start()
    reader.join(timeout)
    return lines[0] if lines else None
