"""Small facts about the data folder, and the state of the queue as a whole. Functions of the connection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from stablenew_api.clock import Clock
from stablenew_kernel.store.tally import counts

CLEAN_EXIT = "clean_exit"
"""``1`` after an orderly stop; ``0`` while the kernel runs, so also after a crash."""
LAST_PORT = "last_port"
"""The port the kernel listened on last, so that agents find it again."""

DRAINED_BY_US = "drained_by_us"
"""The id of the node that is drained so that it starts anew; empty: none is."""


def timestamp(clock: Clock) -> str:
    """Now, as the database writes it: UTC, ISO 8601, milliseconds. Sorts as text."""
    return clock.now().isoformat(timespec="milliseconds")


def get(connection: sqlite3.Connection, key: str, default: str = "") -> str:
    """The value of ``key``."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else str(row[0])


def put(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Set ``key``."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


@dataclass(frozen=True, slots=True)
class StartState:
    """What the last kernel of this data folder left."""

    clean: bool
    """It stopped in an orderly way, or there never was one."""
    port: int
    """It listened here; 0: not known."""


def begin(connection: sqlite3.Connection) -> StartState:
    """Note that a kernel runs; return what the last one left. Call :func:`end` at an orderly stop."""
    state = StartState(get(connection, CLEAN_EXIT, "1") == "1", int(get(connection, LAST_PORT, "0")))
    put(connection, CLEAN_EXIT, "0")
    return state


def end(connection: sqlite3.Connection) -> None:
    """Note an orderly stop."""
    put(connection, CLEAN_EXIT, "1")


def set_paused(connection: sqlite3.Connection, paused: bool, reason: str = "") -> None:
    """Pause or resume the queue, for ever and across restarts."""
    connection.execute(
        "UPDATE queue SET paused = ?, paused_reason = ? WHERE id = 1", (paused, reason if paused else "")
    )


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue as a whole. Cleared jobs do not count."""

    paused: bool
    paused_reason: str
    counts: dict[str, int]
    """By job state (all seven are there), and outputs by ``pending`` and ``saved``."""

    @property
    def active(self) -> int:
        """Leased, running or unknown."""
        return self.counts["leased"] + self.counts["running"] + self.counts["unknown"]


def queue_state(connection: sqlite3.Connection) -> QueueState:
    """Whether the queue is paused, and how many jobs it has by state. Costs the same for any number."""
    paused, reason = connection.execute("SELECT paused, paused_reason FROM queue WHERE id = 1").fetchone()
    return QueueState(bool(paused), reason, counts(connection))
