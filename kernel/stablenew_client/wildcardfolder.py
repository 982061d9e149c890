"""Wildcard files on disk: a folder of them as a mapping from name to content, read when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock

from stablenew_api.errors import UserError
from stablenew_api.wildcardfiles import ENDINGS, MAX_FILE

MAX_FILES = 20_000
"""Files of a folder that are looked at; more is some other folder, given by mistake."""


class WildcardFolder:
    """The wildcard files in a folder and the folders below it. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = Lock()
        self._read: dict[str, tuple[tuple[int, int], bytes]] = {}
        """Content by name, with the time and size that the file had."""

    def files(self) -> Mapping[str, bytes]:
        """Content by relative name with ``/``. Which files there are is looked up now, what is in them when it
        is asked for; a file that is as it was is not read again. Empty if there is no such folder.

        Raises UserError for a folder that cannot be listed or is far too large; asking for a content does for
        a file that cannot be read.
        """
        if not os.path.lexists(self.root):  # as with most people; to walk costs more
            with self._lock:
                self._read.clear()
            return {}
        found: dict[str, Path] = {}
        seen: set[tuple[int, int]] = set()

        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise UserError(
                    f"wildcards {error.filename}: {error.strerror}; check the folder and its rights"
                )

        for folder, folders, names in os.walk(self.root, onerror=fail, followlinks=True):
            about = os.stat(folder)
            if (about.st_dev, about.st_ino) in seen and about.st_ino:
                folders.clear()  # a link that leads back
                continue
            seen.add((about.st_dev, about.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                if name.lower().endswith(ENDINGS) and not name.startswith("."):
                    path = Path(folder, name)
                    found[path.relative_to(self.root).as_posix()] = path
            if len(found) > MAX_FILES:
                raise UserError(
                    f"wildcards {self.root}: more than {MAX_FILES:,} files; is this the right folder?"
                )
        with self._lock:
            for name in self._read.keys() - found.keys():
                del self._read[name]
        return _Files(self, found)

    def read(self, name: str, path: Path) -> bytes:
        """The content of the file ``name`` at ``path``, or at least of its first :data:`MAX_FILE` bytes."""
        try:
            about = path.stat()
            version = (about.st_mtime_ns, about.st_size)
            with self._lock:
                kept = self._read.get(name)
            if kept is not None and kept[0] == version:
                return kept[1]
            with path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise UserError(
                f"wildcard file {path}: cannot be read ({error.strerror}); check the file and its rights"
            ) from error
        with self._lock:
            self._read[name] = version, data
        return data


class _Files(Mapping[str, bytes]):
    def __init__(self, folder: WildcardFolder, paths: Mapping[str, Path]) -> None:
        self._folder, self._paths = folder, paths

    def __getitem__(self, name: str) -> bytes:
        return self._folder.read(name, self._paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
