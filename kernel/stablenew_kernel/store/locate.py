"""Which job or run a person means who gives the beginning of its id."""

from __future__ import annotations

import sqlite3

from stablenew_api.errors import UserError
from stablenew_kernel.store.errors import NotFound
from stablenew_kernel.store.runs import HIDDEN


def job(connection: sqlite3.Connection, text: str) -> str:
    """The full id of the job that ``text`` means: its id or a unique beginning of it, or ``RUN/INDEX`` (a
    unique beginning of the run's id, and the index from 0; ids of one millisecond look alike for long).

    Raises NotFound (no job, or several) and UserError (nothing that an id could begin with).
    """
    run_text, slash, index = text.partition("/")
    if slash:
        if not index.isdecimal():
            raise UserError(f"{text!r}: the part behind the slash is the job's number in its run, from 0")
        run_id = run(connection, run_text)
        row = connection.execute(
            "SELECT job_id FROM job WHERE run_seq = (SELECT seq FROM run WHERE run_id = ?) AND idx = ?",
            (run_id, min(int(index), 2**62)),
        ).fetchone()
        if row is None:
            raise NotFound(f"run {run_id} has no job {index}")
        return str(row[0])
    return _unique(connection, "job", text)


def run(connection: sqlite3.Connection, text: str) -> str:
    """The full id of the run whose id is or begins with ``text``. Raises NotFound and UserError."""
    return _unique(connection, "run", text)


def _unique(connection: sqlite3.Connection, kind: str, text: str) -> str:
    beginning = text.strip().lower()
    if not beginning or not set(beginning) <= set("0123456789abcdef-"):
        raise UserError(
            f"{text!r} is no {kind} id: digits, a to f and dashes; `stablenew queue list` shows them"
        )
    run_seq = "seq" if kind == "run" else "run_seq"
    rows = connection.execute(
        f"SELECT {kind}_id FROM {kind} WHERE {kind}_id >= ? AND {kind}_id < ? AND {run_seq} NOT IN ({HIDDEN})"  # noqa: S608
        f" ORDER BY {kind}_id LIMIT 2",
        (beginning, beginning + "g"),
    ).fetchall()
    if not rows:
        raise NotFound(f"no {kind} begins with {beginning}; `stablenew queue list` shows them")
    if len(rows) > 1 and rows[0][0] != beginning:
        raise NotFound(f"several {kind}s begin with {beginning}; give more of the id")
    return str(rows[0][0])
