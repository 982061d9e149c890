"""ComfyUI: builds an API graph for each request, sends it, follows it over the websocket, checks the result.

``backend`` is the plugin's class, ``options`` its settings. Pure: ``names`` (A1111's names as ComfyUI's, and
back), ``prompt`` (the dialect), ``inventory`` (what a server has), ``plan`` (a request in ComfyUI's terms),
``graph`` (its nodes), ``events`` (the websocket's messages), ``infotext`` and ``checks``. I/O: ``http`` and
``run``, imported at the first call. See docs/backend-comfyui.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.backend import Backend
from stablenew_plugins.backends.comfyui.backend import ComfyBackend
from stablenew_plugins.backends.comfyui.options import ComfyConfig

__all__ = ["ComfyBackend", "ComfyConfig"]


@hookimpl
def stablenew_backends() -> Sequence[type[Backend]]:
    """The ComfyUI backend."""
    return [ComfyBackend]
