"""The backend ``diffusers``: Stable Diffusion 1.x, 2.x and XL in the worker process, without any server.

The package is not called ``diffusers``, so that nobody takes it for the library. See docs/backend-diffusers.md.

``backend`` is the plugin's class and ``config`` its options (light to import), ``tables`` has the samplers,
``prompt`` reads the dialect, ``folders`` finds and hashes files, ``offline`` has what single files lack,
``libs`` imports torch and the rest when they are needed, ``pipelines`` loads and keeps checkpoints,
``textcoder`` encodes prompts, ``sampling`` has the loop, ``memory`` decides where weights wait.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.backend import Backend
from stablenew_plugins.backends.diffusion.backend import DiffusersBackend
from stablenew_plugins.backends.diffusion.config import DiffusersConfig

__all__ = ["DiffusersBackend", "DiffusersConfig"]


@hookimpl
def stablenew_backends() -> Sequence[type[Backend]]:
    """The diffusers backend."""
    return [DiffusersBackend]
