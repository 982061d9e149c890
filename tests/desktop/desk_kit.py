"""What tests of view-models work with: a desk whose clock, background and kernel do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from stablenew_api.datafolder import DataFolder
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.remembered import Remembered
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.core.toasts import Toasts


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Inline:
    """A background that does its work at once, or, with ``held``, when it is told to."""

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[tuple[Hashable, Callable[[], None]]] = []

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        key: Hashable = None,
    ) -> None:
        """As :class:`~stablenew_plugins.desktop.models.core.background.Background` says."""

        def job() -> None:
            try:
                result = work()
            except Exception as error:
                failed(error)
            else:
                done(result)

        if not self.held:
            job()
            return
        if key is not None:
            self.waiting = [(other, kept) for other, kept in self.waiting if other != key]
        self.waiting.append((key, job))

    def release(self) -> None:
        """Do what waits, in order."""
        waiting, self.waiting = self.waiting, []
        for _key, job in waiting:
            job()


def make_desk(tmp_path: Path, kernel: Any = None) -> Desk:
    """A desk on ``tmp_path``. ``kernel``: what answers as a KernelClient; None: none is there."""
    data = DataFolder(tmp_path)
    clock = Clock()
    state = KernelState()
    desk = Desk(
        data=data,
        background=Inline(),
        clock=clock,
        state=state,
        toasts=Toasts(clock),
        remembered=Remembered.of(data),
    )
    if kernel is not None:
        from stablenew_proto.v1 import kernel_pb2 as pb

        state.connected(kernel, pb.GetStatusResponse())
    return desk
