"""A file that lists which LoRAs and embeddings there are."""

from __future__ import annotations

from collections.abc import Iterator

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.check import Inventory
from stablenew_kernel.domain.packs.jsontext import JsonText
from stablenew_kernel.domain.packs.text import decode, split_lines


def parse_inventory(name: str, data: bytes) -> Inventory:
    """Read the file ``name``: names, one a line (``#`` starts a comment), which may be either; or JSON: a list
    of names, or ``{"loras": [...], "embeddings": [...]}``. An entry of a list may also be an object with
    ``name`` and ``alias``, as WebUIs report them. Folders and endings of names do not count.

    Raises UserError with the place of what cannot be read."""
    text = decode(name, data)
    if text.lstrip()[:1] not in ("{", "["):
        lines = (line.strip() for line in split_lines(text))
        names = frozenset(line for line in lines if line and not line.startswith("#"))
        return Inventory(names, names)
    listed = text.lstrip().startswith("[")
    doc = JsonText(name, f'{{"all":{text}}}' if listed else text)
    if listed:
        names = frozenset(_names(name, doc.value["all"]))
        return Inventory(names, names)
    known = {
        key: frozenset(_names(name, doc.value[key])) for key in ("loras", "embeddings") if key in doc.value
    }
    if not known:
        raise UserError(f'{name}: neither loras nor embeddings in it; write {{"loras": ["NAME"]}}')
    return Inventory(known.get("loras"), known.get("embeddings"))


def _names(file: str, value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):  # by name, as a WebUI lists its embeddings
        yield from value
        return
    if not isinstance(value, list):
        raise UserError(f"{file}: must have lists of names")
    for entry in value:
        names = [entry.get("name"), entry.get("alias")] if isinstance(entry, dict) else [entry]
        if not isinstance(names[0], str):
            raise UserError(f"{file}: {entry!r} is no name")
        yield from (name for name in names if isinstance(name, str))
