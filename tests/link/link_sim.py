"""A small world for the link: one store, one kernel shell, three agents, and a network that loses, delays and
repeats.

Real Coordinator, real AgentSession; everything around them is simulated, with the promises that the real shells
give: the kernel commits before it sends and reads the queue late; an agent has only its disk after a crash.
Each step is one method with small integers as arguments, so that hypothesis and a seeded random driver can both
play.

``check`` and the assertions inside name the rule that was broken.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import stablenew_agent.session as agent_side
import stablenew_kernel.domain.link as kernel_side
from stablenew_agent.session import AgentSession
from stablenew_api.jobs import Artifact, Failure, FailureKind, JobState, Needs, canonical_json
from stablenew_api.leases import Fact, LeaseKey, LeaseState, Outcome, StageResult
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.link import ActiveJob, KnownNode, LinkSettings, NodeFacts, NodeGauges, QueuedJob

GIB = 1 << 30
SETTINGS = LinkSettings(window=4, lookahead=2)
FEATURES = frozenset({"txt2img"})
NODES = {
    "n0": NodeFacts(
        "zero", 1, {"txt2img": "1", "grain": "1"}, frozenset({"txt2img"}), vram_total_bytes=8 * GIB
    ),
    "n1": NodeFacts(
        "one", 2, {"txt2img": "1", "grain": "1"}, frozenset({"txt2img"}), vram_total_bytes=12 * GIB
    ),
    "n2": NodeFacts(
        "two", 1, {"txt2img": "1"}, frozenset({"txt2img"}), vram_total_bytes=8 * GIB, loopback=True
    ),
}
ACTIVE = (JobState.LEASED, JobState.RUNNING, JobState.UNKNOWN)


class FirstFit(Scheduler):
    """First job, first node that fits, idle slots first."""

    name = "first-fit"
    title = "First fit"

    def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
        room = {node.node_id: node.free_slots for node in nodes}
        idle = {node.node_id: node.idle_slots for node in nodes}
        result = []
        job: JobView
        for job in jobs:
            fitting: list[NodeView] = [
                n for n in nodes if room[n.node_id] > 0 and n.node_id in fits[job.job_id]
            ]
            if fitting:
                best = max(fitting, key=lambda node: idle[node.node_id])
                room[best.node_id] -= 1
                idle[best.node_id] -= 1
                result.append(Assignment(job.job_id, best.node_id, "first fit"))
        return result


@dataclass
class Row:
    """A row of the job table."""

    job: QueuedJob
    state: JobState = JobState.QUEUED
    node_id: str = ""
    node_name: str = ""
    cancel: str | None = None
    since: float = 0.0
    """When the coordinator decided on the state."""


class Store:
    """What survives a kernel crash. Refuses what a careful database would refuse."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.nodes: dict[str, KnownNode] = {}
        self.finals: Counter[str] = Counter()
        self.kept: dict[tuple[str, str], kernel_side.KeptStages] = {}
        """By key and job: rows of the table ``stage_result``."""

    def commit(self, records: list[tuple[float, Any]], world: World) -> None:
        for at, record in records:
            if isinstance(record, kernel_side.Transition):
                self._transition(record, at, world)
            elif isinstance(record, kernel_side.RecordCancel):
                row = self.rows[record.job_id]
                assert row.state in ACTIVE, f"cancel recorded for {record.job_id}, which is {row.state}"
                row.cancel = record.reason
            elif isinstance(record, kernel_side.RememberNode):
                before = self.nodes.get(record.node_id)
                assert before is None or record.epoch >= before.epoch, (
                    "EPOCH: an older connection displaced a newer"
                )
                self.nodes[record.node_id] = KnownNode(
                    record.node_id, record.name, record.epoch, record.draining, record.vram_total_bytes
                )
            elif isinstance(record, kernel_side.KeepStages):
                kept = record.kept
                told = kept.result.images[0].name.partition("#")[0]
                assert kept.job_id == told, f"KEPT FOR ANOTHER: {told} as {kept.job_id}"
                assert (kept.key, told) not in self.kept, f"KEPT TWICE: {kept.job_id}"
                self.kept[kept.key, told] = kept
            else:  # the app's own part of a cancel: whatever is still queued here and matches
                for row in self.rows.values():
                    if row.state is JobState.QUEUED and row.job.job_id in record:
                        row.state = JobState.CANCELLED
                        self.finals[row.job.job_id] += 1

    def _transition(self, step: kernel_side.Transition, at: float, world: World) -> None:
        row = self.rows[step.job_id]
        job = row.job
        where = f"{step.job_id} {step.from_state}->{step.to_state} ({step.why})"
        assert row.state is step.from_state, f"MEMORY AND DISK DISAGREE: {where}, but stored {row.state}"
        assert not row.state.final, f"END CHANGED: {where}"
        if step.to_state is JobState.LEASED and step.from_state is JobState.QUEUED:
            assert step.attempt == job.attempt + 1, f"ATTEMPT: {where}"
        else:
            assert step.attempt == job.attempt, f"ATTEMPT: {where}"
        if step.outcome is not None:
            told = step.outcome.report.decode()
            # A rejection tells why in JSON, and names no lease.
            assert told[:1] in ("", "{") or told == f"{step.job_id}#{job.attempt}@{row.node_id}", (
                f"FENCE: {where} on the word of {told}"
            )
        if step.failure is not None and "came back without it" in step.failure.message:
            kept = {fact.lease for fact in world.agents[row.node_id].outbox if fact.stage is None}
            assert LeaseKey(step.job_id, step.attempt) not in kept, (
                f"WORK LOST: {where}, but its fact is on disk"
            )
        elif step.failure is not None and step.failure.kind is FailureKind.LOST:
            patience = 5.0 if NODES[row.node_id].loopback else 60.0
            assert row.state is JobState.UNKNOWN, f"SILENCE TAKEN FOR DEATH: {where}"
            assert at - row.since >= patience, f"SILENCE TAKEN FOR DEATH: {where} after {at - row.since} s"
        row.state, row.since = step.to_state, at
        active = step.to_state in ACTIVE
        row.node_id, row.node_name = (step.node_id, step.node_name) if active else ("", "")
        if not active:
            row.cancel = None
        if step.to_state.final:
            self.finals[step.job_id] += 1
        row.job = QueuedJob(
            job.job_id, job.run_id, job.priority, job.needs, job.stages, step.attempt, step.failures, job.spec,
            job.run_timeout, step.min_vram,
        )  # fmt: skip

    def queued(self, after: str, limit: int) -> tuple[tuple[QueuedJob, ...], bool]:
        order = sorted(self.rows.values(), key=lambda row: -row.job.priority)  # stable: then by position
        ids = [row.job.job_id for row in order]
        start = ids.index(after) + 1 if after in ids else 0
        found = [row.job for row in order[start:] if row.state is JobState.QUEUED]
        return tuple(found[:limit]), len(found) > limit


@dataclass(eq=False)
class Stream:
    """One dial. Both directions keep order; both ends notice its end on their own, if ever."""

    node_id: str
    epoch: int
    number: int
    up: deque[Any] = field(default_factory=deque)
    down: deque[Any] = field(default_factory=deque)
    agent_open: bool = True
    kernel_open: bool = True


class Agent:
    """Shell of an agent. ``outbox``, ``next_fact_id``, ``epoch`` are its disk."""

    def __init__(self, node_id: str, world: World) -> None:
        self.node_id = node_id
        self.world = world
        self.outbox: list[Fact] = []
        self.next_fact_id = 1
        self.epoch = 0
        self.stream: Stream | None = None
        self.workers: dict[LeaseKey, dict[str, bool]] = {}
        self.dead = False
        self.boot()

    def boot(self) -> None:
        self.workers.clear()
        facts = NODES[self.node_id]
        # One of them gives nothing ahead: there, leases that wait are the session's own.
        ahead = 0 if facts.loopback else facts.slots
        self.session = AgentSession(facts.slots, 1, self.outbox, self.next_fact_id, ahead=ahead)

    def crash(self) -> None:
        if self.stream is not None:
            self.stream.agent_open = False
            self.stream = None
        self.boot()

    def handle(self, event: agent_side.Event, crash_after: int = 99) -> None:
        world, store = self.world, self.world.store
        for number, effect in enumerate(self.session.handle(event, world.now)):
            if number >= crash_after:
                self.crash()
                return
            if isinstance(effect, agent_side.SendHello):
                assert self.stream is not None
                self.stream.up.append(effect)
            elif isinstance(effect, agent_side.StartJob):
                key = effect.offer.lease
                assert key not in world.started, f"STARTED TWICE: {key}"
                world.started.add(key)
                row = store.rows[key.job_id]
                assert row.job.attempt >= key.attempt, f"OFFERED BEFORE COMMIT: {key}"
                self.workers[key] = {"started": False, "cancel": False, "back": False, "stage": False}
                if (resume := effect.offer.resume) is not None:
                    made_for = resume.images[0].name.partition("#")[0]
                    assert made_for == key.job_id, f"GOES ON WITH ANOTHER'S: {key} with that of {made_for}"
                    assert resume.stages < len(row.job.stages), f"NOTHING LEFT TO DO: {key}"
                    world.resumed += 1
                assert len(self.workers) <= 2 * NODES[self.node_id].slots, "MORE JOBS THAN PLACES"
            elif isinstance(effect, agent_side.CancelJob):
                row = store.rows[effect.lease.job_id]
                mine = row.job.attempt == effect.lease.attempt and row.state in ACTIVE
                assert not mine or row.cancel is not None, f"REVOKE KILLED A RUNNING JOB: {effect.lease}"
                if effect.lease in self.workers:
                    self.workers[effect.lease]["cancel"] = True
            elif isinstance(effect, agent_side.TakeBack):
                if effect.lease in self.workers:
                    self.workers[effect.lease]["back"] = True
            elif isinstance(effect, agent_side.DropJob):
                self.workers.pop(effect.lease, None)
            elif isinstance(effect, agent_side.StoreFact):
                self.outbox.append(effect.fact)
                self.next_fact_id = effect.fact.fact_id + 1
            elif isinstance(effect, agent_side.SendFacts):
                for fact in effect.facts:
                    assert fact in self.outbox, f"SENT BEFORE STORED: {fact.lease}"
                if self.stream is not None and self.stream.epoch == effect.epoch:
                    self.stream.up.append(effect)
            elif isinstance(effect, agent_side.ForgetFacts):
                for fact in self.outbox:
                    if fact.fact_id <= effect.up_to:
                        row = store.rows[fact.lease.job_id]
                        if fact.stage is not None:
                            made = {kept.job_id for kept in store.kept.values()} | world.released
                            assert fact.lease.job_id in made, f"ACKED BEFORE COMMIT: stage of {fact.lease}"
                            continue
                        waits = row.state in ACTIVE and row.job.attempt == fact.lease.attempt
                        assert not (waits and row.node_id == self.node_id), f"ACKED BEFORE COMMIT: {fact.lease}"
                self.outbox[:] = [fact for fact in self.outbox if fact.fact_id > effect.up_to]

    def give_back(self, key: LeaseKey) -> None:
        """It had not started; no word of a lease is in it, as in the real one."""
        del self.workers[key]
        self.handle(agent_side.Finished(key, Outcome(LeaseState.CANCELLED)))

    def finish(self, key: LeaseKey, kind: int) -> None:
        worker = self.workers[key]
        tag = f"{key.job_id}#{key.attempt}@{self.node_id}".encode()
        if worker["cancel"] and kind % 3:
            outcome = Outcome(LeaseState.CANCELLED, report=tag)
        elif kind % 10 < 6:
            outcome = Outcome(LeaseState.SUCCEEDED, report=tag)
        else:
            kinds = (FailureKind.BACKEND, FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY, FailureKind.BAD_INPUT)
            outcome = Outcome(LeaseState.FAILED, failure=Failure(kinds[kind % 10 - 6], "it broke"), report=tag)
        del self.workers[key]
        self.handle(agent_side.Finished(key, outcome), crash_after=1 if kind == 99 else 99)

    def keep(self, key: LeaseKey, kind: int) -> None:
        """The worker is done with the first of two stages."""
        self.workers[key]["stage"] = True
        name = f"{key.job_id}#{key.attempt}@{self.node_id}"
        result = StageResult(1, (Artifact(name, "image/png", "ab" * 32, 1),), b"{}")
        self.handle(agent_side.StageKept(key, result), crash_after=1 if kind % 32 == 1 else 99)


class World:
    """Everything, and the steps that can happen to it."""

    commit_first = True  # the app's rule; a mutant turns it round

    def __init__(self, jobs: int = 7, blockers: int = 0) -> None:
        """``blockers``: jobs at the head of the queue that no node can run."""
        self.now = 1000.0
        self.store = Store()
        self.started: set[LeaseKey] = set()
        self.streams: list[Stream] = []
        self.agents = {node_id: Agent(node_id, self) for node_id in NODES}
        self.drains: set[str] = set()
        self.cancels: set[str] = set()  # committed
        self.released: set[str] = set()
        """Jobs of which images between stages were removed, or came too late."""
        self.resumed = 0
        """Offers that went on behind a stage."""
        self.paused = False
        self._stream_count = 0
        for number in range(blockers + jobs):
            self._new_job(blocker=number < blockers)
        self.boot_kernel()

    # --- the kernel's shell ---

    def boot_kernel(self) -> None:
        for stream in self.streams:
            stream.kernel_open = False
            stream.up.clear()
        self.pending: list[tuple[float, Any]] = []
        self.read: kernel_side.WindowFilled | None = None
        self.sessions: dict[tuple[str, int], Stream] = {}
        self.kernel = Coordinator(SETTINGS, FirstFit())
        active = tuple(
            ActiveJob(row.job, row.node_id, row.node_name, row.state, row.cancel is not None, row.cancel or "")
            for row in self.store.rows.values()
            if row.state in ACTIVE
        )
        # As the app does at a start: what is kept of jobs that are done is removed.
        done = {job_id for job_id, row in self.store.rows.items() if row.state is JobState.DONE}
        self.released |= {one.job_id for one in self.store.kept.values()} & done
        self.store.kept = {key: one for key, one in self.store.kept.items() if one.job_id not in done}
        kept = tuple(self.store.kept.values())
        restored = kernel_side.Restored(active, tuple(self.store.nodes.values()), self.paused, kept)
        self.tell_kernel(restored)

    def tell_kernel(self, event: kernel_side.Event) -> None:
        self.pending += [(self.now, effect) for effect in self.kernel.handle(event, self.now)]

    def flush(self, crash: int = 0) -> None:
        """One tick of the app's loop: commit, then send. ``crash``: 1 before the commit, 2 between."""
        pending, self.pending = self.pending, []
        records = [(at, one) for at, one in pending if isinstance(one, (*kernel_side.RECORDS, frozenset))]
        sends = [one for _, one in pending if not isinstance(one, (*kernel_side.RECORDS, frozenset))]
        steps = [lambda: self.store.commit(records, self), lambda: self._send(sends)]
        if not self.commit_first:
            steps.reverse()
        if crash == 1:
            return self.boot_kernel()
        steps[0]()
        if crash == 2:
            return self.boot_kernel()
        steps[1]()
        for _, one in records:
            if isinstance(one, kernel_side.RecordCancel):
                self.cancels.add(one.job_id)
        return None

    def _send(self, sends: list[Any]) -> None:
        for one in sends:
            if isinstance(one, kernel_side.FillWindow):
                # The read happens now, its answer arrives later: much may have changed by then.
                jobs, more = self.store.queued(one.after, one.limit)
                assert self.read is None, "TWO READS UNDER WAY"
                self.read = kernel_side.WindowFilled(one.generation, jobs, more)
            elif isinstance(one, kernel_side.SendWelcome):
                stream = next(stream for stream in self.streams if stream.number == one.conn_id)
                if stream.kernel_open:
                    self.sessions[one.node_id, one.epoch] = stream
                    stream.down.append(one)
            elif isinstance(one, kernel_side.RefuseHello):
                next(stream for stream in self.streams if stream.number == one.conn_id).kernel_open = False
            elif isinstance(one, kernel_side.CloseSession):
                stream = self.sessions.pop((one.node_id, one.epoch), None)
                if stream is not None:
                    stream.kernel_open = False
            elif isinstance(one, kernel_side.ReleaseImages):
                self._release(one)
            elif isinstance(one, kernel_side.SchedulerFault):
                raise AssertionError(one.text)
            elif not isinstance(one, kernel_side.NodeChanged):
                stream = self.sessions.get((one.node_id, one.epoch))
                if stream is not None and stream.kernel_open:
                    stream.down.append(one)

    def _release(self, effect: kernel_side.ReleaseImages) -> None:
        self.released |= {effect.job_id} if effect.job_id else set()
        self.released |= {image.name.partition("#")[0] for image in effect.images}
        kept = self.store.kept
        for key in [key for key, one in kept.items() if one.job_id == effect.job_id]:
            state = self.store.rows[effect.job_id].state
            assert state is JobState.DONE, f"REMOVED TOO EARLY: {effect.job_id} is {state}"
            del kept[key]

    def deliver_read(self) -> None:
        read, self.read = self.read, None
        if read is not None:
            self.tell_kernel(read)

    # --- the network ---

    def dial(self, node: int) -> None:
        agent = self._agent(node)
        if agent.dead:
            return
        if agent.stream is not None:
            agent.stream.agent_open = False  # the kernel still sees it
        agent.epoch += 1
        self._stream_count += 1
        agent.stream = Stream(agent.node_id, agent.epoch, self._stream_count)
        self.streams.append(agent.stream)
        agent.handle(agent_side.Dialled(agent.epoch))

    def deliver_up(self, index: int) -> None:
        """A frame reaches the kernel, perhaps of a stream that the agent has long left."""
        ready = [stream for stream in self.streams if stream.up and stream.kernel_open]
        if not ready:
            return
        stream = ready[index % len(ready)]
        frame = stream.up.popleft()
        node_id, epoch = stream.node_id, stream.epoch
        event: kernel_side.Event
        if isinstance(frame, agent_side.SendHello):
            event = kernel_side.HelloReceived(node_id, epoch, NODES[node_id], frame.held, stream.number)
        elif isinstance(frame, agent_side.SendFacts):
            event = kernel_side.FactsReceived(node_id, epoch, frame.facts)
        else:
            event = kernel_side.Reported(node_id, epoch, NodeGauges(leases=frame))
        self._tell(event, node_id, epoch)

    def _tell(self, event: kernel_side.Event, node_id: str, epoch: int) -> None:
        session = self.kernel.session_epoch(node_id)
        before = self._seen(node_id)
        self.tell_kernel(event)
        if not isinstance(event, kernel_side.HelloReceived) and session != epoch:
            assert self._seen(node_id) == before, f"STALE STREAM changed the session: {event}"
        now = self.kernel.session_epoch(node_id)
        assert session is None or now is None or now >= session, "EPOCH: an older connection displaced a newer"

    def _seen(self, node_id: str) -> Any:
        status = next((one for one in self.kernel.nodes(self.now) if one.node_id == node_id), None)
        return status and (status.connected, status.epoch, status.gauges, status.silent_for, len(status.leases))

    def deliver_down(self, index: int, twice: bool) -> None:
        """A frame reaches the agent, perhaps on a stream that it has left, perhaps two times."""
        ready = [stream for stream in self.streams if stream.down]
        if not ready:
            return
        stream = ready[index % len(ready)]
        frame = stream.down.popleft()
        agent = self.agents[stream.node_id]
        if agent.dead:
            return
        for _ in range(2 if twice else 1):
            epoch = stream.epoch
            if isinstance(frame, kernel_side.SendWelcome):
                agent.handle(agent_side.Welcomed(epoch, frame.drop, keeps_stages=True))
            elif isinstance(frame, kernel_side.SendOffer):
                agent.handle(agent_side.Offered(epoch, (frame.offer,)))
            elif isinstance(frame, kernel_side.SendCancel):
                agent.handle(agent_side.CancelAsked(epoch, frame.cancel))
            elif isinstance(frame, kernel_side.AckFacts):
                agent.handle(agent_side.Acked(epoch, frame.up_to))
            elif isinstance(frame, kernel_side.SendDrain):
                agent.handle(agent_side.DrainAsked(epoch, frame.draining))

    def cut(self, node: int) -> None:
        """The agent sees its stream end. What is under way may still arrive, at either end."""
        agent = self._agent(node)
        if agent.stream is not None:
            agent.stream.agent_open = False
            epoch, agent.stream = agent.stream.epoch, None
            agent.handle(agent_side.Disconnected(epoch))

    def notice(self, index: int) -> None:
        """One end sees that the other is gone; the kernel perhaps long after the agent has dialled again."""
        half = [stream for stream in self.streams if stream.agent_open != stream.kernel_open]
        if not half:
            return
        stream = half[index % len(half)]
        if stream.kernel_open:
            stream.kernel_open = False
            stream.up.clear()
            self.sessions.pop((stream.node_id, stream.epoch), None)
            self._tell(kernel_side.Disconnected(stream.node_id, stream.epoch), stream.node_id, stream.epoch)
        else:
            agent = self.agents[stream.node_id]
            stream.agent_open = False
            if agent.stream is stream:
                agent.stream = None
                agent.handle(agent_side.Disconnected(stream.epoch))

    def forget_streams(self) -> None:
        self.streams = [one for one in self.streams if one.agent_open or one.kernel_open or one.down]

    # --- what nodes and people do ---

    def work(self, node: int, which: int, kind: int) -> None:
        """A worker starts, or ends."""
        agent = self._agent(node)
        if agent.dead or not agent.workers:
            return
        key = sorted(agent.workers, key=str)[which % len(agent.workers)]
        if not agent.workers[key]["started"]:
            if agent.workers[key]["back"] and kind % 2:
                agent.give_back(key)
                return
            agent.workers[key]["started"] = True
            agent.handle(agent_side.Started(key))
        elif (
            kind % 4 == 1
            and not agent.workers[key]["stage"]
            and len(self.store.rows[key.job_id].job.stages) > 1
        ):
            agent.keep(key, kind)
        else:
            agent.finish(key, kind)

    def report(self, node: int) -> None:
        agent = self._agent(node)
        if agent.stream is not None and agent.session.linked:
            agent.stream.up.append(agent.session.live_leases())

    def crash_agent(self, node: int) -> None:
        self._agent(node).crash()

    def cancel(self, job: int, whole_run: bool) -> None:
        row = list(self.store.rows.values())[job % len(self.store.rows)]
        ids = frozenset({row.job.job_id})
        runs: frozenset[str] = frozenset()
        if whole_run:
            runs = frozenset({row.job.run_id})
            ids = frozenset(one.job.job_id for one in self.store.rows.values() if one.job.run_id in runs)
        event = kernel_side.CancelRequested(frozenset() if whole_run else ids, runs)
        self.tell_kernel(event)
        self.pending.append((self.now, ids))

    def submit(self, priority: int) -> None:
        if len(self.store.rows) < 20:
            self.tell_kernel(kernel_side.QueueChanged((self._new_job(priority % 3),)))

    def drain(self, node: int, draining: bool) -> None:
        node_id = self._agent(node).node_id
        self.tell_kernel(kernel_side.DrainSet(node_id, draining))

    def pause(self, paused: bool) -> None:
        self.paused = paused
        self.tell_kernel(kernel_side.PauseSet(paused))

    def wait(self, seconds: int, heartbeats: bool) -> None:
        """Time passes for everybody, with or without heartbeats getting through."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 5.0)
            if heartbeats:
                for (node_id, epoch), stream in list(self.sessions.items()):
                    if stream.agent_open and not stream.up and self.agents[node_id].session.linked:
                        self._tell(
                            kernel_side.Reported(
                                node_id, epoch, NodeGauges(leases=self.agents[node_id].session.live_leases())
                            ),
                            node_id,
                            epoch,
                        )
            self.tell_kernel(kernel_side.Tick())
            for agent in self.agents.values():
                if not agent.dead:
                    agent.handle(agent_side.Tick())

    def late_welcome(self, node: int) -> None:
        """A dial shortly before the orphan time-out, whose Welcome is under way while that passes."""
        agent = self._agent(node)
        self.cut(node)
        self.wait(50, heartbeats=False)
        self.dial(node)
        if agent.stream is not None:
            ready = [stream for stream in self.streams if stream.up and stream.kernel_open]
            self.deliver_up(ready.index(agent.stream))
            self.flush()
            self.wait(12, heartbeats=False)

    def _agent(self, index: int) -> Agent:
        return self.agents[f"n{index % len(self.agents)}"]

    def _new_job(self, priority: int = 0, blocker: bool = False) -> QueuedJob:
        number = len(self.store.rows)
        stages = ("txt2img", "grain") if number % 3 == 2 else ("txt2img",)
        if blocker:
            stages = ("nowhere",)
        needs = Needs(features=frozenset({"txt2img"}))
        spec = canonical_json({"inputs": [], "stages": [{"name": name, "seed": number} for name in stages]})
        job = QueuedJob(f"j{number:02}", f"r{number % 3}", priority, needs, stages, 0, 0, spec, 60.0)
        self.store.rows[job.job_id] = Row(job)
        return job

    # --- what must hold ---

    def check(self) -> None:
        """What must hold at every moment, and what must hold where a link is settled."""
        for job_id, count in self.store.finals.items():
            assert count == 1, f"{job_id} came to an end {count} times"
        load = Counter(row.node_id for row in self.store.rows.values() if row.state in ACTIVE)
        for node_id, count in load.items():
            most = NODES[node_id].slots + SETTINGS.prefetch
            assert count <= most, f"TOO MANY LEASES on {node_id}: {count}, at most {most}"
        if self.pending:
            return
        for agent in self.agents.values():
            stream = agent.stream
            if (
                stream is None
                or not stream.kernel_open
                or stream.up
                or stream.down
                or not agent.session.linked
                or self.sessions.get((agent.node_id, agent.epoch)) is not stream
            ):
                continue
            live = {held.lease for held in agent.session.live_leases()}
            told = {fact.lease for fact in agent.outbox}
            rows = self.store.rows
            mine = {
                LeaseKey(row.job.job_id, row.job.attempt)
                for row in rows.values()
                if row.state in ACTIVE and row.node_id == agent.node_id
            }
            assert live <= mine, f"SUPERSEDED LEASE still here, on a settled link: {live - mine}"
            assert mine <= live, f"KERNEL WAITS FOR NOTHING, on a settled link: {mine - live}"
            assert not told, f"FACT NOT ACKED, on a settled link: {told}"
            for key in live:
                asked = rows[key.job_id].cancel is not None
                told_to_stop = agent.workers.get(key, {}).get("cancel", False)
                assert not asked or told_to_stop, f"CANCEL LOST, on a settled link: {key}"

    def settle(self, rng: random.Random, lose_a_node: bool) -> None:
        """No more faults. Everything must come to an end."""
        if lose_a_node:
            self.crash_agent(2)
            self.agents["n2"].dead = True
        self.flush()
        self.pause(False)
        for node_id in self.agents:
            self.tell_kernel(kernel_side.DrainSet(node_id, False))
        for _ in range(400):
            self.flush()
            self.deliver_read()
            while any(stream.agent_open != stream.kernel_open for stream in self.streams):
                self.notice(0)
            while any(stream.up and stream.kernel_open for stream in self.streams):
                self.deliver_up(0)
            self.flush()
            while any(stream.down for stream in self.streams):
                self.deliver_down(0, False)
            self.check()
            self.forget_streams()
            for index, agent in enumerate(self.agents.values()):
                if agent.stream is None and not agent.dead:
                    self.dial(index)
                while agent.workers and not agent.dead and rng.random() < 0.7:
                    self.work(index, 0, rng.randrange(60))
            done = all(row.state.final or "nowhere" in row.job.stages for row in self.store.rows.values())
            if done:
                gone = {kept.job_id for kept in self.store.kept.values()}
                assert not {j for j in gone if self.store.rows[j].state is JobState.DONE}, "KEPT FOR NOBODY"
            if done and not any(agent.outbox for agent in self.agents.values() if not agent.dead):
                for job_id in self.cancels:
                    assert self.store.rows[job_id].state.final
                return
            self.wait(2, heartbeats=True)
        raise AssertionError(f"STUCK: {[(r.job.job_id, r.state, r.node_id) for r in self.store.rows.values()]}")


def play(seed: int, steps: int = 150) -> World:
    """One random history, faults and all, then an end. Raises AssertionError or InvalidTransition."""
    rng = random.Random(seed)
    world = World(rng.randrange(4, 9), blockers=rng.choice((0, 0, 0, 0, 7)))
    n = rng.randrange
    moves: list[tuple[int, Any]] = [
        (22, lambda: world.deliver_up(n(8))),
        (22, lambda: world.deliver_down(n(8), n(6) == 0)),
        (22, lambda: world.flush()),
        (2, lambda: world.flush(crash=n(2) + 1)),
        (9, lambda: world.deliver_read()),
        (14, lambda: world.work(n(3), n(3), n(100))),
        (7, lambda: world.dial(n(3)) if not world._agent(0).session.linked or n(4) == 0 else None),
        (2, lambda: world.cut(n(3))),
        (6, lambda: world.notice(n(4))),
        (4, lambda: world.report(n(3))),
        (2, lambda: world.crash_agent(n(3))),
        (3, lambda: world.cancel(n(16), n(4) == 0)),
        (2, lambda: world.submit(n(3))),
        (1, lambda: world.drain(n(3), n(2) == 0)),
        (1, lambda: world.pause(n(3) == 0)),
        (1, lambda: world.late_welcome(n(3))),
        (3, lambda: world.wait(rng.choice((1, 2, 6, 20, 70)), n(3) > 0)),
    ]
    weights = [weight for weight, _ in moves]
    for _ in range(rng.randrange(20, steps)):
        rng.choices(moves, weights)[0][1]()
        world.check()
    world.settle(rng, lose_a_node=n(4) == 0)
    return world
