"""Interface of a scheduler: which queued job goes to which node. Pure, so that a dry run is the real run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from stablenew_api.jobs import Needs


@dataclass(frozen=True, slots=True)
class JobView:
    """A queued job, as a scheduler sees it. Jobs come in queue order: priority first, then position."""

    job_id: str
    run_id: str
    priority: int
    needs: Needs
    stages: tuple[str, ...]
    attempt: int
    """How often it was leased before."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node in touch and accepting work."""

    node_id: str
    name: str
    free_slots: int
    """Leases it can take now, the prefetch included; more than 0."""
    idle_slots: int
    """Slots with nothing to run."""
    loaded_model: str
    vram_total_bytes: int
    vram_free_bytes: int
    utilization: float
    """0 to 1: GPU load of the last report."""
    speed: float
    """Relative: 1.0 is an average node of this house."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Give ``job_id`` to ``node_id``. ``reason`` is shown to people."""

    job_id: str
    node_id: str
    reason: str


class Scheduler(ABC):
    """Chooses among jobs and nodes that fit each other."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def assign(
        self,
        jobs: Sequence[JobView],
        nodes: Sequence[NodeView],
        fits: Mapping[str, frozenset[str]],
        now: float,
    ) -> Sequence[Assignment]:
        """Return assignments: each job at most once, only to a node in ``fits[job_id]``, no node above its
        ``free_slots``. Depends on its arguments alone. ``now`` is monotonic seconds.

        The kernel checks the result and drops an assignment that breaks these rules (and logs the plugin).
        """
