"""Interface of an importer: a file of another program in, packs, wildcards and settings out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from stablenew_api.jobs import JsonValue


@dataclass(frozen=True, slots=True)
class Imported:
    """What was found in a file."""

    files: Mapping[str, bytes]
    """Files to write, by relative path with ``/``: ``styles.txt`` and its sidecar ``styles.json`` beside it,
    ``wildcards/hair/colour.txt``."""
    notes: tuple[str, ...] = ()
    """What could not be taken over and why, a line each, with the place in the file."""
    settings: Mapping[str, JsonValue] | None = None
    """Sections of settings, where the file is an image that tells how it was made."""
    prompt: str = ""
    negative_prompt: str = ""


class Importer(ABC):
    """Reads one format. Pure: bytes in, bytes out; no disk, no network."""

    name: ClassVar[str]
    title: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()
    """File name endings it may read, lower case, with the dot. Empty: any."""

    @abstractmethod
    def sniff(self, name: str, data: bytes) -> bool:
        """Whether the file ``name`` with content ``data`` is in this format. Must be quick, and sure: where two
        importers say yes, the person is asked to choose."""

    @abstractmethod
    def read(self, name: str, data: bytes) -> Imported:
        """Take the file over. Raises UserError with file, line and reason for what cannot be read."""
