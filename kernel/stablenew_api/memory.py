"""Garbage collection for processes that run for weeks."""

from __future__ import annotations

import gc

_RARELY = (50_000, 20, 20)
"""Net new objects before the youngest are looked through, and how often before older ones are."""


def begin_loading() -> None:
    """Let the collector wait while the process loads: what it imports stays, and looking through it again and
    again takes a tenth of the start. Call it first of all, and :func:`collect_rarely` at the end."""
    gc.set_threshold(*_RARELY)


def collect_rarely() -> None:
    """Put what was loaded so far out of the collector's sight, and let it look only now and then.

    By default CPython looks for cycles after every 700 new objects. A process that turns messages into rows
    makes that many in a few jobs, and none of them in cycles: reference counting frees them. Call it once, at
    the end of start-up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_RARELY)
