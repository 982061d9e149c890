"""The folder of a run: images, ``manifest.jsonl``, ``run.json``, reports. Blocking; meant for worker threads.

Nothing of anybody else is ever overwritten, and no file with half its content ever has its final name.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stablenew_api.faults import crash_point
from stablenew_api.files import Data, remove_partials, write_atomic, write_new
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.naming import is_safe_name, safe_name
from stablenew_kernel.store.artifacts import sync_folder
from stablenew_kernel.store.errors import StoreError, os_error

MANIFEST = "manifest.jsonl"
"""A line an image, in the order they were saved; rebuilt in plan order when a run is taken up again."""
RUN_JSON = "run.json"
"""What was asked for and how it ended."""


class RunFolder:
    """The folder of one run. Thread-safe; one object a run."""

    def __init__(self, path: Path, run_id: str) -> None:
        """Use :meth:`create` or :meth:`reopen`."""
        self.path = path
        self.run_id = run_id
        self._lock = threading.Lock()

    @staticmethod
    def create(parent: Path, name: str, run_id: str) -> RunFolder:
        """Make a new folder ``parent/name`` (``name-2``, ... if taken).

        Empty: ``run.json`` comes with :meth:`reopen`, off the path of the person who waits for an answer.
        Raises StoreError: read-only, full, no such place.
        """
        base = safe_name(name)
        try:
            for candidate in _candidates(base):
                path = parent / candidate
                with contextlib.suppress(FileExistsError):
                    path.mkdir(parents=True)  # the parent is there but for the first time
                    return RunFolder(path, run_id)
        except OSError as error:
            raise os_error(error, parent / base) from error
        raise AssertionError("unreachable: the candidates never end")

    @staticmethod
    def reopen(path: Path, run_id: str, manifest: Iterable[bytes], run: Mapping[str, JsonValue]) -> RunFolder:
        """Take up a run's folder, new or after a kernel start, with ``run`` as its ``run.json``; make it anew
        if it was removed.

        ``manifest``: the lines that the database has (:func:`stablenew_kernel.store.outputs.manifest`).
        ``manifest.jsonl`` is rebuilt from them if it differs: a crash between a line and its commit leaves one
        too many, a torn write half of one. Raises StoreError.
        """
        folder = RunFolder(path, run_id)
        try:
            path.mkdir(parents=True, exist_ok=True)
            remove_partials(path)
            if _run_id(path) != run_id:
                write_atomic(path / RUN_JSON, _pretty(run))
        except OSError as error:
            raise os_error(error, path) from error
        folder.rewrite_manifest(manifest)
        return folder

    def discard(self) -> None:
        """Remove the folder of a run that was not queued after all, if it is empty."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def save_image(self, name: str, data: Data) -> Path:
        """Write ``data`` as ``name``, synced, and return its path. The name itself is synced by
        :meth:`append_manifest`, once for all images that share it.

        A file of that name with this very content is taken as it is (a crash came between it and its commit);
        with any other content it stays, and ours becomes ``name-2.png`` and so on. Raises StoreError;
        ValueError if ``name`` is no plain file name.
        """
        crash_point("kernel.output.before_write")
        path = self._write(name, data)
        crash_point("kernel.output.after_write")
        return path

    def write_file(self, name: str, data: bytes) -> Path:
        """Save a report's file by the same rules: a :data:`stablenew_api.report.WriteFile`."""
        path = self._write(name, data)
        try:
            sync_folder(self.path)
        except OSError as error:
            raise os_error(error, path) from error
        return path

    def append_manifest(self, lines: Iterable[bytes]) -> None:
        """Add lines (canonical JSON, no newlines) to ``manifest.jsonl`` with one write, synced, and with it the
        names of the images that were saved before.

        Raises StoreError: then none was added.
        """
        data = b"".join(line + b"\n" for line in lines)
        if not data:
            return
        path = self.path / MANIFEST
        with self._lock:
            try:
                with path.open("ab", buffering=0) as file:
                    before = file.seek(0, os.SEEK_END)
                    try:
                        left = memoryview(data)
                        while left:
                            left = left[file.write(left) :]
                        os.fsync(file.fileno())
                        sync_folder(self.path)
                    except OSError:
                        with contextlib.suppress(OSError):  # if not even that works, reopen() puts it right
                            file.truncate(before)
                        raise
            except OSError as error:
                raise os_error(error, path) from error

    def rewrite_manifest(self, lines: Iterable[bytes]) -> None:
        """Make ``manifest.jsonl`` hold exactly ``lines``, in one step, unless it does. Raises StoreError."""
        data = b"".join(line + b"\n" for line in lines)
        path = self.path / MANIFEST
        with self._lock:
            try:
                if _content(path) == (data or None):
                    return
                write_atomic(path, data)
            except OSError as error:
                raise os_error(error, path) from error

    def write_run_json(self, run: Mapping[str, JsonValue]) -> None:
        """Replace ``run.json`` in one step, at the end of the run. Raises StoreError."""
        path = self.path / RUN_JSON
        with self._lock:
            try:
                write_atomic(path, _pretty(run))
            except OSError as error:
                raise os_error(error, path) from error

    def _write(self, name: str, data: Data) -> Path:
        if not is_safe_name(name):
            raise ValueError(f"not a plain file name: {name!r}")
        stem, dot, suffix = name.rpartition(".")
        stem, suffix = (stem, dot + suffix) if stem else (name, "")
        for candidate in _candidates(stem):
            path = self.path / (candidate + suffix)
            try:
                try:
                    write_new(path, data, cached=False)
                except FileExistsError:
                    if not _same(path, data):
                        continue
                    # Written before a crash, maybe not yet synced by name.
            except OSError as error:
                raise os_error(error, path) from error
            return path
        raise AssertionError("unreachable: the candidates never end")


def _candidates(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _same(path: Path, data: Data) -> bool:
    whole = data if isinstance(data, bytes) else b"".join(data)
    return path.is_file() and path.stat().st_size == len(whole) and path.read_bytes() == whole


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None


def _run_id(path: Path) -> str | None:
    """The run whose folder this is, or None."""
    try:
        return str(json.loads((path / RUN_JSON).read_text(encoding="utf-8"))["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pretty(run: Mapping[str, JsonValue]) -> bytes:
    return (json.dumps(run, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


__all__ = ["MANIFEST", "RUN_JSON", "RunFolder", "StoreError"]
