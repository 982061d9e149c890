"""What a pool tells: how far jobs are, how they ended, what its workers found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stablenew_api.jobs import Artifact, Failure
from stablenew_api.leases import LeaseKey, LeaseState


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A complete file that a worker wrote."""

    path: Path
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """How a job ended in its worker."""

    state: LeaseState
    files: tuple[OutputFile, ...] = ()
    failure: Failure | None = None
    report: bytes = b""
    """JSON, as the worker wrote it."""
    run_time: float = 0.0
    peak_vram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StageFiles:
    """What a worker has between two stages."""

    stages: int
    """How many are done."""
    files: tuple[OutputFile, ...]
    report: bytes


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a worker found when it started: what this node can run."""

    stages: tuple[tuple[str, str], ...]
    """(name, version)."""
    identity: tuple[str, str, bool, str] | None
    """Name, version, stand-in, note of the backend. None: it did not answer."""
    capabilities: Mapping[str, Sequence[str]]
    problem: str = ""
    """Why the backend did not answer."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far a job is; see JobProgress."""

    stage: str
    stage_index: int
    stage_count: int
    step: int
    steps: int
    fraction: float
    eta: float
    preview_jpeg: bytes = b""


class PoolEvents(Protocol):
    """Who hears what happens. All calls are on the loop."""

    def started(self, lease: LeaseKey) -> None:
        """A worker has begun with the job. Said again if it has to begin anew."""

    def progressed(self, lease: LeaseKey, report: StepReport) -> None:
        """A job moved on."""

    def stage_made(self, lease: LeaseKey, made: StageFiles) -> None:
        """A job is done with some of its stages, and goes on."""

    def ended(self, lease: LeaseKey, result: WorkerResult) -> None:
        """A job is over, and its worker has gone on to the next one if there was one."""

    def described(self, inventory: Inventory) -> None:
        """A worker told what this node can run."""

    def health_changed(self) -> None:
        """``WorkerPool.problem`` changed."""
