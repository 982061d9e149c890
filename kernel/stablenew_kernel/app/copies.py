"""Removes the store's copies of images that have long stood in their run's folder, so that the data folder does
not grow for ever."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial

from stablenew_kernel.app.core import Core
from stablenew_kernel.store import outputs
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.errors import StoreError

log = logging.getLogger(__name__)

EVERY = 24 * 3600.0
"""Seconds between two looks."""
AT_ONCE = 10_000
"""Files that are asked about together: others get at the database in between."""


class CopyKeeping:
    """Lives on the loop; looks when the kernel starts, then once a day. What it does not get done it does then.

    A copy goes when nobody sent it, made it again or was told that it is here for so many days, and nothing
    that is going on needs it: see :func:`stablenew_kernel.store.outputs.needed`.
    """

    def __init__(self, core: Core, artifacts: ArtifactStore) -> None:
        self._core = core
        self._artifacts = artifacts
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._daily(), name="remove-copies")

    async def stop(self) -> None:
        """End, in the middle if need be."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _daily(self) -> None:
        while True:
            try:
                files, size = await self.sweep() if self._core.settings.keep_copies_days else (0, 0)
                if files:
                    log.info("removed %d copies of saved images, %.1f GB", files, size / 1e9)
            except StoreError as error:
                log.error("copies of saved images stay for now: %s", error)
            await asyncio.sleep(EVERY)

    async def sweep(self) -> tuple[int, int]:
        """How many files were removed, and their bytes."""
        core = self._core
        limit = core.clock.now() - timedelta(days=core.settings.keep_copies_days)
        old = await core.in_thread(self._artifacts.unused_since, limit.timestamp())
        removed = freed = 0
        for at in range(0, len(old), AT_ONCE):
            some = old[at : at + AT_ONCE]
            needed = await core.database.read_async(
                partial(outputs.needed, digests=some, since=limit.isoformat(timespec="milliseconds"))
            )
            for digest in some:
                if digest not in needed:
                    size = await core.in_thread(self._artifacts.remove_unused, digest, limit.timestamp())
                    removed += size is not None
                    freed += size or 0
        return removed, freed
