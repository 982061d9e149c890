"""Reads a prompt in the A1111 dialect: words with their attention weights, and LoRA tags. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LORA = re.compile(r"<(?:lora|lyco|hypernet):([^:<>]+)(?::([^<>]*))?>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_TOKEN = re.compile(r"\\[()\[\]]|\(|\[|\)|\]|:|[^\\()\[\]:]+|\\")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*")

STRONGER = 1.1
"""Weight of a pair of round brackets; square ones divide by it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, read."""

    text: str
    """Without the LoRA tags."""
    words: tuple[tuple[str, float], ...]
    """Lower-case words and their attention weights, in order."""
    loras: tuple[tuple[str, float], ...]
    """LoRA names and weights, in order."""


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(match[1]) if match else None


def read_prompt(prompt: str) -> Prompt:
    """Read ``prompt``. Never fails: brackets that do not close count to the end, as in the WebUI."""
    loras = []
    for match in _LORA.finditer(prompt):
        weight = _number((match[2] or "1").split(":")[0])
        loras.append((match[1].strip(), 1.0 if weight is None else weight))
    text = _TAG.sub(" ", prompt)

    words: list[tuple[str, float]] = []
    round_at: list[int] = []  # index in words where each open bracket begins
    square_at: list[int] = []

    def multiply(start: int, factor: float) -> None:
        words[start:] = [(word, weight * factor) for word, weight in words[start:]]

    pieces = _TOKEN.findall(text)
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        index += 1
        if piece == "(":
            round_at.append(len(words))
        elif piece == "[":
            square_at.append(len(words))
        elif piece == ")" and round_at:
            multiply(round_at.pop(), STRONGER)
        elif piece == "]" and square_at:
            multiply(square_at.pop(), 1 / STRONGER)
        elif (
            piece == ":"
            and round_at
            and index + 1 < len(pieces)
            and pieces[index + 1] == ")"
            and (weight := _number(pieces[index])) is not None
        ):
            multiply(round_at.pop(), weight)
            index += 2
        else:
            words += [(word.lower(), 1.0) for word in _WORD.findall(piece) if word not in ("BREAK", "AND")]
    for start in round_at:
        multiply(start, STRONGER)
    for start in square_at:
        multiply(start, 1 / STRONGER)
    return Prompt(" ".join(text.split()), tuple(words), tuple(loras))
