"""Garbage collection for processes that run for weeks."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Put what was loaded so far out of the collector's sight, and let it look only now and then.

    By default CPython looks for cycles after every 700 new objects. A process that turns messages into rows
    makes that many in a few jobs, and none of them in cycles: reference counting frees them. Call it once, at
    the end of start-up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
