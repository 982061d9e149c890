"""Table ``place``: what randomizer strategies keep between runs. Functions of the connection.

A place moves in the transaction that queues its run, and only if it still is where the plan read it: so a
submit that fails moves nothing, a crash repeats nothing, and of two plans made at once the second is made
again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from stablenew_kernel.domain.plan import PlanMemory
from stablenew_kernel.store.errors import Conflict


class PlacesMoved(Conflict):
    """Another run was queued since the plan was made, and moved a place that it stands on: plan again."""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """What is kept of one slot."""

    pack: str
    mode: str
    slot: str
    kept: Any
    """JSON value."""
    changed_at: str
    """UTC, ISO 8601."""


def recall(connection: sqlite3.Connection, pack: str) -> dict[tuple[str, str], Any]:
    """All that is kept for ``pack``, by mode and slot."""
    rows = connection.execute("SELECT mode, slot, kept FROM place WHERE pack = ?", (pack,))
    return {(mode, slot): json.loads(kept) for mode, slot, kept in rows}


def hold(connection: sqlite3.Connection, memory: PlanMemory) -> bool:
    """Whether every place is still where the plan found it."""
    now = recall(connection, memory.pack)
    return all(now.get((place.mode, place.slot)) == place.before for place in memory.slots)


def advance(connection: sqlite3.Connection, memory: PlanMemory, at: str) -> None:
    """Keep what a run leaves behind; call it in the transaction that inserts the run.

    Raises PlacesMoved, and has changed nothing then, if a place is not where the plan found it."""
    if memory.slots and not hold(connection, memory):
        raise PlacesMoved(f"pack {memory.pack}: another run moved its places meanwhile; run it again")
    for place in memory.slots:
        kept = json.dumps(place.after, ensure_ascii=False, separators=(",", ":"))
        connection.execute(
            "INSERT INTO place (pack, mode, slot, kept, changed_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET kept = excluded.kept, changed_at = excluded.changed_at",
            (memory.pack, place.mode, place.slot, kept, at),
        )


def list_places(connection: sqlite3.Connection, pack: str = "", slot: str = "") -> list[PlaceRow]:
    """What is kept, by pack, slot and mode; of one ``pack`` and one ``slot`` where they are given."""
    rows = connection.execute(
        "SELECT pack, mode, slot, kept, changed_at FROM place "
        "WHERE ?1 IN ('', pack) AND ?2 IN ('', slot) ORDER BY pack, slot, mode",
        (pack, slot),
    )
    return [PlaceRow(name, mode, own, json.loads(kept), at) for name, mode, own, kept, at in rows]


def reset(connection: sqlite3.Connection, pack: str = "", slot: str = "") -> int:
    """Forget what :func:`list_places` lists. Returns how many rows that were."""
    return connection.execute(
        "DELETE FROM place WHERE ?1 IN ('', pack) AND ?2 IN ('', slot)", (pack, slot)
    ).rowcount
