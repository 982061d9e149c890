"""``stablenew backend check URL``: whether a WebUI or a ComfyUI is usable, and what to change if not.

``probe`` asks the server (all the I/O there is), ``evaluate`` makes findings of the answers, ``command`` shows
them.
"""

from __future__ import annotations

from typing import Any

from stablenew_api import hookimpl


@hookimpl
def stablenew_commands(cli: Any) -> None:
    """The group ``backend``, with its command ``check``."""
    from stablenew_plugins.backends.check.command import backend

    cli.add_command(backend)
