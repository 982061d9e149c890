"""Commands that plugins add. Loading every plugin takes longer than all the rest of a short command, so those
whose source names the hook are loaded first, and the others only for a command that is still not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakKeyDictionary

import click

from stablenew_api.datafolder import DataFolder
from stablenew_api.discovery import installed
from stablenew_kernel.cli.host import load_host

HOOK = "stablenew_commands"


@dataclass
class _Asked:
    """Which plugins were asked for their commands: each once."""

    points: set[EntryPoint] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)


_asked: WeakKeyDictionary[click.Group, _Asked] = WeakKeyDictionary()
"""By the group that they were added to."""


def add(cli: click.Group, data: DataFolder, wanted: str) -> None:
    """Let plugins add their commands to ``cli``, all of them unless ``wanted`` is there before. A plugin that
    fails adds nothing and is shown by ``stablenew plugins``."""
    add_if_any(cli, data)
    if wanted not in cli.commands:
        _add(cli, data, list(installed()), with_folder=True)


def add_if_any(cli: click.Group, data: DataFolder) -> None:
    """:func:`add` of the plugins whose source names the hook: help need not load the others.

    One that gets the hook into its module without naming it is missed here; its commands still run.
    """
    points, with_folder = naming(HOOK, data)
    _add(cli, data, points, with_folder=with_folder)


def _add(cli: click.Group, data: DataFolder, points: list[EntryPoint], *, with_folder: bool) -> None:
    asked = _asked.setdefault(cli, _Asked())
    points = [point for point in points if point not in asked.points]
    with_folder = with_folder and data.plugins not in asked.folders
    asked.points.update(points)
    if with_folder:
        asked.folders.add(data.plugins)
    if points or with_folder:
        load_host(data, points, with_folder=with_folder).add_commands(cli)


def naming(hook: str, data: DataFolder) -> tuple[list[EntryPoint], bool]:
    """The installed plugins whose source names ``hook``, and whether one in the folder of ``data`` does."""
    points = [point for point in installed() if _names(hook, _source(point))]
    files = sorted(data.plugins.glob("*.py")) if data.plugins.is_dir() else []
    return points, any(_names(hook, file) for file in files)


def _source(point: EntryPoint) -> Path | None:
    try:
        spec = find_spec(point.module)
    except Exception:  # a parent package of somebody's plugin breaks: `stablenew plugins` says so
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def _names(hook: str, path: Path | None) -> bool:
    try:
        return path is not None and hook.encode("ascii") in path.read_bytes()
    except OSError:
        return False
