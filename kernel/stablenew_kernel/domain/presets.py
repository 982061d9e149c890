"""Presets and sidecars: JSON in, sections of settings out, and how several of them lie over each other.

Nothing here changes its input: a base config is overlaid on copies, always.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place. A later layer wins over an earlier one, key by key."""

    source: str
    """Where they come from, for error texts: ``preset full.json``."""
    values: Mapping[str, JsonValue]
    """Section by name."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """``--set section.field=text``, taken apart."""

    section: str
    path: tuple[str, ...]
    """Field, and below it where the field holds an object."""
    text: str

    @property
    def name(self) -> str:
        """``section.field``."""
        return ".".join((self.section, *self.path))


def parse_settings(name: str, data: bytes) -> dict[str, JsonValue]:
    """The sections of a preset or sidecar, from the bytes of the file ``name``.

    Both shapes of sidecar are read: sections at the top level, or below ``preset_data`` (beside ``pack_data``).
    Unknown sections and keys are kept. Raises UserError, with line and column, for what is no JSON object.
    """
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{name}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    try:
        values = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name}, line {error.lineno}, column {error.colno}: {error.msg}; the file must be one JSON object"
        ) from error
    except RecursionError as error:
        raise UserError(f"{name}: nested too deeply to be settings") from error
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{name}: must be one JSON object of sections, not {_kind(values)}")
    if "preset_data" in values or "pack_data" in values:
        pack, settings = values.get("pack_data"), values.get("preset_data", {})
        if not isinstance(settings, dict):
            raise UserError(f"{name}: preset_data must be a JSON object of sections, not {_kind(settings)}")
        if isinstance(pack, dict) and isinstance(matrix := pack.get("matrix"), dict):
            own = {"enabled": bool(matrix.get("enabled", True)), "matrix": matrix}
            return overlay(settings, {"randomization": own})
        return settings
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _kind(value: JsonValue) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def overlay(base: Mapping[str, JsonValue], *layers: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """``base`` with ``layers`` over it, the last on top: objects are merged key by key, all else is replaced.

    The result shares no object or list with its arguments, so whatever is done to it leaves them alone.
    """
    result: dict[str, JsonValue] = _copy(base)
    for layer in layers:
        _merge(result, layer)
    return result


def _merge(target: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        below = target.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            _merge(below, value)
        else:
            target[key] = _copy(value)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(inner) for inner in value]
    return value


def parse_set(text: str) -> Assignment:
    """Take ``section.field=value`` apart. Raises UserError if it has another form."""
    name, equals, value = text.partition("=")
    parts = tuple(part.strip() for part in name.split("."))
    if not equals or len(parts) < 2 or not all(parts):
        raise UserError(f"--set {text}: write --set SECTION.FIELD=VALUE, for example --set txt2img.steps=30")
    return Assignment(parts[0], parts[1:], value.strip())
