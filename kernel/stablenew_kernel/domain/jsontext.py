"""JSON files that people write by hand: read with the place of everything that is wrong, edited in place.

An edit changes the text of the value that it names and nothing else: order, layout, line ends, a byte order
mark and all that we do not know stay as they are. Python's own parser does the reading; the slower scanner
here, which knows where each value stands, is asked only for a place or an edit.
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
_TEXT = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r'[^\s,:\[\]{}"]+')
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
        node = _scan(self.text)
        at = -1
        for key in path:
            member = node.member(key)
            if member is None:
                return ""
            node, at = member.node, member.start
        return _line_column(self.text, at) if at >= 0 else ""

    def put(self, path: Sequence[str], value: JsonValue, *, instead_of: Sequence[str] = ()) -> JsonFile:
        """With ``value`` at ``path``; objects on the way are made. Of the names in ``instead_of`` (other names
        of the last key) the one that is there gives its place to the new name, further ones go.

        A value that is there already changes nothing. Raises UserError where something on the way is no object.
        """
        if path[-1] not in (here := _object_at(self, path[:-1])):
            old = next((name for name in instead_of if name in here), None)
            if old is not None:
                member = _member(_scan(self.text), [*path[:-1], old])
                renamed = _splice(self.text, member.start, member.key_end, _dump(path[-1], "", "\n"))
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
        parent = _scan(self.text)
        for key in path[:-1]:
            parent = _member(parent, [key]).node
        at = next(index for index, member in enumerate(parent.members) if member.key == path[-1])
        if at:  # with the comma in front of it
            start, end = parent.members[at - 1].node.end, parent.members[at].node.end
        elif len(parent.members) > 1:  # with the comma behind it
            start, end = parent.members[0].start, parent.members[1].start
        else:
            start, end = parent.start + 1, parent.end - 1
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
    if not isinstance(value, dict):
        raise UserError(f"{name}: must be one JSON object of sections, not {kind_of(value)}")
    return value


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

    def look(node: _Node) -> Iterator[tuple[_Member, _Member]]:
        seen: dict[str, _Member] = {}
        for member in node.members:
            if member.key in seen:
                yield seen[member.key], member
            seen[member.key] = member
            yield from look(member.node)
        for item in node.items:
            yield from look(item)

    first, second = next(look(_scan(text)))
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


@dataclass(slots=True)
class _Node:
    """A value: ``text[start:end]``."""

    start: int
    end: int
    members: list[_Member]
    """Of an object."""
    items: list[_Node]
    """Of a list."""

    def member(self, key: str) -> _Member | None:
        return next((member for member in self.members if member.key == key), None)


@dataclass(slots=True)
class _Member:
    key: str
    start: int
    key_end: int
    node: _Node


@lru_cache(maxsize=8)
def _scan(text: str) -> _Node:
    """The value in ``text``, which is valid JSON and not nested deeply. Do not change the result."""
    return _value(text, _skip(text, 0))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int) -> _Node:
    node = _Node(at, at, [], [])
    sign = text[at]
    if sign == '"':
        node.end = _TEXT.raw_decode(text, at)[1]
    elif sign in "[{":
        close = "]" if sign == "[" else "}"
        at = _skip(text, at + 1)
        while text[at] != close:
            if text[at] == ",":
                at = _skip(text, at + 1)
            if sign == "[":
                item = _value(text, at)
                node.items.append(item)
            else:
                key, key_end = _TEXT.raw_decode(text, at)
                item = _value(text, _skip(text, _skip(text, key_end) + 1))
                node.members.append(_Member(key, at, key_end, item))
            at = _skip(text, item.end)
        node.end = at + 1
    else:
        found = _SCALAR.match(text, at)
        assert found is not None
        node.end = found.end()
    return node


def _member(node: _Node, path: Sequence[str]) -> _Member:
    member = node.member(path[0])
    assert member is not None
    return member if len(path) == 1 else _member(member.node, path[1:])


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
    node = _scan(text)
    for depth, key in enumerate(path, 1):
        member = node.member(key)
        if member is None:
            for inner in reversed(path[depth:]):
                value = {inner: value}
            return _insert(text, node, key, value)
        node = member.node
    margin = _margin(text, node.start)
    return _splice(text, node.start, node.end, _dump(value, margin, _newline(text), _indent(text)))


def _insert(text: str, parent: _Node, key: str, value: JsonValue) -> str:
    """``parent`` with one more member at its end, laid out like the ones before it."""
    newline, indent = _newline(text), _indent(text)
    if parent.members:
        first, last = parent.members[0], parent.members[-1]
        colon = text[last.key_end : last.node.start]
        gap = text[parent.start + 1 : first.start]  # what stands in front of a member
        if "\n" not in gap and len(parent.members) > 1:
            gap = text[text.index(",", first.node.end) + 1 : parent.members[1].start]
        elif "\n" not in gap:
            gap = " " if colon.endswith(" ") else ""
        margin = gap.rpartition("\n")[2] if "\n" in gap else _margin(text, parent.start)
        new = f"{_dump(key, '', newline)}{colon}{_dump(value, margin, newline, indent)}"
        return _splice(text, last.node.end, last.node.end, f",{gap}{new}")
    outer = _margin(text, parent.start)
    new = f"{_dump(key, '', newline)}: {_dump(value, outer + indent, newline, indent)}"
    return _splice(text, parent.start, parent.end, f"{{{newline}{outer}{indent}{new}{newline}{outer}}}")


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
