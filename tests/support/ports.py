"""Ports that nobody listens on."""

from __future__ import annotations

import os
import socket
from itertools import count

FIRST, LAST = 20_000, 32_000
"""Below what systems give away by themselves: between the choice of a port and its use nobody else gets it."""

_next = count(os.getpid() * 37)


def free_port() -> int:
    """A port of loopback that is free now, and that no other test process is about to choose."""
    for number in _next:
        port = FIRST + number % (LAST - FIRST)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
        return port
    raise AssertionError("unreachable: the numbers have no end")
