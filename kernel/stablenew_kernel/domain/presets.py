"""Presets and sidecars: JSON in, sections of settings out, and how several of them lie over each other.

Nothing here changes its input: a base config is overlaid on copies, always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.jsontext import JsonFile, kind_of, parse_object

SET = "--set"
"""Source of a setting that was given on the command line."""
AXIS = "axis"
"""Source of a setting that the randomizer varies."""

RANDOMIZATION = "randomization"
"""The section that says what places in prompts take. No stage's."""
_OF_A_SLOT = re.compile(r"\s*randomization\s*\.\s*(modes|values)\s*\.")


class Sections(dict[str, JsonValue]):
    """The sections of a file, which knows where in the file each setting stands."""

    def __init__(self, values: Mapping[str, JsonValue], file: JsonFile, below: str = "") -> None:
        super().__init__(values)
        self.file = file
        self.below = below
        """Key of the file's object that holds the sections; empty: they are the file's object."""

    def path(self, *keys: str) -> tuple[str, ...]:
        """Where in the file a section or setting stands."""
        return (self.below, *keys) if self.below else keys

    def place(self, *keys: str) -> str:
        """``line 3, column 5``; empty if it is not in the file."""
        return self.file.place(self.path(*keys))


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place. A later layer wins over an earlier one, key by key."""

    source: str
    """Where they come from, for error texts: ``preset full.json``."""
    values: Mapping[str, JsonValue]
    """Section by name."""

    def place(self, *keys: str) -> str:
        """``line 3, column 5``: where a section or setting stands; empty if it is in no file."""
        return self.values.place(*keys) if isinstance(self.values, Sections) else ""

    def where(self, *keys: str) -> str:
        """The beginning of an error text: ``preset full.json, line 3, column 5: ``, or ``--set ``."""
        if self.source in (SET, AXIS):
            return f"{self.source} "
        place = self.place(*keys)
        return f"{self.source}, {place}: " if place else f"{self.source}: "


@dataclass(frozen=True, slots=True)
class Assignment:
    """``--set section.field=text``, taken apart."""

    section: str
    path: tuple[str, ...]
    """Field, and below it where the field holds an object."""
    text: str
    source: str = SET

    @property
    def shown(self) -> str:
        """``--set section.field``, for error texts."""
        return f"{self.source} {self.name}"

    @property
    def name(self) -> str:
        """``section.field``."""
        return ".".join((self.section, *self.path))


def parse_settings(name: str, data: bytes) -> Sections:
    """The sections of a preset or sidecar, from the bytes of the file ``name``.

    Both shapes of sidecar are read: sections at the top level, or below ``preset_data`` (beside ``pack_data``).
    Unknown sections and keys are kept. Raises UserError, with line and column, for what is no JSON object.
    """
    return sections_of(parse_object(name, data))


def sections_of(file: JsonFile) -> Sections:
    """The sections of a preset or sidecar. Raises UserError if ``preset_data`` is no object."""
    values = file.value
    if "preset_data" not in values and "pack_data" not in values:
        return Sections(values, file)
    pack, settings = values.get("pack_data"), values.get("preset_data", {})
    if not isinstance(settings, dict):
        where = file.place(["preset_data"])
        raise UserError(
            f"{file.name}, {where}: preset_data must be a JSON object of sections, not {kind_of(settings)}"
        )
    if isinstance(pack, dict) and isinstance(matrix := pack.get("matrix"), dict):
        own = {"enabled": bool(matrix.get("enabled", True)), "matrix": matrix}
        return Sections(overlay(settings, {"randomization": own}), file, "preset_data")
    return Sections(settings, file, "preset_data")


def overlay(base: Mapping[str, JsonValue], *layers: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """``base`` with ``layers`` over it, the last on top: objects are merged key by key, all else is replaced.

    The result shares no object or list with its arguments, so whatever is done to it leaves them alone.
    """
    result: dict[str, JsonValue] = copied(base)
    for layer in layers:
        _merge(result, layer)
    return result


def _merge(target: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        below = target.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            _merge(below, value)
        else:
            target[key] = copied(value)


def copied(value: Any) -> Any:
    """``value`` with no object or list of its own shared."""
    if isinstance(value, Mapping):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(inner) for inner in value]
    return value


def parse_set(text: str) -> Assignment:
    """Take ``section.field=value`` apart. Raises UserError if it has another form."""
    name, equals, value = text.partition("=")
    if (found := _OF_A_SLOT.match(text)) is not None:
        # A choice is called as it is written: {0.5::red|green}. No mode has a = in it.
        name, equals, value = text.rpartition("=") if found[1] == "modes" else (name, equals, value)
        parts: tuple[str, ...] = (RANDOMIZATION, found[1], name[found.end() :].strip())
    else:
        parts = tuple(part.strip() for part in name.split("."))
    if not equals or len(parts) < 2 or not all(parts):
        raise UserError(f"--set {text}: write --set SECTION.FIELD=VALUE, for example --set txt2img.steps=30")
    return Assignment(parts[0], parts[1:], value.strip())
