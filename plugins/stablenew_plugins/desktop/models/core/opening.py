"""Opening a file with the program that the person's system has for it, and showing it in its folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from stablenew_api.errors import UserError

PATIENCE = 5.0
"""Seconds in which a program that can't open the file says so; one that still runs then has opened it."""


def command(path: Path, platform: str, *, reveal: bool) -> Sequence[str]:
    """What is run on ``platform`` (as ``sys.platform``) to open ``path``, or with ``reveal`` to show it in its
    folder. Empty: the system opens it without a program."""
    if platform == "win32":
        return ["explorer", f"/select,{path}"] if reveal else []
    if platform == "darwin":
        return ["open", "-R", str(path)] if reveal else ["open", str(path)]
    return ["xdg-open", str(path.parent if reveal else path)]


def open_path(path: Path, *, reveal: bool = False, platform: str = sys.platform) -> None:
    """Open ``path``, or show it in its folder. Takes up to some seconds; no shell is involved.

    Raises UserError if it is gone, or nothing can open it.
    """
    wanted = path.parent if reveal else path
    if not wanted.exists():
        raise UserError(f"{wanted} is gone; it was moved or deleted outside StableNew")
    line = command(path, platform, reveal=reveal)
    if not line:
        _start_file(path)
        return
    try:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(f"{line[0]} can't be started ({error.strerror}); open it yourself: {wanted}") from error
    try:
        _out, told = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        # The program that shows it runs on; somebody has to take its exit code some day.
        threading.Thread(target=process.communicate, daemon=True).start()
        return
    if process.returncode and platform != "win32":  # explorer.exe returns 1 whenever all is well
        reason = (
            told.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"exit code {process.returncode}"
        )
        raise UserError(f"no program could open {wanted} ({reason}); open it yourself")


def _start_file(path: Path) -> None:
    if sys.platform == "win32":
        import os

        try:
            os.startfile(path)  # noqa: S606  what a double click does
        except OSError as error:
            raise UserError(f"no program could open {path} ({error.strerror}); open it yourself") from error
