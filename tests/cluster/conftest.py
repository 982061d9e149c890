"""Fixtures of the tests with real processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import House, images_of


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty house."""
    house = House(tmp_path)
    try:
        yield house
    finally:
        house.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[int, bytes]]:
    """What the test run gives when nothing happens: seed and pixels by place."""
    house = House(tmp_path_factory.mktemp("undisturbed"))
    try:
        client = house.start_kernel()
        house.start_agent("calm")
        house.wait_online(client, 1)
        run = house.wait_run(client.submit(house.request()).run_id)
        assert (run.state, run.done) == ("done", 3)
        return images_of(run)
    finally:
        house.close()
