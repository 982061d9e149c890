"""Which run the window speaks of."""

from __future__ import annotations

from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_proto.v1 import kernel_pb2


def a_run(name: str, minute: int, state: str = "running", active: int = 0) -> kernel_pb2.Run:
    at = f"2026-11-27T20:{minute:02d}:00+00:00"
    return kernel_pb2.Run(run_id=name, name=name, state=state, created_at=at, active=active)


def test_it_is_the_one_that_is_being_made_else_the_newest_that_is_not_over() -> None:
    state = KernelState()
    assert state.current is None
    state.news(kernel_pb2.WatchResponse(runs=[a_run("old", 1), a_run("new", 2), a_run("over", 3, "done")]))
    assert state.current is not None
    assert state.current.name == "new"
    state.news(kernel_pb2.WatchResponse(runs=[a_run("old", 1, active=2)]))
    assert state.current.name == "old"
