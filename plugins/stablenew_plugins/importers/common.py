"""What the importers share: reading text and JSON that anybody may have written, notes, settings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_name

MAX_TEXT = 4 * 2**20
"""Bytes of a text file. A pack of more than 3 MiB cannot be run."""
MAX_NOTES = 100

_BOM = b"\xef\xbb\xbf"
_LISTED = 6
_DIGITS = re.compile(r"[+-]?[0-9]{1,20}")

Flat = dict[str, JsonValue]
"""Settings by dotted name: ``txt2img.steps``."""


def decode(name: str, data: bytes) -> str:
    """The text of a file, without a byte order mark, with line feeds alone.

    Raises UserError, with the line, for what is no UTF-8 text, and for a file that is too large.
    """
    if len(data) > MAX_TEXT:
        raise UserError(
            f"{name}: {len(data) / 2**20:.1f} MiB; at most {MAX_TEXT >> 20} MiB of text are read, split it"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{name}: UTF-16 text; save it as UTF-8")
    body = data.removeprefix(_BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name}, line {line}: byte 0x{body[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise UserError(f"{name}, line {line}: a NUL byte; this is no text file, or a damaged one")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_text(data: bytes) -> bool:
    """Whether ``data`` may be a text file that is read here; a sniff begins with it."""
    return len(data) <= MAX_TEXT and b"\0" not in data[:4096]


def peek(data: bytes) -> str:
    """``data`` as text for a sniff, whatever it is."""
    return data.removeprefix(_BOM).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def parse_json(name: str, text: str) -> Any:
    """The JSON in ``text``; NaN and Infinity, which Python programs write, are read. Raises UserError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}; no JSON") from error
    except RecursionError as error:
        raise UserError(f"{name}: JSON nested too deeply") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise UserError(f"{name}: {error}") from error


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``; None if it is anything else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = parse_json("", text)
    except UserError:
        return None
    return value if isinstance(value, dict) else None


def depth(value: Any) -> int:
    """How deep lists and objects are nested in JSON: 0 for a number, 1 for a list of numbers."""
    deepest = 0
    left = [(value, 0)]
    while left:
        item, level = left.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, level + 1)
            left.extend((inner, level + 1) for inner in (item.values() if isinstance(item, dict) else item))
    return deepest


class Notes:
    """What could not be taken over, gathered: the same on several lines is said once."""

    def __init__(self, unit: str = "line") -> None:
        self._unit = unit
        self._places: dict[str, list[int]] = {}

    def add(self, text: str, place: int = 0) -> None:
        """``text``, of line (or row) ``place``; 0: of the whole file."""
        places = self._places.setdefault(" ".join(text.split()), [])
        if place and place not in places[-1:]:
            places.append(place)

    def all(self) -> tuple[str, ...]:
        """A line each, in the order in which they first came up."""
        texts = [f"{self._where(places)}{text}" for text, places in self._places.items()]
        if len(texts) > MAX_NOTES:
            texts = [*texts[:MAX_NOTES], f"and {len(texts) - MAX_NOTES} more notes"]
        return tuple(texts)

    def _where(self, places: Sequence[int]) -> str:
        if not places:
            return ""
        listed = ", ".join(str(place) for place in places[:_LISTED])
        more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
        return f"{self._unit}{'s' if len(places) > 1 else ''} {listed}{more}: "


_WORD = re.compile(
    r"""(?P<blank>\s+)|(?P<plain>[^\s"'\\]+)|"(?P<double>(?:[^"\\]|\\.)*+)"|'(?P<single>[^']*+)'|\\(?P<escaped>.)""",
    re.DOTALL,
)


def split_words(line: str) -> list[str]:
    """``line`` as ``shlex.split`` does it, in linear time: that one takes quadratic time over a long word.

    Raises ValueError for a quotation mark that is never closed, and for a backslash at the end.
    """
    words: list[str] = []
    parts: list[str] | None = None
    at = 0
    while at < len(line):
        found = _WORD.match(line, at)
        if found is None:
            raise ValueError("No escaped character" if line[at] == "\\" else "No closing quotation")
        at = found.end()
        if found["blank"] is not None:
            if parts is not None:
                words.append("".join(parts))
            parts = None
            continue
        text = found[found.lastgroup or 0]
        if found["double"] is not None:  # there a backslash stands for itself but before these two
            text = re.sub(r'\\(["\\])', r"\1", text)
        if parts is None:
            parts = []
        parts.append(text)
    return words if parts is None else [*words, "".join(parts)]


def short(value: object, length: int = 60) -> str:
    """``value`` for a note: one line, not long."""
    text = " ".join(str(value)[: length * 4].split())
    return text if len(text) <= length else text[: length - 1] + "…"


def whole(value: object) -> int | None:
    """``value`` as a whole number: 20, 20.0, "20", "20.0"; None for anything else, and beyond 64 bits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):  # never by way of a float, which has 53 bits
        return value if abs(value) < 2**64 else None
    number = real(value)
    return whole(int(number)) if number is not None and number == int(number) else None


def real(value: object) -> float | None:
    """``value`` as a number: 7, 7.5, "7.5"; None for anything else, NaN and infinities too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def put_number(settings: Flat, key: str, value: object, notes: Notes, label: str, *, integer: bool) -> None:
    """Set ``key`` if ``value`` is a number, else note it. None and "" are passed over."""
    if value is None or value == "":
        return
    number: int | float | None = whole(value) if integer else real(value)
    if number is None:
        notes.add(f"{label}: {short(repr(value))} is no {'whole ' if integer else ''}number; left out")
    else:
        settings[key] = number


def lora_tag(name: object, weight: object) -> str:
    """``<lora:NAME:WEIGHT>``; the weight is left out if it is 1 or no number."""
    number = real(weight)
    stem = model_name(name).replace("<", "").replace(">", "").replace(":", "_").strip()
    return f"<lora:{stem}>" if number is None or number == 1 else f"<lora:{stem}:{number:g}>"


def nested(settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Dotted names as sections."""
    result: dict[str, JsonValue] = {}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        result.setdefault(section, {})[key] = value
    return result


def common_settings(rows: Iterable[tuple[int, Mapping[str, tuple[str, JsonValue]]]], notes: Notes) -> Flat:
    """What every row sets to one value. The rest is noted with its line: a pack's rows share their settings.

    ``rows`` are line numbers and settings: dotted name to (as the file has it, value).
    """
    every = list(rows)
    if not every:
        return {}
    first = every[0][1]
    shared = {
        key: value
        for key, (_, value) in first.items()
        if all(key in found and found[key][1] == value for _, found in every)
    }
    for line, found in every:
        for key, (written, _) in found.items():
            if key not in shared:
                notes.add(
                    f"{written}: not the same for every prompt, and a pack has one value for all; left out",
                    line,
                )
    return shared
