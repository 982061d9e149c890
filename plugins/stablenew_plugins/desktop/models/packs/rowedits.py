"""Rows of a pack that are being edited, and the least that makes the file's rows into them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stablenew_proto.v1 import packs_pb2 as pb

Texts = tuple[str, str]
"""Positive and negative."""


@dataclass(frozen=True, slots=True)
class EditRow:
    """A row."""

    key: int
    """Its own as long as the pack is open."""
    positive: str
    negative: str
    origin: int | None = None
    """Which row of the file it was, from 0; None: a new one."""

    @property
    def texts(self) -> Texts:
        """Both."""
        return self.positive, self.negative


def edits(base: Sequence[Texts], rows: Sequence[EditRow]) -> Sequence[pb.PackEdit]:
    """What makes the rows ``base`` of a file into ``rows``, one edit after the other.

    Rows that neither changed nor moved are not named: their bytes stay. As few as possible are moved.
    """
    from stablenew_proto.v1 import packs_pb2 as pb

    made: list[pb.PackEdit] = []
    kept = {row.origin for row in rows if row.origin is not None}
    order: list[int] = [
        row.key for row in sorted(rows, key=lambda row: row.origin or 0) if row.origin is not None
    ]
    for number in range(len(base), 0, -1):
        if number - 1 not in kept:
            made.append(pb.PackEdit(remove_row=number))
    still = _in_order(rows)
    for index, row in enumerate(rows):
        if row.key in still:
            continue
        before = rows[index - 1].key if index else None
        if row.origin is None:
            at = order.index(before) + 1 if before is not None else 0
            order.insert(at, row.key)
            new = pb.AddRow(positive=row.positive, negative=row.negative, at=at + 1)
            made.append(pb.PackEdit(add_row=new))
            continue
        at = order.index(row.key)
        order.remove(row.key)
        to = order.index(before) + 1 if before is not None else 0
        order.insert(to, row.key)
        if at != to:
            made.append(pb.PackEdit(move_row=pb.MoveRow(row=at + 1, to=to + 1)))
    for number, row in enumerate(rows, 1):
        if row.origin is None or base[row.origin] == row.texts:
            continue
        change = pb.SetRow(row=number)
        if base[row.origin][0] != row.positive:
            change.positive = row.positive
        if base[row.origin][1] != row.negative:
            change.negative = row.negative
        made.append(pb.PackEdit(set_row=change))
    return made


def _in_order(rows: Sequence[EditRow]) -> set[int]:
    """Keys of as many rows of the file as possible that need not be moved: the longest that ascend."""
    ends: list[int] = []  # origin at the end of the best run of each length
    places: list[int] = []  # its index in `old`
    old = [row for row in rows if row.origin is not None]
    before: list[int] = []
    for index, row in enumerate(old):
        origin = row.origin if row.origin is not None else 0
        at = bisect_left(ends, origin)
        ends[at : at + 1] = [origin]
        places[at : at + 1] = [index]
        before.append(places[at - 1] if at else -1)
    found: set[int] = set()
    index = places[-1] if places else -1
    while index >= 0:
        found.add(old[index].key)
        index = before[index]
    return found


def merge(base: Sequence[Texts], theirs: Sequence[Texts], rows: Sequence[EditRow]) -> Sequence[EditRow]:
    """``rows``, which were made of ``base``, on top of ``theirs``, which somebody made of ``base`` meanwhile.

    What was changed here stays; what was changed or added there comes in; a row that was taken out on one side
    and not changed on the other is out. Nobody's words are lost: a row that both changed is there twice.
    """
    places: dict[Texts, list[int]] = {}
    for number, texts in enumerate(theirs):
        places.setdefault(texts, []).append(number)
    where: dict[int, int] = {}
    for number, texts in enumerate(base):
        if places.get(texts):
            where[number] = places[texts].pop(0)
    merged: list[EditRow] = []
    for row in rows:
        if row.origin is None or row.origin in where:
            merged.append(row if row.origin is None else replace(row, origin=where[row.origin]))
        elif base[row.origin] != row.texts:
            merged.append(replace(row, origin=None))
    known = set(where.values())
    key = max((row.key for row in rows), default=0)
    for number, (positive, negative) in enumerate(theirs):
        if number in known:
            continue
        key += 1
        after = max((i for i, row in enumerate(merged) if row.origin == number - 1), default=None)
        at = 0 if number == 0 else len(merged) if after is None else after + 1
        merged.insert(at, EditRow(key, positive, negative, number))
    return merged
