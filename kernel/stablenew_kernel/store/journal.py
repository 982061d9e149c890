"""A file of JSON lines that only ever grows. One writer; blocking.

A line counts once its newline is written. What a crash or a full disk left of a last line is put aside to
``<name>.torn`` when the file is opened, never dropped in silence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path

from stablenew_api.jobs import JsonValue
from stablenew_kernel.store.artifacts import sync_folder
from stablenew_kernel.store.errors import StoreError, os_error

log = logging.getLogger(__name__)

BLOCK = 1 << 16
"""Bytes read at a time while looking for the last newline."""

FINGERPRINT = 4096
"""Bytes that tell a file from another one: several lines, each with its time."""


class Journal:
    """The open file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` (made if need be) for appending; recover a torn last line. Raises StoreError."""
        self.path = path
        self.torn_path = path.with_name(path.name + ".torn")
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            self._size = self._recover(self._file)
            sync_folder(path.parent)
        except OSError as error:
            self.close()
            raise os_error(error, path) from error

    def append(self, rows: Iterable[Mapping[str, JsonValue]]) -> None:
        """Add ``rows``, a line each, with one write, and sync them to disk.

        All or none: after an error (StoreError: disk full, ...) the file is what it was.
        """
        data = b"".join(
            json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n"
            for row in rows
        )
        if not data:
            return
        with self._lock:
            file = self._file
            if file is None:
                raise StoreError(f"{self.path}: closed; the kernel is stopping")
            try:
                if file.seek(0, os.SEEK_END) != self._size:
                    # An earlier append failed and could not be undone: no line may start behind its rest.
                    self._size = self._recover(file)
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError as error:
                try:
                    file.truncate(self._size)
                except OSError:
                    log.exception("%s: a part of a line could not be taken back", self.path)
                raise os_error(error, self.path) from error
            self._size += len(data)

    @property
    def size(self) -> int:
        """Bytes of the whole lines in it."""
        with self._lock:
            return self._size

    def fingerprint(self, end: int) -> str:
        """A hash of what stands right before byte ``end``: tells whether the file has become another one.
        Empty if it is not that long. Raises StoreError."""
        if end > self.size:
            return ""
        start = max(end - FINGERPRINT, 0)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return hashlib.sha256(file.read(end - start)).hexdigest()
        except OSError as error:
            raise os_error(error, self.path) from error

    def read(
        self, *, tail: int | None = None, start: int = 0, end: int | None = None
    ) -> Iterator[dict[str, JsonValue]]:
        """The rows, oldest first; ``tail``: only those that start in the last so many bytes; ``start`` and
        ``end``: only those between these bytes, where lines must begin.

        A line that is no JSON object (somebody edited the file) is left out and logged with its place.
        """
        if end is None:
            end = self.size
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                if tail is not None and end > tail:
                    file.seek(end - tail - 1)
                    file.readline()  # up to the end of the line we landed in; all of it if that is a newline
                while file.tell() < end:
                    place = file.tell()
                    row = _object(file.readline())
                    if row is None:
                        log.warning("%s: the line at byte %d is no JSON object; left out", self.path, place)
                    else:
                        yield row
        except OSError as error:
            raise os_error(error, self.path) from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recover(self, file: FileIO) -> int:
        """Make the file end with a whole line; return its size."""
        size = file.seek(0, os.SEEK_END)
        start = size
        rest = b""
        while start > 0 and b"\n" not in rest:
            block = min(BLOCK, start)
            start -= block
            file.seek(start)
            rest = _read_exactly(file, block) + rest
        newline = rest.rfind(b"\n")
        torn = rest[newline + 1 :]
        if not torn:
            return size
        if _object(torn) is not None:  # only its newline is missing: an object ends with its brace
            file.write(b"\n")
            os.fsync(file.fileno())
            log.warning("%s: completed the last line", self.path)
            return size + 1
        with self.torn_path.open("ab") as aside:
            aside.write(torn + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        keep = start + newline + 1
        file.truncate(keep)
        os.fsync(file.fileno())
        log.warning("%s: %d bytes of an unfinished last line moved to %s", self.path, len(torn), self.torn_path)
        return keep


def _read_exactly(file: FileIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _object(line: bytes) -> dict[str, JsonValue] | None:
    try:
        row = json.loads(line)
    except ValueError:  # a UnicodeDecodeError is one too
        return None
    return row if isinstance(row, dict) else None
