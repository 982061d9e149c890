"""What is being typed and has no end yet: no error before its time."""

from __future__ import annotations

from collections.abc import Sequence

_OPENINGS: Sequence[tuple[str, str]] = (
    ("__", "__"),
    ("[[", "]]"),
    ("${", "}"),
    ("%{", "}"),
    ("{", "}"),
    ("(", ")"),
    ("[", "]"),
    ("<", ">"),
)
"""How it begins, and how it will end; the longer ones first."""


def is_unfinished(text: str, at: int, caret: int) -> bool:
    """Whether what begins at ``at`` is still open at ``caret``, where somebody is typing."""
    for opening, closing in _OPENINGS:
        if text.startswith(opening, at):
            inside = at + len(opening)
            return inside <= caret and closing not in text[inside:caret]
    return False
