"""The contract: everything that a plugin may import, and nothing else.

A plugin is a module (or an object) with functions marked ``@hookimpl``. The hooks are in
:mod:`stablenew_api.hookspecs`; each kind of thing a plugin can add has one module with its interface:
:mod:`~stablenew_api.stage`, :mod:`~stablenew_api.backend`, :mod:`~stablenew_api.scheduler`,
:mod:`~stablenew_api.probe`, :mod:`~stablenew_api.report`, :mod:`~stablenew_api.randomizer`,
:mod:`~stablenew_api.learning`, :mod:`~stablenew_api.frontend`.
"""

from pluggy import HookimplMarker

STABLENEW_API = (1, 0)
"""Version of this contract. A plugin that names another major version in ``STABLENEW_API`` is not loaded."""

hookimpl = HookimplMarker("stablenew")
"""Marks a function of a plugin as the implementation of the hook ``stablenew_<name>``."""

__all__ = ["STABLENEW_API", "hookimpl"]
