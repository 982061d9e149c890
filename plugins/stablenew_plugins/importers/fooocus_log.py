"""The private log of Fooocus: ``log.html`` beside its images, which need not hold any data themselves.

Source: ``modules/private_logger.py``: a table a picture, in rows of a label and a value.
"""

from __future__ import annotations

import html
import re
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, Importer, safe_stem
from stablenew_api.packtext import PackRow, literal, pack_files
from stablenew_plugins.importers.common import Notes, common_settings, decode, is_text, nested, peek
from stablenew_plugins.importers.fooocus import fooocus_image

_BOX = re.compile(r"""class=["']image-container["']""")
_TAG = re.compile(r"<[^<>]*>")


class FooocusLog(Importer):
    """A row a picture, oldest first, as the log has the newest on top. What all share goes into the sidecar."""

    name, title, endings = "fooocus_log", "Private log of Fooocus (log.html)", (".html", ".htm")

    def sniff(self, name: str, data: bytes) -> bool:
        """Its title says so."""
        return is_text(data) and "<p>Fooocus Log " in peek(data[:8192])

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError for a page without a picture that has a prompt."""
        pictures = _pictures(decode(name, data))
        notes = Notes("picture")
        rows: list[PackRow] = []
        settings = []
        for number, picture in enumerate(reversed(pictures), start=1):
            own = Notes()
            prompt, negative, found = fooocus_image(picture, own)
            for note in own.all():
                notes.add(note, number)
            if not prompt:
                notes.add("no prompt; left out", number)
                continue
            rows.append(PackRow(literal(prompt), literal(negative)))
            settings.append((number, {key: (f"{key} {value}", value) for key, value in found.items()}))
        if not rows:
            raise UserError(f"{name}: no picture with a prompt in it")
        shared = common_settings(settings, notes)
        return Imported(pack_files(safe_stem(name), rows, nested(shared)), notes.all())


def _pictures(page: str) -> list[dict[str, Any]]:
    """Label and value of each picture, in the order of the page.

    The page is taken apart by the very tags that Fooocus writes: html.parser takes quadratic time over some
    that nobody closes.
    """
    pictures = []
    for box in _BOX.split(page)[1:]:
        found: dict[str, Any] = {}
        label = ""
        for cell in box.split("<td class=")[1:]:
            kind, _, rest = cell.partition(">")
            text = " ".join(html.unescape(_TAG.sub(" ", rest.partition("</td>")[0])).split())
            if kind.strip("'\"") in ("key", "label"):  # older versions call it label
                label = text
            elif label:
                found[label], label = text, ""
        pictures.append(found)
    return pictures
