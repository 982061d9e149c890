"""The kernel's side of the link: sessions, leases, and who gets what. Pure: ``handle(event, now) -> effects``.

The vocabulary, and what the app must do with the effects, is in :mod:`stablenew_kernel.domain.link`.

Rules that keep it right, each with a test that removes it and fails (``tests/link/test_state_machine.py``):

* *Epoch.* A Hello whose epoch is not above the highest known is refused: it comes from an older stream, late.
* *Stale stream.* What arrives on a stream that is not the session is ignored, acks included: the agent tells it
  again.
* *Fence.* A fact counts only for the current attempt of an active job on that very node. Others are acked and
  ignored.
* *Reconcile.* At each Hello both lists of leases are compared. What the agent holds and we do not know, it
  drops; what we know and it does not hold goes back to the queue; cancels that were asked for are asked for
  again.
* *Silence is not death.* A job whose node is out of touch is UNKNOWN and keeps its lease until the orphan
  time-out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stablenew_api.jobs import Failure, FailureKind, JobState, Needs
from stablenew_api.leases import Fact, LeaseKey, LeaseState, StageResult
from stablenew_api.scheduler import Scheduler
from stablenew_kernel.domain import explain as people
from stablenew_kernel.domain.dispatch import Dispatcher
from stablenew_kernel.domain.leasing import Ledger
from stablenew_kernel.domain.lifecycle import InvalidTransition
from stablenew_kernel.domain.link import (
    AckFacts,
    ActiveJob,
    CancelRequested,
    CloseSession,
    Disconnected,
    DrainSet,
    Effect,
    Event,
    FactsReceived,
    HelloReceived,
    KeepStages,
    KeptStages,
    LinkSettings,
    NodeChanged,
    NodeGauges,
    NodeStatus,
    PauseSet,
    Preview,
    Progressed,
    QueueChanged,
    QueuedJob,
    RecordCancel,
    RefuseHello,
    ReleaseImages,
    Reported,
    Restored,
    SendDrain,
    SendWelcome,
    StagesForgotten,
    Tick,
    Transition,
    WindowFilled,
)
from stablenew_kernel.domain.matching import nobody_has
from stablenew_kernel.domain.resuming import Kept, prefix_key, signed
from stablenew_kernel.domain.sessions import Lease, Node

__all__ = ["Coordinator", "InvalidTransition"]


class Coordinator:
    """Holds in memory what is active; never touches the disk, the network or a clock."""

    def __init__(self, settings: LinkSettings, scheduler: Scheduler) -> None:
        self._ledger = Ledger(settings)
        self._dispatcher = Dispatcher(self._ledger, scheduler)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Restored: self._restored,
            StagesForgotten: self._stages_forgotten,
            WindowFilled: self._window_filled,
            QueueChanged: self._queue_changed,
            HelloReceived: self._hello,
            Reported: self._reported,
            Progressed: self._progressed,
            FactsReceived: self._facts,
            Disconnected: self._disconnected,
            CancelRequested: self._cancel,
            DrainSet: self._drain,
            PauseSet: self._pause,
            Tick: self._tick,
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; return what is to be done, in order (see :mod:`~stablenew_kernel.domain.link`).

        Raises InvalidTransition if a rule of the life cycle was broken: a bug, with the job's story in the
        text. The Coordinator is then to be thrown away, as after a failed commit.
        """
        out: list[Effect] = []
        self._ledger.now, self._ledger.out = now, out
        self._handlers[type(event)](event)
        self._dispatcher.run()
        return out

    # --- what others may ask ---

    def use_scheduler(self, scheduler: Scheduler) -> None:
        """Replace the scheduler (a setting was changed)."""
        self._dispatcher.scheduler = scheduler

    @property
    def paused(self) -> bool:
        """Whether no jobs are handed out."""
        return self._ledger.paused

    @property
    def active_count(self) -> int:
        """Number of LEASED, RUNNING and UNKNOWN jobs."""
        return len(self._ledger.leases)

    @property
    def job_seconds(self) -> float:
        """How long jobs took of late on the node in touch that was fastest with its own; 0: not known."""
        return min((node.job_seconds for node in self._ledger.nodes.values() if node.connected), default=0.0)

    def active(self, job_id: str) -> ActiveJob | None:
        """The job, if some node holds or may hold it."""
        lease = self._ledger.leases.get(job_id)
        return lease.shown() if lease else None

    def active_jobs(self) -> list[ActiveJob]:
        """All of them, oldest lease first."""
        return [lease.shown() for lease in self._ledger.leases.values()]

    def nodes(self, now: float) -> list[NodeStatus]:
        """Every known node, connected or not, by name."""
        return sorted(
            (node.shown(now) for node in self._ledger.nodes.values()),
            key=lambda node: (node.name, node.node_id),
        )

    def session_epoch(self, node_id: str) -> int | None:
        """Epoch of the node's live session; None: out of touch."""
        node = self._ledger.nodes.get(node_id)
        return node.epoch if node and node.connected else None

    def explain(self, job: QueuedJob) -> str:
        """Why this queued job is not running yet: one line, for people."""
        lease = self._ledger.leases.get(job.job_id)
        if lease:
            return f"{lease.state} on {lease.node_name}"
        ahead = next((i for i, job_id in enumerate(self._ledger.window.jobs) if job_id == job.job_id), None)
        return people.explain(
            job, self._ledger.nodes.values(), self._ledger.paused, self._ledger.settings, ahead
        )

    def lacking(self, needs: Iterable[Needs]) -> list[str]:
        """What of this no node in touch has, a line each, for people."""
        return nobody_has(
            needs, [node.facts for node in self._ledger.nodes.values() if node.connected and node.facts]
        )

    def preview(self, jobs: Sequence[QueuedJob]) -> list[Preview]:
        """Where these jobs would go if they were alone, in their order, by the scheduler's own word. Changes
        nothing."""
        return people.preview(
            jobs,
            self._ledger.nodes.values(),
            self._dispatcher.scheduler,
            self._ledger.matcher,
            self._ledger.settings.lookahead,
        )

    # --- the start ---

    def _restored(self, event: Restored) -> None:
        self._ledger.paused = event.paused
        self._ledger.kept = Kept(event.kept)
        for known in event.nodes:
            node = self._ledger.nodes[known.node_id] = Node(known.node_id, known.name)
            node.epoch, node.draining, node.vram_total = known.epoch, known.draining, known.vram_total_bytes
        for active in event.jobs:
            job = active.job
            lease = Lease(job, job.attempt, active.node_id, active.node_name, active.state, self._ledger.now)
            # Stored as UNKNOWN by an earlier restart, it may have run: counts as started, so that a job that
            # takes its node down with it cannot go on doing so for ever.
            lease.started = active.state is not JobState.LEASED
            lease.cancel_requested, lease.cancel_reason = active.cancel_requested, active.cancel_reason
            self._ledger.leases[job.job_id] = lease
            node = self._ledger.nodes.setdefault(active.node_id, Node(active.node_id, active.node_name))
            node.leases[job.job_id] = lease
            self._ledger.out_of_touch(lease, "the kernel was restarted", self._ledger.settings.restart_grace)

    # --- sessions ---

    def _hello(self, event: HelloReceived) -> None:
        node_id, epoch, facts = event.node_id, event.epoch, event.facts
        node = self._ledger.nodes.get(node_id)
        if node is not None and epoch <= node.epoch:
            # The race: an agent gives up a slow dial and dials again; the kernel then sees the older Hello
            # last. Taking it in would displace the living session. ABORTED, since a living agent whose counter
            # is behind (its disk was restored from a backup) gets past us by dialling on.
            text = (
                f"{facts.name} has connected since (connection {node.epoch}, this is {epoch}). If this "
                f"repeats, two machines use a copy of one data folder: give one of them a new one."
            )
            self._ledger.out.append(RefuseHello(node_id, epoch, event.conn_id, "ABORTED", text))
            return
        if node is None:
            node = self._ledger.nodes[node_id] = Node(node_id, facts.name)
        if node.connected:
            # The agent noticed the cut before we did. Nothing is lost: its jobs are reconciled below.
            self._ledger.out.append(CloseSession(node_id, node.epoch, "the node has connected again"))
        node.name, node.epoch, node.facts, node.vram_total = facts.name, epoch, facts, facts.vram_total_bytes
        node.connected, node.held_back, node.gauges, node.last_heard = (
            True,
            False,
            NodeGauges(),
            self._ledger.now,
        )
        self._ledger.matcher.put(node_id, facts)
        self._ledger.window.node_changed(node_id)
        self._ledger.remember(node)
        held = {one.lease: one.state for one in event.held}
        # Finished leases that are not current may be dropped, too: their facts come anyway, and are acked.
        drop = tuple(key for key in held if self._ledger.current(key, node_id) is None)
        settings = self._ledger.settings
        self._ledger.out.append(
            SendWelcome(node_id, epoch, event.conn_id, drop, settings.report_interval, settings.session_ttl)
        )
        # Also when it does not drain: that may have been decided while it was away.
        self._ledger.out.append(
            SendDrain(node_id, epoch, node.draining, node.drain_reason, node.exit_when_idle)
        )
        for lease in list(node.leases.values()):
            self._reconcile(lease, node, held.get(lease.key))
        self._ledger.out.append(NodeChanged(node_id, node.name, "connected"))

    def _reconcile(self, lease: Lease, node: Node, state: LeaseState | None) -> None:
        """The agent is back, and says this (None: nothing) about a lease of its."""
        if state is None:
            # Either it was restarted, or our offer was lost with the old stream, perhaps one committed in the
            # very tick before this Hello. Both give the same answer: a new attempt, now. Offering the same
            # attempt again would be right as well (the agent has no memory of it, and ignores frames of its
            # older streams), but only if it still fits, does not drain and is not paused; through the queue,
            # all rules are asked once more.
            self._ledger.lost(lease, f"{node.name} came back without it")
            return
        lease.deadline = None
        lease.revoked = lease.revoked_for = ""
        if state is LeaseState.RUNNING:
            self._ledger.running(lease)
        elif state is LeaseState.HELD and lease.state is JobState.UNKNOWN:
            self._ledger.step(lease, JobState.LEASED, f"node {node.name}", "waits there for a slot")
        # A finished one stays as it is: its fact is the next that we hear.
        if lease.cancel_requested:
            self._ledger.send_cancel(lease, node)
        elif (node.draining or self._ledger.paused) and lease.state is JobState.LEASED:
            self._ledger.revoke(lease, node, "the node drains" if node.draining else "the queue is paused")

    def _disconnected(self, event: Disconnected) -> None:
        node = self._session(event.node_id, event.epoch)
        if node is None:
            return
        if event.orderly:
            self._part(node, "stopped")
            for lease in list(node.leases.values()):
                lease.started = False  # nobody's failure: the person at that machine ended it
                self._ledger.lost(lease, f"{node.name} was stopped")
        else:
            self._part(node, "connection lost")

    def _part(self, node: Node, why: str) -> None:
        """The session is over. Its jobs are not lost yet."""
        node.connected = False
        self._ledger.matcher.remove(node.node_id)
        loopback = node.facts is not None and node.facts.loopback
        settings = self._ledger.settings
        patience = settings.loopback_orphan_timeout if loopback else settings.orphan_timeout
        for lease in node.leases.values():
            lease.revoked = lease.revoked_for = ""
            self._ledger.out_of_touch(lease, f"{node.name} is out of touch: {why}", patience)
        self._ledger.out.append(NodeChanged(node.node_id, node.name, f"out of touch: {why}"))

    def _tick(self, event: Tick) -> None:
        now = self._ledger.now
        for node in self._ledger.nodes.values():
            if node.connected and now - node.last_heard > self._ledger.settings.session_ttl:
                # Half-open: the stream may look alive for minutes. Close it, or the agent goes on talking to
                # it.
                why = f"silent for {now - node.last_heard:.0f} s"
                self._ledger.out.append(CloseSession(node.node_id, node.epoch, why))
                self._part(node, why)
        for lease in [
            one for one in self._ledger.leases.values() if one.deadline is not None and one.deadline <= now
        ]:
            self._ledger.lost(lease, f"{lease.node_name} did not come back in time")

    def _session(self, node_id: str, epoch: int) -> Node | None:
        """The node, if this is its session; None for a frame of an older stream, which changes nothing at
        all."""
        node = self._ledger.nodes.get(node_id)
        if node is None or not node.connected or node.epoch != epoch:
            return None
        return node

    def _heard(self, node_id: str, epoch: int) -> Node | None:
        node = self._session(node_id, epoch)
        if node is not None:
            node.last_heard = self._ledger.now
        return node

    # --- what nodes say ---

    def _reported(self, event: Reported) -> None:
        node = self._heard(event.node_id, event.epoch)
        if node is None:
            return
        before, node.gauges = node.gauges, event.gauges
        node.held_back = False
        for held in event.gauges.leases:
            lease = (
                self._ledger.current(held.lease, event.node_id) if held.state is LeaseState.RUNNING else None
            )
            if lease is not None:
                self._ledger.running(lease)
        if before.state != event.gauges.state:
            what = (
                f"{event.gauges.state}: {event.gauges.problem}" if event.gauges.problem else event.gauges.state
            )
            self._ledger.out.append(NodeChanged(node.node_id, node.name, what))

    def _progressed(self, event: Progressed) -> None:
        if self._heard(event.node_id, event.epoch) is None:
            return
        lease = self._ledger.current(event.lease, event.node_id)
        if lease is not None:
            self._ledger.running(lease)

    def _facts(self, event: FactsReceived) -> None:
        node = self._heard(event.node_id, event.epoch)
        if node is None or not event.facts:
            return
        for fact in event.facts:
            if fact.stage is not None:
                self._stage_made(node, fact.lease, fact.stage)
                continue
            lease = self._ledger.current(fact.lease, event.node_id)
            if lease is not None:
                self._ended(lease, node, fact)
            # Otherwise superseded, or told before: the fence holds, and the ack lets the agent forget it.
        self._ledger.out.append(AckFacts(node.node_id, node.epoch, event.facts[-1].fact_id))

    def _stage_made(self, node: Node, key: LeaseKey, result: StageResult) -> None:
        """A node is done with the first stages of a job. No fence: what they are, and so what they make, is in
        the job's spec, whichever attempt it was. Of a job that is over nothing is kept."""
        lease = self._ledger.leases.get(key.job_id)
        waiting = self._ledger.window.jobs.get(key.job_id)
        job = lease.job if lease else waiting.job if waiting else None
        if current := self._ledger.current(key, node.node_id):
            self._ledger.running(current)
        kept = None
        if job is not None and 0 < result.stages < len(job.stages) and result.images:
            spec = json.loads(job.spec)
            kept = KeptStages(prefix_key(spec, result.stages), job.job_id, signed(result, node.name))
        if kept is not None and self._ledger.kept.put(kept):
            done = ", ".join(job.stages[: result.stages]) if job else ""
            why = f"kept behind stage {result.stages} of {len(job.stages) if job else 0} ({done})"
            self._ledger.out.append(KeepStages(kept, f"node {node.name}", why))
        elif kept is None or not self._ledger.kept.has(result, kept.key):
            self._ledger.out.append(ReleaseImages(images=result.images))

    def _stages_forgotten(self, event: StagesForgotten) -> None:
        for job_id in event.job_ids:
            self._ledger.kept.forget_job(job_id)

    def _ended(self, lease: Lease, node: Node, fact: Fact) -> None:
        outcome = fact.outcome
        who = f"node {node.name}"
        state = outcome.state
        if state is LeaseState.SUCCEEDED:
            # Also if a cancel is on its way: the image is there, and the node's word is the truth.
            node.took(lease, outcome.run_time)
            self._ledger.end(lease, JobState.DONE, who, "done", outcome=outcome)
        elif state is LeaseState.CANCELLED or state is LeaseState.REJECTED:
            if lease.cancel_requested:
                self._ledger.end(lease, JobState.CANCELLED, who, lease.cancel_reason, outcome=outcome)
            else:
                # We took it back, or the node gave it back. Nothing failed.
                node.held_back = node.held_back or not lease.revoked
                why = lease.revoked or f"given back by {node.name}"
                self._ledger.end(lease, JobState.QUEUED, who, why, outcome=outcome, promised=lease.revoked_for)
        else:
            failure = outcome.failure or Failure(FailureKind.BACKEND, f"{node.name} gave no reason")
            self._ledger.failed(lease, failure, who, outcome)

    # --- what people want ---

    def _cancel(self, event: CancelRequested) -> None:
        def match(job: QueuedJob) -> bool:
            return event.everything or job.job_id in event.job_ids or job.run_id in event.run_ids

        # Dropped here and now: from this moment none of them can be leased, whatever a read that is under way
        # brings.
        for job in self._ledger.window.drop(match):
            self._ledger.out.append(
                Transition(
                    job.job_id, job.run_id, JobState.QUEUED, JobState.CANCELLED, job.attempt, "", "", event.who,
                    event.reason, job.failures, job.min_vram,
                )
            )  # fmt: skip
        if event.queued_only:
            return
        for lease in self._ledger.leases.values():
            if not match(lease.job):
                continue
            if not lease.cancel_requested:
                lease.cancel_requested, lease.cancel_reason = True, event.reason
                self._ledger.out.append(RecordCancel(lease.job.job_id, event.reason, event.who))
            node = self._ledger.nodes[lease.node_id]
            if node.connected:  # otherwise at its next Hello
                self._ledger.send_cancel(lease, node)

    def _drain(self, event: DrainSet) -> None:
        node = self._ledger.nodes.get(event.node_id)
        if node is None:
            return  # the app answers "no such node" before it comes to this
        node.draining, node.drain_reason, node.exit_when_idle = (
            event.draining,
            event.reason,
            event.exit_when_idle,
        )
        self._ledger.remember(node)
        if node.connected:
            self._ledger.out.append(
                SendDrain(node.node_id, node.epoch, event.draining, event.reason, event.exit_when_idle)
            )
            if event.draining:
                self._revoke_waiting(node, "the node drains")
        self._ledger.out.append(
            NodeChanged(node.node_id, node.name, "draining" if event.draining else "back in service")
        )

    def _pause(self, event: PauseSet) -> None:
        self._ledger.paused = event.paused
        if event.paused:
            for node in self._ledger.nodes.values():
                if node.connected:
                    self._revoke_waiting(node, "the queue is paused")

    def _revoke_waiting(self, node: Node, why: str) -> None:
        for lease in node.leases.values():
            if lease.state is JobState.LEASED and not lease.cancel_requested:
                self._ledger.revoke(lease, node, why)

    # --- the queue ---

    def _window_filled(self, event: WindowFilled) -> None:
        self._ledger.window.fill(event.generation, event.jobs, event.more, self._ledger.leases)

    def _queue_changed(self, event: QueueChanged) -> None:
        if event.added:
            self._ledger.window.added(event.added)
        else:
            self._ledger.window.changed()
