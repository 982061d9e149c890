"""Reads a prompt in the A1111 dialect: words with their attention weights, and LoRA tags. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stablenew_plugins.prompting import attention

_LORA = re.compile(r"<(?:lora|lyco|hypernet):([^:<>]+)(?::([^<>]*))?>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*")


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

    words = [
        (word.lower(), weight)
        for piece, weight in attention(text)
        for word in _WORD.findall(piece)
        if word not in ("BREAK", "AND")
    ]
    return Prompt(" ".join(text.split()), tuple(words), tuple(loras))
