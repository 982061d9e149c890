"""Our fonts with characters of the system's fonts, made once and kept in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.core.letters import Faces, Wanted
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme.fonts import FOLDER, copies_of
from stablenew_plugins.desktop.theme.systemfonts import FontFile, font_files, in_order

PROGRAM = "stablenew_plugins.desktop.theme.merge"
FORM = 1
"""Raise it when what :mod:`.merge` makes changes."""
SLOWEST = 180.0
"""Seconds, on a machine that computes images meanwhile."""
KEPT = 4
"""Sets of fonts in the folder."""
MADE = "made.json"
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # exists on Windows only

Request = dict[str, str | list[str]]


class Program:
    """Lets :mod:`.merge` do a request in a process of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def __call__(self, request: Request) -> str:
        """Its answer. Raises UserError."""
        with self._lock:
            if self._stopped:
                raise UserError(_("Making fonts was given up: the window is closed"))
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                creationflags=NO_WINDOW,
            )
        with process:
            try:
                answer, said = process.communicate(json.dumps(request), timeout=SLOWEST)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise UserError(_("Making fonts took more than {n} s").format(n=int(SLOWEST))) from error
        if process.returncode != 0:
            raise UserError(_("Making fonts failed: {reason}").format(reason=said.strip()[-2_000:]))
        return answer

    def stop(self) -> None:
        """Let it be, also what has begun: nobody waits for it any more. From any thread."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()


class Merging:
    """Makes them. In another thread than the one that draws."""

    def __init__(
        self,
        cache: Path,
        files: Callable[[], Sequence[FontFile]] = font_files,
        merge: Callable[[Request], str] | None = None,
        faces: Sequence[Path] | None = None,
    ) -> None:
        """``merge``: what does it; None: a :class:`Program`. ``faces``: fonts that are added to, the first is
        one that the others may take from; None: ours."""
        self._cache, self._files, self._merge = cache, files, merge or Program()
        self._faces = faces if faces is not None else sorted(FOLDER.glob("*.ttf"), key=_regular_first)

    def __call__(self, wanted: Wanted) -> Faces:
        """Fonts with what is ``wanted``, as far as the system has it; those that are there already, if they are
        made of the same. Raises UserError, and OSError where the folder cannot be written."""
        files = in_order(self._files(), wanted.languages)
        folder = self._cache / self._key(wanted, files)
        answer = self._kept(folder)
        if answer is None:
            answer = self._made(wanted, files, folder)
        self._tidy(folder)
        made = {path.stem: folder / path.name for path in self._faces}
        size = sum(path.stat().st_size * copies_of(name) for name, path in made.items())
        return Faces(made, frozenset(answer["letters"]), size)

    def _key(self, wanted: Wanted, files: Sequence[FontFile]) -> str:
        """What tells two sets apart. What is needed and what is likely makes no difference."""
        told = hashlib.sha256(
            repr((FORM, "".join(sorted(wanted.needed | wanted.likely)), wanted.languages)).encode()
        )
        for file in files:
            told.update(
                repr((os.fspath(file.path), file.size, file.changed)).encode("utf-8", "surrogateescape")
            )
        for path in self._faces:
            told.update(hashlib.sha256(path.read_bytes()).digest())
        return told.hexdigest()[:24]

    def _kept(self, folder: Path) -> dict[str, str] | None:
        try:
            answer = json.loads((folder / MADE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = all((folder / path.name).is_file() for path in self._faces)
        return answer if whole and isinstance(answer, dict) and isinstance(answer.get("letters"), str) else None

    def _made(self, wanted: Wanted, files: Sequence[FontFile], folder: Path) -> dict[str, str]:
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            text = self._merge(
                {
                    "folder": os.fspath(partial),
                    "faces": [os.fspath(path) for path in self._faces],
                    "files": [os.fspath(file.path) for file in files],
                    "needed": "".join(sorted(wanted.needed)),
                    "likely": "".join(sorted(wanted.likely)),
                    "languages": list(wanted.languages),
                }
            )
            answer: dict[str, str] = json.loads(text)
            (partial / MADE).write_text(json.dumps(answer), encoding="utf-8")
            if folder.exists() and self._kept(folder) is None:
                shutil.rmtree(folder)
            with suppress(OSError):
                partial.rename(folder)
            if self._kept(folder) is None:  # unless another window has just made the same
                raise UserError(
                    _("{folder}: cannot be written to; see to it that it can").format(folder=folder)
                )
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return answer

    def _tidy(self, used: Path) -> None:
        """Remove the oldest. Fonts that are drawn with are in memory; their files may go. All stays where the
        folder can't be written, or another window does the same just now: what is ``used`` is good all the
        same."""
        with suppress(OSError):
            os.utime(used)
            others = sorted(
                (path for path in self._cache.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
            )
            for path in others[:-KEPT]:
                shutil.rmtree(path, ignore_errors=True)


def _regular_first(path: Path) -> tuple[bool, str]:
    return not path.stem.endswith("UI-Regular"), path.name
