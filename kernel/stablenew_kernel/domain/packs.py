"""Prompt packs: the text of a file in, its rows out. Pure; what can't be read is reported with line and column.

``NAME.txt`` is one prompt a block: blocks are separated by blank lines, ``#`` starts a comment line, ``neg:``
starts a line of the negative prompt, and the lines of a block are joined with one space. ``NAME.tsv`` is one
prompt a line: positive, tab, negative. The text of a row is kept as the file has it; what the tokens in it turn
into is decided at plan time (:mod:`stablenew_kernel.domain.tokens`).
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stablenew_api.errors import UserError
from stablenew_kernel.domain.randomizer.grammar import Finding, parse

_LINE_END = re.compile(r"\r\n|\r|\n")
_NEGATIVE = re.compile(r"\s*neg:\s*", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a pack that keeps a row from being run."""

    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    reason: str
    fix: str
    row: int = 0
    """From 1; 0 when it belongs to no row."""

    def __str__(self) -> str:
        where = f"row {self.row}, line {self.line}" if self.row else f"line {self.line}"
        return f"{where}, column {self.column}: {self.reason}; {self.fix}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text taken from one line of the file."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a pack, before any token rule."""

    number: int
    """From 1."""
    line: int
    """Line in the file where the row's text begins, from 1."""
    positive: str
    negative: str
    template: str
    """The row's lines as the file has them, comments left out."""
    places: tuple[tuple[Piece, ...], tuple[Piece, ...]] = ((), ())
    """Where the text of positive and negative comes from."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A prompt pack, as read."""

    name: str
    """File name, with its ending."""
    sha256: str
    """Hex digest of the file's bytes: the version of the pack."""
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def title(self) -> str:
        """The name without its ending."""
        stem, dot, ending = self.name.rpartition(".")
        return stem if dot and stem and ending.lower() in ("txt", "tsv") else self.name


def parse_pack(name: str, data: bytes) -> Pack:
    """Read a pack. ``name`` is its file name; ``.tsv`` chooses the tab-separated format.

    A byte order mark, Windows line ends and odd white space are fine. Raises UserError, with the line, for what
    is no UTF-8 text, and for a pack without a single row. Rows that cannot be run (a brace that is never
    closed) are listed in :attr:`Pack.problems`; planning refuses them.
    """
    text = _decode(name, data)
    lines = _LINE_END.split(text)
    tab_separated = name.lower().endswith(".tsv")
    rows: list[Row] = []
    problems: list[Problem] = []
    for pieces in _tsv_rows(lines) if tab_separated else _txt_rows(lines):
        number = len(rows) + 1
        positive, negative, template = pieces
        places = tuple(_texts(positive)), tuple(_texts(negative))
        texts = _join(places[0]), _join(places[1])
        rows.append(Row(number, template[0].line, *texts, _lines(template), places))
        for part in places:
            problems.extend(_problems(number, part))
    if not rows:
        shape = "one prompt a line, a tab before its negative prompt" if tab_separated else "one prompt a block"
        raise UserError(f"pack {name}: no prompt in it; write {shape}")
    return Pack(name, hashlib.sha256(data).hexdigest(), tuple(rows), tuple(problems))


def _decode(name: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"pack {name}: UTF-16 text; save it as UTF-8")
    body = data.removeprefix(_BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line_of(body, error.start)
        raise UserError(
            f"pack {name}, line {line}: byte 0x{body[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error
    if (at := text.find("\0")) >= 0:
        line = len(_LINE_END.findall(text, 0, at)) + 1
        raise UserError(f"pack {name}, line {line}: a NUL byte; this is no text file, or a damaged one")
    return text


def _line_of(data: bytes, at: int) -> int:
    before = data[:at].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


_RowPieces = tuple[list[Piece], list[Piece], list[Piece]]
"""Positive, negative, and the lines whole."""


def _piece(line: str, number: int, start: int = 0) -> Piece:
    rest = line[start:]
    return Piece(rest.strip(), number, start + len(rest) - len(rest.lstrip()) + 1)


def _txt_rows(lines: Iterable[str]) -> Iterator[_RowPieces]:
    block: _RowPieces = ([], [], [])
    for number, line in enumerate([*lines, ""], start=1):
        if line.isspace() or not line:
            if block[2]:
                yield block
            block = ([], [], [])
        elif not line.lstrip().startswith("#"):
            negative = _NEGATIVE.match(line)
            piece = _piece(line, number, negative.end() if negative else 0)
            block[1 if negative else 0].append(piece)
            block[2].append(Piece(line, number, 1))


def _tsv_rows(lines: Iterable[str]) -> Iterator[_RowPieces]:
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        tab = line.find("\t")
        positive = _piece(line if tab < 0 else line[:tab], number)
        negative = [] if tab < 0 else [_piece(line, number, tab + 1)]
        yield [positive], negative, [Piece(line, number, 1)]


def _texts(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.text]


def _join(pieces: Sequence[Piece]) -> str:
    return " ".join(piece.text for piece in pieces)


def _lines(pieces: list[Piece]) -> str:
    return "\n".join(piece.text for piece in pieces)


def _problems(row: int, pieces: Sequence[Piece]) -> Iterator[Problem]:
    yield from (
        located(row, finding, pieces) for finding in parse(" ".join(piece.text for piece in pieces)).problems
    )


def located(row: int, finding: Finding, pieces: Sequence[Piece]) -> Problem:
    """``finding``, whose place is in the joined ``pieces`` of ``row``, by line and column of the file."""
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece.text) + 1)
    index = min(bisect_right(starts, finding.at) - 1, len(pieces) - 1)
    piece = pieces[index]
    return Problem(piece.line, piece.column + finding.at - starts[index], finding.reason, finding.fix, row)
