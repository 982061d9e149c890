"""Table ``node``: what is remembered of agents between connections. Functions of the connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stablenew_kernel.domain.link import KnownNode, RememberNode


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node that was here once."""

    known: KnownNode
    info: bytes
    """Its NodeInfo as :func:`save_info` got it; empty if never."""
    last_seen: str
    """UTC, ISO 8601."""


def remember(connection: sqlite3.Connection, nodes: Iterable[RememberNode], at: str) -> None:
    """Insert or replace. ``epoch`` never falls: a late Hello of an old connection must not win after a restart
    either."""
    connection.executemany(
        "INSERT INTO node (node_id, name, epoch, draining, vram, last_seen) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (node_id) DO UPDATE SET name = excluded.name, epoch = max(epoch, excluded.epoch),"
        " draining = excluded.draining, vram = excluded.vram, last_seen = excluded.last_seen",
        [(n.node_id, n.name, n.epoch, n.draining, n.vram_total_bytes, at) for n in nodes],
    )


def save_info(connection: sqlite3.Connection, node_id: str, info: bytes) -> None:
    """Keep the NodeInfo of a remembered node, to show it while it is away."""
    connection.execute("UPDATE node SET info = ? WHERE node_id = ?", (info, node_id))


def touch(connection: sqlite3.Connection, seen: Mapping[str, str]) -> None:
    """Note when nodes were last heard (node id to time)."""
    connection.executemany(
        "UPDATE node SET last_seen = ? WHERE node_id = ?", [(at, node) for node, at in seen.items()]
    )


def nodes(connection: sqlite3.Connection) -> list[NodeRow]:
    """All of them, by name."""
    return [
        NodeRow(KnownNode(node_id, name, epoch, bool(draining), vram), info or b"", last_seen)
        for node_id, name, epoch, draining, vram, info, last_seen in connection.execute(
            "SELECT node_id, name, epoch, draining, vram, info, last_seen FROM node ORDER BY name, node_id"
        )
    ]


def known(connection: sqlite3.Connection) -> list[KnownNode]:
    """All of them, as the coordinator wants them at start."""
    return [row.known for row in nodes(connection)]
