"""How programs talk to the kernel: the command line, the desktop and scripts hold a :class:`KernelClient`.

Beside it, what they read from their own disk and send along: :mod:`~stablenew_client.packfiles`,
:mod:`~stablenew_client.packlists`. These do without gRPC, which is loaded when a class below is first named.

::

    from stablenew_client import KernelClient
    from stablenew_api.datafolder import DataFolder

    with KernelClient.connect_or_start(DataFolder.choose()) as kernel:
        print(kernel.status().queue)
"""

from importlib import import_module
from typing import TYPE_CHECKING

import stablenew_proto  # noqa: F401  before grpc: see there

if TYPE_CHECKING:
    from stablenew_client.client import KernelClient, WatchStream
    from stablenew_client.gallery import GalleryClient
    from stablenew_client.library import LibraryClient
    from stablenew_client.packs import PackClient
    from stablenew_client.plain import to_plain

__all__ = ["GalleryClient", "KernelClient", "LibraryClient", "PackClient", "WatchStream", "to_plain"]

_HOMES = {
    "GalleryClient": "gallery",
    "KernelClient": "client",
    "LibraryClient": "library",
    "PackClient": "packs",
    "WatchStream": "client",
    "to_plain": "plain",
}
"""The module of each."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
