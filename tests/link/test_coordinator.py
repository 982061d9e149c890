"""The kernel's side: every state of a job and of a session, with every event; then the rules by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import stablenew_kernel.domain.link as link
from stablenew_api.jobs import Failure, FailureKind, JobState, Needs
from stablenew_api.leases import Cancel, Fact, HeldLease, LeaseKey, LeaseState, Outcome
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.lifecycle import InvalidTransition
from stablenew_kernel.domain.link import (
    AckFacts,
    ActiveJob,
    CancelRequested,
    CloseSession,
    Disconnected,
    DrainSet,
    Event,
    FactsReceived,
    FillWindow,
    HelloReceived,
    KnownNode,
    LinkSettings,
    NodeFacts,
    NodeGauges,
    PauseSet,
    Progressed,
    QueueChanged,
    QueuedJob,
    RecordCancel,
    RefuseHello,
    Reported,
    Restored,
    SchedulerFault,
    SendCancel,
    SendDrain,
    SendOffer,
    SendWelcome,
    Tick,
    Transition,
    WindowFilled,
)

GIB = 1 << 30
FEATURES = frozenset({"txt2img"})


class InOrder(Scheduler):
    """First job to the first node that fits and has room; idle slots first."""

    name = "in-order"
    title = "In order"

    def assign(
        self,
        jobs: Sequence[JobView],
        nodes: Sequence[NodeView],
        fits: Mapping[str, frozenset[str]],
        now: float,
    ) -> list[Assignment]:
        room = {node.node_id: node.free_slots for node in nodes}
        idle = {node.node_id: node.idle_slots for node in nodes}
        result = []
        for job in jobs:
            good = [node for node in nodes if room[node.node_id] > 0 and node.node_id in fits[job.job_id]]
            if good:
                best = max(good, key=lambda node: idle[node.node_id])
                room[best.node_id] -= 1
                idle[best.node_id] -= 1
                result.append(Assignment(job.job_id, best.node_id, "in order"))
        return result


def job(job_id: str, **changes: Any) -> QueuedJob:
    values: dict[str, Any] = {
        "job_id": job_id,
        "run_id": "r1",
        "priority": 0,
        "needs": Needs(features=FEATURES),
        "stages": ("txt2img",),
        "attempt": 0,
        "failures": 0,
        "spec": b"{}",
        "run_timeout": 60.0,
    }
    return QueuedJob(**(values | changes))


def facts(name: str, slots: int = 1, **changes: Any) -> NodeFacts:
    values: dict[str, Any] = {"stages": {"txt2img": "1"}, "features": FEATURES, "vram_total_bytes": 8 * GIB}
    return NodeFacts(name, slots, **(values | changes))


class Driver:
    """A coordinator with a clock, and a queue that answers its reads at once."""

    def __init__(self, *jobs: QueuedJob, scheduler: Scheduler | None = None, **settings: Any) -> None:
        self.kernel = Coordinator(LinkSettings(**settings), scheduler or InOrder())
        self.now = 1000.0
        self.queue = list(jobs)
        self.reads = 0
        self.fact_id = 0
        self(Restored())

    def __call__(self, event: Event) -> list[Any]:
        effects: list[Any] = list(self.kernel.handle(event, self.now))
        for effect in list(effects):
            if isinstance(effect, FillWindow):
                effects += self.fill(effect)
        return effects

    def fill(self, ask: FillWindow) -> list[Any]:
        self.reads += 1
        ids = [one.job_id for one in self.queue]
        start = ids.index(ask.after) + 1 if ask.after in ids else 0
        queued = [one for one in self.queue[start:] if self.kernel.active(one.job_id) is None]
        return self(WindowFilled(ask.generation, tuple(queued[: ask.limit]), len(queued) > ask.limit))

    def hello(
        self, node: str = "a", epoch: int = 1, *held: tuple[LeaseKey, LeaseState], **changes: Any
    ) -> list[Any]:
        leases = tuple(HeldLease(*one) for one in held)
        return self(HelloReceived(node, epoch, facts(node, **changes), leases, conn_id=epoch))

    def fact(self, key: LeaseKey, outcome: Outcome, node: str = "a", epoch: int = 1) -> list[Any]:
        self.fact_id += 1
        if outcome.state in (LeaseState.SUCCEEDED,):
            self.queue = [one for one in self.queue if one.job_id != key.job_id]
        return self(FactsReceived(node, epoch, (Fact(self.fact_id, key, outcome),)))

    def runs(self, key: LeaseKey, node: str = "a", epoch: int = 1) -> list[Any]:
        return self(Progressed(node, epoch, key))

    def later(self, seconds: float) -> list[Any]:
        self.now += seconds
        return self(Tick())


def steps(effects: list[Any]) -> list[str]:
    return [f"{one.from_state}->{one.to_state}" for one in effects if isinstance(one, Transition)]


def only(kind: type, effects: list[Any]) -> list[Any]:
    return [one for one in effects if isinstance(one, kind)]


def offers(effects: list[Any]) -> list[tuple[str, str, int]]:
    """(job, node, attempt) of the offers."""
    return [(one.offer.lease.job_id, one.node_id, one.offer.lease.attempt) for one in only(SendOffer, effects)]


ONE = LeaseKey("j1", 1)
OK = Outcome(LeaseState.SUCCEEDED)
HELD, RUNNING, SUCCEEDED = LeaseState.HELD, LeaseState.RUNNING, LeaseState.SUCCEEDED


def failed(kind: FailureKind, message: str = "it broke") -> Outcome:
    return Outcome(LeaseState.FAILED, failure=Failure(kind, message))


# --- exhaustive: job state x event ----------------------------------------------------------------------------


def absent() -> Driver:
    driver = Driver(job("j1"))
    driver.hello()
    driver.fact(ONE, OK)
    driver(PauseSet(True))  # nothing is handed out again: only the first step of each event shows
    return driver


def queued() -> Driver:
    driver = Driver(job("j1"))
    driver(PauseSet(True))
    driver.hello()
    return driver


def leased() -> Driver:
    driver = Driver(job("j1"))
    driver.hello()
    driver(PauseSet(True))
    return driver


def running() -> Driver:
    driver = leased()
    driver.runs(ONE)
    return driver


def unknown() -> Driver:
    driver = leased()
    driver(Disconnected("a", 1))
    return driver


def cancelling() -> Driver:
    driver = running()
    driver(CancelRequested(frozenset({"j1"})))
    return driver


STATES = {
    "absent": absent, "queued": queued, "leased": leased, "running": running, "unknown": unknown,
    "cancelling": cancelling,
}  # fmt: skip


def fact_event(outcome: Outcome, key: LeaseKey = ONE, node: str = "a", epoch: int = 1) -> Event:
    return FactsReceived(node, epoch, (Fact(9, key, outcome),))


def hello_event(*held: tuple[LeaseKey, LeaseState]) -> Event:
    return HelloReceived("a", 2, facts("a"), tuple(HeldLease(*one) for one in held))


EVENTS: dict[str, Event] = {
    "progress": Progressed("a", 1, ONE),
    "report running": Reported("a", 1, NodeGauges(leases=(HeldLease(ONE, RUNNING),))),
    "report held": Reported("a", 1, NodeGauges(leases=(HeldLease(ONE, HELD),))),
    "succeeded": fact_event(OK),
    "failed": fact_event(failed(FailureKind.BACKEND)),
    "failed for good": fact_event(failed(FailureKind.BAD_INPUT)),
    "gave back": fact_event(Outcome(LeaseState.CANCELLED)),
    "rejected": fact_event(Outcome(LeaseState.REJECTED)),
    "older attempt": fact_event(OK, LeaseKey("j1", 0)),
    "older stream": fact_event(OK, epoch=0),
    "other node": fact_event(OK, node="b"),
    "hello empty": hello_event(),
    "hello held": hello_event((ONE, HELD)),
    "hello running": hello_event((ONE, RUNNING)),
    "hello finished": hello_event((ONE, SUCCEEDED)),
    "disconnected": Disconnected("a", 1),
    "goodbye": Disconnected("a", 1, orderly=True),
    "cancel": CancelRequested(frozenset({"j1"})),
    "cancel queued": CancelRequested(frozenset({"j1"}), queued_only=True),
    "cancel other": CancelRequested(frozenset({"j2"})),
    "drain": DrainSet("a", True),
    "pause": PauseSet(True),
    "tick": Tick(),
}
# One column a state, as in STATES: the step taken, "" for none.
TABLE: dict[str, tuple[str, str, str, str, str, str]] = {
    #                  absent  queued               leased                 running              unknown
    # cancelling
    "progress": ("", "", "leased->running", "", "", ""),
    "report running": ("", "", "leased->running", "", "", ""),
    "report held": ("", "", "", "", "", ""),
    "succeeded": ("", "", "leased->done", "running->done", "", "running->done"),
    "failed": ("", "", "leased->queued", "running->queued", "", "running->cancelled"),
    "failed for good": ("", "", "leased->failed", "running->failed", "", "running->failed"),
    "gave back": ("", "", "leased->queued", "running->queued", "", "running->cancelled"),
    "rejected": ("", "", "leased->queued", "running->queued", "", "running->cancelled"),
    "older attempt": ("", "", "", "", "", ""),
    "older stream": ("", "", "", "", "", ""),
    "other node": ("", "", "", "", "", ""),
    "hello empty": ("", "", "leased->queued", "running->queued", "unknown->queued", "running->cancelled"),
    "hello held": ("", "", "", "", "unknown->leased", ""),
    "hello running": ("", "", "leased->running", "", "unknown->running", ""),
    "hello finished": ("", "", "", "", "", ""),
    "disconnected": ("", "", "leased->unknown", "running->unknown", "", "running->unknown"),
    "goodbye": (
        "", "", "leased->unknown leased->queued", "running->unknown running->queued", "",
        "running->unknown running->cancelled",
    ),
    "cancel": ("", "queued->cancelled", "", "", "", ""),
    "cancel queued": ("", "queued->cancelled", "", "", "", ""),
    "cancel other": ("", "", "", "", "", ""),
    "drain": ("", "", "", "", "", ""),
    "pause": ("", "", "", "", "", ""),
    "tick": ("", "", "", "", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_job_state_by_event(state: str, event: str) -> None:
    driver = STATES[state]()
    expected = TABLE[event][list(STATES).index(state)]
    if event == "goodbye":
        expected = expected.replace("leased->queued", "unknown->queued").replace(
            "running->queued", "unknown->queued"
        )
        expected = expected.replace("running->cancelled", "unknown->cancelled")
    effects = driver(EVENTS[event])
    assert " ".join(steps(effects)) == expected
    last = expected.rpartition("->")[2]
    if last:
        active = driver.kernel.active("j1")
        assert (active is not None) == JobState(last).active
    connected = state != "unknown" and event not in ("older stream", "other node")
    if connected and isinstance(EVENTS[event], FactsReceived):
        assert only(AckFacts, effects) == [
            AckFacts("a", 1, 9)
        ]  # stale ones, too, or they would be told for ever
    else:
        assert not only(AckFacts, effects)


def test_states_are_what_they_say() -> None:
    shown = {name: make().kernel.active("j1") for name, make in STATES.items()}
    assert {name: one.state if one else None for name, one in shown.items()} == {
        "absent": None,
        "queued": None,
        "leased": JobState.LEASED,
        "running": JobState.RUNNING,
        "unknown": JobState.UNKNOWN,
        "cancelling": JobState.RUNNING,
    }
    assert shown["cancelling"] is not None
    assert shown["cancelling"].cancel_requested


# --- exhaustive: session state x event ------------------------------------------------------------------------

SESSION_EVENTS: dict[str, tuple[Event, dict[str, bool]]] = {
    # Whether the session changes, or is heard, when the event comes in each state: never seen, live, gone.
    "hello newer": (HelloReceived("a", 6, facts("a")), {"never": True, "live": True, "gone": True}),
    "hello same": (HelloReceived("a", 5, facts("a")), {"never": True, "live": False, "gone": False}),
    "hello older": (HelloReceived("a", 4, facts("a")), {"never": True, "live": False, "gone": False}),
    "report": (Reported("a", 5, NodeGauges("unhealthy")), {"never": False, "live": True, "gone": False}),
    "report older": (Reported("a", 4, NodeGauges("unhealthy")), {"never": False, "live": False, "gone": False}),
    "progress": (Progressed("a", 5, ONE), {"never": False, "live": True, "gone": False}),
    "progress older": (Progressed("a", 4, ONE), {"never": False, "live": False, "gone": False}),
    "facts": (fact_event(OK, epoch=5), {"never": False, "live": True, "gone": False}),
    "facts older": (fact_event(OK, epoch=4), {"never": False, "live": False, "gone": False}),
    "disconnected": (Disconnected("a", 5), {"never": False, "live": True, "gone": False}),
    "disconnected older": (Disconnected("a", 4), {"never": False, "live": False, "gone": False}),
    "drain": (DrainSet("a", True), {"never": False, "live": True, "gone": True}),
}


@pytest.mark.parametrize("state", ["never", "live", "gone"])
@pytest.mark.parametrize("event", SESSION_EVENTS)
def test_session_state_by_event(state: str, event: str) -> None:
    driver = Driver()
    if state != "never":
        driver.hello("a", 5)
    if state == "gone":
        driver(Disconnected("a", 5))
    driver.now += 3.0
    what, table = SESSION_EVENTS[event]
    before = driver.kernel.nodes(driver.now)
    effects = driver(what)
    assert (driver.kernel.nodes(driver.now) != before) == table[state]
    if not table[state]:
        assert [type(one) for one in effects] == ([RefuseHello] if isinstance(what, HelloReceived) else [])


def test_a_refused_hello_says_what_to_do() -> None:
    driver = Driver()
    driver.hello("a", 5)
    (refusal,) = driver(HelloReceived("a", 4, facts("a"), conn_id=77))
    assert (refusal.conn_id, refusal.code) == (77, "ABORTED")
    assert "give one of them a new one" in refusal.text


def test_a_newer_hello_closes_the_older_stream() -> None:
    driver = Driver()
    driver.hello("a", 1)
    effects = driver.hello("a", 2)
    assert only(CloseSession, effects) == [CloseSession("a", 1, "the node has connected again")]
    assert driver(Disconnected("a", 1)) == []
    assert driver.kernel.session_epoch("a") == 2


def test_epochs_survive_a_restart() -> None:
    driver = Driver()
    driver.kernel = Coordinator(LinkSettings(), InOrder())
    driver(Restored(nodes=(KnownNode("a", "a", 5),)))
    assert only(RefuseHello, driver.hello("a", 5))
    assert only(SendWelcome, driver.hello("a", 6))


# --- silence --------------------------------------------------------------------------------------------------


def test_a_silent_session_is_closed_and_its_jobs_wait() -> None:
    driver = Driver(job("j1"))
    driver.hello()
    assert driver.later(15.0) == []
    effects = driver.later(1.0)
    assert only(CloseSession, effects) == [CloseSession("a", 1, "silent for 16 s")]
    assert steps(effects) == ["leased->unknown"]


@pytest.mark.parametrize(("loopback", "patience"), [(False, 60.0), (True, 5.0)])
@pytest.mark.parametrize(("started", "failures"), [(False, 0), (True, 1)])
def test_orphans_are_queued_again_in_time(
    loopback: bool, patience: float, started: bool, failures: int
) -> None:
    driver = Driver(job("j1"))
    driver.hello(loopback=loopback)
    if started:
        driver.runs(ONE)
    driver(Disconnected("a", 1))
    assert driver.later(patience - 0.5) == []
    (lost,) = only(Transition, driver.later(0.5))
    assert (lost.to_state, lost.failures, lost.attempt) == (JobState.QUEUED, failures, 1)
    assert lost.failure.kind is FailureKind.LOST
    assert offers(driver.hello("a", 2)) == [("j1", "a", 2)]


def test_a_restarted_kernel_waits_before_it_gives_up() -> None:
    driver = Driver()
    driver.kernel = Coordinator(LinkSettings(), InOrder())
    stored = [
        ActiveJob(job("j1", attempt=1), "a", "a", JobState.LEASED),
        ActiveJob(job("j2", attempt=3), "a", "a", JobState.UNKNOWN),
        ActiveJob(job("j3", attempt=1), "b", "b", JobState.RUNNING, True, "no longer wanted"),
    ]
    effects = driver(Restored(tuple(stored), (KnownNode("a", "a", 5), KnownNode("b", "b", 1))))
    assert steps(effects) == ["leased->unknown", "running->unknown"]
    effects = driver.hello("a", 6, (LeaseKey("j1", 1), HELD), (LeaseKey("j2", 2), RUNNING), slots=2)
    assert only(SendWelcome, effects)[0].drop == (LeaseKey("j2", 2),)  # superseded
    assert steps(effects) == ["unknown->leased", "unknown->queued", "queued->leased"]
    assert offers(effects) == [("j2", "a", 4)]
    driver(Reported("a", 6, NodeGauges()))
    driver.now += 59.0
    driver(Reported("a", 6, NodeGauges()))
    assert steps(driver(Tick())) == []
    assert steps(driver.later(1.0)) == ["unknown->cancelled"]  # b never came back, and nobody wants it


def test_a_goodbye_is_nobodys_failure() -> None:
    driver = Driver(job("j1"))
    driver.hello()
    driver.runs(ONE)
    (_, back) = only(Transition, driver(Disconnected("a", 1, orderly=True)))
    assert (back.to_state, back.failures) == (JobState.QUEUED, 0)


def test_an_offer_that_was_lost_is_made_anew() -> None:
    """Committed, sent into a stream that was dead already: the next Hello does not list it."""
    driver = Driver(job("j1"))
    assert offers(driver.hello("a", 1)) == [("j1", "a", 1)]
    effects = driver.hello("a", 2)
    kinds = [type(one) for one in effects]
    assert kinds.index(SendWelcome) < kinds.index(SendOffer)
    assert offers(effects) == [("j1", "a", 2)]
    assert [one.failures for one in only(Transition, effects)] == [0, 0]


def test_a_finished_lease_keeps_until_its_fact() -> None:
    driver = unknown()
    driver(hello_event((ONE, SUCCEEDED)))
    assert steps(driver.fact(ONE, OK, epoch=2)) == ["unknown->done"]


# --- cancel ---------------------------------------------------------------------------------------------------


def test_a_cancel_is_recorded_once_and_sent_each_time() -> None:
    driver = leased()
    asked = CancelRequested(run_ids=frozenset({"r1"}), reason="enough")
    first = driver(asked)
    assert only(RecordCancel, first) == [RecordCancel("j1", "enough", "operator")]
    sent = [SendCancel("a", 1, Cancel(ONE, "enough", 5.0))]
    assert only(SendCancel, first) == sent
    assert driver(asked) == sent


def test_a_cancel_is_asked_for_again_at_hello() -> None:
    driver = cancelling()
    driver(Disconnected("a", 1))
    assert only(SendCancel, driver(CancelRequested(frozenset({"j1"})))) == []  # nobody there to hear it
    effects = driver(hello_event((ONE, RUNNING)))
    assert [one.cancel.lease for one in only(SendCancel, effects)] == [ONE]


def test_a_cancel_after_a_restart_is_asked_for_again() -> None:
    driver = Driver()
    driver.kernel = Coordinator(LinkSettings(), InOrder())
    driver(Restored((ActiveJob(job("j1", attempt=1), "a", "a", JobState.RUNNING, True, "why"),)))
    (sent,) = only(SendCancel, driver(hello_event((ONE, RUNNING))))
    assert sent.cancel == Cancel(ONE, "why", 5.0)


def test_success_wins_over_a_late_cancel() -> None:
    assert steps(cancelling().fact(ONE, OK)) == ["running->done"]


def test_cancel_everything_leaves_other_nodes_jobs_requested() -> None:
    driver = Driver(job("j1"), job("j2"), job("j3"))
    driver.hello()
    effects = driver(CancelRequested(everything=True))
    assert steps(effects) == ["queued->cancelled"]  # slot and prefetch are out; the third waited
    assert len(only(RecordCancel, effects)) == 2


# --- drain, pause, stealing -----------------------------------------------------------------------------------


def test_drain_takes_back_what_waits_and_lets_run_what_runs() -> None:
    driver = Driver(job("j1"), job("j2"), job("j3"))
    driver.hello()
    driver.runs(ONE)
    effects = driver(DrainSet("a", True, "new card", exit_when_idle=True))
    assert only(SendDrain, effects) == [SendDrain("a", 1, True, "new card", True)]
    (taken,) = only(SendCancel, effects)
    assert (taken.cancel.lease, taken.cancel.only_if_not_started) == (LeaseKey("j2", 1), True)
    (back,) = only(Transition, driver.fact(LeaseKey("j2", 1), Outcome(LeaseState.CANCELLED)))
    assert (back.to_state, back.failures, back.why) == (JobState.QUEUED, 0, "the node drains")
    assert offers(driver.fact(ONE, OK)) == []
    assert offers(driver.hello("b")) == [("j2", "b", 2), ("j3", "b", 1)]  # its old place in the queue


def test_drain_holds_over_hello_and_restart() -> None:
    driver = Driver(job("j1"))
    driver.kernel = Coordinator(LinkSettings(), InOrder())
    driver(Restored(nodes=(KnownNode("a", "a", 1, draining=True),)))
    effects = driver.hello("a", 2)
    assert [one.draining for one in only(SendDrain, effects)] == [True]
    assert offers(effects) == []
    assert offers(driver(DrainSet("a", False))) == [("j1", "a", 1)]


def test_back_in_service_is_told_to_a_node_that_was_away() -> None:
    driver = Driver()
    driver.hello("a", 1)
    driver(DrainSet("a", True))
    driver(Disconnected("a", 1))
    driver(DrainSet("a", False))
    assert [one.draining for one in only(SendDrain, driver.hello("a", 2))] == [False]


def test_pause_takes_back_what_waits_and_hands_out_nothing() -> None:
    driver = Driver(job("j1"), job("j2"), job("j3"))
    driver.hello()
    driver.runs(ONE)
    effects = driver(PauseSet(True))
    assert [one.cancel.lease.job_id for one in only(SendCancel, effects)] == ["j2"]
    driver.fact(LeaseKey("j2", 1), Outcome(LeaseState.CANCELLED))
    assert offers(driver.fact(ONE, OK)) == []
    assert offers(driver(PauseSet(False))) == [("j2", "a", 2), ("j3", "a", 1)]


def test_unhealthy_nodes_get_nothing() -> None:
    driver = Driver()
    driver.hello()
    driver(Reported("a", 1, NodeGauges("unhealthy", problem="backend does not answer")))
    driver.queue = [job("j1")]
    assert offers(driver(QueueChanged((job("j1"),)))) == []
    assert offers(driver(Reported("a", 1, NodeGauges("ready")))) == [("j1", "a", 1)]


def test_a_rejection_waits_for_the_next_report() -> None:
    """Offer and rejection must not chase each other at the speed of the wire."""
    driver = Driver(job("j1"))
    driver.hello()
    effects = driver.fact(ONE, Outcome(LeaseState.REJECTED))
    assert (steps(effects), offers(effects)) == (["leased->queued"], [])
    assert offers(driver(Reported("a", 1, NodeGauges()))) == [("j1", "a", 2)]


def stealing() -> Driver:
    """a runs one job and holds another; b is idle."""
    driver = Driver(job("j1"), job("j2"))
    driver.hello("a")
    driver.runs(ONE)
    return driver


def test_an_idle_node_gets_what_waits_behind_another() -> None:
    driver = stealing()
    assert only(SendCancel, driver.hello("b")) == []  # too young: it might start any moment
    (taken,) = only(SendCancel, driver.later(1.0))
    assert (taken.node_id, taken.cancel.lease, taken.cancel.only_if_not_started) == (
        "a",
        LeaseKey("j2", 1),
        True,
    )
    assert only(SendCancel, driver.later(1.0)) == []  # asked once
    effects = driver.fact(LeaseKey("j2", 1), Outcome(LeaseState.CANCELLED))
    assert steps(effects) == ["leased->queued", "queued->leased"]
    assert offers(effects) == [("j2", "b", 2)]
    assert only(Transition, effects)[0].why == "taken back from a for idle b"
    assert only(SendCancel, driver.later(5.0)) == []


def test_a_job_taken_back_does_not_go_straight_back() -> None:
    """A scheduler that prefers a (its model is loaded) must not undo it for ever."""

    class PrefersA(InOrder):
        def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
            room = {node.node_id: node.free_slots for node in nodes}
            result = []
            for one in jobs:
                for node_id in sorted(fits[one.job_id]):
                    if room.get(node_id, 0) > 0:
                        room[node_id] -= 1
                        result.append(Assignment(one.job_id, node_id, "its model is loaded"))
                        break
            return result

    driver = Driver(job("j1"), job("j2"), scheduler=PrefersA())
    driver.hello("a")
    driver.runs(ONE)
    driver.hello("b")
    driver.later(1.0)
    assert offers(driver.fact(LeaseKey("j2", 1), Outcome(LeaseState.CANCELLED))) == [("j2", "b", 2)]
    assert only(SendCancel, driver.later(60.0)) == []


def test_a_promise_ends_when_its_node_goes() -> None:
    driver = stealing()
    driver.hello("b")
    driver.later(1.0)
    driver(Disconnected("b", 1))
    effects = driver.fact(LeaseKey("j2", 1), Outcome(LeaseState.CANCELLED))
    assert offers(effects) == [("j2", "a", 2)]


def test_too_late_to_take_back() -> None:
    driver = stealing()
    driver.hello("b")
    driver.later(1.0)
    driver.fact(ONE, OK)
    driver.runs(LeaseKey("j2", 1))
    assert steps(driver.fact(LeaseKey("j2", 1), OK)) == ["running->done"]


def test_nothing_is_taken_for_a_node_it_does_not_fit() -> None:
    driver = stealing()
    driver.hello("b", stages={})
    assert only(SendCancel, driver.later(5.0)) == []


def house_with_paces(fast: float, slow: float) -> Driver:
    """Nodes a and b, of which it is known how long such jobs take there."""
    driver = Driver()
    for node, seconds in (("a", fast), ("b", slow)):
        driver.hello(node)
        driver.queue = [job(f"for-{node}")]
        driver(QueueChanged(tuple(driver.queue)))
        driver.fact(LeaseKey(f"for-{node}", 1), Outcome(LeaseState.SUCCEEDED, run_time=seconds), node)
        driver(DrainSet(node, True))
    driver(DrainSet("a", False))
    driver(DrainSet("b", False))
    return driver


def waiting_on_a(driver: Driver) -> LeaseKey:
    """a runs one job and holds another one; b finds nothing."""
    driver(DrainSet("b", True))
    driver.queue = [job("j3"), job("j4")]
    driver(QueueChanged(tuple(driver.queue)))
    driver.runs(LeaseKey("j3", 1))
    return LeaseKey("j4", 1)


def test_known_paces_decide_at_once_what_is_worth_taking_back() -> None:
    driver = house_with_paces(fast=4.0, slow=2.0)
    waiting = waiting_on_a(driver)
    (taken,) = only(SendCancel, driver(DrainSet("b", False)))
    assert taken.cancel.lease == waiting, "4 s more on a, and 4 s there: b has it in 2"


def test_a_slow_node_takes_nothing_back_that_ends_sooner_where_it_is() -> None:
    driver = house_with_paces(fast=1.0, slow=4.0)
    waiting_on_a(driver)
    assert only(SendCancel, driver(DrainSet("b", False))) == []
    assert only(SendCancel, driver.later(1.5)) == [], "old enough, but it would end later"
    (taken,) = only(SendCancel, driver.later(10.0))
    assert taken.cancel.lease == LeaseKey("j4", 1), "what runs before it is long overdue: it may hang"


# --- slots ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_slots_and_one_prefetch_offers_in_flight_included(slots: int) -> None:
    driver = Driver(*(job(f"j{number}") for number in range(10)))
    first = offers(driver.hello(slots=slots))
    assert len(first) == slots + 1
    assert offers(driver(Tick())) == []
    assert len(offers(driver.fact(LeaseKey(first[0][0], 1), OK))) == 1


@pytest.mark.parametrize(("seconds", "beyond"), [(5.0, 1), (1.0, 1), (0.5, 3), (0.01, 10), (0.0001, 64)])
def test_short_jobs_get_more_than_one_prefetch(seconds: float, beyond: int) -> None:
    """One more a slot while the last ones are finished; of very short ones, 50 ms of work a slot."""
    driver = Driver(*(job(f"j{number}") for number in range(100)))
    driver.hello(slots=2)
    effects = driver.fact(LeaseKey("j0", 1), Outcome(LeaseState.SUCCEEDED, run_time=seconds))
    assert 2 + len(offers(effects)) == 2 + beyond


def test_a_job_that_ran_out_of_memory_goes_to_a_bigger_node() -> None:
    driver = Driver(job("j1"))
    driver.hello("small")
    driver.hello("big", vram_total_bytes=12 * GIB)
    assert driver.kernel.active("j1") is not None
    effects = driver.fact(ONE, failed(FailureKind.OUT_OF_MEMORY, "CUDA out of memory"), "small")
    (back, again) = only(Transition, effects)
    assert (back.min_vram, back.failures) == (8 * GIB + 1, 0)
    assert again.node_name == "big"
    (end,) = only(Transition, driver.fact(LeaseKey("j1", 2), failed(FailureKind.OUT_OF_MEMORY), "big"))
    assert end.to_state is JobState.FAILED
    assert "no known node has more VRAM" in end.why


def test_three_failures_are_enough() -> None:
    driver = Driver(job("j1"))
    driver.hello()
    for attempt in (1, 2):
        effects = driver.fact(LeaseKey("j1", attempt), failed(FailureKind.BACKEND))
        assert steps(effects) == ["leased->queued", "queued->leased"]
    (end,) = only(Transition, driver.fact(LeaseKey("j1", 3), failed(FailureKind.BACKEND)))
    assert (end.to_state, end.failures) == (JobState.FAILED, 3)


def test_a_failure_without_a_reason_is_the_backends() -> None:
    driver = Driver(job("j1"))
    driver.hello()
    (back, _) = only(Transition, driver.fact(ONE, Outcome(LeaseState.FAILED)))
    assert back.failure.kind is FailureKind.BACKEND


# --- the window -----------------------------------------------------------------------------------------------


def test_a_long_queue_is_read_page_by_page_once() -> None:
    driver = Driver(*(job(f"j{number:04}") for number in range(1000)), window=100)
    todo = offers(driver.hello(slots=4))
    done = []
    while todo:
        job_id, _, attempt = todo.pop(0)
        done.append(job_id)
        driver.fact_id += 1
        effects = driver(FactsReceived("a", 1, (Fact(driver.fact_id, LeaseKey(job_id, attempt), OK),)))
        todo += offers(effects)
    assert done == [f"j{number:04}" for number in range(1000)]
    assert driver.reads <= 12


def test_jobs_that_fit_nobody_do_not_hold_up_those_behind() -> None:
    blocked = [job(f"b{number:03}", stages=("grain",)) for number in range(500)]
    driver = Driver(*blocked, job("j1"), window=32)
    effects = driver.hello()
    assert offers(effects) == [("j1", "a", 1)]
    reads = driver.reads
    driver(Tick())
    driver.fact(ONE, OK)
    for _ in range(20):
        driver(Tick())
    assert driver.reads <= 2 * reads + 2  # a barren node does not page through the queue for ever
    effects = driver.hello("b", stages={"txt2img": "1", "grain": "1"})
    assert offers(effects) == [("b000", "b", 1), ("b001", "b", 1)]  # from the head


def test_no_node_is_left_idle_because_we_looked_too_short() -> None:
    """The only job for b among those we looked at goes to a; the next one for b is far behind."""
    only_a = {"needs": Needs("m1", features=FEATURES)}
    queue = [
        job("j0"),
        *(job(f"k{number:02}", run_id=f"r{number}", **only_a) for number in range(60)),
        job("j1"),
    ]
    driver = Driver(lookahead=2)
    driver.hello("a", models=frozenset({"m1"}))
    driver.hello("b", models=frozenset({"m2"}))
    driver(PauseSet(True))
    driver.queue = queue
    driver(QueueChanged())
    effects = driver(PauseSet(False))
    assert sorted(offers(effects)) == [("j0", "a", 1), ("j1", "b", 1), ("k00", "a", 1)]


def test_one_submitted_job_needs_no_read() -> None:
    driver = Driver()
    driver.hello()
    reads = driver.reads
    assert offers(driver(QueueChanged((job("j1"),)))) == [("j1", "a", 1)]
    assert driver.reads == reads


def test_a_more_urgent_job_goes_first() -> None:
    driver = Driver(*(job(f"j{number}") for number in range(5)))
    driver.hello()
    urgent = job("u1", priority=5)
    driver.queue.insert(0, urgent)
    driver(QueueChanged((urgent,)))
    assert offers(driver.fact(LeaseKey("j0", 1), OK)) == [("u1", "a", 1)]


def test_a_job_queued_again_keeps_its_place() -> None:
    driver = Driver(job("u1", priority=5), *(job(f"j{number}") for number in range(4)))
    driver.hello()
    effects = driver.fact(LeaseKey("j0", 1), failed(FailureKind.BACKEND))
    assert offers(effects) == [("j0", "a", 2)]


def test_a_read_from_before_a_cancel_is_thrown_away() -> None:
    driver = Driver()
    kernel = Coordinator(LinkSettings(), InOrder())
    (ask,) = only(FillWindow, list(kernel.handle(Restored(), 0.0)))
    kernel.handle(HelloReceived("a", 1, facts("a")), 0.0)
    assert only(FillWindow, list(kernel.handle(CancelRequested(frozenset({"j1"})), 0.0))) == []  # one at a time
    effects = list(kernel.handle(WindowFilled(ask.generation, (job("j1"), job("j2")), False), 0.0))
    assert offers(effects) == []
    (again,) = only(FillWindow, effects)
    assert again.generation > ask.generation
    assert offers(list(kernel.handle(WindowFilled(again.generation, (job("j2"),), False), 0.0))) == [
        ("j2", "a", 1)
    ]
    assert driver.reads == 1


def test_a_read_from_before_a_lease_does_not_lease_again() -> None:
    """The store still called it queued; by the time the answer comes it may even be done."""
    kernel = Coordinator(LinkSettings(window=8), InOrder())
    (ask,) = only(FillWindow, list(kernel.handle(Restored(), 0.0)))
    jobs = tuple(job(f"j{number}") for number in range(3))
    kernel.handle(WindowFilled(ask.generation, jobs, False), 0.0)
    (ask,) = only(FillWindow, list(kernel.handle(QueueChanged(), 0.0)))  # the read happens now
    kernel.handle(HelloReceived("a", 1, facts("a")), 0.0)
    kernel.handle(FactsReceived("a", 1, (Fact(1, LeaseKey("j0", 1), OK),)), 0.0)
    effects = list(kernel.handle(WindowFilled(ask.generation, jobs, False), 0.0))
    assert steps(effects) == []
    assert {one.job.job_id for one in kernel.active_jobs()} == {"j1", "j2"}


# --- schedulers are plugins -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([("nope", "a")], "assigned job nope, which it was not asked about"),
        ([("j1", "a"), ("j1", "a")], "assigned job j1 twice"),
        ([("j1", "b")], "assigned job j1 to node b, which it does not fit"),
        ([("j1", "a"), ("j2", "a"), ("j3", "a")], "assigned more jobs to node a than it has free slots"),
    ],
)
def test_a_scheduler_that_breaks_its_contract_is_named(answer: list[tuple[str, str]], text: str) -> None:
    class Broken(InOrder):
        name = "broken"

        def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
            return [Assignment(*one, "because") for one in answer]

    driver = Driver(job("j1"), job("j2"), job("j3"), scheduler=Broken())
    effects = driver.hello()
    assert only(SchedulerFault, effects)[0] == SchedulerFault("broken", text)
    assert len(offers(effects)) == len(
        {one for one in answer if one[0] != "nope" and one[1] == "a"} - {("j3", "a")}
    )


def test_a_scheduler_that_raises_does_not_stop_the_queue() -> None:
    class Raises(InOrder):
        name = "raises"

        def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
            raise ZeroDivisionError("no nodes?")

    effects = Driver(job("j1"), scheduler=Raises()).hello()
    assert only(SchedulerFault, effects) == [SchedulerFault("raises", "raised ZeroDivisionError: no nodes?")]
    assert offers(effects) == [("j1", "a", 1)]


def test_use_scheduler_takes_effect() -> None:
    class Nothing(InOrder):
        def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
            return []

    driver = Driver(job("j1"), scheduler=Nothing())
    assert offers(driver.hello()) == []
    driver.kernel.use_scheduler(InOrder())
    assert offers(driver(Tick())) == [("j1", "a", 1)]


# --- the rest -------------------------------------------------------------------------------------------------


def test_a_broken_rule_tells_the_story() -> None:
    driver = running()
    lease = driver.kernel._ledger.leases["j1"]
    with pytest.raises(InvalidTransition) as caught:
        driver.kernel._ledger.step(lease, JobState.LEASED, "test", "a bug")
    assert "queued->leased #1 (in order); 1000.000 leased->running #1 (runs)" in str(caught.value)


def test_every_event_type_has_a_handler() -> None:
    kernel = Coordinator(LinkSettings(), InOrder())
    assert set(kernel._handlers) == set(link.Event.__args__)


def test_nodes_are_shown_by_name() -> None:
    driver = Driver(job("j1"))
    driver.hello("b")
    driver.hello("a", slots=2)
    driver.now += 2.0
    driver(Disconnected("b", 1))
    a, b = driver.kernel.nodes(driver.now)
    assert (a.name, a.connected, a.silent_for) == ("a", True, 2.0)
    assert (b.name, b.connected, [one.state for one in b.leases]) == ("b", False, [JobState.UNKNOWN])
