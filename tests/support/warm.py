"""Processes of ours that begin with their modules loaded.

Half of what a test of real processes costs is Python reading the same modules again, for each kernel and each
agent. On Linux a process that has loaded them once is forked instead. What comes of that is a process of its
own all the same: it has arguments, environment, descriptors, signals and an end of its own, and ``kill -9`` is
the real one. Elsewhere, and where a test is about the start itself, it is ``python -m MODULE``.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeAlias

FORKS = sys.platform.startswith("linux")

LOADED = {
    "stablenew_kernel": ("stablenew_kernel.__main__", "stablenew_kernel.app.serve"),
    "stablenew_agent.main": ("stablenew_agent.main",),
}
"""What can be started -> the modules that it has loaded by the time it works. The first one has ``main``."""


def start(
    module: str, *arguments: str, env: Mapping[str, str], stdout: int | None = None, stderr: int | None = None
) -> Process:
    """A process of ``python -m MODULE ARGUMENTS``. It reads nothing; ``stdout`` and ``stderr`` are descriptors,
    by default ours."""
    if not FORKS:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    if module not in _forges:
        _forges[module] = _Forge(module)
    outputs = (1 if stdout is None else stdout, 2 if stderr is None else stderr)
    return _forges[module].start(arguments, env, outputs)


class Forked:
    """A process, with what tests need of :class:`subprocess.Popen`."""

    def __init__(self, forge: _Forge, pid: int) -> None:
        self._forge, self.pid = forge, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._forge.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            Event().wait(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = subprocess.Popen[bytes] | Forked


class _Forge:
    """The process that has loaded the modules, and our line to it."""

    def __init__(self, module: str) -> None:
        self._line, theirs = socket.socketpair()
        command = [sys.executable, str(Path(__file__).resolve()), module, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._answers = self._line.makefile("rb")
        self._lock = Lock()
        atexit.register(self._close)

    def start(self, arguments: tuple[str, ...], env: Mapping[str, str], outputs: tuple[int, int]) -> Forked:
        """What came of it. ``outputs``: descriptors of its standard output and error."""
        with open(os.devnull, "rb") as nothing:
            asked = {"start": arguments, "env": dict(env), "cwd": os.getcwd()}
            return Forked(self, self.ask(asked, (nothing.fileno(), *outputs)))

    def ask(self, asked: dict[str, Any], descriptors: Sequence[int] = ()) -> Any:
        """Its answer; it gets the descriptors, too."""
        message = json.dumps(asked).encode("ascii") + b"\n"
        with self._lock:
            sent = socket.send_fds(self._line, [message], descriptors) if descriptors else 0
            self._line.sendall(message[sent:])
            return json.loads(self._answers.readline())

    def _close(self) -> None:
        self._answers.close()
        self._line.close()
        self._process.wait()


_forges: dict[str, _Forge] = {}


# --- in the process that has loaded them --------------------------------------------------------------------


def _serve(line: socket.socket) -> bool:
    """Fork when asked; True in the child, and False once nobody asks any more."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, 65536, 3)
        while message and not message.endswith(b"\n"):
            message += line.recv(65536)
        if not message:
            return False
        asked = json.loads(message)
        if "start" in asked:
            answer: int | None = os.fork()
            if not answer:
                line.close()
                _become(asked, descriptors)
                return True
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            pid, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        line.sendall(json.dumps(answer).encode("ascii") + b"\n")


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """What the kernel of the operating system and the interpreter do at the start of a process."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv[1:] = asked["start"]
    sys.path[0] = asked["cwd"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.reload(importlib.import_module("stablenew_api.faults"))  # it looks at the environment once


def main() -> object:
    """Load, then fork until nobody asks any more. Returns the exit code: ours, or that of what we became."""
    module, line = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    sys.path[0] = os.getcwd()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    whole: Callable[[], object] = importlib.import_module(LOADED[module][0]).main
    for name in LOADED[module]:
        importlib.import_module(name)
    from stablenew_api.discovery import installed

    for plugin in installed():
        plugin.load()
    gc.freeze()
    return whole() if _serve(line) else 0


if __name__ == "__main__":
    sys.exit(main())
