"""What goes into the :class:`~stablenew_kernel.domain.coordinator.Coordinator` and what comes out. Frozen
values.

Durations are seconds. Times are monotonic seconds of the kernel's clock and are passed next to the event.

The app around it does three things, in this order, once a tick of its loop:

1. collect the effects of all events of the tick, in order;
2. commit every *record* among them (:class:`Transition`, :class:`RecordCancel`, :class:`RememberNode`,
   :class:`KeepStages`) in one transaction, in order;
3. only then carry out the rest. A *send* names (``node_id``, ``epoch``); if that session was replaced or ended
   meanwhile, the app drops it: whoever came after has been told everything at its own Hello.

If the commit fails, memory is ahead of the disk: close all streams, make a new Coordinator from what the disk
says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stablenew_api.jobs import Artifact, Failure, JobState, Needs
from stablenew_api.leases import MAX_PREFETCH, Cancel, Fact, HeldLease, LeaseKey, Offer, Outcome, StageResult

# --- settings -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Every number of the link, with its reason."""

    report_interval: float = 2.0
    """Between two node reports: the heartbeat. Seven of them may be lost before a session is given up."""
    session_ttl: float = 15.0
    """Silence after which a session is given up. Not death: its jobs become UNKNOWN."""
    orphan_timeout: float = 60.0
    """How long a job stays UNKNOWN before it is queued again. The agent is told the same number and stops
    then."""
    loopback_orphan_timeout: float = 5.0
    """The same for an agent on this machine: there is no network between us to blame, and it redials within 2
    s."""
    restart_grace: float = 60.0
    """After a kernel start: time for agents to come back (their back-off goes up to 30 s) before any job is
    lost."""
    prefetch: int = 1
    """Leases a node may hold beyond its slots, so that the GPU never waits for us. More would only be taken
    back."""
    prefetch_seconds: float = 0.05
    """Of work a slot that a node may hold beyond its slots, where one job is less than that. Jobs that take no
    time would otherwise wait for the wire; an image of some seconds is never held back by this."""
    finish_seconds: float = 1.0
    """Jobs shorter than this get one more a slot: while the last one is finished and its result is on the way,
    the next one runs, and one more is to be ready for the moment at which that ends."""
    max_prefetch: int = MAX_PREFETCH
    """The most of them; agents give back what is above it."""
    window: int = 256
    """Queued jobs kept in memory."""
    lookahead: int = 32
    """Jobs shown to the scheduler beyond four a free slot: enough to find one for the model that is loaded."""
    max_failures: int = 3
    """BACKEND, TIMEOUT and LOST failures after which a job fails for good."""
    cancel_grace: float = 5.0
    """Between asking a worker to stop and killing it."""
    steal_after: float = 1.0
    """Age at which a waiting lease may be taken back for an idle node. Younger ones are about to start
    anyway."""


# --- jobs and nodes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job as the coordinator holds it."""

    job_id: str
    run_id: str
    priority: int
    needs: Needs
    stages: tuple[str, ...]
    """Stage names, in order."""
    attempt: int
    """How often it was leased; the number of its current lease while it is active."""
    failures: int
    """How many of these leases failed in a way that counts."""
    spec: bytes
    """Canonical JSON of the JobSpec; passed on, never read here."""
    run_timeout: float
    min_vram: int = 0
    """Bytes of VRAM that a node must have *in all*: learned from running out of memory. 0: nothing learned."""


@dataclass(frozen=True, slots=True)
class KeptStages:
    """What the first stages of a job made, kept until that job is done or forgotten."""

    key: str
    """Of inputs and stages: see :func:`~stablenew_kernel.domain.resuming.prefix_key`."""
    job_id: str
    """That it was made for."""
    result: StageResult


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job that some node holds or may hold (LEASED, RUNNING, UNKNOWN): as stored, and as shown."""

    job: QueuedJob
    """``job.attempt`` is the attempt of the lease."""
    node_id: str
    node_name: str
    state: JobState
    cancel_requested: bool = False
    cancel_reason: str = ""
    since: float = 0.0
    """When it got its state; monotonic. Ignored in :class:`Restored`."""


@dataclass(frozen=True, slots=True)
class KnownNode:
    """What the store remembers of a node."""

    node_id: str
    name: str
    epoch: int
    """The highest that was ever welcomed."""
    draining: bool = False
    vram_total_bytes: int = 0
    """Of its largest GPU; 0: not known."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node is and can do: from its Hello, constant for the session."""

    name: str
    slots: int
    """Jobs at the same time, from 1."""
    stages: Mapping[str, str]
    """Stage name to version."""
    features: frozenset[str]
    """Backend features, e.g. ``txt2img``."""
    models: frozenset[str] = frozenset()
    """Checkpoints; empty: the backend does not tell, or takes any."""
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What else the backend lists, by list of :class:`stablenew_api.backend.Capabilities`: ``loras``,
    ``upscalers``. A list that is empty or not there is not known, and takes any."""
    vram_total_bytes: int = 0
    """Of its largest GPU (a job runs on one); 0: not known."""
    loopback: bool = False
    """Runs on the kernel's own machine."""
    speed: float = 1.0
    """Relative to an average node of this house."""


@dataclass(frozen=True, slots=True)
class NodeGauges:
    """The last report of a node, as far as scheduling needs it."""

    state: str = "ready"
    """``starting``, ``ready``, ``unhealthy``, ``paused`` or ``draining``; only a ready node gets offers. A node
    counts as ready from its Hello until a report says otherwise."""
    loaded_model: str = ""
    vram_free_bytes: int = 0
    utilization: float = 0.0
    """0 to 1."""
    leases: tuple[HeldLease, ...] = ()
    """Waiting and running ones."""
    problem: str = ""
    """With ``unhealthy``: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node for people: see :meth:`Coordinator.nodes`."""

    node_id: str
    name: str
    connected: bool
    draining: bool
    epoch: int
    facts: NodeFacts | None
    """None: not seen since the kernel started."""
    gauges: NodeGauges
    leases: tuple[ActiveJob, ...]
    silent_for: float
    """Seconds since it was last heard; infinite if never."""


# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """The kernel started: first event of a Coordinator's life. Active jobs become UNKNOWN, with
    ``restart_grace``."""

    jobs: tuple[ActiveJob, ...] = ()
    nodes: tuple[KnownNode, ...] = ()
    paused: bool = False
    kept: tuple[KeptStages, ...] = ()


@dataclass(frozen=True, slots=True)
class StagesForgotten:
    """What was kept for these jobs is about to be removed."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowFilled:
    """Answer to :class:`FillWindow`: queued jobs in queue order (priority, highest first, then position)."""

    generation: int
    jobs: tuple[QueuedJob, ...]
    more: bool
    """Whether there are queued jobs behind the last one."""


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Queued jobs were added, retried or moved, and that is committed. (For cancels see
    :class:`CancelRequested`.)"""

    added: tuple[QueuedJob, ...] = ()
    """All that changed, if jobs were only added, behind all others of their priority: saves a read where they
    fit in. Empty: anything may have changed."""


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """First frame of a stream."""

    node_id: str
    epoch: int
    facts: NodeFacts
    held: tuple[HeldLease, ...] = ()
    conn_id: int = 0
    """Names the stream in the answer: until it is welcomed, (node_id, epoch) may also name an older one."""


@dataclass(frozen=True, slots=True)
class Reported:
    """NodeReport: gauges and heartbeat."""

    node_id: str
    epoch: int
    gauges: NodeGauges


@dataclass(frozen=True, slots=True)
class Progressed:
    """JobProgress, reduced to what changes a state: the lease runs."""

    node_id: str
    epoch: int
    lease: LeaseKey


@dataclass(frozen=True, slots=True)
class FactsReceived:
    """Facts of one frame, in order of ``fact_id``."""

    node_id: str
    epoch: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A welcomed stream ended. ``orderly``: after a Goodbye; the agent stopped and keeps no job."""

    node_id: str
    epoch: int
    orderly: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Cancel these jobs, or all jobs of these runs, or (``everything``) all jobs.

    Queued jobs of the window become CANCELLED here. Queued jobs that only the store knows are the app's: in the
    commit of this very tick, after the transitions, it cancels whatever is *still queued there* and matches.
    """

    job_ids: frozenset[str] = frozenset()
    run_ids: frozenset[str] = frozenset()
    everything: bool = False
    queued_only: bool = False
    """Leave alone what a node already has."""
    reason: str = "cancelled"
    who: str = "operator"


@dataclass(frozen=True, slots=True)
class DrainSet:
    """Let a node finish what it runs and give it nothing new (or take it back into service)."""

    node_id: str
    draining: bool
    reason: str = ""
    exit_when_idle: bool = False


@dataclass(frozen=True, slots=True)
class PauseSet:
    """Stop handing out jobs (or go on). Running ones go on; waiting leases are taken back."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. About once a second."""


Event = (
    Restored
    | StagesForgotten
    | WindowFilled
    | QueueChanged
    | HelloReceived
    | Reported
    | Progressed
    | FactsReceived
    | Disconnected
    | CancelRequested
    | DrainSet
    | PauseSet
    | Tick
)


# --- effects: records (commit these first, in order) ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transition:
    """A job changed its state: one row of ``job_event`` and the new content of its ``job`` row."""

    job_id: str
    run_id: str
    from_state: JobState
    to_state: JobState
    attempt: int
    """Number of the lease concerned; to LEASED: the new one. Store it with the job: it is the fence."""
    node_id: str
    """Node concerned, also where the job leaves it (to QUEUED: clear the job's node); empty if there was
    none."""
    node_name: str
    who: str
    """``scheduler``, ``kernel``, ``node NAME`` or who asked for a cancel."""
    why: str
    """One line, for people."""
    failures: int
    """New value."""
    min_vram: int
    """New value."""
    failure: Failure | None = None
    """What went wrong, also when the job is queued again."""
    outcome: Outcome | None = None
    """What the node said, if it ended the lease."""


@dataclass(frozen=True, slots=True)
class RecordCancel:
    """An active job shall be cancelled: keep that, so that a restarted kernel asks again."""

    job_id: str
    reason: str
    who: str


@dataclass(frozen=True, slots=True)
class RememberNode:
    """Insert or replace what the store knows of a node (see :class:`KnownNode`)."""

    node_id: str
    name: str
    epoch: int
    draining: bool
    vram_total_bytes: int


@dataclass(frozen=True, slots=True)
class KeepStages:
    """Keep what the first stages of a job made, and note it in the job's history."""

    kept: KeptStages
    who: str
    why: str


# --- effects: sends (after the commit; dropped if the session is gone) ----------------------------------------


@dataclass(frozen=True, slots=True)
class SendWelcome:
    """Answer to the Hello; the stream ``conn_id`` is now the session (node_id, epoch)."""

    node_id: str
    epoch: int
    conn_id: int
    drop: tuple[LeaseKey, ...]
    report_interval: float
    session_ttl: float


@dataclass(frozen=True, slots=True)
class RefuseHello:
    """End the stream ``conn_id`` with this status. ``code`` is the name of a gRPC status code."""

    node_id: str
    epoch: int
    conn_id: int
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class SendOffer:
    """Send an offer. Several may share a frame, as may acks and cancels."""

    node_id: str
    epoch: int
    offer: Offer


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Send a cancel (or, with ``only_if_not_started``, take back a waiting lease)."""

    node_id: str
    epoch: int
    cancel: Cancel


@dataclass(frozen=True, slots=True)
class SendDrain:
    """Tell the agent that it drains (or no longer does)."""

    node_id: str
    epoch: int
    draining: bool
    reason: str
    exit_when_idle: bool


@dataclass(frozen=True, slots=True)
class AckFacts:
    """Tell the agent that this fact and all before it are committed."""

    node_id: str
    epoch: int
    up_to: int


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End this stream: replaced by a newer one, or silent for too long. No :class:`Disconnected` is needed for
    it (one that comes anyway is ignored)."""

    node_id: str
    epoch: int
    why: str


# --- effects: the rest ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FillWindow:
    """Read queued jobs, after this tick's commit, and answer with :class:`WindowFilled`. At most one is under
    way."""

    generation: int
    after: str
    """Only jobs behind this one in queue order (it may have any state by now); empty, or no such job: from the
    head."""
    limit: int


@dataclass(frozen=True, slots=True)
class ReleaseImages:
    """Images between stages that nobody goes on from: remove their files, unless something else has the very
    same ones."""

    job_id: str = ""
    """All that was kept for this job, which is done."""
    images: tuple[Artifact, ...] = ()
    """These, which were not kept."""


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """Something about a node that people see has changed: connected, lost, drained, ready, unhealthy."""

    node_id: str
    name: str
    what: str
    """One line, for people: "connected", "out of touch: silent for 15 s", ..."""


@dataclass(frozen=True, slots=True)
class SchedulerFault:
    """The scheduler plugin raised or broke its contract. Log it; jobs went on in queue order."""

    scheduler: str
    text: str


Record = Transition | RecordCancel | RememberNode | KeepStages
Send = SendWelcome | RefuseHello | SendOffer | SendCancel | SendDrain | AckFacts | CloseSession
Effect = Record | Send | FillWindow | ReleaseImages | NodeChanged | SchedulerFault

RECORDS: tuple[type, ...] = (Transition, RecordCancel, RememberNode, KeepStages)
"""Types of the effects to commit."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a job would go, for a dry run."""

    job_id: str
    node_name: str
    """Empty: nowhere now."""
    reason: str = field(default="")
