"""Named points at which a test may kill a process, to prove that nothing is lost there.

``STABLENEW_CRASH_AT=kernel.result.after_commit`` kills the process when it first gets there;
``...after_commit:3`` at the third time. Unset (always, outside tests), a point costs one comparison.
"""

from __future__ import annotations

import os

CRASH_POINTS = (
    "kernel.submit.before_commit",
    "kernel.submit.after_commit",
    "kernel.lease.after_commit",
    "kernel.result.before_commit",
    "kernel.result.after_commit",
    "kernel.output.before_write",
    "kernel.output.after_write",
    "kernel.output.after_commit",
    "agent.offer.received",
    "agent.stage.uploaded",
    "agent.result.before_upload",
    "agent.result.after_upload",
    "agent.result.after_outbox",
    "worker.job.received",
    "worker.stage.step",
    "worker.result.before_send",
)
"""Every point there is. The tests go through all of them."""

_wanted, _, _count = os.environ.get("STABLENEW_CRASH_AT", "").partition(":")
_left = int(_count or 1)


def crash_point(name: str) -> None:
    """Kill this process at once, as ``kill -9`` would, if the environment asks for it here."""
    global _left
    if name != _wanted:
        return
    _left -= 1
    if _left <= 0:
        os._exit(137)
