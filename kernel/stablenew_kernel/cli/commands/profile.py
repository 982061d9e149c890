"""``stablenew profile``: what is known about models and LoRAs."""

from __future__ import annotations

import json

import click

from stablenew_client.reading import with_files
from stablenew_kernel.cli.context import App, DefaultGroup, json_option, pass_app
from stablenew_kernel.cli.library import (
    add_shelf_commands,
    description_option,
    replace_option,
    say_saved,
    say_settings,
    shown,
    unsets_option,
)
from stablenew_kernel.cli.output import plain, say, say_fields, say_json


@click.group("profile", cls=DefaultGroup)
def command() -> None:
    """Recommended settings of a model; weight and trigger words of a LoRA.

    A profile is called as its model or LoRA, without folder and ending.
    """


add_shelf_commands(command, "profile")


@command.command()
@click.argument("name")
@json_option
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show the profile NAME: what stands in it."""
    with app.connect_or_start() as kernel:
        answer = kernel.library.get("profile", name)
    content = json.loads(answer.content.decode("utf-8-sig"))
    if as_json:
        say_json({**plain(answer.entry), "content": content, "warnings": list(answer.warnings)}, indent=1)
        return
    own = {key: shown(value) for key, value in content.items() if not isinstance(value, dict)}
    say_fields(
        {"profile": answer.entry.name, "about a": answer.entry.subject, "file": answer.entry.path, **own}
    )
    say_settings(content)
    for warning in answer.warnings:
        say(f"warning: {warning}")


@command.command()
@click.argument("name")
@click.option("--lora", is_flag=True, help="About a LoRA, not a model.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="weight=0.8, trigger_words=..., or txt2img.steps=30. May be repeated.",
)
@description_option
@replace_option
@json_option
@pass_app
def new(
    app: App,
    name: str,
    lora: bool,
    sets: tuple[str, ...],
    description: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make the profile NAME."""
    kind = "kind=lora" if lora else "kind=model"
    sets = tuple(with_files(sets))
    given = sets if any(text.partition("=")[0].strip() == "kind" for text in sets) else (kind, *sets)
    with app.connect_or_start() as kernel:
        answer = kernel.library.save(
            "profile", name, content=b"{\n}\n", sets=given, description=description, replace=replace
        )
    say_saved("profile", answer, as_json)


@command.command("set")
@click.argument("name")
@click.argument("changes", metavar="CHANGE...", nargs=-1)
@unsets_option
@description_option
@json_option
@pass_app
def set_(
    app: App,
    name: str,
    changes: tuple[str, ...],
    unsets: tuple[str, ...],
    description: str | None,
    as_json: bool,
) -> None:
    """Change the profile NAME. A CHANGE is weight=0.8, add_trigger_words=true, txt2img.steps=30.

    The profile as it was goes to the trash.
    """
    with app.connect_or_start() as kernel:
        answer = kernel.library.save(
            "profile",
            name,
            entry=name,
            sets=with_files(changes),
            unsets=unsets,
            description=description,
            replace=True,
        )
    say_saved("profile", answer, as_json)
