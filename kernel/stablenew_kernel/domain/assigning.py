"""Asking the scheduler plugin, and checking what it says. Pure; the dry run and the real run share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from stablenew_api.scheduler import Assignment, NodeView, Scheduler
from stablenew_kernel.domain.matching import Matcher, Requirement
from stablenew_kernel.domain.window import Waiting


def candidates(
    waiting: Iterable[Waiting],
    free: Mapping[str, int],
    matcher: Matcher,
    lookahead: int,
    full: frozenset[str] = frozenset(),
) -> tuple[dict[str, Waiting], dict[str, frozenset[str]], bool]:
    """Jobs worth showing to the scheduler, which nodes fit each, and whether there may be more of them.

    Looks at the first ``4 * free slots + lookahead`` jobs that some free node could run, and takes of each kind
    (same run, same needs) no more than twice what there are slots: the rest would be chosen for nothing.

    ``full``: nodes without a free slot that are shown all the same, since they may be worth waiting for.
    """
    slots = sum(free.values())
    left = 4 * slots + lookahead
    chosen: dict[str, Waiting] = {}
    fits: dict[str, frozenset[str]] = {}
    usable: dict[Requirement, frozenset[str]] = {}
    taken: dict[Requirement, int] = {}
    for entry in waiting:
        requirement = entry.requirement
        found = usable.get(requirement)
        if found is None:
            fitting = matcher.fits(requirement)
            found = usable[requirement] = fitting & free.keys()
            if found and full:
                found = usable[requirement] = found | (fitting & full)
            taken[requirement] = 0
        if not found:
            continue
        if left <= 0:
            return chosen, fits, True
        left -= 1
        if entry.promised:
            found = found & {entry.promised}
            if not found:
                continue
        elif taken[requirement] >= 2 * slots:
            continue
        taken[requirement] += 1
        job_id = entry.job.job_id
        chosen[job_id] = entry
        fits[job_id] = found
    return chosen, fits, False


def assign(
    scheduler: Scheduler,
    chosen: Mapping[str, Waiting],
    nodes: Sequence[NodeView],
    fits: Mapping[str, frozenset[str]],
    now: float,
    waiting: int | None = None,
) -> tuple[list[Assignment], list[str]]:
    """The scheduler's assignments that keep its contract, and what was wrong with the others.

    A scheduler that raises is a plugin that failed, not a reason to stop: jobs then go in queue order.
    ``waiting``: all jobs that wait, if they were counted.
    """
    views = [entry.view for entry in chosen.values()]
    if waiting is not None:
        views = [replace(view, behind=max(0, waiting - place)) for place, view in enumerate(views, 1)]
    try:
        proposed = scheduler.assign(views, nodes, fits, now)
        wrong: list[str] = []
    except Exception as error:  # a plugin: whatever it raises, the queue goes on
        proposed = in_order(chosen, nodes, fits)
        wrong = [f"raised {type(error).__name__}: {error}"]
    room = {node.node_id: node.free_slots for node in nodes}
    given: set[str] = set()
    kept: list[Assignment] = []
    for assignment in proposed:
        job_id, node_id = assignment.job_id, assignment.node_id
        if job_id not in chosen:
            wrong.append(f"assigned job {job_id}, which it was not asked about")
        elif job_id in given:
            wrong.append(f"assigned job {job_id} twice")
        elif node_id not in fits[job_id]:
            wrong.append(f"assigned job {job_id} to node {node_id}, which it does not fit")
        elif room[node_id] <= 0:
            wrong.append(f"assigned more jobs to node {node_id} than it has free slots")
        else:
            given.add(job_id)
            room[node_id] -= 1
            kept.append(assignment)
    return kept, wrong


def in_order(
    chosen: Mapping[str, Waiting], nodes: Sequence[NodeView], fits: Mapping[str, frozenset[str]]
) -> list[Assignment]:
    """First job, first node that fits, idle slots before prefetches: what is done without a scheduler."""
    idle = {node.node_id: node.idle_slots for node in nodes}
    room = {node.node_id: node.free_slots for node in nodes}
    result: list[Assignment] = []
    for job_id in chosen:
        best = max(
            (node for node in nodes if room[node.node_id] > 0 and node.node_id in fits[job_id]),
            key=lambda node: idle[node.node_id],
            default=None,
        )
        if best is None:
            continue
        room[best.node_id] -= 1
        idle[best.node_id] -= 1
        result.append(Assignment(job_id, best.node_id, "queue order"))
    return result
