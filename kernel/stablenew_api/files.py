"""Writing files so that nobody ever sees half of one and nothing is overwritten by accident."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

Data = bytes | Sequence[bytes | memoryview]
"""Content of a file: as it is, or in pieces one after the other, which need not be joined first."""

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)
"""Names of :func:`_partial`."""


def write_new(path: Path, data: Data, *, durable: bool = True, cached: bool = True) -> None:
    """Write ``data`` to ``path``, which must not exist: temp file, flush, then an exclusive link or rename.

    Raises FileExistsError if ``path`` exists; OSError as the system says. ``durable`` syncs to disk first.
    Without ``cached`` the system is then told that it need not keep the file in memory (:func:`uncache`).
    """
    temporary = _partial(path)
    try:
        _write(temporary, data, durable, cached=cached)
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
    temporary = _partial(path)
    try:
        _write(temporary, data, durable, mode)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def remove_partials(folder: Path) -> None:
    """Remove what a process that was killed in the middle of :func:`write_new` or :func:`write_atomic` left in
    ``folder``. For a folder of our own that nobody writes into now. Raises OSError as the system says."""
    for path in folder.iterdir():
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)


def uncache(descriptor: int) -> None:
    """Tell the system that nobody will soon read this open file again, where there is a way to tell (Linux).

    For what is written once, in bulk, and synced: kept in memory it would push out what is read again and
    again, such as the models of a backend. Only what has reached the disk is let go of.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a hint; some file systems take none
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _write(path: Path, data: Data, durable: bool, mode: int = 0o666, *, cached: bool = True) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        if durable or not cached:
            file.flush()
        if durable:
            os.fsync(file.fileno())
        if not cached:
            uncache(file.fileno())
