"""The backend as stages see it in a worker."""

from __future__ import annotations

from stablenew_agent.running import Recorder
from stablenew_api.backend import Capabilities, Feature
from stablenew_api.testing import FakeBackend


class NoDevice:
    """There is no other job."""

    def take(self) -> None: ...

    def release(self) -> None: ...


def test_stages_see_what_the_real_backend_offers() -> None:
    class Little(FakeBackend):
        offers = frozenset({Feature.IMG2IMG})

    little = Little()
    assert Recorder(little, NoDevice(), little.capabilities).offers == {"img2img"}
    full = FakeBackend()
    assert Recorder(full, NoDevice(), full.capabilities).offers == FakeBackend.offers


def test_stages_are_told_what_the_backend_said_last() -> None:
    """Asking it may cost a server a dozen requests."""
    known = Capabilities(frozenset({"img2img"}), models=("m",))
    assert Recorder(FakeBackend(), NoDevice(), lambda: known).capabilities() is known
