"""Facts that the kernel has not acked yet, on disk: they survive ``kill -9`` of the agent.

SQLite in WAL mode with ``synchronous=NORMAL``: a commit is a write to the system's page cache, without a sync
to the disk. A killed process loses nothing, since the cache belongs to the system; a power loss may take the
last facts with it, but then the Hello no longer lists these leases, the kernel queues the jobs again, and the
same seeds give the same bytes. FULL would cost a disk sync a job to save work that is merely done twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_api.leases import Fact
from stablenew_client import wire
from stablenew_proto.v1 import agent_link_pb2 as pb

_SCHEMA = "CREATE TABLE IF NOT EXISTS fact (fact_id INTEGER PRIMARY KEY, message BLOB) STRICT"

_PRAGMAS = (
    # One agent a state folder (main.py holds a lock), so the file need not be locked and unlocked for each
    # transaction: that was half the cost of one. Before journal_mode, or WAL sets up its shared memory first.
    "locking_mode=EXCLUSIVE",
    "journal_mode=WAL",
    "synchronous=NORMAL",
)


class Outbox:
    """One agent's facts. Called from one thread; a call takes tens of microseconds.

    The row with the highest id is never deleted, only emptied, so that ids grow for ever without a second table
    to write to.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, or make it. Raises UserError when that is not possible."""
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            for pragma in _PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute(_SCHEMA)
            highest = self._connection.execute("SELECT max(fact_id) FROM fact").fetchone()
            self._last: int = highest[0] or 0
        except sqlite3.Error as error:
            raise UserError(
                f"{path}: cannot be opened ({error}); remove it to start with an empty outbox (results the "
                "kernel has not taken over yet are then made again)"
            ) from error

    @property
    def next_fact_id(self) -> int:
        """Above every id that was ever stored here."""
        return self._last + 1

    def load(self) -> Sequence[Fact]:
        """All facts, oldest first."""
        rows = self._connection.execute("SELECT message FROM fact WHERE message NOT NULL ORDER BY fact_id")
        return [wire.fact_from_proto(pb.Fact.FromString(message)) for (message,) in rows]

    def append(self, messages: Iterable[pb.Fact], forget_up_to: int = 0) -> None:
        """Store ``messages``, in order of their ids, and delete facts up to ``forget_up_to``, in one
        transaction.

        Storing the same fact twice is harmless. Raises ``sqlite3.Error`` (disk full); nothing is changed then.
        """
        rows = [(message.fact_id, message.SerializeToString()) for message in messages]
        last = max(self._last, rows[-1][0]) if rows else self._last
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if rows:
                self._connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", rows)
            if forget_up_to:
                execute("DELETE FROM fact WHERE fact_id <= ?", (min(forget_up_to, last - 1),))
            if forget_up_to >= last:
                execute("UPDATE fact SET message = NULL WHERE fact_id = ?", (last,))
            execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        self._last = last

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
