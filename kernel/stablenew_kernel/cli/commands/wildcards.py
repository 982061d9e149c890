"""``stablenew wildcards``: which wildcards there are, what is in them, and what is wrong with their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.context import App, DefaultGroup, json_option, pass_app
from stablenew_kernel.cli.output import say, say_json, say_table, warn

F = TypeVar("F", bound=Callable[..., Any])


def _folders_option(command: F) -> F:
    return click.option(
        "--wildcards",
        "folders",
        multiple=True,
        type=click.Path(),
        metavar="DIR",
        help="This folder of wildcard files, too, and before the data folder's own. May be repeated.",
    )(command)


@click.group("wildcards", cls=DefaultGroup)
def command() -> None:
    """Look at the wildcards: files in the folder `wildcards` of the data folder."""


@command.command("list")
@_folders_option
@json_option
@pass_app
def list_(app: App, folders: tuple[str, ...], as_json: bool) -> None:
    """List every wildcard with the number of its values, and what is wrong in the files.

    Those that presets and sidecars define are not listed.
    """
    wildcards = _read(app, folders)
    rows = []
    for name in wildcards.names():
        (one,) = wildcards.find(name)
        rows.append((name, len(one.values), one.source))
    problems = wildcards.problems()
    if as_json:
        say_json(
            {
                "wildcards": [{"name": name, "values": values, "file": file} for name, values, file in rows],
                "problems": [
                    {"file": item.file, "line": item.line, "reason": item.reason, "fix": item.fix}
                    for item in problems
                ],
            },
            indent=1,
        )
    else:
        if rows:
            say_table(("wildcard", "values", "file"), rows, keep=("wildcard", "values"))
        else:
            say(f"no wildcards; put .txt, .yaml or .json files into {app.data.wildcards}")
        for item in problems:
            warn(str(item))


@command.command("show")
@click.argument("name")
@click.option("--count", is_flag=True, help="Print only how many texts it can become.")
@_folders_option
@json_option
@pass_app
def show(app: App, name: str, count: bool, folders: tuple[str, ...], as_json: bool) -> None:
    """Show the values of a wildcard, and how many texts it can become with all that is in them.

    NAME is given with or without its underscores; * stands for any characters.
    """
    from stablenew_kernel.domain.randomizer.compiler import Compiler, Definitions
    from stablenew_kernel.domain.randomizer.space import SpaceError

    name = name.removeprefix("__").removesuffix("__")
    layers = _layers(app, folders)
    compiler = Compiler(Definitions({}, {}, layers))
    try:
        (slot,) = compiler.compile([(f"__{name}__", "")]).slots
    except SpaceError as error:
        raise UserError(f"{error.finding.reason}; {error.finding.fix}") from error
    except ValueError as error:
        raise UserError(f"{name!r} is not the name of a wildcard; see: stablenew wildcards") from error
    size = slot.part.size
    values = [(value, one) for one in compiler.wildcards.find(name) for value in one.values]
    if as_json:
        found = [
            {"text": value.text, "weight": value.weight, "file": one.source, "line": value.line}
            for value, one in values
        ]
        # A number that any JSON reader keeps exactly is a text, once it is large.
        say_json({"name": name, "count": size if size < 2**53 else str(size), "values": found}, indent=1)
    elif count:
        say(str(size))
    else:
        for value, _ in values:
            say(value.text if value.weight == 1 else f"{value.weight:g}::{value.text}")
        say()
        say(f"{len(values):,} values, {size:,} texts")


def _layers(app: App, folders: tuple[str, ...]) -> list[Any]:
    from stablenew_client.wildcardfolder import WildcardFolder

    places = [Path(folder).expanduser().absolute() for folder in folders]
    for given, place in zip(folders, places, strict=True):
        if not place.is_dir():
            raise UserError(f"--wildcards {given}: no such folder")
    return [WildcardFolder(place).files() for place in (*places, app.data.wildcards)]


def _read(app: App, folders: tuple[str, ...]) -> Any:
    from stablenew_kernel.domain.randomizer.wildcards import Wildcards

    return Wildcards({}, _layers(app, folders))
