"""Commands that plugins add. Loading every plugin takes longer than all the rest of a short command, so it
happens only when a command is asked for that is not ours, or when a plugin seems to add one."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import click

from stablenew_api.datafolder import DataFolder
from stablenew_api.discovery import GROUP
from stablenew_kernel.cli.host import load_host

HOOK = "stablenew_commands"

_asked: set[int] = set()


def add(cli: click.Group, data: DataFolder) -> None:
    """Load all plugins and let them add their commands to ``cli``, once. A plugin that fails adds nothing and
    is shown by ``stablenew plugins``."""
    if id(cli) not in _asked:
        _asked.add(id(cli))
        load_host(data).add_commands(cli)


def add_if_any(cli: click.Group, data: DataFolder) -> None:
    """:func:`add`, if the source of a plugin names the hook: help need not load the others.

    One that gets the hook into its module without naming it is missed here; its commands still run.
    """
    if any(_names_hook(path) for path in _sources(data)):
        add(cli, data)


def _sources(data: DataFolder) -> list[Path]:
    sources = sorted(data.plugins.glob("*.py")) if data.plugins.is_dir() else []
    for point in entry_points(group=GROUP):
        try:
            spec = find_spec(point.module)
        except Exception:  # noqa: S112  a parent package of somebody's plugin breaks: `stablenew plugins` says so
            continue
        if spec is not None and spec.origin is not None:
            sources.append(Path(spec.origin))
    return sources


def _names_hook(path: Path) -> bool:
    try:
        return HOOK.encode("ascii") in path.read_bytes()
    except OSError:
        return False
