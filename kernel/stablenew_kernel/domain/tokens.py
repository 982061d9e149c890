"""The tokens inside a prompt: which ones a backend must never see, and what becomes of the others.

``<lora:NAME:WEIGHT>``, attention ``(words:1.2)``, ``BREAK`` and ``AND`` go through as written. Randomizer
tokens (``[[slot]]``, ``__wildcard__``, ``{a|b}``) are not resolved by this version: a row that has one is
refused, with its place, rather than sent to a backend that would draw the braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(r"<[A-Za-z][\w-]*:[^<>]*>")
_EMBEDDING = re.compile(r"<embedding:\s*([^<>:]+?)\s*(?::\s*([^<>:]*?)\s*)?>", re.IGNORECASE)
_SLOT = re.compile(r"\[\[\s*\w[\w \-]*\]\]")
_WILDCARD = re.compile(r"__[^\s_{}|<>,](?:(?!__)[^\s{}|<>,])*__")
_START = re.compile(r"\\(?:__|.)|\$\{|\{|\[\[|__", re.DOTALL)
_OPTION = re.compile(r"\\.|[{}|]|\$\$|::", re.DOTALL)
_ESCAPE = re.compile(r"\\([{}$]|__)")
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """A token that cannot be resolved."""

    at: int
    """Place in the text, in characters, from 0."""
    reason: str
    fix: str


def find_unsupported(text: str) -> list[Finding]:
    """Randomizer tokens in ``text``, in order; nested ones are part of the outermost.

    ``<name:...>`` tags are masked first, so that ``<lora:my__lora__v1:1>`` is no wildcard; ``\\{``, ``\\}``,
    ``\\$``, ``\\__`` and ``\\[`` are literal. Linear in the length of ``text``.
    """
    if "{" not in text and "__" not in text and "[[" not in text:
        return []
    return list(_findings(_TAG.sub(lambda tag: " " * len(tag[0]), text), text))


def _findings(masked: str, text: str) -> Iterator[Finding]:
    at = grouped = 0
    while (start := _START.search(masked, at)) is not None:
        at = start.end()
        opener, where = start[0], start.start()
        if opener == "[[" and (slot := _SLOT.match(masked, where)):
            at = slot.end()
            yield _finding(where, "matrix slot", text[where:at], r"write the words out, or \[ for a bracket")
        elif opener == "__":
            if wildcard := _WILDCARD.match(masked, where):
                at = wildcard.end()
                yield _finding(
                    where, "wildcard", text[where:at], r"write the words out, or \__ for underscores"
                )
            else:
                at = where + 1
        elif opener == "${" or (opener == "{" and where >= grouped):
            grouped, varies = _group(masked, start.end())
            if varies or opener == "${":
                at = grouped
                yield _finding(where, "choice", text[where:at], r"write the words out, or \{ for a brace")


def _group(masked: str, at: int) -> tuple[int, bool]:
    """End of the brace group whose inside starts at ``at``, and whether it asks for a choice."""
    depth, varies = 1, False
    for match in _OPTION.finditer(masked, at):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if not depth:
                return match.end(), varies
        elif match[0] in ("|", "$$", "::"):
            varies = True
    return len(masked), varies


def _finding(at: int, kind: str, token: str, fix: str) -> Finding:
    shown = token if len(token) <= _SHOWN else token[: _SHOWN - 1] + "…"
    return Finding(at, f"the {kind} {shown} is not supported by this version", fix)


def resolve(text: str) -> str:
    """``text`` as a backend gets it.

    ``<embedding:NAME>`` becomes the bare NAME, which is what WebUIs understand, and ``<embedding:NAME:WEIGHT>``
    becomes ``(NAME:WEIGHT)``; the escapes ``\\{``, ``\\}``, ``\\$`` and ``\\__`` lose their backslash. The
    escapes ``\\(``, ``\\)``, ``\\[`` and ``\\]`` belong to the backend and stay.
    """
    if "<" in text:
        text = _EMBEDDING.sub(lambda tag: f"({tag[1]}:{tag[2]})" if tag[2] else tag[1], text)
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
