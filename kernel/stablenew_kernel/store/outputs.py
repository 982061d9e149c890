"""Table ``output``: images that jobs made, until and after they stand in their run's folder. Functions of the
connection.

An output is made ``pending`` in the transaction that makes its job DONE, and becomes ``saved`` once its file is
written. A kernel that dies in between finds it pending and saves it again; the file name is the same, and a
file with that very content is taken as it is. So each image is stored exactly once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stablenew_api.jobs import Artifact, JsonValue
from stablenew_kernel.store import tally
from stablenew_kernel.store.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class PendingOutput:
    """An image to be saved, with all that goes into its metadata. The same each time it is read."""

    job_id: str
    run_id: str
    job_index: int
    """Of the job in its run, from 0."""
    index: int
    """Of the image in its job, from 0."""
    artifact: Artifact
    spec: bytes
    """Canonical JSON of the JobSpec."""
    spec_sha256: str
    attempt: int
    node_id: str
    node_name: str
    report: bytes
    """Canonical JSON of what the worker told; empty if nothing."""
    run_time: float
    """Seconds in the worker."""
    ended_at: str
    """When its job became DONE; UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class SavedOutput:
    """An image whose file is written and synced."""

    job_id: str
    index: int
    path: str
    """Absolute."""
    manifest: bytes
    """Its line in ``manifest.jsonl``, canonical JSON without the newline: kept to rebuild the file."""


@dataclass(frozen=True, slots=True)
class KnownImage:
    """A saved image, found by its pixels."""

    run_id: str
    job_id: str
    index: int
    path: str
    manifest: dict[str, JsonValue]


def insert(
    connection: sqlite3.Connection, made: Sequence[tuple[int, int, int, int, Artifact]], deltas: tally.Deltas
) -> None:
    """Outputs of jobs that become DONE: (job_seq, run_seq, attempt, idx, artifact). Counted in ``deltas``."""
    connection.executemany(
        "INSERT INTO output (job_seq, idx, attempt, name, media_type, sha256, size, tags, pixel_sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                job_seq,
                idx,
                attempt,
                artifact.name,
                artifact.media_type,
                artifact.sha256,
                artifact.size,
                json.dumps(dict(artifact.tags), sort_keys=True, ensure_ascii=False),
                artifact.tags.get("pixel_sha256", ""),
            )
            for job_seq, _, attempt, idx, artifact in made
        ],
    )
    for _, run_seq, _, _, _ in made:
        deltas[run_seq, tally.PENDING] += 1


_PENDING = (
    "SELECT job.job_id, run.run_id, job.idx, output.idx, output.name, output.media_type, output.sha256,"
    " output.size, output.tags, job_spec.spec, job.spec_sha256, output.attempt, job.node_id, job.node_name,"
    " job.report, job.run_time, job.ended_at"
)
_JOIN = (
    " CROSS JOIN job ON job.seq = output.job_seq CROSS JOIN job_spec ON job_spec.job_seq = job.seq"
    " CROSS JOIN run ON run.seq = job.run_seq"
)


def pending(
    connection: sqlite3.Connection,
    *,
    limit: int = 100,
    job_ids: Iterable[str] | None = None,
    without_runs: Iterable[str] = (),
) -> list[PendingOutput]:
    """Images to be saved, in order of submission: of these jobs, or the first ``limit`` of all runs but those
    of ``without_runs``."""
    if job_ids is None:
        cursor = connection.execute(
            f"{_PENDING} FROM output {_JOIN} WHERE output.state = 'pending'"  # noqa: S608
            " AND run.run_id NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY output.job_seq, output.idx LIMIT ?",
            (json.dumps(list(without_runs)), limit),
        )
    else:
        cursor = connection.execute(
            f"{_PENDING} FROM json_each(?) AS w CROSS JOIN job AS wanted ON wanted.job_id = w.value"
            f" CROSS JOIN output ON output.job_seq = wanted.seq {_JOIN} WHERE output.state = 'pending'"
            " ORDER BY output.job_seq, output.idx",
            (json.dumps(list(job_ids)),),
        )
    return [_pending(row) for row in cursor]


def mark_saved(connection: sqlite3.Connection, saved: Sequence[SavedOutput], at: str) -> None:
    """Note that these images stand in their folder.

    Noting the same again does nothing. Raises Conflict for another path, NotFound for no such output.
    """
    deltas = tally.Deltas()
    for item in saved:
        row = connection.execute(
            "UPDATE output SET state = 'saved', path = ?1, manifest = ?2, saved_at = ?3"
            " WHERE job_seq = (SELECT seq FROM job WHERE job_id = ?4) AND idx = ?5 AND state = 'pending'"
            " RETURNING (SELECT run_seq FROM job WHERE seq = job_seq)",
            (item.path, item.manifest, at, item.job_id, item.index),
        ).fetchone()
        if row is not None:
            deltas[row[0], tally.PENDING] -= 1
            deltas[row[0], tally.SAVED] += 1
            continue
        known = connection.execute(
            "SELECT path FROM output WHERE job_seq = (SELECT seq FROM job WHERE job_id = ?) AND idx = ?",
            (item.job_id, item.index),
        ).fetchone()
        if known is None:
            raise NotFound(f"job {item.job_id} has no output {item.index}")
        if known[0] != item.path:
            raise Conflict(
                f"output {item.index} of job {item.job_id} is saved as {known[0]}, not as {item.path}"
            )
    tally.add(connection, deltas)


def manifest(connection: sqlite3.Connection, run_id: str) -> list[bytes]:
    """The lines of a run's ``manifest.jsonl`` in plan order, without newlines: what
    :meth:`~stablenew_kernel.store.runfolder.RunFolder.reopen` rebuilds the file from."""
    return [
        line
        for (line,) in connection.execute(
            "SELECT output.manifest FROM run CROSS JOIN job ON job.run_seq = run.seq"
            " CROSS JOIN output ON output.job_seq = job.seq"
            " WHERE run.run_id = ? AND output.state = 'saved' ORDER BY job.idx, output.idx",
            (run_id,),
        )
    ]


def saved_paths(connection: sqlite3.Connection, run_id: str) -> list[tuple[str, int, str]]:
    """(job_id, output index, path) of a run's saved images, in plan order."""
    return list(
        connection.execute(
            "SELECT job.job_id, output.idx, output.path FROM run CROSS JOIN job ON job.run_seq = run.seq"
            " CROSS JOIN output ON output.job_seq = job.seq"
            " WHERE run.run_id = ? AND output.state = 'saved' ORDER BY job.idx, output.idx",
            (run_id,),
        )
    )


def by_pixels(connection: sqlite3.Connection, pixel_sha256: str) -> list[KnownImage]:
    """Saved images that look exactly like this, newest job first."""
    cursor = connection.execute(
        f"SELECT run.run_id, job.job_id, output.idx, output.path, output.manifest FROM output {_JOIN}"  # noqa: S608
        " WHERE output.pixel_sha256 = ? AND output.pixel_sha256 <> '' AND output.state = 'saved'"
        " ORDER BY job.seq DESC",
        (pixel_sha256,),
    )
    return [
        KnownImage(run_id, job_id, idx, path, json.loads(line)) for run_id, job_id, idx, path, line in cursor
    ]


def needed(connection: sqlite3.Connection, *, digests: Sequence[str], since: str) -> set[str]:
    """Those of ``digests`` (sha256 of artifacts) that must stay in the store: of images that are not saved yet,
    were saved since then, or whose file is JPEG or WebP, so that only the store has all of the picture; of
    images that a job begins with which is not over, or has been only since then; and between stages."""
    wanted = json.dumps(list(digests))
    rows = connection.execute(
        "SELECT sha256 FROM output WHERE sha256 IN (SELECT value FROM json_each(?1))"
        " AND (state = 'pending' OR saved_at >= ?2 OR path NOT LIKE '%.png')"
        " UNION SELECT json_extract(input.value, '$.sha256') FROM later_job"
        " CROSS JOIN job ON job.seq = later_job.job_seq"
        " CROSS JOIN job_spec ON job_spec.job_seq = later_job.job_seq,"
        " json_each(CAST(job_spec.spec AS TEXT), '$.inputs') AS input"
        " WHERE (job.ended_at IS NULL OR job.ended_at >= ?2)"
        " AND json_extract(input.value, '$.sha256') IN (SELECT value FROM json_each(?1))"
        " UNION SELECT json_extract(image.value, '$.sha256') FROM stage_result,"
        " json_each(stage_result.artifacts) AS image"
        " WHERE json_extract(image.value, '$.sha256') IN (SELECT value FROM json_each(?1))",
        (wanted, since),
    )
    return {digest for (digest,) in rows}


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A saved image with the job that made it."""

    run_id: str
    path: str
    artifact: Artifact
    spec: bytes
    """Canonical JSON of the JobSpec."""
    report: bytes
    """Canonical JSON of what the worker told; empty if nothing."""
    job_id: str
    node_name: str


def made(
    connection: sqlite3.Connection, pixel_sha256s: Iterable[str], run_id: str = ""
) -> dict[str, MadeImage]:
    """The newest saved image with each of these pixels, by them; of one run, if it is named."""
    rows = connection.execute(
        "SELECT output.pixel_sha256, run.run_id, output.path, output.name, output.media_type, output.sha256,"  # noqa: S608
        " output.size, output.tags, job_spec.spec, job.report, job.job_id, job.node_name FROM json_each(?) AS w"
        f" CROSS JOIN output ON output.pixel_sha256 = w.value {_JOIN}"
        " WHERE output.pixel_sha256 <> '' AND output.state = 'saved' AND (? = '' OR run.run_id = ?)"
        " ORDER BY job.seq",
        (json.dumps(list(pixel_sha256s)), run_id, run_id),
    )
    return {
        pixels: MadeImage(
            run,
            path,
            Artifact(name, media_type, sha256, size, json.loads(tags)),
            spec,
            report or b"",
            job_id,
            node,
        )
        for pixels, run, path, name, media_type, sha256, size, tags, spec, report, job_id, node in rows
    }


def _pending(row: Sequence[Any]) -> PendingOutput:
    job_id, run_id, job_index, idx, name, media_type, sha256, size, tags, spec, spec_sha256, *rest = row
    attempt, node_id, node_name, report, run_time, ended_at = rest
    return PendingOutput(
        job_id,
        run_id,
        job_index,
        idx,
        Artifact(name, media_type, sha256, size, json.loads(tags)),
        spec,
        spec_sha256,
        attempt,
        node_id,
        node_name,
        report or b"",
        run_time,
        ended_at,
    )
