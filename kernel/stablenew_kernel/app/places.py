"""What the randomizer keeps between runs: kept with a run, shown, forgotten."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial

from stablenew_api.jobs import JsonValue
from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.plan import PlanMemory
from stablenew_kernel.store import places
from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)


class PlaceDesk:
    """What clients ask about places; see ``kernel.proto``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.moving = asyncio.Lock()
        """Held from the look whether a plan's places still hold to the commit of its run. So the check in the
        transaction (:func:`~stablenew_kernel.store.places.advance`) finds nothing wrong, and no job is offered
        of a run that then is not queued."""

    async def hold(self, memory: PlanMemory) -> bool:
        """Whether all is still as the plan found it."""
        if not memory.slots:
            return True
        return await self._core.database.read_async(partial(places.hold, memory=memory))

    async def list_places(self, request: pb.ListPlacesRequest) -> pb.ListPlacesResponse:
        """What is kept, in plain words."""
        rows = await self._core.database.read_async(
            lambda connection: places.list_places(connection, request.pack, request.slot)
        )
        return pb.ListPlacesResponse(
            places=[
                pb.Place(
                    pack=row.pack,
                    slot=row.slot,
                    mode=row.mode,
                    state=self._describe(row.mode, row.kept),
                    changed_at=row.changed_at,
                    kept_json=json.dumps(row.kept, ensure_ascii=False).encode("utf-8"),
                )
                for row in rows
            ]
        )

    async def reset(self, request: pb.ResetPlacesRequest) -> pb.ResetPlacesResponse:
        """Forget it: the next run begins anew."""
        async with self.moving:
            count = await self._core.database.write_async(
                lambda connection: places.reset(connection, request.pack, request.slot)
            )
        return pb.ResetPlacesResponse(reset=count)

    def _describe(self, mode: str, kept: JsonValue) -> str:
        strategy = self._core.host.randomizers.get(mode)
        if strategy is None:
            return f"kept for the mode {mode}, which no plugin provides now"
        try:
            return strategy().describe(kept)
        except Exception as error:  # a plugin's: the list is shown all the same
            log.exception("randomizer %s: describe failed", mode)
            return f"the plugin of mode {mode} cannot say it: {error!r}"
