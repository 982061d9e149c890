"""One worker process: bytes to lines, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from typing import Any, Protocol

log = logging.getLogger(__name__)

STDERR_KEPT = 8 * 1024
"""Bytes of a worker's standard error that are kept, to explain its death."""

# mypy looks at one platform at a time, and only an `if` statement tells it which.
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0

WORKER_COMMAND = (sys.executable, "-m", "stablenew_agent.worker")


class WorkerEvents(Protocol):
    """Who hears a worker process. All calls are on the loop."""

    def line(self, data: bytes) -> None:
        """One line. Raises ValueError, KeyError or TypeError when it makes no sense; the worker is killed
        then."""

    def died(self, process: WorkerProcess, code: int | None, stderr: str) -> None:
        """It is gone, and all it wrote was read."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """The process. :meth:`start` it; it says itself when it has ended."""

    def __init__(self, index: int, events: WorkerEvents) -> None:
        self._index = index
        self._events = events
        self._rest = b""
        self._stderr = bytearray()
        self._transport: Any = None
        self._stdin: Any = None
        self._exited = self._drained = False
        self.pid = 0
        self.loaded = False
        """It told its slot what it found: it takes jobs now."""
        self.doomed = False
        """We killed it."""

    async def start(self) -> None:
        """Start it. Raises OSError if the system does not."""
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *WORKER_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=_CREATION_FLAGS,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = transport
        self._stdin = self._transport.get_pipe_transport(0)
        self.pid = self._transport.get_pid()

    def write(self, data: bytes) -> None:
        """Send one line. To a worker that is just dying it is lost; its death is told soon."""
        self._stdin.write(data)

    def close(self) -> None:
        """Close its input: it ends at once."""
        self._stdin.close()

    def kill(self) -> None:
        """Kill it."""
        self.doomed = True
        try:
            self._transport.kill()
        except ProcessLookupError:
            return  # it was faster

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Output."""
        if fd == 2:
            self._stderr += data
            del self._stderr[:-STDERR_KEPT]
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._events.line(line)
            except (ValueError, KeyError, TypeError):
                log.exception("worker %d wrote what is no line of ours and is killed", self._index)
                self.kill()
                return

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """One of its pipes ended."""
        if fd == 1:
            self._drained = True
            self._maybe_dead()

    def process_exited(self) -> None:
        """It ended; lines may still be in the pipe."""
        self._exited = True
        self._maybe_dead()

    def _maybe_dead(self) -> None:
        if self._exited and self._drained:
            code = self._transport.get_returncode()
            self._transport.close()
            self._events.died(self, code, bytes(self._stderr).decode("utf-8", "replace"))


def exit_text(code: int | None) -> str:
    """How a process ended, for people."""
    if code is not None and code < 0 and os.name == "posix":
        return f"signal {-code}"
    return f"exit code {code}"
