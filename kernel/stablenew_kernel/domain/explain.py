"""Why a job waits, and where jobs would go: the coordinator's rules, told to people. Pure; changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from stablenew_api.scheduler import NodeView, Scheduler
from stablenew_kernel.domain.assigning import assign, candidates
from stablenew_kernel.domain.link import LinkSettings, Preview, QueuedJob
from stablenew_kernel.domain.matching import Matcher, why_not
from stablenew_kernel.domain.sessions import Node
from stablenew_kernel.domain.window import Waiting

NOTHING_FREE = LinkSettings(prefetch=0, max_prefetch=0)
"""For a dry run: what waits behind running jobs is waiting."""


def explain(
    job: QueuedJob, nodes: Iterable[Node], paused: bool, settings: LinkSettings, ahead: int | None
) -> str:
    """One line. ``ahead``: jobs before it in the window; None: it is further back."""
    if paused:
        return "the queue is paused"
    connected = [node for node in nodes if node.connected]
    if not connected:
        return "no node is connected"
    misfits: list[str] = []
    away: list[str] = []
    busy: list[str] = []
    for node in connected:
        assert node.facts is not None
        misfit = why_not(job.needs, job.min_vram, job.stages, node.facts)
        if not node.facts.features and node.gauges.state == "unhealthy":
            # Its backend has not answered yet, so nobody knows what it can do.
            away.append(f"{node.name} is unhealthy: {node.gauges.problem}")
        elif misfit is not None:
            misfits.append(misfit)
        elif not node.accepting:
            away.append(_why_away(node))
        else:
            slots = node.facts.slots
            if node.capacity(settings) > 0:
                return _place(ahead, f"{node.name} is next to take one")
            busy.append(f"{node.name} is busy ({min(len(node.leases), slots)} of {slots})")
    if busy:
        return _place(ahead, ", ".join(busy))
    return "; ".join(away or misfits)


def _why_away(node: Node) -> str:
    if node.draining:
        return f"{node.name} fits, but is draining"
    if node.gauges.state != "ready":
        problem = f": {node.gauges.problem}" if node.gauges.problem else ""
        return f"{node.name} fits, but is {node.gauges.state}{problem}"
    return f"{node.name} fits, but gave a job back; its next report will tell"


def _place(ahead: int | None, why: str) -> str:
    if ahead is None:
        return f"waits its turn, not among the next: {why}"
    if ahead == 0:
        return f"next in the queue: {why}"
    return f"waits its turn, {ahead} before it: {why}"


def preview(
    jobs: Sequence[QueuedJob], nodes: Collection[Node], scheduler: Scheduler, matcher: Matcher, lookahead: int
) -> list[Preview]:
    """Where these jobs would go if they were alone, in the order of ``jobs``.

    Each node works off one job a slot at a time, at its relative ``speed``; whenever some are free, the real
    scheduler is asked, with the same checks as in the real run. A scheduler that raises is replaced by queue
    order, as there.
    """
    usable = {node.node_id: node for node in nodes if node.accepting}
    waiting = {
        job.job_id: Waiting(job, matcher.requirement(job.needs, job.min_vram, job.stages, job.run_id))
        for job in jobs
    }
    answers: dict[str, Preview] = {}
    clock = dict.fromkeys(usable, 0.0)
    loaded = {node_id: node.gauges.loaded_model for node_id, node in usable.items()}
    while clock and waiting:
        now = min(clock.values())
        free: dict[str, int] = {}
        views: list[NodeView] = []
        for node_id, node in usable.items():
            if clock[node_id] <= now and node.facts is not None:
                facts = node.facts
                free[node_id] = facts.slots
                views.append(
                    NodeView(
                        node_id,
                        node.name,
                        free_slots=facts.slots,
                        idle_slots=facts.slots,
                        loaded_model=loaded[node_id],
                        vram_total_bytes=facts.vram_total_bytes,
                        vram_free_bytes=node.gauges.vram_free_bytes,
                        utilization=node.gauges.utilization,
                        speed=facts.speed,
                    )
                )
        chosen, fits, _ = candidates(waiting.values(), free, matcher, lookahead)
        kept, _ = assign(scheduler, chosen, views, fits, now) if chosen else ([], [])
        for assignment in kept:
            node = usable[assignment.node_id]
            answers[assignment.job_id] = Preview(assignment.job_id, node.name, assignment.reason)
            loaded[node.node_id] = waiting.pop(assignment.job_id).job.needs.model or loaded[node.node_id]
            assert node.facts is not None
            clock[node.node_id] = now + 1.0 / max(node.facts.speed, 1e-3)
        later = [at for at in clock.values() if at > now]
        if not later:
            break  # nobody works and nobody was given anything: so it stays
        # Who was given nothing looks again when the next one does.
        for node_id, at in clock.items():
            if at <= now:
                clock[node_id] = min(later)
    for job in jobs:
        if job.job_id not in answers:
            answers[job.job_id] = Preview(job.job_id, "", explain(job, nodes, False, NOTHING_FREE, None))
    return [answers[job.job_id] for job in jobs]
