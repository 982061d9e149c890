"""Between protobuf messages and the frozen values of :mod:`stablenew_api`: kernel and agent both use it.

``x_to_proto`` and ``x_from_proto`` are inverse of each other. They are on the path of every job, so they only
copy fields: what a value means is judged elsewhere. :class:`WireError` says that a message cannot be a value at
all, such as a digest that is not 32 bytes; the hub answers it with INVALID_ARGUMENT.
"""

from __future__ import annotations

from collections.abc import Iterable

from stablenew_api.backend import BackendIdentity, Capabilities
from stablenew_api.errors import StableNewError
from stablenew_api.jobs import Artifact, Failure, FailureKind
from stablenew_api.leases import Cancel, Fact, HeldLease, LeaseKey, LeaseState, Offer, Outcome, StageResult
from stablenew_api.probe import GpuReading
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import common_pb2 as common

DETAIL_BYTES = 16 * 1024
"""Longest ``Failure.detail`` on the wire; the end of a traceback says most, so the beginning is cut."""

_STATES = {str(state): state for state in LeaseState}
_KINDS = {str(kind): kind for kind in FailureKind}


class WireError(StableNewError):
    """A message from the other side that no version of the protocol allows."""


# --- files -------------------------------------------------------------------------------------------------


def digest_to_proto(sha256: str, size: int) -> common.Digest:
    """A content address. ``sha256`` is lower-case hex."""
    return common.Digest(sha256=bytes.fromhex(sha256), size_bytes=size)


def digest_from_proto(message: common.Digest) -> tuple[str, int]:
    """``(hex sha256, bytes)``. Raises WireError for a digest of another length or a negative size."""
    if len(message.sha256) != 32 or message.size_bytes < 0:
        raise WireError(f"not a sha256 digest of a file: {message.sha256.hex()!r}, {message.size_bytes} bytes")
    return message.sha256.hex(), message.size_bytes


def artifact_to_proto(artifact: Artifact) -> common.Artifact:
    """A file by content."""
    return common.Artifact(
        name=artifact.name,
        media_type=artifact.media_type,
        digest=digest_to_proto(artifact.sha256, artifact.size),
        tags=artifact.tags,
    )


def artifact_from_proto(message: common.Artifact) -> Artifact:
    """Inverse of :func:`artifact_to_proto`. Raises WireError."""
    sha256, size = digest_from_proto(message.digest)
    return Artifact(message.name, message.media_type, sha256, size, dict(message.tags))


# --- failures ----------------------------------------------------------------------------------------------


def failure_to_proto(failure: Failure) -> common.Failure:
    """Why something stopped; a detail above :data:`DETAIL_BYTES` loses its beginning."""
    return common.Failure(
        kind=failure.kind.value, message=failure.message, detail=shorten_detail(failure.detail)
    )


def failure_from_proto(message: common.Failure) -> Failure:
    """Inverse of :func:`failure_to_proto`. A kind that a newer agent may have invented counts as BACKEND: the
    job is tried again a few times, and its fact can still be acked."""
    return Failure(_KINDS.get(message.kind, FailureKind.BACKEND), message.message, message.detail)


def shorten_detail(detail: str) -> str:
    """``detail``, at most :data:`DETAIL_BYTES` of UTF-8."""
    if len(detail) * 4 <= DETAIL_BYTES:
        return detail
    data = detail.encode("utf-8", "replace")
    if len(data) <= DETAIL_BYTES:
        return detail
    return "…" + data[3 - DETAIL_BYTES :].decode("utf-8", "ignore")


# --- leases ------------------------------------------------------------------------------------------------


def lease_key_to_proto(lease: LeaseKey) -> link.LeaseKey:
    """One attempt of one job."""
    return link.LeaseKey(job_id=lease.job_id, attempt=lease.attempt)


def lease_key_from_proto(message: link.LeaseKey) -> LeaseKey:
    """Inverse of :func:`lease_key_to_proto`."""
    return LeaseKey(message.job_id, message.attempt)


def lease_state_from_wire(state: str) -> LeaseState:
    """The state by its name on the wire. Raises WireError for an unknown one."""
    try:
        return _STATES[state]
    except KeyError:
        raise WireError(f"lease state {state!r} is not known here; update this side") from None


def held_to_proto(held: HeldLease) -> link.HeldLease:
    """A lease that an agent holds."""
    return link.HeldLease(
        lease=link.LeaseKey(job_id=held.lease.job_id, attempt=held.lease.attempt), state=held.state.value
    )


def held_from_proto(message: link.HeldLease) -> HeldLease:
    """Inverse of :func:`held_to_proto`. Raises WireError."""
    return HeldLease(lease_key_from_proto(message.lease), lease_state_from_wire(message.state))


def stage_result_to_proto(result: StageResult) -> link.StageResult:
    """What the first stages of a job made."""
    return link.StageResult(
        stages=result.stages,
        images=[artifact_to_proto(image) for image in result.images],
        report_json=result.report,
    )


def stage_result_from_proto(message: link.StageResult) -> StageResult:
    """Inverse of :func:`stage_result_to_proto`. Raises WireError for a bad digest."""
    images = tuple([artifact_from_proto(image) for image in message.images])
    return StageResult(message.stages, images, message.report_json)


def offer_to_proto(offer: Offer) -> link.LeaseOffer:
    """Run this."""
    return link.LeaseOffer(
        lease=link.LeaseKey(job_id=offer.lease.job_id, attempt=offer.lease.attempt),
        spec_json=offer.spec,
        run_timeout=offer.run_timeout,
        orphan_timeout=offer.orphan_timeout,
        resume=None if offer.resume is None else stage_result_to_proto(offer.resume),
    )


def offer_from_proto(message: link.LeaseOffer) -> Offer:
    """Inverse of :func:`offer_to_proto`."""
    lease = message.lease
    return Offer(
        LeaseKey(lease.job_id, lease.attempt),
        message.spec_json,
        message.run_timeout,
        message.orphan_timeout,
        stage_result_from_proto(message.resume) if message.HasField("resume") else None,
    )


def cancel_to_proto(cancel: Cancel) -> link.LeaseCancel:
    """Stop this."""
    return link.LeaseCancel(
        lease=lease_key_to_proto(cancel.lease),
        reason=cancel.reason,
        grace=cancel.grace,
        only_if_not_started=cancel.only_if_not_started,
    )


def cancel_from_proto(message: link.LeaseCancel) -> Cancel:
    """Inverse of :func:`cancel_to_proto`."""
    return Cancel(
        lease_key_from_proto(message.lease), message.reason, message.grace, message.only_if_not_started
    )


def fact_to_proto(fact: Fact) -> link.Fact:
    """A lease ended, or a stage of it is kept."""
    outcome = fact.outcome
    return link.Fact(
        fact_id=fact.fact_id,
        lease=link.LeaseKey(job_id=fact.lease.job_id, attempt=fact.lease.attempt),
        state=outcome.state.value,
        outputs=[artifact_to_proto(artifact) for artifact in outcome.outputs],
        failure=None if outcome.failure is None else failure_to_proto(outcome.failure),
        report_json=outcome.report,
        run_time=outcome.run_time,
        peak_vram_bytes=outcome.peak_vram_bytes,
        stage=None if fact.stage is None else stage_result_to_proto(fact.stage),
    )


def fact_from_proto(message: link.Fact) -> Fact:
    """Inverse of :func:`fact_to_proto`. Raises WireError for a state that is not final (but of a fact about a
    stage) or a bad digest."""
    state = lease_state_from_wire(message.state)
    stage = stage_result_from_proto(message.stage) if message.HasField("stage") else None
    if state.final is (stage is not None):
        raise WireError(f"fact {message.fact_id}: a lease does not end as {message.state!r}")
    lease = message.lease
    return Fact(
        message.fact_id,
        LeaseKey(lease.job_id, lease.attempt),
        Outcome(
            state=state,
            outputs=tuple([artifact_from_proto(output) for output in message.outputs]),
            failure=failure_from_proto(message.failure) if message.HasField("failure") else None,
            report=message.report_json,
            run_time=message.run_time,
            peak_vram_bytes=message.peak_vram_bytes,
        ),
        stage,
    )


# --- nodes -------------------------------------------------------------------------------------------------


def backend_to_proto(identity: BackendIdentity, capabilities: Capabilities) -> link.BackendInfo:
    """What a node's backend is and can do. Names keep the backend's order, features are sorted."""
    return link.BackendInfo(
        name=identity.name,
        version=identity.version,
        stand_in=identity.stand_in,
        note=identity.note,
        features=sorted(capabilities.features),
        **{name: getattr(capabilities, name) for name in Capabilities.lists()},
    )


def backend_from_proto(message: link.BackendInfo) -> tuple[BackendIdentity, Capabilities]:
    """Inverse of :func:`backend_to_proto`."""
    return (
        BackendIdentity(message.name, message.version, message.stand_in, message.note),
        Capabilities(
            features=frozenset(message.features),
            **{name: tuple(getattr(message, name)) for name in Capabilities.lists()},
        ),
    )


def gpus_to_proto(readings: Iterable[GpuReading]) -> list[link.Gpu]:
    """What does not change about the GPUs."""
    return [link.Gpu(uuid=r.uuid, name=r.name, vram_total_bytes=r.vram_total_bytes) for r in readings]


def gpu_loads_to_proto(readings: Iterable[GpuReading]) -> list[link.GpuLoad]:
    """What changes about them. None stays absent."""
    return [
        link.GpuLoad(
            uuid=r.uuid,
            vram_used_bytes=r.vram_used_bytes,
            utilization=r.utilization,
            temperature_c=r.temperature_c,
            power_w=r.power_w,
        )
        for r in readings
    ]
