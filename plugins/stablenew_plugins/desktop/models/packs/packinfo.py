"""What is known about a pack of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_client.packfiles import read_pack, request_of
from stablenew_plugins.desktop.models.packs.packdisk import Stamp
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import packs_pb2 as pb


@dataclass(frozen=True, slots=True)
class PackInfo:
    """What the kernel says about a pack."""

    rows: int = 0
    wildcards: int = 0
    slots: int = 0
    choices: int = 0
    errors: int = 0
    warnings: int = 0
    problems: Sequence[str] = ()
    """The first of them, in plain words."""
    text: str = ""
    """What a search looks through, in lower case."""

    @property
    def short(self) -> str:
        """ "24 prompts · 8 slots": all that varies in one number."""
        kinds = [self.wildcards, self.slots, self.choices]
        if sum(count > 0 for count in kinds) < 2:
            return self.line
        prompts = many("{n} prompt", "{n} prompts", self.rows)
        return f"{prompts}  ·  {many('{n} slot', '{n} slots', sum(kinds))}"

    @property
    def line(self) -> str:
        """ "24 prompts · 6 wildcards"."""
        parts = [many("{n} prompt", "{n} prompts", self.rows)]
        if self.wildcards:
            parts.append(many("{n} wildcard", "{n} wildcards", self.wildcards))
        if self.slots:
            parts.append(many("{n} slot", "{n} slots", self.slots))
        if self.choices:
            parts.append(many("{n} choice", "{n} choices", self.choices))
        return "  ·  ".join(parts)


@dataclass(slots=True)
class PackEntry:
    """A pack of the list."""

    path: Path
    stamp: Stamp
    name: str
    info: PackInfo | None = None
    """None: not known yet."""
    described: Stamp = ()
    """What ``info`` is about."""

    @property
    def is_current(self) -> bool:
        """Whether ``info`` is about what is on the disk."""
        return self.described == self.stamp


def describe(kernel: KernelClient, *, path: Path, rows: int) -> pb.DescribePackResponse:
    """What is in the pack ``path``. Raises as the client does."""
    return kernel.packs.describe(request_of(read_pack(str(path))), check=True, rows=rows)


def info_of(path: Path, answer: pb.DescribePackResponse) -> PackInfo:
    """What the kernel says about a pack, in short."""
    kinds = [slot.kind for slot in answer.slots]
    errors = sum(problem.severity == "error" for problem in answer.problems)
    texts = [path.stem, *(slot.name for slot in answer.slots)]
    for row in answer.rows:
        texts += (row.positive, row.negative)
    return PackInfo(
        rows=answer.row_count,
        wildcards=kinds.count("wildcard"),
        slots=kinds.count("slot"),
        choices=kinds.count("choice"),
        errors=errors,
        warnings=len(answer.problems) - errors,
        problems=[in_words(problem) for problem in answer.problems[:3]],
        text="\n".join(texts).lower(),
    )


def in_words(problem: pb.PackProblem) -> str:
    """A problem in a line: where, what, what to do."""
    where = [problem.file] if problem.file else []
    if problem.row:
        where.append(_("row {n}").format(n=problem.row))
    elif problem.line:
        where.append(_("line {n}").format(n=problem.line))
    place = ", ".join(where)
    text = f"{place}: {problem.reason}" if place else problem.reason
    text = text[:1].upper() + text[1:]
    return f"{text}. {problem.fix[:1].upper()}{problem.fix[1:]}." if problem.fix else f"{text}."
