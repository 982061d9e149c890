"""What the server is like."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.webui_server.lists import MODELS


@dataclass(slots=True)
class FakeSettings:
    """What the server is like."""

    flavour: str = "a1111"
    """a1111, forge or sdnext."""
    port: int = 0
    auth: str = ""
    """USER:PASSWORD of --api-auth."""
    seconds: float = 0.0
    """For an image."""
    reply_bytes: int = 0
    """Above 0: every image is a PNG of about so many bytes, noise that differs from seed to seed in its first
    row and is encoded once: cheap to serve. For benchmarks."""
    reply_size: tuple[int, int] = (1024, 1024)
    """Its size in pixels, whatever is asked for."""
    traps: frozenset[str] | None = None
    """None: the usual ones of the flavour."""
    also: tuple[str, ...] = ()
    """Traps besides those."""
    without: tuple[str, ...] = ()
    """Traps that are off."""
    missing: tuple[str, ...] = ()
    """Paths that are 404, without a query."""
    models: tuple[str, ...] = MODELS
    detailer: bool = True
    """Whether ADetailer is installed."""
    certificate: str = ""
    """PEM file with key and certificate: speak TLS."""
