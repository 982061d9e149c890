"""The pool's bookkeeping, with workers that exist on paper: what is started, what is ready, who is to blame."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.pool import WorkerPool
from stablenew_agent.pool.reports import Inventory, StepReport, WorkerResult
from stablenew_agent.pool.setup import WorkerSetup
from stablenew_agent.pool.slot import Slot
from stablenew_api.jobs import FailureKind
from stablenew_api.leases import LeaseKey, LeaseState


class Paper:
    """A worker on paper: reads its lines when told to, and follows the rules of ``turns``."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.loaded = True
        self.doomed = False
        self.pid = 1
        self.unread: deque[dict[str, Any]] = deque()
        self.ready: list[tuple[str, int]] = []
        self.begun: list[tuple[str, int]] = []
        self.holder: tuple[str, int] | None = None

    def write(self, data: bytes) -> None:
        self.unread.append(json.loads(data))

    def close(self) -> None: ...

    def kill(self) -> None:
        self.doomed = True

    def say(self, op: str, key: tuple[str, int], **more: Any) -> None:
        line = {"op": op, "job": key[0], "attempt": key[1], **more}
        self.slot.line(json.dumps(line).encode("ascii"))

    def done(self, key: tuple[str, int], state: str) -> None:
        more: dict[str, Any] = {"files": [], "report": "{}"} if state == "succeeded" else {}
        self.say("done", key, state=state, run_time=1.0, peak_vram=0, model="", **more)

    # --- what a test has it do ---

    def read(self) -> None:
        while self.unread and not self.doomed:
            line = self.unread.popleft()
            key = (line.get("job", ""), line.get("attempt", 0))
            if line["op"] == "job":
                assert len(self.ready) + len(self.begun) < 2, "two jobs at most"
                self.ready.append(key)
            elif line["op"] in ("cancel", "take_back") and key in self.ready:
                self.ready.remove(key)
                self.done(key, "cancelled")
            elif line["op"] == "take_back":
                self.say("started", key)

    def begin(self) -> tuple[str, int] | None:
        if self.holder or not self.ready or self.doomed:
            return None
        key = self.holder = self.ready.pop(0)
        accompanied = bool(self.begun)
        self.begun.append(key)
        if accompanied:
            self.say("started", key)
        return key

    def let_go(self) -> None:
        self.holder = None

    def end(self, key: tuple[str, int], state: str = "succeeded") -> None:
        if self.holder == key:
            self.holder = None
        self.begun.remove(key)
        self.done(key, state)


class House:
    """A pool of paper workers, and what it told."""

    def __init__(self, slots: int) -> None:
        self.began: list[str] = []
        self.results: dict[str, WorkerResult] = {}
        self.told: Counter[str] = Counter()
        self.jobs: dict[str, Job] = {}
        self.pool = WorkerPool(slots, WorkerSetup("test", {}, "1"), self)
        self.workers: list[Paper] = []
        for slot in self.pool._slots:
            slot.supervisor.spawn = lambda slot=slot: self._spawn(slot)  # type: ignore[method-assign, misc]
        self.pool.start()

    def _spawn(self, slot: Slot) -> None:
        worker = Paper(slot)
        slot.supervisor.process = worker  # type: ignore[assignment]
        self.workers = [one for one in self.workers if one.slot is not slot] + [worker]

    def run(self, name: str) -> LeaseKey:
        lease = LeaseKey(name, 1)
        self.jobs[name] = Job(lease, b"{}", 60.0, "out")
        self.pool.run(self.jobs[name])
        return lease

    def die(self, worker: Paper, code: int = -9) -> None:
        worker.slot.died(worker, code, "gone")  # type: ignore[arg-type]

    # PoolEvents
    def started(self, lease: LeaseKey) -> None:
        self.began.append(lease.job_id)

    def progressed(self, lease: LeaseKey, report: StepReport) -> None: ...

    def ended(self, lease: LeaseKey, result: WorkerResult) -> None:
        self.results[lease.job_id] = result
        self.told[lease.job_id] += 1

    def described(self, inventory: Inventory) -> None: ...

    def health_changed(self) -> None: ...


@pytest.fixture
def house() -> Iterator[House]:
    """One slot. Nothing is awaited, so no timer runs by itself."""

    async def make() -> House:
        return House(1)

    with asyncio.Runner() as runner:
        made = runner.run(make())
        asyncio._set_running_loop(runner.get_loop())
        try:
            yield made
        finally:
            asyncio._set_running_loop(None)


def pair(house: House, finishing: bool) -> tuple[Paper, LeaseKey, LeaseKey]:
    """``a`` and ``b`` in one worker: b is ready, or runs while a finishes."""
    a, b = house.run("a"), house.run("b")
    (worker,) = house.workers
    worker.read()
    worker.begin()
    if finishing:
        worker.let_go()
        worker.begin()
    return worker, a, b


def state(house: House, name: str) -> LeaseState | None:
    return house.results[name].state if name in house.results else None


def test_a_ready_job_has_not_started(house: House) -> None:
    worker, _, _ = pair(house, finishing=False)
    assert house.began == ["a"]
    assert house.jobs["b"].timers == [], "its run_timeout does not run"
    worker.end(("a", 1))
    assert house.began == ["a", "b"], "the worker goes on by itself, and need not say so"
    assert len(house.jobs["b"].timers) == 2


def test_a_third_job_waits_until_a_place_is_free(house: House) -> None:
    worker, _, _ = pair(house, finishing=True)
    house.run("c")
    worker.read()
    assert worker.ready == []
    worker.end(("a", 1))
    worker.read()
    assert worker.ready == [("c", 1)]


def test_a_ready_job_outlives_its_worker(house: House) -> None:
    worker, _, _ = pair(house, finishing=False)
    house.die(worker)
    assert state(house, "a") is LeaseState.FAILED
    assert state(house, "b") is None
    (again,) = house.workers
    again.read()
    assert again.begin() == ("b", 1)
    again.end(("b", 1))
    assert state(house, "b") is LeaseState.SUCCEEDED


def test_two_that_ran_when_their_worker_died_run_again_alone_and_the_guilty_one_fails(house: House) -> None:
    worker, _, _ = pair(house, finishing=True)
    house.run("c")
    house.die(worker)
    assert house.results == {}
    (again,) = house.workers
    again.read()
    assert again.ready == [("a", 1)], "nobody beside it"
    again.begin()
    again.end(("a", 1))
    again.read()
    assert again.ready == [("b", 1)]
    again.begin()
    house.die(again)
    failed = house.results["b"].failure
    assert failed is not None
    assert failed.kind is FailureKind.BACKEND
    (third,) = house.workers
    third.read()
    assert third.begin() == ("c", 1)


@pytest.mark.parametrize("stuck", ["a", "b"])
def test_a_worker_killed_for_one_job_costs_the_other_nothing(house: House, stuck: str) -> None:
    """``a`` finishes, ``b`` has the device; one of them does not stop when asked."""
    worker, _, _ = pair(house, finishing=True)
    house.pool.cancel(LeaseKey(stuck, 1), 5.0, "a person")
    worker.slot._out_of_grace(house.jobs[stuck])
    assert worker.doomed
    house.die(worker)
    innocent = "b" if stuck == "a" else "a"
    assert state(house, stuck) is LeaseState.CANCELLED
    assert state(house, innocent) is None
    assert not house.jobs[innocent].alone
    (again,) = house.workers
    again.read()
    assert again.begin() == (innocent, 1)


def test_a_result_that_was_written_before_the_kill_wins(house: House) -> None:
    worker, _, b = pair(house, finishing=True)
    house.pool.cancel(b, 5.0, "a person")
    worker.slot._out_of_grace(house.jobs["b"])
    worker.end(("a", 1))  # still in the pipe
    house.die(worker)
    assert state(house, "a") is LeaseState.SUCCEEDED
    assert state(house, "b") is LeaseState.CANCELLED


def test_cancel_of_a_ready_job_leaves_the_running_one_alone(house: House) -> None:
    worker, _, b = pair(house, finishing=False)
    house.pool.cancel(b, 5.0, "a person")
    worker.read()
    assert state(house, "b") is LeaseState.CANCELLED
    assert worker.begun == [("a", 1)]


def test_a_run_timeout_blames_its_own_job(house: House) -> None:
    worker, _, _ = pair(house, finishing=True)
    worker.slot._timed_out(house.jobs["b"])
    worker.slot._out_of_grace(house.jobs["b"])
    house.die(worker)
    failure = house.results["b"].failure
    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT
    assert state(house, "a") is None


@pytest.mark.parametrize("begins", [False, True])
def test_taking_back_races_with_the_start(house: House, begins: bool) -> None:
    worker, _, b = pair(house, finishing=False)
    house.pool.take_back(b)
    if begins:
        worker.end(("a", 1))
        worker.begin()
        assert house.began == ["a"], "nobody knows yet"
    worker.read()
    assert house.began == (["a", "b"] if begins else ["a"])
    assert state(house, "b") is (None if begins else LeaseState.CANCELLED)
    if begins:
        worker.end(("b", 1))
        assert state(house, "b") is LeaseState.SUCCEEDED


def test_a_dropped_job_is_stopped_at_once_only_if_its_worker_has_no_other(house: House) -> None:
    worker, _, b = pair(house, finishing=True)
    house.pool.drop(b)
    assert not worker.doomed
    worker.read()
    worker.end(("a", 1))
    assert state(house, "a") is LeaseState.SUCCEEDED
    worker.slot._out_of_grace(house.jobs["b"])
    assert worker.doomed
    house.die(worker)
    assert "b" not in house.results, "nobody wants to hear of it"


def test_a_ready_job_moves_to_a_worker_that_has_none() -> None:
    async def play() -> None:
        house = House(2)
        for name in "abcd":
            house.run(name)
        one, two = house.workers
        for worker in (one, two):
            worker.read()
            worker.begin()
        assert (one.begun, one.ready, two.begun, two.ready) == ([("a", 1)], [("c", 1)], [("b", 1)], [("d", 1)])
        two.end(("b", 1))
        two.begin()
        two.end(("d", 1))
        assert house.jobs["c"].moving
        one.slot._move(house.jobs["c"])
        one.read()
        assert house.told["c"] == 0
        two.read()
        assert two.begin() == ("c", 1)
        two.end(("c", 1))
        assert state(house, "c") is LeaseState.SUCCEEDED

    asyncio.run(play())


STEPS = st.sampled_from(
    (
        "run",
        "read",
        "begin",
        "let go",
        "end",
        "fail",
        "die",
        "cancel",
        "take back",
        "drop",
        "grace",
        "timeout",
        "move",
    )
)


@given(st.lists(st.tuples(STEPS, st.integers(0, 7)), max_size=60), st.integers(1, 3))
def test_any_history_ends_well(steps: list[tuple[str, int]], slots: int) -> None:
    """Each job is told about exactly once, unless it was dropped: then never. One that was not said to have
    begun never fails."""

    async def play() -> None:
        house = House(slots)
        dropped: set[str] = set()

        def step(what: str, which: int) -> None:
            worker = house.workers[which % slots]
            names = list(house.jobs)
            name = names[which % len(names)] if names else ""
            lease = LeaseKey(name, 1)
            if what == "run" and len(names) < 12:
                house.run(f"j{len(names)}")
            elif what == "read":
                worker.read()
            elif what == "begin":
                worker.begin()
            elif what == "let go":
                worker.let_go()
            elif what in ("end", "fail") and worker.begun:
                key = worker.begun[which % len(worker.begun)]
                worker.end(key) if what == "end" else worker.end(key, "cancelled")
            elif what == "die" or (worker.doomed and what == "grace"):
                house.die(worker)
            elif what == "cancel" and name:
                house.pool.cancel(lease, 5.0, "a person")
            elif what == "take back" and name:
                house.pool.take_back(lease)
            elif what == "drop" and name and name not in house.results:
                dropped.add(name)
                house.pool.drop(lease)
            elif what in ("grace", "timeout", "move"):
                for job in list(worker.slot.jobs):
                    if what == "grace" and job.cancel_reason is not None:
                        worker.slot._out_of_grace(job)
                    elif what == "timeout" and job.started:
                        worker.slot._timed_out(job)
                    elif what == "move":
                        worker.slot._move(job)

        for what, which in steps:
            step(what, which)
            for slot in house.pool._slots:
                assert len(slot.jobs) <= 2
                assert not any(job.alone for job in slot.jobs) or len(slot.jobs) == 1
                assert not slot.jobs or slot.jobs[0].started or slot.jobs[0].returning
        for _ in range(100):
            for which in range(slots):
                if house.workers[which].doomed:
                    house.die(house.workers[which])
                for what in ("read", "begin", "let go", "end"):
                    step(what, which)
        wanted = house.jobs.keys() - dropped
        assert dict(house.told) == dict.fromkeys(wanted, 1)
        for name, result in house.results.items():
            if result.state is LeaseState.FAILED:
                assert name in house.began, f"{name} never began, and failed"

    asyncio.run(play())


def test_a_backend_that_is_off_for_days_is_asked_again_and_again(house: House) -> None:
    """2,000 minutes are a weekend."""
    (worker,) = house.workers
    for _ in range(2000):
        worker.slot.line(b'{"op":"unready","message":"connection refused","stages":[]}')
    assert house.pool.problem == "connection refused"
    ready = {"op": "ready", "identity": ["a", "1", False, ""], "stages": [], "capabilities": {}}
    worker.slot.line(json.dumps(ready).encode("ascii"))
    assert house.pool.ready
    assert not house.pool.problem


def test_a_worker_that_cannot_start_for_days_is_tried_again_and_again(house: House) -> None:
    (worker,) = house.workers
    worker.loaded = False
    for _ in range(2000):
        house.die(worker, 1)
    assert house.pool.problem == "no worker can be started: gone"
    assert house.workers == [worker], "none before its time"


def test_files_of_a_dropped_job_are_removed(house: House, tmp_path: Path) -> None:
    worker, _, b = pair(house, finishing=True)
    house.pool.drop(b)
    path = tmp_path / "b-1.png"
    path.write_bytes(b"made all the same")
    file = {"path": str(path), "name": "image.png", "sha256": "0" * 64, "size": 3, "tags": {}}
    worker.begun.remove(("b", 1))
    worker.say(
        "done", ("b", 1), state="succeeded", run_time=1.0, peak_vram=0, model="", files=[file], report="{}"
    )
    assert not path.exists()
    assert house.results == {}
