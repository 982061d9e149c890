"""Test doubles and contract checks for plugin authors; used by StableNew's own tests first.

A plugin's test needs nothing but pytest::

    from stablenew_api.testing import check_stage, host_of
    import my_plugin

    def test_contract():
        check_stage(my_plugin.Invert)

    def test_loads():
        (plugin,) = host_of(my_plugin).plugins
        assert plugin.state == "active", plugin.reason

The checks raise AssertionError with a text that says which rule is broken. They draw nothing at random: a check
that fails once fails always.

Import from this package: which of its modules has what may change. There is one for each kind of thing that a
plugin brings, with the double and the check of that kind; ``rules`` has what several checks ask.
"""

from __future__ import annotations

from stablenew_api.testing.backends import FakeBackend, FakeBackendConfig, check_backend
from stablenew_api.testing.cancel import ManualCancel
from stablenew_api.testing.clock import FakeClock
from stablenew_api.testing.host import host_of
from stablenew_api.testing.images import sample_image
from stablenew_api.testing.importers import check_importer
from stablenew_api.testing.probes import FakeProbe
from stablenew_api.testing.randomizers import check_randomizer
from stablenew_api.testing.schedulers import check_scheduler
from stablenew_api.testing.stages import FakeStageContext, check_stage

__all__ = [
    "FakeBackend",
    "FakeBackendConfig",
    "FakeClock",
    "FakeProbe",
    "FakeStageContext",
    "ManualCancel",
    "check_backend",
    "check_importer",
    "check_randomizer",
    "check_scheduler",
    "check_stage",
    "host_of",
    "sample_image",
]
