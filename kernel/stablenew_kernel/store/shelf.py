"""Presets and profiles on disk: one file each in a folder of the person's, some that came with StableNew, and a
trash. Blocking; meant for worker threads.

No file is ever lost: what is deleted or replaced lies in the trash, and nothing is written over without asking.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic, write_new
from stablenew_kernel.domain.naming import is_safe_name
from stablenew_kernel.domain.profiles import ENDING, Profile, Profiles, parse_profile
from stablenew_kernel.domain.words import near
from stablenew_kernel.store.errors import os_error

MAX_NAME = 100
"""Characters of a name: leaves room for the ending and the stamp in the trash on every file system."""

_STAMP = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A file on a shelf."""

    name: str
    """Without its ending."""
    path: Path
    shipped: bool = False
    """Came with StableNew."""
    trashed_at: datetime | None = None

    @property
    def changed_at(self) -> datetime:
        """When it was written; of one in the trash, when it was put there. UTC."""
        return self.trashed_at or datetime.fromtimestamp(self.path.lstat().st_mtime, UTC)


class Shelf:
    """The files of one kind. Thread-safe.

    Every method raises UserError for what the person can mend (an unknown name, a name that is taken) and
    StoreError where the disk refuses.
    """

    def __init__(self, kind: str, ending: str, own: Path, shipped: Sequence[Path] = ()) -> None:
        """``own``: the person's folder; the trash is made beside it. ``shipped``: folders of what came along,
        the first one wins; the person's own wins over all."""
        self.kind = kind
        self.own = own
        self.ending = ending
        self._trash = own.parent / "trash" / own.name
        self._shipped = shipped
        self._folders = [str(folder) for folder in (own, *shipped)]
        self._lock = threading.Lock()

    def files(self) -> dict[str, Shelved]:
        """Everything by name, sorted; folders with such a name, too."""
        found: dict[str, Shelved] = {}
        for folder in (*reversed(self._shipped), self.own):
            for path in self._in(folder):
                name = path.name[: -len(self.ending)]
                found[name] = Shelved(name, path, folder is not self.own)
        return dict(sorted(found.items(), key=lambda item: item[0].casefold()))

    def find(self, name: str) -> Shelved:
        """The file of ``name``."""
        known = self.files()
        if name not in known:
            raise UserError(f"no {self.kind} is called {name!r}; {near(name, known)}")
        return known[name]

    def beside(self, file_name: str) -> Path | None:
        """The file of this name that lies among them, the person's own first; None: there is none."""
        # As texts: a plan asks for it each time, and to put paths together takes longer than to look.
        places = [os.path.join(folder, file_name) for folder in self._folders]
        return next((Path(place) for place in places if os.path.isfile(place)), None)

    def read(self, file: Shelved) -> bytes:
        """Its content."""
        try:
            return file.path.read_bytes()
        except OSError as error:
            reason = "it is a folder" if file.path.is_dir() else error.strerror
            raise UserError(f"{self.kind} {file.path}: {reason}; check the file and its permissions") from error

    def write(self, name: str, data: bytes, now: datetime, *, replace: bool = False) -> Path | None:
        """Keep ``data`` as ``name``. Where there is one, it goes to the trash if ``replace``; returns its path
        there."""
        with self._lock, self._saying(self.own / name):
            old = self._check_free(name, replace)
            self.own.mkdir(parents=True, exist_ok=True)
            if old is None:
                with self._taken(name):
                    write_new(self.own / f"{name}{self.ending}", data)
                return None
            place = self._place_in_trash(old.name, now)
            write_new(place, self.read(old))  # a copy: at each moment there is one under its name
            write_atomic(old.path, data)  # the person's own file: they asked, and the old one is safe
            return place

    def delete(self, name: str, now: datetime) -> Path:
        """Put it into the trash; returns its path there."""
        with self._lock, self._saying(self.own / name):
            place = self._place_in_trash(name, now)
            self._own_file(name, "deleted").path.rename(place)
            return place

    def rename(self, name: str, new_name: str, now: datetime, *, replace: bool = False) -> Path | None:
        """Call it ``new_name``. Returns where the one is now that was called so."""
        with self._lock, self._saying(self.own / name):
            source = self._own_file(name, "renamed")
            if name != new_name and name.casefold() == new_name.casefold():  # the same file, on many disks
                check_name(self.kind, new_name, self.ending)
                source.path.rename(self.own / f"{new_name}{self.ending}")
                return None
        replaced = self.write(new_name, self.read(source), now, replace=replace)
        with self._lock, self._saying(source.path):
            source.path.unlink()
        return replaced

    def trashed(self) -> list[Shelved]:
        """What is in the trash, the newest first."""
        found = []
        for path in self._in(self._trash):
            stamp, _, name = path.name[: -len(self.ending)].partition("_")
            with contextlib.suppress(ValueError):  # a file that somebody else put there
                found.append(Shelved(name, path, False, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)))
        return sorted(found, key=lambda file: file.path.name, reverse=True)

    def restore(self, name: str, new_name: str, now: datetime, *, replace: bool = False) -> Path | None:
        """Take the newest ``name`` out of the trash, as ``new_name``. Returns as :meth:`write`."""
        trashed = self.trashed()
        file = next((file for file in trashed if file.name == name), None)
        if file is None:
            names = {file.name for file in trashed}
            raise UserError(f"no {self.kind} {name!r} is in the trash; {near(name, names)}")
        replaced = self.write(new_name, self.read(file), now, replace=replace)
        with self._saying(file.path):
            file.path.unlink()
        return replaced

    # --- plumbing -------------------------------------------------------------------------------------------

    def _in(self, folder: Path) -> list[Path]:
        if not os.path.isdir(folder):
            return []
        ending = self.ending.casefold()
        with self._saying(folder):
            names = [path for path in folder.iterdir() if path.name.casefold().endswith(ending)]
        return sorted(path for path in names if not path.name.startswith("."))

    def _own_file(self, name: str, what: str) -> Shelved:
        file = self.find(name)
        if file.shipped:
            raise UserError(f"{self.kind} {name} came with StableNew and cannot be {what}; make a copy of it")
        if file.path.is_dir():
            raise UserError(f"{self.kind} {file.path}: it is a folder; move it away by hand")
        return file

    def _check_free(self, name: str, replace: bool) -> Shelved | None:
        """The file that has this name, if it may be replaced. A name in another case is the same: on Windows
        and macOS both would be one file."""
        check_name(self.kind, name, self.ending)
        for file in self.files().values():
            if file.name.casefold() != name.casefold():
                continue
            if file.shipped:
                raise UserError(f"a {self.kind} called {file.name} came with StableNew; choose another name")
            if not replace or file.path.is_dir():
                raise UserError(f"there is a {self.kind} called {file.name} already; {self._ways_out(file)}")
            return file
        return None

    @staticmethod
    def _ways_out(file: Shelved) -> str:
        if file.path.is_dir():
            return "it is a folder: move it away by hand, or choose another name"
        return "choose another name, or add --replace (the old one goes to the trash)"

    @contextlib.contextmanager
    def _taken(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:  # somebody was faster than we
            raise UserError(f"there is a {self.kind} called {name} already; choose another name") from error

    def _place_in_trash(self, name: str, now: datetime) -> Path:
        self._trash.mkdir(parents=True, exist_ok=True)
        micros = now.astimezone(UTC)
        while (path := self._trash / f"{micros.strftime(_STAMP)}_{name}{self.ending}").exists():
            micros = micros.replace(microsecond=(micros.microsecond + 1) % 1_000_000)
        return path

    @contextlib.contextmanager
    def _saying(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise os_error(error, path) from error


def check_name(kind: str, name: str, ending: str) -> None:
    """Raise UserError unless every platform takes ``name`` with its ending as a file name."""
    if name.casefold().endswith((".json", ending)):
        raise UserError(f"{kind} {name!r}: write the name without {ending}")
    if len(name) > MAX_NAME:
        raise UserError(f"{kind} {name[:20]!r}...: a name has at most {MAX_NAME} characters, not {len(name)}")
    if not name or name != name.strip() or not is_safe_name(name) or not is_safe_name(f"{name}{ending}"):
        raise UserError(
            f"{kind} {name!r}: no file can be called so on every system; a name has none of "
            '/ \\ : * ? " < > |, no dot or blank at its ends, and is no device (con, nul, com1, ...)'
        )


class ProfileFolder:
    """The profiles of a data folder, parsed. Thread-safe; a file is parsed again only when it has changed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._read: tuple[tuple[tuple[str, int, int], ...], Profiles] = ((), Profiles())
        self._parsed: dict[tuple[str, int, int], Profile | str] = {}

    def profiles(self) -> Profiles:
        """All of them, the broken ones with their reason. The same object while nothing has changed."""
        found: dict[tuple[str, int, int], Shelved] = {}
        for file in self._shelf.files().values():
            with contextlib.suppress(FileNotFoundError):  # gone since we looked
                stat = file.path.stat()
                found[(file.path.name, stat.st_mtime_ns, stat.st_size)] = file
        stamp, profiles = self._read
        if tuple(found) == stamp:
            return profiles
        parsed = {key: self._parsed.get(key) or self._parse(file) for key, file in found.items()}
        profiles = Profiles(
            tuple(profile for profile in parsed.values() if isinstance(profile, Profile)),
            {key[0]: problem for key, problem in parsed.items() if isinstance(problem, str)},
        )
        self._parsed, self._read = parsed, (tuple(found), profiles)
        return profiles

    def _parse(self, file: Shelved) -> Profile | str:
        try:
            return parse_profile(file.path.name, self._shelf.read(file))
        except UserError as error:
            return str(error)


def preset_shelf(own: Path, shipped: Sequence[Path]) -> Shelf:
    """The presets; ``shipped`` are the folders in which those that came along may lie."""
    return Shelf("preset", ".json", own, shipped)


def profile_shelf(own: Path) -> Shelf:
    """The profiles."""
    return Shelf("profile", ENDING, own)
