"""JSON files that people write by hand: read with the place of everything that is wrong, edited in place.

An edit changes the text of the value that it names and nothing else: order, layout, line ends, a byte order
mark and all that we do not know stay as they are. Python's own parser does the reading and finds where a value
ends; where one begins is looked for only on the way to a place or an edit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue

MAX_DEPTH = 64
"""Objects and lists inside each other: far more than settings have, far less than Python's stack."""

_BOM = b"\xef\xbb\xbf"
_JSON = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A file that holds one JSON object. Made by :func:`parse_object`; an edit makes a new one."""

    name: str
    """For error texts."""
    text: str
    """Without the byte order mark."""
    bom: bool
    value: Mapping[str, JsonValue]

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return (_BOM if self.bom else b"") + self.text.encode("utf-8")

    def place(self, path: Sequence[str]) -> str:
        """``line 3, column 5``: where the key at ``path`` stands; empty if it is not there."""
        part = _find(self.text, path) if path else None
        return _line_column(self.text, part.start) if part is not None else ""

    def put(self, path: Sequence[str], value: JsonValue, *, instead_of: Sequence[str] = ()) -> JsonFile:
        """With ``value`` at ``path``; objects on the way are made. Of the names in ``instead_of`` (other names
        of the last key) the one that is there gives its place to the new name, further ones go.

        A value that is there already changes nothing. Raises UserError where something on the way is no object.
        """
        if path[-1] not in (here := _object_at(self, path[:-1])):
            old = next((name for name in instead_of if name in here), None)
            if old is not None:
                part = _at(self.text, [*path[:-1], old])
                renamed = _splice(self.text, part.start, part.key_end, _dump(path[-1], "", "\n"))
                return self._with(renamed).put(path, value, instead_of=instead_of)
        edited = self
        for name in instead_of:
            if name in here:
                edited = edited.drop([*path[:-1], name])
        if path[-1] in here and same(here[path[-1]], value):
            return edited
        return edited._with(_put(edited.text, path, value))

    def drop(self, path: Sequence[str]) -> JsonFile:
        """Without the member at ``path``; unchanged if there is none."""
        if path[-1] not in _object_at(self, path[:-1]):
            return self
        above = _at(self.text, path[:-1])
        parts = _parts(self.text, above.value)
        at = next(index for index, part in enumerate(parts) if part.key == path[-1])
        if at:  # with the comma in front of it
            start, end = parts[at - 1].end, parts[at].end
        elif len(parts) > 1:  # with the comma behind it
            start, end = parts[0].start, parts[1].start
        else:
            start, end = above.value + 1, above.end - 1
        return self._with(_splice(self.text, start, end, ""))

    def _with(self, text: str) -> JsonFile:
        return JsonFile(self.name, text, self.bom, _loads(self.name, text))


def parse_object(name: str, data: bytes) -> JsonFile:
    """The JSON object in ``data``, the content of the file ``name``.

    Raises UserError, with line and column, for what is no JSON object, for a key that stands twice in an object
    (which of the two counts is anybody's guess), and for what JSON lacks but people write: comments, a comma
    before a closing bracket, single quotes, NaN.
    """
    body = data.removeprefix(_BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        hint = " (it looks like UTF-16)" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UserError(f"{name}, line {line}: not UTF-8 text{hint}; save the file as UTF-8") from error
    return JsonFile(name, text, len(body) != len(data), _loads(name, text))


def new_object(name: str) -> JsonFile:
    """A file with an empty object."""
    return JsonFile(name, "{\n}\n", False, {})


def same(left: JsonValue, right: JsonValue) -> bool:
    """Whether two values are written alike: 1 is not 1.0, nor true."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


# --- reading -------------------------------------------------------------------------------------------------


class _Twice(ValueError):
    """A key stands twice."""


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _loads(name: str, text: str) -> dict[str, JsonValue]:
    _refuse_depth(name, text)
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        at, what = _plain_reason(text, error)
        raise UserError(
            f"{name}, {_line_column(text, at)}: {what}; the file must be one JSON object"
        ) from error
    except _Twice as error:
        raise UserError(f"{name}, {_repeated(text)}") from error
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    if (half := _HALF.search(text)) and not _is_text(value):
        where = _line_column(text, half.start())
        raise UserError(f"{name}, {where}: {half[0]} is half of a character; remove it, or write the whole one")
    if not isinstance(value, dict):
        raise UserError(f"{name}: must be one JSON object of sections, not {kind_of(value)}")
    return value


def _is_text(value: JsonValue) -> bool:
    """Whether all texts in ``value`` can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_depth(name: str, text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for found in _BRACKETS.finditer(text):
        if (sign := found[0]) in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                where = _line_column(text, found.start())
                raise UserError(f"{name}, {where}: nested too deeply to be settings (more than {MAX_DEPTH})")
        elif sign in "]}":
            depth -= 1


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _plain_reason(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Where, and what is wrong: what people often write that JSON has not, else the parser's words."""
    at = error.pos
    here, before = text[at : at + 2], text[:at].rstrip()
    if here[:1] == "," and (after := text[at + 1 :].lstrip()[:1]) and after in "}]":  # Python 3.13 and later
        return at, f"a comma before {after} belongs to nothing; remove it"
    if here[:1] in ("}", "]") and before.endswith(","):
        return len(before) - 1, f"a comma before {here[0]} belongs to nothing; remove it"
    if here in ("//", "/*") or here[:1] == "#":
        return at, 'JSON has no comments; remove it, or write it as a text: "comment": "..."'
    if here[:1] in ("'", "“", "”"):
        return at, 'texts stand between "double quotes"'
    if not text.strip():
        return at, "the file is empty"
    return at, error.msg


def _repeated(text: str) -> str:
    """``line 4, column 3: steps stands twice ...``: the first key that its object had before."""

    def look(at: int) -> Iterator[tuple[_Part, _Part]]:
        seen: dict[str, _Part] = {}
        for part in _parts(text, at):
            if part.key_end != part.start:
                if part.key in seen:
                    yield seen[part.key], part
                seen[part.key] = part
            yield from look(part.value)

    first, second = next(look(_skip(text, 0)))
    return (
        f"{_line_column(text, second.start)}: {second.key!r} stands twice in its object (first in "
        f"{_line_column(text, first.start)}); remove one of them"
    )


def _line_column(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def kind_of(value: JsonValue) -> str:
    """``a list``, ``a text``, ...: what a value is, for people."""
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# --- where things stand ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of an object, or an item of a list."""

    key: str
    """Empty for an item."""
    start: int
    """Of the key; of an item, of the value."""
    key_end: int
    value: int
    """Where the value begins."""
    end: int
    """Behind the value."""


@lru_cache(maxsize=64)
def _parts(text: str, at: int) -> tuple[_Part, ...]:
    """The members of the object, or the items of the list, that begins at ``at``; none of anything else."""
    if text[at] not in "{[":
        return ()
    is_object, close = text[at] == "{", "}" if text[at] == "{" else "]"
    parts = []
    at = _skip(text, at + 1)
    while text[at] != close:
        start = at = _skip(text, at + 1) if text[at] == "," else at
        key, key_end = "", at
        if is_object:
            key, key_end = _JSON.raw_decode(text, at)
            at = _skip(text, _skip(text, key_end) + 1)
        end = _JSON.raw_decode(text, at)[1]
        parts.append(_Part(key, start, key_end, at, end))
        at = _skip(text, end)
    return tuple(parts)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _find(text: str, path: Sequence[str]) -> _Part | None:
    """The member at ``path``; the whole object for an empty one; None if it is not there."""
    start = _skip(text, 0)
    part = _Part("", start, start, start, len(text.rstrip()))
    for key in path:
        found = next((inner for inner in _parts(text, part.value) if inner.key == key), None)
        if found is None or text[part.value] != "{":
            return None
        part = found
    return part


def _at(text: str, path: Sequence[str]) -> _Part:
    """:func:`_find` of what is there."""
    part = _find(text, path)
    assert part is not None
    return part


# --- editing -------------------------------------------------------------------------------------------------


def _object_at(file: JsonFile, path: Sequence[str]) -> Mapping[str, Any]:
    """The object at ``path``; empty where there is none yet."""
    here: Any = file.value
    for depth, key in enumerate(path, 1):
        here = here.get(key, {})
        if not isinstance(here, Mapping):
            where = file.place(path[:depth])
            name = ".".join(path[:depth])
            raise UserError(f"{file.name}, {where}: {name} must be an object, not {kind_of(here)}")
    found: Mapping[str, Any] = here
    return found


def _put(text: str, path: Sequence[str], value: JsonValue) -> str:
    for depth, key in enumerate(path):
        if _find(text, path[: depth + 1]) is None:
            for inner in reversed(path[depth + 1 :]):
                value = {inner: value}
            return _insert(text, _at(text, path[:depth]), key, value)
    part = _at(text, path)
    margin = _margin(text, part.value)
    return _splice(text, part.value, part.end, _dump(value, margin, _newline(text), _indent(text)))


def _insert(text: str, parent: _Part, key: str, value: JsonValue) -> str:
    """The object ``parent`` with one more member at its end, laid out like the ones before it."""
    newline, indent = _newline(text), _indent(text)
    if parts := _parts(text, parent.value):
        first, last = parts[0], parts[-1]
        colon = text[last.key_end : last.value]
        gap = text[parent.value + 1 : first.start]  # what stands in front of a member
        if "\n" not in gap and len(parts) > 1:
            gap = text[text.index(",", first.end) + 1 : parts[1].start]
        elif "\n" not in gap:
            gap = " " if colon.endswith(" ") else ""
        margin = gap.rpartition("\n")[2] if "\n" in gap else _margin(text, parent.value)
        new = f"{_dump(key, '', newline)}{colon}{_dump(value, margin, newline, indent)}"
        return _splice(text, last.end, last.end, f",{gap}{new}")
    outer = _margin(text, parent.value)
    new = f"{_dump(key, '', newline)}: {_dump(value, outer + indent, newline, indent)}"
    return _splice(text, parent.value, parent.end, f"{{{newline}{outer}{indent}{new}{newline}{outer}}}")


def _dump(value: JsonValue, margin: str, newline: str, indent: str = "  ") -> str:
    """``value`` as JSON; objects on several lines, all but the first begin with ``margin``; the rest in one."""
    if isinstance(value, Mapping) and value:
        inner = margin + indent
        members = f",{newline}".join(
            f"{inner}{_dump(key, '', newline)}: {_dump(item, inner, newline, indent)}"
            for key, item in value.items()
        )
        return f"{{{newline}{members}{newline}{margin}}}"
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Half of a surrogate pair, which JSON can escape, is no UTF-8.
    return text if text.encode("utf-8", "replace").decode("utf-8") == text else json.dumps(value)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str) -> str:
    """What one step inwards is in this file: that of its first indented line; two blanks if there is none."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _margin(text: str, at: int) -> str:
    """The white space that the line of ``at`` begins with."""
    start = text.rfind("\n", 0, at) + 1
    found = re.match(r"[ \t]*", text[start:at])
    return found[0] if found else ""


def _splice(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]
