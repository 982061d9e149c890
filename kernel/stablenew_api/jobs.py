"""Jobs: what one is, which states it passes, why it can fail. Frozen values; no I/O.

A job makes one image. Everything random or user-dependent in it was resolved by the kernel at plan time, so
the same :class:`JobSpec` gives the same pixels on any node. Its canonical JSON (:func:`canonical_json`) is
what travels, what is stored and what is hashed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

JsonValue = Any
"""A value that JSON can hold: None, bool, int, finite float, str, list, dict with str keys."""


class JobState(StrEnum):
    """Where a job is. DONE, FAILED and CANCELLED are final (a retry queues the job again as a new attempt)."""

    QUEUED = "queued"
    LEASED = "leased"  # offered to a node, not known to run yet
    RUNNING = "running"
    UNKNOWN = "unknown"  # its node is out of touch; it may still be running there
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job will not change by itself any more."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

    @property
    def active(self) -> bool:
        """Whether a node holds, or may hold, a lease of the job."""
        return self in (JobState.LEASED, JobState.RUNNING, JobState.UNKNOWN)


class FailureKind(StrEnum):
    """Why something stopped; the kind alone decides whether and where it is tried again."""

    BAD_INPUT = "bad_input"  # the same job fails anywhere: never retried
    OUT_OF_MEMORY = "out_of_memory"  # tried again on a node with more VRAM
    BACKEND = "backend"  # backend or worker crashed or refused: tried again
    TIMEOUT = "timeout"  # tried again
    PLUGIN = "plugin"  # a bug in a stage plugin: never retried
    LOST = "lost"  # set by the kernel alone, when a node is given up: tried again


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job or a lease stopped."""

    kind: FailureKind
    message: str
    """One line, for people."""
    detail: str = ""
    """Traceback or backend reply, at most 16 KiB."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file by content, never by path."""

    name: str
    """A label such as ``image.png``."""
    media_type: str
    """IANA media type, e.g. ``image/png``."""
    sha256: str
    """Lower-case hex digest of the bytes."""
    size: int
    """Bytes."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Small facts: ``width``, ``height``, ``seed``, ``pixel_sha256`` (see :mod:`stablenew_api.images`)."""

    def to_json(self) -> dict[str, JsonValue]:
        """The artifact as JSON."""
        return {
            "name": self.name,
            "media_type": self.media_type,
            "sha256": self.sha256,
            "size": self.size,
            "tags": dict(self.tags),
        }

    @staticmethod
    def from_json(data: Mapping[str, JsonValue]) -> Artifact:
        """Inverse of :meth:`to_json`. Raises KeyError if a field is missing."""
        return Artifact(data["name"], data["media_type"], data["sha256"], data["size"], dict(data["tags"]))


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage of a job, resolved: nothing is left to draw, expand or default."""

    name: str
    version: str
    """Version of the stage plugin that the config was validated by."""
    prompt: str
    negative_prompt: str
    seed: int
    """0 to 2**64 - 1."""
    config: Mapping[str, JsonValue]
    """The stage's ``Config``, complete, as JSON."""

    def to_json(self) -> dict[str, JsonValue]:
        """The stage as JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": self.seed,
            "config": dict(self.config),
        }

    @staticmethod
    def from_json(data: Mapping[str, JsonValue]) -> StageSpec:
        """Inverse of :meth:`to_json`."""
        return StageSpec(
            data["name"],
            data["version"],
            data["prompt"],
            data["negative_prompt"],
            data["seed"],
            data["config"],
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What a node must have to run a stage or a job."""

    model: str = ""
    """Checkpoint by name; empty when any will do."""
    vram_bytes: int = 0
    """Estimated peak VRAM; a hint that the kernel raises when a job of this kind ran out of memory."""
    features: frozenset[str] = frozenset()
    """Features by name, see :class:`stablenew_api.backend.Feature`."""
    names: frozenset[str] = frozenset()
    """Names that it uses, ``LIST:NAME`` with a list of :class:`stablenew_api.backend.Capabilities`:
    ``loras:detail``, ``upscalers:4x-UltraSharp``. A node that lists names of this kind must have it. LoRAs of
    the prompts are added by the plan."""

    def __or__(self, other: Needs) -> Needs:
        """Needs of a job that has both: the larger VRAM, all features and names, the first model named."""
        return Needs(
            self.model or other.model,
            max(self.vram_bytes, other.vram_bytes),
            self.features | other.features,
            self.names | other.names,
        )


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One image to make: frozen and complete."""

    stages: tuple[StageSpec, ...]
    needs: Needs = Needs()
    inputs: tuple[Artifact, ...] = ()
    """Images that the first stage starts from, where it does not start from nothing."""
    run_timeout: float = 600.0
    """Seconds a worker may spend on it."""
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)
    """Where it came from: pack, pack version (sha256), row, line, template, choices, preset, image index."""

    def to_json(self) -> dict[str, JsonValue]:
        """The spec as JSON; :func:`canonical_json` of it is what is stored, sent and hashed."""
        return {
            "stages": [stage.to_json() for stage in self.stages],
            "needs": {
                "model": self.needs.model,
                "vram_bytes": self.needs.vram_bytes,
                "features": sorted(self.needs.features),
                **({"names": sorted(self.needs.names)} if self.needs.names else {}),
            },
            "inputs": [artifact.to_json() for artifact in self.inputs],
            "run_timeout": self.run_timeout,
            "provenance": dict(self.provenance),
        }

    @staticmethod
    def from_json(data: Mapping[str, JsonValue]) -> JobSpec:
        """Inverse of :meth:`to_json`."""
        needs = data["needs"]
        return JobSpec(
            stages=tuple(StageSpec.from_json(stage) for stage in data["stages"]),
            needs=Needs(
                needs["model"],
                needs["vram_bytes"],
                frozenset(needs["features"]),
                frozenset(needs.get("names", ())),
            ),
            inputs=tuple(Artifact.from_json(artifact) for artifact in data["inputs"]),
            run_timeout=data["run_timeout"],
            provenance=data["provenance"],
        )

    def canonical(self) -> bytes:
        """The spec as canonical JSON bytes."""
        return canonical_json(self.to_json())

    @property
    def sha256(self) -> str:
        """Content hash of the spec. Two jobs with the same hash make the same image."""
        return hashlib.sha256(self.canonical()).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: JsonValue) -> bytes:
    """One byte string for one value: keys sorted, no white space, UTF-8, no NaN or infinity.

    Raises ValueError for a float that JSON cannot hold and TypeError for anything that is not JSON.
    Python's int is exact, so 64-bit seeds survive.
    """
    return _CANONICAL.encode(value).encode("utf-8")
