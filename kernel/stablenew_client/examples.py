"""The packs that come with StableNew: found with the kernel, copied where people keep theirs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_api.files import write_new
from stablenew_client.packfiles import find_packs, read_pack


def shipped_packs() -> Path | None:
    """The folder of the packs that come with the kernel; None: none is installed here. Looks for the package
    and runs nothing of it."""
    spec = find_spec("stablenew_kernel")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        package = Path(place)
        # In an installed wheel; in a checkout.
        for folder in (package / "content" / "packs", package.parents[1] / "packs"):
            if folder.is_dir():
                return folder
    return None


def add_examples(to: Path) -> Sequence[Path]:
    """Copy the packs that come with StableNew into the folder ``to``, which is made if need be, and return
    their paths there. A file that is there already stays as it is. Raises UserError if it cannot be done."""
    folder = shipped_packs()
    if folder is None:
        raise UserError("the example packs are not installed here; run on the computer that has the kernel")
    found = []
    try:
        for pack in find_packs(folder):
            files = read_pack(str(pack))
            found.append(to / pack.relative_to(folder))
            _write(found[-1], files.pack)
            if files.sidecar and files.sidecar_path != files.path:
                _write(to / files.sidecar_path.relative_to(folder), files.sidecar)
    except OSError as error:
        raise UserError(f"{to}: cannot be written ({error.strerror}); check its rights") from error
    return found


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_new(path, content)
