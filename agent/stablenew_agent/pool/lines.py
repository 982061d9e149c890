"""The lines between a slot and its worker: JSON, one message a line. ``stablenew_agent.worker`` is at the other
end."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.reports import Inventory, OutputFile, StageFiles, StepReport
from stablenew_api.jobs import Artifact, JsonValue


def encode(message: Mapping[str, JsonValue]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def about(op: str, job: Job) -> bytes:
    """The line that asks something (``cancel``, ``take_back``) about a job that the worker has."""
    return encode({"op": op, "job": job.lease.job_id, "attempt": job.lease.attempt})


def job_line(job: Job) -> bytes:
    """The line that gives a job to a worker."""
    # The spec is spliced in as it is: reading it here would cost more than all the rest. A raw line break
    # in JSON can only be white space between tokens.
    spec = job.spec.replace(b"\n", b" ") if b"\n" in job.spec else job.spec
    head = json.dumps(
        {
            "op": "job",
            "job": job.lease.job_id,
            "attempt": job.lease.attempt,
            "out": job.out,
            "inputs": job.inputs,
            **({"resume": job.resume} if job.resume else {}),
        }
    )
    return b'%s,"spec":%s}\n' % (head[:-1].encode("ascii"), spec)


def files_of(message: Mapping[str, Any]) -> tuple[OutputFile, ...]:
    """The files that a ``done`` or ``stage`` line names."""
    return tuple(
        OutputFile(
            Path(file["path"]),
            Artifact(file["name"], "image/png", file["sha256"], file["size"], file["tags"]),
        )
        for file in message["files"]
    )


def stage_files_of(message: Mapping[str, Any]) -> StageFiles:
    """What a ``stage`` line says."""
    return StageFiles(message["stages"], files_of(message), message["report"].encode("utf-8"))


def step_of(message: Mapping[str, Any]) -> StepReport:
    """What a ``progress`` line says."""
    preview = message.get("preview")
    return StepReport(
        message["stage"],
        message["index"],
        message["count"],
        message["step"],
        message["steps"],
        message["fraction"],
        message["eta"],
        base64.b64decode(preview) if preview else b"",
    )


def inventory_of(message: Mapping[str, Any]) -> Inventory:
    """What a ``ready`` or ``unready`` line says."""
    ready = message["op"] == "ready"
    name, version, stand_in, note = message["identity"] if ready else ("", "", False, "")
    return Inventory(
        stages=tuple((stage["name"], stage["version"]) for stage in message["stages"]),
        identity=(name, version, stand_in, note) if ready else None,
        capabilities=message["capabilities"] if ready else {},
        problem="" if ready else str(message["message"]),
    )
