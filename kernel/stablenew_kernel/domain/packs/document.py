"""A pack that can be changed and written back without losing anything.

What is read and written unchanged is the same, byte for byte. A change touches the lines of its row alone (in
a ``.json``, the values of its slot); comments, blank lines, a byte order mark, line ends, white space at the
ends of lines and a last line without an end stay. After each change the new text is read again: a document
never becomes one whose rows are not what was asked for.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.jsontext import JsonText
from stablenew_kernel.domain.packs.model import Row
from stablenew_kernel.domain.packs.read import ending_of, read_rows
from stablenew_kernel.domain.packs.slots import FIELDS, SLOTS, Slot, has_slots, new_slot, next_index, read_slots
from stablenew_kernel.domain.packs.text import BOM, decode, keep_ends, read_fields, read_line, split_lines

_HEADER = re.compile(r"#\s*[\w -]+:(?!//)")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

Texts = tuple[str, str]
"""Positive and negative."""


def open_document(name: str, data: bytes) -> Document:
    """The document in the file ``name``; it may have no rows. Raises UserError as
    :func:`~stablenew_kernel.domain.packs.read.parse_pack` does."""
    text = decode(f"pack {name}", data)
    bom = data.startswith(BOM)
    if ending_of(name) == ".json":
        if not has_slots(JsonText(f"pack {name}", text)):
            read_rows(name, text)  # says what is missing
        return JsonDocument(name, bom, text, _rows(name, text))
    return TextDocument(name, bom, text, _rows(name, text))


def _rows(name: str, text: str) -> tuple[Row, ...]:
    if ending_of(name) == ".json" and JsonText(name, text).find((*SLOTS, 0)) is None:
        return ()
    return read_rows(name, text)[0]


@dataclass(frozen=True, slots=True)
class Document(ABC):
    """A pack as text. Never changes: each edit gives a new one.

    Texts are given as people write them: white space at the ends of lines does not count, and a line break is
    one space of the prompt (a ``.txt`` keeps it as a line break). Every edit raises UserError for a row that is
    not there, and for text that the format cannot hold.
    """

    name: str
    bom: bool
    text: str
    """Without the byte order mark."""
    rows: tuple[Row, ...]

    def to_bytes(self) -> bytes:
        """The content of the file."""
        return (BOM if self.bom else b"") + self.text.encode("utf-8")

    def set_row(self, number: int, *, positive: str | None = None, negative: str | None = None) -> Self:
        """With another prompt or negative prompt for row ``number``; None leaves it, ``""`` takes the negative
        prompt out."""
        row = self._row(number)
        document = self
        for kind, given in (("positive", positive), ("negative", negative)):
            if given is None:
                continue
            lines = self._lines(given, kind)
            if " ".join(lines) == getattr(row, kind):
                continue
            wanted = document._texts()
            texts = [*wanted[number - 1]]
            texts[kind == "negative"] = " ".join(lines)
            wanted[number - 1] = (texts[0], texts[1])
            document = document._become(document._with_row(document.rows[number - 1], kind, lines), wanted)
        return document

    def add_row(self, positive: str, negative: str = "", at: int | None = None) -> Self:
        """With a new row, as row ``at``; None: as the last one."""
        place = len(self.rows) + 1 if at is None else at
        if not 1 <= place <= len(self.rows) + 1:
            raise UserError(f"pack {self.name}: a new row can be row 1 to {len(self.rows) + 1}, not {place}")
        lines = self._lines(positive, "positive"), self._lines(negative, "negative")
        wanted = self._texts()
        wanted.insert(place - 1, (" ".join(lines[0]), " ".join(lines[1])))
        return self._become(self._with_new(place, *lines), wanted)

    def remove_row(self, number: int) -> Self:
        """Without row ``number``. Comments stay."""
        row = self._row(number)
        wanted = self._texts()
        del wanted[number - 1]
        return self._become(self._without(row), wanted)

    def move_row(self, number: int, to: int) -> Self:
        """With row ``number`` as row ``to``; the comments in its block go with it."""
        row = self._row(number)
        self._row(to)
        wanted = self._texts()
        wanted.insert(to - 1, wanted.pop(number - 1))
        return self if to == number else self._become(self._moved(row, to), wanted)

    def _row(self, number: int) -> Row:
        if not 1 <= number <= len(self.rows):
            has = "no rows" if not self.rows else f"rows 1 to {len(self.rows)}"
            raise UserError(f"pack {self.name}: there is no row {number}; it has {has}")
        return self.rows[number - 1]

    def _texts(self) -> list[Texts]:
        return [(row.positive, row.negative) for row in self.rows]

    def _lines(self, text: str, kind: str) -> list[str]:
        """The lines of a text that somebody gave, without the blank ones."""
        if (bad := _UNWRITABLE.search(text)) is not None:
            what = "a NUL character" if bad[0] == "\0" else "half of a surrogate pair"
            raise UserError(f"{kind} text, character {bad.start() + 1}: {what}, which no file can hold")
        lines = [line.strip() for line in split_lines(text) if line.strip()]
        if kind == "positive" and not lines:
            raise UserError("a row needs a prompt; to take the row out, remove it")
        return lines

    def _become(self, text: str, wanted: Sequence[Texts]) -> Self:
        """This document with another text, whose rows must be ``wanted``."""
        rows = _rows(self.name, text)
        lost = not self.bom and text.startswith("\ufeff")
        if lost or [(row.positive, row.negative) for row in rows] != wanted:
            raise UserError(
                f"pack {self.name}: this text would not be read back as it is from a {ending_of(self.name)} "
                "file (it begins with #, neg: or an invisible mark, or holds a tab); word it differently"
            )
        return replace(self, text=text, rows=rows)

    @abstractmethod
    def _with_row(self, row: Row, kind: str, lines: Sequence[str]) -> str:
        """The text with ``lines`` (none: nothing) as the row's positive or negative."""

    @abstractmethod
    def _with_new(self, at: int, positive: Sequence[str], negative: Sequence[str]) -> str:
        """The text with a new row ``at``."""

    @abstractmethod
    def _without(self, row: Row) -> str:
        """The text without ``row``."""

    @abstractmethod
    def _moved(self, row: Row, to: int) -> str:
        """The text with ``row`` as row ``to``, which is another place."""


# --- .txt and .tsv --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextDocument(Document):
    """A ``.txt`` or ``.tsv``."""

    @property
    def _tab_separated(self) -> bool:
        return ending_of(self.name) == ".tsv"

    def _with_row(self, row: Row, kind: str, lines: Sequence[str]) -> str:
        file = keep_ends(self.text)
        if self._tab_separated:
            at = row.line - 1
            file[at] = _with_field(file[at], kind, " ".join(lines))
            return self._joined(file)
        start, stop = self._block(file, row)
        read = {at: read_line(_content(file[at])) for at in range(start, stop)}
        same = [at for at, (found, _, _) in read.items() if found == kind]
        own = [at for at, (found, _, _) in read.items() if found != "comment"]
        texts = [read[at][1] for at in same]
        new = list(lines)
        if len(new) == 1 and len(same) > 1:
            new = _as_lines(texts, new[0])
        head, tail = _common(texts, new)
        old, new = same[head : len(same) - tail], new[head : len(new) - tail]
        label = "neg: " if kind == "negative" else ""
        if old:
            last = old[-1]
        elif head:
            last = same[head - 1]
        elif tail:
            last = same[0] - 1
        else:
            last = own[-1] if kind == "negative" else own[0] - 1
        for at, text in zip(old, new, strict=False):
            _, was, column = read[at]
            content = _content(file[at])
            end = file[at][len(content) :]
            file[at] = content[: column - 1] + text + content[column - 1 + len(was) :] + end
        if len(new) > len(old):
            more = [label + text for text in new[len(old) :]]
            file[last + 1 : last + 1] = self._ended(more)
        for at in reversed(old[len(new) :]):
            del file[at]
        return self._joined(file)

    def _with_new(self, at: int, positive: Sequence[str], negative: Sequence[str]) -> str:
        if self._tab_separated:
            block = ["\t".join([" ".join(positive), *([" ".join(negative)] if negative else [])])]
        else:
            block = [*positive, *(f"neg: {line}" for line in negative)]
        return self._joined(self._inserted(keep_ends(self.text), self.rows, at, self._ended(block)))

    def _without(self, row: Row) -> str:
        file = keep_ends(self.text)
        start, stop = self._block(file, row)
        comments = [line for line in file[start:stop] if _content(line).lstrip().startswith("#")]
        return self._joined(self._cut(file, start, stop, comments))

    def _moved(self, row: Row, to: int) -> str:
        file = keep_ends(self.text)
        start, stop = self._block(file, row)
        start = self._behind_header(file, start)
        block = file[start:stop]
        rest = self._joined(self._cut(file, start, stop, []))
        rows = read_rows(self.name, rest)[0]
        return self._joined(self._inserted(keep_ends(rest), rows, to, block))

    def _block(self, file: Sequence[str], row: Row) -> tuple[int, int]:
        """First line (from 0) and the line behind the last one of the row's block, comments in it included."""
        start = row.line - 1
        stop = start + 1
        if not self._tab_separated:
            while start and not _is_blank(file[start - 1]):
                start -= 1
            while stop < len(file) and not _is_blank(file[stop]):
                stop += 1
        return start, stop

    def _behind_header(self, file: Sequence[str], start: int) -> int:
        """Where the block at ``start`` begins without the pack's header of ``# key: value`` lines."""
        while start < len(file) and all(_HEADER.match(line) for line in file[: start + 1]):
            start += 1
        return start

    def _cut(self, file: list[str], start: int, stop: int, left: list[str]) -> list[str]:
        """``file`` with ``left`` in the place of a block; with nothing left, a blank line beside it goes."""
        alone = not left and (start == 0 or _is_blank(file[start - 1]))
        if alone and not self._tab_separated:
            if stop < len(file) and _is_blank(file[stop]):
                stop += 1
            elif stop == len(file) and start:
                start -= 1
        return [*file[:start], *left, *file[stop:]]

    def _inserted(self, file: list[str], rows: Sequence[Row], at: int, block: list[str]) -> list[str]:
        """``file``, whose rows are ``rows``, with ``block`` as row ``at``."""
        gap = [] if self._tab_separated else self._ended([""])
        if at <= len(rows):
            start = self._behind_header(file, self._block(file, rows[at - 1])[0])
            return [*file[:start], *block, *gap, *file[start:]]
        file = self._ended(file)
        return [*file, *(gap if file and not _is_blank(file[-1]) else []), *block]

    @property
    def _newline(self) -> str:
        """The end of the first line."""
        first = keep_ends(self.text[: self.text.find("\n") + 1] or self.text)
        return first[0][len(_content(first[0])) :] or "\n" if first else "\n"

    def _ended(self, lines: Sequence[str]) -> list[str]:
        """``lines``, each with an end."""
        newline = self._newline
        return [line if line.endswith(("\r", "\n")) else line + newline for line in lines]

    def _joined(self, lines: Sequence[str]) -> str:
        """The lines as one text that ends as this document does: with a line end, or without."""
        file = self._ended(lines)
        for at in range(1, len(file)):
            if file[at] == "\n" and file[at - 1].endswith("\r"):
                file[at - 1] += "\n"  # or the two would become one line end
        if file and self.text and not self.text.endswith(("\r", "\n")):
            file[-1] = _content(file[-1])
        return "".join(file)


def _content(line: str) -> str:
    return line.rstrip("\r\n")


def _is_blank(line: str) -> bool:
    return not line.strip()


def _with_field(line: str, kind: str, text: str) -> str:
    """A line of a ``.tsv`` with another positive or negative."""
    content = _content(line)
    end = line[len(content) :]
    fields = read_fields(content)
    assert fields is not None
    positive, negative = fields
    if kind == "positive":
        start = positive.column - 1 if positive.text else 0
        return content[:start] + text + content[start + len(positive.text) :] + end
    if negative is None:
        return f"{content}\t{text}{end}" if text else line
    if not text:
        return content[: content.index("\t")] + end
    start = negative.column - 1
    return content[:start] + text + content[start + len(negative.text) :] + end


def _as_lines(old: Sequence[str], text: str) -> list[str]:
    """``text`` divided as the lines ``old`` of a prompt were: what it shares with them at its beginning and end
    stays on lines of its own."""
    head, tail, rest = 0, 0, text
    while head < len(old) - 1 and rest.startswith(old[head] + " "):
        rest = rest[len(old[head]) + 1 :]
        head += 1
    while tail < len(old) - head - 1 and rest.endswith(" " + old[-1 - tail]):
        rest = rest[: -len(old[-1 - tail]) - 1]
        tail += 1
    kind, words, _ = read_line(rest)
    if rest != words or kind != "positive":
        return [text]
    return [*old[:head], rest, *old[len(old) - tail :]]


def _common(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines both have at their beginning, and how many at their end."""
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    left = shorter - head
    tail = next((at for at in range(left) if old[-1 - at] != new[-1 - at]), left)
    return head, tail


# --- .json ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonDocument(Document):
    """A sidecar that has rows of its own."""

    def _with_row(self, row: Row, kind: str, lines: Sequence[str]) -> str:
        fields = FIELDS[:3] if kind == "positive" else FIELDS[3:]
        words = fields[1]
        slot = self._slot(row)
        before = "".join(f"{tag} " for tag in slot.parts[fields[0]])
        after = "".join(f" {tag}" for tag in slot.parts["loras"]) if kind == "positive" else ""
        text = "\n".join(lines)
        inner = text[len(before) : len(text) - len(after)]
        changes: dict[str, JsonValue] = {words: inner}
        fits = text.startswith(before) and text.endswith(after) and len(before) + len(after) < len(text)
        if not fits or inner != inner.strip():
            changes = {words: text, **{field: [] for field in fields if field != words and slot.parts[field]}}
        result = self.text
        for field, value in changes.items():
            doc = JsonText(self.name, result)
            node = doc.find((*SLOTS, slot.index))
            assert node is not None
            result = doc.member_set(node.start, field, value)
        return result

    def _with_new(self, at: int, positive: Sequence[str], negative: Sequence[str]) -> str:
        doc = JsonText(self.name, self.text)
        slots = doc.find(SLOTS)
        assert slots is not None
        assert isinstance(slots.value, list)
        index = self._slot(self.rows[at - 1]).index if at <= len(self.rows) else len(slots.value)
        value = new_slot(next_index(slots.value), "\n".join(positive), "\n".join(negative))
        return doc.element_added(slots.start, index, value)

    def _without(self, row: Row) -> str:
        doc = JsonText(self.name, self.text)
        slots = doc.find(SLOTS)
        assert slots is not None
        return doc.element_removed(slots.start, self._slot(row).index)

    def _moved(self, row: Row, to: int) -> str:
        doc = JsonText(self.name, self.text)
        slots = doc.find(SLOTS)
        assert slots is not None
        return doc.element_moved(slots.start, self._slot(row).index, self._slot(self.rows[to - 1]).index)

    def _slot(self, row: Row) -> Slot:
        return read_slots(JsonText(self.name, self.text), [])[row.number - 1]
