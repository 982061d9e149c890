"""The keys that give tags."""

from __future__ import annotations

from collections.abc import Sequence

LETTERS = "ABDEFGHIJKLMNOQRSTUVWXYZ"
"""Keys for tags: all but those that do something else in the tab."""


def letters_of(tags: Sequence[str]) -> dict[str, str]:
    """A key for each of ``tags``: the first of its letters that is free, else any; none where all are taken."""
    free = list(LETTERS)
    found = {}
    for tag in tags:
        key = next((letter for letter in tag.upper() if letter in free), None)
        if key is None:
            continue
        free.remove(key)
        found[tag] = key
    for tag in tags:
        if tag not in found and free:
            found[tag] = free.pop(0)
    return found
