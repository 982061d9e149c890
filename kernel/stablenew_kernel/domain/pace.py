"""How long jobs take on each node, from those that ended there. Pure.

Jobs of one *kind* (the same stages, checkpoint and need of VRAM) take about as long as each other. The median
of the last few is kept: one that had to load a checkpoint, or met a busy machine, does not move it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

from stablenew_api.jobs import Needs

KEPT = 7
"""Times of a kind that are kept on a node: the newest."""
KINDS = 64
"""Kinds that are kept on a node: those used last."""
WORTH_IT = 0.1
"""Seconds from which on it matters where a job goes; looking at all leases for shorter ones costs more than it
brings."""
OVERDUE = 3.0
"""A job that takes longer than this many times what is usual may have met anything: nobody waits for it."""
OVERDUE_SECONDS = 1.0
"""And so many seconds more: short ones vary."""


def kind_of(stages: tuple[str, ...], needs: Needs) -> str:
    """Jobs with the same are taken to take equally long on one node."""
    return f"{'+'.join(stages)}|{needs.model}|{needs.vram_bytes}"


class Pace:
    """Seconds a job on one node, by kind."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._medians: dict[str, float] = {}

    def took(self, kind: str, seconds: float) -> None:
        """A job of this kind succeeded in ``seconds``, more than 0."""
        times = self._times.pop(kind, None) or deque(maxlen=KEPT)
        times.append(seconds)
        self._times[kind] = times
        self._medians[kind] = median(times)
        if len(self._times) > KINDS:
            oldest = next(iter(self._times))
            del self._times[oldest], self._medians[oldest]

    @property
    def seconds(self) -> Mapping[str, float]:
        """The median of the last few, by kind. Not a copy."""
        return self._medians

    def left(self, kind: str, ran: float | None) -> float:
        """Seconds until a job of this kind is done that has run for ``ran`` seconds (None: not yet begun).
        Infinite: not known, or long overdue."""
        usual = self._medians.get(kind)
        if usual is None:
            return float("inf")
        if ran is None:
            return usual
        return max(0.0, usual - ran) if ran <= OVERDUE * usual + OVERDUE_SECONDS else float("inf")
