"""``stablenew preset``: settings kept under a name."""

from __future__ import annotations

from pathlib import Path

import click

from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic, write_new
from stablenew_client.packfiles import read_pack, read_preset
from stablenew_client.reading import with_files
from stablenew_kernel.cli.context import App, DefaultGroup, find_run, json_option, pass_app
from stablenew_kernel.cli.library import (
    add_shelf_commands,
    change_entry,
    description_option,
    replace_option,
    say_explanation,
    say_saved,
    say_settings,
    sets_option,
    settings_source,
    shown,
    unsets_option,
)
from stablenew_kernel.cli.output import plain, say, say_json, say_table


@click.group("preset", cls=DefaultGroup)
def command() -> None:
    """List, show, compare, save and remove presets.

    Those that came with StableNew can be copied, not changed. What is deleted or replaced goes to the trash.
    """


add_shelf_commands(command, "preset")


@command.command()
@click.argument("name")
@click.option("--explain", is_flag=True, help="Every setting of a run with it, and where each comes from.")
@click.option("--pack", default="", help="With --explain: a pack, whose sidecar lies over the preset.")
@sets_option
@click.option("--like-last", is_flag=True, help="With --explain: what the last run used lies under --set.")
@json_option
@pass_app
def show(
    app: App, name: str, explain: bool, pack: str, sets: tuple[str, ...], like_last: bool, as_json: bool
) -> None:
    """Show the preset NAME, or the file NAME.json: what stands in it.

    With --explain, what a run with it would use: defaults of the stages < profile of the model < preset <
    sidecar of the pack < last run < --set.
    """
    if explain:
        from stablenew_proto.v1 import kernel_pb2 as pb

        preset, file_name, content = read_preset(name)
        run = pb.RunRequest(
            preset=preset,
            preset_name=file_name,
            preset_json=content,
            sets=with_files(sets),
            like_last=like_last,
        )
        if pack:
            files = read_pack(pack)
            run.pack_name, run.sidecar = files.path.name, files.sidecar
            run.sidecar_name = files.sidecar_path.name if files.sidecar else ""
        say_explanation(app, run, as_json)
        return
    if pack or sets or like_last:
        raise UserError("--pack, --set and --like-last say what a run would use: add --explain")
    from stablenew_kernel.domain.presets import parse_settings

    with app.connect_or_start() as kernel:
        answer = kernel.library.get("preset", name)
    entry = answer.entry
    sections = parse_settings(entry.name, answer.content)
    if as_json:
        say_json({**plain(entry), "settings": sections, "warnings": list(answer.warnings)}, indent=1)
        return
    say(f"{entry.name}{', came with StableNew' if entry.shipped else ''}: {entry.path}")
    if entry.description:
        say(entry.description)
    say_settings(sections)
    for warning in answer.warnings:
        say(f"warning: {warning}")


@command.command()
@click.argument("left")
@click.argument("right")
@json_option
@pass_app
def diff(app: App, left: str, right: str, as_json: bool) -> None:
    """What differs between LEFT and RIGHT, setting by setting.

    Each is a preset by name, a .json file, a pack (its sidecar), or an image that StableNew saved.
    """
    sources = settings_source(left), settings_source(right)
    with app.connect_or_start() as kernel:
        answer = kernel.library.diff(*sources)
    found = plain(answer)
    if as_json:
        say_json(found, indent=1)
        return
    rows = [
        (one["name"], *("(not set)" if one[side] is None else shown(one[side]) for side in ("left", "right")))
        for one in found["differences"]
    ]
    if rows:
        say_table(("setting", left, right), rows, keep=("setting",))
    say(f"{len(rows)} different, {found['equal']} equal")


@command.command()
@click.argument("name")
@click.option(
    "--from", "source", metavar="PRESET", help="Start from this preset. Default: NAME, if it is there."
)
@click.option("--from-run", metavar="RUN", help="Start from the settings that this run used.")
@sets_option
@unsets_option
@description_option
@replace_option
@json_option
@pass_app
def save(
    app: App,
    name: str,
    source: str | None,
    from_run: str | None,
    sets: tuple[str, ...],
    unsets: tuple[str, ...],
    description: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Save settings as the preset NAME.

    What is not named by --set and --unset stays as it was, letter by letter.
    """
    if source is not None and from_run is not None:
        raise UserError("--from and --from-run: a preset starts from one of them")
    with app.connect_or_start() as kernel:
        answer = kernel.library.save(
            "preset",
            name,
            entry=source,
            run_id=None if from_run is None else find_run(kernel, from_run),
            sets=with_files(sets),
            unsets=unsets,
            description=description,
            replace=replace,
        )
    say_saved("preset", answer, as_json)


@command.command()
@click.argument("name")
@click.argument("new_name")
@replace_option
@json_option
@pass_app
def copy(app: App, name: str, new_name: str, replace: bool, as_json: bool) -> None:
    """Copy the preset NAME to NEW_NAME, byte by byte."""
    change_entry(app, "preset", "copy", name, new_name, replace=replace, as_json=as_json)


@command.command()
@click.argument("name")
@click.argument("new_name")
@replace_option
@json_option
@pass_app
def rename(app: App, name: str, new_name: str, replace: bool, as_json: bool) -> None:
    """Call the preset NAME NEW_NAME."""
    change_entry(app, "preset", "rename", name, new_name, replace=replace, as_json=as_json)


@command.command()
@click.argument("name")
@click.argument("file", default="", type=click.Path())
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
@json_option
@pass_app
def export(app: App, name: str, file: str, replace: bool, as_json: bool) -> None:
    """Write the preset NAME to FILE (a file or a folder; default: NAME.json here), byte by byte."""
    with app.connect_or_start() as kernel:
        content = kernel.library.get("preset", name).content
    path = Path(file or ".").expanduser().absolute()
    path = path / f"{name}.json" if path.is_dir() else path
    try:
        (write_atomic if replace else write_new)(path, content)
    except FileExistsError as error:
        raise UserError(f"{path}: is there already; choose another FILE, or add --replace") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    if as_json:
        say_json({"name": name, "path": str(path)})
    else:
        say(f"preset {name} is in {path}")


@command.command("import")
@click.argument("file", type=click.Path())
@click.option("--name", default="", help="Under another name than the file's.")
@replace_option
@json_option
@pass_app
def import_(app: App, file: str, name: str, replace: bool, as_json: bool) -> None:
    """Keep FILE, a preset or a sidecar, among the presets, byte by byte."""
    path = Path(file).expanduser().absolute()
    _, file_name, content = read_preset(str(path))
    with app.connect_or_start() as kernel:
        answer = kernel.library.save("preset", name or Path(file_name).stem, content=content, replace=replace)
    say_saved("preset", answer, as_json)
