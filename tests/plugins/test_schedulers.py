"""The built-in schedulers: the contract, and each rule by name."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.jobs import Needs
from stablenew_api.scheduler import JobView, NodeView, Scheduler
from stablenew_api.testing import check_scheduler, host_of
from stablenew_plugins import schedulers
from stablenew_plugins.schedulers import AffinityScheduler, FifoScheduler

GIB = 1024**3
BOTH = [AffinityScheduler, FifoScheduler]


def node(
    name: str,
    *,
    free: int = 1,
    idle: int | None = None,
    loaded: str = "",
    vram: int = 8,
    vram_free: int | None = None,
    speed: float = 1.0,
    load: float = 0.0,
) -> NodeView:
    return NodeView(
        name, name, free, free if idle is None else idle, loaded, vram * GIB,
        (vram if vram_free is None else vram_free) * GIB, load, speed,
    )  # fmt: skip


def job(number: int, model: str = "", vram: int = 3, run: str = "r1", priority: int = 0) -> JobView:
    return JobView(f"j{number}", run, priority, Needs(model, vram * GIB), ("txt2img",), 0)


def assign(
    scheduler: Scheduler,
    jobs: list[JobView],
    nodes: list[NodeView],
    fits: dict[str, frozenset[str]] | None = None,
) -> dict[str, str]:
    if fits is None:
        fits = {
            one.job_id: frozenset(
                other.node_id for other in nodes if other.vram_total_bytes >= one.needs.vram_bytes
            )
            for one in jobs
        }
    return {made.job_id: made.node_id for made in scheduler.assign(jobs, nodes, fits, 0.0)}


def test_the_plugin_loads() -> None:
    host = host_of(schedulers)
    (plugin,) = host.plugins
    assert plugin.state == "active", plugin.reason
    assert sorted(host.schedulers) == ["affinity", "fifo"]


@pytest.mark.parametrize("kind", BOTH)
def test_contract(kind: type[Scheduler]) -> None:
    check_scheduler(kind(), work_conserving=True)


node_views = st.builds(
    node,
    st.sampled_from("abcdef"),
    free=st.integers(1, 3),
    idle=st.integers(0, 3),
    loaded=st.sampled_from(["", "x", "y"]),
    vram=st.sampled_from([0, 4, 8, 24]),
    vram_free=st.integers(0, 24),
    speed=st.sampled_from([0.5, 1.0, 2.0]),
    load=st.floats(0, 1),
)


@st.composite
def houses(draw: st.DrawFn) -> tuple[list[JobView], list[NodeView], dict[str, frozenset[str]]]:
    nodes = draw(st.lists(node_views, max_size=6, unique_by=lambda one: one.node_id))
    jobs = [
        job(
            number,
            draw(st.sampled_from(["", "x", "y"])),
            draw(st.integers(0, 10)),
            draw(st.sampled_from(["r1", "r2"])),
        )
        for number in range(draw(st.integers(0, 20)))
    ]
    names = [one.node_id for one in nodes]
    fits = {one.job_id: frozenset(name for name in names if draw(st.booleans())) for one in jobs}
    return jobs, nodes, fits


@pytest.mark.parametrize("kind", BOTH)
@A_THIRD
@given(house=houses(), seed=st.integers(0, 1000))
def test_rules_hold_in_any_house(
    kind: type[Scheduler], house: tuple[list[JobView], list[NodeView], dict[str, frozenset[str]]], seed: int
) -> None:
    jobs, nodes, fits = house
    made = kind().assign(jobs, nodes, fits, 0.0)
    left = {one.node_id: one.free_slots for one in nodes}
    for assignment in made:
        assert assignment.node_id in fits[assignment.job_id], "only a node that fits"
        left[assignment.node_id] -= 1
    assert all(count >= 0 for count in left.values()), "never above the free slots"
    assert len({assignment.job_id for assignment in made}) == len(made), "each job once"
    done = {assignment.job_id for assignment in made}
    for one in jobs:
        if one.job_id not in done:
            assert not any(left[name] for name in fits[one.job_id]), "no slot stays free that a job fits"
    shuffled = list(nodes)
    random.Random(seed).shuffle(shuffled)
    assert list(kind().assign(jobs, shuffled, fits, 0.0)) == list(made), "the order of nodes does not matter"
    # Idle slots first: a job is held ready on a busy node only if no idle slot is left that it fits.
    idle = {one.node_id: min(one.idle_slots, one.free_slots) for one in nodes}
    for assignment in made:
        if idle[assignment.node_id] > 0:
            idle[assignment.node_id] -= 1
        else:
            assert not any(idle[name] for name in fits[assignment.job_id])


@pytest.mark.parametrize("kind", BOTH)
def test_jobs_of_one_model_go_in_queue_order(kind: type[Scheduler]) -> None:
    made = kind().assign(
        [job(number) for number in range(5)],
        [node("a", free=2)],
        {f"j{number}": frozenset({"a"}) for number in range(5)},
        0.0,
    )
    assert [assignment.job_id for assignment in made] == ["j0", "j1"]


@pytest.mark.parametrize("kind", BOTH)
def test_idle_slots_before_prefetch(kind: type[Scheduler]) -> None:
    nodes = [node("a", free=2, idle=0, speed=9), node("b", free=2, idle=1)]
    made = kind().assign([job(1), job(2)], nodes, {"j1": frozenset("ab"), "j2": frozenset("ab")}, 0.0)
    assert made[0].node_id == "b"
    assert "idle" in made[0].reason
    assert "held ready" in made[1].reason


def test_the_loaded_model_wins_over_speed_and_says_so() -> None:
    nodes = [node("fast", speed=3), node("gpu-box", loaded="sdxl")]
    (made,) = AffinityScheduler().assign([job(1, "sdxl")], nodes, {"j1": frozenset({"fast", "gpu-box"})}, 0.0)
    assert made.reason == "gpu-box: idle, has sdxl loaded"


def test_a_model_is_known_again_however_a_server_writes_its_name() -> None:
    loaded = "SDXL\\Jugg.safetensors [dd08fa32f9]"
    nodes = [node("fast", speed=3), node("gpu-box", loaded=loaded)]
    (made,) = AffinityScheduler().assign([job(1, "jugg")], nodes, {"j1": frozenset({"fast", "gpu-box"})}, 0.0)
    assert made.reason == "gpu-box: idle, has jugg loaded"
    jobs = [job(1, "other"), job(2, "jugg"), job(3, "other")]
    assert assign(AffinityScheduler(), jobs, [node("a", loaded=loaded)]) == {"j2": "a"}, "no needless switch"


def test_light_jobs_take_the_fastest_and_heavy_ones_the_most_vram() -> None:
    nodes = [node("fast", vram=12, speed=3), node("large", vram=24, speed=1)]
    assert assign(AffinityScheduler(), [job(1, vram=3)], nodes) == {"j1": "fast"}
    assert assign(AffinityScheduler(), [job(1, vram=12, model="")], nodes) == {"j1": "fast"}
    assert assign(AffinityScheduler(), [job(1, vram=13)], nodes) == {"j1": "large"}
    crowded = [node("fast", vram=12, speed=3, vram_free=1), node("large", vram=24)]
    assert assign(AffinityScheduler(), [job(1, vram=3)], crowded) == {"j1": "large"}


def test_the_only_node_of_a_heavy_job_is_left_to_it() -> None:
    nodes = [node("large", vram=24, speed=3), node("small", vram=8)]
    jobs = [job(1, vram=3), job(2, vram=20)]
    assert assign(AffinityScheduler(), jobs, nodes) == {"j1": "small", "j2": "large"}


def test_within_a_run_a_node_takes_what_it_has_loaded_first() -> None:
    """One node, a matrix over two checkpoints: the next job of the queue wants the other one."""
    jobs = [job(1, "y"), job(2, "x"), job(3, "y"), job(4, "x")]
    made = AffinityScheduler().assign(
        jobs, [node("a", loaded="x")], {one.job_id: frozenset("a") for one in jobs}, 0.0
    )
    assert [assignment.job_id for assignment in made] == ["j2"]
    assert "before its turn" in made[0].reason
    assert assign(AffinityScheduler(), [job(1, "y"), job(3, "y")], [node("a", loaded="x")]) == {"j1": "a"}


def test_other_runs_and_priorities_are_not_overtaken() -> None:
    for other in (job(2, "x", run="r2"), job(2, "x", priority=-1)):
        assert assign(AffinityScheduler(), [job(1, "y"), other], [node("a", loaded="x")]) == {"j1": "a"}


def paced(name: str, seconds: float | None, ready_in: float = 0.0, *, busy: bool = False) -> NodeView:
    """A node that is known to take ``seconds`` for a job of kind k."""
    pace = {} if seconds is None else {"k": seconds}
    return replace(node(name), pace=pace, ready_in=ready_in, free_slots=int(not busy), idle_slots=int(not busy))


def last(number: int = 1, behind: int | None = 0) -> JobView:
    return replace(job(number), kind="k", behind=behind)


@pytest.mark.parametrize(
    ("slow", "fast", "behind", "taken"),
    [
        (paced("slow", 4.0), paced("fast", 1.0, 1.0, busy=True), 0, False),  # done there in 2 s, here in 4
        (paced("slow", 4.0), paced("fast", 1.0, 0.9, busy=True), 2, False),  # all three there in 3.9 s
        (paced("slow", 4.0), paced("fast", 1.0, 1.0, busy=True), 2, True),  # the third there in 4 s, too
        (paced("slow", 4.0), paced("fast", 1.0, 3.5, busy=True), 0, True),
        (paced("slow", 4.0), paced("fast", 1.0, 1.0, busy=True), None, True),  # many more wait
        (paced("slow", None), paced("fast", 1.0, 1.0, busy=True), 0, True),  # nothing is known
        (paced("slow", 4.0), paced("fast", None, 1.0, busy=True), 0, True),
        (paced("slow", 4.0), paced("fast", 1.0, float("inf"), busy=True), 0, True),  # it may hang
        (paced("slow", 0.04), paced("fast", 0.01, 0.01, busy=True), 0, True),  # not worth the wait
    ],
)
def test_a_slow_node_takes_no_job_that_would_hold_up_the_end(
    slow: NodeView, fast: NodeView, behind: int | None, taken: bool
) -> None:
    made = assign(AffinityScheduler(), [last(1, behind)], [slow, fast])
    assert made == ({"j1": "slow"} if taken else {})


def test_nobody_waits_for_a_node_that_does_not_fit() -> None:
    nodes = [paced("slow", 4.0), paced("fast", 1.0, 1.0, busy=True)]
    assert assign(AffinityScheduler(), [last()], nodes, {"j1": frozenset({"slow"})}) == {"j1": "slow"}


def test_the_fastest_by_what_is_known() -> None:
    nodes = [paced("a", 4.0), paced("b", 1.0), paced("c", 2.0)]
    assert assign(AffinityScheduler(), [last(1, None)], nodes) == {"j1": "b"}


@given(
    paces=st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 7.5, 10.0]), min_size=1, max_size=4),
    count=st.integers(1, 40),
)
def test_the_last_jobs_end_as_early_as_can_be(paces: list[float], count: int) -> None:
    """Equal jobs on nodes of known pace, without prefetch: the best there is, which is to give each job to the
    node that ends it first."""
    scheduler = AffinityScheduler()
    free_at = [0.0] * len(paces)
    now, waiting, end = 0.0, count, 0.0
    while waiting:
        nodes = [
            paced(str(index), pace, max(0.0, free_at[index] - now), busy=free_at[index] > now)
            for index, pace in enumerate(paces)
        ]
        jobs = [last(number, waiting - 1 - number) for number in range(waiting)]
        fits = {one.job_id: frozenset(map(str, range(len(paces)))) for one in jobs}
        for made in scheduler.assign(jobs, nodes, fits, now):
            index = int(made.node_id)
            free_at[index] = now + paces[index]
            end = max(end, free_at[index])
            waiting -= 1
        if waiting:
            later = [at for at in free_at if at > now]
            assert later, "jobs wait, and every node is idle"
            now = min(later)
    best = [0.0] * len(paces)
    for _ in range(count):
        index = min(range(len(paces)), key=lambda index: best[index] + paces[index])
        best[index] += paces[index]
    assert end == pytest.approx(max(best))


def test_a_whole_matrix_on_one_node_switches_once() -> None:
    """Twelve jobs that alternate between two checkpoints, one slot: one switch, not eleven."""
    queue = [job(number, "xy"[number % 2]) for number in range(12)]
    loaded, switches, order = "x", 0, []
    while queue:
        ((job_id, _),) = assign(AffinityScheduler(), queue, [node("a", loaded=loaded)]).items()
        chosen = next(one for one in queue if one.job_id == job_id)
        switches += chosen.needs.model != loaded
        loaded = chosen.needs.model
        order.append(job_id)
        queue.remove(chosen)
    assert switches == 1
    assert len(order) == 12


@pytest.mark.parametrize("kind", BOTH)
def test_a_full_window_costs_little(kind: type[Scheduler]) -> None:
    """Processor time; the usual tick: 256 queued jobs, six nodes, of which one has one slot free."""
    jobs = [job(number, "xy"[number % 2]) for number in range(256)]
    names = frozenset("abcdef")
    fits = {one.job_id: names for one in jobs}
    scheduler = kind()

    def cost(nodes: list[NodeView]) -> float:
        best = 1.0
        for _ in range(20):
            started = time.perf_counter()
            scheduler.assign(jobs, nodes, fits, 0.0)
            best = min(best, time.perf_counter() - started)
        return best

    assert cost([node("a", loaded="z")]) < 0.001
    assert cost([node(name, free=2, idle=1, loaded="x") for name in "abcdef"]) < 0.005
