"""What an image tells, read by whichever importer knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_kernel.cli.images import read_image

if TYPE_CHECKING:
    from stablenew_api.importer import Importer
    from stablenew_kernel.domain.imageinfo import Story
    from stablenew_kernel.domain.toldimage import ToldImage


@dataclass(frozen=True, slots=True)
class ToldFile:
    """A file, and what it tells."""

    path: Path
    image: ToldImage

    @property
    def story(self) -> Story | None:
        """None: it has none that an importer knows."""
        return self.image.story


def read_story(importers: Mapping[str, type[Importer]], given: str) -> ToldFile:
    """The image ``given`` and its story.

    Raises UserError, naming the file, for what is no image and nothing that tells of one, and for texts that
    are damaged.
    """
    from stablenew_kernel.domain.toldimage import read_told

    path = Path(given).expanduser()
    return ToldFile(path, read_told(importers, path.name, read_image(given), f"image {given}"))


def plain_story(file: ToldFile) -> dict[str, Any]:
    """``file`` for ``--json``."""
    from stablenew_kernel.domain.imageinfo import missing

    image = file.image
    told: dict[str, Any] = {
        "file": str(file.path),
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
