"""``stablenew rate``: say how good an image is."""

from __future__ import annotations

from pathlib import Path

import click

from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.images import image_sha256
from stablenew_kernel.cli.output import say, say_json


@click.command("rate")
@click.argument("image")
@click.argument("stars", type=click.IntRange(0, 5))
@click.option(
    "--tag", "tags", multiple=True, help="A word on why, such as 'too noisy'. May be given several times."
)
@json_option
@pass_app
def command(app: App, image: str, stars: int, tags: tuple[str, ...], as_json: bool) -> None:
    """Rate IMAGE with 1 to 5 STARS; 0 takes the rating back.

    The image is known by its pixels: renaming or moving the file changes nothing. A JPEG or WebP file of
    StableNew says in its texts which pixels it was made from. The latest rating counts.
    """
    sha256 = image_sha256(image)
    with app.connect_or_start() as kernel:
        known = kernel.rate(sha256, stars, tags, Path(image).name)
    if as_json:
        say_json({"image_sha256": sha256, "stars": stars, "tags": list(tags), "known": known})
        return
    words = "*" * stars if stars else "rating taken back"
    say(f"{Path(image).name}: {words}{''.join(f', {tag}' for tag in tags)}")
    if not known:
        say("no record of this image here: the rating is kept for when there is one")
