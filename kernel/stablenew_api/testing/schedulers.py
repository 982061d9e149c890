"""The contract check of schedulers."""

from __future__ import annotations

import random

from stablenew_api.jobs import Needs
from stablenew_api.kinds import class_problem
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_api.testing.rules import global_random

GIB = 1024**3


def check_scheduler(scheduler: Scheduler, *, work_conserving: bool = False, cases: int = 200) -> None:
    """Check that a scheduler keeps its contract, over ``cases`` houses of nodes and queues of jobs (always the
    same ones). Raises AssertionError naming the rule that it breaks.

    ``work_conserving`` also asks that no node keeps a free slot while a job that fits it is left over; leave it
    False for a scheduler that makes jobs wait for a better node on purpose.
    """
    problem = class_problem("scheduler", type(scheduler))
    assert not problem, problem
    who = f"scheduler {scheduler.name}"
    for case in range(cases):
        jobs, nodes, fits, now = _house(random.Random(case))  # noqa: S311 - test data, nothing secret
        kept = (tuple(jobs), tuple(nodes), dict(fits))
        result = list(scheduler.assign(jobs, nodes, fits, now))
        assert (tuple(jobs), tuple(nodes), dict(fits)) == kept, f"{who}: assign() changed its arguments"
        with global_random(case + 1):
            again = list(scheduler.assign(jobs, nodes, fits, now))
        assert result == again, f"{who}: the same arguments gave two answers; depend on the arguments alone"
        free = {node.node_id: node.free_slots for node in nodes}
        left = {job.job_id for job in jobs}
        for assignment in result:
            assert isinstance(assignment, Assignment), f"{who}: assign() returned a {type(assignment).__name__}"
            job, node = assignment.job_id, assignment.node_id
            assert job in fits, f"{who}: assigns job {job}, which nobody queued"
            assert job in left, f"{who}: assigns job {job} twice"
            assert node in fits[job], f"{who}: assigns job {job} to node {node}, which does not fit it"
            assert free[node] > 0, f"{who}: assigns more jobs to node {node} than it has free slots"
            assert assignment.reason.strip(), f"{who}: gives no reason for job {job}; people read it"
            assert "\n" not in assignment.reason, f"{who}: the reason for job {job} must be one line"
            left.discard(job)
            free[node] -= 1
        if work_conserving:
            waiting = sorted((job, node) for job in left for node in fits[job] if free[node] > 0)
            assert not waiting, f"{who}: leaves job {waiting[0][0]} waiting though node {waiting[0][1]} is free"
    assert not scheduler.assign([], [], {}, 0.0), f"{who}: assigns something when there is nothing"


def _house(draw: random.Random) -> tuple[list[JobView], list[NodeView], dict[str, frozenset[str]], float]:
    """A queue, the nodes in touch, and which job fits which node."""
    models = ("", "sd15", "sdxl", "flux")
    nodes = []
    for index in range(draw.randrange(5)):
        total = draw.choice((4, 8, 12, 24)) * GIB
        free = draw.randrange(1, 4)
        nodes.append(
            NodeView(
                node_id=f"node-{index}",
                name=f"box{index}",
                free_slots=free,
                idle_slots=draw.randrange(free + 1),
                loaded_model=draw.choice(models),
                vram_total_bytes=total,
                vram_free_bytes=draw.randrange(total + 1),
                utilization=draw.random(),
                speed=draw.choice((0.25, 1.0, 3.0)),
            )
        )
    jobs = []
    for index in range(draw.randrange(12)):
        needs = Needs(draw.choice(models), draw.choice((0, 2, 6, 10, 20)) * GIB, frozenset({"txt2img"}))
        run = draw.randrange(3)
        jobs.append(
            JobView(f"job-{index}", f"run-{run}", draw.randrange(3), needs, ("txt2img",), draw.randrange(3))
        )
    jobs.sort(key=lambda job: -job.priority)  # stable: by position among equals, as the kernel hands them over
    fits = {
        job.job_id: frozenset(
            node.node_id
            for node in nodes
            if node.vram_total_bytes >= job.needs.vram_bytes and draw.random() < 0.9
        )
        for job in jobs
    }
    return jobs, nodes, fits, draw.random() * 1e6
