"""The same job with another seed."""

from __future__ import annotations

import json
from typing import Any

from stablenew_api.jobs import canonical_json

SEEDS = 2**64


def reseeded(spec_json: bytes, seed: int) -> bytes:
    """The job ``spec_json`` with ``seed`` (0 to 2**64 - 1) in its first stage. Stages that had the same seed as
    the first one still have; those that had another one stay as far from it as they were.

    Raises ValueError, KeyError or TypeError if it is no job.
    """
    spec: dict[str, Any] = json.loads(spec_json)
    moved = seed - spec["stages"][0]["seed"]
    for stage in spec["stages"]:
        if stage["config"].get("seed") == stage["seed"]:
            stage["config"]["seed"] = (stage["seed"] + moved) % SEEDS
        stage["seed"] = (stage["seed"] + moved) % SEEDS
    provenance = spec["provenance"]
    if "base_seed" in provenance:
        provenance["base_seed"] = seed
    if "plan_seed" in provenance:
        provenance["plan_seed"] = 0
    return canonical_json(spec)
