"""Writing files so that nobody ever sees half of one and nothing is overwritten by accident."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_new(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write ``data`` to ``path``, which must not exist: temp file, flush, then an exclusive link or rename.

    Raises FileExistsError if ``path`` exists; OSError as the system says. ``durable`` syncs to disk first.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        _write(temporary, data, durable)
        if os.name == "nt":
            os.rename(temporary, path)  # fails if the target exists, on Windows
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links (exFAT, some NAS): reserve the name, then replace it
            with path.open("xb"):
                pass
            temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def write_atomic(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Replace our own file ``path`` by ``data`` in one step. Never for a file that belongs to the user.

    ``mode`` is the permission of the new file, less the umask; Windows knows only its write bit.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        _write(temporary, data, durable, mode)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _write(path: Path, data: bytes, durable: bool, mode: int = 0o666) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
