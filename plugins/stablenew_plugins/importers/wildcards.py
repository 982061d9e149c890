"""Wildcard files: ``.txt`` with a value a line, ``.yaml`` and ``.json`` with keys and lists of values.

They are what the randomizer reads (docs/randomizer.md), so most are checked and copied as they are. SwarmUI's
tags and ComfyUI's comments in them are rewritten.
"""

from __future__ import annotations

import json
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import WILDCARDS, Imported, Importer, safe_name
from stablenew_api.packtext import clean
from stablenew_plugins.importers.common import Notes, decode, depth, is_text, parse_json, peek, short
from stablenew_plugins.importers.dialects import from_swarm, without_comments
from stablenew_plugins.importers.images import is_graph

_DEEPEST = 50
_TREES = (".yaml", ".yml", ".json")


class Wildcards(Importer):
    """A file for a file, at its place below ``wildcards/``."""

    name, title, endings = "wildcards", "Wildcard file", (".txt", *_TREES)

    def sniff(self, name: str, data: bytes) -> bool:
        """It lies in a folder called wildcards, or is YAML or JSON with lists of texts and nothing else."""
        if not is_text(data):
            return False
        if _below(name) is not None:
            return True
        if not name.lower().endswith(_TREES) or len(data) > 2**20:
            return False
        try:
            tree = _tree(name, peek(data))
        except UserError:
            return False
        return not is_graph(tree) and _all_texts(tree)

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError, with the line, for what cannot be read, and for a file without a value."""
        parts = _below(name) or name.split("/")[1 if "/" in name else 0 :]
        notes = Notes()
        safe = [safe_name(part) or "_" for part in parts]
        if safe != parts:
            notes.add(f"its name became {'/'.join(safe)}, which every system can have; prompts must say so too")
        path = WILDCARDS + "/".join(safe)
        text = decode(name, data)
        if name.lower().endswith(_TREES):
            return Imported(*_tree_files(name, path, text, data, notes))
        lines = without_comments(text).split("\n") if "/*" in text or "//" in text else text.split("\n")
        changed = [from_swarm(line, notes, number) for number, line in enumerate(lines, start=1)]
        if not any(line.strip() and not line.lstrip().startswith("#") for line in changed):
            raise UserError(f"{name}: no value in it; write one a line")
        if changed == text.split("\n"):
            return Imported({path: data}, notes.all())
        notes.add(
            "rewritten for the randomizer; the comments of ComfyUI are gone"
            if lines != text.split("\n")
            else "tags of SwarmUI were rewritten for the randomizer"
        )
        return Imported({path: "\n".join(changed).encode("utf-8")}, notes.all())


def _below(name: str) -> list[str] | None:
    """The path from the innermost folder called wildcards on; None if there is none."""
    parts = name.split("/")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].casefold() in ("wildcards", "wildcard"):
            return parts[place + 1 :]
    return None


def _tree_files(
    name: str, path: str, text: str, data: bytes, notes: Notes
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    tree = _tree(name, text)
    rewritten = _rewrite(name, tree, notes)
    if not rewritten:
        raise UserError(f"{name}: no list of values in it")
    if rewritten == tree:
        return {path: data}, notes.all()
    notes.add("rewritten for the randomizer, as JSON")
    written = json.dumps(rewritten, indent=2, ensure_ascii=False) + "\n"
    return {f"{path.rpartition('.')[0]}.json": clean(written).encode("utf-8")}, notes.all()


def _rewrite(name: str, tree: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The tree with its values in our own dialect; what is no value is left out, and noted."""
    result: dict[str, Any] = {}
    # A list of work in place of recursion: 50 levels are allowed, a thousand may come.
    left: list[tuple[dict[str, Any], dict[str, Any], str]] = [(tree, result, "")]
    while left:
        source, target, where = left.pop()
        for key, value in source.items():
            place = f"{where}/{key}" if where else str(key)
            if isinstance(value, dict):
                left.append((value, target.setdefault(str(key), {}), place))
            elif isinstance(value, list):
                texts = [
                    item for item in value if isinstance(item, str | int | float) and not isinstance(item, bool)
                ]
                if len(texts) != len(value):
                    notes.add(f"{short(place)}: {len(value) - len(texts)} of its values are no text; left out")
                target[str(key)] = [_value(str(item), notes) for item in texts]
            elif isinstance(value, str):
                target[str(key)] = _value(value, notes)
            else:
                notes.add(f"{short(place)}: {short(value)} is no list of values; left out")
    return result


def _value(text: str, notes: Notes) -> str:
    return from_swarm(without_comments(text), notes)


def _all_texts(tree: dict[str, Any]) -> bool:
    """Whether all values are texts or lists of texts, with at least one list."""
    lists, left = 0, [tree]
    while left:
        for value in left.pop().values():
            if isinstance(value, dict):
                left.append(value)
            elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
                lists += 1
            else:
                return False
    return lists > 0


def _tree(name: str, text: str) -> dict[str, Any]:
    """The content of a YAML or JSON file. Raises UserError if it is no mapping, or nested too deeply."""
    tree = parse_json(name, text) if name.lower().endswith(".json") else _yaml(name, text)
    if not isinstance(tree, dict):
        raise UserError(f"{name}: must hold keys with lists of values below them, not {type(tree).__name__}")
    if depth(tree) > _DEEPEST:
        raise UserError(f"{name}: keys nested more than {_DEEPEST} deep")
    return tree


def _yaml(name: str, text: str) -> Any:
    """YAML with every scalar as the text that it is (``yes``, ``1.0``), read event by event.

    A reader that builds objects would follow aliases, of which a few lines can make gigabytes, and recurse as
    deep as the file is nested.
    """
    import yaml

    root: list[Any] = []
    stack: list[tuple[Any, list[str]]] = [(root, [])]  # a container, and the key that waits for its value

    def put(value: Any, line: int) -> None:
        container, key = stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key:
            container[key.pop()] = value
        elif isinstance(value, str):
            key.append(value)
        else:
            raise UserError(f"{name}, line {line}: a key that is no text")

    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader)):
            line = event.start_mark.line + 1 if event.start_mark is not None else 0
            if isinstance(event, yaml.AliasEvent):
                raise UserError(
                    f"{name}, line {line}: aliases (*{short(event.anchor)}) are not read; write it out"
                )
            if isinstance(event, yaml.ScalarEvent):
                put(event.value, line)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                if len(stack) > _DEEPEST:
                    raise UserError(f"{name}, line {line}: nested more than {_DEEPEST} deep")
                inner: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                put(inner, line)
                stack.append((inner, []))
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                stack.pop()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{name}{where}: {short(problem, 120)}; no YAML") from error
    return root[0] if root else None
