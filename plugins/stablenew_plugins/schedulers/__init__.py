"""The built-in schedulers: ``affinity`` (the default) and ``fifo``."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.scheduler import Scheduler
from stablenew_plugins.schedulers.affinity import AffinityScheduler
from stablenew_plugins.schedulers.fifo import FifoScheduler

__all__ = ["AffinityScheduler", "FifoScheduler"]


@hookimpl
def stablenew_schedulers() -> Sequence[type[Scheduler]]:
    """The two schedulers above."""
    return [AffinityScheduler, FifoScheduler]
