"""A desktop in a process of its own, as a person starts it, on a display without a screen."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.desktop.driver import Driver, Rect, Tag
from tests.desktop.xdisplay import XDisplay, dying_with_us

from stablenew_plugins.desktop.probe import VARIABLE

START = 60.0
"""Seconds that a process has for its first frame; a busy machine is slow with imports."""
END = 60.0
STOP = 45.0


def stablenew(data: Path) -> list[str]:
    """The command that opens the desktop of a data folder."""
    return [sys.executable, "-m", "stablenew_kernel.cli", "--data", str(data)]


def stop_kernel(data: Path) -> None:
    """End the kernel that a desktop has started for a data folder, if it has, and with it its agent."""
    command = [*stablenew(data), "kernel", "stop"]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=STOP)


class AppProcess:
    """A running desktop; a :class:`~tests.desktop.driver.Target`, and ``driver`` is the person in front of it.

    ``folder`` gets the file of the probe and what the process writes. Raises AssertionError, with the process's
    own words, if it ends before its first frame.
    """

    def __init__(
        self, command: Sequence[str], screen: XDisplay, folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = folder / "probe.json"
        self._output = folder / "output.txt"
        variables = {**screen.environment(), VARIABLE: str(self._file), **(environment or {})}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                dying_with_us(command),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._stream: Any = None
        try:
            self._connect()
        except BaseException:
            self.kill()
            raise
        self.driver = Driver(self, screen)

    def _connect(self) -> None:
        deadline = time.monotonic() + START
        while not self._file.exists():
            self._check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"no probe after {START:g} s; it has said:\n{self.output()}")
            time.sleep(0.01)
        where = json.loads(self._file.read_text(encoding="utf-8"))
        self._token = where["token"]
        connection = socket.create_connection(("127.0.0.1", where["port"]), timeout=START)
        with connection:
            self._stream = connection.makefile("rwb")
        self.frame()

    def _check_alive(self) -> None:
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"the process has ended with exit code {code}; it has said:\n{self.output()}")

    def output(self) -> str:
        """What it has written so far, to standard output and error."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def ask(self, op: str, tag: Tag = "") -> Any:
        """Ask the probe. Raises AssertionError with its answer, or with what the process said if it is gone."""
        try:
            self._stream.write(json.dumps({"token": self._token, "op": op, "tag": tag}).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline()
        except TimeoutError:
            raise AssertionError(
                f"no answer to {op} after {START:g} s; it has said:\n{self.output()}"
            ) from None
        except OSError:
            line = b""
        if not line:
            self.wait()
            self._check_alive()
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    # --- what a driver asks ---

    def frame(self) -> None:
        """Return when one more frame has been drawn."""
        seen = self.ask("frame")
        deadline = time.monotonic() + START
        while self.ask("frame") <= seen:
            if time.monotonic() > deadline:
                raise AssertionError(f"no frame in {START:g} s: is the window minimised?")

    def rect(self, tag: Tag) -> Rect | None:
        """Where an item is drawn on the screen."""
        box = self.ask("rect", tag)
        if box is None:
            return None
        origin = self.ask("bounds")
        return Rect(box["x"] + origin["x"], box["y"] + origin["y"], box["width"], box["height"])

    def value(self, tag: Tag) -> Any:
        """The value of an item."""
        return self.ask("value", tag)

    def hovered(self, tag: Tag) -> bool | None:
        """Whether the pointer is over an item."""
        over: bool | None = self.ask("hovered", tag)
        return over

    def entries(self, tag: Tag) -> list[str]:
        """What can be chosen in an item."""
        entries: list[str] = self.ask("item", tag)["entries"]
        return entries

    def mouse(self) -> tuple[float, float, frozenset[int]]:
        """The pointer as the window saw it last, in px of the screen."""
        seen, origin = self.ask("mouse"), self.ask("bounds")
        return seen["x"] + origin["x"], seen["y"] + origin["y"], frozenset(seen["buttons"])

    def double_clicked(self) -> bool | None:
        """Nobody can tell from here."""
        return None

    def bounds(self) -> Rect:
        """The content of the window, on the screen."""
        return Rect(**self.ask("bounds"))

    # --- the end ---

    def quit(self) -> int:
        """Close the window by the probe, and return the exit code."""
        self.ask("quit")
        return self.wait()

    def wait(self) -> int:
        """The exit code, once it has ended. Raises AssertionError if it does not."""
        try:
            return self.process.wait(END)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended after {END:g} s; it has said:\n{self.output()}") from None

    def kill(self) -> None:
        """End it, however it is; nothing happens if it has ended."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END)
