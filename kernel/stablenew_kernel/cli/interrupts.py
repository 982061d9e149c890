"""Ctrl-C, counted: the first asks, the second insists."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupts:
    """While entered, Ctrl-C sets :attr:`asked`, then :attr:`insisted`; only a third raises KeyboardInterrupt.

    So a run that is being submitted is not torn apart: it is queued, seen, and cancelled in good order. And an
    exception that is raised wherever the program happens to be may strike inside gRPC's callbacks, where it is
    lost; a flag is not. Signals reach the main thread alone; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: Any = None
        self._installed = False

    @property
    def asked(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._count >= 1

    @property
    def insisted(self) -> bool:
        """Whether there was a second one."""
        return self._count >= 2

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
            self._installed = True
        return self

    def __exit__(self, *_error: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)
            self._installed = False

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:  # something hangs
            raise KeyboardInterrupt
