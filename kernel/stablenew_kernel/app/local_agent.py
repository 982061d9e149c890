"""The agent on the kernel's own machine, so that one machine and ten go through the same path."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

AGENT_MODULE = "stablenew_agent.main"
"""Run as ``python -m``: the kernel knows the agent by name only."""

LOST_AFTER = 120
"""Seconds after which an agent that we left behind (kill -9) gives up waiting for the next kernel."""

RESTART_DELAY = 1.0
"""Seconds before an agent that ended is started again; twice as long each time, unless it ran for a while."""

_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # exists on Windows only


class LocalAgent:
    """Keeps one agent process running while the kernel runs.

    An agent left over from a kernel that was killed goes on working and dials the new kernel. Ours then finds
    its state folder locked and exits; it is started again after a while, in case the other one goes.
    """

    def __init__(self, data: Path, slots: int, backend: str, options: Sequence[str] = ()) -> None:
        self._command = [
            sys.executable,
            "-m",
            AGENT_MODULE,
            "--data",
            str(data),
            "--name",
            "local",
            "--slots",
            str(slots),
            "--backend",
            backend,
            "--exit-after-lost",
            str(LOST_AFTER),
            *(word for option in options for word in ("--backend-option", option)),
        ]
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, and start it again whenever it ends."""
        self._task = asyncio.create_task(self._supervise(), name="local-agent")

    async def _supervise(self) -> None:
        delay = RESTART_DELAY
        while True:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            # A group of its own: Ctrl-C in a terminal is for the kernel, which then stops the agent in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                creationflags=_NEW_GROUP,
                start_new_session=sys.platform != "win32",
            )
            code = await self._process.wait()
            delay = RESTART_DELAY if loop.time() - begun > 60 else min(30.0, delay * 2)
            log.warning("the local agent ended with code %d; starting it again in %.0f s", code, delay)
            await asyncio.sleep(delay)

    async def stop(self, grace: float = 5.0) -> None:
        """Ask it to end, and end it after ``grace`` seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(grace):
                await process.wait()
        except TimeoutError:
            log.warning("the local agent did not end within %.0f s and is killed", grace)
            process.kill()
            await process.wait()
