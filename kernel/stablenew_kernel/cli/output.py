"""Writing to the terminal or into a pipe: tables, JSON, times.

Text that came from people, packs or nodes is never read as markup, and a piped table is neither cut nor
coloured, so that ``grep`` and ``awk`` see everything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from rich.console import Console


class ReaderGone(Exception):
    """Whoever read our standard output has seen enough: ``stablenew runs | head -1``."""


def say(text: str = "") -> None:
    """One line on standard output. Raises ReaderGone when nobody is there to read it."""
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        raise ReaderGone from error


def warn(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """``value`` as JSON on standard output; one line unless ``indent`` is given.

    Letters beyond ASCII are escaped where the stream could not carry them (a Windows pipe in code page 1252).
    """
    utf8 = "utf" in (sys.stdout.encoding or "").lower()
    say(json.dumps(value, ensure_ascii=not utf8, indent=indent))


def plain(message: Message) -> dict[str, Any]:
    """``message`` for ``--json``: fields by name, and ``spec_json`` and the like as the JSON that they hold."""
    from stablenew_client import to_plain

    result: dict[str, Any] = _parse_json_fields(to_plain(message))
    return result


def _parse_json_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_parse_json_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for name, item in value.items():
        if name.endswith("_json") and isinstance(item, str):  # bytes, which to_plain wrote as hex
            data = bytes.fromhex(item)
            result[name.removesuffix("_json")] = json.loads(data) if data else None
        else:
            result[name] = _parse_json_fields(item)
    return result


def tell(as_json: bool, value: Any, text: str) -> None:
    """The outcome of a change: ``value`` for a script or ``text`` for a person."""
    if as_json:
        say_json(value, indent=1)
    else:
        say(text)


def make_console(stream: TextIO | None = None) -> Console:
    """A console that takes text as it is."""
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


def say_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, keep: Sequence[str] = ()) -> None:
    """A table: drawn to the width of a terminal, or aligned columns in full in a pipe.

    ``keep`` names the columns that are never folded, such as ids that people copy.
    """
    cells = [[one_line_cell(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for header in headers:
            table.add_column(header, no_wrap=header in keep, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        make_console().print(table)
        return
    widths = [max(len(line[column]) for line in [list(headers), *cells]) for column in range(len(headers))]
    for line in [list(headers), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def one_line_cell(value: object) -> str:
    """``value`` without line breaks."""
    return " ".join(str(value).split())


def say_fields(fields: Mapping[str, object]) -> None:
    """``name: value`` lines, aligned; empty values are left out."""
    shown = {name: one_line_cell(value) for name, value in fields.items() if value not in ("", None)}
    width = max((len(name) for name in shown), default=0) + 1
    for name, value in shown.items():
        say(f"{name + ':':<{width}} {value}")


def seconds(value: float) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def gigabytes(count: int) -> str:
    """Bytes for people, in GiB."""
    return f"{count / 2**30:.1f} GiB"


def plural(count: int, word: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
