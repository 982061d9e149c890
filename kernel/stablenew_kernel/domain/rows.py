"""Which rows of a pack to run: ``1-3,7``."""

from __future__ import annotations

import re

from stablenew_api.errors import UserError

_PART = re.compile(r"(\d{1,9})(?:\s*(-)\s*(\d{1,9})?)?")


def parse_rows(text: str, count: int, pack: str) -> tuple[int, ...]:
    """Row numbers, from 1, in the order given, each once. ``count`` is the number of rows of ``pack``.

    Parts are separated by commas: ``4``, ``2-5`` or ``7-`` (to the last). Empty text means every row. Raises
    UserError for anything else and for rows that the pack doesn't have.
    """
    if not text.strip():
        return tuple(range(1, count + 1))
    chosen: dict[int, None] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UserError(f"rows {text!r}: {part.strip()!r} is no row or range; write for example 1-3,7")
        first = int(match[1])
        last = int(match[3]) if match[3] else count if match[2] else first
        for number in (first, last):
            if not 1 <= number <= count:
                has = "1 row" if count == 1 else f"{count} rows, 1 to {count}"
                raise UserError(f"rows {text!r}: there is no row {number}; pack {pack} has {has}")
        if last < first:
            raise UserError(f"rows {text!r}: {part.strip()} runs backwards; write {last}-{first}")
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return tuple(chosen)
