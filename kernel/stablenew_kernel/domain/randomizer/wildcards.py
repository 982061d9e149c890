r"""Wildcard files, as dynamic prompts reads them: ``hair.txt``, ``people.yaml``, ``people.json``. Pure.

- ``folder/hair.txt`` is the wildcard ``__folder/hair__``: a value a line, blank lines skipped, ``#`` begins a
  comment (``\#`` is the sign itself). Weights (``3::blond``) count only where they are switched on.
- In ``folder/any.yaml`` and ``folder/any.json`` keys become paths and the file's name means nothing: the list
  at ``people: {hair: [...]}`` is ``__folder/people/hair__``. Values may have weights: ``3::blond`` or
  ``{text: blond, weight: 3}``. A file that is one list is named after the file.

Files are parsed when a wildcard in them is asked for, and each only once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any

import yaml

from stablenew_api.wildcardfiles import MAX_FILE, TEXT_ENDINGS, TREE_ENDINGS
from stablenew_kernel.domain.randomizer.grammar import MAX_WEIGHT, clean_path

MAX_VALUES = 200_000
"""Values of a file: YAML may name one list many times over, so a small file can hold very many."""

MAX_NESTING = 50
"""Keys inside keys."""

_BOM = b"\xef\xbb\xbf"
_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*::\s*")
_COMMENT = re.compile(r"(?<!\\)#.*")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a wildcard."""

    text: str
    weight: float = 1.0
    line: int = 0
    """In its file, from 1; 0: not known."""
    column: int = 1
    """Of its first character, from 1."""


@dataclass(frozen=True, eq=False)
class WildcardList:
    """A wildcard and its values. Compared by identity: there may be many values."""

    name: str
    """Without the underscores: ``hair/colour``."""
    source: str
    """The file's name; empty: the settings define it."""
    values: tuple[Value, ...]

    @cached_property
    def sha256(self) -> str:
        """Hex digest of values and weights: their version."""
        digest = hashlib.sha256()
        for value in self.values:
            digest.update(f"{value.weight!r}\0{value.text}\n".encode())
        return digest.hexdigest()

    def place(self, number: int, at: int) -> str:
        """Where character ``at`` (from 0) of value ``number`` (from 0) stands, for people."""
        value = self.values[number]
        if not self.source:
            return f"value {number + 1} of __{self.name}__, character {at + 1}"
        if not value.line:
            return f"wildcard file {self.source}, value {number + 1} of {self.name}, character {at + 1}"
        return f"wildcard file {self.source}, line {value.line}, column {value.column + at}"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a file, or a part of it, cannot be read."""

    file: str
    line: int
    """From 1; 0: the whole file."""
    reason: str
    fix: str

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"wildcard file {self.file}{where}: {self.reason}; {self.fix}"


@dataclass(frozen=True, slots=True)
class WildcardFile:
    """What a file holds."""

    lists: Mapping[str, WildcardList]
    """By name."""
    problems: tuple[FileProblem, ...]


class _Bad(Exception):
    def __init__(self, line: int, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.line, self.reason, self.fix = line, reason, fix


# --- one file -------------------------------------------------------------------------------------------------


def name_of(file: str) -> str:
    """The wildcard that the text file ``file`` defines."""
    return clean_path(file.rpartition(".")[0])


@lru_cache(maxsize=1024)
def parse_file(file: str, data: bytes, weights_in_text: bool = False) -> WildcardFile:
    """Read ``file``, whose content is ``data``. Never raises: what is wrong is in its problems."""
    try:
        text = _decode(data)
        if file.lower().endswith(TEXT_ENDINGS):
            name = name_of(file)
            return WildcardFile({name: WildcardList(name, file, _lines(text, weights_in_text))}, ())
        root = _read_json(text) if file.lower().endswith(".json") else _read_yaml(text)
        tree = _Tree(file)
        tree.read(root)
    except _Bad as bad:
        return WildcardFile({}, (FileProblem(file, bad.line, bad.reason, bad.fix),))
    return WildcardFile(tree.lists, tuple(tree.problems))


def _decode(data: bytes) -> str:
    if len(data) > MAX_FILE:
        raise _Bad(0, f"larger than {MAX_FILE >> 20} MiB", "split it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Bad(0, "UTF-16 text", "save it as UTF-8")
    data = data.removeprefix(_BOM)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Bad(line, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8") from error
    if (at := text.find("\0")) >= 0:
        raise _Bad(text.count("\n", 0, at) + 1, "a NUL byte", "this is no text file, or a damaged one")
    return text


def _lines(text: str, weights: bool) -> tuple[Value, ...]:
    values: dict[str, Value] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if "#" in line:
            line = _COMMENT.sub("", line).replace("\\#", "#")
        content = line.strip()
        if not content:
            continue
        column = len(line) - len(line.lstrip()) + 1
        weight = 1.0
        if weights and (weighed := _WEIGHT.match(content)):
            weight = _weight(weighed[1], number)
            content = content[weighed.end() :]
            column += weighed.end()
        if content not in values:
            if len(values) == MAX_VALUES:
                raise _Bad(number, f"more than {MAX_VALUES:,} values", "split the file")
            values[content] = Value(content, weight, number, column)
    return tuple(values.values())


def _weight(text: str, line: int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MAX_WEIGHT:
        raise _Bad(line, f"a weight of {text}", f"use 0 to {MAX_WEIGHT:,.0f}")
    return weight


@dataclass(slots=True)
class _Scalar:
    text: str
    line: int = 0
    column: int = 1


_Item = Any
"""A _Scalar, a list of items, or a list of (key, item) pairs in a _Map."""


class _Map(list[tuple[_Scalar, "_Item"]]):
    """Pairs, in order: a key may come twice."""


def _read_json(text: str) -> _Item:
    def wrap(item: object) -> _Item:
        if isinstance(item, _Map):
            return _Map((_Scalar(str(key)), wrap(inner)) for key, inner in item)
        if isinstance(item, list):
            return [wrap(inner) for inner in item]
        if item is None:
            return _Scalar("")
        return _Scalar(item if isinstance(item, str) else json.dumps(item))

    try:
        # Numbers stay as they are written.
        return wrap(json.loads(text, object_pairs_hook=_Map, parse_int=str, parse_float=str))
    except RecursionError as error:
        raise _Bad(0, "lists and keys nested too deep", f"use at most {MAX_NESTING}") from error
    except json.JSONDecodeError as error:
        raise _Bad(error.lineno, f"not JSON: {error.msg}", "mend it there") from error


def _read_yaml(text: str) -> _Item:
    """From the parser's events, without PyYAML's objects: a value stays the text that it is (``1990``,
    ``yes``), its line is known, and no tag means anything."""
    anchors: dict[str, _Item] = {}
    open_items: list[_Item] = []
    keys: list[_Scalar | None] = []
    root: _Item = None

    def put(item: _Item, line: int) -> None:
        nonlocal root
        if not open_items:
            root = item if root is None else root
        elif not isinstance(open_items[-1], _Map):
            open_items[-1].append(item)
        elif keys[-1] is None:
            if not isinstance(item, _Scalar):
                raise _Bad(line, "a key that is no text", "write NAME: and the values below it")
            keys[-1] = item
        else:
            open_items[-1].append((keys[-1], item))
            keys[-1] = None

    try:
        for event in yaml.parse(text, Loader=_Loader):
            mark = event.start_mark
            assert mark is not None, "the loader keeps marks"
            line = mark.line + 1
            if isinstance(event, yaml.ScalarEvent):
                plain = event.style in (None, "")
                value = "" if plain and event.value in ("~", "null") else event.value
                column = mark.column + (1 if plain else 2)
                item: _Item = _Scalar(value, line, column)
            elif isinstance(event, yaml.AliasEvent):
                name = event.anchor or ""
                if name not in anchors or any(anchors[name] is item for item in open_items):
                    raise _Bad(line, f"*{name} names nothing that is complete", "name it above with &")
                item = anchors[name]
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                item = [] if isinstance(event, yaml.SequenceStartEvent) else _Map()
                if len(open_items) >= MAX_NESTING:
                    raise _Bad(line, f"nested more than {MAX_NESTING} deep", "is this the right file?")
            else:
                if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                    open_items.pop()
                    keys.pop()
                continue
            put(item, line)
            if event.anchor and not isinstance(event, yaml.AliasEvent):
                anchors[event.anchor] = item
            if isinstance(event, yaml.CollectionStartEvent):
                open_items.append(item)
                keys.append(None)
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        fix = "mend it there; a value that begins with { or [ needs quotes"
        raise _Bad(at.line + 1 if at else 0, f"not YAML: {reason}", fix) from error
    return root


class _Tree:
    """Lists by their keys."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lists: dict[str, WildcardList] = {}
        self.problems: list[FileProblem] = []
        self._left = MAX_VALUES

    def read(self, root: _Item) -> None:
        """Take the file's content apart."""
        folder, _, own = self.file.replace("\\", "/").rpartition("/")
        if isinstance(root, _Map):
            self._keys(root, (folder,) if folder else ())
        elif isinstance(root, list):
            self._list(name_of(self.file), root)
        elif root is not None:
            line = root.line
            self._wrong(line, f"{own} holds no wildcards", "write NAME: and a list of values below it")

    def _keys(self, pairs: _Map, path: tuple[str, ...]) -> None:
        for key, item in pairs:
            self._spend(key.line)
            if len(path) > MAX_NESTING:
                raise _Bad(key.line, f"keys nested more than {MAX_NESTING} deep", "is this the right file?")
            name = clean_path("/".join((*path, key.text)))
            if isinstance(item, _Map):
                self._keys(item, (*path, key.text))
            elif isinstance(item, list):
                self._list(name, item)
            elif item.text.strip():
                self._list(name, [item])

    def _list(self, name: str, items: Sequence[_Item]) -> None:
        values: dict[tuple[str, float], Value] = {}
        for number, item in enumerate(items, 1):
            value = self._value(name, number, item)
            if value is not None:
                values.setdefault((value.text, value.weight), value)
        if name in self.lists:
            self._wrong(0, f"{name} is there twice", "rename one; the last one counts")
        self.lists[name] = WildcardList(name, self.file, tuple(values.values()))

    def _value(self, name: str, number: int, item: _Item) -> Value | None:
        weight = 1.0
        if isinstance(item, _Map):
            fields = {key.text: inner for key, inner in item if isinstance(inner, _Scalar)}
            scalar = fields.get("text") or fields.get("content")
            self._spend(scalar.line if scalar else 0)
            if scalar is None:
                first = item[0][0] if item else _Scalar("")
                # - 3::blond: dark is a key for YAML.
                self._wrong(first.line, f"value {number} of {name} is no text", "put it in quotes")
                return None
            if "weight" in fields:
                weight = _weight(fields["weight"].text, fields["weight"].line)
            return Value(scalar.text, weight, scalar.line, scalar.column) if scalar.text.strip() else None
        if isinstance(item, list):
            self._wrong(0, f"value {number} of {name} is a list", "put it in quotes")
            return None
        self._spend(item.line)
        text, column = item.text, item.column
        if weighed := _WEIGHT.match(text):
            weight = _weight(weighed[1], item.line)
            text, column = text[weighed.end() :], column + weighed.end()
        return Value(text, weight, item.line, column) if item.text.strip() else None

    def _spend(self, line: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Bad(line, f"more than {MAX_VALUES:,} values", "split the file")

    def _wrong(self, line: int, reason: str, fix: str) -> None:
        self.problems.append(FileProblem(self.file, line, reason, fix))


# --- all of them ----------------------------------------------------------------------------------------------


class _Layer:
    """Files of one origin."""

    def __init__(self, files: Mapping[str, bytes], weights_in_text: bool) -> None:
        self._files = files
        self._weights = weights_in_text
        self._texts: dict[str, str] = {}
        self._trees: list[str] = []
        for file in sorted(files):
            ending = file.lower()
            if ending.endswith(TEXT_ENDINGS):
                self._texts.setdefault(name_of(file), file)
            elif ending.endswith(TREE_ENDINGS):
                self._trees.append(file)

    def _parse(self, file: str) -> WildcardFile:
        return parse_file(file, self._files[file], self._weights)

    def get(self, name: str) -> WildcardFile | None:
        """The file that defines ``name``; a text file goes before the others."""
        if name in self._texts:
            return self._parse(self._texts[name])
        for file in self._trees:
            parsed = self._parse(file)
            if name in parsed.lists:
                return parsed
        return None

    def names(self) -> Iterator[str]:
        """Every name."""
        yield from self._texts
        for file in self._trees:
            yield from self._parse(file).lists

    def problems(self) -> Iterator[FileProblem]:
        """Of all files. Parses all of them."""
        for file in (*self._texts.values(), *self._trees):
            yield from self._parse(file).problems

    def tree_problems(self) -> Iterator[FileProblem]:
        """Of the files that may have held any name."""
        for file in self._trees:
            yield from self._parse(file).problems


class Wildcards:
    """What wildcards stand for: those of the settings, then files, each layer before the next.

    Raises nothing. A wildcard whose file cannot be read is found with its problems and no values."""

    def __init__(
        self,
        tokens: Mapping[str, Sequence[str]] | None = None,
        layers: Iterable[Mapping[str, bytes]] = (),
        weights_in_text: bool = False,
    ) -> None:
        """``tokens``: by name, from the settings. ``layers``: content by relative file name."""
        self._tokens = {
            clean_path(name): WildcardList(clean_path(name), "", tuple(Value(text) for text in values))
            for name, values in (tokens or {}).items()
        }
        self._layers = [_Layer(files, weights_in_text) for files in layers]
        self._names: tuple[str, ...] | None = None
        self._found: dict[str, tuple[WildcardList, ...]] = {}

    def names(self) -> tuple[str, ...]:
        """All names, sorted. Parses the files whose names are inside them."""
        if self._names is None:
            found = set(self._tokens)
            for layer in self._layers:
                found.update(layer.names())
            self._names = tuple(sorted(found))
        return self._names

    def find(self, path: str) -> tuple[WildcardList, ...]:
        """The wildcards that ``path`` names: one, or with ``*`` (any characters), ``?`` and ``[ab]`` all that
        match. As in dynamic prompts a name that is in no folder is looked for in all of them. Empty: none."""
        if path not in self._found:
            found = self._match(path)
            if not found and path and not path.startswith("**"):
                found = self._match(f"**/{path}")
            self._found[path] = found
        return self._found[path]

    def _match(self, path: str) -> tuple[WildcardList, ...]:
        if not any(sign in path for sign in "*?["):
            one = self._get(path)
            return (one,) if one is not None else ()
        if path.startswith("**/") and not any(sign in path[3:] for sign in "*?["):
            end = path[2:]
            names = [name for name in self.names() if name.endswith(end)]
        else:
            names = [name for name in self.names() if fnmatchcase(name, path)]
        return tuple(one for name in names if (one := self._get(name)) is not None)

    def _get(self, name: str) -> WildcardList | None:
        if name in self._tokens:
            return self._tokens[name]
        for layer in self._layers:
            file = layer.get(name)
            if file is not None and name in file.lists:
                return file.lists[name]
            if file is not None:
                return WildcardList(name, file.problems[0].file, ())
        return None

    def why_not(self, path: str) -> tuple[str, str]:
        """Why ``path`` has no values, and what to do: for people."""
        for one in self.find(path):
            broken = [problem for problem in self.problems() if problem.file == one.source]
            if broken:
                return f"there is nothing in __{path}__ ({broken[0]})", "mend that file"
            return f"__{path}__ has no values", f"write some into {one.source or 'its definition'}"
        broken = [problem for layer in self._layers for problem in layer.tree_problems()]
        reason = f"there is no wildcard __{path}__" + (f" ({broken[0]})" if broken else "")
        known = self.names()
        close = get_close_matches(path, known, n=3) or [
            name for name in known if name.casefold().rpartition("/")[2] == path.casefold().rpartition("/")[2]
        ]
        if close:
            return (
                reason,
                rf"did you mean {' or '.join(f'__{name}__' for name in close[:3])}? For underscores: \__",
            )
        shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        return reason, (
            rf"define it in randomization.wildcards.tokens or in a wildcard file (defined: {shown or 'none'}), "
            r"or write \__"
        )

    def problems(self) -> list[FileProblem]:
        """Everything that is wrong in the files. Parses all of them."""
        return [problem for layer in self._layers for problem in layer.problems()]
