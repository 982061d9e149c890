"""The agent's side: every state of link and lease, with every event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_agent.session import (
    Acked,
    AgentSession,
    CancelAsked,
    CancelJob,
    Dialled,
    Disconnected,
    DrainAsked,
    DropJob,
    Event,
    Exit,
    Finished,
    ForgetFacts,
    Offered,
    SendFacts,
    SendHello,
    Started,
    StartJob,
    StopAsked,
    StoreFact,
    TakeBack,
    Tick,
    Welcomed,
)
from stablenew_api.leases import Cancel, Fact, HeldLease, LeaseKey, LeaseState, Offer, Outcome

ONE = LeaseKey("j1", 1)
TWO = LeaseKey("j2", 1)
OK = Outcome(LeaseState.SUCCEEDED)


def offer(key: LeaseKey) -> Offer:
    return Offer(key, b"{}", 60.0, 60.0)


def names(effects: list[Any]) -> str:
    return " ".join(type(effect).__name__ for effect in effects)


class Driver:
    """A session with one slot, and a clock."""

    def __init__(
        self, slots: int = 1, outbox: tuple[Fact, ...] = (), next_fact_id: int = 1, ahead: int = 0
    ) -> None:
        self.session = AgentSession(slots, 1, outbox, next_fact_id, ahead)
        self.now = 100.0
        self.epoch = 0

    def __call__(self, event: Event) -> list[Any]:
        return self.session.handle(event, self.now)

    def link(self) -> Driver:
        self.epoch += 1
        self(Dialled(self.epoch))
        self(Welcomed(self.epoch))
        return self

    def offer(self, *keys: LeaseKey) -> list[Any]:
        return self(Offered(self.epoch, tuple(offer(key) for key in keys)))


# --- exhaustive: link state x event ---------------------------------------------------------------------------


def off() -> Driver:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Disconnected(1))
    return driver


def hello() -> Driver:
    driver = off()
    driver(Dialled(2))
    return driver


def linked() -> Driver:
    driver = hello()
    driver(Welcomed(2))
    return driver


LINKS: dict[str, Callable[[], Driver]] = {"off": off, "hello": hello, "linked": linked}
LINK_EVENTS: dict[str, Event] = {
    "dialled": Dialled(3),
    "welcomed": Welcomed(2),
    "welcomed late": Welcomed(1),
    "offered": Offered(2, (offer(TWO),)),
    "offered late": Offered(1, (offer(TWO),)),
    "cancel": CancelAsked(2, Cancel(ONE, "why")),
    "cancel late": CancelAsked(1, Cancel(ONE, "why")),
    "acked": Acked(2, 1),
    "drain": DrainAsked(2, True),
    "disconnected": Disconnected(2),
    "disconnected late": Disconnected(1),
    "finished": Finished(ONE, OK),
    "tick": Tick(),
}
# The agent has ONE running. What each event does, by link state; "-": nothing, because...
LINK_TABLE: dict[str, tuple[str, str, str]] = {
    #                     off               hello             linked
    "dialled": ("SendHello", "SendHello", "SendHello"),
    "welcomed": ("-", "", "-"),  # nobody dialled; takes us in (nothing to tell); is taken in already
    "welcomed late": ("-", "-", "-"),  # of an older stream
    "offered": ("-", "-", ""),  # not linked; held: the slot is taken
    "offered late": ("-", "-", "-"),
    "cancel": ("-", "-", "CancelJob"),
    "cancel late": ("-", "-", "-"),
    "acked": ("-", "-", ""),  # nothing in the outbox
    "drain": ("-", "-", ""),
    "disconnected": ("-", "", ""),
    "disconnected late": ("-", "-", "-"),
    "finished": ("StoreFact", "StoreFact", "StoreFact SendFacts"),
    "tick": ("", "", ""),
}


@pytest.mark.parametrize("state", LINKS)
@pytest.mark.parametrize("event", LINK_EVENTS)
def test_link_state_by_event(state: str, event: str) -> None:
    driver = LINKS[state]()
    expected = LINK_TABLE[event][list(LINKS).index(state)]
    session = driver.session
    before = (session.linked, session.epoch, session.draining, session.held_leases())
    effects = driver(LINK_EVENTS[event])
    assert names(effects) == expected.strip("-")
    if expected == "-":  # a refusal changes nothing at all
        assert (session.linked, session.epoch, session.draining, session.held_leases()) == before


def test_link_states_are_what_they_say() -> None:
    assert [LINKS[name]().session.linked for name in LINKS] == [False, False, True]
    driver = linked()
    driver(LINK_EVENTS["offered"])
    assert driver.session.live_leases()[1] == HeldLease(TWO, LeaseState.HELD)
    driver(LINK_EVENTS["drain"])
    assert driver.session.draining
    driver(LINK_EVENTS["disconnected"])
    assert not driver.session.linked


# --- exhaustive: lease state x event --------------------------------------------------------------------------


def absent() -> Driver:
    return Driver().link()


def held() -> Driver:
    driver = absent()
    driver.offer(TWO, ONE)
    driver(Started(TWO))
    return driver


def given_() -> Driver:
    driver = absent()
    driver.offer(ONE)
    return driver


def running() -> Driver:
    driver = given_()
    driver(Started(ONE))
    return driver


def finished() -> Driver:
    driver = running()
    driver(Finished(ONE, OK))
    return driver


LEASES = {"absent": absent, "held": held, "given": given_, "running": running, "finished": finished}
LEASE_EVENTS: dict[str, Event] = {
    "offered": Offered(1, (offer(ONE),)),
    "cancel": CancelAsked(1, Cancel(ONE, "why", 3.0)),
    "take back": CancelAsked(1, Cancel(ONE, "why", only_if_not_started=True)),
    "started": Started(ONE),
    "finished": Finished(ONE, OK),
    "acked": Acked(1, 1),
    "stop": StopAsked("bye"),
}
LEASE_TABLE: dict[str, tuple[str, str, str, str, str]] = {
    #            absent      held                   given                  running                finished
    "offered": ("StartJob", "-", "-", "-", "StoreFact SendFacts"),
    "cancel": ("-", "StoreFact SendFacts", "CancelJob", "CancelJob", "-"),
    "take back": ("-", "StoreFact SendFacts", "TakeBack", "-", "-"),
    "started": ("-", "-", "", "-", "-"),
    "finished": ("-", "-", "StoreFact SendFacts", "StoreFact SendFacts", "-"),
    "acked": ("-", "-", "-", "-", "ForgetFacts"),
    "stop": ("Exit", "StoreFact SendFacts", "TakeBack", "", ""),
}
AFTER: dict[tuple[str, str], LeaseState | None] = {
    ("absent", "offered"): LeaseState.HELD,  # given to a worker that has not begun
    ("held", "cancel"): LeaseState.CANCELLED,
    ("held", "take back"): LeaseState.CANCELLED,
    ("held", "stop"): LeaseState.REJECTED,
    ("given", "started"): LeaseState.RUNNING,
    ("given", "finished"): LeaseState.SUCCEEDED,
    ("running", "finished"): LeaseState.SUCCEEDED,
    ("finished", "acked"): None,
}


def state_of(driver: Driver, key: LeaseKey) -> LeaseState | None:
    return next((one.state for one in driver.session.held_leases() if one.lease == key), None)


@pytest.mark.parametrize("state", LEASES)
@pytest.mark.parametrize("event", LEASE_EVENTS)
def test_lease_state_by_event(state: str, event: str) -> None:
    driver = LEASES[state]()
    before = state_of(driver, ONE)
    effects = driver(LEASE_EVENTS[event])
    assert names(effects) == LEASE_TABLE[event][list(LEASES).index(state)].strip("-")
    assert state_of(driver, ONE) == AFTER.get((state, event), before)


# --- the races, by name ---------------------------------------------------------------------------------------


def test_hello_lists_waiting_running_and_unacked() -> None:
    driver = Driver(slots=1).link()
    driver.offer(ONE, TWO)
    driver(Started(ONE))
    driver(Finished(ONE, OK))
    (told,) = driver(Dialled(2))
    assert told == SendHello(2, (HeldLease(TWO, LeaseState.HELD), HeldLease(ONE, LeaseState.SUCCEEDED)))


def test_outbox_is_told_again_at_each_welcome_until_acked() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Finished(ONE, OK))
    for epoch in (2, 3):
        driver(Dialled(epoch))
        (told,) = driver(Welcomed(epoch))
        assert told == SendFacts(epoch, (Fact(1, ONE, OK),))
    assert driver(Acked(3, 1)) == [ForgetFacts(1)]
    assert driver.session.idle
    driver(Dialled(4))
    assert driver(Welcomed(4)) == []


def test_a_restarted_agent_tells_what_its_disk_says() -> None:
    fact = Fact(7, ONE, OK)
    driver = Driver(outbox=(fact,), next_fact_id=8)
    assert driver(Dialled(5)) == [SendHello(5, (HeldLease(ONE, LeaseState.SUCCEEDED),))]
    assert driver(Welcomed(5)) == [SendFacts(5, (fact,))]
    driver.epoch = 5
    assert names(driver.offer(ONE)) == "StoreFact SendFacts"  # done before the crash: told again, not done
    driver.offer(TWO)
    stored, _ = driver(Finished(TWO, OK))
    assert stored == StoreFact(Fact(9, TWO, OK))


def test_a_fact_between_hello_and_welcome_is_told_once() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Dialled(2))
    assert names(driver(Finished(ONE, OK))) == "StoreFact"
    assert driver(Welcomed(2)) == [SendFacts(2, (Fact(1, ONE, OK),))]


def test_dropped_leases_free_their_slot_and_their_workers_are_not_heard() -> None:
    driver = Driver().link()
    driver.offer(ONE, TWO)
    driver(Dialled(2))
    effects = driver(Welcomed(2, drop=(ONE,)))
    assert effects == [DropJob(ONE, "superseded while out of touch"), StartJob(offer(TWO))]
    assert driver(Started(ONE)) == driver(Finished(ONE, OK)) == []
    assert state_of(driver, ONE) is None


def test_dropping_a_finished_lease_leaves_its_fact_to_the_ack() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Finished(ONE, OK))
    driver(Dialled(2))
    assert names(driver(Welcomed(2, drop=(ONE,)))) == "SendFacts"
    assert driver(Acked(2, 1)) == [ForgetFacts(1)]


def test_without_a_kernel_jobs_are_given_up_in_silence() -> None:
    driver = Driver().link()
    driver.offer(ONE, TWO)
    driver(Disconnected(1))
    driver.now += 59.0
    driver(Dialled(2))  # failed dials do not start the time anew
    driver(Disconnected(2))
    assert driver(Tick()) == []
    driver.now += 1.0
    assert driver(Tick()) == [DropJob(ONE, "no kernel for 60 s")]  # TWO had not started
    assert driver.session.idle  # and no fact


def test_a_hello_is_a_promise() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Disconnected(1))
    driver.now += 59.0
    driver(Dialled(2))
    driver.now += 30.0
    assert driver(Tick()) == []
    driver(Welcomed(2))
    driver.now += 100.0
    assert driver(Tick()) == []
    assert state_of(driver, ONE) is LeaseState.HELD


def test_a_promise_ends_with_its_stream() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(Disconnected(1))
    driver.now += 59.0
    driver(Dialled(2))
    driver.now += 30.0
    driver(Disconnected(2))
    assert names(driver(Tick())) == "DropJob"


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_slots_and_one_prefetch_never_more(slots: int) -> None:
    driver = Driver(slots=slots).link()
    keys = [LeaseKey(f"j{number}", 1) for number in range(slots + 3)]
    effects = driver.offer(*keys)
    facts = [effect.fact for effect in effects if isinstance(effect, StoreFact)]
    assert [fact.lease for fact in facts] == keys[slots + 1 :]
    assert {fact.outcome.state for fact in facts} == {LeaseState.REJECTED}
    assert len([effect for effect in effects if isinstance(effect, StartJob)]) == slots
    assert StartJob(offer(keys[slots])) in driver(Finished(keys[0], OK))


def test_a_draining_agent_rejects_and_takes_work_again() -> None:
    driver = Driver().link()
    driver(DrainAsked(1, True))
    assert names(driver.offer(ONE)) == "StoreFact SendFacts"
    driver(DrainAsked(1, False))
    assert names(driver.offer(TWO)) == "StartJob"


def test_exit_waits_for_the_ack() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    assert driver(DrainAsked(1, True, "update", exit_when_idle=True)) == []
    assert names(driver(Finished(ONE, OK))) == "StoreFact SendFacts"
    assert driver(Acked(1, 1)) == [ForgetFacts(1), Exit("update")]
    assert driver(Tick()) == []  # once


def test_jobs_are_given_ahead_and_are_held_until_they_start() -> None:
    driver = Driver(ahead=1).link()
    assert names(driver.offer(ONE, TWO)) == "StartJob StartJob"
    driver(Started(ONE))
    assert [held.state for held in driver.session.live_leases()] == [LeaseState.RUNNING, LeaseState.HELD]
    assert driver(CancelAsked(1, Cancel(TWO, "why", only_if_not_started=True))) == [TakeBack(TWO)]
    told = driver(Finished(TWO, Outcome(LeaseState.CANCELLED)))[0]
    assert isinstance(told, StoreFact)
    assert told.fact.outcome.state is LeaseState.CANCELLED


def test_what_is_given_ahead_goes_back_when_the_agent_stops() -> None:
    """As rejected, like what was not given at all; if it started in that moment, it is finished."""
    for ended, told in ((LeaseState.CANCELLED, LeaseState.REJECTED), (LeaseState.SUCCEEDED,) * 2):
        driver = Driver(ahead=1).link()
        driver.offer(ONE, TWO)
        driver(Started(ONE))
        assert driver(StopAsked("bye")) == [TakeBack(TWO)]
        fact = driver(Finished(TWO, Outcome(ended)))[0]
        assert isinstance(fact, StoreFact)
        assert fact.fact.outcome.state is told


def test_exit_does_not_wait_for_a_kernel_that_is_gone() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(StopAsked("bye"))
    driver(Disconnected(1))
    assert names(driver(Finished(ONE, OK))) == "StoreFact Exit"


def test_a_stop_is_not_undone_by_the_kernel() -> None:
    driver = Driver().link()
    driver.offer(ONE)
    driver(StopAsked("bye"))
    driver(DrainAsked(1, False))
    assert driver.session.draining


def test_cancel_passes_grace_and_reason_on() -> None:
    driver = running()
    assert driver(CancelAsked(1, Cancel(ONE, "why", 3.0))) == [CancelJob(ONE, 3.0, "why")]
    effects = driver(Finished(ONE, Outcome(LeaseState.CANCELLED)))
    assert effects[0] == StoreFact(Fact(1, ONE, Outcome(LeaseState.CANCELLED)))


KEYS = st.builds(LeaseKey, st.sampled_from(["j0", "j1", "j2", "j3", "j4", "j5"]), st.just(1))
EVENTS = st.one_of(
    st.builds(lambda key: Offered(1, (offer(key),)), KEYS),
    st.builds(Finished, KEYS, st.just(OK)),
    st.builds(lambda key, soft: CancelAsked(1, Cancel(key, "", 1.0, soft)), KEYS, st.booleans()),
    st.builds(Acked, st.just(1), st.integers(0, 8)),
)


@given(st.lists(EVENTS, max_size=40), st.integers(1, 3))
def test_never_more_workers_than_slots_and_fact_ids_grow(events: list[Event], slots: int) -> None:
    driver = Driver(slots=slots).link()
    workers: set[LeaseKey] = set()
    ids: list[int] = []
    for event in events:
        if isinstance(event, Finished) and event.lease not in workers:
            assert driver(event) == []
            continue
        for effect in driver(event):
            if isinstance(effect, StartJob):
                workers.add(effect.offer.lease)
            elif isinstance(effect, StoreFact):
                ids.append(effect.fact.fact_id)
                workers.discard(effect.fact.lease)
        assert len(workers) <= slots
        assert len(driver.session.live_leases()) <= slots + 1
    assert ids == sorted(set(ids))


# --- the same attempt, offered again --------------------------------------------------------------------------


def test_what_has_ended_here_and_is_offered_again_is_told_again_under_a_new_number() -> None:
    """The kernel died before it noted the lease: it acks our fact as a stranger's, and offers the very same
    attempt. The ack of the first fact must not take the second one with it."""
    driver = Driver().link()
    driver.offer(ONE)
    driver(Finished(ONE, OK))
    driver(Disconnected(1))
    driver.epoch += 1
    driver(Dialled(2))
    driver(Welcomed(2, (ONE,)))
    again = driver.offer(ONE)
    assert [effect for effect in again if isinstance(effect, StoreFact)] == [StoreFact(Fact(2, ONE, OK))]
    assert [effect for effect in again if isinstance(effect, SendFacts)] == [SendFacts(2, (Fact(2, ONE, OK),))]
    assert not any(isinstance(effect, StartJob) for effect in again), "it is done"
    driver(Acked(2, 1))
    assert driver.session.held_leases() == (HeldLease(ONE, LeaseState.SUCCEEDED),)
    driver(Acked(2, 2))
    assert driver.session.held_leases() == ()
    assert "StartJob" in names(driver.offer(ONE)), "all is acked: this is news"
