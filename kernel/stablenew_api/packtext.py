r"""Writing prompts into a pack so that they come out of it as they were: what importers need.

A pack gives a meaning to some texts that other programs take as they are: ``{a|b}``, ``__name__`` and
``[[name]]`` are the randomizer's, a line that begins with ``#`` is a comment, one with ``neg:`` is negative, a
blank line ends a row; see docs/packs-and-presets.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stablenew_api.jobs import JsonValue

_SPECIAL = re.compile(
    r"(?P<escape>\\(?:__|.))|(?P<tag><[A-Za-z][\w-]*:[^<>]*>)|(?P<slot>\[\[\s*+(?P<name>\w[\w \-]*+)\s*+\]\])"
    r"|(?P<brace>[{}])|(?P<wildcard>__)",
    re.DOTALL,
)
_TAKEN = re.compile(r"#|neg:", re.IGNORECASE)
"""What a line of a positive prompt cannot begin with."""


@dataclass(frozen=True, slots=True)
class PackRow:
    """A row to write. Line breaks in the prompts become lines of the row, which a pack joins with blanks."""

    prompt: str
    negative_prompt: str = ""
    comment: str = ""
    """Stands above it, a ``#`` line each."""


def clean(text: str) -> str:
    """``text`` as a UTF-8 file can hold it: no NUL, no half of a surrogate pair, no byte order mark."""
    text = text.replace("\0", "").replace("\N{ZERO WIDTH NO-BREAK SPACE}", "")
    return text.encode("utf-8", "replace").decode("utf-8")


def literal(text: str) -> str:
    r"""A prompt that was already resolved (an image's), so that the randomizer leaves it alone: ``{`` becomes
    ``\{``, ``__`` becomes ``\__``, and ``[[word]]``, attention twice lowered, becomes ``[ [word] ]``.

    What is escaped already stays: the backend gets it without the backslash.
    """
    return _SPECIAL.sub(_literal, clean(text))


def _literal(found: re.Match[str]) -> str:
    if found["slot"]:
        return f"[ [{found['name'].rstrip()}] ]"
    return found[0] if found["escape"] or found["tag"] else f"\\{found[0]}"


def as_template(text: str) -> str:
    """A prompt with the choices and wildcards of dynamic prompts in it, which stay. ``[[word]]`` is no slot
    there: it becomes ``[ [word] ]``. A text whose braces do not pair has no choices: it is :func:`literal`."""
    text = clean(text)
    depth = 0
    for found in _SPECIAL.finditer(text):
        if found["brace"]:
            depth += 1 if found[0] == "{" else -1
        if depth < 0:
            break
    if depth:
        return literal(text)
    return _SPECIAL.sub(lambda found: _literal(found) if found["slot"] else found[0], text)


def write_pack(rows: Iterable[PackRow], comment: str = "") -> bytes:
    """The ``.txt`` of a pack. ``comment`` stands at its top.

    A prompt cannot begin with ``#`` or ``neg:`` in a pack: it gets a comma in front, which means nothing to a
    model.
    """
    blocks = ["".join(f"# {line}\n" for line in _lines(comment))] if comment else []
    for row in rows:
        lines = [f"# {line}" for line in _lines(row.comment)]
        positive: list[str] = []
        for line in _lines(row.prompt):
            if not _TAKEN.match(line):
                positive.append(line)
            elif positive:
                positive[-1] += f" {line}"
            else:
                positive.append(f", {line}")
        negative = [f"neg: {line}" for line in _lines(row.negative_prompt)]
        lines += [*positive, *negative] or ["neg:"]
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks).encode("utf-8")


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", clean(text)))
    return [line for line in lines if line]


def write_settings(settings: Mapping[str, JsonValue]) -> bytes:
    """A sidecar or preset. Raises ValueError for what JSON cannot hold."""
    text = json.dumps(settings, indent=2, ensure_ascii=False, allow_nan=False)
    return (text.encode("utf-8", "replace").decode("utf-8") + "\n").encode("utf-8")


def pack_files(
    stem: str, rows: Iterable[PackRow], settings: Mapping[str, JsonValue] | None = None, comment: str = ""
) -> dict[str, bytes]:
    """A pack called ``stem``, and its sidecar if there are ``settings``: the files of an
    :class:`~stablenew_api.importer.Imported`."""
    files = {f"{stem}.txt": write_pack(rows, comment)}
    if settings:
        files[f"{stem}.json"] = write_settings(settings)
    return files
