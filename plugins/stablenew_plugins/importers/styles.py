"""``styles.csv`` of the AUTOMATIC1111 WebUI: a style a row, ``name,prompt,negative_prompt``.

Source: ``modules/styles.py``. It is read as CSV with blanks behind a comma skipped; columns go by the header,
in any order; an older header has ``text`` for ``prompt`` and no negative prompt.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, Importer, safe_stem
from stablenew_api.jobs import JsonValue
from stablenew_api.packtext import PackRow, as_template, pack_files
from stablenew_plugins.importers.common import Notes, decode, is_text, peek, short

PLACEHOLDER = "{prompt}"
_SLOT = "[[prompt]]"


class Styles(Importer):
    """A row a style, under its name as a comment."""

    name, title, endings = "styles_csv", "Styles of A1111 (styles.csv)", (".csv",)

    def sniff(self, name: str, data: bytes) -> bool:
        """The header names a style and its prompt."""
        if not is_text(data):
            return False
        header = peek(data[:1000]).lstrip().partition("\n")[0].casefold()
        columns = {cell.strip(' "') for cell in header.split(",")}
        return "name" in columns and bool(columns & {"prompt", "text"})

    def read(self, name: str, data: bytes) -> Imported:
        """``{prompt}`` becomes the matrix slot ``prompt``, whose values the sidecar holds: one, empty."""
        notes = Notes()
        rows: list[PackRow] = []
        seen: set[str] = set()
        comment: list[str] = []
        slotted = False
        for line, style, prompt, negative in _styles(name, decode(name, data), notes):
            if style in seen:
                notes.add(
                    f"a second style called {short(style)!r}; A1111 knows the last one only, here are all", line
                )
            seen.add(style)
            comment.append(style)
            if not prompt.strip():
                if negative.strip():
                    notes.add(f"{short(style)!r} has a negative prompt alone; it is kept as a comment", line)
                    comment.append(f"neg: {negative}")
                continue  # a separator, or no prompt: its name stands as a comment above the next row
            slotted = slotted or PLACEHOLDER in prompt
            rows.append(
                PackRow(
                    as_template(prompt).replace(PLACEHOLDER, _SLOT).replace(r"\{prompt\}", _SLOT),
                    as_template(negative.replace(PLACEHOLDER, "").strip(" ,")),
                    "\n".join(comment),
                )
            )
            comment = []
        if not rows:
            raise UserError(f"{name}: no style with a prompt in it")
        if comment:
            notes.add(f"styles without a prompt at the end of the file: {short(', '.join(comment), 200)}")
        settings: dict[str, JsonValue] | None = None
        if slotted:
            slot = {"name": "prompt", "values": [""]}
            settings = {"randomization": {"enabled": True, "matrix": {"mode": "fanout", "slots": [slot]}}}
            notes.add(
                f"{PLACEHOLDER} became the matrix slot {_SLOT}: put your prompts into "
                "randomization.matrix.slots of the sidecar, where it is empty now"
            )
        return Imported(pack_files(safe_stem(name), rows, settings), notes.all())


def _styles(name: str, text: str, notes: Notes) -> Iterator[tuple[int, str, str, str]]:
    """Line, name, prompt and negative prompt of each style. Raises UserError for what is no such file."""
    lines = _records(name, text)
    _, header = next(lines, (1, []))
    columns = {cell.strip().casefold(): place for place, cell in reversed(list(enumerate(header)))}
    which = columns.get("prompt", columns.get("text"))
    if "name" not in columns or which is None:
        raise UserError(
            f"{name}, line 1: the header must name the columns name and prompt, not {short(header)}"
        )
    negative = columns.get("negative_prompt")
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            lost = ", ".join(cells[len(header) :])
            notes.add(f"more cells than the header has; left out: {short(lost)!r}", line)

        def cell(place: int | None, cells: list[str] = cells) -> str:
            return cells[place] if place is not None and place < len(cells) else ""

        yield line, cell(columns["name"]).strip(), cell(which), cell(negative)


def _records(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of the CSV with the line that each begins in.

    Strict first, since a lenient reader takes the rest of the file for one cell where a quote is never closed;
    what A1111 reads though it is no proper CSV (``"a" b``) is read as there.
    """
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    line = 1
    records: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            records.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise UserError(
                f"{name}, line {line}: a quotation mark is never closed in this row; close it"
            ) from error
        lenient = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        line, records = 1, []
        try:
            for cells in lenient:
                records.append((line, cells))
                line = lenient.line_num + 1
        except csv.Error as broken:
            raise UserError(f"{name}, line {line}: {broken}; mend this row") from broken
    yield from records
