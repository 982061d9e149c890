"""JSON as text: where each value stands, and changes that leave every other character alone."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.model import PackError, Problem

_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_LINE_END = re.compile(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_INDENT = re.compile(r"[\r\n]([ \t]+)\S")
_MAX_DEPTH = 200
"""Deeper than any settings; Python's own reader gives up somewhere above it, at a depth that depends on its
version."""

Path = Sequence[str | int]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


@dataclass(frozen=True, slots=True)
class Node:
    """A member of an object or an element of a list."""

    key: str | int
    """The member's name, or the element's number from 0."""
    begin: int
    """Where it begins: at the name, or at the value."""
    start: int
    """Where the value begins."""
    end: int
    """Behind the value."""
    value: JsonValue


class JsonText:
    """The text of a JSON file that holds one object."""

    def __init__(self, name: str, text: str) -> None:
        """``name`` is the file, for errors. Raises PackError, with line and column, for anything else than one
        JSON object."""
        self.name = name
        self.text = text
        self._line_starts: list[int] = []
        try:
            self.value = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            raise self.wrong(error.pos, error.msg, "the file must be one JSON object") from error
        except RecursionError as error:
            raise self.wrong(_too_deep(text), "nested too deeply", "no settings need that") from error
        except ValueError as error:  # NaN, or a number of thousands of digits
            raise self.wrong(0, str(error), "write a number that JSON knows") from error
        self.start = _skip(text, 0)
        if not isinstance(self.value, dict):
            raise self.wrong(self.start, "this is no JSON object", "the file must be one, of sections")

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, both from 1, of character ``at``."""
        if not self._line_starts:
            self._line_starts = [0, *(end.end() for end in _LINE_END.finditer(self.text))]
        line = bisect_right(self._line_starts, at)
        return line, at - self._line_starts[line - 1] + 1

    def wrong(self, at: int, reason: str, fix: str) -> PackError:
        """An error about character ``at``."""
        return PackError(self.name, Problem(*self.place(at), reason, fix))

    def children(self, start: int) -> list[Node]:
        """What the object or list at ``start`` holds, in order; a name that is there twice, twice."""
        text = self.text
        closing = {"{": "}", "[": "]"}[text[start]]
        at = _skip(text, start + 1)
        nodes: list[Node] = []
        while text[at] != closing:
            begin = at
            key: str | int = len(nodes)
            if closing == "}":
                key, at = _DECODER.raw_decode(text, at)
                at = _skip(text, _skip(text, at) + 1)
            value, end = _DECODER.raw_decode(text, at)
            nodes.append(Node(key, begin, at, end, value))
            at = _skip(text, end)
            if text[at] == ",":
                at = _skip(text, at + 1)
        return nodes

    def find(self, path: Path) -> Node | None:
        """The value at ``path``; None if there is none. Of equal names the last counts, as everywhere."""
        node: Node | None = Node("", self.start, self.start, len(self.text), self.value)
        for key in path:
            if node is None or not isinstance(node.value, dict if isinstance(key, str) else list):
                return None
            found = [child for child in self.children(node.start) if child.key == key]
            node = found[-1] if found else None
        return node

    def where(self, path: Path) -> int:
        """Where the value at ``path`` begins, or the innermost one around it that exists."""
        for length in range(len(path), -1, -1):
            if (node := self.find(path[:length])) is not None:
                return node.start
        raise AssertionError("the empty path always exists")

    def inside(self, start: int, end: int, offsets: Iterable[int]) -> Iterator[int]:
        """Where in the file characters ``offsets`` (rising) of the string from ``start`` to ``end`` stand."""
        escapes = _ESCAPE.finditer(self.text, start + 1, end - 1)
        escape = next(escapes, None)
        extra = 0
        high = -1
        for offset in offsets:
            while escape is not None and escape.start() < start + 1 + offset + extra:
                code = int(escape[0][2:], 16) if len(escape[0]) == 6 else 0
                paired = 0xDC00 <= code < 0xE000 and high == escape.start()
                high = escape.end() if 0xD800 <= code < 0xDC00 else -1
                extra += len(escape[0]) - (not paired)  # a pair of surrogates is one character
                escape = next(escapes, None)
            yield start + 1 + offset + extra

    # --- changes: each returns the new text -------------------------------------------------------------------

    def dumps(self, value: JsonValue) -> str:
        """``value`` in the style of the file: its indentation, and letters escaped where it escapes them."""
        escaped = "\\u" in self.text and self.text.isascii()
        indent = _INDENT.search(self.text)
        return json.dumps(value, ensure_ascii=escaped, indent=indent[1] if indent else None)

    def replaced(self, node: Node, value: JsonValue) -> str:
        """With another value in the place of ``node``."""
        return self.text[: node.start] + self._block(value, node.begin) + self.text[node.end :]

    def member_set(self, parent: int, key: str, value: JsonValue) -> str:
        """With ``key`` of the object at ``parent`` set to ``value``; a new one goes to the end."""
        members = self.children(parent)
        for node in reversed(members):
            if node.key == key:
                return self.replaced(node, value)
        if not members:
            return self._cut(parent + 1, parent + 1, f"{self.dumps(key)}: {self.dumps(value)}")
        last = members[-1]
        added = f",{self._gap(last)}{self.dumps(key)}: {self._block(value, last.begin)}"
        return self._cut(last.end, last.end, added)

    def element_added(self, parent: int, at: int, value: JsonValue) -> str:
        """With ``value`` as element ``at`` (from 0) of the list at ``parent``."""
        elements = self.children(parent)
        if not elements:
            return self._cut(parent + 1, parent + 1, self.dumps(value))
        if at < len(elements):
            node = elements[at]
            return self._cut(node.begin, node.begin, f"{self._block(value, node.begin)},{self._gap(node)}")
        last = elements[-1]
        return self._cut(last.end, last.end, f",{self._gap(last)}{self._block(value, last.begin)}")

    def element_removed(self, parent: int, at: int) -> str:
        """Without element ``at`` of the list at ``parent``."""
        elements = self.children(parent)
        if at + 1 < len(elements):
            return self._cut(elements[at].begin, elements[at + 1].begin, "")
        return self._cut(elements[at - 1].end if at else elements[at].begin, elements[at].end, "")

    def element_moved(self, parent: int, at: int, to: int) -> str:
        """With element ``at`` of the list at ``parent`` as element ``to``: what separates them stays."""
        elements = self.children(parent)
        order = list(elements)
        order.insert(to, order.pop(at))
        parts, done = [], 0
        for place, moved in zip(elements, order, strict=True):
            parts += [self.text[done : place.start], self.text[moved.start : moved.end]]
            done = place.end
        return "".join([*parts, self.text[done:]])

    def _cut(self, start: int, end: int, text: str) -> str:
        return self.text[:start] + text + self.text[end:]

    def _gap(self, node: Node) -> str:
        """The white space in front of ``node``: what goes between it and another one."""
        at = node.begin
        while at and self.text[at - 1] in " \t\r\n":
            at -= 1
        return self.text[at : node.begin]

    def _block(self, value: JsonValue, begin: int) -> str:
        """``value`` written where something began at ``begin``: further lines are indented as that one is."""
        text = self.dumps(value)
        line = self.text.rfind("\n", 0, begin) + 1
        margin = self.text[line:begin]
        if "\n" not in text or margin.strip():
            return json.dumps(value, ensure_ascii="\\u" in self.text and self.text.isascii())
        end = "\r\n" if "\r\n" in self.text else "\n"
        return text.replace("\n", end + margin)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _too_deep(text: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += token[0] in "[{"
        depth -= token[0] in "]}"
        if depth > _MAX_DEPTH:
            return token.start()
    return 0
