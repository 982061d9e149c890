"""Errors of the store, worded for the person who has to free a disk or mend a permission."""

from __future__ import annotations

import errno
import sqlite3
from os import PathLike

from stablenew_api.errors import StableNewError


class StoreError(StableNewError):
    """Something could not be written or read. One line that names the file and says what to do. Nothing that
    was acknowledged before is lost."""


class Conflict(StableNewError):
    """A change does not fit the state the database has. A bug or a stale view; the whole change was undone."""


class NotFound(StableNewError):
    """No such job or run, or the text given fits more than one."""


_OS_ADVICE: dict[int, str] = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EROFS: "the disk is read-only; choose another folder or make it writable",
    errno.EACCES: "no permission; choose another folder or change its permissions",
    errno.EPERM: "no permission; choose another folder or change its permissions",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.ENOENT: "the folder is gone; bring it back or choose another",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter folder or file name pattern",
    errno.EMFILE: "too many open files; close some programs",
    errno.EIO: "the disk reports an error; check it and its cable",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _OS_ADVICE[errno.EDQUOT] = "your disk quota is used up; free some space"

_SQLITE_ADVICE: dict[str, str] = {
    # By primary result code: https://sqlite.org/rescode.html
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_READONLY": "it cannot be written; check its permissions and those of its folder",
    "SQLITE_PERM": "no permission; check its permissions and those of its folder",
    "SQLITE_CANTOPEN": "it cannot be opened; check that its folder exists and can be written",
    "SQLITE_IOERR": "the disk reports an error; check free space, the disk and its cable",
    "SQLITE_BUSY": "another program keeps it locked; close database browsers and backup tools on it",
    "SQLITE_LOCKED": "another program keeps it locked; close database browsers and backup tools on it",
    "SQLITE_CORRUPT": "it is damaged; stop StableNew, keep a copy, and restore a backup",
    "SQLITE_NOTADB": "it is no SQLite database; move it away or choose another data folder with --data",
    "SQLITE_NOMEM": "out of memory; close some programs",
}


def os_error(error: OSError, path: str | PathLike[str]) -> StoreError:
    """``error`` as a StoreError that names ``path`` and what to do."""
    advice = _OS_ADVICE.get(error.errno or 0)
    return StoreError(f"{path}: {advice}" if advice else f"{path}: {error.strerror or error}")


def sqlite_error(error: sqlite3.Error, path: str | PathLike[str]) -> StoreError | None:
    """``error`` as a StoreError if the disk or the file is to blame; None if the statement is (our bug)."""
    name = getattr(error, "sqlite_errorname", "") or ""
    primary = "_".join(name.split("_")[:2])
    advice = _SQLITE_ADVICE.get(primary)
    return StoreError(f"{path}: {advice} ({error})") if advice else None
