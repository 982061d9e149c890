"""Which rows of a pack run, as people write it: ``1-3,7``; empty: all of them."""

from __future__ import annotations

import re
from collections.abc import Collection

from stablenew_plugins.desktop.text import _

_PART = re.compile(r"(\d{1,9})(?:\s*(-)\s*(\d{1,9})?)?")


def parse_rows(text: str, count: int) -> tuple[int, ...]:
    """The rows that ``text`` means of a pack of ``count`` rows, from 1, each once, in the order given.

    Raises ValueError, in words for people, for anything else and for rows that there are not.
    """
    if not text.strip():
        return tuple(range(1, count + 1))
    chosen: dict[int, None] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(_("Write numbers of prompts like this: 1-3, 7"))
        first = int(match[1])
        last = int(match[3]) if match[3] else count if match[2] else first
        for number in (first, last):
            if not 1 <= number <= count:
                raise ValueError(_("There is no prompt {n}: it has {count}").format(n=number, count=count))
        if last < first:
            raise ValueError(_("Write {last}-{first}").format(first=first, last=last))
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return tuple(chosen)


def format_rows(rows: Collection[int], count: int) -> str:
    """The shortest text for ``rows`` of a pack of ``count``; empty for all of them."""
    numbers = sorted(set(rows))
    if len(numbers) == count:
        return ""
    parts: list[str] = []
    at = 0
    while at < len(numbers):
        end = at
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        first, last = numbers[at], numbers[end]
        parts.append(str(first) if first == last else f"{first}-{last}")
        at = end + 1
    return ",".join(parts)
