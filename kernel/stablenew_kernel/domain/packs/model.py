"""What a pack is made of, and what may be wrong with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stablenew_api.errors import UserError
from stablenew_kernel.domain.randomizer.grammar import Finding

Severity = Literal["error", "warning"]
"""An error keeps its row from running, a warning does not."""


LONGEST_PROMPT = 200_000
"""Characters of a prompt that are looked into. No backend can use that many; a file without line breaks, or no
prompt at all, is what such a text is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a pack that is wrong, or probably not what was meant."""

    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    reason: str
    fix: str
    row: int = 0
    """From 1; 0 when it belongs to no row."""
    severity: Severity = "error"
    file: str = ""
    """Name of the file when it is not the pack itself: the sidecar."""

    def __str__(self) -> str:
        row = f"row {self.row}, " if self.row else ""
        file = f"{self.file}, " if self.file else ""
        return f"{row}{file}line {self.line}, column {self.column}: {self.reason}; {self.fix}"


class PackError(UserError):
    """A pack, or the sidecar beside it, that cannot be read at all, and the place of the reason."""

    def __init__(self, what: str, problem: Problem) -> None:
        """``what`` names the file: ``pack demo.txt``."""
        super().__init__(f"{what}, {problem}")
        self.problem = problem


class Piece(NamedTuple):
    """A run of text taken from one line of the file."""

    text: str
    line: int
    column: int


Places = tuple[Sequence[Piece], Sequence[Piece]]
"""Where the text of positive and negative comes from."""


class Row(NamedTuple):
    """One prompt of a pack, before any token rule."""

    number: int
    """From 1."""
    line: int
    """Line in the file where the row's text begins, from 1."""
    positive: str
    negative: str
    template: str
    """The row's lines as the file has them, comments left out."""
    source: Callable[[int, int], Places] = lambda number, line: ((), ())
    """Finds :attr:`places`: few rows are ever asked for them, and a pack may have very many rows."""

    @property
    def places(self) -> Places:
        """Where the text of positive and negative comes from."""
        return self.source(self.number, self.line)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same text, in the same place."""
        return isinstance(other, Row) and self[:5] == other[:5]

    def __ne__(self, other: object) -> bool:
        """Whether it is another text, or in another place."""
        return not self == other

    def __hash__(self) -> int:
        """Of what counts for equality."""
        return hash(self[:5])


@dataclass(frozen=True, slots=True)
class Pack:
    """A prompt pack, as read."""

    name: str
    """File name, with its ending."""
    sha256: str
    """Hex digest of the file's bytes: the version of the pack."""
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    """Errors: what keeps a row from running, whatever settings it is run with."""

    @property
    def title(self) -> str:
        """The name without its ending."""
        stem, dot, ending = self.name.rpartition(".")
        return stem if dot and stem and ending.lower() in ("txt", "tsv", "json") else self.name


def located(
    row: int, finding: Finding, pieces: Sequence[Piece], severity: Severity = "error", *, file: str = ""
) -> Problem:
    """``finding``, whose place is in the joined ``pieces`` of ``row``, by line and column of the file."""
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece.text) + 1)
    index = min(bisect_right(starts, finding.at) - 1, len(pieces) - 1)
    piece = pieces[index]
    column = piece.column + finding.at - starts[index]
    return Problem(piece.line, column, finding.reason, finding.fix, row, severity, file)
