"""The built-in randomizer strategies: ``off``, ``fanout`` and ``random``."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.randomizer import Randomizer
from stablenew_plugins.randomizers.fanout import Fanout
from stablenew_plugins.randomizers.off import Off
from stablenew_plugins.randomizers.random import RandomPicks

__all__ = ["Fanout", "Off", "RandomPicks"]


@hookimpl
def stablenew_randomizers() -> Sequence[type[Randomizer]]:
    """The strategies above."""
    return [Off, Fanout, RandomPicks]
