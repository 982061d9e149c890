"""The built-in randomizer strategies: off, fanout, random, sequential, rotate and least_used."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.randomizer import Randomizer
from stablenew_plugins.randomizers.fanout import Fanout
from stablenew_plugins.randomizers.least_used import LeastUsed
from stablenew_plugins.randomizers.off import Off
from stablenew_plugins.randomizers.random import RandomPicks
from stablenew_plugins.randomizers.walk import Rotate, Sequential

__all__ = ["Fanout", "LeastUsed", "Off", "RandomPicks", "Rotate", "Sequential"]


@hookimpl
def stablenew_randomizers() -> Sequence[type[Randomizer]]:
    """The strategies above."""
    return [Off, Fanout, RandomPicks, Sequential, Rotate, LeastUsed]
