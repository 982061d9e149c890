"""``stablenew diff``: in which settings two images differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.cli.output import one_line_cell, plural, say, say_json, say_table
from stablenew_kernel.cli.story import ToldFile, read_story

if TYPE_CHECKING:
    from stablenew_api.jobs import JsonValue
    from stablenew_kernel.domain.imageinfo import Difference, Word


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
@pass_app
def command(app: App, first: str, second: str, as_json: bool) -> None:
    """Say in which settings and words the images A and B differ, whichever programs made them.

    Names of samplers, schedulers and models are brought into one form. What only one of them tells is listed
    apart, unless it asks for nothing.
    """
    from stablenew_kernel.domain.imageinfo import difference

    importers = load_host(app.data).importers
    images = [read_story(importers, given) for given in (first, second)]
    stories = []
    for image in images:
        if image.story is None:
            raise UserError(
                f"image {image.path}: it tells nothing about how it was made, so there is no comparing"
            )
        stories.append(image.story)
    found = difference(*stories)
    if as_json:
        say_json(_plain(images, found), indent=1)
        return
    for letter, image, story in zip("AB", images, stories, strict=True):
        say(f"{letter}: {image.path.name} ({story.program or image.image.importer})")
    say()
    rows = [(key, *map(_cell, pair)) for key, pair in found.settings.items()]
    rows += [(f"hash of {name}", *pair) for name, pair in found.hashes.items()]
    if rows:
        say_table(("", "A", "B"), rows)
    for line in _lines(found):
        say(line)


def _cell(value: JsonValue) -> str:
    return one_line_cell(value)


def _lines(found: Difference) -> Iterator[str]:
    from stablenew_kernel.domain.imageinfo import show_words

    for letter, names in zip("AB", found.sections, strict=True):
        if names:
            yield f"only {letter} went through: {', '.join(names)}"
    for name, words in (("prompt", found.prompt), ("negative prompt", found.negative_prompt)):
        if words:
            yield f"{name}: {show_words(words)}"
    for letter, told in (("A", found.only_first), ("B", found.only_second)):
        if told:
            yield f"only {letter} tells: {', '.join(f'{key} {_cell(value)}' for key, value in told.items())}"
    if found.same:
        yield "nothing that both tell differs"
    yield f"{plural(found.equal, 'setting')} equal"


def _plain(images: list[ToldFile], found: Difference) -> dict[str, Any]:
    def words(pieces: tuple[Word, ...]) -> list[dict[str, str]]:
        return [{"change": word.change, "text": word.text} for word in pieces]

    def pairs(values: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
        return {key: {"a": a, "b": b} for key, (a, b) in values.items()}

    first, second = images
    return {
        "a": {"file": str(first.path), "program": first.story.program if first.story else ""},
        "b": {"file": str(second.path), "program": second.story.program if second.story else ""},
        "same": found.same,
        "settings": pairs(found.settings),
        "hashes": pairs(found.hashes),
        "only_a": {"stages": list(found.sections[0]), "settings": found.only_first},
        "only_b": {"stages": list(found.sections[1]), "settings": found.only_second},
        "prompt": words(found.prompt),
        "negative_prompt": words(found.negative_prompt),
        "equal": found.equal,
    }
