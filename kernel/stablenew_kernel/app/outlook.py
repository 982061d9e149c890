"""How long until each live run, and all of the queue, is done: looked up now and then, told to who watches."""

from __future__ import annotations

import asyncio
import contextlib

from stablenew_kernel.app.core import Core
from stablenew_kernel.app.forecast import Forecaster

INTERVAL = 1.0
"""Seconds between two looks. Nobody reads faster, and no change of a job costs one."""


class Outlook:
    """Keeps the seconds of the live runs up to date. Lives on the loop."""

    def __init__(self, core: Core, forecaster: Forecaster) -> None:
        self._core = core
        self._forecaster = forecaster
        self._at = float("-inf")
        """Monotonic: when the last look began."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look while somebody watches."""
        self._task = asyncio.create_task(self._run(), name="outlook")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Look, unless that was done a moment ago."""
        core, now = self._core, self._core.clock.monotonic()
        if now - self._at < INTERVAL or not any(core.board):
            return
        self._at = now
        seconds, total = await self._forecaster.left()
        for run in core.board:
            run.seconds = seconds.get(run.row.run_id, 0.0)
        core.board.seconds = total

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            if self._core.bulletin:
                await self._tell()

    async def _tell(self) -> None:
        """Look, and tell what has changed by a second or more."""
        board, bulletin = self._core.board, self._core.bulletin
        before = {run.row.run_id: round(run.seconds) for run in board}
        total = round(board.seconds)
        await self.refresh()
        for run in board:
            if round(run.seconds) != before.get(run.row.run_id):
                bulletin.run(run.to_proto())
        if round(board.seconds) != total:
            self._core.tell_queue()
