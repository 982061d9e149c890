"""The order of the queue: jobs moved, their priority set, their places told. Functions of the connection.

Jobs stand in the order of their priority, then of their ``position``, which no two queued jobs share: whoever
reads the queue piece by piece goes on behind the last job it has seen. So a job that goes between two others
never gets a position of its own there: those on one side of it are given new ones, at an end of all that there
are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from stablenew_api.errors import UserError
from stablenew_kernel.store.changes import Changed, Selection, add_chosen_events, changed, choose
from stablenew_kernel.store.errors import NotFound
from stablenew_kernel.store.jobs import SHOWN
from stablenew_kernel.store.runs import HIDDEN

_REASONS = {"done": "ended", "failed": "ended", "cancelled": "ended", "active": "started already"}

LARGEST_PRIORITY = 2**31 - 1
"""Either way from 0: what fits the wire."""


def move(
    connection: sqlite3.Connection, selection: Selection, *, top: bool, at: str, who: str = "operator"
) -> Changed:
    """Move queued jobs to the top or the end of the whole queue, their order kept.

    They take the highest (lowest) priority that is queued: priority goes before position, and "top" means next.
    """
    count = _choose_queued(connection, selection)
    if count:
        (priority,) = connection.execute(
            f"SELECT priority FROM job WHERE state = 'queued' ORDER BY rank {'ASC' if top else 'DESC'} LIMIT 1"  # noqa: S608
        ).fetchone()
        before = _take_front(connection, count) if top else _take_end(connection, count)
        add_chosen_events(connection, "queued", at, who, f"moved to the {'top' if top else 'end'} of the queue")
        _put_chosen(connection, priority, before)
    return changed(connection, selection, "queued", _REASONS)


def move_before(
    connection: sqlite3.Connection, selection: Selection, job_id: str, *, at: str, who: str = "operator"
) -> Changed:
    """Move queued jobs right before the queued job ``job_id``, whose priority they take; their order is kept.

    That job itself, if it is one of them, stays where it is. Raises NotFound for no such job, and UserError if
    it is not queued: there is no place before it then.
    """
    row = connection.execute(
        f"SELECT seq, state, priority, position FROM job WHERE job_id = ? AND {SHOWN}",  # noqa: S608
        (job_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"no job {job_id}")
    target, state, priority, position = row
    if state != "queued":
        raise UserError(f"job {job_id} is {state}: jobs can be moved only before one that is queued")
    count = _choose_queued(connection, selection)
    # Those that were chosen behind it would be numbered anew: it goes, and the numbers are closed up.
    inside = connection.execute("DELETE FROM chosen WHERE seq = ? RETURNING n", (target,)).fetchone()
    if inside is not None:
        connection.execute("UPDATE chosen SET n = n - 1 WHERE n > ?", inside)
        count -= 1
    if count:
        add_chosen_events(connection, "queued", at, who, f"moved before job {job_id}")
        same = f"state = 'queued' AND rank = {-priority} AND {SHOWN}"
        same += " AND seq NOT IN (SELECT seq FROM chosen)"
        ahead = _count(connection, f"{same} AND position < {position}")
        behind = _count(connection, f"{same} AND position >= {position}")
        # What is hidden keeps its positions, and must not come to stand before jobs that were ahead of it.
        if ahead <= behind or connection.execute(HIDDEN).fetchone():
            before = _take_front(connection, ahead + count)
            _renumber(connection, f"{same} AND position < {position}", before)
            _put_chosen(connection, priority, before + ahead)
        else:
            before = _take_end(connection, count + behind)
            _renumber(connection, f"{same} AND position >= {position}", before + count)
            _put_chosen(connection, priority, before)
    return changed(connection, selection, "queued", {**_REASONS, "queued": "the others go before it"})


def set_priority(
    connection: sqlite3.Connection, selection: Selection, priority: int, *, at: str, who: str = "operator"
) -> Changed:
    """Give queued jobs a priority (higher runs first), and with it their place among the others that have it:
    by position, so by when they were queued, or moved. A run that is named as a whole takes it, too. Raises
    UserError for one that is too large."""
    if abs(priority) > LARGEST_PRIORITY:
        raise UserError(f"priority {priority}: must be {-LARGEST_PRIORITY:,} to {LARGEST_PRIORITY:,}")
    _choose_queued(connection, selection)
    add_chosen_events(connection, "queued", at, who, f"priority {priority}")
    connection.execute("UPDATE job SET priority = ? WHERE seq IN (SELECT seq FROM chosen)", (priority,))
    if selection.everything or selection.run_ids:
        _, parameters = selection.sql()
        whole = "1" if selection.everything else "run_id IN (SELECT value FROM json_each(:runs))"
        connection.execute(
            f"UPDATE run SET priority = :priority WHERE {whole} AND seq IN (SELECT run_seq FROM chosen)",  # noqa: S608
            {**parameters, "priority": priority},
        )
    return changed(connection, selection, "queued", _REASONS)


def places(connection: sqlite3.Connection, job_ids: Iterable[str]) -> dict[str, int]:
    """The place in the queue, from 1, of those of the jobs that are queued.

    One walk from the head of the queue to the last of them, whatever their number.
    """
    rows = sorted(
        row
        for job_id in job_ids
        for row in connection.execute(
            f"SELECT rank, position, job_id FROM job WHERE job_id = ? AND state = 'queued' AND {SHOWN}",  # noqa: S608
            (job_id,),
        )
    )
    # Without the condition the index alone is read; a hidden run is rare, and soon over.
    shown = SHOWN if connection.execute(HIDDEN).fetchone() else "1"

    def count(condition: str, *values: int) -> int:
        sql = f"SELECT count(*) FROM job WHERE state = 'queued' AND {condition} AND {shown}"  # noqa: S608
        (number,) = connection.execute(sql, values).fetchone()
        return int(number)

    found: dict[str, int] = {}
    place, last_rank, last = 0, 0, 0
    for rank, position, job_id in rows:
        # Not with row values, (rank, position) > (?, ?), which take SQLite twice as long.
        if not found:
            place = count("rank < ?", rank) + count("rank = ? AND position <= ?", rank, position)
        elif rank == last_rank:
            place += count("rank = ? AND position > ? AND position <= ?", rank, last, position)
        else:
            place += count("rank = ? AND position > ?", last_rank, last)
            place += count("rank > ? AND rank < ?", last_rank, rank)
            place += count("rank = ? AND position <= ?", rank, position)
        found[job_id], last_rank, last = place, rank, position
    return found


def _choose_queued(connection: sqlite3.Connection, selection: Selection) -> int:
    where, parameters = selection.sql()
    return choose(connection, f"job.state = 'queued' AND {where}", parameters, order="job.rank, job.position")


def _count(connection: sqlite3.Connection, where: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM job WHERE {where}").fetchone()  # noqa: S608
    return int(count)


def _take_front(connection: sqlite3.Connection, count: int) -> int:
    """So many positions before all there are; return the one before the first of them."""
    (before,) = connection.execute(
        "UPDATE queue SET top_position = top_position - ?1 RETURNING top_position", (count,)
    ).fetchone()
    return int(before)


def _take_end(connection: sqlite3.Connection, count: int) -> int:
    """So many positions behind all there are; return the one before the first of them."""
    (before,) = connection.execute(
        "UPDATE queue SET next_position = next_position + ?1 RETURNING next_position - ?1 - 1", (count,)
    ).fetchone()
    return int(before)


def _put_chosen(connection: sqlite3.Connection, priority: int, before: int) -> None:
    """Place the chosen jobs in their order, from the position behind ``before`` on."""
    connection.execute(
        "UPDATE job SET priority = ?, position = ? + chosen.n FROM chosen WHERE job.seq = chosen.seq",
        (priority, before),
    )


def _renumber(connection: sqlite3.Connection, where: str, before: int) -> None:
    """Place the jobs of ``where``, in their order, from the position behind ``before`` on."""
    connection.execute(
        "UPDATE job SET position = ? + numbered.n FROM (SELECT seq, row_number() OVER (ORDER BY position) AS n"  # noqa: S608
        f" FROM job WHERE {where}) AS numbered WHERE job.seq = numbered.seq",
        (before,),
    )
