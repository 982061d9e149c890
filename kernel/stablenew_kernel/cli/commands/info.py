"""``stablenew info``: what an image tells about how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.cli.output import one_line_cell, say, say_fields, say_json, seconds
from stablenew_kernel.cli.story import ToldFile, plain_story, read_story

if TYPE_CHECKING:
    from stablenew_api.jobs import JsonValue


@click.command("info")
@click.argument("image")
@json_option
@pass_app
def command(app: App, image: str, as_json: bool) -> int:
    """Say which program made IMAGE, and with which prompt and settings.

    Images of A1111, Forge, SD.Next, ComfyUI, SwarmUI, InvokeAI, Fooocus, NovelAI and StableNew are read, and
    what plugins know. Ends with 1 if the image tells nothing.
    """
    told = read_story(load_host(app.data).importers, image)
    if as_json:
        say_json(plain_story(told), indent=1)
    else:
        for line in _lines(told):
            say(line)
        _show_settings(told)
        for line in _last_lines(told):
            say(line)
    return ExitCode.OK if told.story is not None else ExitCode.FAILED


def _lines(told: ToldFile) -> Iterator[str]:
    image = told.image
    shape = f"{image.kind}, {image.width}x{image.height}" if image.kind else "a text that tells of an image"
    yield f"{told.path.name}: {shape}"
    if (story := told.story) is None:
        yield "it tells nothing about how it was made (many programs and sites leave such texts out)"
        return
    backend = f", with {story.own.backend}" if story.own and story.own.backend else ""
    yield f"made by {story.program or image.importer}{backend}"
    yield ""
    yield f"prompt: {one_line_cell(story.prompt)}"
    if story.negative_prompt:
        yield f"negative prompt: {one_line_cell(story.negative_prompt)}"


def _show_settings(told: ToldFile) -> None:
    from stablenew_kernel.domain.imageinfo import in_order

    if (story := told.story) is None:
        return
    for section, rows in in_order(story.settings):
        say()
        say(section)
        say_fields({f"  {key}": _shown(value) for key, value in rows})
    if story.hashes:
        say()
        say("hashes")
        say_fields({f"  {name}": value for name, value in story.hashes.items()})


def _shown(value: JsonValue) -> JsonValue:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _last_lines(told: ToldFile) -> Iterator[str]:
    from stablenew_kernel.domain.imageinfo import missing

    if (story := told.story) is None:
        return
    if (own := story.own) is not None:
        yield ""
        tried = f", at try {own.attempt}" if own.attempt > 1 else ""
        yield f"job {own.job_id} of run {own.run_id}, on {own.node}{tried}"
        stages = ", ".join(f"{name} {seconds(took)}" for name, _, took in own.stages)
        if stages:
            yield f"took {seconds(own.seconds)}: {stages}"
    if left := missing(story):
        yield ""
        yield f"it does not tell: {', '.join(left)}"
    for note in story.notes:
        yield f"note: {note}"
