"""Files and folders, opened by the system's own programs."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.text import _


def open_path(path: Path) -> None:
    """Open a file or a folder with the program that the system has for it.

    Raises UserError if it is not there, or no program can be started.
    """
    if not path.exists():
        raise UserError(
            _("{path} is not there; it was moved or deleted, or the kernel is on another machine").format(
                path=path
            )
        )
    command = command_for(sys.platform, path)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise UserError(
            _("{path} could not be opened: {program} is missing; open it yourself").format(
                path=path, program=command[0]
            )
        ) from error
    threading.Thread(target=process.wait, name="opened", daemon=True).start()


def command_for(platform: str, path: Path) -> list[str]:
    """The program that opens ``path``, by ``sys.platform``."""
    if platform == "win32":
        return ["explorer", str(path)]
    return ["open" if platform == "darwin" else "xdg-open", str(path)]
