"""What the parts of the kernel share: the store, the live state, and how to get a thing done in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from stablenew_api.clock import Clock
from stablenew_api.datafolder import DataFolder
from stablenew_api.host import PluginHost
from stablenew_kernel.app.board import RunBoard
from stablenew_kernel.app.bulletin import Bulletin
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store import meta
from stablenew_kernel.store.database import Database
from stablenew_proto.v1 import kernel_pb2 as pb

if TYPE_CHECKING:
    from stablenew_kernel.app.delivery import Delivery
    from stablenew_kernel.app.dispatcher import Dispatcher

NODE_PATIENCE = 5.0
"""Seconds for an agent on this machine to start and dial."""

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class Core:
    """One a kernel. Lives on its loop."""

    data: DataFolder
    settings: Settings
    host: PluginHost
    database: Database
    clock: Clock
    threads: ThreadPoolExecutor
    board: RunBoard = field(default_factory=RunBoard)
    bulletin: Bulletin = field(default_factory=Bulletin)
    dispatcher: Dispatcher = field(init=False)
    """Replaced when the kernel begins anew after its disk refused a commit."""
    delivery: Delivery = field(init=False)
    paused_reason: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    """What cannot be written now, by who found out."""
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """A node has been in touch, or none is on its way here."""

    @property
    def problem(self) -> str:
        """What cannot be written now; empty when all is well."""
        return "; ".join(dict.fromkeys(self.problems.values()))

    def set_problem(self, source: str, text: str) -> None:
        """Something cannot be written (or can again: empty). Nothing is lost; it is tried again."""
        if text and text != self.problems.get(source):
            log.error("%s", text)
        self.problems.pop(source, None)
        if text:
            self.problems[source] = text

    def now(self) -> str:
        """The time, as the database writes it."""
        return meta.timestamp(self.clock)

    def queue(self) -> pb.QueueSummary:
        """The queue as a whole, for clients."""
        return self.board.queue(self.dispatcher.coordinator.paused, self.paused_reason)

    def tell_queue(self) -> None:
        """The queue's counts or its pause changed."""
        if self.bulletin:
            self.bulletin.queue(self.queue())

    def settle(self, run_id: str) -> None:
        """Counts of a live run changed: tell, or have it ended if nothing is left of it."""
        run = self.board.get(run_id)
        if run is None:
            return
        if run.settled:
            self.delivery.end_run(run_id)
        else:
            self.bulletin.run(run.to_proto())

    async def meet_node(self) -> None:
        """Wait a moment for the agent that was started with us: who asks in that moment is not to hear that
        there is no node."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NODE_PATIENCE):
                await self.met.wait()

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call what blocks."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)
