"""Images that later stages are run on: found, read, and told to the kernel with what is in their metadata."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import UserError
from stablenew_api.imagetext import MEDIA_TYPES, READ_ENDINGS, kind_of, read_texts
from stablenew_client.reading import LARGEST_IMAGE, read_file
from stablenew_kernel.cli.batch import MANIFEST, find_images
from stablenew_kernel.cli.context import App
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.cli.output import plural, warn

if TYPE_CHECKING:
    from stablenew_api.importer import Importer
    from stablenew_api.jobs import Artifact
    from stablenew_proto.v1 import kernel_pb2 as pb

MOST = 10_000
"""Images of one run: so many, with their metadata, fit a request."""

LISTED = 20
"""Images whose reasons are told one by one."""


@dataclass(slots=True)
class Sources:
    """What was found."""

    messages: list[pb.SourceImage] = field(default_factory=list)
    files: list[tuple[Path, Artifact]] = field(default_factory=list)
    name: str = "images"
    """What to call them together."""


def read_sources(app: App, given: Sequence[str], *, prompt: str | None, negative: str | None) -> Sources:
    """The images that ``given`` (files and folders) names, by name; those of a run's folder in its own order.

    ``prompt`` and ``negative`` go before what is in the images. What cannot be read is told and left out.
    Raises UserError if nothing is left.
    """
    paths = [path for text in given for path in _paths(Path(text).expanduser(), text)]
    if len(paths) > MOST:
        raise UserError(f"{len(paths):,} images; at most {MOST:,} fit one run, make several of it")
    importers = load_host(app.data).importers
    read = partial(_read, importers=importers, prompt=prompt, negative=negative)
    found, problems = Sources(name=_name(given)), []
    # Decoding and hashing leave Python, so threads make use of all cores.
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="read-image") as threads:
        for path, (message, artifact, problem) in zip(paths, threads.map(read, paths), strict=True):
            if message is None or artifact is None:
                problems.append(problem)
                continue
            found.messages.append(message)
            found.files.append((path, artifact))
    for problem in problems[:LISTED]:
        warn(f"left out: {problem}")
    if len(problems) > LISTED:
        warn(f"... and {len(problems) - LISTED} more")
    if not found.messages:
        raise UserError(f"{', '.join(given[:3])}: no image that can be read")
    if problems:
        warn(f"{plural(len(problems), 'image')} of {len(paths)} left out")
    return found


def _paths(path: Path, given: str) -> list[Path]:
    if not path.is_dir():
        if not path.exists() and path.suffix.lower() != ".jsonl":
            raise UserError(f"image {given}: no such file or folder")
        return [path] if path.suffix.lower() != ".jsonl" else [image.path for image in find_images([given])[0]]
    if (path / MANIFEST).is_file():
        return [image.path for image in find_images([given])[0]]
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in READ_ENDINGS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise UserError(f"folder {given}: no {', '.join(READ_ENDINGS)} file in it")
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _name(given: Sequence[str]) -> str:
    if len(given) > 1:
        return "images"
    return find_images(given)[1] or Path(given[0]).stem if _is_run(given[0]) else Path(given[0]).resolve().stem


def _is_run(given: str) -> bool:
    return (Path(given).expanduser() / MANIFEST).is_file()


def _read(
    path: Path, *, importers: Mapping[str, type[Importer]], prompt: str | None, negative: str | None
) -> tuple[pb.SourceImage | None, Artifact | None, str]:
    """The message and artifact of one image; or, last, what is wrong with it."""
    from PIL import Image

    from stablenew_api.images import pixel_sha256
    from stablenew_api.jobs import Artifact

    try:
        data = read_file(f"image {path}", path, LARGEST_IMAGE)
        with Image.open(io.BytesIO(data)) as image:
            media_type = MEDIA_TYPES.get(kind_of(data))
            if media_type is None:
                raise UserError(f"image {path}: {image.format or 'no image'}; PNG, JPEG and WebP are read")
            image.load()
            pixels = pixel_sha256(image)
            artifact = Artifact(
                path.name,
                media_type,
                sha256(data).hexdigest(),
                len(data),
                {"width": str(image.width), "height": str(image.height), "pixel_sha256": pixels},
            )
        message = _told(data, path.name, artifact, pixels, importers)
    except UserError as error:
        return None, None, str(error)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return None, None, f"image {path}: not an image that can be read ({error})"
    if prompt is not None:
        message.prompt = prompt
    if negative is not None:
        message.negative_prompt = negative
    return message, artifact, ""


def _told(
    data: bytes,
    name: str,
    artifact: Artifact,
    pixels: str,
    importers: Mapping[str, type[Importer]],
) -> pb.SourceImage:
    """What the image tells about itself: our own text before all others."""
    from stablenew_api.importer import import_file, recognise
    from stablenew_api.jobs import JobSpec
    from stablenew_api.png import PARAMETERS, STABLENEW
    from stablenew_client.wire import artifact_to_proto
    from stablenew_kernel.domain.infotext import stored_spec
    from stablenew_kernel.domain.later import source_from_spec
    from stablenew_proto.v1 import kernel_pb2 as pb

    texts = read_texts(data, name)
    parameters = texts.get(PARAMETERS, "")
    message = pb.SourceImage(artifact=artifact_to_proto(artifact), parameters=parameters, pixel_sha256=pixels)
    own = texts.get(STABLENEW)
    if own is not None:
        spec = JobSpec.from_json(json.loads(stored_spec(own, f"image {name}")))
        source = source_from_spec(spec, artifact, pixels, parameters)
        message.prompt, message.negative_prompt = source.prompt, source.negative_prompt
        message.settings_json = json.dumps(source.settings).encode("utf-8")
        message.stages.extend(source.stages)
        if source.seed is not None:
            message.seed = source.seed
        return message
    found = recognise(importers, name, data)
    if len(found) != 1:
        return message
    imported = import_file(found[0], name, data)
    message.prompt, message.negative_prompt = imported.prompt, imported.negative_prompt
    settings: Mapping[str, Any] = imported.settings or {}
    message.settings_json = json.dumps(settings).encode("utf-8")
    seed = settings.get("txt2img", {}).get("seed")
    if type(seed) is int and 0 <= seed < 2**64:
        message.seed = seed
    return message
