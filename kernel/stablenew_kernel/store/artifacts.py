"""Files by content: what agents upload and download. Blocking; meant for worker threads.

Layout: ``ab/cdef...`` (the sha256, its first two digits the folder) for what is complete and checked;
``partial/<sha256>`` for uploads in the making. A file gets its final name only after its digest was checked
and it was synced to disk, so a name in place is a promise.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from stablenew_api.errors import StableNewError
from stablenew_api.files import uncache
from stablenew_kernel.store.errors import StoreError, os_error

log = logging.getLogger(__name__)

HASH_BLOCK = 1 << 20
"""Bytes read at a time when a resumed partial is hashed again."""

STALE_PARTIAL_DAYS = 7
"""An upload that nobody continued for this long is dropped: its job has long been run again."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")


class DigestMismatch(StableNewError):
    """Uploaded bytes are not what their digest or size promised. The partial upload was removed: start again
    at offset 0."""


class UploadConflict(StableNewError):
    """An upload went on at the wrong offset, or a newer upload of the same file took its place."""


class ArtifactNotFound(StableNewError):
    """No complete file with this digest is here."""


class ArtifactStore:
    """The folder of files by content. Thread-safe."""

    def __init__(self, folder: Path, agents: Path | None = None) -> None:
        """``folder`` is made when needed. Files below ``agents`` may be taken over as they are. Does no I/O."""
        self.folder = folder
        self._agents = agents
        self._partials = folder / "partial"
        self._lock = threading.Lock()
        self._uploads: dict[str, Upload] = {}

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those of ``digests`` (lower-case hex sha256) that are not held, in order."""
        return [digest for digest in digests if self._held(digest) is None]

    def path(self, sha256: str) -> Path | None:
        """Where the complete file is, or None."""
        path = self._path(sha256)
        return path if path.is_file() else None

    def size(self, sha256: str) -> int | None:
        """Bytes of the complete file, or None."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, sha256: str) -> BinaryIO:
        """The complete file, for reading. Raises ArtifactNotFound, StoreError."""
        try:
            return self._path(sha256).open("rb")
        except FileNotFoundError:
            raise ArtifactNotFound(f"no file with sha256 {sha256} is in {self.folder}") from None
        except OSError as error:
            raise os_error(error, self._path(sha256)) from error

    def read(self, sha256: str, *, cached: bool = True) -> bytes:
        """The content of the complete file. Without ``cached`` the system is told that nobody will soon read it
        again. Raises ArtifactNotFound, StoreError."""
        with self.open(sha256) as file:
            try:
                data = file.read()
                if not cached:
                    uncache(file.fileno())
                return data
            except OSError as error:
                raise os_error(error, self._path(sha256)) from error

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its sha256. Raises StoreError."""
        digest = hashlib.sha256(data).hexdigest()
        if self.path(digest) is None:
            with self.begin(digest, len(data)) as upload:
                if not upload.complete:
                    upload.append(upload.committed, data[upload.committed :])
                    upload.finish()
        return digest

    def remove(self, sha256: str) -> bool:
        """Forget the complete file; True if there was one. Raises StoreError."""
        try:
            self._path(sha256).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise os_error(error, self._path(sha256)) from error
        return True

    def unused_since(self, before: float) -> list[str]:
        """Digests of the complete files that nobody sent, or was told of, since ``before`` (seconds since the
        epoch). Raises StoreError."""
        found = []
        try:
            for folder in self.folder.iterdir() if self.folder.is_dir() else ():
                if not _PREFIX.fullmatch(folder.name):
                    continue
                with os.scandir(folder) as entries:
                    for entry in entries:
                        digest = folder.name + entry.name
                        if _DIGEST.fullmatch(digest) and entry.stat().st_mtime < before:
                            found.append(digest)
        except FileNotFoundError:
            pass  # removed while we looked: the next look finds the rest
        except OSError as error:
            raise os_error(error, self.folder) from error
        return found

    def remove_unused(self, sha256: str, before: float) -> int | None:
        """Forget the complete file unless somebody sent it, or was told of it, since ``before``; its bytes, or
        None if it stays or is gone already. Raises StoreError."""
        path, aside = self._path(sha256), self._partial(sha256).with_suffix(".gone")
        with self._lock:  # against whoever is told at this moment that it is here
            try:
                if path.stat().st_mtime >= before:
                    return None
                # Aside first: a file that takes its place at this moment is not the one that goes.
                aside.parent.mkdir(parents=True, exist_ok=True)
                path.replace(aside)
                size = aside.stat().st_size
                aside.unlink()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise os_error(error, path) from error
        return size

    def _held(self, sha256: str) -> int | None:
        """Bytes of the complete file, if it is here, for somebody who relies on it from now on; else None."""
        path = self._path(sha256)
        with self._lock:
            try:
                os.utime(path)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise os_error(error, path) from error
        return self.size(sha256)

    def committed(self, sha256: str) -> tuple[int, bool]:
        """(bytes kept so far, whether the file is complete). Resume an upload at that offset."""
        size = self._held(sha256)
        if size is not None:
            return size, True
        try:
            return self._partial(sha256).stat().st_size, False
        except FileNotFoundError:
            return 0, False

    def begin(self, sha256: str, size: int) -> Upload:
        """Start or resume the upload of ``size`` bytes. Go on at ``upload.committed``.

        ``upload.complete`` is already set if the file is here. A second upload of the same file takes the
        place of the first, whose next call gets UploadConflict: the first is most likely a half-open
        connection of an agent that came back. Raises StoreError; ValueError for what is no digest or size.
        """
        if size < 0:
            raise ValueError(f"size {size} is negative")
        if self._held(sha256) is not None:
            return Upload(self, sha256, size, complete=True)
        upload = Upload(self, sha256, size, complete=False)
        with self._lock:
            older = self._uploads.get(sha256)
            self._uploads[sha256] = upload
        upload._open(older)
        return upload

    def take_over(self, sha256: str, size: int, path: str) -> bool:
        """Move a file of an agent on this machine into the store, checked and synced: no copy is made.

        ``path`` is relative to the folder of the agents. False if the file is not there, or cannot be moved
        (another disk, a file that is open on Windows): it has to be uploaded then, as from any other machine.
        Raises DigestMismatch, with the file left where it is; ValueError for a path that leads elsewhere.
        """
        final = self._path(sha256)
        if self._agents is None:
            return False
        try:
            source = (self._agents / path).resolve(strict=True)
            if not source.is_relative_to(self._agents.resolve()) or not source.is_file():
                raise ValueError(f"{path}: no file of an agent")
            with source.open("r+b", buffering=0) as file:
                digest = hashlib.file_digest(file, "sha256")
                if file.tell() != size or digest.hexdigest() != sha256:
                    raise DigestMismatch(f"{path}: not the {size} bytes with sha256 {sha256} that it should be")
                os.fsync(file.fileno())
            _move_into_place(source, final)
        except OSError as error:
            log.info("%s is uploaded instead of taken over: %s", path, error)
            return False
        return True

    def clean_partials(self, older_than_days: float = STALE_PARTIAL_DAYS, *, now: float | None = None) -> int:
        """Remove partial uploads that were not touched for that long; return how many. ``now`` is seconds
        since the epoch, as file systems tell it. Call it at start, before uploads."""
        limit = (time.time() if now is None else now) - older_than_days * 86_400
        removed = 0
        try:
            for entry in list(self._partials.iterdir()) if self._partials.is_dir() else []:
                if entry.stat().st_mtime < limit:
                    entry.unlink(missing_ok=True)
                    removed += 1
        except OSError as error:
            raise os_error(error, self._partials) from error
        return removed

    def _path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):  # it becomes a path: nothing else may pass
            raise ValueError(f"not a lower-case hex sha256: {sha256!r}")
        return self.folder / sha256[:2] / sha256[2:]

    def _partial(self, sha256: str) -> Path:
        self._path(sha256)
        return self._partials / sha256


class Upload:
    """One upload in progress; a context manager. Leaving it early keeps what was written, to resume later.

    Calls may come from changing threads, one at a time.
    """

    def __init__(self, store: ArtifactStore, sha256: str, size: int, *, complete: bool) -> None:
        """Use :meth:`ArtifactStore.begin`."""
        self.sha256 = sha256
        self.size = size
        self.committed = size if complete else 0
        """Bytes kept; the next append must start here."""
        self._store = store
        self._file: FileIO | None = None
        self._complete = complete
        self._superseded = False
        self._digest = hashlib.sha256()
        self._lock = threading.Lock()

    @property
    def complete(self) -> bool:
        """Whether the file is in place, checked."""
        return self._complete

    def append(self, offset: int, data: bytes) -> int:
        """Add ``data`` at ``offset``; return the bytes kept in all.

        Raises UploadConflict unless ``offset`` equals :attr:`committed`; DigestMismatch if there are more
        bytes than promised; StoreError (disk full): the partial is cut back to what it was, and can resume.
        """
        with self._lock:
            file = self._writable()
            if offset != self.committed:
                raise UploadConflict(f"upload of {self.sha256}: expected offset {self.committed}, got {offset}")
            if self.committed + len(data) > self.size:
                self._discard()
                raise DigestMismatch(
                    f"upload of {self.sha256}: more than the {self.size} bytes promised; upload it again"
                )
            try:
                left = memoryview(data)
                while left:  # unbuffered: it is in the system's cache at once, and survives our kill -9
                    left = left[file.write(left) :]
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fileno(), self.committed)
                raise os_error(error, self._store._partial(self.sha256)) from error
            self._digest.update(data)
            self.committed += len(data)
            return self.committed

    def finish(self) -> Path:
        """Check size and digest, sync to disk and put the file in its place; return its path. Idempotent.

        Raises DigestMismatch (the partial is removed), UploadConflict, StoreError.
        """
        with self._lock:
            final = self._store._path(self.sha256)
            if self._complete:
                return final
            file = self._writable()
            if self.committed != self.size or self._digest.hexdigest() != self.sha256:
                got = f"{self.committed} bytes, sha256 {self._digest.hexdigest()}"
                self._discard()
                raise DigestMismatch(f"upload of {self.sha256} ({self.size} bytes): got {got}; upload it again")
            partial = self._store._partial(self.sha256)
            try:
                os.fsync(file.fileno())
                file.close()  # Windows renames closed files only
                _move_into_place(partial, final)
            except OSError as error:
                raise os_error(error, final) from error
            self._complete = True
            self._forget()
            return final

    def close(self) -> None:
        """Stop here. What was written stays and can be resumed. Idempotent."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._forget()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _writable(self) -> FileIO:
        if self._superseded:
            raise UploadConflict(f"upload of {self.sha256}: a newer upload of the same file took over")
        if self._file is None or self._file.closed:
            raise UploadConflict(f"upload of {self.sha256}: already ended")
        return self._file

    def _open(self, older: Upload | None) -> None:
        """Open the partial and take what an earlier upload left into the digest."""
        partial = self._store._partial(self.sha256)
        with self._lock:
            if older is not None:
                older._supersede()
            if self._superseded:  # a third upload came between our entry in the table and this lock
                raise UploadConflict(f"upload of {self.sha256}: a newer upload of the same file took over")
            try:
                partial.parent.mkdir(parents=True, exist_ok=True)
                self._file = partial.open("a+b", buffering=0)
                self._file.seek(0)
                while block := self._file.read(HASH_BLOCK):
                    self._digest.update(block)
                    self.committed += len(block)
                if self.committed > self.size:
                    # Left by somebody who promised another size for this digest: of no use.
                    self._file.truncate(0)
                    self._digest = hashlib.sha256()
                    self.committed = 0
            except OSError as error:
                if self._file is not None:
                    self._file.close()
                self._forget()
                raise os_error(error, partial) from error

    def _supersede(self) -> None:
        with self._lock:  # an append that is under way ends first, so the newer upload sees all its bytes
            self._superseded = True
            if self._file is not None:
                self._file.close()

    def _discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._forget()
        with contextlib.suppress(OSError):
            self._store._partial(self.sha256).unlink()

    def _forget(self) -> None:
        with self._store._lock:
            if self._store._uploads.get(self.sha256) is self:
                del self._store._uploads[self.sha256]


def _move_into_place(source: Path, final: Path) -> None:
    """Give a synced file its final name, for good. Raises OSError."""
    try:
        source.replace(final)  # whoever was first, the content is the same
    except FileNotFoundError:  # the first file of its folder
        final.parent.mkdir(parents=True, exist_ok=True)
        source.replace(final)
        sync_folder(final.parent.parent)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power loss, where the platform can sync a folder (not Windows,
    whose NTFS journals names by itself). Raises OSError."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = [
    "ArtifactNotFound",
    "ArtifactStore",
    "DigestMismatch",
    "StoreError",
    "Upload",
    "UploadConflict",
    "sync_folder",
]
