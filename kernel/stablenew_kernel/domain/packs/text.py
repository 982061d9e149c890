"""The text formats: ``NAME.txt``, one prompt a block, and ``NAME.tsv``, one prompt a line.

In a ``.txt`` blocks are separated by blank lines, ``#`` starts a comment line, ``neg:`` starts a line of the
negative prompt, and the lines of a block are joined with one space. A ``.tsv`` has prompt, tab, negative
prompt. The text of a row is kept as the file has it; what the tokens in it turn into is decided at plan time
(:mod:`stablenew_kernel.domain.tokens`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Literal

from stablenew_kernel.domain.packs.model import PackError, Piece, Places, Problem, Row

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

LineKind = Literal["blank", "comment", "positive", "negative"]


def decode(what: str, data: bytes) -> str:
    """The text of a file, without its byte order mark. ``what`` names it in errors: ``pack demo.txt``.

    Raises PackError, with line and column (in characters, from 1), for what is no UTF-8 text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PackError(what, Problem(1, 1, "UTF-16 text", "save it as UTF-8"))
    body = data.removeprefix(BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        good = body[: error.start].decode("utf-8")
        if "\0" not in good:
            line, column = place(good, len(good))
            byte = body[error.start]
            wrong = f"byte 0x{byte:02x} is not UTF-8"
            if byte == 0xED and len(body) > error.start + 1 and body[error.start + 1] >= 0xA0:
                wrong = "half of a surrogate pair"
            raise PackError(what, Problem(line, column, wrong, "save the file as UTF-8")) from error
        text = good
    if (at := text.find("\0")) >= 0:
        line, column = place(text, at)
        raise PackError(what, Problem(line, column, "a NUL byte", "this is no text file, or a damaged one"))
    return text


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column, both from 1, of character ``at`` (from 0)."""
    pairs = text.count("\r\n", 0, at)
    if at and text[at - 1 : at + 1] == "\r\n":
        at -= 1  # inside of a line end: at its beginning
    line = text.count("\n", 0, at) + text.count("\r", 0, at) - pairs + 1
    return line, at - max(text.rfind("\n", 0, at), text.rfind("\r", 0, at))


def split_lines(text: str) -> list[str]:
    """The lines of ``text`` without their ends; ``\\n``, ``\\r\\n`` and ``\\r`` end one."""
    return _LINE_END.split(text) if "\r" in text else text.split("\n")


def keep_ends(text: str) -> list[str]:
    """The lines of ``text`` with their ends: joined, they are ``text`` again."""
    return _LINE.findall(text)


def read_line(line: str) -> tuple[LineKind, str, int]:
    """What a line of a ``.txt`` is, the text in it, and the column (from 1) where that text begins."""
    text = line.strip()
    if not text:
        return "blank", "", 1
    if text[0] == "#":
        return "comment", text, 1
    column = 1 if line[0] == text[0] else len(line) - len(line.lstrip()) + 1
    if text[:4].lower() != "neg:":
        return "positive", text, column
    rest = text[4:].lstrip()
    return "negative", rest, column + len(text) - len(rest)


def read_fields(line: str) -> tuple[Piece, Piece | None] | None:
    """Positive and negative of a line of a ``.tsv`` (the line number is left 0); None: a comment, or blank."""
    text = line.strip()
    if not text or text[0] == "#":
        return None
    tab = line.find("\t")
    positive = _field(line if tab < 0 else line[:tab], 0)
    return positive, None if tab < 0 else _field(line, tab + 1)


def _field(line: str, start: int) -> Piece:
    rest = line[start:]
    return Piece(rest.strip(), 0, start + len(rest) - len(rest.lstrip()) + 1)


def txt_rows(text: str) -> Iterator[Row]:
    """The rows of a ``.txt``."""
    source = TxtPlaces(text).of
    positive: list[str] = []
    negative: list[str] = []
    whole: list[str] = []
    first = count = number = 0
    for line in chain(split_lines(text), ("",)):  # as read_line() has it, without its calls
        number += 1
        words = line.strip()
        if not words:
            if whole:
                count += 1
                yield Row(count, first, " ".join(positive), " ".join(negative), "\n".join(whole), source)
                positive, negative, whole = [], [], []
            continue
        sign = words[0]
        if sign == "#":
            continue
        if not whole:
            first = number
        whole.append(line)
        if sign not in "nN" or words[:4].lower() != "neg:":
            positive.append(words)
        elif rest := words[4:].lstrip():
            negative.append(rest)


class TxtPlaces:
    """Finds where the texts of a ``.txt`` come from."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _lines(self) -> list[str]:
        return split_lines(self._text)

    def of(self, number: int, line: int) -> Places:
        """The pieces of the row that begins in ``line``."""
        found: tuple[list[Piece], list[Piece]] = [], []
        for at in range(line, len(self._lines) + 1):
            kind, words, column = read_line(self._lines[at - 1])
            if kind == "blank":
                break
            if words and kind != "comment":
                found[kind == "negative"].append(Piece(words, at, column))
        return found


def tsv_rows(text: str) -> Iterator[Row]:
    """The rows of a ``.tsv``."""
    lines = split_lines(text)
    count = 0

    def places(number: int, line: int) -> Places:
        fields = read_fields(lines[line - 1]) or ()
        positive, negative = ([field._replace(line=line)] if field and field.text else [] for field in fields)
        return positive, negative

    for number, line in enumerate(lines, start=1):
        fields = read_fields(line)
        if fields is not None:
            count += 1
            positive, negative = fields
            yield Row(count, number, positive.text, negative.text if negative else "", line, places)
