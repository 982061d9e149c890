"""The agent's side of the link: what it holds, what it runs, what it still has to tell. Pure: no clock, no I/O.

``AgentSession.handle(event, now) -> effects``; the shell (``dial.py``) carries the effects out **in order**.
Durations and times are monotonic seconds of the agent's clock.

Three races decide its shape:

* *A fact is told until it is acked.* It is stored before it is sent, listed in each Hello and sent again after
  each Welcome. An ack that was lost costs one more telling; a fact that was sent but not stored would cost an
  image.
* *A Hello is a promise.* What it lists must still be there when the Welcome comes, or the kernel would wait for
  it for ever; so nothing is given up between the two.
* *A worker may speak of a lease that is no longer ours* (it was superseded, and killed a moment too late). Its
  words are ignored: the kernel has given the job to another.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stablenew_api.jobs import canonical_json
from stablenew_api.leases import Cancel, Fact, HeldLease, LeaseKey, LeaseState, Offer, Outcome, StageResult

# --- events ---------------------------------------------------------------------------------------------------
# What came over the wire carries the epoch of its stream: frames of an older one may arrive late and are
# ignored.


@dataclass(frozen=True, slots=True)
class Dialled:
    """A stream is open. ``epoch`` was raised on disk *before*, so that no two streams ever share one."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The kernel took us in."""

    epoch: int
    drop: tuple[LeaseKey, ...] = ()
    """Superseded while we were away: stop and forget."""
    report_interval: float = 2.0
    session_ttl: float = 15.0
    keeps_stages: bool = False
    """Whether this kernel keeps what is made between stages."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Offers of one frame."""

    epoch: int
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """One cancel. Idempotent."""

    epoch: int
    cancel: Cancel


@dataclass(frozen=True, slots=True)
class Acked:
    """The kernel committed this fact and all before it."""

    epoch: int
    up_to: int


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """Take no new work (or take work again)."""

    epoch: int
    draining: bool
    reason: str = ""
    exit_when_idle: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream of this epoch ended, or its dial failed."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Started:
    """A worker has begun on this lease."""

    lease: LeaseKey


@dataclass(frozen=True, slots=True)
class StageKept:
    """A worker that runs this lease is done with these stages, and **their images are uploaded**."""

    lease: LeaseKey
    result: StageResult


@dataclass(frozen=True, slots=True)
class Made:
    """The worker is done with this lease and takes the next one, while the outputs are uploaded. Optional:
    where there is nothing to upload, Finished alone will do."""

    lease: LeaseKey


@dataclass(frozen=True, slots=True)
class Finished:
    """A lease ended and **its outputs are uploaded**. ``outcome.state`` is SUCCEEDED, FAILED or CANCELLED."""

    lease: LeaseKey
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The person at this machine wants the agent to end: give back what waits, finish what runs, then exit."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. About once a second."""


Event = (
    Dialled
    | Welcomed
    | Offered
    | CancelAsked
    | Acked
    | DrainAsked
    | Disconnected
    | Started
    | StageKept
    | Made
    | Finished
    | StopAsked
    | Tick
)

# --- effects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendHello:
    """First frame of the stream."""

    epoch: int
    held: tuple[HeldLease, ...]


@dataclass(frozen=True, slots=True)
class StartJob:
    """Give this to a worker, to run as soon as that can (one that was told to stop may need its grace time).
    Answer with Started when it does, and with Finished once the outputs are uploaded."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Ask the worker to stop, kill it after ``grace``. Answer with Finished, whatever the outcome was. Repeats
    are harmless."""

    lease: LeaseKey
    grace: float
    reason: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take it out of the worker that holds it ready, if it has not started there. Answer with Finished and
    CANCELLED if so; otherwise it goes on, and nothing is said. Repeats are harmless."""

    lease: LeaseKey


@dataclass(frozen=True, slots=True)
class DropJob:
    """Kill it silently: the kernel has given this lease to another. No Finished is expected (one that crosses
    is ignored)."""

    lease: LeaseKey
    why: str


@dataclass(frozen=True, slots=True)
class StoreFact:
    """Write to the outbox, before the next effect is looked at."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class SendFacts:
    """Send on the stream of ``epoch``, in this order. They are all in the outbox."""

    epoch: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class ForgetFacts:
    """Delete these from the outbox: this id and all below."""

    up_to: int


@dataclass(frozen=True, slots=True)
class Exit:
    """Nothing left to do and asked to end: say Goodbye and exit."""

    reason: str


Effect = SendHello | StartJob | CancelJob | TakeBack | DropJob | StoreFact | SendFacts | ForgetFacts | Exit


class _Phase(StrEnum):
    """Where the link is."""

    OFF = "off"
    HELLO = "hello"  # our Hello is out, no answer yet
    LINKED = "linked"


class _Lease:
    """A lease that waits or runs here."""

    __slots__ = ("given", "made", "offer", "returning", "state")

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.state = LeaseState.HELD
        self.given = False
        """A worker has it, or will as soon as it is free. While it has not started there, it can be taken back,
        if the worker agrees."""
        self.made = False
        """Its worker is free again; the outputs are on their way."""
        self.returning = ""
        """Why we want to give it back by ourselves, if it has not started."""


class AgentSession:
    """Leases and unacked facts of one agent process."""

    def __init__(
        self,
        slots: int,
        prefetch: int = 1,
        outbox: Iterable[Fact] = (),
        next_fact_id: int = 1,
        ahead: int = 0,
    ) -> None:
        """``slots`` from 1. ``outbox``: facts on disk, in order. ``next_fact_id``: above all ids ever used.
        ``ahead``: jobs that the workers take beyond one a slot, to hold them ready."""
        self._slots = slots
        self._places = slots + ahead
        self._prefetch = prefetch
        self._outbox = deque(outbox)
        self._unacked = Counter(fact.lease for fact in self._outbox if fact.stage is None)
        self._next_fact_id = next_fact_id
        self._leases: dict[LeaseKey, _Lease] = {}
        self._given = 0
        self._phase = _Phase.OFF
        self._epoch = 0
        self._out_of_touch_since: float | None = None
        self._draining = False
        self._exit_when_idle = False
        self._exit_reason = ""
        self._exited = False
        self._stopping = False
        self._keeps_stages = False
        self._now = 0.0
        self._out: list[Effect] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            Dialled: self._dialled,
            Welcomed: self._welcomed,
            Offered: self._offered,
            CancelAsked: self._cancel_asked,
            Acked: self._acked,
            DrainAsked: self._drain_asked,
            Disconnected: self._disconnected,
            Started: self._started,
            StageKept: self._stage_kept,
            Made: self._made,
            Finished: self._finished,
            StopAsked: self._stop_asked,
            Tick: self._tick,
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; return what is to be done, in order. Events that no longer matter (an older
        stream's, a dropped lease's) return nothing."""
        out: list[Effect] = []
        self._now, self._out = now, out
        self._handlers[type(event)](event)
        if (
            self._exit_when_idle
            and not self._exited
            and not self._leases
            and not (self._outbox and self.linked)
        ):
            # Unacked facts are worth waiting for only while somebody is there to ack them. They stay on disk.
            self._exited = True
            out.append(Exit(self._exit_reason))
        return out

    @property
    def linked(self) -> bool:
        """Whether the kernel has welcomed the current stream."""
        return self._phase is _Phase.LINKED

    @property
    def epoch(self) -> int:
        """Epoch of the current stream, or of the last one."""
        return self._epoch

    @property
    def draining(self) -> bool:
        """Whether new offers are rejected."""
        return self._draining

    @property
    def keeps_stages(self) -> bool:
        """Whether the kernel that welcomed us last keeps what is made between stages."""
        return self._keeps_stages

    @property
    def idle(self) -> bool:
        """Whether nothing waits, runs or is unacked."""
        return not self._leases and not self._outbox

    @property
    def at_work(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._leases)

    def live_leases(self) -> tuple[HeldLease, ...]:
        """Waiting and running leases: for the NodeReport."""
        return tuple(HeldLease(key, lease.state) for key, lease in self._leases.items())

    def held_leases(self) -> tuple[HeldLease, ...]:
        """The same and the finished ones whose fact is not acked: for the Hello."""
        return self.live_leases() + tuple(
            HeldLease(fact.lease, fact.outcome.state) for fact in self._outbox if fact.stage is None
        )

    # --- the link ---

    def _dialled(self, event: Dialled) -> None:
        self._lose_touch()
        self._epoch = event.epoch
        self._phase = _Phase.HELLO
        self._out.append(SendHello(event.epoch, self.held_leases()))

    def _welcomed(self, event: Welcomed) -> None:
        if event.epoch != self._epoch or self._phase is not _Phase.HELLO:
            return
        self._phase = _Phase.LINKED
        self._out_of_touch_since = None
        self._keeps_stages = event.keeps_stages
        if not event.keeps_stages:
            # An older kernel than the one they were meant for, which would not understand them. They leave the
            # disk with the next fact that it acks.
            self._outbox = deque(fact for fact in self._outbox if fact.stage is None)
        for key in event.drop:
            # A finished one has no lease here any more; its fact goes the usual way, and will be acked.
            self._drop(key, "superseded while out of touch")
        if self._outbox:
            # All of them, and before any new one: an ack covers all ids below it.
            self._out.append(SendFacts(self._epoch, tuple(self._outbox)))
        self._start_next()

    def _disconnected(self, event: Disconnected) -> None:
        if event.epoch == self._epoch:
            self._lose_touch()
            self._phase = _Phase.OFF

    def _lose_touch(self) -> None:
        if self._out_of_touch_since is None:  # failed dials do not start the time anew
            self._out_of_touch_since = self._now

    def _current(self, epoch: int) -> bool:
        """Whether this came on our stream. A half-open old one may still deliver offers of leases that were
        given to others since; we listed what we hold in the Hello, and what counts was said after it."""
        return epoch == self._epoch and self._phase is _Phase.LINKED

    def _tick(self, event: Tick) -> None:
        # Not while a Hello is under way: it has promised what we hold.
        if self._phase is not _Phase.OFF or self._out_of_touch_since is None:
            return
        away = self._now - self._out_of_touch_since
        for key, lease in list(self._leases.items()):
            if away >= lease.offer.orphan_timeout:
                # No fact: the kernel has given the lease up by now, by the same clock.
                self._drop(key, f"no kernel for {away:.0f} s")

    # --- what the kernel asks ---

    def _offered(self, event: Offered) -> None:
        if not self._current(event.epoch):
            return
        for offer in event.offers:
            key = offer.lease
            if key in self._leases:
                continue  # heard before
            if self._unacked[key]:
                self._say_again(key)
            elif self._draining or len(self._leases) >= self._slots + self._prefetch:
                why = "draining" if self._draining else "no free slot"
                self._tell(key, _rejected(why))
            else:
                self._leases[key] = _Lease(offer)
        self._start_next()

    def _cancel_asked(self, event: CancelAsked) -> None:
        if not self._current(event.epoch):
            return
        cancel = event.cancel
        lease = self._leases.get(cancel.lease)
        if lease is None:
            return  # finished: our fact is on its way, and it is the truth
        if not lease.given:
            del self._leases[cancel.lease]
            self._tell(cancel.lease, Outcome(LeaseState.CANCELLED))
        elif not cancel.only_if_not_started:
            self._out.append(CancelJob(cancel.lease, cancel.grace, cancel.reason))
        elif lease.state is LeaseState.HELD:
            self._out.append(TakeBack(cancel.lease))

    def _acked(self, event: Acked) -> None:
        if not self._current(event.epoch):
            return
        before = len(self._outbox)
        while self._outbox and self._outbox[0].fact_id <= event.up_to:
            fact = self._outbox.popleft()
            if fact.stage is None:
                self._unacked[fact.lease] -= 1
        if len(self._outbox) < before:
            self._unacked = +self._unacked
            self._out.append(ForgetFacts(event.up_to))

    def _drain_asked(self, event: DrainAsked) -> None:
        if not self._current(event.epoch) or self._stopping:
            return
        # What waits here is not given back by us: the kernel asks for it, so that no two of us decide that.
        self._draining = event.draining
        self._exit_when_idle = event.draining and event.exit_when_idle
        self._exit_reason = event.reason

    # --- what happens here ---

    def _started(self, event: Started) -> None:
        lease = self._leases.get(event.lease)
        if lease is not None and lease.given:
            lease.state = LeaseState.RUNNING

    def _stage_kept(self, event: StageKept) -> None:
        # Also of a lease that is over by now or was given to another: its images are at the kernel, which keeps
        # them by what they are, or removes them.
        if not self._keeps_stages:
            return
        self._add(Fact(self._next_fact_id, event.lease, Outcome(LeaseState.RUNNING), event.result))

    def _made(self, event: Made) -> None:
        lease = self._leases.get(event.lease)
        if lease is None or not lease.given or lease.made:
            return
        lease.made = True
        self._given -= 1
        self._start_next()

    def _finished(self, event: Finished) -> None:
        lease = self._leases.get(event.lease)
        if lease is None or not lease.given:
            return  # dropped a moment ago
        del self._leases[event.lease]
        self._given -= not lease.made
        outcome = event.outcome
        if lease.returning and outcome.state is LeaseState.CANCELLED:
            outcome = _rejected(lease.returning)
        self._tell(event.lease, outcome)
        self._start_next()

    def _stop_asked(self, event: StopAsked) -> None:
        self._stopping = self._draining = self._exit_when_idle = True
        self._exit_reason = event.reason
        for key, lease in list(self._leases.items()):
            if not lease.given:
                del self._leases[key]
                self._tell(key, _rejected(event.reason))
            elif lease.state is LeaseState.HELD:
                lease.returning = event.reason
                self._out.append(TakeBack(key))

    # --- parts ---

    def _start_next(self) -> None:
        if self._given >= self._places:
            return
        for lease in self._leases.values():
            if not lease.given:
                lease.given = True
                self._given += 1
                self._out.append(StartJob(lease.offer))
                if self._given >= self._places:
                    return

    def _tell(self, key: LeaseKey, outcome: Outcome) -> None:
        self._unacked[key] += 1
        self._add(Fact(self._next_fact_id, key, outcome))

    def _add(self, fact: Fact) -> None:
        self._next_fact_id += 1
        self._outbox.append(fact)
        self._out.append(StoreFact(fact))
        if self._phase is _Phase.LINKED:
            self._out.append(SendFacts(self._epoch, (fact,)))

    def _say_again(self, key: LeaseKey) -> None:
        """Offered what has ended here: the kernel died before it noted the lease, threw our word away as a
        stranger's, and now gives out the same attempt. The ack of that word may be on its way, and would take a
        mere repetition with it: so it is said as a new fact."""
        told = next(fact for fact in reversed(self._outbox) if fact.lease == key and fact.stage is None)
        self._tell(key, told.outcome)

    def _drop(self, key: LeaseKey, why: str) -> None:
        lease = self._leases.pop(key, None)
        if lease is not None and lease.given:
            self._given -= not lease.made
            self._out.append(DropJob(key, why))


def _rejected(why: str) -> Outcome:
    return Outcome(LeaseState.REJECTED, report=canonical_json({"why": why}))
