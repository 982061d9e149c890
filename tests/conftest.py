"""Shared by all tests: hypothesis profiles, and a data folder that is never the person's own."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stablenew_api.datafolder import DATA_VARIABLE, DataFolder

# A shared machine makes single examples slow without any fault of the code: pytest-timeout is the limit.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own; pytest looks for them here only."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="desktop: what is drawn now is how it shall look from now on",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: one that begins last keeps everybody waiting. xdist deals the list out in even pieces,
    and each worker gets its share of the long ones."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if any(item.get_closest_marker(name) for name in ("cluster", "slow"))]
    short = [item for item in items if not any(item.get_closest_marker(name) for name in ("cluster", "slow"))]
    items[:] = [
        item
        for n in range(workers)
        for group in (long, short)
        for item in group[len(group) * n // workers : len(group) * (n + 1) // workers]
    ]


def pytest_collection_finish() -> None:
    """Thousands of tests are on the heap to stay. Without this each full collection looks through all of them,
    also in the middle of a test that takes the time of a parser."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever forgets to name a data folder gets an empty one."""
    root = tmp_path_factory.getbasetemp() / "default-data"
    monkeypatch.setenv(DATA_VARIABLE, str(root))


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A fresh data folder, made."""
    folder = DataFolder(tmp_path / "data")
    folder.create()
    return folder
