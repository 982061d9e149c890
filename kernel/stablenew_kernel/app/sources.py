"""The images that later stages start from: those that a client has sent, those of ours that people rated, and
those that are named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_api.imagetext import MEDIA_TYPES, PNG, kind_of, read_texts
from stablenew_api.infotext import format_infotext
from stablenew_api.jobs import Artifact, JobSpec
from stablenew_api.png import STABLENEW
from stablenew_client.wire import WireError, artifact_from_proto
from stablenew_kernel.app.delivery import VERSION
from stablenew_kernel.domain.infotext import describe, prompts
from stablenew_kernel.domain.later import LISTED, Source, parse_sections, source_from_spec, work_of
from stablenew_kernel.domain.plan import Plan, PlannedJob
from stablenew_kernel.domain.summary import count
from stablenew_kernel.store import jobs, locate, outputs
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Connection, Database
from stablenew_kernel.store.errors import NotFound
from stablenew_kernel.store.learning import LearningJournal

if TYPE_CHECKING:
    from stablenew_api.learning import Rating
    from stablenew_proto.v1 import kernel_pb2 as pb

PROMOTED = "promoted"
"""Name of a run of rated images."""

_SHA256 = re.compile("[0-9a-f]{64}")
_SHORT = 12
"""Digits of a hash that stand for an image without another name."""


@dataclass(frozen=True, slots=True)
class Found:
    """Images, in order, and what is to be said of others."""

    sources: Sequence[Source]
    notes: Sequence[str] = ()


class ImageSources:
    """Finds them. Blocking; call it in a thread."""

    def __init__(self, database: Database, artifacts: ArtifactStore, learning: LearningJournal) -> None:
        self._database, self._artifacts, self._learning = database, artifacts, learning

    def sent(self, images: Iterable[pb.SourceImage], *, stored: bool) -> Found:
        """What a client tells of images. ``stored``: their bytes must be here. Raises UserError."""
        found = []
        for image in images:
            try:
                artifact = artifact_from_proto(image.artifact)
            except WireError as error:
                raise UserError(f"image {image.artifact.name}: {error}") from error
            found.append(
                Source(
                    artifact,
                    image.prompt,
                    image.negative_prompt,
                    image.seed if image.HasField("seed") else None,
                    parse_sections(image.settings_json, artifact.name),
                    image.parameters,
                    image.pixel_sha256,
                    tuple(image.stages),
                )
            )
        missing = set(self._artifacts.missing(source.artifact.sha256 for source in found)) if stored else set()
        if missing:
            names = [source.name for source in found if source.artifact.sha256 in missing]
            raise UserError(
                f"{count(len(names), 'image')} not sent to the kernel before the run: {_some(names)}; "
                "upload them first"
            )
        return Found(found)

    def promoted(self, wanted: pb.Promotion) -> Found:
        """Images that are named, in their order; else by their latest rating, those rated first first. Raises
        UserError if there are none."""
        names = _named(wanted) if wanted.image_sha256s else self._rated(wanted)

        def read(connection: Connection) -> tuple[str, dict[str, outputs.MadeImage]]:
            run_id = locate.run(connection, wanted.run_id) if wanted.run_id else ""
            return run_id, outputs.made(connection, names, run_id)

        try:
            run_id, made = self._database.read(read).result()
        except NotFound as error:
            raise UserError(f"--run: {error}") from error
        sources, gone, strange = [], [], []
        for pixels, name in names.items():
            image = made.get(pixels)
            if image is None:
                strange += [] if run_id and not wanted.image_sha256s else [name]
                continue
            artifact = self._artifact(image, pixels)
            if artifact is None:
                gone.append(Path(image.path).name)
                continue
            spec = JobSpec.from_json(json.loads(image.spec))
            sources.append(source_from_spec(spec, artifact, pixels, _parameters(image, spec)))
        notes = []
        if gone:
            notes.append(f"{count(len(gone), 'image')} neither in the store nor where saved: {_some(gone)}")
        if strange:
            which = "image" if wanted.image_sha256s else "rated image"
            where = "in this run" if run_id else "here"
            notes.append(
                f"{count(len(strange), which)} not made {where}: {_some(strange)}; "
                "see: stablenew run --from-stage STAGE --images FILE"
            )
        if not sources:
            more = f" ({'; '.join(notes)})" if notes else ""
            if wanted.image_sha256s:
                raise UserError(f"none of these images can be promoted{more}")
            raise UserError(f"no image is rated so{more}; see: stablenew rate")
        return Found(sources, notes)

    def _rated(self, wanted: pb.Promotion) -> dict[str, str]:
        """Names of images that are rated so, by their pixels. Raises UserError."""
        if not 1 <= wanted.min_rating <= 5:
            raise UserError(f"--min-rating {wanted.min_rating}: must be 1 to 5")
        return {
            pixels: rating.file_name or pixels[:_SHORT]
            for pixels, rating in self._learning.ratings().items()
            if _is_wanted(rating, wanted)
        }

    def done_before(self, plan: Plan) -> Plan:
        """``plan`` without what was done to the very same pictures before."""
        works = {work_of(job.spec): job for job in plan.jobs}
        known = self._database.read(lambda connection: jobs.known_work(connection, works)).result()
        if not known:
            return plan
        names = [str(works[work].spec.provenance["source"]["name"]) for work in works if work in known]
        left = [job for job in plan.jobs if work_of(job.spec) not in known]
        note = (
            f"{count(len(names), 'image')} went through these stages with these settings before: "
            f"{_some(names)}; --again does it once more"
        )
        numbered = tuple(PlannedJob(index, job.row, job.spec) for index, job in enumerate(left))
        line = plan.line.replace(count(plan.count, "image"), count(len(left), "image"), 1)
        return replace(plan, jobs=numbered, line=line, warnings=(*plan.warnings, note))

    def _artifact(self, image: outputs.MadeImage, pixels: str) -> Artifact | None:
        """The image in the store, under its file's name. It is put there from its file if need be; None: it is
        neither here nor there."""
        path = Path(image.path)
        if self._artifacts.path(image.artifact.sha256) is not None:
            return replace(image.artifact, name=path.name)
        try:
            data = path.read_bytes()
            if json.loads(read_texts(data, path.name)[STABLENEW])["image_sha256"] != pixels:
                return None
        except (OSError, UserError, ValueError, KeyError, TypeError):
            return None  # gone, or another picture by now
        kind, tags = kind_of(data), dict(image.artifact.tags)
        if kind != PNG:
            del tags["pixel_sha256"]  # JPEG and WebP may have other pixels than what was made
        return Artifact(path.name, MEDIA_TYPES[kind], self._artifacts.put(data), len(data), tags)


def _parameters(image: outputs.MadeImage, spec: JobSpec) -> str:
    """The infotext that was saved with it."""
    report = json.loads(image.report or b"{}")
    pairs = describe(spec, report, version=VERSION, job_id=image.job_id, node=image.node_name)
    return format_infotext(*prompts(spec), pairs)


def _named(wanted: pb.Promotion) -> dict[str, str]:
    """Names of the images that are named one by one, by their pixels. Raises UserError."""
    if wanted.tags or wanted.since:
        raise UserError("images that are named go whatever their rating: leave tags and since out")
    for pixels in wanted.image_sha256s:
        if not _SHA256.fullmatch(pixels):
            raise UserError(f"image {pixels!r}: named by the sha256 of its pixels, 64 hex digits")
    return {pixels: pixels[:_SHORT] for pixels in wanted.image_sha256s}


def _is_wanted(rating: Rating, wanted: pb.Promotion) -> bool:
    return (
        rating.stars >= wanted.min_rating
        and set(wanted.tags) <= set(rating.tags)
        and (not wanted.since or rating.at >= wanted.since)
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
