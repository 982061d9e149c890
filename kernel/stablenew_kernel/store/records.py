"""Commits what the coordinator decided."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import groupby

from stablenew_kernel.domain.link import KeepStages, Record, RecordCancel, RememberNode, Transition
from stablenew_kernel.store import jobs, nodes, stages


def commit(connection: sqlite3.Connection, records: Sequence[Record], at: str) -> None:
    """Write the records of a tick, in order.

    Raises Conflict if memory and disk disagree: the whole change is undone.
    """
    for kind, group in groupby(records, key=type):
        if kind is Transition:
            jobs.apply(connection, [record for record in group if isinstance(record, Transition)], at)
        elif kind is RecordCancel:
            jobs.record_cancels(
                connection, [record for record in group if isinstance(record, RecordCancel)], at
            )
        elif kind is KeepStages:
            stages.keep(connection, [record for record in group if isinstance(record, KeepStages)], at)
        else:
            nodes.remember(connection, [record for record in group if isinstance(record, RememberNode)], at)
