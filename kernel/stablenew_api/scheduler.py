"""Interface of a scheduler: which queued job goes to which node. Pure, so that a dry run is the real run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    kind: str = ""
    """Jobs of one kind take about equally long on one node; see :attr:`NodeView.pace`."""
    behind: int | None = None
    """How many jobs wait behind it in the whole queue; None: many, or not counted."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node in touch and accepting work."""

    node_id: str
    name: str
    free_slots: int
    """Leases it can take now, the prefetch included. 0: none; it is told about because it may be worth waiting
    for."""
    idle_slots: int
    """Slots with nothing to run."""
    loaded_model: str
    vram_total_bytes: int
    vram_free_bytes: int
    utilization: float
    """0 to 1: GPU load of the last report."""
    speed: float
    """Relative: 1.0 is an average node of this house."""
    slots: int = 1
    """Jobs that it runs at the same time."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """Seconds that a job took there of late, by kind (the median); a kind that is not here is not known."""
    ready_in: float = 0.0
    """Seconds until all that it holds is done, about; infinite: not known."""


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
