"""The life cycle's tables: every pair of states, every kind of failure."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.jobs import FailureKind, JobState
from stablenew_kernel.domain.lifecycle import (
    BY_RETRY_ONLY,
    LEGAL,
    RULES,
    InvalidTransition,
    Step,
    Verdict,
    after_failure,
    check,
)

Q, L, R, U = JobState.QUEUED, JobState.LEASED, JobState.RUNNING, JobState.UNKNOWN
D, F, C = JobState.DONE, JobState.FAILED, JobState.CANCELLED
STEPS = {(Q, L), (Q, C), (L, R), (L, U), (L, Q), (L, D), (L, F), (L, C), (R, U), (R, Q), (R, D), (R, F), (R, C)}
STEPS |= {(U, L), (U, R), (U, Q), (U, D), (U, F), (U, C)}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_every_pair_is_a_step_or_a_named_refusal(before: JobState, after: JobState) -> None:
    if (before, after) in STEPS:
        check("j1", before, after, "test")
        return
    with pytest.raises(InvalidTransition) as caught:
        check("j1", before, after, "test")
    assert f"job j1 cannot go from {before} to {after} (test)" in str(caught.value)


def test_ends_are_left_by_retry_alone() -> None:
    assert {(end, Q) for end in (D, F, C)} == BY_RETRY_ONLY
    for state in JobState:
        assert state.final == (LEGAL[state] == frozenset({Q}) and state is not Q)


def test_a_refusal_tells_the_story() -> None:
    story = [Step(1.0, Q, L, 3, "first fit"), Step(2.5, L, D, 3, "done")]
    error = InvalidTransition("j1", D, R, "runs", story)
    assert "1.000 queued->leased #3 (first fit); 2.500 leased->done #3 (done)" in str(error)
    assert error.story == tuple(story)


def _after(kind: FailureKind, **changes: object) -> Verdict:
    facts: dict[str, object] = {
        "failures": 0,
        "max_failures": 3,
        "min_vram": 0,
        "vram_hint": 0,
        "node_vram": 8,
        "biggest_vram": 12,
        "cancel_requested": False,
    }
    return after_failure(kind, **(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "failures", "state", "count"),
    [
        (FailureKind.BAD_INPUT, 0, F, 1),
        (FailureKind.PLUGIN, 0, F, 1),
        (FailureKind.BACKEND, 0, Q, 1),
        (FailureKind.BACKEND, 1, Q, 2),
        (FailureKind.BACKEND, 2, F, 3),
        (FailureKind.TIMEOUT, 0, Q, 1),
        (FailureKind.TIMEOUT, 2, F, 3),
        (FailureKind.LOST, 0, Q, 1),
        (FailureKind.LOST, 2, F, 3),
        (FailureKind.OUT_OF_MEMORY, 0, Q, 0),
        (FailureKind.OUT_OF_MEMORY, 2, Q, 2),
    ],
)
def test_kind_and_count_decide(kind: FailureKind, failures: int, state: JobState, count: int) -> None:
    verdict = _after(kind, failures=failures)
    assert (verdict.to_state, verdict.failures) == (state, count)
    assert verdict.why


def test_every_kind_has_a_rule() -> None:
    assert set(RULES) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("failures", [0, 2])
def test_a_cancelled_job_is_not_tried_again(kind: FailureKind, failures: int) -> None:
    free = _after(kind, failures=failures)
    asked = _after(kind, failures=failures, cancel_requested=True)
    assert asked.to_state is (C if free.to_state is Q else F)
    assert asked.failures == free.failures


def test_out_of_memory_asks_for_more_than_that_node_has() -> None:
    assert _after(FailureKind.OUT_OF_MEMORY).min_vram == 9
    assert _after(FailureKind.OUT_OF_MEMORY, min_vram=11).min_vram == 11
    assert _after(FailureKind.OUT_OF_MEMORY, node_vram=12) == Verdict(F, 0, 13, "no known node has more VRAM")


def test_out_of_memory_where_vram_is_not_known() -> None:
    """Then the hint was too little; and a node must prove that it has more."""
    verdict = _after(FailureKind.OUT_OF_MEMORY, node_vram=0, vram_hint=6)
    assert (verdict.to_state, verdict.min_vram) == (Q, 7)
    assert _after(FailureKind.OUT_OF_MEMORY, node_vram=0, biggest_vram=0).to_state is F


@given(st.lists(st.tuples(st.sampled_from(FailureKind), st.integers(0, 24)), max_size=60), st.integers(1, 24))
def test_no_chain_of_failures_goes_on_for_ever(chain: list[tuple[FailureKind, int]], biggest: int) -> None:
    """However failures of all kinds follow each other, a job is leased at most (nodes sizes + limit) times."""
    failures = min_vram = leases = 0
    for kind, vram in chain:
        node = max(min_vram, min(vram, biggest))  # it was leased, so it fitted
        leases += 1
        verdict = _after(
            kind, failures=failures, min_vram=min_vram, node_vram=node, biggest_vram=biggest, vram_hint=1
        )
        assert verdict.min_vram >= min_vram
        failures, min_vram = verdict.failures, verdict.min_vram
        if verdict.to_state is F:
            break
    assert leases <= 3 + biggest + 1
