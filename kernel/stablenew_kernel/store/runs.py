"""Table ``run``: what a person asked for in one go. Functions of the connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stablenew_kernel.store import tally
from stablenew_kernel.store.errors import Conflict, NotFound

HIDDEN = "SELECT seq FROM run WHERE ended_at IS NULL AND cleared = 1"
"""Runs whose jobs are still being added, by several transactions: see :func:`begin_hidden`. (A run that people
clear has ended.)"""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be inserted; its jobs follow with :func:`stablenew_kernel.store.jobs.insert_jobs`."""

    run_id: str
    """UUIDv7, new."""
    name: str
    """For people: the pack's name."""
    folder: str
    """Absolute path of the run's own folder, made already."""
    priority: int
    """Higher runs first."""
    request: bytes
    """Canonical JSON: what was asked for; given back as it is."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, for people. Cleared jobs do not count, but in ``total``."""

    run_id: str
    name: str
    folder: str
    state: str
    """``running``, ``done`` (nothing left to do) or ``cancelled``."""
    priority: int
    total: int
    queued: int
    active: int
    done: int
    """Done and saved. (A job makes one image.)"""
    saving: int
    """Done, but the image is not in its folder yet."""
    failed: int
    cancelled: int
    request: bytes
    files: tuple[str, ...]
    """Paths of reports."""
    cancel_requested: bool
    created_at: str
    ended_at: str
    """Empty until then."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: all jobs final, all images saved."""
        return not (self.queued or self.active or self.saving)

    @property
    def end_state(self) -> str:
        """The state in which it ends, once it is complete."""
        return "cancelled" if self.cancel_requested and self.cancelled else "done"


def insert_run(connection: sqlite3.Connection, run: NewRun, at: str) -> None:
    """Add a run with no jobs yet."""
    connection.execute(
        "INSERT INTO run (run_id, name, folder, priority, request, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (run.run_id, run.name, run.folder, run.priority, run.request, at),
    )


def begin_hidden(connection: sqlite3.Connection, run: NewRun, total: int, at: str) -> int:
    """Add a run whose ``total`` jobs will come in several transactions, so that others get their turn between
    them; return the place in the queue of its first job, for ``insert_jobs``.

    Nobody sees the run or its jobs until :func:`reveal`: a kernel that dies before it has queued nothing. What
    it left is put away by :func:`stablenew_kernel.store.changes.put_away`. All its places in the queue are
    taken at once, so that what is hidden is one stretch, which readers jump over.
    """
    insert_run(connection, run, at)
    connection.execute("UPDATE run SET cleared = 1, total = ? WHERE run_id = ?", (total, run.run_id))
    (first,) = connection.execute(
        "UPDATE queue SET next_position = next_position + ?1 RETURNING next_position - ?1", (total,)
    ).fetchone()
    return int(first)


def reveal(connection: sqlite3.Connection, run_id: str) -> None:
    """All jobs of a hidden run are there: from this commit on it is a run like any other.

    Raises Conflict if they are not.
    """
    seq, total, last = connection.execute(
        "SELECT seq, total, (SELECT max(idx) FROM job WHERE run_seq = run.seq) FROM run WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    if last != total - 1:
        raise Conflict(f"run {run_id} was to have {total} jobs, and the last one that came is number {last}")
    connection.execute("UPDATE run SET cleared = 0 WHERE seq = ?", (seq,))
    tally.add(connection, tally.Deltas({(seq, "queued"): total}))


def hidden(connection: sqlite3.Connection) -> list[str]:
    """Ids of the hidden runs. At start: what a kernel left that died while it added them."""
    return [run_id for (run_id,) in connection.execute(f"SELECT run_id FROM run WHERE seq IN ({HIDDEN})")]  # noqa: S608


_COLUMNS = (
    "seq, run_id, name, folder, state, priority, total, request, files, cancel_requested, created_at, ended_at"
)


def get(connection: sqlite3.Connection, run_id: str) -> RunRow:
    """A run, cleared or not. Raises NotFound."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM run WHERE run_id = ?", (run_id,)).fetchone()  # noqa: S608
    if row is None:
        raise NotFound(f"no run {run_id}")
    return _run_row(connection, row)


def list_runs(connection: sqlite3.Connection, limit: int = 50) -> list[RunRow]:
    """Runs that are not cleared, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM run WHERE cleared = 0 ORDER BY seq DESC LIMIT ?",  # noqa: S608
        (limit,),
    ).fetchall()
    return [_run_row(connection, row) for row in rows]


def open_runs(connection: sqlite3.Connection) -> list[RunRow]:
    """Runs that have not ended, oldest first; at start, end those that are :attr:`RunRow.complete`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM run WHERE ended_at IS NULL AND cleared = 0 ORDER BY seq"  # noqa: S608
    ).fetchall()
    return [_run_row(connection, row) for row in rows]


def end_run(connection: sqlite3.Connection, run_id: str, files: Sequence[str], at: str) -> RunRow | None:
    """End a run if nothing is left to do: keep the paths of its reports, set ``state`` and ``ended_at``.

    None if there is something left (a retry came between), or if it has ended already. Raises NotFound.
    """
    run = get(connection, run_id)
    if run.ended_at or not run.complete:
        return None
    connection.execute(
        "UPDATE run SET state = ?, files = ?, ended_at = ? WHERE run_id = ?",
        (
            run.end_state,
            json.dumps(list(files), ensure_ascii=False),
            at,
            run_id,
        ),
    )
    return get(connection, run_id)


def _run_row(connection: sqlite3.Connection, row: Sequence[Any]) -> RunRow:
    seq, run_id, name, folder, state, priority, total, request, files, cancel, created_at, ended_at = row
    n = tally.counts(connection, seq)
    return RunRow(
        run_id=run_id,
        name=name,
        folder=folder,
        state=state,
        priority=priority,
        total=total,
        queued=n["queued"],
        active=n["leased"] + n["running"] + n["unknown"],
        done=max(0, n["done"] - n[tally.PENDING]),
        saving=n[tally.PENDING],
        failed=n["failed"],
        cancelled=n["cancelled"],
        request=request,
        files=tuple(json.loads(files)),
        cancel_requested=bool(cancel),
        created_at=created_at,
        ended_at=ended_at or "",
    )
