"""What could be meant while a LoRA, wildcard, slot or embedding is being typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MOST = 8
"""Options that are offered."""


@dataclass(frozen=True, slots=True)
class Names:
    """All there are."""

    loras: Sequence[str] = ()
    embeddings: Sequence[str] = ()
    wildcards: Sequence[str] = ()
    slots: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What is offered for ``text[start:end]``."""

    start: int
    end: int
    options: Sequence[str] = field(default=())
    """Names, as people know them."""
    texts: Sequence[str] = field(default=())
    """What each would be written as."""
    kind: str = ""
    """Which of :class:`Names`."""


_OPENINGS: Sequence[tuple[str, re.Pattern[str], str, str]] = (
    # Which names, what is being typed, how it is written, what may already stand behind the caret.
    ("loras", re.compile(r"<(?:lora|lyco):([^<>:{}]*)$", re.IGNORECASE), "<lora:{}:1>", r"[^<>{}\s]*>"),
    ("embeddings", re.compile(r"<?embedding:([^<>:,()\s{}]*)$", re.IGNORECASE), "embedding:{}", ""),
    ("slots", re.compile(r"\[\[([^\[\]|]*)$"), "[[{}]]", r"[^\[\]|]{0,40}\]\]"),
    (
        "wildcards",
        re.compile(r"__([^\s_{}|<>,()$#]?(?:(?!__)[^\s{}|<>,()$#])*)$"),
        "__{}__",
        r"[\w\-/]{0,60}?__",
    ),
)


def complete(text: str, caret: int, names: Names) -> Completion | None:
    """What is offered at ``caret``; None: nothing is being typed there that could be completed, or it is whole.

    Names that begin with what was typed come first, then those with it anywhere. Letters' case is nothing.
    """
    before = text[:caret]
    for kind, opening, written, rest in _OPENINGS:
        match = opening.search(before)
        if match is None or (kind == "wildcards" and before[: match.start()].count("__") % 2):
            continue
        known: Sequence[str] = getattr(names, kind)
        typed = match[1].strip().lower()
        options = _ranked(known, typed)
        behind = re.match(rest, text[caret:]) if rest else None
        end = caret + (behind.end() if behind is not None and _closes(kind, text[caret:]) else 0)
        start = match.start()
        form = "<embedding:{}>" if kind == "embeddings" and match[0].startswith("<") else written
        texts = [form.format(option) for option in options]
        if not options or texts == [text[start:end]]:
            return None
        return Completion(start, end, options, texts, kind)
    return None


def _closes(kind: str, behind: str) -> bool:
    """Whether the end that stands behind the caret is of what is being typed. The ``__`` of a wildcard could
    open the next one: then there is an even number of them."""
    return kind != "wildcards" or behind.count("__") % 2 == 1


def _ranked(known: Sequence[str], typed: str) -> Sequence[str]:
    begin = [name for name in known if name.lower().startswith(typed)]
    within = [name for name in known if typed in name.lower() and name not in begin]
    return (sorted(begin, key=str.lower) + sorted(within, key=str.lower))[:MOST]
