"""The space of a prompt's variants: counted without being walked, any of them rendered by its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stablenew_api.randomizer import Slot
from stablenew_kernel.domain.randomizer.grammar import Finding
from stablenew_kernel.domain.randomizer.parts import Part, wrap
from stablenew_kernel.domain.randomizer.wildcards import WildcardList
from stablenew_kernel.domain.tokens import resolve

_KEPT = 4096
"""Texts of a slot that are kept once rendered."""


class SpaceError(Exception):
    """A text cannot be resolved."""

    def __init__(self, text: int, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.text = text
        """Which of the texts, from 0."""
        self.finding = finding


@dataclass(frozen=True, slots=True)
class SpaceSlot:
    """A slot of a space."""

    id: str
    kind: str
    """slot, wildcard or choice."""
    mode: str
    """By its sampler sign; empty: none."""
    part: Part
    needs: tuple[str, ...]
    """Ids of the matrix slots and fixed variables inside it."""
    _kept: dict[int, str] = field(default_factory=dict, compare=False, repr=False)

    def to_slot(self) -> Slot:
        """As strategies know it."""
        return Slot(self.id, self.part.size, self.label, self.part.sample if self.part.weighted else None)

    def label(self, index: int) -> str:
        """Option ``index`` as text; matrix slots inside it stay names."""
        if not self.needs:
            return self.text(index)
        names = {slot: slot if "${" in slot else f"[[{slot}]]" for slot in self.needs}
        return self.part.render(index, names)

    def text(self, index: int) -> str:
        """Option ``index`` of a slot without needs."""
        text = self._kept.get(index)
        if text is None:
            text = self.part.render(index, {})
            if len(self._kept) < _KEPT:
                self._kept[index] = text
        return text


@dataclass(frozen=True, slots=True)
class WrapPiece:
    """A wrap whose choices are slots of their own."""

    wrapper: Sequence[Piece]
    inner: Sequence[Piece]


Piece = str | SpaceSlot | WrapPiece
"""What a text is made of."""


class Space:
    """Several texts and their slots."""

    def __init__(
        self,
        texts: Sequence[Sequence[Piece]],
        slots: Mapping[str, SpaceSlot],
        lists: Iterable[WildcardList] = (),
    ) -> None:
        """Use ``Compiler.compile``."""
        self._texts = texts
        self._by_id = slots
        self.slots: tuple[SpaceSlot, ...] = tuple(slots.values())
        """In the order in which they first appear."""
        self.wildcards: Mapping[str, str] = {one.name: one.sha256[:16] for one in lists}
        """Version of each wildcard that was read, by name."""
        self._marked = [_marked(text) for text in texts]
        self.finish = resolve
        """What becomes of a text in which there may be a tag or an escape."""

    def texts(self, picks: Mapping[str, int]) -> list[str]:
        """The texts, with ``picks`` (slot id to option), as a backend gets them."""
        values: dict[str, str] = {}

        def value(piece: Piece) -> str:
            if isinstance(piece, str):
                return piece
            if isinstance(piece, WrapPiece):
                return wrap("".join(map(value, piece.wrapper)), "".join(map(value, piece.inner)))
            if not piece.needs:
                return piece.text(picks[piece.id])
            if piece.id not in values:
                inner = {name: value(self._by_id[name]) for name in piece.needs}
                values[piece.id] = piece.part.render(picks[piece.id], inner)
            return values[piece.id]

        texts = ["".join(map(value, text)) for text in self._texts]
        return [self.finish(text) if marked else text for text, marked in zip(texts, self._marked, strict=True)]

    def columns(self, picks: Mapping[str, Sequence[int]], count: int) -> Iterator[Sequence[str]]:
        """The texts of ``count`` variants, as :meth:`texts` gives them; ``picks`` has a column a slot."""
        if any(slot.needs for slot in self.slots) or any(
            isinstance(piece, WrapPiece) for text in self._texts for piece in text
        ):
            for number in range(count):
                yield self.texts({slot.id: picks[slot.id][number] for slot in self.slots})
            return
        made: list[Iterable[str]] = []
        for text, marked in zip(self._texts, self._marked, strict=True):
            parts: list[Iterable[str]] = []
            before = ""
            for number, piece in enumerate(text):
                if isinstance(piece, SpaceSlot):
                    behind = text[number + 1] if number + 1 < len(text) else ""
                    parts.append(
                        _column(before, piece, behind if isinstance(behind, str) else "", picks[piece.id])
                    )
                    before = ""
                elif isinstance(piece, str) and not parts:
                    before = piece
            if not parts:
                made.append([before] * count)
            elif len(parts) == 1:
                made.append(parts[0])
            else:
                made.append(map("".join, zip(*parts, strict=True)))
            if marked:
                made[-1] = map(self.finish, made[-1])
        yield from zip(*made, strict=True)


def _column(before: str, slot: SpaceSlot, behind: str, picks: Sequence[int]) -> Iterable[str]:
    """What ``slot`` becomes with each of ``picks``, with the texts around it."""
    if not before and not behind:
        return map(slot.text, picks)
    table = {pick: f"{before}{slot.text(pick)}{behind}" for pick in set(picks)}
    return map(table.__getitem__, picks)


def _marked(pieces: Sequence[Piece]) -> bool:
    """Whether a text of ``pieces`` may hold a tag or an escape."""
    return any(
        ("<" in piece or "\\" in piece)
        if isinstance(piece, str)
        else piece.part.marked
        if isinstance(piece, SpaceSlot)
        else _marked(piece.wrapper) or _marked(piece.inner)
        for piece in pieces
    )
