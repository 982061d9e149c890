"""Packs on the disk: found, watched, brought in. All of it takes time; done in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.files import write_new
from stablenew_client.importing import ImportedPacks, import_packs
from stablenew_client.packfiles import PACK_ENDINGS, find_packs, read_pack
from stablenew_client.packlists import PackLists, packs_of
from stablenew_plugins.desktop.text import _

Stamp = tuple[int, ...]
"""Times and sizes of files: another one means another content."""

FIRST_ROW = "a lighthouse on a cliff at dawn, soft light, detailed\n"
"""What is in a new pack: one that cannot run would greet its maker with an error."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pack on the disk."""

    path: Path
    stamp: Stamp
    """Of the pack, its sidecar and the wildcards that go along."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What there is."""

    packs: Sequence[Found] = ()
    lists: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Packs by the name of the list."""
    problems: Sequence[str] = ()
    """Folders and lists that could not be read."""


def scan(data: DataFolder, folders: Sequence[Path]) -> Scan:
    """All packs in ``folders``, each once, and the lists."""
    problems: list[str] = []
    found: dict[Path, Found] = {}
    shared = _stamp_below(data.wildcards)
    beside: dict[Path, Stamp] = {}
    for folder in folders:
        if not folder.is_dir():
            if folder != data.packs:
                problems.append(_("{folder} is not there any more.").format(folder=folder))
            continue
        try:
            paths = find_packs(folder)
        except UserError as error:
            problems.append(str(error))
            continue
        for path in paths:
            if path.parent not in beside:
                beside[path.parent] = _stamp_below(path.parent / "wildcards")
            own = (*_stamp(path), *_stamp(path.with_suffix(".json")), *beside[path.parent], *shared)
            found.setdefault(path, Found(path, own))
    lists: dict[str, Sequence[Path]] = {}
    try:
        for name, given in PackLists(data).all().items():
            lists[name] = [Path(path).expanduser().absolute() for path in packs_of(given)]
    except UserError as error:
        problems.append(str(error))
    return Scan(list(found.values()), lists, problems)


def _stamp(path: Path) -> Stamp:
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return state.st_mtime_ns, state.st_size


def _stamp_below(folder: Path) -> Stamp:
    """Of all files in ``folder``: how many, how large, the newest. Empty: there is none."""
    count = size = newest = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            changed, length = _stamp(Path(place, name))
            count, size, newest = count + 1, size + length, max(newest, changed)
    return (count, size, newest) if count else ()


def new_pack(folder: Path, name: str) -> Path:
    """Make a pack called ``name`` in ``folder``. Raises UserError for a name that no file can have, or has."""
    stem = name.strip()
    if stem.lower().endswith(PACK_ENDINGS):
        stem = stem[: stem.rfind(".")]
    if not stem or stem.startswith(".") or any(letter in '<>:"/\\|?*' or letter < " " for letter in stem):
        raise UserError(
            _("{name!r} is no name for a pack; use letters, digits, blanks, - and _").format(name=name)
        )
    path = folder / f"{stem}.txt"
    _write(path, FIRST_ROW.encode("utf-8"))
    return path


def bring(
    data: DataFolder, given: str, importer: Callable[[DataFolder, str], ImportedPacks] = import_packs
) -> ImportedPacks:
    """Bring the file or folder ``given`` to the person's own packs: a pack is copied; of files of other
    programs packs are made. Blocking. Raises UserError, with the reason of ``importer`` where that says more.
    """
    path = Path(given).expanduser()
    ending = path.suffix.lower()
    if not path.is_dir() and ending in PACK_ENDINGS and ending != ".txt":
        return ImportedPacks([import_pack(data.packs, given)])
    if data.packs.absolute() in path.absolute().parents:
        return ImportedPacks([import_pack(data.packs, given)])
    try:
        return importer(data, str(path.absolute()))
    except UserError:
        if path.is_dir() or ending not in (".txt", ".json"):
            raise
        return ImportedPacks([import_pack(data.packs, given)])  # these two may be packs of ours as well


def import_pack(folder: Path, given: str) -> Path:
    """Copy the pack ``given``, with its sidecar, into ``folder``. Returns where it is; one that is there
    already, the very same, is taken as it is. Raises UserError."""
    files = read_pack(given)
    if files.path.suffix.lower() not in (*PACK_ENDINGS, ".json"):
        raise UserError(_("{name}: a pack is a .txt, .tsv or .json file").format(name=files.path.name))
    if folder in files.path.parents:
        return files.path
    path = folder / files.path.name
    if path.exists() and path.read_bytes() == files.pack:
        return path
    number = 2
    while path.exists() or path.with_suffix(".json").exists():
        path = folder / f"{files.path.stem}-{number}{files.path.suffix}"
        number += 1
    _write(path, files.pack)
    if files.sidecar and files.sidecar_path != files.path:
        _write(path.with_suffix(".json"), files.sidecar)
    return path


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, content)
    except FileExistsError as error:
        raise UserError(
            _("there is a pack {name} already; take another name").format(name=path.name)
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); check its rights") from error


def reveal(path: Path) -> None:
    """Show ``path`` in the system's file manager. Raises UserError if there is none."""
    try:
        if sys.platform == "win32":
            subprocess.run(["explorer", f"/select,{path}"], check=False)
        elif sys.platform == "darwin":
            subprocess.run(["open", "-R", str(path)], check=True, timeout=10)
        else:
            folder = path if path.is_dir() else path.parent
            subprocess.run(["xdg-open", str(folder)], check=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(_("no file manager could be opened; the pack is {path}").format(path=path)) from error
