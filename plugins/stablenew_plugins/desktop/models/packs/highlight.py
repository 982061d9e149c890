"""Pieces of a prompt with what they are, in step with a text that is typed faster than it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class SpanLike(Protocol):
    """As the kernel tells it."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """``text[start:end]`` is a ``kind``; see ``Span`` in packs.proto."""

    start: int
    end: int
    kind: str


def pieces(spans: Sequence[SpanLike], read: str, text: str) -> Sequence[Piece]:
    """The spans of ``read`` as pieces of ``text``, which it has become: together they are all of ``text``.

    What was typed since is plain text, and so is a piece that was changed in the middle.
    """
    if not text:
        return []
    shortest = min(len(read), len(text))
    same = next((n for n in range(shortest) if read[n] != text[n]), shortest)
    tail = next((n for n in range(shortest - same) if read[-1 - n] != text[-1 - n]), shortest - same)
    moved = len(text) - len(read)
    kept: list[Piece] = []
    for span in spans:
        if span.end <= same:
            kept.append(Piece(span.start, span.end, span.kind))
        elif span.start >= len(read) - tail:
            kept.append(Piece(span.start + moved, span.end + moved, span.kind))
    whole: list[Piece] = []
    at = 0
    for piece in kept:
        if piece.start > at:
            whole.append(Piece(at, piece.start, "text"))
        whole.append(piece)
        at = piece.end
    if at < len(text):
        whole.append(Piece(at, len(text), "text"))
    return whole
