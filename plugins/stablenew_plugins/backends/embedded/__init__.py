"""The embedded engine: a backend that needs no GPU, no download and no network. **It is no AI model.**

It draws pictures from numbers: words of the prompt choose the subject, the light and the palette, the seed
chooses the composition, and the settings matter in the way they do with a real model. The same request gives
the same pixels on every platform. See docs/embedded-engine.md.

``backend`` is the plugin's class (light to import), ``tables`` the names it knows, ``prompt`` and ``scene``
read the prompt, ``field`` holds the arithmetic, ``sky`` and ``ground`` paint layers, ``landscape`` and
``studio`` put them together to pictures, ``finish`` applies the settings, ``resample`` enlarges.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.backend import Backend
from stablenew_plugins.backends.embedded.backend import EmbeddedBackend, EmbeddedConfig

__all__ = ["EmbeddedBackend", "EmbeddedConfig"]


@hookimpl
def stablenew_backends() -> Sequence[type[Backend]]:
    """The embedded engine."""
    return [EmbeddedBackend]
