"""``stablenew replay``: queue again exactly the job that made an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.commands.run import absolute, submit_and_follow
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.images import read_image


@click.command("replay")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--out", type=click.Path(), default="", help="Folder in which the run's own folder is made.")
@click.option("--detach", is_flag=True, help="Queue, print the run's id and return.")
@json_option
@pass_app
def command(app: App, images: tuple[str, ...], out: str, detach: bool, as_json: bool) -> int:
    """Make images again from the job that is written in them.

    Each IMAGE is a PNG file that StableNew saved. The same job gives the same pixels.
    """
    specs = [(Path(image).name, read_spec(image)) for image in images]
    worst = 0
    with app.connect_or_start() as kernel:
        for name, spec in specs:

            def submit(name: str = name, spec: bytes = spec) -> Any:
                return kernel.replay(spec, name, absolute(out))

            code = submit_and_follow(app, kernel, submit, detach=detach, as_json=as_json)
            worst = max(worst, code)
            if code == 130:
                break
    return worst


def read_spec(given: str) -> bytes:
    """The job in the ``stablenew`` text of the image ``given``, as canonical JSON.

    Raises UserError, naming the file, if there is no such image, or no job in it, or one that was changed.
    """
    from stablenew_api.png import STABLENEW, read_text
    from stablenew_kernel.domain.infotext import stored_spec

    name = f"image {given}"
    text = read_text(read_image(given), name).get(STABLENEW)
    if text is None:
        raise UserError(
            f"{name}: no {STABLENEW!r} text in it, so its job is not known; replay wants a PNG file as "
            "StableNew saved it (many programs leave such texts out)"
        )
    return stored_spec(text, name)
