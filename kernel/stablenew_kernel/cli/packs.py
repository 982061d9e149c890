"""Reading what a run needs from this machine's disk. Files travel to the kernel by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from stablenew_api.errors import UserError

LARGEST = 3 * 2**20
"""Bytes of a pack with its sidecar and preset: what fits into one message to the kernel (4 MiB) with room."""

PACK_ENDINGS = (".txt", ".tsv")
"""Endings of a pack; tried in this order when the name is given without one."""


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

    Raises UserError that names the file and, for one that is missing, those that look alike.
    """
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise UserError(_missing("pack", given, path, PACK_ENDINGS))
    if path.suffix.lower() == ".json":
        raise UserError(f"pack {given}: this is a sidecar or a preset; give the .txt or .tsv file beside it")
    pack = _read("pack", given, path)
    sidecar_path = path.with_suffix(".json")
    sidecar = _read("sidecar", str(sidecar_path), sidecar_path) if sidecar_path.exists() else b""
    if len(pack) + len(sidecar) > LARGEST:
        size = (len(pack) + len(sidecar)) / 2**20
        raise UserError(
            f"pack {given}: {size:.1f} MiB; at most {LARGEST >> 20} MiB fit, split it into several packs"
        )
    return PackFiles(path, pack, sidecar_path, sidecar)


def read_preset(given: str) -> tuple[str, str, bytes]:
    """``(name, "", b"")`` for a preset that the kernel knows by name, ``("", file name, content)`` for a file.

    A preset is a file if it ends in ``.json`` or has a folder in front. Raises UserError as :func:`read_pack`.
    """
    if not given.lower().endswith(".json") and Path(given).name == given:
        return given, "", b""
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise UserError(_missing("preset", given, path, (".json",)))
    return "", path.name, _read("preset", given, path)


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
    from stablenew_kernel.app.wildcards import WildcardFolder

    found: dict[str, bytes] = {}
    for place in places:
        for name, content in WildcardFolder(place).files().items():
            if name not in found:
                found[name] = content
                room -= len(content) + len(name)
            if room < 0:
                raise UserError(
                    f"wildcards {place}: more than {LARGEST >> 20} MiB with the pack; put them into the folder "
                    "wildcards of the data folder, where the kernel reads them itself"
                )
    return found


def _read(kind: str, given: str, path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UserError(f"{kind} {given}: this is a folder; give a file in it")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(
            f"{kind} {given}: cannot be read ({error.strerror}); check the file and its rights"
        ) from error
    if len(data) > LARGEST:
        raise UserError(f"{kind} {given}: larger than {LARGEST >> 20} MiB; is this the right file?")
    return data


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
