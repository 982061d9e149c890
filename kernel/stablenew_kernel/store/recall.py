"""What runs used, recalled. The settings of a run stand in its ``request``, which it keeps for ever (a cleared
run, too), and in its ``run.json``. Functions of the connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from stablenew_kernel.store import locate, runs

SETTINGS = "settings"
"""Key in a run's request. A run without it (a replay, or one of an older version) is not recalled."""


def settings_of(connection: sqlite3.Connection, run_id: str) -> Mapping[str, Any] | None:
    """The settings of the run that ``run_id`` begins; None if it has none. Raises NotFound."""
    request = runs.get(connection, locate.run(connection, run_id)).request
    settings: Mapping[str, Any] | None = json.loads(request).get(SETTINGS)
    return settings


def last_settings(connection: sqlite3.Connection) -> Mapping[str, Any] | None:
    """The settings of the newest run that has some; None if there is none."""
    for (request,) in connection.execute("SELECT request FROM run ORDER BY seq DESC"):
        if settings := json.loads(request).get(SETTINGS):
            return settings  # type: ignore[no-any-return]
    return None
