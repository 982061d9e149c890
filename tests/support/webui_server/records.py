"""What is kept of each request, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(slots=True)
class Job:
    """A generating call that was carried out."""

    id: str
    kind: str
    body: Mapping[str, Any]
    arrived: float
    """Monotonic, as all times here; when the first bytes of the request were there."""
    begun: float
    ended: float = 0.0
    answered: float = 0.0
    """After the last byte of the reply was handed to the system."""
    interrupted: bool = False


class Seen(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Any
    at: float
    headers: Mapping[str, str]
