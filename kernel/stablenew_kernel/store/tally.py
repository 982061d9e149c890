"""Counters: how many jobs of a run, or of all, are in which state. Functions of the connection."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from stablenew_api.jobs import JobState

PENDING = "pending"
"""Outputs that are not in the run's folder yet."""
SAVED = "saved"
"""Outputs that are."""

KEYS: tuple[str, ...] = (*(str(state) for state in JobState), PENDING, SAVED)
EVERYTHING = 0
"""``run_seq`` of the whole queue."""

Deltas = Counter[tuple[int, str]]
"""Changes by (run_seq, key), to be added in the transaction that makes them true."""

# Each in one statement, whatever the number of rows: at every step of one, other threads may take the
# interpreter, and it takes time to get it back. Not an UPSERT with the sum in VALUES: a negative n would break
# the CHECK before the conflict is seen.
_BEGIN = (
    "INSERT OR IGNORE INTO tally (run_seq, what, n)"
    " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), 0 FROM json_each(?)"
)
_ADD = (
    "UPDATE tally SET n = n + json_extract(value, '$[2]') FROM json_each(?)"
    " WHERE run_seq = json_extract(value, '$[0]') AND what = json_extract(value, '$[1]')"
)


def add(connection: sqlite3.Connection, deltas: Deltas) -> None:
    """Add ``deltas`` to the runs' counters and to those of the whole queue."""
    total = Deltas()
    for (run_seq, key), n in deltas.items():
        total[run_seq, key] += n
        total[EVERYTHING, key] += n
    rows = json.dumps([(run_seq, key, n) for (run_seq, key), n in total.items() if n])
    connection.execute(_BEGIN, (rows,))
    connection.execute(_ADD, (rows,))


def counts(connection: sqlite3.Connection, run_seq: int = EVERYTHING) -> dict[str, int]:
    """All counters of a run, or of the whole queue."""
    result = dict.fromkeys(KEYS, 0)
    result.update(connection.execute("SELECT what, n FROM tally WHERE run_seq = ?", (run_seq,)))
    return result
