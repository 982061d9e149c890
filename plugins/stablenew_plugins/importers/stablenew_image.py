"""Our own images: the whole job is in their ``stablenew`` text (docs/metadata.md)."""

from __future__ import annotations

import json
import re
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.infotext import hashes_of, parse_infotext
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.png import PARAMETERS, STABLENEW
from stablenew_plugins.importers.common import Flat, Notes, depth, short
from stablenew_plugins.importers.images import ImageImporter, imported_image

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DEEPEST = 20
_OWN_PLACE = ("txt2img", "img2img", "adetailer", "upscale")
"""Stages whose place in the pipeline their phase decides; others are listed as post-processors."""


class StableNewImage(ImageImporter):
    """The stages of the job become sections, the prompt is the resolved one. ``stablenew replay`` makes the
    very image again; this makes settings of it, to go on from."""

    name, title = "stablenew_image", "Image of StableNew"

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if the text in it is damaged."""
        texts = self.texts(name, data)
        text = texts.get(STABLENEW)
        if text is None:
            raise UserError(f"{name}: no {STABLENEW!r} text in it")
        spec, chunk = _job(name, text)
        notes = Notes()
        first = spec.stages[0]
        negative = first.negative_prompt
        settings: Flat = {}
        for stage in spec.stages:
            for key, value in stage.config.items():
                settings[f"{stage.name}.{key}"] = value
            settings[f"pipeline.{stage.name}_enabled"] = True
        settings[f"{first.name}.seed"] = first.seed
        for stage in spec.stages[1:]:
            if settings.get(f"{stage.name}.seed") == first.seed:
                del settings[f"{stage.name}.seed"]  # it follows the image's
        added = settings.pop(f"{first.name}.negative_prompt", "")
        if isinstance(added, str) and added:
            notes.add("the preset's own negative prompt is in that of the row now")
        posts: list[JsonValue] = [stage.name for stage in spec.stages if stage.name not in _OWN_PLACE]
        if posts:
            settings["pipeline.post_processors"] = posts
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices:
            notes.add(
                f"the prompt is what the randomizer made of {short(spec.provenance.get('template', ''), 200)!r}"
            )
        version = chunk.get("version")
        return imported_image(
            name,
            first.prompt,
            negative,
            settings,
            notes,
            program=f"StableNew {version if isinstance(version, str) else ''}".strip(),
            hashes=hashes_of(parse_infotext(texts.get(PARAMETERS, "")).pairs),
        )


def _job(name: str, text: str) -> tuple[JobSpec, dict[str, Any]]:
    try:
        chunk = json.loads(text)
        spec = JobSpec.from_json(chunk["spec"])
        if spec.sha256 != chunk["spec_sha256"] or not spec.stages:
            raise ValueError("not the job that was written")
        for stage in spec.stages:
            texts = (stage.name, stage.prompt, stage.negative_prompt)
            if not all(isinstance(part, str) for part in texts) or not _NAME.fullmatch(stage.name):
                raise ValueError("no stage")
            if not isinstance(stage.config, dict) or depth(stage.config) > _DEEPEST:
                raise ValueError("no config")
        if not isinstance(spec.provenance, dict) or not isinstance(spec.stages[0].seed, int):
            raise ValueError("no provenance")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{name}: its {STABLENEW} text cannot be read; it was changed or cut") from error
    return spec, chunk
