"""How long images took: what estimates are made from. Functions of the connection; they only read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LOOKED_AT = 20_000
"""Newest images among which those of one kind are looked for: some 20 ms, however long the history."""


@dataclass(frozen=True, slots=True)
class TimedJob:
    """A job that is done."""

    node_id: str
    ended_at: str
    """UTC, ISO 8601."""
    spec: bytes
    """Canonical JSON of the JobSpec."""
    report: bytes
    """Canonical JSON of what the worker told; empty if nothing."""
    run_time: float
    """Seconds in the worker."""


def timed_jobs(connection: sqlite3.Connection, stages: Sequence[str] = (), limit: int = 200) -> list[TimedJob]:
    """Done jobs with exactly these ``stages`` (none: any), those that were queued last first.

    Walks back over the key of ``output``, which holds done jobs alone: a million that are queued cost nothing.
    """
    where = "WHERE job.stages = :stages" if stages else ""
    rows = connection.execute(
        "SELECT job.node_id, job.ended_at, job_spec.spec, job.report, job.run_time FROM"  # noqa: S608
        " (SELECT job_seq FROM output WHERE idx = 0 ORDER BY job_seq DESC LIMIT :looked_at) AS newest"
        " CROSS JOIN job ON job.seq = newest.job_seq CROSS JOIN job_spec ON job_spec.job_seq = job.seq"
        f" {where} ORDER BY newest.job_seq DESC LIMIT :limit",
        {"stages": json.dumps(list(stages)), "limit": limit, "looked_at": _LOOKED_AT},
    )
    return [TimedJob(node, ended or "", spec, report or b"", time) for node, ended, spec, report, time in rows]


def middle_specs(connection: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, bytes]:
    """By run: the spec of the job in its middle, taken for a usual one of the run."""
    rows = connection.execute(
        "SELECT run.run_id, job_spec.spec FROM json_each(?) AS wanted"
        " CROSS JOIN run ON run.run_id = wanted.value"
        " CROSS JOIN job ON job.run_seq = run.seq AND job.idx = run.total / 2"
        " CROSS JOIN job_spec ON job_spec.job_seq = job.seq",
        (json.dumps(list(run_ids)),),
    )
    return dict(rows)
