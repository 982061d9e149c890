"""Leases and the frames that carry them: the vocabulary that kernel and agent share. Frozen values; no I/O.

A *lease* is the right of one node to run one attempt of one job. Its states have one writer each: the kernel
offers; the agent rejects, runs and ends it. A cancel is a request: the agent's final state is the truth.

*Facts* (agent to kernel) are kept in the agent's outbox on disk and sent again after every reconnect until
the kernel acks them, which it does only after its commit. Everything else may be dropped: *gauges* because
the next one replaces them, and offers, cancels and drain because the kernel derives them again at each Hello.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stablenew_api.jobs import Artifact, Failure

MAX_PREFETCH = 64
"""Leases that an agent takes beyond its slots. The kernel offers one, and more only of jobs so short that the
way there and back would otherwise take longer than the work: no more than 50 ms of work a slot. So many are
only there for jobs of a few milliseconds and less, whose nodes would otherwise wait for the next frame.

Where long jobs follow short ones, a node may hold so many of these; what waits is taken back for idle nodes."""


class LeaseState(StrEnum):
    """State of a lease, as the agent sees it."""

    HELD = "held"  # accepted, waiting for a free slot: may still be revoked
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        """Whether the agent is done with it (a fact about it exists)."""
        return self not in (LeaseState.HELD, LeaseState.RUNNING)


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """Names one attempt of one job. ``attempt`` is the fence: it grows with every lease of the job, and
    whatever an older attempt says is acked and ignored."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StageResult:
    """What the first stages of a job made: enough to go on from there on any node."""

    stages: int
    """How many are done, from 1."""
    images: tuple[Artifact, ...]
    """Already uploaded."""
    report: bytes = b""
    """JSON object as :attr:`Outcome.report`, of these stages, with ``infos``: what each image has in its
    metadata so far."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Kernel to agent: run this. Idempotent. If the next Hello does not list it, the kernel takes it for lost
    and queues the job again, as a new attempt."""

    lease: LeaseKey
    spec: bytes
    """Canonical JSON of the :class:`~stablenew_api.jobs.JobSpec`."""
    run_timeout: float
    orphan_timeout: float
    """Seconds to go on working with no kernel in touch."""
    resume: StageResult | None = None
    """Go on behind these stages. None, or if its images cannot be had: begin at the first stage."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Kernel to agent: stop this if you still hold it. Idempotent."""

    lease: LeaseKey
    reason: str
    grace: float = 5.0
    """Seconds between asking the worker and killing it."""
    only_if_not_started: bool = False
    """Take back a held lease, to give it to an idle node; a running one goes on."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that the agent holds: waiting, running, or finished with its fact not acked."""

    lease: LeaseKey
    state: LeaseState


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a lease ended."""

    state: LeaseState
    outputs: tuple[Artifact, ...] = ()
    """Already uploaded."""
    failure: Failure | None = None
    report: bytes = b""
    """JSON object: backend identity, seconds and infotext by stage, versions. Passed on from the worker to the
    store as it is, and read when the image is saved."""
    run_time: float = 0.0
    """Seconds in the worker."""
    peak_vram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """Agent to kernel: a lease ended; or, with ``stage``, it goes on behind a stage whose images are kept.
    ``fact_id`` grows for ever per node."""

    fact_id: int
    lease: LeaseKey
    outcome: Outcome
    """With ``stage``: RUNNING, and nothing else."""
    stage: StageResult | None = None
