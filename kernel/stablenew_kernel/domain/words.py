"""What is wrong with a value or a name, in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


def near(name: str, known: Iterable[str]) -> str:
    """``did you mean X?`` or ``known: A, B``: help for a misspelt name."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known) or 'none'}"


def closest(name: str, known: Iterable[str]) -> str:
    """``did you mean X?``, or nothing where no name is like it."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f"did you mean {close[0]}?" if close else ""


_NOT_A = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "an object",
    "model": "an object",
}


def explain(error: ErrorDetails, info: FieldInfo | None) -> str:
    """One pydantic error in plain words, with the allowed range if ``info`` tells it."""
    kind, context = error["type"], error.get("ctx", {})
    shown = repr(error["input"])
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    allowed = allowed_range(info) if info is not None else ""
    within = f" ({allowed})" if allowed else ""
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{shown} is out of range{within}" if allowed else f"{shown}: {_lower(error['msg'])}"
    if kind == "multiple_of":
        return f"{shown} is not a multiple of {context.get('multiple_of')}{within}"
    if kind in ("literal_error", "enum"):
        return f"{shown} is not one of {context.get('expected')}"
    if kind == "missing":
        return "must be set; it has no default"
    what, _, how = kind.partition("_")
    if what in _NOT_A and how in ("parsing", "type", "from_float", "parsing_size", "attributes_type"):
        return f"{shown} is not {_NOT_A[what]}{within}"
    return f"{shown}: {_lower(error['msg'].removeprefix('Value error, '))}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def allowed_range(info: FieldInfo) -> str:
    """``1 to 150``, ``more than 0, at most 8``, ``at least 1``, or nothing when the field has no limits."""
    limits = {
        name: getattr(item, name)
        for item in info.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(item, name, None) is not None
    }
    if "ge" in limits and "le" in limits:
        return f"{limits['ge']} to {limits['le']}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return ", ".join(f"{words[name]} {limits[name]}" for name in words if name in limits)
