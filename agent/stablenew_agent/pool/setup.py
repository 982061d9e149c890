"""What the workers of an agent are told at their start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stablenew_agent.pool.lines import encode
from stablenew_api.jobs import JsonValue


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What every worker of this agent is told at its start."""

    backend: str
    options: Mapping[str, JsonValue]
    version: str
    """Of StableNew: goes into reports."""
    plugin_folder: Path | None = None
    disabled: tuple[str, ...] = ()
    logs: Path | None = None
    """Folder for the workers' logs."""
    keep_after: float | None = None
    """Seconds of work behind which a worker keeps what it has between two stages. None: never."""

    def line(self, slot: int) -> bytes:
        """The ``start`` line. Options may hold a password, so they are not on the command line."""
        return encode(
            {
                "op": "start",
                "backend": self.backend,
                "options": dict(self.options),
                "version": self.version,
                "plugin_folder": str(self.plugin_folder) if self.plugin_folder else "",
                "disabled": list(self.disabled),
                "keep_after": self.keep_after,
                "log": str(self.logs / f"worker-{slot}.jsonl") if self.logs else "",
            }
        )
