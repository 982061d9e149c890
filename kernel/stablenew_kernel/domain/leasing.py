"""Leases and their steps: the one place where a job changes its state. Used by the coordinator alone."""

from __future__ import annotations

from stablenew_api.jobs import Failure, FailureKind, JobState
from stablenew_api.leases import Cancel, LeaseKey, Outcome
from stablenew_kernel.domain.lifecycle import Step, after_failure, check
from stablenew_kernel.domain.link import (
    Effect,
    LinkSettings,
    ReleaseImages,
    RememberNode,
    SendCancel,
    Transition,
)
from stablenew_kernel.domain.matching import Matcher
from stablenew_kernel.domain.resuming import Kept
from stablenew_kernel.domain.sessions import Lease, Node
from stablenew_kernel.domain.window import Window


class Ledger:
    """All that the coordinator knows, and the steps that its rules are made of. Each step adds its effects to
    ``out``."""

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self.matcher = Matcher()
        self.window = Window(settings.window, self.matcher)
        self.nodes: dict[str, Node] = {}
        self.leases: dict[str, Lease] = {}
        """By job id, oldest first."""
        self.kept = Kept()
        """What jobs can go on from."""
        self.paused = False
        self.promises = False
        """Whether some job of the window may be promised to a node."""
        self.now = 0.0
        self.out: list[Effect] = []

    def current(self, key: LeaseKey, node_id: str) -> Lease | None:
        """The fence: the lease, if this attempt is the job's current one and that node's."""
        lease = self.leases.get(key.job_id)
        if lease is None or lease.key.attempt != key.attempt or lease.node_id != node_id:
            return None
        return lease

    def running(self, lease: Lease) -> None:
        if lease.state is not JobState.RUNNING:
            lease.started = True
            lease.revoked = lease.revoked_for = ""  # too late to take it back
            self.step(lease, JobState.RUNNING, f"node {lease.node_name}", "runs")

    def out_of_touch(self, lease: Lease, why: str, patience: float) -> None:
        lease.deadline = self.now + patience
        if lease.state is not JobState.UNKNOWN:
            self.step(lease, JobState.UNKNOWN, "kernel", why)

    def lost(self, lease: Lease, why: str) -> None:
        """Give up a lease. The job goes back to the queue, as a failure only if it was seen to run: what merely
        waited on a node that died, or was never delivered, has not failed."""
        failure = Failure(FailureKind.LOST, why)
        if lease.cancel_requested:
            self.end(lease, JobState.CANCELLED, "kernel", f"{lease.cancel_reason}; {why}")
        elif lease.started:
            self.failed(lease, failure, "kernel")
        else:
            self.end(lease, JobState.QUEUED, "kernel", why, failure=failure)

    def end(
        self,
        lease: Lease,
        to_state: JobState,
        who: str,
        why: str,
        failure: Failure | None = None,
        outcome: Outcome | None = None,
        promised: str = "",
    ) -> None:
        """The lease is over; the job is, too, unless it is queued again."""
        self.step(lease, to_state, who, why, failure, outcome)
        job_id = lease.job.job_id
        del self.leases[job_id]
        del self.nodes[lease.node_id].leases[job_id]
        if to_state is JobState.DONE and self.kept.forget_job(job_id):
            self.out.append(ReleaseImages(job_id))
        if to_state is JobState.QUEUED:
            self.window.put_back(lease.queued_again(), promised)
            self.promises = self.promises or bool(promised)

    def step(
        self,
        lease: Lease,
        to_state: JobState,
        who: str,
        why: str,
        failure: Failure | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        from_state, job, attempt = lease.state, lease.job, lease.key.attempt
        check(job.job_id, from_state, to_state, why, lease.story)
        lease.story.append(Step(self.now, from_state, to_state, attempt, why))
        lease.state, lease.since = to_state, self.now
        self.out.append(
            Transition(
                job.job_id, job.run_id, from_state, to_state, attempt, lease.node_id, lease.node_name, who, why,
                lease.failures, lease.min_vram, failure, outcome,
            )
        )  # fmt: skip

    def failed(self, lease: Lease, failure: Failure, who: str, outcome: Outcome | None = None) -> None:
        node = self.nodes[lease.node_id]
        verdict = after_failure(
            failure.kind,
            failures=lease.failures,
            max_failures=self.settings.max_failures,
            min_vram=lease.min_vram,
            vram_hint=lease.job.needs.vram_bytes,
            node_vram=node.vram_total,
            biggest_vram=max(one.vram_total for one in self.nodes.values()),
            cancel_requested=lease.cancel_requested,
        )
        lease.failures, lease.min_vram = verdict.failures, verdict.min_vram
        self.end(
            lease, verdict.to_state, who, f"{failure.message}: {verdict.why}", failure=failure, outcome=outcome
        )

    def revoke(self, lease: Lease, node: Node, why: str, idle_node: str = "") -> None:
        """Ask to have a lease back that may not have started. The agent alone knows; if it has, it does
        nothing."""
        lease.revoked, lease.revoked_for = why, idle_node
        grace = self.settings.cancel_grace
        self.out.append(
            SendCancel(node.node_id, node.epoch, Cancel(lease.key, why, grace, only_if_not_started=True))
        )

    def send_cancel(self, lease: Lease, node: Node) -> None:
        cancel = Cancel(lease.key, lease.cancel_reason, self.settings.cancel_grace)
        self.out.append(SendCancel(node.node_id, node.epoch, cancel))

    def remember(self, node: Node) -> None:
        self.out.append(RememberNode(node.node_id, node.name, node.epoch, node.draining, node.vram_total))
