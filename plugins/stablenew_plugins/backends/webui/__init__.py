"""The WebUI backend: image generation through the HTTP API of A1111, Forge, reForge and SD.Next.

``backend`` is the plugin's class, ``options`` its settings. ``http`` talks to the server and ``launcher``
starts it; ``inventory`` asks what is there, ``names`` and ``prompts`` find names in it, ``payload`` turns a
request into a body, ``flight`` has it carried out, ``progress`` follows it, ``reply`` checks what came
back. See docs/backend-webui.md."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.backend import Backend
from stablenew_plugins.backends.webui.backend import WebUIBackend
from stablenew_plugins.backends.webui.options import WebUIConfig

__all__ = ["WebUIBackend", "WebUIConfig"]


@hookimpl
def stablenew_backends() -> Sequence[type[Backend]]:
    """The WebUI backend."""
    return [WebUIBackend]
