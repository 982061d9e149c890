"""What is kept of jobs between their stages, so that a job that lost its node goes on where it was.

Found by content: what a job's inputs and first stages are decides what they make, so whoever has the same
beginning goes on from there: the next attempt on another node, a job that was cancelled and is tried again, or
one of another run whose later stages differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from stablenew_api.jobs import JsonValue, canonical_json
from stablenew_api.leases import StageResult
from stablenew_kernel.domain.link import KeptStages, QueuedJob


def prefix_key(spec: Mapping[str, Any], stages: int) -> str:
    """Names what the first ``stages`` stages of ``spec`` (a JobSpec as JSON) make: sha256, hex."""
    inputs = [artifact["sha256"] for artifact in spec["inputs"]]
    return hashlib.sha256(canonical_json({"inputs": inputs, "stages": spec["stages"][:stages]})).hexdigest()


def signed(result: StageResult, node: str) -> StageResult:
    """``result`` with the node and the backend that made each of its stages, so far as that is not there."""
    try:
        report = json.loads(result.report)
        maker = {"node": node, "backend": report.get("backend", {})}
        report["stages"] = [{**maker, **stage} for stage in report["stages"]]
        return replace(result, report=canonical_json(report))
    except (ValueError, KeyError, TypeError, AttributeError):  # a report that is none costs only itself
        return replace(result, report=b"")


class Kept:
    """All that is kept, in memory."""

    def __init__(self, kept: Iterable[KeptStages] = ()) -> None:
        self._by_key: dict[str, KeptStages] = {}
        self._by_job: dict[str, set[str]] = {}
        for one in kept:
            self.put(one)

    def put(self, kept: KeptStages) -> bool:
        """Keep it; False if somebody else's is kept already."""
        if kept.key in self._by_key:
            return False
        self._by_key[kept.key] = kept
        self._by_job.setdefault(kept.job_id, set()).add(kept.key)
        return True

    def has(self, result: StageResult, key: str) -> bool:
        """Whether it is these very images that are kept under ``key``."""
        kept = self._by_key.get(key)
        return kept is not None and kept.result.images == result.images

    def find(self, job: QueuedJob) -> StageResult | None:
        """The furthest that ``job`` can go on from."""
        if not self._by_key or len(job.stages) < 2:
            return None  # the usual case: no spec is read for it
        spec: Mapping[str, JsonValue] = json.loads(job.spec)
        for stages in range(len(job.stages) - 1, 0, -1):
            kept = self._by_key.get(prefix_key(spec, stages))
            if kept is not None:
                return kept.result
        return None

    def forget_job(self, job_id: str) -> bool:
        """Nobody is to go on from what was made for this job; whether there was anything."""
        keys = self._by_job.pop(job_id, None)
        for key in keys or ():
            del self._by_key[key]
        return keys is not None
