"""Tables ``job``, ``job_spec``, ``job_event``: the queue and its history. Functions of the connection.

A job's row changes state only here and, by hand, in :mod:`stablenew_kernel.store.changes`, each time with a row
of ``job_event`` and with the counters, in the caller's transaction. Jobs are never deleted: ``clear`` hides
them from lists and counts, and the history stays.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.jobs import Artifact, Failure, FailureKind, JobSpec, JobState, Needs
from stablenew_kernel.domain.later import work_of
from stablenew_kernel.domain.link import ActiveJob, QueuedJob, RecordCancel, Transition
from stablenew_kernel.domain.words import near
from stablenew_kernel.store import outputs, tally
from stablenew_kernel.store.errors import Conflict, NotFound
from stablenew_kernel.store.runs import HIDDEN

CHUNK = 1000
"""Jobs in memory at a time while a run is inserted."""

# Word for word the condition of the partial index job_active, or SQLite does not use it.
_ACTIVE = "(state = 'leased' OR state = 'running' OR state = 'unknown')"
_QUEUED_COLUMNS = (
    "job.job_id, run.run_id, job.priority, job.model, job.vram, job.features, job.names, job.stages,"
    " job.attempt, job.failures, job_spec.spec, job.run_timeout, job.min_vram"
)
SHOWN = f"job.run_seq NOT IN ({HIDDEN})"
"""Jobs of runs that are complete in the database."""


# --- into the queue -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be queued."""

    job_id: str
    """UUIDv7, new."""
    index: int
    """In its run, from 0; unique there."""
    spec: bytes
    """Canonical JSON of the JobSpec."""
    spec_sha256: str
    needs: Needs
    stages: tuple[str, ...]
    """Stage names, in order."""
    run_timeout: float
    work: str = ""
    """What it does to an image that exists: see :func:`~stablenew_kernel.domain.later.work_of`."""

    @staticmethod
    def of(job_id: str, index: int, spec: JobSpec) -> NewJob:
        """The row of ``spec``."""
        canonical = spec.canonical()
        return NewJob(
            job_id,
            index,
            canonical,
            sha256(canonical).hexdigest(),
            spec.needs,
            tuple(stage.name for stage in spec.stages),
            spec.run_timeout,
            work_of(spec),
        )

    def queued(self, run_id: str, priority: int) -> QueuedJob:
        """As :func:`queued` returns it once it is inserted."""
        return QueuedJob(
            self.job_id, run_id, priority, self.needs, self.stages, 0, 0, self.spec, self.run_timeout
        )


def insert_jobs(
    connection: sqlite3.Connection,
    run_id: str,
    jobs: Iterable[NewJob],
    *,
    at: str,
    who: str = "operator",
    hidden_from: int | None = None,
) -> int:
    """Queue ``jobs`` of a run that was inserted, behind all others of its priority; return how many.

    ``jobs`` may be a generator: at most :data:`CHUNK` of them are in memory. ``hidden_from``: what
    :func:`~stablenew_kernel.store.runs.begin_hidden` returned, if the run is hidden; its jobs go to their
    places and count for nothing yet.
    """
    row = connection.execute("SELECT seq, priority FROM run WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound(f"no run {run_id}")
    run_seq, priority = row
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM job").fetchone()
    (position,) = connection.execute("SELECT next_position FROM queue").fetchone()
    source = iter(jobs)
    total = 0
    while chunk := list(islice(source, CHUNK)):
        rows = []
        for offset, job in enumerate(chunk, 1):
            needs = job.needs
            rows.append(
                (
                    seq + offset,
                    job.job_id,
                    run_seq,
                    job.index,
                    priority,
                    position + offset - 1 if hidden_from is None else hidden_from + job.index,
                    job.spec_sha256,
                    needs.model,
                    needs.vram_bytes,
                    _names_json(needs.features),
                    _names_json(needs.names),
                    _names_json(job.stages),
                    job.run_timeout,
                    at,
                    at,
                )
            )
        connection.executemany(
            "INSERT INTO job (seq, job_id, run_seq, idx, priority, position, spec_sha256, model, vram,"
            " features, names, stages, run_timeout, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.executemany(
            "INSERT INTO job_spec (job_seq, spec) VALUES (?, ?)",
            [(seq + offset, job.spec) for offset, job in enumerate(chunk, 1)],
        )
        connection.executemany(
            "INSERT INTO later_job (job_seq, work) VALUES (?, ?)",
            [(seq + offset, job.work) for offset, job in enumerate(chunk, 1) if job.work],
        )
        connection.execute(
            "INSERT INTO job_event (job_seq, at, who, from_state, to_state, attempt, node_id, why)"
            " SELECT seq, ?, ?, '', 'queued', 0, '', 'submitted' FROM job WHERE seq > ?",
            (at, who, seq),
        )
        seq += len(chunk)
        position += len(chunk)
        total += len(chunk)
    if hidden_from is not None:
        return total
    connection.execute("UPDATE queue SET next_position = ?", (position,))
    connection.execute("UPDATE run SET total = total + ? WHERE seq = ?", (total, run_seq))
    tally.add(connection, tally.Deltas({(run_seq, "queued"): total}))
    return total


def known_work(connection: sqlite3.Connection, works: Iterable[str]) -> set[str]:
    """Those of ``works`` that some job does or has done, whose run was not put away."""
    rows = connection.execute(
        "SELECT DISTINCT value FROM json_each(?) AS w CROSS JOIN later_job ON later_job.work = w.value"
        " CROSS JOIN job ON job.seq = later_job.job_seq WHERE job.state NOT IN ('failed', 'cancelled')",
        (json.dumps(list(works)),),
    )
    return {work for (work,) in rows}


# --- what the coordinator reads -------------------------------------------------------------------------------


def queued(connection: sqlite3.Connection, limit: int, after: str = "") -> list[QueuedJob]:
    """The next ``limit`` queued jobs in queue order: priority, highest first, then position.

    ``after``: only those behind this job (by id; it may have any state by now). Empty, or no such job: from the
    head. Costs the same with a thousand jobs queued or a million, and jumps over hidden runs. Ask for one more
    than you need to learn whether there are more. On the reader thread it sees what is committed: a job whose
    lease is about to be committed still counts as queued there.
    """
    start: Sequence[int] | None = None
    if after:
        start = connection.execute("SELECT rank, position FROM job WHERE job_id = ?", (after,)).fetchone()
    found: list[QueuedJob] = []
    while True:
        behind = "AND (job.rank, job.position) > (?, ?)" if start else ""
        # CROSS JOIN fixes the order of the loops: the queue's index first, whatever the planner thinks.
        cursor = connection.execute(
            f"SELECT {_QUEUED_COLUMNS}, job.rank,"  # noqa: S608
            " CASE run.cleared WHEN 1 THEN job.position - job.idx + run.total - 1 END"
            " FROM job CROSS JOIN job_spec ON job_spec.job_seq = job.seq"
            f" CROSS JOIN run ON run.seq = job.run_seq WHERE job.state = 'queued' {behind}"
            " ORDER BY job.rank, job.position LIMIT ?",
            [*(start or ()), limit - len(found)],
        )
        for *row, rank, hidden_to in cursor:
            if hidden_to is not None:
                start = (rank, hidden_to)
                break
            found.append(_queued_job(row))
        else:
            return found


def active(connection: sqlite3.Connection) -> list[ActiveJob]:
    """All LEASED, RUNNING and UNKNOWN jobs, in order of submission."""
    cursor = connection.execute(
        f"SELECT job.state, job.node_id, job.node_name, job.cancel_reason, {_QUEUED_COLUMNS}"  # noqa: S608
        f" FROM job CROSS JOIN job_spec ON job_spec.job_seq = job.seq CROSS JOIN run ON run.seq = job.run_seq"
        f" WHERE {_ACTIVE.replace('state', 'job.state')} ORDER BY job.seq"
    )
    return [
        ActiveJob(_queued_job(row), node_id, node_name, JobState(state), reason is not None, reason or "")
        for state, node_id, node_name, reason, *row in cursor
    ]


def _queued_job(row: Sequence[Any]) -> QueuedJob:
    job_id, run_id, priority, model, vram, features, names, stages, attempt, failures, *rest = row
    spec, timeout, min_vram = rest
    return QueuedJob(
        job_id,
        run_id,
        priority,
        Needs(model, vram, _name_set(features), _name_set(names)),
        _names(stages),
        attempt,
        failures,
        spec,
        timeout,
        min_vram,
    )


@lru_cache(maxsize=1024)  # a run has one or two of them in thousands of jobs
def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=1024)
def _name_set(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


@lru_cache(maxsize=1024)
def _names_json(names: tuple[str, ...] | frozenset[str]) -> str:
    return json.dumps(sorted(names) if isinstance(names, frozenset) else names)


# --- what the coordinator records -----------------------------------------------------------------------------


def apply(connection: sqlite3.Connection, transitions: Sequence[Transition], at: str) -> None:
    """Write state changes, in order: the job's row, a ``job_event`` each, counters, and on DONE the outputs.

    Guarded: each must start from the state and attempt that the database has (to LEASED: an attempt one
    higher). Raises Conflict, naming the job, otherwise; the caller's savepoint then undoes all of them.
    """
    if not transitions:
        return
    found = connection.execute(
        "SELECT job.job_id, job.seq, job.run_seq, job.state, job.attempt FROM json_each(?) AS wanted"
        " CROSS JOIN job ON job.job_id = wanted.value",
        (json.dumps(list({t.job_id for t in transitions})),),
    )
    now = {job_id: (seq, run_seq, state, attempt) for job_id, seq, run_seq, state, attempt in found}
    deltas = tally.Deltas()
    events = []
    updates = []
    made: list[tuple[int, int, int, int, Artifact]] = []
    for t in transitions:
        if t.job_id not in now:
            raise Conflict(f"job {t.job_id} is not in the database; it was to become {t.to_state}")
        seq, run_seq, state, attempt = now[t.job_id]
        expected = (
            t.attempt - 1 if t.to_state is JobState.LEASED and t.from_state is JobState.QUEUED else t.attempt
        )
        if state != t.from_state or attempt != expected:
            raise Conflict(
                f"job {t.job_id} is {state} (attempt {attempt}), not {t.from_state} (attempt {expected}):"
                f" it cannot become {t.to_state} ({t.why})"
            )
        now[t.job_id] = (seq, run_seq, t.to_state, t.attempt)
        deltas[run_seq, str(t.from_state)] -= 1
        deltas[run_seq, str(t.to_state)] += 1
        events.append((seq, at, t.who, str(t.from_state), str(t.to_state), t.attempt, t.node_id, t.why))
        waits = t.to_state is JobState.QUEUED
        outcome = t.outcome
        failure = None if t.failure is None else _failure_json(t.failure)
        updates.append(
            (
                str(t.to_state),
                t.attempt,
                t.failures,
                t.min_vram,
                "" if waits else t.node_id,
                "" if waits else t.node_name,
                # The last failure stays to be seen while the job waits and runs again; success wipes it out.
                failure is not None or t.to_state in (JobState.DONE, JobState.CANCELLED),
                failure,
                None if outcome is None else outcome.report,
                None if outcome is None else outcome.run_time,
                None if outcome is None else outcome.peak_vram_bytes,
                at,
                at if t.to_state.final else None,
                seq,
                str(t.from_state),
                expected,
            )
        )
        if t.to_state is JobState.DONE and outcome is not None:
            made.extend(
                (seq, run_seq, t.attempt, idx, artifact) for idx, artifact in enumerate(outcome.outputs)
            )
    cursor = connection.executemany(
        "UPDATE job SET state = ?, attempt = ?, failures = ?, min_vram = ?, node_id = ?, node_name = ?,"
        " failure = CASE WHEN ? THEN ? ELSE failure END, report = coalesce(?, report),"
        " run_time = coalesce(?, run_time), peak_vram = coalesce(?, peak_vram), updated_at = ?, ended_at = ?"
        " WHERE seq = ? AND state = ? AND attempt = ?",
        updates,
    )
    if cursor.rowcount != len(updates):  # the check above reads what this writes: only a bug gets here
        raise Conflict(f"{len(updates)} jobs were to change and {cursor.rowcount} did")
    _add_events(connection, events)
    if made:
        outputs.insert(connection, made, deltas)
    tally.add(connection, deltas)


def record_cancels(connection: sqlite3.Connection, cancels: Sequence[RecordCancel], at: str) -> None:
    """Keep that active jobs shall be cancelled, so that a restarted kernel asks again."""
    for cancel in cancels:
        row = connection.execute(
            f"UPDATE job SET cancel_reason = ? WHERE job_id = ? AND {_ACTIVE}"  # noqa: S608
            " RETURNING seq, state, attempt, node_id",
            (cancel.reason, cancel.job_id),
        ).fetchone()
        if row is None:
            raise Conflict(f"job {cancel.job_id} is not active: its cancel cannot be recorded")
        seq, state, attempt, node_id = row
        why = f"cancel requested: {cancel.reason}"
        _add_events(connection, [(seq, at, cancel.who, state, state, attempt, node_id, why)])


def _add_events(connection: sqlite3.Connection, events: Iterable[tuple[Any, ...]]) -> None:
    connection.executemany(
        "INSERT INTO job_event (job_seq, at, who, from_state, to_state, attempt, node_id, why)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        events,
    )


def _failure_json(failure: Failure) -> str:
    return json.dumps(
        {"kind": str(failure.kind), "message": failure.message, "detail": failure.detail}, ensure_ascii=False
    )


# --- what people read -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, for people."""

    job_id: str
    run_id: str
    run_name: str
    index: int
    state: JobState
    attempt: int
    failures: int
    priority: int
    node_id: str
    node_name: str
    spec: bytes
    """Canonical JSON of the JobSpec: prompt, seed and stages are in there."""
    spec_sha256: str
    min_vram: int
    cancel_reason: str | None
    """Not None: its cancel was requested."""
    failure: Failure | None
    """The last one, also while it is tried again."""
    run_time: float
    """Seconds in the worker."""
    peak_vram_bytes: int
    path: str
    """Of its first image, once saved; else empty."""
    created_at: str
    updated_at: str
    ended_at: str
    """Empty until then."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A row of the history."""

    at: str
    who: str
    from_state: str
    """Empty: the job was made."""
    to_state: str
    """Equal to ``from_state`` for what is no change of state: a cancel requested, a move."""
    attempt: int
    node_id: str
    why: str


@dataclass(frozen=True, slots=True)
class JobDetail:
    """Everything about one job."""

    row: JobRow
    report: bytes
    """Canonical JSON of what the worker told; empty if nothing."""
    events: tuple[JobEvent, ...]
    """Oldest first."""


_ROW = (
    "job.job_id, run.run_id, run.name, job.idx, job.state, job.attempt, job.failures, job.priority,"
    " job.node_id, job.node_name, job_spec.spec, job.spec_sha256, job.min_vram, job.cancel_reason, job.failure,"
    " job.run_time, job.peak_vram, (SELECT path FROM output WHERE output.job_seq = job.seq AND output.idx = 0),"
    " job.created_at, job.updated_at, job.ended_at"
)
_JOIN = "CROSS JOIN job_spec ON job_spec.job_seq = job.seq CROSS JOIN run ON run.seq = job.run_seq"

ENDED = frozenset(state for state in JobState if state.final)
_WORST = "CASE job.state WHEN 'failed' THEN 0 WHEN 'cancelled' THEN 1 ELSE 2 END"
_LATEST = "job.ended_at DESC, job.seq DESC"
ORDERS = {
    "newest": _LATEST,
    "oldest": "job.ended_at, job.seq",
    "longest": f"job.run_time DESC, {_LATEST}",
    "shortest": f"job.run_time, {_LATEST}",
    "failed": f"{_WORST}, {_LATEST}",
    "done": f"{_WORST} DESC, {_LATEST}",
}
"""Orders of jobs that are over: by when they ended, by how long they took, by how they ended."""


def list_jobs(
    connection: sqlite3.Connection,
    *,
    run_id: str = "",
    states: Iterable[JobState] = (),
    order: str = "",
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[JobRow], int]:
    """A page of jobs that are not cleared, and how many there are in all.

    ``order``: one of :data:`ORDERS`, of jobs that are over; then no ``states`` means all of these. Without it:
    of one run in plan order, only queued ones in queue order, only such as are over by when they ended, the
    newest first, all others newest first; and no ``states`` means all of them.
    Raises NotFound for an unknown run, UserError for an ``order`` that there is not or that does not fit.
    """
    wanted = frozenset(states) or (ENDED if order else frozenset(JobState))
    if order and order not in ORDERS:
        raise UserError(f"order {order!r}: {near(order, ORDERS)}")
    if order and not wanted <= ENDED:
        others = ", ".join(sorted(wanted - ENDED))
        raise UserError(f"order {order!r}: only of jobs that are over; leave out the states {others}")
    if not order and not run_id and wanted <= ENDED:
        order = "newest"
    run_seq = tally.EVERYTHING
    conditions = ["job.cleared = 0"]
    by = "job.seq DESC"
    if run_id:
        row = connection.execute("SELECT seq FROM run WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise NotFound(f"no run {run_id}")
        run_seq = row[0]
        conditions.append("job.run_seq = :run")
        by = "job.idx"
    else:
        conditions.append(SHOWN)
    if wanted == {JobState.QUEUED}:
        conditions.append("job.state = 'queued'")  # word for word the condition of job_queued
        by = by if run_id else "job.rank, job.position"
    elif wanted == {state for state in JobState if state.active}:
        conditions.append(_ACTIVE)
    elif len(wanted) < len(JobState):
        conditions.append(f"job.state IN ({', '.join(sorted(repr(str(state)) for state in wanted))})")
    source = "job"
    if order:
        source, by = "job INDEXED BY job_ended", ORDERS[order]
        conditions.append("job.ended_at IS NOT NULL")  # word for word the condition of job_ended
    # The page is cut before specs and paths are fetched: a far offset does not read a million of them.
    cursor = connection.execute(
        f"SELECT {_ROW} FROM (SELECT job.seq AS page_seq FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608
        f" ORDER BY {by} LIMIT :limit OFFSET :offset)"
        f" CROSS JOIN job ON job.seq = page_seq {_JOIN} ORDER BY {by}",
        {"run": run_seq, "limit": limit, "offset": offset},
    )
    rows = [_job_row(row) for row in cursor]
    counts = tally.counts(connection, run_seq)
    return rows, sum(counts[state] for state in wanted)


def get(connection: sqlite3.Connection, job_id: str) -> JobDetail:
    """Everything about a job, cleared or not. Raises NotFound."""
    row = connection.execute(
        f"SELECT job.seq, job.report, {_ROW} FROM job {_JOIN} WHERE job.job_id = ?",  # noqa: S608
        (job_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"no job {job_id}")
    seq, report, *rest = row
    events = connection.execute(
        "SELECT at, who, from_state, to_state, attempt, node_id, why FROM job_event WHERE job_seq = ?"
        " ORDER BY event_id",
        (seq,),
    )
    return JobDetail(_job_row(rest), report or b"", tuple(JobEvent(*event) for event in events))


def _job_row(row: Sequence[Any]) -> JobRow:
    (
        job_id,
        run_id,
        run_name,
        index,
        state,
        attempt,
        failures,
        priority,
        node_id,
        node_name,
        spec,
        spec_sha256,
        min_vram,
        cancel_reason,
        failure,
        run_time,
        peak_vram,
        path,
        created_at,
        updated_at,
        ended_at,
    ) = row
    return JobRow(
        job_id,
        run_id,
        run_name,
        index,
        JobState(state),
        attempt,
        failures,
        priority,
        node_id,
        node_name,
        spec,
        spec_sha256,
        min_vram,
        cancel_reason,
        None if failure is None else _failure(json.loads(failure)),
        run_time,
        peak_vram,
        path or "",
        created_at,
        updated_at,
        ended_at or "",
    )


def _failure(data: Mapping[str, str]) -> Failure:
    return Failure(FailureKind(data["kind"]), data["message"], data["detail"])
