"""How a planned run gets into the store.

A short run goes there in one transaction, and its jobs are offered to nodes at that very moment: the nodes work
while the disk does. A long one goes there a piece at a time, hidden until the last piece is there, so that the
commits of everybody else come in between; it is there as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

from stablenew_api.faults import crash_point
from stablenew_api.ids import uuid7
from stablenew_kernel.app.board import run_message
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.dispatcher import LEASES_WAIT
from stablenew_kernel.domain.link import QueueChanged, QueuedJob
from stablenew_kernel.domain.naming import run_folder
from stablenew_kernel.domain.plan import Plan
from stablenew_kernel.store import changes, jobs, meta, places, runs
from stablenew_kernel.store.database import Connection
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.runfolder import RunFolder

log = logging.getLogger(__name__)

PIECE = 250
"""Jobs of a long run in one transaction: some 10 ms, for which the commits of others wait."""

SHORT = 0.002
"""Seconds. Where jobs take less, the results of a run of a few jobs come before anybody has read that it was
queued: its commit waits for theirs, as its leases do. Then it goes to the disk once, and the answer to whoever
submitted it is not in the way of the result."""

Inserted = tuple[runs.RunRow, dict[str, int]]
"""A run as it is in the store now, and the counts of the whole queue."""


@dataclass(slots=True)
class NewRun:
    """A run that is about to be queued: all that can be wrong with it was looked at."""

    plan: Plan
    row: runs.NewRun
    """Its folder's path is empty until :meth:`make_folder`."""
    started: datetime
    parent: Path
    """Of the run's folder."""
    new: tuple[jobs.NewJob, ...] = ()
    """All jobs, if they are written in one transaction; none of a long run, whose jobs are made piece by
    piece."""
    queued: tuple[QueuedJob, ...] = ()
    """Likewise, for the dispatcher."""
    folder: RunFolder | None = None

    def __post_init__(self) -> None:
        if self.plan.count <= jobs.CHUNK:
            self.new = tuple(self.new_jobs())
            self.queued = tuple([job.queued(self.row.run_id, self.row.priority) for job in self.new])

    def new_jobs(self) -> Iterator[jobs.NewJob]:
        """The jobs, made one by one."""
        for job in self.plan.jobs:
            yield jobs.NewJob.of(uuid7(self.started), job.index, job.spec)

    def make_folder(self) -> None:
        """Make the run's folder. Last, so that nobody finds an empty folder of a run that was refused.
        Raises StoreError."""
        name = run_folder(self.started.astimezone(), self.plan.name)
        self.folder = RunFolder.create(self.parent, name, self.row.run_id)
        self.row = replace(self.row, folder=str(self.folder.path))

    def discard_folder(self) -> None:
        """It is not queued after all."""
        if self.folder is not None:
            self.folder.discard()


class Adder:
    """Adds runs to the store, and makes them known. Lives on the loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tidying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to do away with what a kernel left that died while it added a long run. Nobody has seen it, and
        it is in nobody's way."""
        if left := await self._core.database.read_async(runs.hidden):
            self._tidying = asyncio.create_task(self._put_away_all(left), name="put-away")

    async def stop(self) -> None:
        """Leave the rest of it to the next start."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])

    async def add(self, run: NewRun) -> None:
        """Write a run whose folder is there, and make it known. Its folder goes if that fails."""
        try:
            inserted = await (self._insert(run) if run.new else self._insert_long(run))
        except BaseException:  # nobody is to find an empty folder of a run that is not there
            await self._core.in_thread(run.discard_folder)
            raise
        self._take_over(*inserted)
        if not run.new:
            self._core.dispatcher.feed(QueueChanged())

    def add_at_once(self, run: NewRun) -> asyncio.Future[Inserted]:
        """Write a few jobs, and make their folder. The future resolves after the commit, with all done that
        goes with it.

        The dispatcher knows them already, and offers them while they and their folder are on their way to the
        disk. What it then writes of them is queued behind them, since it writes nothing in the step in which it
        is fed. Should they not get there, memory is ahead of the disk and the kernel begins anew: nodes are
        told to drop what they were offered (see :mod:`.dispatcher`). So this is for what hardly ever fails.
        """
        at, dispatcher = self._core.now(), self._core.dispatcher

        def insert(connection: Connection) -> Inserted:
            run.make_folder()
            return _insert(connection, run, at)

        def ended(done: asyncio.Future[Inserted]) -> None:
            if done.cancelled():
                return
            if error := done.exception():
                run.discard_folder()
                dispatcher.fail(error)
            else:
                self._take_over(*done.result())

        dispatcher.feed(QueueChanged(run.queued))
        patience = LEASES_WAIT if 0 < dispatcher.coordinator.job_seconds < SHORT else 0.0
        future = self._core.database.write_async(insert, begin=False, patience=patience)
        future.add_done_callback(ended)
        # In the next turn of the loop, behind the tasks that write the offers to the nodes: were the writer
        # woken now, it would take the interpreter from them.
        asyncio.get_running_loop().call_soon(self._core.database.begin)
        return future

    def _take_over(self, row: runs.RunRow, counts: dict[str, int]) -> None:
        """A run is in the store: know it. In the very step in which its commit comes back, so that nothing that
        was committed behind it is heard of before."""
        core = self._core
        crash_point("kernel.submit.after_commit")
        core.delivery.take_up(row.run_id)
        core.board.put(row)
        core.board.set_totals(counts)
        core.bulletin.run(run_message(row))
        core.tell_queue()

    def _insert(self, run: NewRun) -> asyncio.Future[Inserted]:
        """Write a short run. The dispatcher knows its jobs, and may offer them, while their commit is still
        being synced; the future resolves after it."""
        core, loop = self._core, asyncio.get_running_loop()
        at, offered = core.now(), False

        def insert(connection: Connection) -> Inserted:
            inserted = _insert(connection, run, at)
            loop.call_soon_threadsafe(offer)  # last: what is left to do here is to wait for the disk
            return inserted

        def offer() -> None:
            nonlocal offered
            offered = True
            core.dispatcher.feed(QueueChanged(run.queued))

        def ended(done: asyncio.Future[Inserted]) -> None:
            if offered and not done.cancelled() and (error := done.exception()):
                core.dispatcher.fail(error)

        future = core.database.write_async(insert)
        future.add_done_callback(ended)
        return future

    async def _insert_long(self, run: NewRun) -> Inserted:
        """Write a long run piece by piece, each in a transaction of its own, and reveal it with the last one.
        A piece is made while the one before it is written; no more than these two are in memory."""
        core, at, run_id = self._core, self._core.now(), run.row.run_id
        write = core.database.write_async
        new_jobs = run.new_jobs()

        def make() -> list[jobs.NewJob]:
            return list(islice(new_jobs, PIECE))

        def insert(connection: Connection, piece: list[jobs.NewJob], first: int) -> None:
            crash_point("kernel.submit.before_commit")
            jobs.insert_jobs(connection, run_id, piece, at=at, hidden_from=first)

        def reveal(connection: Connection) -> Inserted:
            crash_point("kernel.submit.before_commit")
            runs.reveal(connection, run_id)
            places.advance(connection, run.plan.memory, at)
            return _inserted(connection, run_id)

        first = await write(partial(runs.begin_hidden, run=run.row, total=run.plan.count, at=at))
        try:
            piece = await core.in_thread(make)
            while piece:
                written = write(partial(insert, piece=piece, first=first))
                piece, _ = await asyncio.gather(core.in_thread(make), written)
            return await write(reveal)
        except Exception:
            try:
                await self._put_away(run_id)
            except StoreError as error:  # still hidden; the next start puts it away
                log.error("%s", error, extra={"run_id": run_id})
            raise

    async def _put_away_all(self, run_ids: Sequence[str]) -> None:
        try:
            for run_id in run_ids:
                log.warning("a run that was not queued to the end is put away", extra={"run_id": run_id})
                await self._put_away(run_id)
        except StoreError as error:  # the next start tries again
            log.error("%s", error)

    async def _put_away(self, run_id: str) -> None:
        """Do away with a hidden run, in turns with the commits of others."""
        at, start = self._core.now(), 0
        while True:
            start = await self._core.database.write_async(
                partial(
                    changes.put_away, run_id=run_id, start=start, at=at, why="its run was not queued to the end"
                )
            )
            if not start:
                return


def _insert(connection: Connection, run: NewRun, at: str) -> Inserted:
    crash_point("kernel.submit.before_commit")
    runs.insert_run(connection, run.row, at)
    places.advance(connection, run.plan.memory, at)
    jobs.insert_jobs(connection, run.row.run_id, run.new, at=at)
    return _inserted(connection, run.row.run_id)


def _inserted(connection: Connection, run_id: str) -> Inserted:
    return runs.get(connection, run_id), meta.queue_state(connection).counts
