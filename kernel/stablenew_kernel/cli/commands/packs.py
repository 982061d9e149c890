"""``stablenew packs``: look at packs, check them, change them. They are files: no kernel is needed."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stablenew_api.errors import KernelUnavailable, PluginError, UserError
from stablenew_api.files import write_new
from stablenew_client.packfiles import PackFiles, find_packs, read_pack, replace_file, request_of
from stablenew_client.packlists import PackLists, packs_of
from stablenew_kernel.cli.context import App, DefaultGroup, json_option, pass_app
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.host import load_host, read_settings
from stablenew_kernel.cli.output import plural, say, say_json, say_table, tell, warn

if TYPE_CHECKING:
    from stablenew_kernel.domain.packs.check import Inventory, Report
    from stablenew_kernel.domain.packs.model import Pack, Problem, Row

_ALIKE = 3
"""Problems with the same reason that are printed one by one."""

_IMPORT = "stablenew_kernel.cli.commands.packs_import"


class PacksGroup(DefaultGroup):
    """Loads ``import`` when it is asked for: it needs the plugins that read other programs' files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Ours, and ``import``."""
        return [*super().list_commands(ctx), "import"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of ours, ``import``, or None."""
        if cmd_name == "import":
            command = import_module(_IMPORT).import_
            assert isinstance(command, click.Command)
            return command
        return super().get_command(ctx, cmd_name)


@click.group("packs", cls=PacksGroup)
def command() -> None:
    """Look at packs, check and change them. Without a command: list."""


# --- looking --------------------------------------------------------------------------------------------------


@command.command("list")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1)
@click.option("--search", default="", metavar="WORDS", help="Only packs and rows that have all these words.")
@click.option("--lists", is_flag=True, help="The named lists of packs instead.")
@json_option
@pass_app
def list_packs(app: App, folders: tuple[str, ...], search: str, lists: bool, as_json: bool) -> None:
    """List the packs below FOLDERs: rows, images of a run, problems.

    Without FOLDER: the folder packs here, the one of the data folder, and pack_folders of the settings.
    """
    if lists:
        _show_lists(app, as_json)
        return
    places = _folders(app, folders)
    words = search.casefold().split()
    desk = _Desk(app)
    packs = [_summary(desk, path, words) for folder in places for path in find_packs(folder)]
    if words:
        packs = [pack for pack in packs if pack["matches"] or _has(pack["path"], words)]
    if as_json:
        say_json({"packs": packs, "folders": [str(folder) for folder in places]}, indent=1)
        return
    if packs:
        rows = [
            (_near(pack["path"]), _or_dash(pack["rows"]), _or_dash(pack["images"]), _trouble(pack))
            for pack in packs
        ]
        say_table(("pack", "rows", "images", "problems"), rows, keep=("pack",))
    for pack in packs:
        for row in pack["matches"]:
            say(f"{_near(pack['path'])}:{row['line']}: {_row_text(row)}")
    if not packs:
        shown = ", ".join(_near(str(folder)) for folder in places)
        wanted = "no pack with these words" if words else "no pack"
        say(f"{wanted} in {shown or 'a folder packs, here or in the data folder'}")


def _folders(app: App, given: Sequence[str]) -> list[Path]:
    if given:
        folders = [Path(folder).expanduser().absolute() for folder in given]
        for name, folder in zip(given, folders, strict=True):
            if not folder.is_dir():
                raise UserError(f"folder {name}: there is none; give the folder that has your packs")
        return folders
    own = [Path(folder).expanduser().absolute() for folder in read_settings(app.data).pack_folders]
    places = dict.fromkeys([Path("packs").absolute(), app.data.packs, *own])
    return [folder for folder in places if folder.is_dir()]


def _summary(desk: _Desk, path: Path, words: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"path": str(path), "name": path.name, "rows": None, "images": None}
    try:
        files = read_pack(str(path))
        report = desk.check(files)
    except (UserError, PluginError) as error:
        return {**found, "errors": 1, "warnings": 0, "reason": str(error), "matches": []}
    found |= {"errors": report.errors, "warnings": report.warnings, "reason": "", "matches": []}
    if report.pack is None:
        return {**found, "reason": str(report.problems[0])}
    rows = report.pack.rows
    return {
        **found,
        "rows": len(rows),
        "images": desk.images(files) if not report.errors else None,
        "sha256": report.pack.sha256,
        "matches": [_plain_row(row) for row in rows if words and _has(f"{row.positive} {row.negative}", words)],
    }


def _has(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)


def _near(path: str) -> str:
    """``path`` as seen from here, if it is below here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def _or_dash(value: object) -> object:
    return "-" if value is None else value


def _trouble(pack: dict[str, Any]) -> str:
    counts = [(pack["errors"], "error"), (pack["warnings"], "warning")]
    return str(pack["reason"]) or ", ".join(plural(count, word) for count, word in counts if count)


def _row_text(row: dict[str, Any]) -> str:
    return f"{row['positive']} | neg: {row['negative']}" if row["negative"] else str(row["positive"])


def _plain_row(row: Row) -> dict[str, Any]:
    return {"row": row.number, "line": row.line, "positive": row.positive, "negative": row.negative}


@command.command("show")
@click.argument("file")
@json_option
@pass_app
def show(app: App, file: str, as_json: bool) -> None:
    """Show the rows of the pack FILE as it has them, and what is wrong with them."""
    files = read_pack(file)
    desk = _Desk(app)
    report = desk.check(files)
    pack = _readable(files, report)
    images = desk.images(files) if not report.errors else None
    if as_json:
        say_json(
            {
                "name": pack.name,
                "title": pack.title,
                "path": str(files.path),
                "sha256": pack.sha256,
                "sidecar": str(files.sidecar_path) if files.sidecar else "",
                "images": images,
                "rows": [_plain_row(row) for row in pack.rows],
                "slots": list(report.slots),
                "wildcards": list(report.wildcards),
                "problems": [_plain_problem(problem) for problem in report.problems],
            },
            indent=1,
        )
        return
    count = "" if images is None else f", {plural(images, 'image')}"
    say(f"{pack.name}: {plural(len(pack.rows), 'row')}{count}, version {pack.sha256[:12]}")
    if files.sidecar and files.sidecar_path != files.path:
        say(f"settings in {files.sidecar_path.name}")
    for title, names in (("slots", report.slots), ("wildcards", report.wildcards)):
        if names:
            say(f"{title}: {', '.join(names)}")
    width = len(str(len(pack.rows)))
    for row in pack.rows:
        say()
        say(f"{row.number:>{width}}  {row.positive or '(no prompt)'}")
        if row.negative:
            say(f"{'':{width}}  neg: {row.negative}")
    if report.problems:
        say()
        _say_problems(report)


def _readable(files: PackFiles, report: Report) -> Pack:
    if report.pack is None:
        raise UserError(f"pack {files.path.name}, {report.problems[0]}")
    return report.pack


def _plain_problem(problem: Problem) -> dict[str, Any]:
    return {
        "severity": problem.severity,
        "file": problem.file,
        "row": problem.row,
        "line": problem.line,
        "column": problem.column,
        "reason": problem.reason,
        "fix": problem.fix,
    }


def _say_problems(report: Report) -> None:
    said: Counter[tuple[str, str]] = Counter()
    for problem in report.problems:
        kind = problem.severity, problem.reason
        said[kind] += 1
        if said[kind] <= _ALIKE:
            say(f"  {problem.severity + ':':<8} {problem}")
    for (severity, reason), count in said.items():
        if count > _ALIKE:
            say(f"  {severity + ':':<8} {plural(count - _ALIKE, 'more row')} (see --json): {reason}")


# --- checking -------------------------------------------------------------------------------------------------


@command.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--preset", default="", help="The preset it will be run with, which may define slots.")
@click.option("--inventory", default="", metavar="FILE", help="Names of LoRAs and embeddings: lines, or JSON.")
@json_option
@pass_app
def check(app: App, files: tuple[str, ...], preset: str, inventory: str, as_json: bool) -> int:
    """Look for what is wrong in packs (or in folders of them), with line, column and what to do.

    An error keeps its row from running, a warning does not; with errors it ends with 1. LoRAs and embeddings
    are compared with --inventory, and with what the nodes report if a kernel runs.
    """
    desk = _Desk(app, preset)
    known = _inventory(app, inventory)
    reports = []
    for path in packs_of(files):
        found = read_pack(path)
        reports.append((found, desk.check(found, known)))
    if as_json:
        checked = [
            {
                "name": found.path.name,
                "path": str(found.path),
                "rows": len(report.pack.rows) if report.pack is not None else None,
                "errors": report.errors,
                "warnings": report.warnings,
                "problems": [_plain_problem(problem) for problem in report.problems],
            }
            for found, report in reports
        ]
        say_json({"packs": checked, "errors": sum(report.errors for _, report in reports)}, indent=1)
    else:
        for found, report in reports:
            rows = "cannot be read" if report.pack is None else plural(len(report.pack.rows), "row")
            say(f"{_near(str(found.path))}: {rows}, {_counts(report)}")
            _say_problems(report)
        if not reports:
            say("no pack there")
    return ExitCode.FAILED if any(report.errors for _, report in reports) else ExitCode.OK


def _counts(report: Report) -> str:
    counts = [(report.errors, "error"), (report.warnings, "warning")]
    return ", ".join(plural(count, word) for count, word in counts if count) or "no problems"


class _Desk:
    """Looks at packs as ``stablenew run PACK``, or with ``--preset``, would: the same files, the same plan."""

    def __init__(self, app: App, preset: str = "") -> None:
        from random import Random

        from stablenew_client.wildcardfolder import WildcardFolder
        from stablenew_kernel.app.packs import PackReader
        from stablenew_kernel.app.planning import Planner

        host = load_host(app.data)
        # No number it draws changes how many images there are, or what is wrong with them.
        planner = Planner(host, app.data, read_settings(app.data), Random(0))  # noqa: S311
        self._reader = PackReader(host, planner, WildcardFolder(app.data.wildcards))
        self._preset = preset

    def check(self, files: PackFiles, inventory: Inventory | None = None) -> Report:
        """What is wrong. Raises UserError for what else it would be run with: preset, wildcards, profiles."""
        run = request_of(files, self._preset)
        run.sidecar_name = files.sidecar_path.name  # also of one that is not there: it is told of by name
        return self._reader.check(run, inventory)

    def images(self, files: PackFiles) -> int | None:
        """How many images a run makes; None: it would be refused."""
        return self._reader.images(request_of(files, self._preset))


def _inventory(app: App, given: str) -> Inventory | None:
    """What there is, by the file and by the nodes; None: nobody says."""
    from stablenew_kernel.domain.packs.check import Inventory
    from stablenew_kernel.domain.packs.inventory import parse_inventory

    known = _reported(app)
    if given:
        path = Path(given).expanduser()
        try:
            listed = parse_inventory(given, path.read_bytes())
        except OSError as error:
            raise UserError(f"inventory {given}: cannot be read ({error.strerror}); check the file") from error
        known = [*known, (listed.loras, listed.embeddings)]
    loras = {name for names, _ in known if names is not None for name in names}
    embeddings = {name for _, names in known if names is not None for name in names}
    return Inventory(loras or None, embeddings or None)


def _reported(app: App) -> list[tuple[Any, Any]]:
    """LoRAs and embeddings of each node of the kernel that runs; nothing if none does."""
    try:
        with app.connect() as kernel:
            return [(node.info.backend.loras, node.info.backend.embeddings) for node in kernel.nodes()]
    except KernelUnavailable:
        return []


# --- changing -------------------------------------------------------------------------------------------------


@command.command("new")
@click.argument("name")
@click.option("--row", "rows", multiple=True, metavar="TEXT", help="A row, as a .txt has it. Repeatable.")
@json_option
def new(name: str, rows: tuple[str, ...], as_json: bool) -> None:
    """Make the pack NAME (.txt, unless the name says .tsv or .json). Never writes over a file."""
    from stablenew_kernel.domain.packs.document import open_document

    path = Path(name if Path(name).suffix.lower() in (".txt", ".tsv", ".json") else f"{name}.txt").expanduser()
    document = open_document(path.name, _EMPTY[path.suffix.lower()].replace("NAME", path.stem).encode("utf-8"))
    for number, text in enumerate(rows, 1):
        positive, negative = _one_row(f"--row {number}", text)
        document = document.add_row(positive, negative)
    _write_new(path, document.to_bytes())
    made = {"path": str(path.absolute()), "rows": len(rows)}
    tell(as_json, made, f"{_near(str(path.absolute()))}: made, with {plural(len(rows), 'row')}")


_EMPTY = {
    ".txt": "# name: NAME\n# A block of lines is a row. Lines that begin with neg: make its negative prompt.\n",
    ".tsv": "# name: NAME\n# A line is a row: the prompt, a tab, the negative prompt.\n",
    ".json": '{\n  "pack_data": {\n    "name": "NAME",\n    "slots": []\n  }\n}\n',
}


def _one_row(what: str, text: str) -> tuple[str, str]:
    """Prompt and negative prompt of a text that is one block of a .txt."""
    from stablenew_kernel.domain.packs.text import txt_rows

    found = list(txt_rows(text))
    if len(found) != 1 or not found[0].positive:
        raise UserError(
            f"{what}: must be one row: a prompt, and lines that begin with neg: for its negative one"
        )
    positive, negative = ("\n".join(piece.text for piece in part) for part in found[0].places)
    return positive, negative


def _write_new(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, data)
    except FileExistsError as error:
        raise UserError(
            f"{path}: there is such a file already; nothing was written, choose another name"
        ) from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its rights"
        ) from error


@command.command("edit")
@click.argument("file")
@click.option("--row", type=int, metavar="N", help="The row that --positive and --negative change.")
@click.option("--positive", metavar="TEXT", help="Its new prompt.")
@click.option("--negative", metavar="TEXT", help='Its new negative prompt; "" takes it out.')
@click.option("--add", metavar="TEXT", help="Add a row at the end, written as a .txt has it.")
@click.option("--remove", type=int, metavar="N", help="Take row N out. Comments stay.")
@click.option("--move", type=int, nargs=2, metavar="N M", help="Make row N row M.")
@json_option
@pass_app
def edit(
    app: App,
    file: str,
    row: int | None,
    positive: str | None,
    negative: str | None,
    add: str | None,
    remove: int | None,
    move: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Change one thing in the pack FILE, and nothing else in it; without an option, in your editor.

    What you leave alone stays byte for byte: comments, blank lines, line ends. The pack is checked afterwards.
    """
    from stablenew_kernel.domain.packs.document import open_document

    texts = positive is not None or negative is not None
    wanted = [texts or row is not None, add is not None, remove is not None, move is not None]
    if sum(wanted) > 1:
        raise click.UsageError("one change at a time: --row with its texts, --add, --remove or --move")
    if wanted[0] and (row is None or not texts):
        raise click.UsageError("--row N goes together with --positive or --negative")
    files = read_pack(file)
    if not any(wanted):
        changed = _edited(files)
        done = "changed in the editor"
    else:
        document = open_document(files.path.name, files.pack)
        if row is not None:
            document, done = document.set_row(row, positive=positive, negative=negative), f"row {row} changed"
        elif add is not None:
            document = document.add_row(*_one_row("--add", add))
            done = f"row {len(document.rows)} added"
        elif remove is not None:
            document, done = document.remove_row(remove), f"row {remove} taken out"
        elif move is not None:
            document, done = document.move_row(*move), f"row {move[0]} is now row {move[1]}"
        changed = document.to_bytes()
    if changed == files.pack:
        tell(as_json, {"path": str(files.path), "changed": False}, f"{file}: nothing changed")
        return
    replace_file(files.path, files.pack, changed)
    try:
        report = _Desk(app).check(read_pack(str(files.path)))
    except UserError as error:
        raise UserError(f"{file}: {done}; it cannot be checked: {error}") from error
    if as_json:
        problems = [_plain_problem(problem) for problem in report.problems]
        say_json({"path": str(files.path), "changed": True, "problems": problems}, indent=1)
        return
    say(f"{file}: {done}; {_counts(report)}")
    _say_problems(report)


def _edited(files: PackFiles) -> bytes:
    """What a person made of the pack in their editor. The pack itself is not touched meanwhile."""
    from stablenew_kernel.domain.packs.document import open_document

    folder = Path(tempfile.mkdtemp(prefix="stablenew-edit-"))
    copy = folder / files.path.name
    copy.write_bytes(files.pack)
    try:
        click.edit(filename=os.fspath(copy))
        changed = copy.read_bytes()
        open_document(files.path.name, changed)
    except UserError as error:
        raise UserError(f"{error}; {files.path.name} is unchanged, what you wrote is in {copy}") from error
    copy.unlink()
    folder.rmdir()
    return changed


@command.command("export")
@click.argument("file")
@click.option("--to", "target", required=True, metavar="FILE", help="What to write: .txt, .tsv, .json or .csv.")
@json_option
def export(file: str, target: str, as_json: bool) -> None:
    """Write the rows of the pack FILE in another format. Never writes over a file.

    A .csv is a styles.csv of the A1111 WebUI. A .json holds the sidecar's settings, too.
    """
    from stablenew_kernel.domain.packs import parse_pack
    from stablenew_kernel.domain.packs.export import export_pack
    from stablenew_kernel.domain.presets import parse_settings

    files = read_pack(file)
    pack = parse_pack(files.path.name, files.pack)
    settings = parse_settings(files.sidecar_path.name, files.sidecar) if files.sidecar else {}
    path = Path(target).expanduser()
    _write_new(path, export_pack(pack, path.name, settings))
    text = f"{target}: {plural(len(pack.rows), 'row')}"
    if settings and path.suffix.lower() != ".json":
        text += f"; the settings in {files.sidecar_path.name} are not in it"
    tell(as_json, {"path": str(path.absolute()), "rows": len(pack.rows)}, text)


# --- lists ----------------------------------------------------------------------------------------------------


@command.group("lists", cls=DefaultGroup)
def lists_group() -> None:
    """Named lists of packs, for stablenew run @NAME. Without a command: list."""


@lists_group.command("list")
@json_option
@pass_app
def list_lists(app: App, as_json: bool) -> None:
    """List the lists."""
    _show_lists(app, as_json)


def _show_lists(app: App, as_json: bool) -> None:
    lists = PackLists(app.data).all()
    if as_json:
        say_json({"lists": {name: list(paths) for name, paths in lists.items()}}, indent=1)
    elif lists:
        say_table(("list", "packs"), [(name, len(packs_of_list(paths))) for name, paths in lists.items()])
    else:
        say("no lists yet; make one: stablenew packs lists add NAME PACK...")


def packs_of_list(paths: Sequence[str]) -> list[str]:
    """The packs of a list, as far as its folders can be read."""
    return list(dict.fromkeys(_quietly(paths)))


def _quietly(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        try:
            yield from packs_of([path])
        except UserError as error:
            warn(f"stablenew: {error}")


@lists_group.command("show")
@click.argument("name")
@json_option
@pass_app
def show_list(app: App, name: str, as_json: bool) -> None:
    """Show the packs of the list NAME, those in its folders too."""
    paths = PackLists(app.data).get(name)
    packs = packs_of_list(paths)
    if as_json:
        say_json({"name": name, "paths": list(paths), "packs": packs}, indent=1)
        return
    for pack in packs:
        say(_near(pack) if Path(pack).exists() else f"{_near(pack)} (missing)")


@lists_group.command("add")
@click.argument("name")
@click.argument("packs", metavar="PACK...", nargs=-1, required=True)
@json_option
@pass_app
def add_to_list(app: App, name: str, packs: tuple[str, ...], as_json: bool) -> None:
    """Put packs, or folders of packs, into the list NAME; makes it if there is none."""
    paths = []
    for given in packs:
        path = Path(given).expanduser().absolute()
        paths.append(str(path if path.is_dir() else read_pack(given).path))
    now = PackLists(app.data).add(name, paths)
    tell(
        as_json,
        {"name": name, "paths": list(now)},
        f"list {name}: {plural(len(now), 'path')}",
    )


@lists_group.command("remove")
@click.argument("name")
@click.argument("packs", metavar="[PACK]...", nargs=-1)
@json_option
@pass_app
def remove_from_list(app: App, name: str, packs: tuple[str, ...], as_json: bool) -> None:
    """Take packs out of the list NAME; without any, forget the list. The files stay."""
    lists = PackLists(app.data)
    if not packs:
        lists.drop(name)
        tell(as_json, {"name": name, "paths": []}, f"list {name}: forgotten; its packs are where they were")
        return
    now = lists.remove(name, [str(Path(pack).expanduser().absolute()) for pack in packs])
    tell(
        as_json,
        {"name": name, "paths": list(now)},
        f"list {name}: {plural(len(now), 'path')}",
    )
