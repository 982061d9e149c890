"""The tokens of a prompt that mean something to us but nothing to a backend, once the randomizer is through.

``<lora:NAME:WEIGHT>``, attention ``(words:1.2)``, ``BREAK`` and ``AND`` go through as written.
"""

from __future__ import annotations

import re

_EMBEDDING = re.compile(r"<embedding:\s*([^<>:]+?)\s*(?::\s*([^<>:]*?)\s*)?>", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([{}|$]|__)")


def resolve(text: str) -> str:
    """``text`` as a backend gets it.

    ``<embedding:NAME>`` becomes the bare NAME, which is what WebUIs understand, and ``<embedding:NAME:WEIGHT>``
    becomes ``(NAME:WEIGHT)``; the escapes ``\\{``, ``\\}``, ``\\|``, ``\\$`` and ``\\__`` lose their
    backslash. The escapes ``\\(``, ``\\)``, ``\\[`` and ``\\]`` belong to the backend and stay.
    """
    if "<" in text:
        text = _EMBEDDING.sub(lambda tag: f"({tag[1]}:{tag[2]})" if tag[2] else tag[1], text)
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
