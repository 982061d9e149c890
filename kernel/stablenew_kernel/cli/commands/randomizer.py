"""``stablenew randomizer``: what the randomizer keeps between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stablenew_kernel.cli.context import App, DefaultGroup, json_option, pass_app
from stablenew_kernel.cli.output import plain, say, say_json, say_table


@click.group("randomizer", cls=DefaultGroup)
def command() -> None:
    """Show or reset what the randomizer keeps between runs.

    Slots of the modes sequential, rotate and least_used go on where the last run of the pack stopped.
    """


def _which(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--slot", default="", help="Only this slot, as the list has it."),
        click.option("--pack", default="", help="Only this pack: its file, or its name without the ending."),
    ):
        function = option(function)
    return function


@command.command("list")
@_which
@json_option
@pass_app
def list_(app: App, pack: str, slot: str, as_json: bool) -> None:
    """Where each slot stands, and how often its options were used."""
    with app.connect_or_start() as kernel:
        places = kernel.places(_title(pack), slot)
    if as_json:
        say_json([plain(place) for place in places], indent=1)
        return
    if not places:
        say("nothing is kept; slots of the modes sequential, rotate and least_used begin at their first option")
        return
    rows = [(place.pack, place.slot, place.mode, place.state, place.changed_at) for place in places]
    say_table(("pack", "slot", "mode", "state", "last run"), rows, keep=("pack", "slot"))


@command.command("reset")
@_which
@click.option("--all", "everything", is_flag=True, help="All slots of all packs.")
@json_option
@pass_app
def reset(app: App, pack: str, slot: str, everything: bool, as_json: bool) -> None:
    """Forget it: the next run begins anew. Runs that are queued already stay as they are."""
    if not (pack or slot or everything):
        raise click.UsageError("say which: --pack, --slot, or --all")
    with app.connect_or_start() as kernel:
        count = kernel.reset_places(_title(pack), slot)
    if as_json:
        say_json({"reset": count})
        return
    say(f"{count} {'slot begins' if count == 1 else 'slots begin'} anew")
    if not count:
        say("see what is kept with: stablenew randomizer list")


def _title(pack: str) -> str:
    """``packs/demo.txt`` as the kernel calls it: ``demo``."""
    name = Path(pack).name
    return name.rpartition(".")[0] if name.lower().endswith((".txt", ".tsv")) else name
