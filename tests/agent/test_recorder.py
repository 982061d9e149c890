"""The backend as stages see it in a worker."""

from __future__ import annotations

from stablenew_agent.running import Recorder
from stablenew_api.backend import Feature
from stablenew_api.testing import FakeBackend


def test_stages_see_what_the_real_backend_offers() -> None:
    class Little(FakeBackend):
        offers = frozenset({Feature.IMG2IMG})

    assert Recorder(Little()).offers == {"img2img"}
    assert Recorder(FakeBackend()).offers == FakeBackend.offers
    assert Recorder(Little()).capabilities().features == {"img2img"}
