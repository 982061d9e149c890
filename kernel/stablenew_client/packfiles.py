"""Packs, sidecars, presets and wildcards on the disk of whoever asks for a run. They travel by content."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic
from stablenew_client.reading import read_file
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_proto.options import LARGEST_PACK

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

LARGEST_RUN = 2 * LARGEST_PACK
"""Bytes of all files that one run may bring along."""

PACK_ENDINGS = (".txt", ".tsv")
"""Endings of a pack; tried in this order when the name is given without one. A ``.json`` is a pack only where
none of these stands beside it."""

NO_PACKS = ("wildcards",)
"""Folders whose text files are no packs."""


@dataclass(frozen=True, slots=True)
class PackFiles:
    """A pack and its sidecar as they are on disk."""

    path: Path
    pack: bytes
    sidecar_path: Path
    sidecar: bytes
    """Empty: there is none."""


def read_pack(given: str) -> PackFiles:
    """Read the pack ``given``, and ``NAME.json`` beside it if it exists.

    A ``.json`` that has rows of its own is a pack and its own sidecar. Raises UserError that names the file
    and, for one that is missing, those that look alike.
    """
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise UserError(_missing("pack", given, path, PACK_ENDINGS))
    pack = read_file(f"pack {given}", path, LARGEST_PACK)
    if path.suffix.lower() == ".json":
        _refuse_beside(given, path)
        sidecar_path, sidecar = path, pack
    else:
        sidecar_path = path.with_suffix(".json")
        sidecar = (
            read_file(f"sidecar {sidecar_path}", sidecar_path, LARGEST_PACK) if sidecar_path.exists() else b""
        )
    if len(pack) + len(sidecar) > LARGEST_PACK:
        size = (len(pack) + len(sidecar)) / 2**20
        raise UserError(
            f"pack {given}: {size:.1f} MiB; at most {LARGEST_PACK >> 20} MiB fit, split it into several packs"
        )
    return PackFiles(path, pack, sidecar_path, sidecar)


def _refuse_beside(given: str, path: Path) -> None:
    """Raise UserError if the pack of the sidecar ``path`` stands beside it: that is what runs."""
    for ending in PACK_ENDINGS:
        if (beside := path.with_suffix(ending)).exists():
            raise UserError(
                f"pack {given}: this is a sidecar or a preset; give the .txt or .tsv file beside it: "
                f"{beside.name}"
            )


def find_packs(folder: Path) -> list[Path]:
    """Every pack below ``folder``, by path. Hidden folders and folders of wildcards are passed by.

    Raises UserError if the folder cannot be read."""
    found: list[Path] = []
    try:
        for item in sorted(folder.iterdir()):
            if item.name.startswith("."):
                continue
            if item.is_dir():
                found += find_packs(item) if item.name not in NO_PACKS else []
            elif item.suffix.lower() in PACK_ENDINGS or _is_json_pack(item):
                found.append(item)
    except OSError as error:
        raise UserError(f"folder {folder}: cannot be read ({error.strerror}); check its rights") from error
    return found


def _is_json_pack(path: Path) -> bool:
    if path.suffix.lower() != ".json" or any(path.with_suffix(end).exists() for end in PACK_ENDINGS):
        return False
    try:
        values = json.loads(path.read_bytes())
        return bool(values["pack_data"]["slots"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False  # no pack, so nothing to say about it here


def replace_file(path: Path, old: bytes, new: bytes) -> None:
    """Write ``new`` in the place of ``old``, in one step; a link keeps pointing to its file, with its rights.

    Raises UserError, and changes nothing, if the file is no longer ``old`` or cannot be written. Somebody who
    writes it between that look and the rename loses; no file system we run on can rule that out.
    """
    target = path.resolve()
    try:
        if target.read_bytes() != old:
            raise UserError(
                f"{path}: somebody else changed it meanwhile; nothing was written, look at it again"
            )
        mode = stat.S_IMODE(target.stat().st_mode)
        write_atomic(target, new, mode=mode)
        target.chmod(mode)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); check its rights") from error


def read_preset(given: str) -> tuple[str, str, bytes]:
    """``(name, "", b"")`` for a preset that the kernel knows by name, ``("", file name, content)`` for a file.

    A preset is a file if it ends in ``.json`` or has a folder in front. Raises UserError as :func:`read_pack`.
    """
    if not given.lower().endswith(".json") and Path(given).name == given:
        return given, "", b""
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise UserError(_missing("preset", given, path, (".json",)))
    return "", path.name, read_file(f"preset {given}", path, LARGEST_PACK)


def read_wildcards(pack: Path, folders: Sequence[str], room: int) -> dict[str, bytes]:
    """Wildcard files that go along with a run, by relative name: those of ``folders``, the first before the
    next, then those of the folder ``wildcards`` beside the pack, if there is one. At most ``room`` bytes.

    Raises UserError for a folder that is not there, and for more than fits.
    """
    beside = pack.parent / "wildcards"
    places = [Path(folder).expanduser().absolute() for folder in folders]
    for given, place in zip(folders, places, strict=True):
        if not place.is_dir():
            raise UserError(f"--wildcards {given}: no such folder")
    if beside.is_dir():
        places.append(beside)
    if not places:
        return {}
    found: dict[str, bytes] = {}
    for place in places:
        for name, content in WildcardFolder(place).files().items():
            if name not in found:
                found[name] = content
                room -= len(content) + len(name)
            if room < 0:
                raise UserError(
                    f"wildcards {place}: more than {LARGEST_RUN >> 20} MiB with the pack; put them into the "
                    "folder wildcards of the data folder, where the kernel reads them itself"
                )
    return found


def request_of(files: PackFiles, preset: str = "", wildcards: Sequence[str] = ()) -> pb.RunRequest:
    """What a run of this pack asks for, without any further option, with all files that it takes along. Raises
    UserError for one that cannot be read."""
    from stablenew_proto.v1 import kernel_pb2 as pb

    preset_name, preset_file, preset_json = read_preset(preset) if preset else ("", "", b"")
    room = LARGEST_RUN - len(files.pack) - len(files.sidecar) - len(preset_json)
    wildcard_files = read_wildcards(files.path, wildcards, room)
    return pb.RunRequest(
        pack_name=files.path.name,
        pack=files.pack,
        sidecar=files.sidecar,
        sidecar_name=files.sidecar_path.name if files.sidecar else "",
        preset=preset_name,
        preset_json=preset_json,
        preset_name=preset_file,
        wildcards=[pb.NamedFile(name=name, content=content) for name, content in wildcard_files.items()],
    )


def _missing(kind: str, given: str, path: Path, endings: tuple[str, ...]) -> str:
    """A text for a file that is not there: the same name with its ending or in ``packs/``, else a near miss."""
    shown = Path(given)
    folders = [(path.parent, shown.parent)]
    if shown.name == given:
        folders.append((path.parent / f"{kind}s", Path(f"{kind}s")))
    for folder, label in folders:
        names = _names(folder, endings)
        exact = [path.name + ending for ending in ("", *endings) if path.name + ending in names]
        for name in exact or get_close_matches(path.name, names, n=1):
            return f"{kind} {given}: no such file; did you mean {label / name} ?"
    if not path.parent.is_dir():
        return f"{kind} {given}: no such file, and no folder {shown.parent}"
    return f"{kind} {given}: no such file"


def _names(folder: Path, endings: tuple[str, ...]) -> list[str]:
    try:
        return sorted(item.name for item in folder.iterdir() if item.suffix.lower() in endings)
    except OSError:
        return []
