"""``stablenew packs import``: files of other programs in, packs, sidecars and wildcards out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stablenew_api.errors import UserError
from stablenew_client.reading import LARGEST_IMAGE, read_file
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.cli.output import plural, say, say_json, warn

if TYPE_CHECKING:
    from stablenew_api.importer import Imported, Importer

_SHOWN_FILES, _SHOWN_LINES = 6, 30
"""A dry run shows so many lines of each file, unless there are more files than that."""
MOST_FILES = 20_000
"""In a folder; more is a slip, such as a home folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import."""

    path: Path
    name: str
    """As importers see it: the file's name, or its path from the given folder on, with ``/``."""
    in_folder: bool


@dataclass(slots=True)
class Taken:
    """A file that was read, and where what was in it goes."""

    source: Source
    importer: Importer
    imported: Imported
    notes: list[str]
    writes: list[tuple[Path, bytes, str]] = field(default_factory=list)
    """Path, content, and what is in it for people: ``3 rows``."""
    there: list[Path] = field(default_factory=list)
    """Files that exist already with this very content."""


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--to",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Folder to write into. Default: the data folder's packs.",
)
@click.option("--as", "as_format", default="", metavar="FORMAT", help="The format, where it cannot be told.")
@click.option("--name", default="", help="Name of the pack, in place of the file's.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
@json_option
@pass_app
def import_(
    app: App,
    files: tuple[str, ...],
    to: str | None,
    as_format: str,
    name: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make packs from files of other programs.

    Each FILE is a styles.csv, a prompts-from-file list, a .prompts file, an image that tells how it was made, a
    wildcard file, or a folder of such files. The format is told by the content. Nothing is overwritten: a pack
    whose name is taken gets a number.
    """
    importers = _importers(app, as_format)
    sources = [source for given in files for source in _sources(given)]
    taken, skipped = _read_all(sources, importers, bool(as_format))
    if not taken:
        raise UserError(_nothing(files, skipped))
    if name:
        _rename(taken, name)
    folder = Path(to).expanduser().absolute() if to else app.data.packs
    wildcards = folder / "wildcards" if to else app.data.wildcards
    refused = _place(taken, folder, wildcards)
    if not dry_run:
        _write(taken)
    _show(taken, skipped, refused, dry_run, as_json)
    return 1 if refused else 0


def _importers(app: App, wanted: str) -> Mapping[str, type[Importer]]:
    """The importer called ``wanted``, or all. Raises UserError for a name that none has."""
    importers = load_host(app.data).importers
    if not wanted:
        return importers
    if wanted not in importers:
        raise UserError(f"--as {wanted}: no such format; known: {', '.join(sorted(importers))}")
    return {wanted: importers[wanted]}


# --- finding and reading --------------------------------------------------------------------------------------


def _sources(given: str) -> Iterator[Source]:
    """The file ``given``, or every file of the folder, hidden ones left out. Raises UserError."""
    path = Path(given).expanduser().absolute()
    if not path.is_dir():
        yield Source(path, path.name, in_folder=False)
        return
    found = []
    for item in path.rglob("*"):
        parts = item.relative_to(path).parts
        if item.is_file() and not any(part.startswith(".") for part in parts):
            found.append(Source(item, "/".join((path.name, *parts)), in_folder=True))
        if len(found) > MOST_FILES:
            raise UserError(f"{given}: more than {MOST_FILES:,} files in this folder; import its parts")
    if not found:
        raise UserError(f"{given}: an empty folder")
    yield from sorted(found, key=lambda source: source.name)


def _read_all(
    sources: Sequence[Source], importers: Mapping[str, type[Importer]], chosen: bool
) -> tuple[list[Taken], list[tuple[Source, str]]]:
    """What could be read, and what of a folder could not, with the reason. What a person named is read or
    raises UserError."""
    taken, skipped = [], []
    for source in sources:
        try:
            taken.append(_read(source, importers, chosen))
        except UserError as error:
            if not source.in_folder:
                raise
            skipped.append((source, str(error)))
    return taken, skipped


def _read(source: Source, importers: Mapping[str, type[Importer]], chosen: bool) -> Taken:
    from stablenew_api.importer import import_file, recognise

    data = read_file(str(source.path), source.path, LARGEST_IMAGE)
    if chosen:
        (kind,) = importers.values()
        if source.in_folder and kind.endings and not source.name.lower().endswith(kind.endings):
            raise UserError(f"{source.name}: no file of {kind.name} ends so")
        importer = kind()
    else:
        found = recognise(importers, source.name, data)
        if len(found) != 1:
            raise UserError(_which(source, importers, [importer.name for importer in found]))
        (importer,) = found
    imported = import_file(importer, source.name, data)
    return Taken(source, importer, imported, [*imported.notes, *_problems(imported)])


def _which(source: Source, importers: Mapping[str, type[Importer]], found: list[str]) -> str:
    """Why the format of ``source`` cannot be told, and what to do."""
    if found:
        return f"{source.name}: may be {' or '.join(sorted(found))}; say which with --as"
    ending = source.path.suffix.lower()
    could = sorted(name for name, kind in importers.items() if not kind.endings or ending in kind.endings)
    if not could:
        known = sorted({ending for kind in importers.values() for ending in kind.endings})
        return f"{source.name}: no importer reads {ending or 'such'} files; known: {', '.join(known)}"
    return (
        f"{source.name}: nothing in it says what it is; if it is one of {', '.join(could)}, say so with --as "
        "(images lose their texts on the way through many programs and sites)"
    )


def _problems(imported: Imported) -> Iterator[str]:
    """What keeps rows of the new packs from being run."""
    from stablenew_kernel.domain.packs import parse_pack

    for path, data in imported.files.items():
        if _is_pack(path):
            yield from (f"{path}, {problem}" for problem in parse_pack(path, data).problems)


def _is_pack(path: str) -> bool:
    from stablenew_api.importer import WILDCARDS

    return not path.startswith(WILDCARDS) and path.lower().endswith((".txt", ".tsv"))


def _nothing(files: Sequence[str], skipped: Sequence[tuple[Source, str]]) -> str:
    reasons = "; ".join(reason for _, reason in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"{', '.join(files[:3])}: nothing to import: {reasons}{more}"


# --- where it goes --------------------------------------------------------------------------------------------


def _rename(taken: Sequence[Taken], name: str) -> None:
    """Give the one pack (or the one wildcard file) of ``taken`` its new ``name``. Raises UserError."""
    from dataclasses import replace

    from stablenew_api.importer import safe_stem

    if safe_stem(f"{name}.txt") != name:
        raise UserError(f"--name {name}: no name that every system can have; leave out folders and signs")
    stems = {(item.source.path, path.rpartition(".")[0]) for item in taken for path in item.imported.files}
    if len(stems) != 1:
        raise UserError(
            f"--name {name}: these are {len(stems)} packs or wildcard files; import them one at a time"
        )
    (item,) = taken
    files = {
        f"{path[: path.rfind('/') + 1]}{name}.{path.rpartition('.')[2]}": data
        for path, data in item.imported.files.items()
    }
    item.imported = replace(item.imported, files=files)


def _place(taken: Sequence[Taken], folder: Path, wildcards: Path) -> list[str]:
    """Decide where each file goes. A pack whose name is taken gets a number, its sidecar the same one; the name
    of a wildcard file stands in prompts, so that one is refused. Returns the refusals."""
    from stablenew_api.importer import WILDCARDS

    given: dict[Path, bytes] = {}
    refused = []
    for item in taken:
        packs: dict[str, dict[str, bytes]] = {}
        for path, data in item.imported.files.items():
            if path.startswith(WILDCARDS):
                target = wildcards.joinpath(*path.removeprefix(WILDCARDS).split("/"))
                before = given.get(_folded(target), _content(target))
                if before is None:
                    given[_folded(target)] = data
                    item.writes.append((target, data, plural(data.count(b"\n"), "line")))
                elif before == data:
                    item.there.append(target)
                else:
                    refused.append(
                        f"{target} exists with another content; rename or remove it, then import again"
                    )
            else:
                packs.setdefault(path.rpartition(".")[0], {})[path] = data
        for stem, files in packs.items():
            number = 1
            while True:
                ends = {
                    path: f"{stem}{f'-{number}' if number > 1 else ''}{path[len(stem) :]}" for path in files
                }
                targets = {folder.joinpath(*end.split("/")): files[path] for path, end in ends.items()}
                beside = [
                    target.with_suffix(ending) for target in targets for ending in (".txt", ".tsv", ".json")
                ]
                if not any(_folded(path) in given or _there(path) for path in beside):
                    break
                number += 1
            if number > 1:
                item.notes.append(f"{stem} is taken in {folder}: written as {stem}-{number}")
            # The sidecar first: nobody must ever run the pack without it.
            for target, data in sorted(targets.items(), key=lambda pair: pair[0].suffix != ".json"):
                given[_folded(target)] = data
                item.writes.append((target, data, _size(target, data)))
    return refused


def _folded(path: Path) -> Path:
    """As Windows and macOS compare file names."""
    return path.with_name(path.name.casefold())


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _content(path: Path) -> bytes | None:
    """None if there is no such file. Raises UserError for what cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _write(taken: Sequence[Taken]) -> None:
    from stablenew_api.files import write_new

    for item in taken:
        for path, data, _ in item.writes:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_new(path, data, durable=False)
            except FileExistsError as error:
                raise UserError(
                    f"{path}: appeared while this was written; nothing of it was changed"
                ) from error
            except OSError as error:
                raise UserError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


# --- what is shown --------------------------------------------------------------------------------------------


def _show(
    taken: Sequence[Taken],
    skipped: Sequence[tuple[Source, str]],
    refused: Sequence[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    if as_json:
        say_json(
            {
                "dry_run": dry_run,
                "imports": [_plain(item) for item in taken],
                "skipped": [{"source": str(source.path), "reason": reason} for source, reason in skipped],
                "refused": list(refused),
            },
            indent=1,
        )
        return
    verb = "would write" if dry_run else "wrote"
    count = sum(len(item.writes) for item in taken)
    in_full = dry_run and count <= _SHOWN_FILES
    for item in taken:
        say(f"{item.source.name}: {item.importer.title}")
        for path, data, size in item.writes:
            say(f"  {verb} {path} ({size})")
            if in_full:
                _say_content(data)
        for path in item.there:
            say(f"  {path} is there already, the same")
        for note in item.notes:
            say(f"  note: {note}")
    for _, reason in skipped:
        say(f"skipped: {reason}")
    for reason in refused:
        warn(f"not written: {reason}")
    say(f"{plural(count, 'file')} {'would be written; nothing was (--dry-run)' if dry_run else 'written'}")


def _say_content(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").splitlines()
    for line in lines[:_SHOWN_LINES]:
        say(f"    | {line}".rstrip())
    if len(lines) > _SHOWN_LINES:
        say(f"    | ... and {plural(len(lines) - _SHOWN_LINES, 'line')} more")


def _plain(item: Taken) -> dict[str, Any]:
    return {
        "source": str(item.source.path),
        "format": item.importer.name,
        "files": [str(path) for path, _, _ in item.writes],
        "unchanged": [str(path) for path in item.there],
        "notes": item.notes,
        "settings": dict(item.imported.settings) if item.imported.settings is not None else None,
        "prompt": item.imported.prompt,
        "negative_prompt": item.imported.negative_prompt,
    }


def _size(path: Path, data: bytes) -> str:
    from stablenew_kernel.domain.packs import parse_pack

    is_pack = path.suffix.lower() in (".txt", ".tsv")
    return plural(len(parse_pack(path.name, data).rows), "row") if is_pack else "settings"
