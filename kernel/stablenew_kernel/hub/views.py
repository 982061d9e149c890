"""The kernel's values as clients see them."""

from __future__ import annotations

import json

from stablenew_api.host import PluginInfo
from stablenew_api.jobs import Failure, JobSpec
from stablenew_api.stage import Stage
from stablenew_client.wire import failure_to_proto
from stablenew_kernel.domain import cards
from stablenew_kernel.domain.link import NodeStatus, Transition
from stablenew_kernel.domain.plan import PlannedJob
from stablenew_kernel.hub.link import AgentLink
from stablenew_proto.v1 import agent_link_pb2, common_pb2
from stablenew_proto.v1 import kernel_pb2 as pb


def planned_job(job: PlannedJob, node: str, reason: str) -> pb.PlannedJob:
    """A job of a dry run."""
    prompt, negative, seed = headline(job.spec)
    return pb.PlannedJob(
        index=job.index,
        row=job.row,
        prompt=prompt,
        negative_prompt=negative,
        seed=seed,
        stages=[stage.name for stage in job.spec.stages],
        node=node,
        reason=reason,
        spec_sha256=job.spec.sha256,
        spec_json=job.spec.canonical(),
    )


def headline(spec: JobSpec) -> tuple[str, str, int]:
    """Prompt, negative prompt and seed of the first stage: what people know a job by."""
    first = spec.stages[0]
    return first.prompt, first.negative_prompt, first.seed


def failure(value: Failure | None) -> common_pb2.Failure | None:
    """A failure, or nothing."""
    return None if value is None else failure_to_proto(value)


def node(
    status: NodeStatus,
    link: AgentLink | None,
    remembered: bytes,
    running: list[pb.RunningJob],
    last_refusal: str,
) -> pb.Node:
    """A node: its live stream if there is one, else what was remembered of it."""
    info = link.info if link is not None else agent_link_pb2.NodeInfo.FromString(remembered)
    state = "offline" if not status.connected else "draining" if status.draining else "online"
    return pb.Node(
        node_id=status.node_id,
        info=info,
        report=link.report if link is not None else None,
        state=state,
        silent_for=min(status.silent_for, 1e9),
        running=running,
        last_refusal=last_refusal,
    )


def plugin(info: PluginInfo) -> pb.Plugin:
    """A plugin, loaded or not."""
    return pb.Plugin(
        name=info.name,
        version=info.version,
        distribution=info.distribution,
        state=str(info.state),
        reason=info.reason,
        provides=info.provides,
    )


def stage(kind: type[Stage], plugin_name: str) -> pb.Stage:
    """A stage that can be part of a pipeline; ``plugin_name`` brings it."""
    return pb.Stage(
        name=kind.name,
        version=kind.version,
        title=kind.title,
        phase=kind.phase.name.lower(),
        plugin=plugin_name,
        schema_json=json.dumps(cards.schema_of(kind)).encode("ascii"),
        description=cards.described(kind),
    )


def changed_job(transition: Transition) -> pb.Job:
    """A change of a job, for a watcher: state and what belongs to it. Prompt and stages are in ListJobs."""
    outcome = transition.outcome
    return pb.Job(
        job_id=transition.job_id,
        run_id=transition.run_id,
        state=transition.to_state,
        attempt=transition.attempt,
        node=transition.node_name,
        failure=failure(transition.failure),
        run_time=outcome.run_time if outcome else 0.0,
    )
