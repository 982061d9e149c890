"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import FixedClock, Store

from stablenew_kernel.store.database import Database


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return tmp_path / "stablenew.sqlite3"


@pytest.fixture
def store(database_path: Path) -> Iterator[Store]:
    with Database.open(database_path, FixedClock()) as database:
        yield Store(database)
