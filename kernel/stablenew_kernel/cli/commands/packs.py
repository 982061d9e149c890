"""``stablenew packs``: what there is to do with packs without running them."""

from __future__ import annotations

import click

from stablenew_kernel.cli.commands.packs_import import import_


@click.group("packs")
def command() -> None:
    """Packs: import them from files of other programs."""


command.add_command(import_)
