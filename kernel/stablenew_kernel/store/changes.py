"""The queue changed by hand: cancelled, retried, cleared. Functions of the connection.

Set by set, not row by row: cancelling 100,000 jobs holds up every other commit while it lasts. The order of the
queue is changed in :mod:`stablenew_kernel.store.ordering`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from stablenew_api.jobs import JobState
from stablenew_kernel.store import tally
from stablenew_kernel.store.jobs import CHUNK, SHOWN

# Word for word the condition of the partial index job_stopped, or SQLite does not use it.
_STOPPED = "(state = 'failed' OR state = 'cancelled')"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs: these, or all of these runs, or all there are. Full ids (see :func:`locate`)."""

    job_ids: frozenset[str] = frozenset()
    run_ids: frozenset[str] = frozenset()
    everything: bool = False

    def sql(self) -> tuple[str, dict[str, str]]:
        """A condition on ``job`` and its named parameters."""
        if self.everything:
            return "1", {}
        terms, parameters = [], {}
        if self.job_ids:
            terms.append(
                "job.seq IN (SELECT j.seq FROM json_each(:jobs) AS w CROSS JOIN job AS j ON j.job_id = w.value)"
            )
            parameters["jobs"] = json.dumps(sorted(self.job_ids))
        if self.run_ids:
            terms.append(
                "job.run_seq IN"
                " (SELECT r.seq FROM json_each(:runs) AS w CROSS JOIN run AS r ON r.run_id = w.value)"
            )
            parameters["runs"] = json.dumps(sorted(self.run_ids))
        return f"({' OR '.join(terms)})" if terms else "0", parameters


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did."""

    changed: int
    notes: tuple[str, ...] = ()
    """What was left alone, and why; one line each, for people."""
    run_ids: frozenset[str] = frozenset()
    """Runs whose counts changed."""


def cancel_queued(
    connection: sqlite3.Connection,
    selection: Selection,
    *,
    at: str,
    reason: str = "cancelled",
    who: str = "operator",
) -> Changed:
    """Cancel those of ``selection`` that are still queued. Active ones are the coordinator's.

    A run that is cancelled as a whole is marked, so that it ends as ``cancelled``.
    """
    where, parameters = selection.sql()
    choose(connection, f"job.state = 'queued' AND {where}", parameters)
    add_chosen_events(connection, "cancelled", at, who, reason)
    connection.execute(
        "UPDATE job SET state = 'cancelled', cancel_reason = ?, failure = NULL, updated_at = ?, ended_at = ?"
        " WHERE seq IN (SELECT seq FROM chosen)",
        (reason, at, at),
    )
    if selection.everything:
        connection.execute("UPDATE run SET cancel_requested = 1 WHERE ended_at IS NULL AND cleared = 0")
    elif selection.run_ids:
        connection.execute(
            "UPDATE run SET cancel_requested = 1 WHERE ended_at IS NULL"
            " AND run_id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(selection.run_ids)),),
        )
    return changed(connection, selection, "cancelled")


def retry(connection: sqlite3.Connection, selection: Selection, *, at: str, who: str = "operator") -> Changed:
    """Queue failed and cancelled jobs again, at the end, with no failures counted; their run is open again.

    ``attempt`` goes on growing: whatever an old lease still says stays fenced off. ``min_vram`` is kept, for it
    was learned. Done jobs are left alone (their image exists; ``replay`` makes it again).
    """
    where, parameters = selection.sql()
    count = choose(connection, f"{_STOPPED} AND +job.cleared = 0 AND {where}", parameters)
    add_chosen_events(connection, "queued", at, who, "retry")
    (position,) = connection.execute("SELECT next_position FROM queue").fetchone()
    connection.execute(
        "UPDATE job SET state = 'queued', position = ? + chosen.n, failures = 0, failure = NULL,"
        " cancel_reason = NULL, node_id = '', node_name = '', updated_at = ?, ended_at = NULL"
        " FROM chosen WHERE job.seq = chosen.seq",
        (position - 1, at),  # chosen.n counts from 1
    )
    connection.execute("UPDATE queue SET next_position = ?", (position + count,))
    connection.execute(
        "UPDATE run SET state = 'running', ended_at = NULL, cancel_requested = 0"
        " WHERE seq IN (SELECT run_seq FROM chosen)"
    )
    reasons = {
        "done": "done; `replay` makes the image again",
        "queued": "queued already",
        "active": "not ended yet",
    }
    return changed(connection, selection, "queued", reasons)


def clear(connection: sqlite3.Connection, selection: Selection) -> Changed:
    """Hide ended jobs from lists and counts (and an ended run with all its jobs). Rows, history, images stay.

    A job whose image is not in its folder yet is left alone.
    """
    where, parameters = selection.sql()
    choose(
        connection,
        "job.state IN ('done', 'failed', 'cancelled') AND job.cleared = 0 AND " + where,
        parameters,
        saved="(SELECT count(*) FROM output WHERE output.job_seq = job.seq AND output.state = 'saved')",
    )
    connection.execute(
        "DELETE FROM chosen WHERE EXISTS"
        " (SELECT 1 FROM output WHERE output.job_seq = chosen.seq AND output.state = 'pending')"
    )
    connection.execute("UPDATE job SET cleared = 1 WHERE seq IN (SELECT seq FROM chosen)")
    connection.execute(
        "UPDATE run SET cleared = 1 WHERE seq IN (SELECT run_seq FROM chosen) AND ended_at IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM job WHERE job.run_seq = run.seq AND job.cleared = 0)"
    )
    reasons = {
        "queued": "still queued",
        "active": "not ended yet",
        "done": "done, but the image is not saved yet",
    }
    return changed(connection, selection, "", reasons)


def put_away(connection: sqlite3.Connection, run_id: str, start: int, *, at: str, why: str) -> int:
    """Do away with a hidden run that will never be complete, :data:`CHUNK` jobs at a time from number ``start``
    (0 at first); return the next start, 0 when all is done. Like all jobs they stay in the file, cancelled and
    cleared."""
    where = (
        "job.run_seq = (SELECT seq FROM run WHERE run_id = :run) AND job.idx >= :start AND job.idx < :end"
        " AND job.state = 'queued'"
    )
    count = choose(
        connection, where, {"run": run_id, "start": start, "end": start + CHUNK}, order="job.idx", hidden=True
    )
    add_chosen_events(connection, "cancelled", at, "kernel", why)
    connection.execute(
        "UPDATE job SET state = 'cancelled', cancel_reason = ?, cleared = 1, updated_at = ?, ended_at = ?"
        " WHERE seq IN (SELECT seq FROM chosen)",
        (why, at, at),
    )
    connection.execute("DELETE FROM chosen")
    if count:
        return start + CHUNK
    connection.execute("UPDATE run SET state = 'cancelled', ended_at = ? WHERE run_id = ?", (at, run_id))
    return 0


# --- what the changes share ---------------------------------------------------------------------------------


def choose(
    connection: sqlite3.Connection,
    where: str,
    parameters: Mapping[str, str | int],
    *,
    order: str = "job.seq",
    saved: str = "0",
    hidden: bool = False,
) -> int:
    """Put the jobs a change is about into the temporary table ``chosen``, in order; return how many.
    ``hidden``: also those of hidden runs."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS chosen"
        " (n INTEGER PRIMARY KEY, seq INTEGER, run_seq INTEGER, state TEXT, saved INTEGER)"
    )
    connection.execute("DELETE FROM chosen")
    return connection.execute(
        f"INSERT INTO chosen (seq, run_seq, state, saved) SELECT job.seq, job.run_seq, job.state, {saved}"  # noqa: S608
        f" FROM job WHERE {where} {'' if hidden else f'AND {SHOWN}'} ORDER BY {order}",
        parameters,
    ).rowcount


def add_chosen_events(connection: sqlite3.Connection, to_state: str, at: str, who: str, why: str) -> None:
    """Events for the chosen jobs, whose rows must not have been changed yet."""
    connection.execute(
        "INSERT INTO job_event (job_seq, at, who, from_state, to_state, attempt, node_id, why)"
        " SELECT job.seq, ?, ?, job.state, ?, job.attempt, '', ?"
        " FROM chosen CROSS JOIN job ON job.seq = chosen.seq ORDER BY chosen.n",
        (at, who, to_state, why),
    )


def changed(
    connection: sqlite3.Connection,
    selection: Selection,
    to_state: str,
    reasons: Mapping[str, str] | None = None,
) -> Changed:
    """Count the chosen jobs as ``to_state`` (empty: no more at all) and say what was left alone."""
    deltas = tally.Deltas()
    changed = 0
    for run_seq, state, count, saved in connection.execute(
        "SELECT run_seq, state, count(*), sum(saved) FROM chosen GROUP BY run_seq, state"
    ):
        changed += count
        deltas[run_seq, state] -= count
        deltas[run_seq, tally.SAVED] -= saved
        if to_state:
            deltas[run_seq, to_state] += count
    tally.add(connection, deltas)
    run_ids = frozenset(
        run_id
        for (run_id,) in connection.execute("SELECT run_id FROM run WHERE seq IN (SELECT run_seq FROM chosen)")
    )
    notes = _left_alone(connection, selection, reasons) if reasons else ()
    connection.execute("DELETE FROM chosen")
    return Changed(changed, notes, run_ids)


def _left_alone(
    connection: sqlite3.Connection, selection: Selection, reasons: Mapping[str, str]
) -> tuple[str, ...]:
    """Notes on jobs that were named one by one and were not chosen: by state, or ``active``."""
    notes = []
    for job_id, state, cleared in connection.execute(
        "SELECT job.job_id, job.state, job.cleared FROM json_each(?) AS w"
        " CROSS JOIN job ON job.job_id = w.value WHERE job.seq NOT IN (SELECT seq FROM chosen)",
        (json.dumps(sorted(selection.job_ids)),),
    ):
        group = "active" if JobState(state).active else state
        notes.append(f"{job_id}: {'cleared before' if cleared else reasons.get(group, state)}")
    return tuple(notes)
