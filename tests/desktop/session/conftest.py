"""Fixtures of the tests that go all the way: a window, a real kernel, a real agent with the embedded engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from session_kit import TINY, Session, end_kernel


@pytest.fixture(scope="session")
def _warm_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A data folder with a kernel that runs and an agent that is ready: starting them takes longer than most
    tests here, which have one each only if they do something to it."""
    from stablenew_api.datafolder import DataFolder
    from stablenew_client import KernelClient

    data = DataFolder(tmp_path_factory.mktemp("warm") / "data")
    KernelClient.connect_or_start(data).close()
    yield data
    end_kernel(data)


@pytest.fixture
def sessions(gui: Any, own: Any) -> Iterator[Callable[..., Session]]:
    """Opens the desktop in ``gui``, on a data folder; see :class:`Session`. All are closed at the end, before
    the kernel of ``own`` is stopped: a window would start it anew."""
    opened: list[Session] = []

    def start(data: Any, packs: Mapping[str, str] | None = None, **remembered: Any) -> Session:
        session = Session(gui, data, {"tiny": TINY} if packs is None else packs, remembered)
        opened.append(session)
        return session

    yield start
    for session in opened:
        session.close()


@pytest.fixture
def live(sessions: Callable[..., Session], _warm_data: Any) -> Session:
    """The desktop with a kernel that runs, an agent that is ready, and one small pack, which is selected."""
    session = sessions(_warm_data)
    session.until_ready()
    return session


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Any]:
    """An empty data folder of the test's own. The kernel that is started on it is stopped at the end."""
    from stablenew_api.datafolder import DataFolder

    data = DataFolder(tmp_path / "own")
    yield data
    end_kernel(data)
