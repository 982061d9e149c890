"""Values to messages to bytes and back."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.backend import BackendIdentity, Capabilities
from stablenew_api.jobs import Artifact, Failure, FailureKind
from stablenew_api.leases import Cancel, Fact, HeldLease, LeaseKey, LeaseState, Offer, Outcome, StageResult
from stablenew_client import wire
from stablenew_proto.v1 import agent_link_pb2 as pb
from stablenew_proto.v1 import common_pb2 as common

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SECONDS = st.floats(0, 1e9, allow_nan=False)
LEASES = st.builds(LeaseKey, TEXT, st.integers(0, 2**32 - 1))
HEX = st.text(string.hexdigits.lower()[:16], min_size=64, max_size=64)
ARTIFACTS = st.builds(
    Artifact, TEXT, TEXT, HEX, st.integers(0, 2**63 - 1), st.dictionaries(TEXT, TEXT, max_size=3)
)
FAILURES = st.builds(Failure, st.sampled_from(FailureKind), TEXT, TEXT)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from([state for state in LeaseState if state.final]),
    st.lists(ARTIFACTS, max_size=2).map(tuple),
    st.none() | FAILURES,
    st.binary(max_size=50),
    SECONDS,
    st.integers(0, 2**63 - 1),
)


STAGE_RESULTS = st.builds(
    StageResult, st.integers(1, 2**32 - 1), st.lists(ARTIFACTS, max_size=2).map(tuple), st.binary(max_size=50)
)
STAGES_MADE = st.builds(
    Fact, st.integers(1, 2**64 - 1), LEASES, st.just(Outcome(LeaseState.RUNNING)), STAGE_RESULTS
)


@A_THIRD
@given(st.builds(Fact, st.integers(1, 2**64 - 1), LEASES, OUTCOMES) | STAGES_MADE)
def test_fact(fact: Fact) -> None:
    data = wire.fact_to_proto(fact).SerializeToString()
    assert wire.fact_from_proto(pb.Fact.FromString(data)) == fact


@given(st.builds(Offer, LEASES, st.binary(max_size=50), SECONDS, SECONDS, st.none() | STAGE_RESULTS))
def test_offer(offer: Offer) -> None:
    data = wire.offer_to_proto(offer).SerializeToString()
    assert wire.offer_from_proto(pb.LeaseOffer.FromString(data)) == offer


@given(st.builds(Cancel, LEASES, TEXT, SECONDS, st.booleans()))
def test_cancel(cancel: Cancel) -> None:
    data = wire.cancel_to_proto(cancel).SerializeToString()
    assert wire.cancel_from_proto(pb.LeaseCancel.FromString(data)) == cancel


@given(st.builds(HeldLease, LEASES, st.sampled_from(LeaseState)))
def test_held(held: HeldLease) -> None:
    data = wire.held_to_proto(held).SerializeToString()
    assert wire.held_from_proto(pb.HeldLease.FromString(data)) == held


@given(
    st.builds(BackendIdentity, TEXT, TEXT, st.booleans(), TEXT),
    st.builds(Capabilities, st.frozensets(TEXT, max_size=3), *[st.lists(TEXT, max_size=2).map(tuple)] * 8),
)
def test_backend(identity: BackendIdentity, capabilities: Capabilities) -> None:
    data = wire.backend_to_proto(identity, capabilities).SerializeToString()
    assert wire.backend_from_proto(pb.BackendInfo.FromString(data)) == (identity, capabilities)


def test_a_failure_kind_of_the_future_is_tried_again() -> None:
    failure = wire.failure_from_proto(common.Failure(kind="cosmic_ray", message="bit flipped"))
    assert failure == Failure(FailureKind.BACKEND, "bit flipped")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (pb.Fact(fact_id=4, state="running"), "fact 4: a lease does not end as 'running'"),
        (pb.Fact(fact_id=4, state="vanished"), "lease state 'vanished' is not known"),
        (
            pb.Fact(state="succeeded", outputs=[common.Artifact(digest=common.Digest(sha256=b"12"))]),
            "not a sha256 digest",
        ),
    ],
)
def test_nonsense_is_named(message: pb.Fact, text: str) -> None:
    with pytest.raises(wire.WireError, match=text):
        wire.fact_from_proto(message)


@given(st.text(st.characters(codec="utf-8"), max_size=200).map(lambda text: text * 200))
def test_a_detail_is_cut_at_its_beginning(detail: str) -> None:
    short = wire.shorten_detail(detail)
    assert len(short.encode("utf-8")) <= wire.DETAIL_BYTES
    if short != detail:
        assert short.startswith("…")
        assert detail.endswith(short[1:])
