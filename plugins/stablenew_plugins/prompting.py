"""What the readers of A1111 prompts share: attention weights, and prompts that ``AND`` joins. Pure.

Source: ``parse_prompt_attention`` of ``modules/prompt_parser.py`` and ``get_multicond_prompt_list`` of the
AUTOMATIC1111 WebUI. What a backend does with the pieces is its own: each has its ``prompt`` module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

STRONGER = 1.1
"""Weight of a pair of round brackets; square ones divide by it."""
BREAK = re.compile(r"\s*\bBREAK\b\s*")
AND = re.compile(r"\bAND\b")

TOKEN = re.compile(r"\\[\\()\[\]]|:\s*([+-]?[.\d]+)\s*\)|[()\[\]]|[^\\()\[\]:]+|[:\\]")
"""What attention is read from; its group is the number of ``:1.2)``."""
_CLAUSE = re.compile(r"(.*?)\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)


def attention(text: str, stray: str = "") -> list[tuple[str, float]]:
    """The pieces of ``text`` with their weights, escapes resolved, ``BREAK`` left in.

    ``(x)`` times 1.1, ``[x]`` divided by 1.1, ``(x:1.3)`` times 1.3; nesting multiplies; ``\\(`` is a bracket
    in the text. ``stray``: what becomes of a backslash that escapes nothing; the WebUI drops it. Never fails:
    brackets that are not closed count to the end.
    """
    pieces: list[tuple[str, float]] = []
    rounds: list[int] = []
    squares: list[int] = []

    def scale(start: int, factor: float) -> None:
        pieces[start:] = [(piece, weight * factor) for piece, weight in pieces[start:]]

    for match in TOKEN.finditer(text):
        found, number = match[0], match[1]
        if found[0] == "\\":
            pieces.append((found[1:] or stray, 1.0))
        elif found == "(":
            rounds.append(len(pieces))
        elif found == "[":
            squares.append(len(pieces))
        elif number is not None and rounds:
            weight = _float(number)
            if weight is None:  # such as ":1.2.3)": a bracket after all
                pieces.append((found[:-1], 1.0))
            scale(rounds.pop(), STRONGER if weight is None else weight)
        elif found == ")" and rounds:
            scale(rounds.pop(), STRONGER)
        elif found == "]" and squares:
            scale(squares.pop(), 1 / STRONGER)
        else:
            pieces.append((found, 1.0))
    for start in rounds:
        scale(start, STRONGER)
    for start in squares:
        scale(start, 1 / STRONGER)
    return pieces


def merged(pieces: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """``pieces`` with neighbours of one weight as one: a word may be made of several. Empty ones are left
    out."""
    found: list[tuple[str, float]] = []
    for piece, weight in pieces:
        if found and found[-1][1] == weight:
            found[-1] = (found[-1][0] + piece, weight)
        elif piece:
            found.append((piece, weight))
    return found


def clauses(text: str) -> Iterator[tuple[str, float]]:
    """The prompts that ``AND`` joins, each with the weight behind its last colon (1 without one)."""
    parts = AND.split(text)
    for part in parts:
        weighted = _CLAUSE.fullmatch(part) if len(parts) > 1 else None
        yield (weighted[1], float(weighted[2])) if weighted else (part, 1.0)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
