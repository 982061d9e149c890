"""Packs made from files of other programs: styles, prompt lists, wildcards, images that carry their settings.

The kernel's program reads them, with the importers that are installed; it needs no kernel that runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_client.packfiles import PACK_ENDINGS

PROGRAM = "stablenew_kernel.cli"
"""Run as ``python -m``: the client knows the kernel by name only."""
SLOWEST = 600.0
"""Seconds for a folder of thousands of images."""


@dataclass(frozen=True, slots=True)
class ImportedPacks:
    """What came of it."""

    packs: Sequence[Path] = ()
    """Packs that were written, or are there already with this very content."""
    wildcards: Sequence[Path] = ()
    """The same of wildcard files."""
    notes: Sequence[str] = ()
    """What got lost or changed on the way, what was left out, what was not written; each with its reason."""


def import_packs(data: DataFolder, given: str) -> ImportedPacks:
    """Make packs from the file or folder ``given``, in the packs of ``data``. Nothing is overwritten.

    Raises UserError where nothing in it can be read, with the reason.
    """
    ask = ("packs", "import", "--json", "--", given)
    try:
        done = subprocess.run(
            [sys.executable, "-m", PROGRAM, "--data", str(data.root), *ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SLOWEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{given}: importing took more than {SLOWEST:.0f} s; import its parts") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.strip().removeprefix("stablenew: error: ")
        reason = reason or f"{given}: the import ended with code {done.returncode}, without a word"
        raise UserError(reason) from None
    imports = answer["imports"]
    files = [Path(path) for one in imports for path in (*one["files"], *one["unchanged"])]
    folder = data.wildcards.absolute()
    wildcards = [path for path in files if folder in path.parents]
    return ImportedPacks(
        packs=[path for path in files if path.suffix.lower() in PACK_ENDINGS and path not in wildcards],
        wildcards=wildcards,
        notes=[
            *(f"{Path(one['source']).name}: {note}" for one in imports for note in one["notes"]),
            *(one["reason"] for one in answer["skipped"]),
            *answer["refused"],
        ],
    )
