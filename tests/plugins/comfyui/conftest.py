"""A fake ComfyUI, and the backend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.support.fake_comfyui import FakeComfyUI

from stablenew_plugins.backends.comfyui import ComfyBackend, ComfyConfig


@pytest.fixture
def fake() -> Iterator[FakeComfyUI]:
    with FakeComfyUI() as server:
        yield server


@pytest.fixture
def connect(fake: FakeComfyUI) -> Iterator[Callable[..., ComfyBackend]]:
    """Makes backends with options; closes them."""
    made: list[ComfyBackend] = []

    def make(**options: object) -> ComfyBackend:
        made.append(ComfyBackend(ComfyConfig.model_validate({"url": fake.url, **options})))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def backend(connect: Callable[..., ComfyBackend]) -> ComfyBackend:
    return connect()
