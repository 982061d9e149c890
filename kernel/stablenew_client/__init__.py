"""How programs talk to the kernel: the command line, the desktop and scripts hold a :class:`KernelClient`.

::

    from stablenew_client import KernelClient
    from stablenew_api.datafolder import DataFolder

    with KernelClient.connect_or_start(DataFolder.choose()) as kernel:
        print(kernel.status().queue)
"""

import stablenew_proto  # noqa: F401  before grpc: see there
from stablenew_client.client import KernelClient, WatchStream
from stablenew_client.gallery import GalleryClient
from stablenew_client.library import LibraryClient
from stablenew_client.packs import PackClient
from stablenew_client.plain import to_plain

__all__ = ["GalleryClient", "KernelClient", "LibraryClient", "PackClient", "WatchStream", "to_plain"]
