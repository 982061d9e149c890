"""A pack written in another format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.packs.model import Pack
from stablenew_kernel.domain.packs.read import ending_of, read_rows
from stablenew_kernel.domain.packs.slots import new_slot

FORMATS = (".txt", ".tsv", ".json", ".csv")
"""Endings that :func:`export_pack` writes."""


def export_pack(pack: Pack, name: str, settings: Mapping[str, JsonValue] | None = None) -> bytes:
    """The rows of ``pack`` as the content of a file called ``name``, whose ending is one of :data:`FORMATS`.

    ``settings`` are the sections of the pack's sidecar; only a ``.json`` can hold them. A ``.csv`` is a
    ``styles.csv`` of the A1111 WebUI, a style a row. Raises UserError for a row that the format cannot hold.
    """
    ending = name[name.rfind(".") :].lower()
    if ending not in FORMATS:
        raise UserError(f"{name}: no format to write; end the name with {', '.join(FORMATS)}")
    if ending == ".csv":
        return _csv(pack)
    if ending == ".json":
        text = _json(pack, settings or {})
    elif ending == ".tsv":
        text = "".join(f"{row.positive}\t{row.negative}".removesuffix("\t") + "\n" for row in pack.rows)
    else:
        blocks = (row.positive + (f"\nneg: {row.negative}" if row.negative else "") for row in pack.rows)
        text = "\n\n".join(block.strip("\n") for block in blocks) + "\n"
    written = read_rows(name, text)[0]
    for number, row in enumerate(pack.rows):
        again = written[number] if number < len(written) else None
        if again is None or (again.positive, again.negative) != (row.positive, row.negative):
            raise UserError(
                f"pack {pack.name}, row {row.number}, line {row.line}: a {ending_of(name)} file cannot hold "
                "this text (it begins with # or neg:, holds a tab, or is empty); change it first"
            )
    return text.encode("utf-8")


def _json(pack: Pack, settings: Mapping[str, JsonValue]) -> str:
    slots = [new_slot(row.number - 1, row.positive, row.negative) for row in pack.rows]
    whole: dict[str, JsonValue] = {"pack_data": {"name": pack.title, "slots": slots}}
    if settings:
        whole["preset_data"] = dict(settings)
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _csv(pack: Pack) -> bytes:
    """As modules/styles.py of https://github.com/AUTOMATIC1111/stable-diffusion-webui writes it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("name", "prompt", "negative_prompt"))
    for row in pack.rows:
        writer.writerow((f"{pack.title} {row.number}", row.positive, row.negative))
    return file.getvalue().encode("utf-8-sig")
