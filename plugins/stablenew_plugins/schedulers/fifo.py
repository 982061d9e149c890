"""fifo: strict queue order, first node that is idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler


class FifoScheduler(Scheduler):
    """Jobs in queue order, each to the first node by name that is idle, else to the first that takes one more.

    The plainest rule there is: to compare others with, and for houses of equal GPUs and one checkpoint.
    """

    name, version, title = "fifo", "1.0", "First come, first served"

    def assign(
        self,
        jobs: Sequence[JobView],
        nodes: Sequence[NodeView],
        fits: Mapping[str, frozenset[str]],
        now: float,
    ) -> Sequence[Assignment]:
        """See :class:`~stablenew_api.scheduler.Scheduler`."""
        made: list[Assignment] = []
        taken: set[str] = set()
        ordered = sorted(nodes, key=lambda node: (node.name, node.node_id))
        slots = {node.node_id: node.free_slots for node in nodes}
        for prefetch in (False, True):
            left = {
                node.node_id: slots[node.node_id] if prefetch else min(node.idle_slots, node.free_slots)
                for node in nodes
            }
            total = sum(left.values())
            for job in jobs:
                if not total:
                    break
                if job.job_id in taken:
                    continue
                allowed = fits.get(job.job_id, frozenset())
                for node in ordered:
                    if left[node.node_id] > 0 and node.node_id in allowed:
                        reason = (
                            f"{node.name}: busy, held ready for its next free slot"
                            if prefetch
                            else f"{node.name}: idle"
                        )
                        made.append(Assignment(job.job_id, node.node_id, reason))
                        taken.add(job.job_id)
                        left[node.node_id] -= 1
                        slots[node.node_id] -= 1
                        total -= 1
                        break
        return made
