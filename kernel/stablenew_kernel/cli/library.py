"""What the commands on presets and on profiles share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.output import plain, say, say_json, say_table, tell, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stablenew_proto.v1 import kernel_pb2
    from stablenew_proto.v1 import library_pb2 as pb

F = TypeVar("F", bound=Callable[..., Any])

replace_option = click.option(
    "--replace", is_flag=True, help="Write over one of this name; that one goes to the trash."
)
sets_option = click.option(
    "--set", "sets", multiple=True, metavar="STAGE.KEY=VALUE", help="Change a setting. May be repeated."
)
unsets_option = click.option(
    "--unset", "unsets", multiple=True, metavar="STAGE.KEY", help="Take a setting out. May be repeated."
)
description_option = click.option("--description", help="A line on what it is for.")


def add_shelf_commands(group: click.Group, kind: str) -> None:
    """Give ``group`` the commands that are the same for presets and profiles: list, delete and restore."""

    @group.command("list", help=f"List {kind}s, and files that cannot be read, with the reason.")
    @click.option("--trash", is_flag=True, help="Those in the trash instead.")
    @json_option
    @pass_app
    def list_(app: App, trash: bool, as_json: bool) -> None:
        _list_entries(app, kind, trash, as_json)

    @group.command(help=f"Put the {kind} NAME into the trash.")
    @click.argument("name")
    @json_option
    @pass_app
    def delete(app: App, name: str, as_json: bool) -> None:
        change_entry(app, kind, "delete", name, as_json=as_json)

    @group.command(help=f"Take the {kind} NAME out of the trash: the one that was put there last.")
    @click.argument("name")
    @click.option("--as", "new_name", default="", metavar="NAME", help="Under another name.")
    @replace_option
    @json_option
    @pass_app
    def restore(app: App, name: str, new_name: str, replace: bool, as_json: bool) -> None:
        change_entry(app, kind, "restore", name, new_name, replace=replace, as_json=as_json)


def _list_entries(app: App, kind: str, trash: bool, as_json: bool) -> None:
    """Print what there is; files that cannot be read come after it."""
    with app.connect_or_start() as kernel:
        answer = kernel.library.entries(kind, trash=trash)
    if as_json:
        say_json(plain(answer), indent=1)
        return
    rows = [
        (
            entry.name,
            entry.subject or ("shipped" if entry.shipped else "own"),
            entry.changed_at[:16].replace("T", " "),
            entry.description,
        )
        for entry in answer.entries
    ]
    if rows:
        what, when = ("about a" if kind == "profile" else "whose"), ("deleted" if trash else "changed")
        say_table((kind, what, when, "description"), rows, keep=(kind,))
    else:
        say(f"no {kind} is in the trash" if trash else f"there is no {kind} yet")
    for problem in answer.problems:
        warn(f"cannot be read: {problem}")


def say_saved(kind: str, answer: pb.SaveEntryResponse, as_json: bool) -> None:
    """Tell where it is now, and what in it has no effect."""
    tell(as_json, plain(answer), f"{kind} {answer.entry.name} is in {answer.entry.path}")
    if not as_json:
        _say_trash(answer.trash_path)
        for warning in answer.warnings:
            say(f"warning: {warning}")


def change_entry(
    app: App,
    kind: str,
    action: str,
    name: str,
    new_name: str = "",
    *,
    replace: bool = False,
    as_json: bool = False,
) -> None:
    """Copy, rename, delete or restore, and tell."""
    with app.connect_or_start() as kernel:
        answer = kernel.library.change(kind, action, name, new_name, replace=replace)
    if as_json:
        say_json(plain(answer), indent=1)
    elif action == "delete":
        say(f"{kind} {name} is in the trash; take it back with: stablenew {kind} restore {quoted(name)}")
    else:
        say(f"{kind} {answer.entry.name} is in {answer.entry.path}")
        _say_trash(answer.trash_path)


def _say_trash(path: str) -> None:
    if path:
        say(f"the one of that name is now in the trash: {path}")


def quoted(name: str) -> str:
    """``name`` as a shell takes it."""
    return f'"{name}"' if " " in name else name


def say_settings(sections: Mapping[str, Any]) -> None:
    """A table of every setting that stands in a file."""
    rows = [
        (f"{section}.{key}", shown(value))
        for section, values in sections.items()
        if isinstance(values, dict)
        for key, value in values.items()
    ]
    if rows:
        say_table(("setting", "value"), rows, keep=("setting",))


def shown(value: Any) -> str:
    """A value for people: text as it is, else JSON; empty text as two quotes."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def say_explanation(app: App, run: kernel_pb2.RunRequest, as_json: bool) -> None:
    """Print every setting of ``run``, where it comes from and what lay under it."""
    with app.connect_or_start() as kernel:
        answer = kernel.library.explain(run)
    found = plain(answer)
    if as_json:
        say_json(found, indent=1)
        return
    rows = [
        (
            setting["name"],
            shown(setting["value"]),
            ", ".join(part for part in (setting["source"], setting["place"]) if part),
            "; ".join(f"{below['source']}: {shown(below['value'])}" for below in setting["below"]),
            "" if setting["used"] else "no",
        )
        for setting in found["settings"]
    ]
    say(f"stages: {' > '.join(found['stages'])}")
    say_table(("setting", "value", "from", "under it", "used"), rows, keep=("setting",))
    for warning in found["warnings"]:
        say(f"warning: {warning}")


def settings_source(given: str) -> pb.SettingsSource:
    """The settings that ``given`` names: a preset, a ``.json`` file, a pack (its sidecar) or an image's.

    Raises UserError that names the file.
    """
    from stablenew_api.imagetext import READ_ENDINGS
    from stablenew_client.packfiles import PACK_ENDINGS, read_pack, read_preset
    from stablenew_proto.v1 import library_pb2 as pb

    ending = Path(given).suffix.lower()
    if ending in PACK_ENDINGS:
        files = read_pack(given)
        if not files.sidecar:
            raise UserError(
                f"pack {given}: it has no settings; there is no {files.sidecar_path.name} beside it"
            )
        return pb.SettingsSource(content=files.sidecar, label=f"sidecar {files.sidecar_path.name}")
    if ending in READ_ENDINGS:
        return pb.SettingsSource(content=_image_settings(given), label=f"image {Path(given).name}")
    name, file_name, content = read_preset(given)
    return pb.SettingsSource(preset=name, content=content, label=f"preset {file_name}")


def _image_settings(given: str) -> bytes:
    """The settings of the job that made an image, as a preset."""
    from stablenew_kernel.cli.commands.replay import read_spec

    stages = json.loads(read_spec(given))["stages"]
    sections = {stage["name"]: stage["config"] for stage in stages}
    sections["pipeline"] = {f"{stage['name']}_enabled": True for stage in stages}
    return json.dumps(sections).encode("utf-8")
