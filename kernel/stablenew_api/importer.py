"""Interface of an importer: a file of another program in, packs, wildcards and settings out.

A complete importer, of files that hold one prompt a line, each beginning with ``>``::

    class Arrows(Importer):
        name, title, endings = "arrows", "Lines with an arrow", (".arrows",)

        def sniff(self, name, data):
            return data.startswith(b">")

        def read(self, name, data):
            lines = data.decode("utf-8", "replace").splitlines()
            rows = [PackRow(as_template(line.removeprefix(">"))) for line in lines]
            return Imported(pack_files(safe_stem(name), rows))

:mod:`stablenew_api.packtext` has what writes a pack. ``stablenew packs import FILE`` finds the importer by its
``endings`` and its ``sniff``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JsonValue

WILDCARDS = "wildcards/"
"""What the path of a wildcard file begins with."""

_BAD_IN_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""What Windows, the strictest of the systems, has in no file name."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Imported:
    """What was found in a file. Raises ValueError for a path in ``files`` that leads out of its folder, or that
    one of the systems cannot have."""

    files: Mapping[str, bytes]
    """Files to write, by relative path with ``/``: ``styles.txt`` and its sidecar ``styles.json`` beside it,
    ``wildcards/hair/colour.txt``. Whoever writes them may number the first two, always both alike."""
    notes: tuple[str, ...] = ()
    """What could not be taken over and why, a line each, with the place in the file: ``line 3: ...``."""
    settings: Mapping[str, JsonValue] | None = None
    """Sections of settings, as a preset has them, where the file is an image that tells how it was made."""
    prompt: str = ""
    """Of an image, resolved, as A1111 writes it; in ``files`` it stands as a pack reads it."""
    negative_prompt: str = ""
    program: str = ""
    """Of an image: which program made it, with its version as far as the file tells: ``InvokeAI 5.6.0``."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of an image: hashes of the files that it was made with, by Civitai's names (``model``, ``vae``,
    ``lora:NAME``, ``embed:NAME``), as the image tells them; programs differ in what they hash."""

    def __post_init__(self) -> None:
        for path in self.files:
            parts = path.split("/")
            if not all(part and part == safe_name(part) for part in parts):
                raise ValueError(f"{path!r} is no relative path that every system can have")


class Importer(ABC):
    """Reads one format. Pure: bytes in, bytes out; no disk, no network. Made anew for each file."""

    name: ClassVar[str]
    title: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()
    """File name endings it may read, lower case, with the dot. Empty: any."""

    @abstractmethod
    def sniff(self, name: str, data: bytes) -> bool:
        """Whether the file ``name`` with content ``data`` is in this format. Must be quick, and sure: where two
        importers say yes, the person is asked to choose. Never raises for bad content: what cannot be read is
        not this format, or is said by :meth:`read`.

        ``name`` is a file's name, or its path with ``/`` from the folder on that the person gave:
        ``wildcards/hair/colour.txt``."""

    @abstractmethod
    def read(self, name: str, data: bytes) -> Imported:
        """Take the file over. Raises UserError with file, line and reason for what cannot be read, and nothing
        else, whatever is in it."""


def recognise(importers: Mapping[str, type[Importer]], name: str, data: bytes) -> tuple[Importer, ...]:
    """The importers that know the file ``name``: none, one, or several to choose from.

    Raises PluginError for one whose ``sniff`` breaks.
    """
    found = []
    for kind in importers.values():
        if kind.endings and not name.lower().endswith(kind.endings):
            continue
        importer = kind()
        try:
            knows = importer.sniff(name, data)
        except Exception as error:
            raise PluginError(f"importer {kind.name}: sniff failed on {name}: {error!r}") from error
        if knows:
            found.append(importer)
    return tuple(found)


def import_file(importer: Importer, name: str, data: bytes) -> Imported:
    """What ``importer`` makes of the file. Raises UserError as it does; whatever else leaves it, or another
    result, becomes PluginError."""
    try:
        imported = importer.read(name, data)
    except UserError:
        raise
    except Exception as error:
        raise PluginError(f"importer {importer.name}: read failed on {name}: {error!r}") from error
    if not isinstance(imported, Imported):
        raise PluginError(f"importer {importer.name}: read returned {type(imported).__name__}, not Imported")
    return imported


def safe_stem(name: str) -> str:
    """The name of a pack made from the file ``name``: without folders and ending, and such as every system can
    have it."""
    base = re.split(r"[/\\]", name)[-1]
    stem, dot, _ = base.rpartition(".")
    return safe_name((stem if dot and stem else base)[:_LONGEST]) or "imported"


def safe_name(text: str) -> str:
    """``text`` as a file name that every system can have; itself if it is one. Empty if nothing is left."""
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair becomes ?
    text = _BAD_IN_NAME.sub("_", text).strip(" ").rstrip(". ")
    return f"_{text}" if _RESERVED.fullmatch(text) else text
