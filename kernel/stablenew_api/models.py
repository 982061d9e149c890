"""Names of models: a file in a folder, or as a WebUI shows it, with a hash behind; and which are alike."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

_ENDING = re.compile(r"(?<=.)\.(?:safetensors|sft|ckpt|gguf|pth|pt|bin|onnx)$", re.IGNORECASE)
_HASH = re.compile(r"\[([0-9a-f]{8,64})\]$", re.IGNORECASE)


def model_name(name: object) -> str:
    """``SDXL\\juggernaut.safetensors [dd08fa32f9]`` as ``juggernaut``: without folder, ending and hash."""
    base = re.split(r"[/\\]", str(name).strip().rstrip("/\\"))[-1]
    return _ENDING.sub("", _HASH.sub("", base).rstrip())


def model_hash(name: str) -> str:
    """The hash that a model's name carries, or is, in small letters: 10 or 64 hexadecimal digits where it
    stands alone. Empty if none."""
    found = _HASH.search(name) or re.fullmatch(r"([0-9a-f]{10}|[0-9a-f]{64})", name.strip(), re.IGNORECASE)
    return found[1].lower() if found else ""


SHORTEST_HASH = 10
"""Digits of A1111's hash of a model's content. The older one of eight digits is of another kind: it tells
nothing of the content as a whole."""


@lru_cache(maxsize=4096)
def same_model(one: str, other: str) -> bool:
    """Whether two names mean the same model: by hash where both tell one, else by name without folder, ending
    and hash, whatever the case. No name is the same as none."""
    if not one or not other:
        return False
    digest, other_digest = model_hash(one), model_hash(other)
    if len(digest) >= SHORTEST_HASH and len(other_digest) >= SHORTEST_HASH:
        return digest.startswith(other_digest) or other_digest.startswith(digest)
    return model_name(one).casefold() == model_name(other).casefold()


def nearest(name: str, known: Iterable[str], most: int = 3) -> str:
    """A phrase with what is called most like ``name``, to go behind an error text; else with a few that there
    are. Case does not count; folders and endings do where no name is alike without them. For names of anything:
    samplers, upscalers, options."""
    names = list(dict.fromkeys(known))
    for short in (model_name, str):
        spelled = {short(one).casefold(): one for one in reversed(names)}
        if close := difflib.get_close_matches(short(name).casefold(), spelled, n=most, cutoff=0.4):
            return "; nearest: " + ", ".join(spelled[one] for one in close)
    return f"; it has: {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" if names else "; it has none"
