"""The life of a job: which changes of state are legal, and what a failure leads to. Pure tables and rules.

::

    QUEUED -> LEASED -> RUNNING -> DONE | FAILED | CANCELLED
                 ^         ^
                 +- UNKNOWN +        its node is out of touch
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stablenew_api.errors import StableNewError
from stablenew_api.jobs import FailureKind, JobState

_ENDS = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})

LEGAL: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.LEASED, JobState.CANCELLED}),
    # No step to RUNNING is needed before an end: RUNNING is a gauge, and the fact of a short job overtakes it.
    JobState.LEASED: frozenset({JobState.RUNNING, JobState.UNKNOWN, JobState.QUEUED}) | _ENDS,
    # Never back to LEASED: what has started cannot be taken back, only cancelled.
    JobState.RUNNING: frozenset({JobState.UNKNOWN, JobState.QUEUED}) | _ENDS,
    JobState.UNKNOWN: frozenset({JobState.LEASED, JobState.RUNNING, JobState.QUEUED}) | _ENDS,
    # Ends are ends; only a person's retry leads out, as a new attempt.
    JobState.DONE: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
"""From each state, where a job may go."""

BY_RETRY_ONLY = frozenset((end, JobState.QUEUED) for end in _ENDS)
"""Legal steps that only a person's ``retry`` or ``replay`` takes; never the coordinator."""


class Step(NamedTuple):
    """One line of a job's story."""

    at: float
    """Monotonic seconds."""
    from_state: JobState
    to_state: JobState
    attempt: int
    why: str


class InvalidTransition(StableNewError):
    """A bug: a job was about to take a step that is not legal. Carries its latest steps."""

    def __init__(
        self, job_id: str, from_state: JobState, to_state: JobState, why: str, story: Iterable[Step] = ()
    ) -> None:
        self.job_id = job_id
        self.from_state = from_state
        self.to_state = to_state
        self.story = tuple(story)
        steps = "; ".join(
            f"{step.at:.3f} {step.from_state}->{step.to_state} #{step.attempt} ({step.why})"
            for step in self.story
        )
        super().__init__(
            f"job {job_id} cannot go from {from_state} to {to_state} ({why}); its story: {steps or 'none'}"
        )


def check(job_id: str, from_state: JobState, to_state: JobState, why: str, story: Iterable[Step] = ()) -> None:
    """Raise InvalidTransition unless the coordinator may take this step."""
    if to_state not in LEGAL[from_state] or (from_state, to_state) in BY_RETRY_ONLY:
        raise InvalidTransition(job_id, from_state, to_state, why, story)


# --- failures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What a kind of failure leads to."""

    retry: bool
    """Try again, on any node that fits."""
    counts: bool
    """Adds to the job's ``failures``."""
    limited: bool
    """Not tried again from the ``max_failures``-th on."""
    because: str
    """Why the job is not tried again, for people."""


RULES: Mapping[FailureKind, FailureRule] = {
    FailureKind.BAD_INPUT: FailureRule(False, True, False, "the same job would fail anywhere"),
    FailureKind.PLUGIN: FailureRule(
        False, True, False, "a plugin has a bug; the same job would meet it anywhere"
    ),
    # Bounded by itself: each time the job needs a bigger node than before. So it neither counts nor is limited.
    FailureKind.OUT_OF_MEMORY: FailureRule(True, False, False, "no known node has more VRAM"),
    FailureKind.BACKEND: FailureRule(True, True, True, "it failed too often"),
    FailureKind.TIMEOUT: FailureRule(True, True, True, "it failed too often"),
    FailureKind.LOST: FailureRule(True, True, True, "it was lost too often"),
}
"""One row a kind."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a job goes after a failed lease."""

    to_state: JobState
    failures: int
    """New count."""
    min_vram: int
    """New need, bytes."""
    why: str


def after_failure(
    kind: FailureKind,
    *,
    failures: int,
    max_failures: int,
    min_vram: int,
    vram_hint: int,
    node_vram: int,
    biggest_vram: int,
    cancel_requested: bool,
) -> Verdict:
    """What follows when a lease failed.

    ``failures``, ``min_vram``: of the job until now. ``vram_hint``: what the job was thought to need, bytes.
    ``node_vram``: VRAM in all of the node where it failed; ``biggest_vram``: of the biggest node known (0: not
    known). A cancelled job is not tried again; if it would not have been anyway, FAILED is the truth.
    """
    rule = RULES[kind]
    failures += rule.counts
    retry = rule.retry
    because = rule.because
    if kind is FailureKind.OUT_OF_MEMORY:
        # Proven: this node's VRAM is too little. Where that is not known, the hint was too little.
        min_vram = max(min_vram, (node_vram or vram_hint) + 1)
        retry = biggest_vram >= min_vram
    elif rule.limited and failures >= max_failures:
        retry = False
        because = f"{because} ({failures} times)"
    if not retry:
        return Verdict(JobState.FAILED, failures, min_vram, because)
    if cancel_requested:
        return Verdict(JobState.CANCELLED, failures, min_vram, "cancelled, so not tried again")
    if kind is FailureKind.OUT_OF_MEMORY:
        return Verdict(JobState.QUEUED, failures, min_vram, "waits for a node with more VRAM")
    again = f"tried again ({failures} of {max_failures} failures)" if rule.counts else "tried again"
    return Verdict(JobState.QUEUED, failures, min_vram, again)
