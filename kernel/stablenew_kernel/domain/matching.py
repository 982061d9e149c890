"""Which job fits which node, in people's words. Two-sided matching as in HTCondor; the ranking is the
scheduler's."""

from __future__ import annotations

from collections.abc import Iterable

from stablenew_api.backend import FEATURE_TEXTS
from stablenew_api.jobs import Needs
from stablenew_kernel.domain.link import NodeFacts

_GIB = 1 << 30
"""GB of VRAM are 2**30 bytes here, as every GPU tool prints them."""


def gigabytes(size: int) -> str:
    """Bytes as people read VRAM: ``8.0``."""
    return f"{size / _GIB:.1f}"


def why_not(needs: Needs, min_vram: int, stages: Iterable[str], node: NodeFacts) -> str | None:
    """Why a job cannot run on a node; None: it can.

    ``needs.vram_bytes`` is a hint and counts only against a node whose VRAM is known; ``min_vram`` was learned
    from running out of memory and must be met for certain. A node that lists no models takes any.
    """
    for stage in stages:
        if stage not in node.stages:
            return f"needs stage {stage}, which {node.name} has not"
    if not needs.features <= node.features:
        missing = ", ".join(FEATURE_TEXTS.get(name, name) for name in sorted(needs.features - node.features))
        return f"needs {missing}, which the backend of {node.name} cannot do"
    if needs.model and node.models and needs.model not in node.models:
        return f"needs model {needs.model}, which {node.name} has not"
    total = node.vram_total_bytes
    if total < min_vram:
        if not total:
            return f"needs {gigabytes(min_vram)} GB VRAM, and that of {node.name} is not known"
        if gigabytes(total) == gigabytes(min_vram):
            return f"needs more than {gigabytes(total)} GB VRAM, {node.name} has {gigabytes(total)}"
        return f"needs {gigabytes(min_vram)} GB VRAM, {node.name} has {gigabytes(total)}"
    if 0 < total < needs.vram_bytes:
        return f"needs {gigabytes(needs.vram_bytes)} GB VRAM, {node.name} has {gigabytes(total)}"
    return None


class Requirement:
    """What a set of jobs has in common: their run and their needs. Whether a node fits is decided once per
    requirement, not per job: a run of 1,000 images has one or a few.
    """

    __slots__ = ("fits", "min_vram", "needs", "stages", "stamp")

    def __init__(self, needs: Needs, min_vram: int, stages: tuple[str, ...]) -> None:
        self.needs = needs
        self.min_vram = min_vram
        self.stages = stages
        self.fits: frozenset[str] = frozenset()
        """Nodes in touch that could run it."""
        self.stamp = -1
        """Version of the node set that ``fits`` was made for."""


class Matcher:
    """Interns requirements and keeps their answers until a node comes, goes or changes."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeFacts] = {}
        self._known: dict[tuple[Needs, int, tuple[str, ...], str], Requirement] = {}
        self._stamp = 0

    def put(self, node_id: str, facts: NodeFacts) -> None:
        """A node is in touch, with these abilities."""
        self._nodes[node_id] = facts
        self._stamp += 1

    def remove(self, node_id: str) -> None:
        """A node is out of touch."""
        if self._nodes.pop(node_id, None) is not None:
            self._stamp += 1

    def requirement(
        self, needs: Needs, min_vram: int, stages: tuple[str, ...], run_id: str = ""
    ) -> Requirement:
        """The one Requirement object for these needs in this run."""
        key = (needs, min_vram, stages, run_id)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= 4096:  # a queue with a checkpoint axis: forget rather than grow for ever
                self._known.clear()
            found = self._known[key] = Requirement(needs, min_vram, stages)
        return found

    def fits(self, requirement: Requirement) -> frozenset[str]:
        """Ids of the nodes in touch that can run it."""
        if requirement.stamp != self._stamp:
            requirement.fits = frozenset(
                node_id
                for node_id, facts in self._nodes.items()
                if why_not(requirement.needs, requirement.min_vram, requirement.stages, facts) is None
            )
            requirement.stamp = self._stamp
        return requirement.fits
