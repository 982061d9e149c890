"""Which images a person means by images, folders and manifests; in which order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_kernel.cli.images import read_image

MANIFEST = "manifest.jsonl"
RUN_JSON = "run.json"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that was named, or that a manifest names."""

    path: Path
    spec_sha256: str = ""
    """Of its job, as the manifest says."""
    problem: str = ""
    """Why it cannot be read; empty: try it."""


def find_images(given: Sequence[str]) -> tuple[list[FoundImage], str | None]:
    """The images that ``given`` names, and what to call them together (None: by themselves).

    A run's folder or its ``manifest.jsonl`` gives the images of the manifest in the run's order, whatever else
    lies beside them; any other folder its PNG files by name, and those JPEG and WebP files that have a job in
    them. Raises UserError for what is not there, and for a
    manifest that is none.
    """
    found: list[FoundImage] = []
    names: list[str | None] = []
    for text in given:
        path = Path(text).expanduser()
        if path.is_dir():
            manifest = path / MANIFEST
            if manifest.is_file():
                found += _of_manifest(manifest)
            else:
                images = sorted(file for file in path.iterdir() if file.is_file() and _may_have_job(file))
                if not images:
                    raise UserError(f"folder {text}: no PNG file, no image with a job and no {MANIFEST} in it")
                found += map(FoundImage, images)
            names.append(_name(path))
        elif path.suffix.lower() == ".jsonl":
            found += _of_manifest(path)
            names.append(_name(path.parent))
        else:
            found.append(FoundImage(path))
            names.append(None)
    return found, names[0] if len(names) == 1 else "replay"


def _may_have_job(file: Path) -> bool:
    """Whether this is a PNG file, or a JPEG or WebP file of ours: folders hold other pictures, and contact
    sheets, which nobody meant."""
    from stablenew_api.imagetext import READ_ENDINGS, read_texts
    from stablenew_api.png import STABLENEW

    ending = file.suffix.lower()
    if ending == ".png" or ending not in READ_ENDINGS:
        return ending == ".png"
    try:
        return STABLENEW in read_texts(read_image(str(file)))
    except UserError:
        return False


def _name(folder: Path) -> str:
    """What to call the images of a folder: as the run that made them, else as the folder."""
    try:
        name = json.loads((folder / RUN_JSON).read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = ""
    return name if isinstance(name, str) and name else folder.resolve().name


def _of_manifest(path: Path) -> list[FoundImage]:
    return [image for _, image in sorted(_lines(path), key=lambda entry: entry[0])]


def _lines(path: Path) -> Iterator[tuple[int, FoundImage]]:
    """Index in the run, and image, of each line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"manifest {path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"manifest {path}: not UTF-8 text, so not a manifest of StableNew") from error
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        raise UserError(f"manifest {path}: no image in it")
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            index, name, sha256 = entry["index"], entry["file"], entry["spec_sha256"]
            if type(index) is not int or not isinstance(name, str) or not isinstance(sha256, str):
                raise TypeError("a field of another type")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"manifest {path}, line {number}: not a line of a manifest ({error})") from error
        # A plain file name: a manifest from elsewhere must not lead us out of its folder.
        if Path(name).name != name:
            raise UserError(f"manifest {path}, line {number}: {name!r} is not a plain file name")
        image = path.parent / name
        problem = "" if image.is_file() else f"image {image}: not there any more (moved, renamed or deleted)"
        yield index, FoundImage(image, sha256, problem)
