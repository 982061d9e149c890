"""Names of image files and run folders, fit for Windows, macOS and Linux alike.

Names never decide identity: images are known by content, and a name that is taken gets ``-2`` behind it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec
from stablenew_api.models import model_name
from stablenew_kernel.domain.words import near

DEFAULT_PATTERN = "{index:05}_{row:03}_{seed}"

MAX_CHARACTERS = 120
MAX_BYTES = 200
"""Of a name without its ending, in UTF-8. File systems take 255; room is left for the ending, ``-2``, and the
name of the temporary file."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)

FIELDS: Mapping[str, str] = {
    "index": "number of the image in the run, from 1",
    "row": "row of the pack, from 1",
    "image": "number of the image in its row, from 1",
    "seed": "seed of the generating stage",
    "pack": "pack, without its ending",
    "preset": "preset, without its ending",
    "date": "day the run was started: 2026-11-22",
    "time": "time the run was started: 210314",
    "model": "checkpoint, without folder and ending",
    "sampler": "sampler",
    "steps": "sampling steps",
    "cfg": "CFG scale",
    "width": "width of the generating stage, in pixels",
    "height": "height of the generating stage, in pixels",
    "stage": "last stage of the pipeline",
}
"""Field to meaning; the table in docs/metadata.md is checked against it."""


@dataclass(frozen=True, slots=True)
class FilePattern:
    """A checked pattern. Made by :func:`parse_pattern`."""

    text: str

    def name(self, spec: JobSpec, index: int, started: datetime) -> str:
        """File name, without ending, of the image that ``spec`` makes. ``index`` is its place in the run,
        from 0; ``started`` is when the run was started, in the zone that names should use."""
        return safe_name(self.text.format_map(_values(spec, index, started)))


def parse_pattern(text: str) -> FilePattern:
    """Check a pattern: text with ``{field}`` or ``{field:format}``, in Python's format language.

    Raises UserError for an unknown field, a wrong format or a path separator.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise UserError(f"file name pattern {text!r}: {error}; write fields as {{seed}}") from error
    for literal, field, layout, conversion in parts:
        if "/" in literal or "\\" in literal:
            raise UserError(
                f"file name pattern {text!r}: a file name has no / or \\; images of a run share one folder"
            )
        if field is None:
            continue
        if field not in FIELDS:
            raise UserError(f"file name pattern {text!r}: there is no field {field!r}; {near(field, FIELDS)}")
        if conversion or "{" in (layout or "") or not _fits(field, layout or ""):
            raise UserError(f"file name pattern {text!r}: {field} can't be written as {layout or conversion!r}")
    if not text.strip():
        raise UserError(f"file name pattern {text!r}: is empty; the default is {DEFAULT_PATTERN}")
    return FilePattern(text)


def _fits(field: str, layout: str) -> bool:
    if re.search(r"\d{4}", layout):  # digits of any script: Python reads them all
        return False  # not tried: a width of a thousand million is written in a thousand million bytes
    try:
        return len(format(_SAMPLE[field], layout)) <= MAX_CHARACTERS
    except (ValueError, OverflowError):
        return False


_SAMPLE: Mapping[str, str | int] = {
    field: 1 if field in ("index", "row", "image", "seed", "steps", "width", "height") else "a"
    for field in FIELDS
}


def _values(spec: JobSpec, index: int, started: datetime) -> dict[str, str | int]:
    first, provenance = spec.stages[0], spec.provenance

    def number(value: object) -> int:
        return value if isinstance(value, int) else 0

    return {
        "index": index + 1,
        "row": number(provenance.get("row")),
        "image": number(provenance.get("image")) + 1,
        "seed": first.seed,
        "pack": _stem(provenance.get("pack")),
        "preset": _stem(provenance.get("preset")),
        "date": started.strftime("%Y-%m-%d"),
        "time": started.strftime("%H%M%S"),
        "model": model_name(first.config.get("model") or ""),
        "sampler": str(first.config.get("sampler_name", "")),
        "steps": number(first.config.get("steps")),
        "cfg": f"{first.config.get('cfg_scale', '')}",
        "width": number(first.config.get("width")),
        "height": number(first.config.get("height")),
        "stage": spec.stages[-1].name,
    }


_ENDING = re.compile(r"\.(?:txt|tsv|json)$", re.IGNORECASE)


def _stem(value: object) -> str:
    """``packs/demo.txt`` as ``demo``."""
    name = re.split(r"[/\\]", str(value or ""))[-1]
    return _ENDING.sub("", name)


def safe_name(text: str) -> str:
    """``text`` as a file or folder name that every platform takes: no separators, no control characters, no
    device names (CON, NUL, ...), no dot or blank at either end, at most :data:`MAX_CHARACTERS` characters."""
    name = _FORBIDDEN.sub("_", text.encode("utf-8", "replace").decode("utf-8"))
    name = name.strip(" .")[:MAX_CHARACTERS]
    while len(name.encode("utf-8")) > MAX_BYTES:
        name = name[:-1]
    name = name.rstrip(" .")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name or "_"


def is_safe_name(name: str) -> bool:
    """Whether every platform takes ``name``, ending included, as a plain and visible file name."""
    return (
        bool(name)
        and not name.startswith(".")
        and name == name.strip(" .")
        and not _FORBIDDEN.search(name)
        and not _RESERVED.fullmatch(name)
        and len(name.encode("utf-8", "replace")) <= MAX_BYTES + 20
    )


def run_folder(started: datetime, name: str) -> str:
    """``2026-11-22_210314_demo``: sorts by time, says what it is."""
    return safe_name(f"{started:%Y-%m-%d_%H%M%S}_{_stem(name)}")
