"""Random histories of the whole link, and the proof that each of its rules is needed.

``link_sim`` is the world: real Coordinator, real AgentSessions, a network that loses, delays, repeats and
lingers, crashes of both sides. Hypothesis plays it and shrinks what it finds; a seeded driver plays it faster,
for the mutants.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import link_sim
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from link_sim import World

import stablenew_agent.session as agent_side
import stablenew_kernel.domain.link as kernel_side
from stablenew_agent.session import AgentSession
from stablenew_kernel.domain.coordinator import Coordinator
from stablenew_kernel.domain.leasing import Ledger
from stablenew_kernel.domain.lifecycle import InvalidTransition
from stablenew_kernel.domain.resuming import Kept
from stablenew_kernel.domain.sessions import Node
from stablenew_kernel.domain.window import Window

NODE = st.integers(0, 2)
ANY = st.integers(0, 7)


class LinkMachine(RuleBasedStateMachine):
    """The world, as hypothesis plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(index=ANY)
    def deliver_up(self, index: int) -> None:
        self.world.deliver_up(index)

    @rule(index=ANY, twice=st.booleans())
    def deliver_down(self, index: int, twice: bool) -> None:
        self.world.deliver_down(index, twice)

    @rule()
    def flush(self) -> None:
        self.world.flush()

    @rule()
    def flush_and_read(self) -> None:
        self.world.flush()
        self.world.deliver_read()
        self.world.flush()

    @rule(point=st.integers(1, 2))
    def crash_kernel(self, point: int) -> None:
        self.world.flush(crash=point)

    @rule()
    def deliver_read(self) -> None:
        self.world.deliver_read()

    @rule(node=NODE, which=NODE, kind=st.integers(0, 99))
    def work(self, node: int, which: int, kind: int) -> None:
        self.world.work(node, which, kind)

    @rule(node=NODE)
    def dial(self, node: int) -> None:
        self.world.dial(node)

    @rule(node=NODE)
    def connect(self, node: int) -> None:
        """A dial that goes well: histories get somewhere."""
        world = self.world
        world.dial(node)
        world.deliver_up(len([one for one in world.streams if one.up and one.kernel_open]) - 1)
        world.flush()
        world.deliver_read()
        world.flush()

    @rule(node=NODE)
    def cut(self, node: int) -> None:
        self.world.cut(node)

    @rule(index=ANY)
    def notice(self, index: int) -> None:
        self.world.notice(index)

    @rule(node=NODE)
    def report(self, node: int) -> None:
        self.world.report(node)

    @rule(node=NODE)
    def crash_agent(self, node: int) -> None:
        self.world.crash_agent(node)

    @rule(job=st.integers(0, 15), whole_run=st.booleans())
    def cancel(self, job: int, whole_run: bool) -> None:
        self.world.cancel(job, whole_run)

    @rule(priority=NODE)
    def submit(self, priority: int) -> None:
        self.world.submit(priority)

    @rule(node=NODE, draining=st.booleans())
    def drain(self, node: int, draining: bool) -> None:
        self.world.drain(node, draining)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.world.pause(paused)

    @rule(seconds=st.sampled_from((1, 2, 6, 20, 70)), heartbeats=st.booleans())
    def wait(self, seconds: int, heartbeats: bool) -> None:
        self.world.wait(seconds, heartbeats)

    @rule(node=NODE)
    def late_welcome(self, node: int) -> None:
        self.world.late_welcome(node)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.settle(random.Random(1), lose_a_node=False)


def test_any_history_ends_well() -> None:
    """Hypothesis looks for a history that breaks a rule."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        LinkMachine,
        settings=settings(
            max_examples=50, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize("block", range(4))
def test_many_histories_end_well(block: int) -> None:
    """Longer ones, by seed: 600 in all."""
    for seed in range(block * 150, block * 150 + 150):
        link_sim.play(seed)


def test_histories_are_not_trivial() -> None:
    """The histories above do meet what they are about; otherwise they would prove nothing."""
    seen: dict[str, int] = {}
    original = Coordinator.handle

    def count(self: Coordinator, event: kernel_side.Event, now: float) -> list[kernel_side.Effect]:
        effects = original(self, event, now)
        for effect in effects:
            name = type(effect).__name__
            if isinstance(effect, kernel_side.Transition):
                name = f"{effect.from_state}->{effect.to_state}"
            elif isinstance(effect, kernel_side.SendCancel) and effect.cancel.only_if_not_started:
                name = "revoke"
            elif isinstance(effect, kernel_side.SendWelcome) and effect.drop:
                name = "drop"
            seen[name] = seen.get(name, 0) + 1
        return effects

    patch = pytest.MonkeyPatch()
    patch.setattr(Coordinator, "handle", count)
    try:
        seen["resumed"] = sum(link_sim.play(seed).resumed for seed in range(150))
    finally:
        patch.undo()
    for wanted in (
        "queued->leased", "queued->cancelled", "leased->running", "leased->unknown", "leased->queued",
        "leased->done", "leased->cancelled", "running->unknown", "running->queued", "running->done",
        "running->failed", "running->cancelled", "unknown->leased", "unknown->running", "unknown->queued",
        "unknown->done", "unknown->cancelled", "revoke", "drop", "RefuseHello", "CloseSession", "RecordCancel",
        "KeepStages", "ReleaseImages", "resumed",
    ):  # fmt: skip
        assert seen.get(wanted, 0) > 0, f"no history has {wanted}"


# --- remove one rule, and it must show ------------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[str, tuple[Patch, tuple[str, ...]]] = {}


def mutant(*symptoms: str) -> Callable[[Patch], Patch]:
    """Register a mutant under its function's name. ``symptoms``: how the failures begin that are its fault."""

    def register(make: Patch) -> Patch:
        MUTANTS[make.__name__] = (make, symptoms)
        return make

    return register


def _wrap(patch: pytest.MonkeyPatch, owner: type, name: str, make: Callable[[Any], Any]) -> None:
    patch.setattr(owner, name, make(getattr(owner, name)))


@mutant("FENCE", "SUPERSEDED", "MEMORY", "ATTEMPT")
def kernel_without_fence(patch: pytest.MonkeyPatch) -> None:
    """Any attempt of an active job counts, from any node."""
    patch.setattr(Ledger, "current", lambda self, key, node_id: self.leases.get(key.job_id))


@mutant("EPOCH")
def kernel_without_epoch_check(patch: pytest.MonkeyPatch) -> None:
    """A late Hello displaces the living session."""

    def make(original: Any) -> Any:
        def hello(self: Any, event: kernel_side.HelloReceived) -> None:
            node = self._ledger.nodes.get(event.node_id)
            if node is not None:
                node.epoch = min(node.epoch, event.epoch - 1)
            original(self, event)

        return hello

    _wrap(patch, Coordinator, "_hello", make)


@mutant("STALE STREAM")
def kernel_without_stale_stream_check(patch: pytest.MonkeyPatch) -> None:
    """Frames of any stream of the node count."""

    def session(self: Any, node_id: str, epoch: int) -> Node | None:
        node: Node | None = self._ledger.nodes.get(node_id)
        return node if node is not None and node.connected else None

    patch.setattr(Coordinator, "_session", session)


@mutant("SUPERSEDED")
def kernel_without_drop_list(patch: pytest.MonkeyPatch) -> None:
    """The Welcome names nothing to drop."""

    def make(original: Any) -> Any:
        def welcome(*args: Any) -> Any:
            return original(*args[:3], (), *args[4:])

        return welcome

    import stablenew_kernel.domain.coordinator as module

    patch.setattr(module, "SendWelcome", make(kernel_side.SendWelcome))


@mutant("KERNEL WAITS")
def kernel_without_giving_up_unlisted_leases(patch: pytest.MonkeyPatch) -> None:
    """A Hello that does not list a lease leaves it where it is."""

    def make(original: Any) -> Any:
        return lambda self, lease, node, state: None if state is None else original(self, lease, node, state)

    _wrap(patch, Coordinator, "_reconcile", make)


@mutant("CANCEL LOST")
def kernel_without_asking_again_for_a_cancel(patch: pytest.MonkeyPatch) -> None:
    """A cancel is sent once, and not again at the next Hello."""

    def make(original: Any) -> Any:
        def reconcile(self: Any, lease: Any, node: Any, state: Any) -> None:
            asked, lease.cancel_requested = lease.cancel_requested, lease.cancel_requested and state is None
            original(self, lease, node, state)
            lease.cancel_requested = asked

        return reconcile

    _wrap(patch, Coordinator, "_reconcile", make)


@mutant("STUCK")
def kernel_without_orphan_timeout(patch: pytest.MonkeyPatch) -> None:
    """A job whose node never comes back waits for ever."""

    def make(original: Any) -> Any:
        def out_of_touch(self: Any, lease: Any, why: str, patience: float) -> None:
            original(self, lease, why, float("inf"))

        return out_of_touch

    _wrap(patch, Ledger, "out_of_touch", make)


@mutant("SILENCE")
def kernel_without_unknown(patch: pytest.MonkeyPatch) -> None:
    """Silence is taken for death: jobs are queued again at once, while they may still be running."""

    def make(original: Any) -> Any:
        def part(self: Any, node: Node, why: str) -> None:
            original(self, node, why)
            for lease in list(node.leases.values()):
                self._ledger.lost(lease, why)

        return part

    _wrap(patch, Coordinator, "_part", make)


@mutant("KERNEL WAITS", "SUPERSEDED", "CANCEL LOST", "STUCK", "FACT NOT ACKED")
def kernel_does_not_close_silent_sessions(patch: pytest.MonkeyPatch) -> None:
    """It stops listening, but the agent is not told."""
    import stablenew_kernel.domain.coordinator as module

    patch.setattr(module, "CloseSession", lambda *args: kernel_side.NodeChanged("", "", ""))


@mutant("TOO MANY")
def kernel_does_not_count_offers_in_flight(patch: pytest.MonkeyPatch) -> None:
    """A slot counts as taken only once the node was seen to run something there."""

    def capacity(self: Node, settings: kernel_side.LinkSettings) -> int:
        running = sum(1 for lease in self.leases.values() if lease.state is kernel_side.JobState.RUNNING)
        return self.facts.slots + settings.prefetch - running if self.facts else 0

    patch.setattr(Node, "capacity", capacity)


@mutant("STUCK")
def kernel_sends_drain_only_while_draining(patch: pytest.MonkeyPatch) -> None:
    """A node that was away when it was taken back into service goes on draining. (Found by this very test.)"""
    import stablenew_kernel.domain.coordinator as module

    def send(*args: Any) -> Any:
        drain = kernel_side.SendDrain(*args)
        return drain if drain.draining else kernel_side.NodeChanged("", "", "")

    patch.setattr(module, "SendDrain", send)


@mutant("OFFERED BEFORE", "ACKED BEFORE", "MEMORY", "STARTED TWICE", "KEPT FOR NOBODY")
def app_sends_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    """Offers and acks go out for what a crash then forgets."""
    patch.setattr(World, "commit_first", False)


@mutant("STUCK", "ATTEMPT", "MEMORY")
def window_trusts_an_old_read(patch: pytest.MonkeyPatch) -> None:
    """What memory did since the read was asked for is forgotten."""

    def make(original: Any) -> Any:
        def fill(self: Any, *args: Any) -> None:
            self._touched = set()
            original(self, *args)

        return fill

    _wrap(patch, Window, "fill", make)


@mutant("MEMORY")
def window_without_generations(patch: pytest.MonkeyPatch) -> None:
    """A read that was asked for before a cancel brings the cancelled back."""

    def make(original: Any) -> Any:
        def drop(self: Any, match: Any) -> Any:
            generation = self._generation
            gone = original(self, match)
            self._generation = generation
            return gone

        return drop

    _wrap(patch, Window, "drop", make)


@mutant("STUCK")
def window_never_passes_over(patch: pytest.MonkeyPatch) -> None:
    """Jobs that nobody can run hold up those behind them."""

    def make(original: Any) -> Any:
        return lambda self, hungry: original(self, ())

    _wrap(patch, Window, "want", make)


@mutant("STARTED TWICE")
def agent_takes_an_offer_twice(patch: pytest.MonkeyPatch) -> None:
    """An offer that comes again starts again."""

    def make(original: Any) -> Any:
        def offered(self: Any, event: agent_side.Offered) -> None:
            if self._current(event.epoch):
                for offer in event.offers:
                    if offer.lease in self._leases and self._leases.pop(offer.lease).given:
                        self._given -= 1
            original(self, event)

        return offered

    _wrap(patch, AgentSession, "_offered", make)


@mutant("SENT BEFORE")
def agent_sends_before_it_stores(patch: pytest.MonkeyPatch) -> None:
    """A fact is on the wire before it is on disk."""

    def make(original: Any) -> Any:
        def tell(self: Any, *args: Any) -> None:
            before = len(self._out)
            original(self, *args)
            self._out[before:] = reversed(self._out[before:])

        return tell

    _wrap(patch, AgentSession, "_tell", make)


@mutant("KERNEL WAITS", "FACT NOT ACKED", "ACKED BEFORE")
def agent_does_not_tell_again(patch: pytest.MonkeyPatch) -> None:
    """The outbox is not sent again after a Welcome."""

    def make(original: Any) -> Any:
        def welcomed(self: Any, event: agent_side.Welcomed) -> None:
            original(self, event)
            self._out[:] = [one for one in self._out if not isinstance(one, agent_side.SendFacts)]

        return welcomed

    _wrap(patch, AgentSession, "_welcomed", make)


@mutant("WORK LOST")
def agent_hides_finished_leases(patch: pytest.MonkeyPatch) -> None:
    """A Hello lists what runs, not what is finished and not acked."""
    patch.setattr(AgentSession, "held_leases", AgentSession.live_leases)


@mutant("SUPERSEDED")
def agent_ignores_the_drop_list(patch: pytest.MonkeyPatch) -> None:
    """Superseded leases run on."""

    def make(original: Any) -> Any:
        return lambda self, event: original(self, agent_side.Welcomed(event.epoch))

    _wrap(patch, AgentSession, "_welcomed", make)


@mutant("KERNEL WAITS")
def agent_breaks_the_promise_of_its_hello(patch: pytest.MonkeyPatch) -> None:
    """Orphans are given up also between Hello and Welcome."""

    def make(original: Any) -> Any:
        def tick(self: Any, event: agent_side.Tick) -> None:
            phase, self._phase = self._phase, agent_side._Phase.OFF
            original(self, event)
            self._phase = phase

        return tick

    _wrap(patch, AgentSession, "_tick", make)


@mutant("SUPERSEDED", "WORK LOST")
def agent_listens_to_old_streams(patch: pytest.MonkeyPatch) -> None:
    """Offers, cancels and acks count whatever stream they come on."""
    patch.setattr(AgentSession, "_current", lambda self, epoch: True)


@mutant("CANCEL LOST")
def agent_cancels_only_what_runs(patch: pytest.MonkeyPatch) -> None:
    """A cancel of a waiting lease is ignored."""

    def make(original: Any) -> Any:
        def cancel_asked(self: Any, event: agent_side.CancelAsked) -> None:
            lease = self._leases.get(event.cancel.lease)
            if lease is None or lease.given:
                original(self, event)

        return cancel_asked

    _wrap(patch, AgentSession, "_cancel_asked", make)


@mutant("REVOKE KILLED")
def agent_gives_back_what_runs(patch: pytest.MonkeyPatch) -> None:
    """A take-back of a waiting lease kills it even if it has started."""

    def make(original: Any) -> Any:
        def cancel_asked(self: Any, event: agent_side.CancelAsked) -> None:
            cancel = event.cancel
            plain = agent_side.Cancel(cancel.lease, cancel.reason, cancel.grace)
            original(self, agent_side.CancelAsked(event.epoch, plain))

        return cancel_asked

    _wrap(patch, AgentSession, "_cancel_asked", make)


@mutant("SUPERSEDED")
def agent_listens_to_dropped_workers(patch: pytest.MonkeyPatch) -> None:
    """What a worker says of a lease that is no longer ours is told to the kernel as if it were."""

    def make(original: Any) -> Any:
        def drop(self: Any, key: Any, why: str) -> None:
            if key in self._leases and self._leases[key].given:
                self._out.append(agent_side.DropJob(key, why))
            # the lease stays

        return drop

    _wrap(patch, AgentSession, "_drop", make)


@mutant("KERNEL WAITS")
def agent_takes_a_stage_for_an_end(patch: pytest.MonkeyPatch) -> None:
    """What it has told of a stage is listed in the Hello as a lease that it holds."""

    def held(self: Any) -> Any:
        ended = [agent_side.HeldLease(fact.lease, fact.outcome.state) for fact in self._outbox]
        return self.live_leases() + tuple(ended)

    patch.setattr(AgentSession, "held_leases", held)


@mutant("KEPT FOR NOBODY")
def kernel_without_forgetting_what_is_done(patch: pytest.MonkeyPatch) -> None:
    """What is kept of a job stays when the job is done."""
    patch.setattr(Kept, "forget_job", lambda self, job_id: False)


@mutant("GOES ON WITH ANOTHER'S")
def kernel_without_a_look_at_the_seeds(patch: pytest.MonkeyPatch) -> None:
    """Jobs that begin with the same stages, whatever their seeds, go on with each other's images."""

    def key(spec: Any, stages: int) -> str:
        return ",".join(stage["name"] for stage in spec["stages"][:stages])

    import stablenew_kernel.domain.coordinator as coordinator
    import stablenew_kernel.domain.resuming as resuming

    patch.setattr(coordinator, "prefix_key", key)
    patch.setattr(resuming, "prefix_key", key)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one rule removed, some history breaks, and with the right symptom. (With all rules, none does: see
    above.)"""
    apply, symptoms = MUTANTS[name]
    apply(monkeypatch)
    for seed in range(2000):
        try:
            link_sim.play(seed)
        except (AssertionError, InvalidTransition) as error:
            if not str(error).startswith(symptoms):
                raise  # it broke in a way that this rule is not there for
            return
    pytest.fail(f"2,000 histories without this rule, and nothing broke: {name}")
