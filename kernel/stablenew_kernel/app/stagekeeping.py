"""Removes images between stages once nobody will go on from them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from stablenew_api.jobs import Artifact
from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.link import ReleaseImages, StagesForgotten
from stablenew_kernel.store import stages
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Connection
from stablenew_kernel.store.errors import StoreError

log = logging.getLogger(__name__)


class StageKeeping:
    """Lives on the loop. What it does not get done it does at the next start."""

    def __init__(self, core: Core, artifacts: ArtifactStore) -> None:
        self._core = core
        self._artifacts = artifacts
        self._tasks: set[asyncio.Task[None]] = set()

    def released(self, effect: ReleaseImages) -> None:
        """A job is done, or these images came too late."""
        self._begin([effect.job_id] if effect.job_id else [], effect.images)

    async def sweep(self) -> None:
        """Look for what is kept in vain: at the start, and when jobs were cleared."""
        before = (self._core.clock.now() - timedelta(days=stages.KEPT_DAYS)).isoformat(timespec="milliseconds")
        job_ids = await self._core.database.read_async(lambda connection: stages.over(connection, before))
        if job_ids:
            self._core.dispatcher.feed(StagesForgotten(tuple(job_ids)))
            self._begin(job_ids, ())

    async def stop(self) -> None:
        """Finish what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, job_ids: Sequence[str], images: Sequence[Artifact]) -> None:
        task = asyncio.create_task(self._remove(job_ids, images), name="remove-stage-images")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _remove(self, job_ids: Sequence[str], images: Sequence[Artifact]) -> None:
        def look(connection: Connection) -> set[str]:
            found = [*images, *stages.images_of(connection, job_ids)]
            return {image.sha256 for image in found} - stages.in_use(connection, job_ids)

        try:
            # On the writer, behind every commit decided so far.
            digests = await self._core.database.write_async(look)
            for digest in digests:
                await self._core.in_thread(self._artifacts.remove, digest)
            if job_ids:
                await self._core.database.write_async(lambda connection: stages.forget(connection, job_ids))
        except StoreError as error:
            log.error("images between stages stay for now: %s", error)
