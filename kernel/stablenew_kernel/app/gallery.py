"""The images that were made: listed, looked into, rated; and what any image tells about itself.

The database has all that they are found by (see :mod:`stablenew_kernel.store.gallery`). Ratings are the
learning journal's: it gets each one first, and its mirror in the database is brought up to it after each rating
and at start, as far as the two differ.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_api.imagetext import kind_of, read_texts
from stablenew_api.infotext import format_infotext
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json
from stablenew_api.learning import Rating
from stablenew_api.png import STABLENEW
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.delivery import VERSION
from stablenew_kernel.domain.gallery import Facts, facts_of, parse_query
from stablenew_kernel.domain.infotext import describe, prompts, stored_spec
from stablenew_kernel.domain.later import settings_of
from stablenew_kernel.domain.toldimage import image_sha256, read_told
from stablenew_kernel.store import gallery, locate, outputs, ratings
from stablenew_kernel.store.database import Connection
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.learning import LearningJournal
from stablenew_proto.v1 import gallery_pb2 as pb
from stablenew_proto.v1 import kernel_pb2

log = logging.getLogger(__name__)

PAGE = 100
"""Images in an answer unless asked otherwise."""
LARGEST_PAGE = 1000
MOST_STARS = 5
MOST_SETTINGS = 20
"""Settings that are counted at a time."""

EARLIER = 200
"""Jobs whose images are taken in at a time, of those that were saved before there was a gallery: some 20 ms of
the database's writer."""


class GalleryDesk:
    """What clients ask about images; see ``gallery.proto``."""

    def __init__(self, core: Core, learning: LearningJournal) -> None:
        self._core = core
        self._learning = learning
        self._rating = asyncio.Lock()
        """Whoever brings the mirror of the ratings up to the journal."""
        self._mirrored = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.complete = False
        """Whether images that were saved before there was a gallery are all in it."""

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to bring the database up to what is on disk, in the background. Again: go on with it."""
        if self._task is None or (self._task.done() and not self.complete):
            self._task = asyncio.create_task(self._catch_up(), name="gallery")

    async def stop(self) -> None:
        """Leave what is not done to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _catch_up(self) -> None:
        try:
            await self._mirror()
            self._mirrored.set()
            while await self._take_in_earlier():
                pass
            self.complete = True
        except StoreError as error:  # once the disk takes it again, it goes on from here
            log.error("the gallery could not be brought up to date: %s", error)
        except Exception:  # a task that nobody waits for: unlogged it would end unseen
            log.exception("the gallery could not be brought up to date")
        finally:
            self._mirrored.set()

    async def _mirror(self) -> None:
        """Bring the ratings in the database up to the journal. Raises StoreError."""
        async with self._rating:
            database = self._core.database
            # On the writer, which has done what was asked of it before.
            mark = await database.write_async(ratings.mark)
            found, upto, known = await self._core.in_thread(self._learning.ratings_since, mark)
            if upto != mark:
                await database.write_async(
                    lambda connection: ratings.mirror(connection, found.values(), upto, anew=not known)
                )

    async def _take_in_earlier(self) -> bool:
        """Take in some images that were saved before there was a gallery; return whether there were any."""
        core = self._core
        found, first = await core.database.read_async(lambda connection: gallery.before(connection, EARLIER))
        taken = await core.in_thread(_known, found)

        def write(connection: Connection) -> None:
            gallery.add(connection, taken)
            gallery.looked_at(connection, first)

        await core.database.write_async(write)
        return bool(first)

    # --- what clients ask -----------------------------------------------------------------------------------

    async def list_images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Images, a page at a time."""
        limit = request.limit or PAGE
        if limit > LARGEST_PAGE:
            raise UserError(f"limit {limit:,}: at most {LARGEST_PAGE:,} images a page")

        def read(connection: Connection) -> tuple[list[gallery.GalleryImage], int]:
            return gallery.images(
                connection,
                _where(connection, request.filter),
                order=request.order or "newest",
                limit=limit,
                offset=request.offset,
            )

        await self._mirrored.wait()
        images, total = await self._core.database.read_async(read)
        return pb.ListImagesResponse(images=[_message(image) for image in images], total=total)

    async def list_facets(self, request: pb.ListFacetsRequest) -> pb.ListFacetsResponse:
        """What images can be filtered by, the most frequent first; stars by their number."""
        await self._mirrored.wait()
        found = await self._core.database.read_async(
            lambda connection: gallery.facets(connection, _where(connection, request.filter))
        )
        return pb.ListFacetsResponse(
            packs=_facets(found.packs),
            models=_facets(found.models),
            tags=_facets(found.tags),
            presets=_facets(found.presets),
            stars=[
                pb.Facet(value=str(stars), images=found.stars[str(stars)]) for stars in range(MOST_STARS + 1)
            ],
        )

    async def count_stars(self, request: pb.CountStarsRequest) -> pb.CountStarsResponse:
        """How images were rated, by what they have in common."""
        asked = dict.fromkeys(_setting(name) for name in request.settings)
        if len(asked) > MOST_SETTINGS:
            raise UserError(f"settings: at most {MOST_SETTINGS} at a time, not {len(asked)}")

        def read(connection: Connection) -> tuple[_Counts, Mapping[int, bytes]]:
            found = gallery.count_stars(connection, _where(connection, request.filter), list(asked))
            texts = [
                counted.job_seq
                for kind in found.keys() - set(gallery.COMMON)
                for value, counted in found[kind].items()
                if isinstance(value, str)
            ]
            return found, gallery.specs(connection, texts)

        await self._mirrored.wait()
        return await self._core.in_thread(_star_counts, *await self._core.database.read_async(read))

    async def get_image(self, request: pb.GetImageRequest) -> pb.GetImageResponse:
        """One image with all that is known of it."""
        await self._mirrored.wait()
        detail = await self._core.database.read_async(
            lambda connection: gallery.get(connection, request.image_sha256)
        )
        return await self._core.in_thread(_told, self._core.host, detail)

    async def read_image(self, request: pb.ReadImageRequest) -> pb.ReadImageResponse:
        """What a file tells about itself."""
        return await self._core.in_thread(_read, self._core.host, request.name, request.data)

    async def rate(self, request: kernel_pb2.RateImageRequest) -> kernel_pb2.RateImageResponse:
        """Rate an image by its pixels: in the journal first, then in the database."""
        core = self._core
        if request.stars > MOST_STARS:
            raise UserError(f"{request.stars} stars: must be 1 to 5, or 0 to take a rating back")
        if len(request.image_sha256) != 64:
            raise UserError("an image is named by the sha256 of its pixels, 64 hex digits")
        rating = Rating(core.now(), request.image_sha256, request.stars, tuple(request.tags), request.file_name)
        await core.in_thread(self._learning.rate, rating)
        try:
            await self._mirror()
        except StoreError as error:  # it is kept in the journal, and the next rating or start makes up for it
            core.set_problem("ratings", f"the rating is kept, but the gallery does not show it yet: {error}")
        else:
            core.set_problem("ratings", "")
        images = await core.database.read_async(
            lambda connection: outputs.by_pixels(connection, request.image_sha256)
        )
        return kernel_pb2.RateImageResponse(known=bool(images))


def _where(connection: Connection, asked: pb.ImageFilter) -> gallery.Where:
    """The filter, checked. Raises UserError and NotFound."""
    if asked.min_stars > MOST_STARS:
        raise UserError(f"min_stars {asked.min_stars}: must be 1 to 5, or 0 for all images")
    if asked.min_stars and asked.unrated:
        raise UserError("min_stars and unrated: an image without a rating has no stars; give one of the two")
    return gallery.Where(
        run_id=locate.run(connection, asked.run_id) if asked.run_id else "",
        packs=tuple(asked.packs),
        models=tuple(asked.models),
        tags=tuple(asked.tags),
        min_stars=asked.min_stars,
        unrated=asked.unrated,
        query=parse_query(asked.words),
        stage=asked.stage,
        presets=tuple(asked.presets),
        since=asked.since,
        until=asked.until,
    )


def _message(image: gallery.GalleryImage) -> pb.Image:
    line: Mapping[str, Any] = json.loads(image.manifest)
    return pb.Image(
        image_sha256=image.image_sha256,
        path=image.path,
        run_id=image.run_id,
        run_name=image.run_name,
        job_id=image.job_id,
        row=line.get("row", 0),
        saved_at=image.saved_at,
        width=line.get("width", 0),
        height=line.get("height", 0),
        prompt=line.get("prompt", ""),
        negative_prompt=line.get("negative_prompt", ""),
        seed=line.get("seed", 0),
        model=image.model,
        preset=image.preset,
        stages=image.stages,
        node=line.get("node", ""),
        run_time=image.run_time,
        stars=image.stars,
        tags=image.tags,
        choices=[
            pb.Choice(slot=str(choice.get("slot", "")), value=str(choice.get("value", "")))
            for choice in line.get("choices", ())
        ],
    )


def _facets(counts: Counter[str]) -> list[pb.Facet]:
    return [
        pb.Facet(value=value, images=many)
        for value, many in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


_Counts = Mapping[str, Mapping[str | int | float, gallery.Counted]]


def _setting(name: str) -> tuple[str, str]:
    """Stage and name of ``txt2img.steps``. Raises UserError."""
    stage, _, setting = name.partition(".")
    if not stage or not setting:
        raise UserError(f"settings: {name!r}: a setting is named with its stage, as in txt2img.steps")
    return stage, setting


def _star_counts(found: _Counts, specs: Mapping[int, bytes]) -> pb.CountStarsResponse:
    """In a thread: specs are read for how people wrote what the database has in lower case."""
    answer = pb.CountStarsResponse()
    for kind, values in found.items():
        for value, counted in sorted(values.items(), key=lambda item: (-item[1].images, str(item[0]))):
            told = f"{value:.15g}" if isinstance(value, float) else str(value)
            if kind not in gallery.COMMON and isinstance(value, str):
                told = as_written(specs.get(counted.job_seq, b""), kind, value)
            answer.counts.add(kind=kind, value=told, images=counted.stars)
    return answer


def as_written(spec: bytes, kind: str, value: str) -> str:
    """A setting as the job has it that made one of its images; ``value`` where that is another one."""
    stage, name = _setting(kind)
    settings = settings_of(JobSpec.from_json(json.loads(spec))).get(stage) if spec else None
    written = settings.get(name) if isinstance(settings, Mapping) else None
    return written if isinstance(written, str) and written.casefold() == value else value


def _told(host: PluginHost, detail: gallery.ImageDetail) -> pb.GetImageResponse:
    """All that is known of an image. In a thread: plugins are asked."""
    spec = JobSpec.from_json(json.loads(detail.spec))
    report = _report(detail.report)
    pairs = describe(
        spec,
        report,
        version=VERSION,
        job_id=detail.image.job_id,
        node=detail.node_name,
        extra=host.describe_image(spec, report),
    )
    return pb.GetImageResponse(
        image=_message(detail.image),
        settings_json=canonical_json(settings_of(spec)),
        spec_json=detail.spec,
        infotext=format_infotext(*prompts(spec), pairs),
        times=[
            pb.StageTime(stage=str(stage["name"]), seconds=float(stage["seconds"]))
            for stage in report.get("stages", ())
        ],
        backend=str(dict(pairs).get("StableNew backend", "")),
        peak_vram_bytes=detail.peak_vram_bytes,
        manifest_json=detail.image.manifest,
    )


def _report(report: bytes) -> dict[str, JsonValue]:
    """What the worker told; a report that is none is left out wherever it is read."""
    try:
        found = json.loads(report or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _known(found: Sequence[gallery.Earlier]) -> list[tuple[str, int, Facts]]:
    """What earlier images are found by. One that cannot be read keeps the others from nothing."""
    taken = []
    for one in found:
        try:
            taken.append((one.job_id, one.index, _facts(one)))
        except Exception:
            log.exception("image %s is left out of the gallery", one.path, extra={"job_id": one.job_id})
    return taken


def _facts(one: gallery.Earlier) -> Facts:
    spec, report = JobSpec.from_json(json.loads(one.spec)), _report(one.report)
    pairs = describe(spec, report, version=VERSION, job_id=one.job_id, node=one.node_name)
    return facts_of(spec, pairs, Path(one.path).name)


def _read(host: PluginHost, name: str, data: bytes) -> pb.ReadImageResponse:
    """What the file ``name`` tells. In a thread."""
    label = f"image {name}"
    told = read_told(host.importers, name, data, label)
    answer = pb.ReadImageResponse(width=told.width, height=told.height)
    if told.kind:
        answer.image_sha256 = image_sha256(data, label)
    if (story := told.story) is None:
        return answer
    answer.program = story.program or told.importer
    answer.prompt, answer.negative_prompt = story.prompt, story.negative_prompt
    answer.settings_json = canonical_json(story.settings)
    answer.notes.extend(story.notes)
    own = read_texts(data, label).get(STABLENEW) if kind_of(data) else None
    if own is not None:
        try:
            answer.spec_json = stored_spec(own, label)
        except UserError as error:
            answer.notes.append(str(error))
    return answer
