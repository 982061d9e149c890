"""Table ``stage_result``: images that are kept between stages. Functions of the connection.

A row is there before anything is told of it, and goes after its files: a kernel that dies in between finds it
when it starts, and removes it then.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from stablenew_api.jobs import Artifact
from stablenew_api.leases import StageResult
from stablenew_kernel.domain.link import KeepStages, KeptStages

KEPT_DAYS = 7
"""Days after which nobody is expected to try a failed or cancelled job again. It then begins at its first
stage."""


def keep(connection: sqlite3.Connection, records: Sequence[KeepStages], at: str) -> None:
    """Keep these, and note it in the history of their jobs."""
    for record in records:
        kept = record.kept
        images = json.dumps([image.to_json() for image in kept.result.images], ensure_ascii=False)
        connection.execute(
            "INSERT OR REPLACE INTO stage_result (key, job_seq, stages, artifacts, report, made_at)"
            " SELECT ?, seq, ?, ?, ?, ? FROM job WHERE job_id = ?",
            (kept.key, kept.result.stages, images, kept.result.report, at, kept.job_id),
        )
        connection.execute(
            "INSERT INTO job_event (job_seq, at, who, from_state, to_state, attempt, node_id, why)"
            " SELECT seq, ?, ?, state, state, attempt, node_id, ? FROM job WHERE job_id = ?",
            (at, record.who, record.why, kept.job_id),
        )


def kept(connection: sqlite3.Connection) -> list[KeptStages]:
    """All that is kept."""
    return [
        KeptStages(key, job_id, StageResult(stages, _images(artifacts), report))
        for key, job_id, stages, artifacts, report in connection.execute(
            "SELECT key, job_id, stage_result.stages, artifacts, stage_result.report FROM stage_result"
            " CROSS JOIN job ON job.seq = stage_result.job_seq ORDER BY made_at"
        )
    ]


def over(connection: sqlite3.Connection, before: str) -> list[str]:
    """Ids of jobs for which something is kept in vain: done, cleared, or ended before that time."""
    return [
        job_id
        for (job_id,) in connection.execute(
            "SELECT DISTINCT job_id FROM stage_result CROSS JOIN job ON job.seq = stage_result.job_seq"
            " WHERE job.state = 'done' OR job.cleared = 1 OR job.ended_at < ?",
            (before,),
        )
    ]


def images_of(connection: sqlite3.Connection, job_ids: Iterable[str]) -> list[Artifact]:
    """What is kept for these jobs."""
    rows = connection.execute(
        "SELECT artifacts FROM json_each(?) AS w CROSS JOIN job ON job.job_id = w.value"
        " CROSS JOIN stage_result ON stage_result.job_seq = job.seq",
        (json.dumps(list(job_ids)),),
    )
    return [image for (artifacts,) in rows for image in _images(artifacts)]


def forget(connection: sqlite3.Connection, job_ids: Iterable[str]) -> None:
    """Keep nothing for these jobs any more. Their files are gone, or somebody else's."""
    connection.execute(
        "DELETE FROM stage_result WHERE job_seq IN"
        " (SELECT j.seq FROM json_each(?) AS w CROSS JOIN job AS j ON j.job_id = w.value)",
        (json.dumps(list(job_ids)),),
    )


def in_use(connection: sqlite3.Connection, but_for: Iterable[str]) -> set[str]:
    """sha256 of all images that are kept for other jobs than ``but_for``. (None is an output, too: workers mark
    the images between stages, so that their bytes are never those of a final one.)"""
    return {
        image.sha256
        for (artifacts,) in connection.execute(
            "SELECT artifacts FROM stage_result WHERE job_seq NOT IN"
            " (SELECT j.seq FROM json_each(?) AS w CROSS JOIN job AS j ON j.job_id = w.value)",
            (json.dumps(list(but_for)),),
        )
        for image in _images(artifacts)
    }


def _images(text: str) -> tuple[Artifact, ...]:
    return tuple(Artifact.from_json(image) for image in json.loads(text))
