"""What the prompt editor reads of a pack and of a text, and how it comes to the new content of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stablenew_client.packfiles import PackFiles, read_pack, request_of
from stablenew_plugins.desktop.models.packs.rowedits import EditRow, Texts, edits

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import packs_pb2 as pb

Kind = Literal["positive", "negative"]
KINDS: Sequence[Kind] = ("positive", "negative")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel says about a text."""

    text: str = ""
    spans: Sequence[pb.Span] = ()
    problems: Sequence[pb.PackProblem] = ()
    tokens: int = 0
    models: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pack as it is on the disk, with all of its rows."""

    files: PackFiles
    rows: Sequence[Texts]
    answer: pb.DescribePackResponse
    wildcards: Sequence[str]
    """Names of those that go along."""


def read_rows(kernel: KernelClient, path: Path) -> Loaded:
    """The pack on the disk, with all of its rows. Raises as the client does."""
    files = read_pack(str(path))
    request = request_of(files)
    answer = kernel.packs.describe(request, check=True, rows=0)
    beside = [file.name.rpartition(".")[0] for file in request.wildcards if file.name.endswith(".txt")]
    return Loaded(files, [(row.positive, row.negative) for row in answer.rows], answer, beside)


def settled(row: EditRow, number: int | None, sent: Sequence[EditRow], written: Sequence[Texts]) -> EditRow:
    """``row`` behind a save in which it was row ``number`` of ``sent``: as it was written, if it is as sent."""
    if number is None:
        return replace(row, origin=None)
    positive, negative = written[number] if row.texts == sent[number].texts else row.texts
    return EditRow(row.key, positive, negative, number)


def edited(kernel: KernelClient, files: PackFiles, base: Sequence[Texts], rows: Sequence[EditRow]) -> bytes:
    """The content of the pack with ``rows``."""
    found = edits(base, rows)
    return kernel.packs.edit(files.path.name, files.pack, found) if found else files.pack
