"""Handing out jobs, and taking back what waits in the wrong place. Used by the coordinator alone."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api.jobs import JobState
from stablenew_api.leases import Offer
from stablenew_api.scheduler import Scheduler
from stablenew_kernel.domain.assigning import assign, candidates
from stablenew_kernel.domain.leasing import Ledger
from stablenew_kernel.domain.link import SchedulerFault, SendOffer
from stablenew_kernel.domain.pace import WORTH_IT
from stablenew_kernel.domain.sessions import Lease, Node
from stablenew_kernel.domain.window import Waiting

TAIL = 64
"""Jobs that wait at most when the end of the queue is near: who takes the last ones decides when all is
done."""
STEAL_MARGIN = 0.1
"""Seconds that taking a job back must gain: the way there and back, and what is not known exactly."""


class Dispatcher:
    """Asks the scheduler, makes offers, steals, and asks for more of the queue."""

    def __init__(self, ledger: Ledger, scheduler: Scheduler) -> None:
        self._ledger = ledger
        self.scheduler = scheduler

    def run(self) -> None:
        """Hand out what can be handed out. Runs after every event, so it looks at nothing it does not need."""
        settings = self._ledger.settings
        free: dict[str, int] = {}
        if not self._ledger.paused:
            for node in self._ledger.nodes.values():
                if node.accepting:
                    capacity = node.capacity(settings)
                    if capacity > 0:
                        free[node.node_id] = capacity
        hungry = self._hand_out(free) if free else []
        if hungry:
            self._steal([node for node in hungry if self._ledger.window.nothing_for(node)])
        wanted = self._ledger.window.want(hungry)
        if wanted is not None:
            self._ledger.out.append(wanted)

    def _hand_out(self, free: dict[str, int]) -> list[str]:
        """Ask the scheduler, in rounds, until each free node is full, was left idle on purpose, or is hungry
        (nothing in the window fits it). Returns the hungry ones."""
        settings = self._ledger.settings
        jobs = self._ledger.window.jobs
        self._keep_promises(free)
        while free and jobs:
            tail = self._tail()
            full = frozenset(tail) - free.keys()
            chosen, fits, more = candidates(jobs.values(), free, self._ledger.matcher, settings.lookahead, full)
            if not chosen:
                break
            at = self._ledger.now if tail else None
            views = [self._ledger.nodes[node_id].view(room, at) for node_id, room in free.items()]
            views += [self._ledger.nodes[node_id].view(0, at) for node_id in sorted(full)]
            waiting = len(jobs) if tail else None
            kept, wrong = assign(self.scheduler, chosen, views, fits, self._ledger.now, waiting)
            for text in wrong:
                self._ledger.out.append(SchedulerFault(self.scheduler.name, text))
            for assignment in kept:
                self._offer(jobs[assignment.job_id], self._ledger.nodes[assignment.node_id], assignment.reason)
                free[assignment.node_id] -= 1
                del fits[assignment.job_id]
            # A node that could still have had one of these was left idle on purpose. The next round is for
            # those for which nothing is left of what we looked at, but perhaps further back.
            spared = frozenset().union(*fits.values())
            free = {node_id: room for node_id, room in free.items() if room > 0 and node_id not in spared}
            if not more:
                break
        return list(free)

    def _tail(self) -> list[str]:
        """Nodes that share the last of the queue, where it matters which of them takes what; else none."""
        window = self._ledger.window
        if len(window.jobs) > TAIL or not window.all_here:
            return []
        nodes = [node for node in self._ledger.nodes.values() if node.accepting]
        if len(nodes) < 2 or not any(node.job_seconds >= WORTH_IT for node in nodes):
            return []
        return [node.node_id for node in nodes]

    def _keep_promises(self, free: dict[str, int]) -> None:
        """A job that was taken back for an idle node is kept for it, so that it does not go straight back. The
        promise ends when that node has found other work or is gone."""
        if not self._ledger.promises:
            return
        self._ledger.promises = False
        for waiting in self._ledger.window.jobs.values():
            if waiting.promised in free and self._ledger.nodes[waiting.promised].idle_slots() > 0:
                self._ledger.promises = True
            else:
                waiting.promised = ""

    def _offer(self, waiting: Waiting, node: Node, reason: str) -> None:
        job = waiting.job
        self._ledger.window.take(job.job_id)
        attempt = job.attempt + 1
        lease = Lease(job, attempt, node.node_id, node.name, JobState.QUEUED, self._ledger.now)
        self._ledger.leases[job.job_id] = node.leases[job.job_id] = lease
        resume = self._ledger.kept.find(job)
        if resume is not None:
            done = resume.stages
            reason = f"{reason}; goes on at {job.stages[done]} (stage {done + 1} of {len(job.stages)})"
        self._ledger.step(lease, JobState.LEASED, "scheduler", reason)
        offer = Offer(lease.key, job.spec, job.run_timeout, self._ledger.settings.orphan_timeout, resume)
        self._ledger.out.append(SendOffer(node.node_id, node.epoch, offer))

    def _steal(self, idle: Sequence[str]) -> None:
        """The queue has nothing for these nodes. Take back what waits behind a running job elsewhere and fits
        one, if that is known to end it sooner, or has waited long enough where nothing is known."""
        for node_id in idle:
            room = self._ledger.nodes[node_id].idle_slots()
            if room <= 0:
                continue
            room -= sum(1 for lease in self._ledger.leases.values() if lease.revoked_for == node_id)
            for holder in self._ledger.nodes.values():
                if room <= 0:
                    break
                if not holder.connected or holder.facts is None:
                    continue
                # Only what is beyond its slots: the others are about to start, whatever our gauges say.
                for lease in list(holder.leases.values())[holder.facts.slots :]:
                    if (
                        room > 0
                        and lease.state is JobState.LEASED
                        and not lease.revoked
                        and not lease.cancel_requested
                        and self._worth_stealing(lease, holder, self._ledger.nodes[node_id])
                        and node_id in self._fits(lease)
                    ):
                        idle_name = self._ledger.nodes[node_id].name
                        self._ledger.revoke(
                            lease, holder, f"taken back from {holder.name} for idle {idle_name}", node_id
                        )
                        room -= 1

    def _worth_stealing(self, lease: Lease, holder: Node, idle: Node) -> bool:
        here, there = holder.pace.seconds.get(lease.kind), idle.pace.seconds.get(lease.kind)
        known = here is not None and there is not None and here >= WORTH_IT
        starts = holder.start_in(lease, self._ledger.now) if known else float("inf")
        if here is None or there is None or starts == float("inf"):
            return self._ledger.now - lease.leased_at >= self._ledger.settings.steal_after
        return starts > STEAL_MARGIN and there + STEAL_MARGIN < starts + here

    def _fits(self, lease: Lease) -> frozenset[str]:
        job = lease.job
        return self._ledger.matcher.fits(self._ledger.matcher.requirement(job.needs, job.min_vram, job.stages))
