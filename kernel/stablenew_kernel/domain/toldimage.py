"""What the file of an image tells about itself, read by whichever importer knows it. Bytes in, values out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_api.images import pixel_sha256
from stablenew_api.imagetext import PNG, kind_of, read_texts
from stablenew_api.importer import Importer, import_file, recognise
from stablenew_api.png import PARAMETERS, STABLENEW
from stablenew_kernel.domain.imageinfo import Story, own_story, story_of
from stablenew_kernel.domain.infotext import stored_image_sha256

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class ToldImage:
    """A file, and what it tells."""

    kind: str
    """``PNG``, ``JPEG``, ...; empty for a text file that tells of an image."""
    width: int
    height: int
    importer: str
    """Empty: no importer knows it."""
    story: Story | None


def read_told(importers: Mapping[str, type[Importer]], name: str, data: bytes, label: str) -> ToldImage:
    """The file ``name`` with the content ``data``. Its story is None if it has none that an importer knows.

    Raises UserError, which begins with ``label``, for what is no image and nothing that tells of one; and as
    importers do for texts that are damaged.
    """
    kind, width, height = _shape(data)
    story, importer = None, ""
    for known in recognise(importers, name, data):
        imported = import_file(known, name, data)
        if imported.settings is None:
            continue  # a list of prompts or the like
        texts = read_texts(data, name) if kind_of(data) else {}
        own = own_story(texts[STABLENEW]) if STABLENEW in texts else None
        story, importer = story_of(imported, own, texts.get(PARAMETERS, "")), known.name
        break
    if story is None and not kind:
        raise UserError(f"{label}: not an image that can be read, and no text that tells of one")
    return ToldImage(kind, width, height, importer, story)


def _shape(data: bytes) -> tuple[str, int, int]:
    """Kind and size of an image, from its head; empty and 0 for what is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.format or "", image.width, image.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "", 0, 0


def image_sha256(data: bytes, label: str) -> str:
    """What an image is known by: its pixels as they were made.

    Of a PNG file these are its pixels. JPEG changes pixels, WebP may: of such a file it is what its
    ``stablenew`` text says, if it has one, else its own pixels. Raises UserError, which begins with ``label``.
    """
    with _decoded(data, label) as picture:
        if kind_of(data) not in ("", PNG):
            text = read_texts(data, label).get(STABLENEW, "")
            if stored := stored_image_sha256(text):
                return stored
        return pixel_sha256(picture)


def _decoded(data: bytes, label: str) -> Image:
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow's own words for a text file or a torn download differ from format to format.
        raise UserError(f"{label}: not an image that can be read ({error})") from error
    return image
