"""The agent: everything put together on one asyncio loop.

The :class:`~stablenew_agent.session.AgentSession` decides; this shell turns frames, worker lines and time into
its events and carries out its effects. The two threads besides the loop (telemetry, gRPC's own) only hand
things over.

A result's way: worker line -> upload of its files -> ``Finished`` -> fact -> outbox (one transaction for all
facts of this turn of the loop) -> frame -> ack -> deleted. At each arrow the agent may be killed, and the image
is still stored exactly once: before the outbox the kernel has no result and runs the job again, after it the
fact is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

from stablenew_agent import session as s
from stablenew_agent.backoff import Backoff, give_up
from stablenew_agent.dial import Link, LinkEnd
from stablenew_agent.identity import Identity
from stablenew_agent.outbox import Outbox
from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.pool import WorkerPool
from stablenew_agent.pool.reports import Inventory, StageFiles, StepReport, WorkerResult
from stablenew_agent.pool.setup import WorkerSetup
from stablenew_agent.pool.slot import JOBS_A_WORKER
from stablenew_agent.telemetry import Telemetry, host_name, operating_system
from stablenew_agent.transfer import NotThere, Transfer, TransferError
from stablenew_api.backend import BackendIdentity, Capabilities
from stablenew_api.errors import StableNewError
from stablenew_api.faults import crash_point
from stablenew_api.jobs import Artifact, Failure, FailureKind, JsonValue
from stablenew_api.leases import MAX_PREFETCH, LeaseKey, LeaseState, Offer, Outcome, StageResult
from stablenew_api.probe import Probe
from stablenew_client import wire
from stablenew_proto.options import PROTOCOL_MINOR, STAGE_RESULTS
from stablenew_proto.v1 import agent_link_pb2 as pb

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at what is overdue."""

INVENTORY_TIMEOUT = 60.0
"""Seconds the first dial waits for a worker to tell what this node can run. Loading diffusers takes its time;
after this long the kernel is told that there is a node with a problem, which beats no node at all."""

KEEP_WAIT = 10.0
"""Seconds that the end of a job waits for what it has between stages to be at the kernel."""

LAST_UPLOADS = 2.0
"""Seconds that uploads under way get when the agent is told to stop at once."""

NO_INPUTS = b'{"inputs":[],'
"""How the canonical JSON of a job without inputs begins (its keys are sorted): saves reading the spec here."""


class Refused(StableNewError):
    """The kernel will not work with this agent, and dialling again cannot help."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What an agent is told at its start."""

    name: str
    slots: int
    state: Path
    """Folder of our own: identity, outbox, files in the making."""
    address: Callable[[], str | None]
    """The kernel's host:port, asked before each dial; None while nobody knows."""
    where: str
    """Where the address comes from, for people: ``127.0.0.1:7787`` or a path."""
    shared: Path | None
    """The folder of the agents, if the kernel has the same one: it is on this machine then. None: not known.
    (An address on loopback does not prove it: an SSH tunnel ends there too.)"""
    setup: WorkerSetup
    probes: tuple[Probe, ...] = ()
    exit_after_lost: float | None = None
    """End after so many seconds without a kernel, once nothing runs. None: never."""


class Agent:
    """One agent process. :meth:`run` returns why it ended."""

    def __init__(self, options: AgentOptions, identity: Identity, outbox: Outbox, rng: random.Random) -> None:
        """Does no I/O but for the staging folder, which is emptied: what is in it belongs to jobs that this
        process does not hold, so the kernel has queued them again, or to facts that are already uploaded."""
        self._options = options
        self._identity = identity
        self._outbox = outbox
        self._rng = rng
        self._staging = options.state / "staging"
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True, exist_ok=True)
        facts = outbox.load()
        self._session = s.AgentSession(
            options.slots, MAX_PREFETCH, facts, outbox.next_fact_id, ahead=options.slots * (JOBS_A_WORKER - 1)
        )
        self._messages: dict[int, pb.Fact] = {fact.fact_id: wire.fact_to_proto(fact) for fact in facts}
        self._pool = WorkerPool(options.slots, options.setup, self)
        self._transfer = Transfer(options.address, rng, options.shared)
        self._telemetry = Telemetry(options.probes, options.state, self._gpus_changed)
        self._backoff = Backoff.for_peer(rng, options.shared is not None)

        self._events: deque[s.Event] = deque()
        self._handling = False
        self._hello: pb.Hello | None = None
        self._link: Link | None = None
        self._link_epoch = 0
        self._redial = asyncio.Event()
        self._report_interval = 2.0
        self._last_linked: float | None = None
        """None until the first dial: while the workers load, no kernel is missed."""
        self._announced: Inventory | None = None
        self._inventory: Inventory | None = None
        self._inventory_known = asyncio.Event()

        self._unstored: list[pb.Fact] = []
        self._unsent: list[tuple[int, int]] = []
        self._forget_up_to = 0
        self._flush_planned = False
        self._outbox_problem = ""

        self._busy: dict[LeaseKey, asyncio.Task[None]] = {}
        """Leases whose inputs are being fetched or whose outputs are being uploaded."""
        self._keeping: dict[LeaseKey, set[asyncio.Task[None]]] = {}
        """Uploads of what is between stages."""
        self._inputs: dict[LeaseKey, list[Path]] = {}
        self._files: dict[LeaseKey, list[Path]] = {}
        self._fact_files: dict[int, list[Path]] = {}
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._stopping = False

    # --- life ----------------------------------------------------------------------------------------------

    async def run(self) -> str:
        """Work until told to end; return the reason. Raises Refused, UserError."""
        self._telemetry.start()
        self._pool.start()
        dialler = asyncio.create_task(self._dial(), name="dialler")
        ticker = asyncio.create_task(self._tick(), name="ticker")
        reporter = asyncio.create_task(self._report_for_ever(), name="reporter")
        for task in (dialler, ticker, reporter):
            task.add_done_callback(self._background_ended)
        try:
            reason = await self._over
            log.info("ending: %s", reason)
            return reason
        finally:
            await self._wind_up(dialler, [ticker, reporter])

    def ask_to_stop(self, reason: str) -> None:
        """First time: give back what waits, finish what runs, then end. Second time: :meth:`stop_now`."""
        if self._stopping:
            self.stop_now(reason)
            return
        self._stopping = True
        log.info("stopping after the jobs that run (%s); ask again to stop at once", reason)
        self._feed(s.StopAsked(reason))
        self._report()

    def stop_now(self, reason: str) -> None:
        """End: kill what runs. The kernel learns from our Goodbye that it is free to give the jobs to
        others."""
        self._stopping = True
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._over.done():
            self._over.set_exception(error)

    async def _wind_up(self, dialler: asyncio.Task[None], others: list[asyncio.Task[None]]) -> None:
        """End everything, in the order in which it may still produce facts."""
        for task in others:
            task.cancel()
        self._telemetry.stop()
        await self._pool.stop()
        uploads = [*self._busy.values(), *(task for tasks in self._keeping.values() for task in tasks)]
        if uploads:
            await asyncio.wait(uploads, timeout=LAST_UPLOADS)
            for task in uploads:
                task.cancel()
        await asyncio.gather(*uploads, *others, return_exceptions=True)
        self._flush()
        if self._link is not None and self._session.linked:
            self._link.say_goodbye("stopped")
            await asyncio.wait([dialler], timeout=5.0)
        dialler.cancel()
        await asyncio.gather(dialler, return_exceptions=True)
        await self._transfer.close()
        self._outbox.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._feed(s.Tick())
            if self._forget_up_to or self._unstored:
                self._flush()  # acked facts of an idle agent, and new ones behind a frame that does not leave
            now = self._loop.time()
            if self._session.linked:
                self._last_linked = now
            elif (
                self._options.exit_after_lost is not None
                and self._last_linked is not None
                and now - self._last_linked >= self._options.exit_after_lost
                and not self._session.live_leases()
            ):
                # Facts that nobody has acked stay on disk; the next agent of this state folder sends them.
                self._end(f"no kernel for {self._options.exit_after_lost:g} s, and nothing runs")

    # --- the link ------------------------------------------------------------------------------------------

    async def _dial(self) -> None:
        """Dial, and dial again, until the agent ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INVENTORY_TIMEOUT):
                await self._inventory_known.wait()
                await asyncio.to_thread(self._telemetry.first.wait, 5.0)
        self._last_linked = self._loop.time()
        last_text = ""
        while True:
            self._redial.clear()
            end = await self._one_link()
            if self._over.done():
                return
            fatal = give_up(end.code, end.text)
            if fatal is not None:
                raise Refused(fatal)
            if self._redial.is_set():
                continue
            if end.welcomed:
                log.warning("lost the kernel at %s (%s)", self._options.where, end.text or end.code)
            elif end.text != last_text:
                log.warning("no kernel at %s (%s); trying again", self._options.where, end.text or end.code)
            last_text = end.text
            await asyncio.sleep(self._backoff.delay(self._loop.time()))

    async def _one_link(self) -> LinkEnd:
        address = self._options.address()
        if address is None:
            return LinkEnd("UNAVAILABLE", "no kernel has left word there", False)
        epoch = await asyncio.to_thread(self._identity.next_epoch)
        self._feed(s.Dialled(epoch))
        hello, self._hello = self._hello, None
        if hello is None:
            raise RuntimeError(f"the session has no Hello for epoch {epoch}")
        self._announced = self._inventory
        self._link = link = Link(
            address, partial(self._frame, epoch), self._flush, lambda: self._session.at_work
        )
        self._link_epoch = epoch
        try:
            return await link.run(hello)
        finally:
            self._link = None
            self._pool.watch(False)
            self._feed(s.Disconnected(epoch))

    def _frame(self, epoch: int, frame: pb.ConnectResponse) -> None:
        """A frame of the kernel. Drain comes first: with it set, offers of the same frame go back; with it
        lifted, they are welcome."""
        if frame.HasField("welcome"):
            self._welcome(epoch, frame.welcome)
        if frame.acked_fact_id:
            self._feed(s.Acked(epoch, frame.acked_fact_id))
        if frame.HasField("drain"):
            drain = frame.drain
            self._feed(s.DrainAsked(epoch, drain.draining, drain.reason, drain.exit_when_idle))
            self._report()
        if frame.offers:
            crash_point("agent.offer.received")
            self._feed(s.Offered(epoch, tuple([wire.offer_from_proto(offer) for offer in frame.offers])))
        for cancel in frame.cancels:
            self._feed(s.CancelAsked(epoch, wire.cancel_from_proto(cancel)))
        if frame.HasField("watch"):
            self._pool.watch(frame.watch.previews)

    def _welcome(self, epoch: int, welcome: pb.Welcome) -> None:
        now = self._loop.time()
        self._backoff.welcomed(now)
        self._last_linked = now
        self._report_interval = welcome.report_interval or self._report_interval
        log.info(
            "connected to the kernel at %s", self._options.where, extra={"node_id": self._identity.node_id}
        )
        self._feed(
            s.Welcomed(
                epoch,
                tuple([wire.lease_key_from_proto(lease) for lease in welcome.drop_leases]),
                self._report_interval,
                welcome.session_ttl or 15.0,
                STAGE_RESULTS in welcome.features,
            )
        )
        self._report()

    def _dial_anew(self) -> None:
        """What Hello told has changed: tell it again. The leases stay, since the new Hello lists them."""
        self._redial.set()
        if self._link is not None:
            self._link.close()

    # --- session -------------------------------------------------------------------------------------------

    def _feed(self, event: s.Event) -> None:
        """Hand an event to the session and carry out its effects. An effect may cause further events at once (a
        waiting job that is cancelled is over right away); they wait until this event's effects are done, or
        facts could overtake each other."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for effect in self._session.handle(self._events.popleft(), self._loop.time()):
                    self._do(effect)
        finally:
            self._handling = False

    def _do(self, effect: s.Effect) -> None:
        match effect:
            case s.StartJob(offer):
                self._start(offer)
            case s.StoreFact(fact):
                message = wire.fact_to_proto(fact)
                self._messages[fact.fact_id] = message
                self._unstored.append(message)
                if fact.stage is None and (files := self._files.pop(fact.lease, None)):
                    self._fact_files[fact.fact_id] = files
                self._plan_flush()
            case s.SendFacts(epoch, facts):
                self._unsent.extend([(epoch, fact.fact_id) for fact in facts])
                self._plan_flush()
            case s.ForgetFacts(up_to):
                self._forget(up_to)
            case s.CancelJob(lease, grace, reason):
                self._cancel(lease, grace, reason)
            case s.TakeBack(lease):
                self._take_back(lease)
            case s.DropJob(lease, why):
                self._drop(lease, why)
            case s.SendHello(epoch, held):
                self._hello = pb.Hello(
                    protocol_minor=PROTOCOL_MINOR,
                    node_id=self._identity.node_id,
                    epoch=epoch,
                    node=self._node_info(),
                    held_leases=[wire.held_to_proto(lease) for lease in held],
                )
            case s.Exit(reason):
                self._end(reason)

    def _plan_flush(self) -> None:
        if self._link is not None and self._session.linked:
            self._link.wake()  # its sender flushes, so storing and sending take one turn of the loop, not two
        elif not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Store the facts of this turn of the loop in one transaction, then send them. Deleting acked ones
        rides along: to forget late is harmless, the kernel acks them again."""
        self._flush_planned = False
        unsent, self._unsent = self._unsent, []
        if self._unstored or self._forget_up_to:
            stored = bool(self._unstored)
            try:
                self._outbox.append(self._unstored, self._forget_up_to)
            except sqlite3.Error as error:
                # Sent all the same: the kernel's commit is what counts, and it needs no outbox if nobody dies.
                self._trouble(f"{self._outbox.path} cannot be written ({error}); free some space on that disk")
            else:
                self._unstored = []
                self._forget_up_to = 0
                self._trouble("")
                if stored:
                    crash_point("agent.result.after_outbox")
        if self._link is not None:
            messages = [
                self._messages[fact_id]
                for epoch, fact_id in unsent
                if epoch == self._link_epoch and fact_id in self._messages
            ]
            if messages:
                self._link.send_facts(messages)

    def _trouble(self, problem: str) -> None:
        if problem != self._outbox_problem:
            if problem:
                log.error("%s", problem)
            self._outbox_problem = problem
            self._report()

    def _forget(self, up_to: int) -> None:
        self._forget_up_to = up_to
        for fact_id in _first_up_to(self._messages, up_to):
            del self._messages[fact_id]
        for fact_id in _first_up_to(self._fact_files, up_to):
            _remove(self._fact_files.pop(fact_id))

    # --- jobs ----------------------------------------------------------------------------------------------

    def _start(self, offer: Offer) -> None:
        lease = offer.lease
        if offer.resume is None and offer.spec.startswith(NO_INPUTS):
            self._run(offer, [])
        else:
            self._busy[lease] = self._in_background(lease, self._fetch(offer))

    def _run(self, offer: Offer, inputs: Iterable[Path], resume: Mapping[str, JsonValue] | None = None) -> None:
        lease = offer.lease
        self._busy.pop(lease, None)  # its inputs are here: from now on a cancel is for the worker
        out = str(self._staging / f"{lease.job_id}-{lease.attempt}")
        job = Job(lease, offer.spec, offer.run_timeout, out, [str(path) for path in inputs], resume)
        self._pool.run(job)

    async def _fetch_stages(self, offer: Offer) -> Mapping[str, JsonValue] | None:
        """What others have made of this job; None: it cannot be had, so it begins at its first stage."""
        lease, result = offer.lease, offer.resume
        if result is None:
            return None
        paths = [
            self._staging / f"{lease.job_id}-{lease.attempt}-done{index}" for index in range(len(result.images))
        ]
        self._inputs[lease] = paths
        try:
            report = json.loads(result.report)
            for artifact, path in zip(result.images, paths, strict=True):
                await self._transfer.download(artifact, path)
        except (ValueError, TransferError, OSError) as error:
            log.warning("a job begins at its first stage: what was kept of it is not to be had (%s)", error)
            _remove(paths)
            return None
        return {"stages": result.stages, "images": [str(path) for path in paths], "report": report}

    async def _fetch(self, offer: Offer) -> None:
        lease = offer.lease
        if (resume := await self._fetch_stages(offer)) is not None:
            self._run(offer, [], resume)
            return
        try:
            artifacts = [Artifact.from_json(entry) for entry in json.loads(offer.spec)["inputs"]]
            paths = [
                self._staging / f"{lease.job_id}-{lease.attempt}-in{index}" for index in range(len(artifacts))
            ]
            self._inputs[lease] = paths
            for artifact, path in zip(artifacts, paths, strict=True):
                await self._transfer.download(artifact, path)
        except (ValueError, KeyError, TypeError) as error:
            self._fail(lease, FailureKind.BAD_INPUT, f"the job cannot be read ({error!r})")
        except NotThere as error:
            why = "the kernel has not the image that this job starts from any more; run it on that image again"
            self._fail(lease, FailureKind.BAD_INPUT, f"{why} ({error})")
        except (TransferError, OSError) as error:
            self._fail(lease, FailureKind.BACKEND, f"the job's inputs could not be fetched: {error}")
        else:
            self._run(offer, paths)

    def started(self, lease: LeaseKey) -> None:
        """A worker has begun with the job."""
        self._feed(s.Started(lease))

    def progressed(self, lease: LeaseKey, report: StepReport) -> None:
        """A job moved on."""
        if self._link is not None and self._session.linked:
            self._link.send_progress(
                pb.JobProgress(
                    lease=wire.lease_key_to_proto(lease),
                    stage=report.stage,
                    stage_index=report.stage_index,
                    stage_count=report.stage_count,
                    step=report.step,
                    steps=report.steps,
                    fraction=report.fraction,
                    eta=report.eta,
                    preview_jpeg=report.preview_jpeg,
                )
            )

    def stage_made(self, lease: LeaseKey, made: StageFiles) -> None:
        """A job is done with some of its stages, and goes on: keep that at the kernel."""
        if not self._session.keeps_stages:
            _remove([file.path for file in made.files])
            return
        task = self._loop.create_task(self._keep(lease, made), name=f"keep-{lease.job_id}-{lease.attempt}")
        self._keeping.setdefault(lease, set()).add(task)
        task.add_done_callback(partial(self._kept, lease, made))

    async def _keep(self, lease: LeaseKey, made: StageFiles) -> None:
        try:
            await self._transfer.upload(made.files)
        except (TransferError, OSError) as error:
            log.warning("what a job has between two stages is not kept: %s", error)
        else:
            crash_point("agent.stage.uploaded")
            images = tuple([file.artifact for file in made.files])
            self._feed(s.StageKept(lease, StageResult(made.stages, images, made.report)))

    def _kept(self, lease: LeaseKey, made: StageFiles, task: asyncio.Task[None]) -> None:
        tasks = self._keeping.get(lease, set())
        tasks.discard(task)
        if not tasks:
            self._keeping.pop(lease, None)
        _remove([file.path for file in made.files])
        self._background_ended(task)

    async def _finish_behind(self, lease: LeaseKey, result: WorkerResult) -> None:
        """The job is to be tried again: first let what it has go to the kernel, or nobody would know it."""
        await asyncio.wait(self._keeping[lease], timeout=KEEP_WAIT)
        self._finish(lease, _outcome(result))

    def ended(self, lease: LeaseKey, result: WorkerResult) -> None:
        """A job is over in its worker."""
        if self._link is not None:
            self._link.forget_progress(lease.job_id, lease.attempt)
        crash_point("agent.result.before_upload")
        if result.state is not LeaseState.SUCCEEDED and lease in self._keeping:
            self._busy[lease] = self._in_background(lease, self._finish_behind(lease, result))
            self._feed(s.Made(lease))
        elif result.files:
            self._files[lease] = [file.path for file in result.files]
            self._busy[lease] = self._in_background(lease, self._deliver(lease, result))
            self._feed(s.Made(lease))
        else:
            self._finish(lease, _outcome(result))

    async def _deliver(self, lease: LeaseKey, result: WorkerResult) -> None:
        try:
            await self._transfer.upload(result.files)
        except (TransferError, OSError) as error:
            self._fail(lease, FailureKind.BACKEND, f"the image could not be handed to the kernel: {error}")
        else:
            self._finish(lease, _outcome(result))

    def _fail(self, lease: LeaseKey, kind: FailureKind, message: str) -> None:
        self._finish(lease, Outcome(LeaseState.FAILED, failure=Failure(kind, message)))

    def _finish(self, lease: LeaseKey, outcome: Outcome) -> None:
        self._busy.pop(lease, None)
        if inputs := self._inputs.pop(lease, None):
            _remove(inputs)
        if outcome.state is not LeaseState.SUCCEEDED and (files := self._files.pop(lease, None)):
            _remove(files)
        crash_point("agent.result.after_upload")
        self._feed(s.Finished(lease, outcome))

    def _cancel(self, lease: LeaseKey, grace: float, reason: str) -> None:
        busy = self._busy.get(lease)
        if busy is None:
            self._pool.cancel(lease, grace, reason)
        elif lease in self._files:
            # Made already: give the upload the time that a worker would get. If it ends, the image counts.
            self._loop.call_later(grace, busy.cancel)
        else:
            busy.cancel()

    def _take_back(self, lease: LeaseKey) -> None:
        busy = self._busy.get(lease)
        if busy is None:
            self._pool.take_back(lease)
        elif lease not in self._files:
            busy.cancel()  # its inputs are still being fetched

    def _drop(self, lease: LeaseKey, why: str) -> None:
        log.info("dropping a job: %s", why, extra={"job_id": lease.job_id, "attempt": lease.attempt})
        busy = self._busy.pop(lease, None)
        if busy is not None:
            busy.cancel()
        self._pool.drop(lease)
        _remove([*self._inputs.pop(lease, []), *self._files.pop(lease, [])])

    def _in_background(self, lease: LeaseKey, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=f"{lease.job_id}-{lease.attempt}")
        task.add_done_callback(partial(self._transfer_ended, lease))
        return task

    def _transfer_ended(self, lease: LeaseKey, task: asyncio.Task[None]) -> None:
        # Told here and not in the coroutine: one that is cancelled before its first step never runs at all.
        # When the agent itself ends, nothing is told: the job was not cancelled, and the kernel gives it to
        # another node.
        if task.cancelled():
            if self._busy.get(lease) is task and not self._over.done():
                self._finish(lease, Outcome(LeaseState.CANCELLED))
        else:
            self._background_ended(task)

    # --- what this node is ---------------------------------------------------------------------------------

    def described(self, inventory: Inventory) -> None:
        """A worker told what this node can run."""
        if inventory.identity is not None or self._inventory is None:
            # A backend that stopped answering is a problem, told in the reports; what it could do stays on
            # record.
            self._inventory = inventory
        self._inventory_known.set()
        if self._link is not None and self._announced is not None and self._inventory != self._announced:
            log.info("what this node can run has changed; telling the kernel")
            self._dial_anew()
        else:
            self._report()

    def health_changed(self) -> None:
        """The workers began or ceased to have a problem."""
        if self._pool.problem:
            # Nothing will describe itself for now: let the kernel know that we are here, and what is wrong.
            self._inventory_known.set()
        self._report()

    def _gpus_changed(self) -> None:
        """In the telemetry thread: a card came or went."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._dial_anew)

    def _node_info(self) -> pb.NodeInfo:
        info = pb.NodeInfo(
            name=self._options.name,
            host_name=host_name(),
            agent_version=self._options.setup.version,
            os=operating_system(),
            slots=self._options.slots,
            loopback=self._options.shared is not None,
            gpus=wire.gpus_to_proto(self._telemetry.latest.gpus),
        )
        inventory = self._inventory
        if inventory is not None:
            info.stages.extend([pb.StageInfo(name=name, version=version) for name, version in inventory.stages])
            if inventory.identity is not None:
                can: Mapping[str, Iterable[str]] = inventory.capabilities
                info.backend.CopyFrom(
                    wire.backend_to_proto(
                        BackendIdentity(*inventory.identity),
                        Capabilities(
                            features=frozenset(can["features"]),
                            **{name: tuple(names) for name, names in can.items() if name != "features"},
                        ),
                    )
                )
        return info

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._report_interval)
            self._report()

    def _report(self) -> None:
        """Send a NodeReport, if a kernel listens."""
        if self._link is None or not self._session.linked:
            return
        problem = self._pool.problem or self._outbox_problem
        if problem:
            state = "unhealthy"
        elif self._session.draining or self._stopping:
            state = "draining"
        else:
            state = "ready" if self._pool.ready else "starting"
        vitals = self._telemetry.latest
        self._link.send_report(
            pb.NodeReport(
                state=state,
                gpus=wire.gpu_loads_to_proto(vitals.gpus),
                cpu_load=vitals.cpu_load,
                ram_free_bytes=vitals.ram_free_bytes,
                disk_free_bytes=vitals.disk_free_bytes,
                loaded_model=self._pool.loaded_model,
                leases=[wire.held_to_proto(held) for held in self._session.live_leases()],
                problem=problem,
            )
        )


def _outcome(result: WorkerResult) -> Outcome:
    return Outcome(
        state=result.state,
        outputs=tuple([file.artifact for file in result.files]),
        failure=result.failure,
        report=result.report,
        run_time=result.run_time,
        peak_vram_bytes=result.peak_vram_bytes,
    )


def _first_up_to(by_id: Mapping[int, object], up_to: int) -> list[int]:
    """The ids up to ``up_to``. They were put in growing order, so only the beginning is looked at."""
    return list(takewhile(lambda fact_id: fact_id <= up_to, by_id))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # a scanner holds it (Windows); the next start empties the folder
            log.info("%s is left for now: %s", path, error)
