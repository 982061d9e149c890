"""What the coordinator remembers of a node and of a lease. Mutable records; the rules are the coordinator's."""

from __future__ import annotations

from collections import deque

from stablenew_api.jobs import JobState
from stablenew_api.leases import LeaseKey
from stablenew_api.scheduler import NodeView
from stablenew_kernel.domain.lifecycle import Step
from stablenew_kernel.domain.link import ActiveJob, LinkSettings, NodeFacts, NodeGauges, NodeStatus, QueuedJob
from stablenew_kernel.domain.pace import Pace, kind_of

STORY_LENGTH = 10
"""Steps kept of an active job, for InvalidTransition: a lease has five at most, so its cause is among them."""


class Lease:
    """An active job: one attempt, on one node."""

    __slots__ = (
        "cancel_reason",
        "cancel_requested",
        "deadline",
        "failures",
        "job",
        "key",
        "kind",
        "leased_at",
        "min_vram",
        "node_id",
        "node_name",
        "revoked",
        "revoked_for",
        "since",
        "started",
        "state",
        "story",
    )

    def __init__(
        self, job: QueuedJob, attempt: int, node_id: str, node_name: str, state: JobState, now: float
    ) -> None:
        self.job = job
        """As it was queued: its attempt and failures are those before this lease."""
        self.key = LeaseKey(job.job_id, attempt)
        self.kind = kind_of(job.stages, job.needs)
        self.node_id = node_id
        self.node_name = node_name
        self.state = state
        self.since = now
        self.leased_at = now
        self.failures = job.failures
        self.min_vram = job.min_vram
        self.started = False
        """Whether the node was seen to run it: then losing the node counts as a failure of the job."""
        self.cancel_requested = False
        self.cancel_reason = ""
        self.revoked = ""
        """Why we asked to have it back, if not started; empty: we did not."""
        self.revoked_for = ""
        """Idle node that it was taken back for."""
        self.deadline: float | None = None
        """When to give it up; None: its node is in touch."""
        self.story: deque[Step] = deque(maxlen=STORY_LENGTH)

    def ran(self, now: float) -> float | None:
        """Seconds for which it has been running; None: it waits there, as far as we know."""
        return now - self.since if self.state is JobState.RUNNING else None

    def queued_again(self) -> QueuedJob:
        """The job as it goes back to the queue."""
        job = self.job
        return QueuedJob(
            job.job_id,
            job.run_id,
            job.priority,
            job.needs,
            job.stages,
            self.key.attempt,
            self.failures,
            job.spec,
            job.run_timeout,
            self.min_vram,
        )

    def shown(self) -> ActiveJob:
        """For people and for the store."""
        return ActiveJob(
            self.queued_again(),
            self.node_id,
            self.node_name,
            self.state,
            self.cancel_requested,
            self.cancel_reason,
            self.since,
        )


class Node:
    """A node that is or was in touch."""

    __slots__ = (
        "connected",
        "drain_reason",
        "draining",
        "epoch",
        "exit_when_idle",
        "facts",
        "gauges",
        "held_back",
        "job_seconds",
        "last_heard",
        "leases",
        "name",
        "node_id",
        "pace",
        "vram_total",
    )

    def __init__(self, node_id: str, name: str) -> None:
        self.node_id = node_id
        self.name = name
        self.epoch = 0
        """The highest that was ever welcomed, on disk too. A Hello must be above it."""
        self.connected = False
        self.facts: NodeFacts | None = None
        self.gauges = NodeGauges()
        self.last_heard = float("-inf")
        self.draining = False
        self.drain_reason = ""
        self.exit_when_idle = False
        self.held_back = False
        """It gave a lease back unasked: our idea of its free slots is wrong until its next report. Without
        this, offer and rejection would chase each other at the speed of the wire."""
        self.vram_total = 0
        self.job_seconds = 0.0
        """How long its jobs took of late, a moving average; 0: not known."""
        self.pace = Pace()
        self.leases: dict[str, Lease] = {}
        """By job id, oldest first. Offers in flight are among them, so they count against the slots."""

    @property
    def accepting(self) -> bool:
        """Whether it may get offers."""
        return self.connected and not self.draining and not self.held_back and self.gauges.state == "ready"

    def prefetch(self, settings: LinkSettings) -> int:
        """Leases it may hold beyond its slots: one; one more a slot of short jobs; and of very short ones as
        many as make a little work."""
        if self.facts is None or not self.job_seconds or self.job_seconds >= settings.finish_seconds:
            return settings.prefetch
        least = settings.prefetch + self.facts.slots
        wanted = settings.prefetch_seconds * self.facts.slots / self.job_seconds
        return int(min(max(least, wanted), settings.max_prefetch))

    def took(self, lease: Lease, seconds: float) -> None:
        """A job succeeded there in so many seconds; 0: it did not tell."""
        if seconds > 0:
            self.pace.took(lease.kind, seconds)
            before = self.job_seconds
            self.job_seconds = seconds if not before else before + 0.2 * (seconds - before)

    def capacity(self, settings: LinkSettings) -> int:
        """Leases it can take now, the prefetch included."""
        return self.facts.slots + self.prefetch(settings) - len(self.leases) if self.facts else 0

    def idle_slots(self) -> int:
        """Slots with nothing to run."""
        return max(0, self.facts.slots - len(self.leases)) if self.facts else 0

    def start_in(self, wanted: Lease, now: float) -> float:
        """Seconds until a lease that waits there starts, about; infinite: not known."""
        before = 0.0
        for lease in self.leases.values():
            if lease is wanted:
                break
            before += self.pace.left(lease.kind, lease.ran(now))
        assert self.facts is not None
        return before / self.facts.slots

    def view(self, free_slots: int, now: float | None = None) -> NodeView:
        """As a scheduler sees it. With ``now``: also when it is ready, which takes a look at all its leases."""
        facts, gauges = self.facts, self.gauges
        assert facts is not None
        return NodeView(
            self.node_id,
            self.name,
            free_slots,
            max(0, facts.slots - len(self.leases)),
            gauges.loaded_model,
            facts.vram_total_bytes,
            gauges.vram_free_bytes,
            gauges.utilization,
            facts.speed,
            facts.slots,
            self.pace.seconds,
            0.0
            if now is None
            else sum(self.pace.left(lease.kind, lease.ran(now)) for lease in self.leases.values())
            / facts.slots,
        )

    def shown(self, now: float) -> NodeStatus:
        """For people."""
        return NodeStatus(
            self.node_id,
            self.name,
            self.connected,
            self.draining,
            self.epoch,
            self.facts,
            self.gauges,
            tuple(lease.shown() for lease in self.leases.values()),
            now - self.last_heard,
        )
