"""Finding what a request names in what the server has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import model_hash, model_name, nearest


@dataclass(frozen=True, slots=True)
class Named:
    """Something that the server has."""

    name: str
    """What the server calls it, and what it is sent."""
    aliases: tuple[str, ...] = ()
    """Other names for it."""
    hashes: tuple[str, ...] = ()
    """Of its file, in small letters."""
    path: str = ""
    """Of its file on the server."""

    def all_names(self) -> Iterable[str]:
        """Every name it goes by."""
        yield self.name
        yield from self.aliases
        if self.path:
            yield self.path


def plain(text: str) -> str:
    """``text`` without case, and without what people write differently."""
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter in "+")


def _path(text: str) -> str:
    """A file's name with its folders, in one spelling: without ending and hash."""
    folder = text.replace("\\", "/").rpartition("/")[0]
    return f"{folder}/{model_name(text)}".strip("/").casefold()


def find(name: str, things: Sequence[Named], files: bool = True) -> list[Named]:
    """What ``name`` may mean, best rule first: exactly, by hash, by path, by file name. More than one where it
    is not clear, none where nothing fits. A hash in ``name`` that contradicts one that is known rules a thing
    out.

    What are no ``files`` (samplers, styles) go by their letters and digits alone.
    """
    if exact := [thing for thing in things if name == thing.name]:
        return exact[:1]
    if not files:
        wanted = plain(name)
        return [thing for thing in things if any(plain(own) == wanted for own in (thing.name, *thing.aliases))]
    asked = model_hash(name)
    if asked:
        if by_hash := [thing for thing in things if any(_same_hash(asked, known) for known in thing.hashes)]:
            return by_hash[:1]
        things = [thing for thing in things if not thing.hashes]
    if exact := [thing for thing in things if name in thing.aliases]:
        return exact[:1]
    path = _path(name)
    if not path:
        return []
    by_path = [
        thing
        for thing in things
        if any(own == path or own.endswith("/" + path) for own in map(_path, thing.all_names()))
    ]
    if by_path:
        return by_path
    # Another folder on this server: the file's own name must do.
    base = model_name(name).casefold()
    return [thing for thing in things if any(model_name(own).casefold() == base for own in thing.all_names())]


def _same_hash(one: str, other: str) -> bool:
    length = min(len(one), len(other))
    return length >= 8 and one[:length] == other[:length]


def look_up(what: str, name: str, things: Sequence[Named], where: str, files: bool = True) -> Named:
    """The thing that ``name`` means. Raises StageFailure(BAD_INPUT) that says what there is instead."""
    found = find(name, things, files)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(thing.name for thing in found[:4])
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{what} {name!r} may be several on {where}: {names}; say which, with its folder",
        )
    same = [thing for thing in things if model_name(thing.name).casefold() == model_name(name).casefold()]
    if same and model_hash(name):
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{what} {name!r}: {where} has a file of this name with another hash, {same[0].name}",
        )
    raise StageFailure(
        FailureKind.BAD_INPUT,
        f"{where} has no {what} {name!r}{nearest(name, (thing.name for thing in things))}",
    )
