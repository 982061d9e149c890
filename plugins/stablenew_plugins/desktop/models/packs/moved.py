"""Packs that went away, and what they are called now if they were only renamed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stablenew_plugins.desktop.models.packs.packdisk import Stamp


def renamed(gone: Mapping[Path, Stamp], came: Mapping[Path, Stamp]) -> dict[Path, Path]:
    """Which of the files that are gone came back under another name: one of the same time and size, if it is
    the only one of them on both sides."""
    found: dict[Path, Path] = {}
    for path, stamp in gone.items():
        alike = [other for other, its in came.items() if its[:2] == stamp[:2]]
        twins = [other for other, its in gone.items() if its[:2] == stamp[:2]]
        if stamp and len(alike) == len(twins) == 1 and alike[0].suffix == path.suffix:
            found[path] = alike[0]
    return found
