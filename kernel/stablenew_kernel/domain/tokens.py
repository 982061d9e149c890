"""The tokens of a prompt that mean something to us but nothing to a backend, once the randomizer is through.

``<lora:NAME:WEIGHT>``, attention ``(words:1.2)``, ``BREAK`` and ``AND`` go through as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_EMBEDDING = re.compile(r"<embedding:([^<>:]*)(?::([^<>:]*))?>", re.IGNORECASE)
_EMBEDDING_BEGINS = re.compile(r"<\s*embedding\b", re.IGNORECASE)
_WEIGHT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_NETWORK = re.compile(r"<(lora|lyco|hypernet):\s*([^<>:]+?)\s*(?::[^<>]*)?>", re.IGNORECASE)
_LISTS = {"lora": "loras", "lyco": "loras", "hypernet": "hypernetworks"}
_ESCAPE = re.compile(r"\\([{}|$]|__)")


def resolve(text: str) -> str:
    """``text`` as a backend gets it.

    ``<embedding:NAME>`` becomes the bare NAME, which is what WebUIs understand, and ``<embedding:NAME:WEIGHT>``
    becomes ``(NAME:WEIGHT)``; the escapes ``\\{``, ``\\}``, ``\\|``, ``\\$`` and ``\\__`` lose their
    backslash. The escapes ``\\(``, ``\\)``, ``\\[`` and ``\\]`` belong to the backend and stay.
    """
    return unescape(_EMBEDDING.sub(_bare, text) if "<" in text else text)


def unescape(text: str) -> str:
    """``text`` without the backslashes of our own escapes; its tags stay. See :func:`resolve`."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


@lru_cache(maxsize=1024)  # the images of a row share their prompts
def named(text: str) -> tuple[str, frozenset[str]]:
    """An unescaped ``text`` as a backend gets it, and the names that it asks for, as
    :attr:`stablenew_api.jobs.Needs.names` has them: ``loras:detail``, ``embeddings:easynegative``."""
    if "<" not in text:
        return text, frozenset()
    found = {f"{_LISTS[tag[1].lower()]}:{tag[2]}" for tag in _NETWORK.finditer(text)}
    found |= {f"embeddings:{tag[1].strip()}" for tag in _EMBEDDING.finditer(text) if tag[1].strip()}
    return _EMBEDDING.sub(_bare, text), frozenset(found)


def _bare(tag: re.Match[str]) -> str:
    name, weight = tag[1].strip(), (tag[2] or "").strip()
    if not name:
        return tag[0]
    return f"({name}:{weight})" if weight else name


def embedding_slips(text: str) -> Iterator[tuple[int, str, str]]:
    """Embedding tags that cannot be resolved: place in ``text`` (from 0), reason, and what to do."""
    for begin in _EMBEDDING_BEGINS.finditer(text):
        tag = _EMBEDDING.match(text, begin.start())
        fix = "write <embedding:NAME> or <embedding:NAME:1.2>"
        if tag is None:
            yield begin.start(), "an embedding tag that is not complete", fix
        elif not tag[1].strip():
            yield begin.start(), "an embedding without a name", fix
        elif (weight := (tag[2] or "").strip()) and not _WEIGHT.fullmatch(weight):
            yield begin.start(), f"the weight {weight[:20]!r} of an embedding is no number", fix
