"""What an image tells, read by whichever importer knows it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import UserError
from stablenew_kernel.cli.images import read_image

if TYPE_CHECKING:
    from stablenew_api.importer import Importer
    from stablenew_kernel.domain.imageinfo import Story


@dataclass(frozen=True, slots=True)
class ToldImage:
    """A file, and what it tells."""

    path: Path
    kind: str
    """``PNG``, ``JPEG``, ...; empty for a text file that tells of an image."""
    width: int
    height: int
    importer: str
    """Empty: no importer knows it."""
    story: Story | None


def read_story(importers: Mapping[str, type[Importer]], given: str) -> ToldImage:
    """The image ``given`` and its story, None if it has none that an importer knows.

    Raises UserError, naming the file, for what is no image and nothing that tells of one, and for texts that
    are damaged.
    """
    from stablenew_api.imagetext import kind_of, read_texts
    from stablenew_api.importer import import_file, recognise
    from stablenew_api.png import PARAMETERS, STABLENEW
    from stablenew_kernel.domain.imageinfo import own_story, story_of

    data = read_image(given)
    path = Path(given).expanduser()
    kind, width, height = _shape(data)
    story, importer = None, ""
    for known in recognise(importers, path.name, data):
        imported = import_file(known, path.name, data)
        if imported.settings is None:
            continue  # a list of prompts or the like
        texts = read_texts(data, path.name) if kind_of(data) else {}
        own = own_story(texts[STABLENEW]) if STABLENEW in texts else None
        story, importer = story_of(imported, own, texts.get(PARAMETERS, "")), known.name
        break
    if story is None and not kind:
        raise UserError(f"image {given}: not an image that can be read, and no text that tells of one")
    return ToldImage(path, kind, width, height, importer, story)


def _shape(data: bytes) -> tuple[str, int, int]:
    """Kind and size of an image, from its head; empty and 0 for what is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.format or "", image.width, image.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "", 0, 0


def plain_story(image: ToldImage) -> dict[str, Any]:
    """``image`` for ``--json``."""
    from stablenew_kernel.domain.imageinfo import missing

    told: dict[str, Any] = {
        "file": str(image.path),
        "kind": image.kind,
        "width": image.width,
        "height": image.height,
        "format": image.importer,
    }
    if (story := image.story) is not None:
        told |= {
            "program": story.program,
            "prompt": story.prompt,
            "negative_prompt": story.negative_prompt,
            "settings": dict(story.settings),
            "hashes": dict(story.hashes),
            "missing": missing(story),
            "notes": list(story.notes),
        }
        if (own := story.own) is not None:
            told["stablenew"] = {
                "job_id": own.job_id,
                "run_id": own.run_id,
                "node": own.node,
                "attempt": own.attempt,
                "backend": own.backend,
                "stages": [
                    {"name": name, "version": version, "seconds": seconds}
                    for name, version, seconds in own.stages
                ],
            }
    return told
