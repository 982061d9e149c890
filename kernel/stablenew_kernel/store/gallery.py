"""Tables ``image``, ``setup``, ``setting``, ``image_words``: the images that stand in their folders, and what
they are found by. Functions of the connection.

A row of ``image`` is made in the transaction that calls its output saved. Images that were saved before there
was such a table are taken in by :func:`before` and :func:`add`, and :func:`looked_at`, at start.
Ratings are mirrored beside it: see :mod:`stablenew_kernel.store.ratings`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.gallery import EVERYTHING, SEED, Comparison, Facts, Query
from stablenew_kernel.domain.words import near
from stablenew_kernel.store import meta
from stablenew_kernel.store.errors import NotFound

LEFT = "gallery_left"
"""Key in ``meta``: outputs of jobs below this ``seq`` may have no row yet; 0: all have."""

ALL = "1"
"""A condition that always holds."""

_SIGN = 1 << 63
"""Taken from a seed, so that 64 bits without a sign fit SQLite's integers and keep their order."""


# --- in -------------------------------------------------------------------------------------------------------


def add(connection: sqlite3.Connection, images: Iterable[tuple[str, int, Facts]]) -> None:
    """Take in images that were called saved: (job_id, index in the job, facts). Those that are in already stay
    as they are."""
    for job_id, index, facts in images:
        row = connection.execute(
            "INSERT OR IGNORE INTO image"
            " (job_seq, idx, run_seq, setup_id, stars, seed, saved_at, model, preset, pixel_sha256)"
            " SELECT output.job_seq, output.idx, job.run_seq, ?, coalesce((SELECT stars FROM rating"
            " WHERE rating.image_sha256 = output.pixel_sha256), 0), ?, output.saved_at, ?, ?,"
            " output.pixel_sha256"
            " FROM job CROSS JOIN output ON output.job_seq = job.seq"
            " WHERE job.job_id = ? AND output.idx = ? AND output.state = 'saved' RETURNING id",
            (_setup(connection, facts), facts.seed - _SIGN, facts.model, facts.preset, job_id, index),
        ).fetchone()
        if row is not None:
            connection.execute("INSERT INTO image_words (rowid, words) VALUES (?, ?)", (row[0], facts.words))


def _setup(connection: sqlite3.Connection, facts: Facts) -> int:
    digest = facts.setup_sha256
    known = connection.execute("SELECT id FROM setup WHERE sha256 = ?", (digest,)).fetchone()
    if known is not None:
        return int(known[0])
    (setup,) = connection.execute(
        "INSERT INTO setup (sha256, stages) VALUES (?, ?) RETURNING id",
        (digest, json.dumps(facts.stages, ensure_ascii=False)),
    ).fetchone()
    connection.executemany(
        "INSERT INTO setting (setup_id, stage, name, value) VALUES (?, ?, ?, ?)",
        [(setup, *setting) for setting in facts.settings],
    )
    return int(setup)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An image that was saved before there was a gallery."""

    job_id: str
    index: int
    """In its job."""
    path: str
    node_name: str
    spec: bytes
    report: bytes


def before(connection: sqlite3.Connection, jobs: int) -> tuple[list[Earlier], int]:
    """Saved images that may have no row yet, of so many of the newest jobs, oldest first; and the ``seq`` of
    the first of these jobs, for :func:`looked_at`: 0, if there are none left."""
    left = int(meta.get(connection, LEFT, "0"))
    (first,) = connection.execute(
        "SELECT coalesce(min(job_seq), 0) FROM (SELECT DISTINCT job_seq FROM output"
        " WHERE job_seq < ? AND state = 'saved' ORDER BY job_seq DESC LIMIT ?)",
        (left, jobs),
    ).fetchone()
    if not first:
        return [], 0
    rows = connection.execute(
        "SELECT job.job_id, output.idx, output.path, job.node_name, job_spec.spec, job.report"
        " FROM output CROSS JOIN job ON job.seq = output.job_seq"
        " CROSS JOIN job_spec ON job_spec.job_seq = output.job_seq WHERE output.job_seq < ?"
        " AND output.job_seq >= ? AND output.state = 'saved' ORDER BY output.job_seq, output.idx",
        (left, first),
    )
    found = [
        Earlier(job_id, idx, path, node, spec, report or b"") for job_id, idx, path, node, spec, report in rows
    ]
    return found, first


def looked_at(connection: sqlite3.Connection, last: int) -> None:
    """All outputs of this job and of those behind it have a row."""
    meta.put(connection, LEFT, str(last))


# --- out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Where:
    """Which images; every condition must hold, and an empty one always does."""

    run_id: str = ""
    packs: tuple[str, ...] = ()
    """Names of runs: one of these."""
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """All of these."""
    min_stars: int = 0
    unrated: bool = False
    query: Query = EVERYTHING
    stage: str = ""
    """That took part."""
    presets: tuple[str, ...] = ()
    since: str = ""
    """Saved then or later; the beginning of an ISO 8601 time."""
    until: str = ""
    """Saved before then."""

    def sql(self) -> tuple[str, list[JsonValue]]:
        """A condition on ``image`` and its parameters."""
        condition, values = self.without_words()
        if match := self.query.match:
            # With a plus: the words are looked up once, and not again for each image.
            found = "+image.id IN (SELECT rowid FROM image_words WHERE image_words MATCH ?)"
            return f"{condition} AND {found}", [*values, match]
        return condition, values

    def without_words(self) -> tuple[str, list[JsonValue]]:
        """:meth:`sql` without the words of the query."""
        terms: list[str] = []
        values: list[JsonValue] = []

        def must(term: str, *parameters: JsonValue) -> None:
            terms.append(term)
            values.extend(parameters)

        if self.run_id:
            must("image.run_seq = (SELECT seq FROM run WHERE run_id = ?)", self.run_id)
        if self.packs:
            must(f"image.run_seq IN (SELECT seq FROM run WHERE name IN ({_marks(self.packs)}))", *self.packs)  # noqa: S608
        if self.models:
            must(f"image.model IN ({_marks(self.models)})", *self.models)
        if self.presets:
            must(f"image.preset IN ({_marks(self.presets)})", *self.presets)
        for tag in self.tags:
            must("image.pixel_sha256 IN (SELECT image_sha256 FROM rating_tag WHERE tag = ?)", tag)
        if self.min_stars:
            must("image.stars >= ?", self.min_stars)
        if self.unrated:
            must("image.stars = 0")
        if self.stage:
            must(
                "image.setup_id IN (SELECT setup.id FROM setup, json_each(setup.stages) WHERE value = ?)",
                self.stage,
            )
        if self.since:
            must("image.saved_at >= ?", self.since)
        if self.until:
            must("image.saved_at < ?", self.until)
        for comparison in self.query.comparisons:
            must(*_compared(comparison))
        return " AND ".join(terms) or ALL, values


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _compared(comparison: Comparison) -> tuple[JsonValue, ...]:
    """A condition and its parameters."""
    number, sign = comparison.number, comparison.sign
    values: list[JsonValue]
    of_stage = "" if not comparison.stage else " AND setting.stage = ?"
    stage = [comparison.stage] if comparison.stage else []
    if comparison.name == SEED:
        seed = _seed(number or 0)
        if not comparison.stage:
            return f"image.seed {sign} ?", seed
        took_part = "SELECT setup.id FROM setup, json_each(setup.stages) WHERE value = ?"
        return f"(image.seed {sign} ? AND image.setup_id IN ({took_part}))", seed, comparison.stage
    if number is None:
        value = f"setting.value {sign} ?"
        values = [comparison.text]
    elif sign == "=":
        value, values = "setting.value IN (?, ?)", [number, comparison.text]
    elif sign == "!=":
        value, values = "setting.value NOT IN (?, ?)", [number, comparison.text]
    else:  # text stands behind all numbers
        value, values = f"setting.value {sign} ? AND typeof(setting.value) <> 'text'", [number]
    return (
        f"image.setup_id IN (SELECT setup_id FROM setting WHERE setting.name = ? AND {value}{of_stage})",  # noqa: S608
        comparison.name,
        *values,
        *stage,
    )


def _seed(number: int | float) -> int | float:
    """A seed as the table has it. What no seed can be stays below, or above, them all."""
    if 0 <= number < 2 * _SIGN:
        return int(number) - _SIGN
    return float("-inf") if number < 0 else float("inf")


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """An image, for people."""

    image_sha256: str
    path: str
    run_id: str
    run_name: str
    job_id: str
    saved_at: str
    model: str
    preset: str
    stages: tuple[str, ...]
    run_time: float
    """Seconds in the worker."""
    stars: int
    tags: tuple[str, ...]
    manifest: bytes
    """Its line in ``manifest.jsonl``: prompts, seed, size, choices."""


_ROW = (
    "image.pixel_sha256, output.path, run.run_id, run.name, job.job_id, image.saved_at, image.model,"
    " image.preset, setup.stages, job.run_time, image.stars, rating.tags, output.manifest"
)
_JOIN = (
    "CROSS JOIN output ON output.job_seq = image.job_seq AND output.idx = image.idx"
    " CROSS JOIN job ON job.seq = image.job_seq CROSS JOIN run ON run.seq = image.run_seq"
    " CROSS JOIN setup ON setup.id = image.setup_id"
    " LEFT JOIN rating ON rating.image_sha256 = image.pixel_sha256"
)
ORDERS = {
    "newest": "image.saved_at DESC, image.job_seq DESC, image.id DESC",
    "oldest": "image.saved_at, image.job_seq, image.id",
    "best": "image.stars DESC, image.saved_at DESC, image.job_seq DESC, image.id DESC",
}


def images(
    connection: sqlite3.Connection, where: Where, *, order: str = "newest", limit: int = 100, offset: int = 0
) -> tuple[list[GalleryImage], int]:
    """A page of images, and how many there are in all. Raises UserError for an unknown ``order``."""
    if order not in ORDERS:
        raise UserError(f"order {order!r}: {near(order, ORDERS)}")
    condition, values = where.sql()
    # The page is cut before anything is fetched of its images.
    rows = connection.execute(
        f"SELECT {_ROW} FROM (SELECT id AS page_id FROM image WHERE {condition} ORDER BY {ORDERS[order]}"  # noqa: S608
        f" LIMIT ? OFFSET ?) CROSS JOIN image ON image.id = page_id {_JOIN} ORDER BY {ORDERS[order]}",
        [*values, limit, offset],
    )
    found = [_image(row) for row in rows]
    return found, _count(connection, where)


def _count(connection: sqlite3.Connection, where: Where) -> int:
    condition, values = where.without_words()
    counted = f"SELECT count(*) FROM image WHERE {condition}"  # noqa: S608
    if match := where.query.match:
        counted = "SELECT count(*) FROM image_words"
        if condition != ALL:  # else every match counts: an image has its row in both tables
            counted += " CROSS JOIN image ON image.id = image_words.rowid"
        counted += f" WHERE image_words MATCH ? AND {condition}"
        values = [match, *values]
    (total,) = connection.execute(counted, values).fetchone()
    return int(total)


def _image(row: Sequence[Any]) -> GalleryImage:
    pixels, path, run_id, run_name, job_id, saved_at, model, preset, stages, run_time, stars, tags, line = row
    return GalleryImage(
        pixels,
        path,
        run_id,
        run_name,
        job_id,
        saved_at,
        model,
        preset,
        tuple(json.loads(stages)),
        run_time,
        stars,
        tuple(json.loads(tags or "[]")),
        line,
    )


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """Everything about one image."""

    image: GalleryImage
    spec: bytes
    """Canonical JSON of the JobSpec."""
    report: bytes
    """Canonical JSON of what the worker told; empty if nothing."""
    node_name: str
    peak_vram_bytes: int


def get(connection: sqlite3.Connection, text: str) -> ImageDetail:
    """The newest image whose pixels have the sha256 that ``text`` is, or begins. Raises NotFound (none, or
    several pictures) and UserError (nothing that one could begin with)."""
    beginning = text.strip().lower()
    if not beginning or not set(beginning) <= set("0123456789abcdef"):
        raise UserError(f"{text!r}: an image is named by the sha256 of its pixels, or its beginning")
    pixels = connection.execute(
        "SELECT DISTINCT pixel_sha256 FROM image WHERE pixel_sha256 >= ? AND pixel_sha256 < ? LIMIT 2",
        (beginning, beginning + "g"),
    ).fetchall()
    if not pixels:
        raise NotFound(f"no image begins with {beginning}")
    if len(pixels) > 1:
        raise NotFound(f"several images begin with {beginning}; give more of the hash")
    *row, spec, report, node, peak = connection.execute(
        f"SELECT {_ROW}, job_spec.spec, job.report, job.node_name, job.peak_vram FROM image {_JOIN}"  # noqa: S608
        " CROSS JOIN job_spec ON job_spec.job_seq = image.job_seq"
        f" WHERE image.pixel_sha256 = ? ORDER BY {ORDERS['newest']} LIMIT 1",
        pixels[0],
    ).fetchone()
    return ImageDetail(_image(row), spec, report or b"", node, peak)


@dataclass(frozen=True, slots=True)
class Facets:
    """How many images have each value, among those that a :class:`Where` lets through."""

    packs: Counter[str]
    models: Counter[str]
    presets: Counter[str]
    stars: Counter[str]
    tags: Counter[str]


def facets(connection: sqlite3.Connection, where: Where) -> Facets:
    """What those images can be filtered by. An image without a model or preset counts under neither."""
    condition, values = where.sql()
    found = Facets(Counter(), Counter(), Counter(), Counter(), Counter())
    names = dict(connection.execute("SELECT seq, name FROM run"))
    for run, model, preset, stars, many in connection.execute(
        f"SELECT run_seq, model, preset, stars, count(*) FROM image WHERE {condition} GROUP BY 1, 2, 3, 4",  # noqa: S608
        values,
    ):
        found.packs[names[run]] += many
        found.models[model] += many
        found.presets[preset] += many
        found.stars[str(stars)] += many
    del found.models[""], found.presets[""]
    for tags, many in connection.execute(
        "SELECT rating.tags, count(*) FROM image CROSS JOIN rating"  # noqa: S608
        " ON rating.image_sha256 = image.pixel_sha256"
        f" WHERE image.stars > 0 AND rating.tags <> '[]' AND {condition} GROUP BY rating.tags",
        values,
    ):
        found.tags.update(dict.fromkeys(json.loads(tags), many))
    return found


Stars = list[int]
"""How many images have no rating, 1 star, 2, up to 5: six numbers."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How the images with one value were rated."""

    stars: Stars
    job_seq: int
    """A job that made one of them: the newest."""

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.stars)


COMMON = ("all", "pack", "model", "preset", "tag")
"""What images have in common beside their settings."""


def count_stars(
    connection: sqlite3.Connection, where: Where, settings: Sequence[tuple[str, str]]
) -> dict[str, dict[str | int | float, Counted]]:
    """How the images that ``where`` lets through were rated: by kind (:data:`COMMON`, and ``stage.name`` of
    each of ``settings``), then by value.

    An image counts under each of its tags. One without a model, preset or setting counts under none.
    """
    condition, values = where.sql()
    found: dict[str, dict[str | int | float, Counted]] = {kind: {} for kind in COMMON}

    def add(kind: str, value: str | int | float, stars: int, many: int, job_seq: int) -> None:
        before = found[kind].get(value)
        counts = [0] * 6 if before is None else before.stars
        counts[stars] += many
        found[kind][value] = Counted(counts, job_seq if before is None else max(before.job_seq, job_seq))

    names = dict(connection.execute("SELECT seq, name FROM run"))
    for run, model, preset, stars, many, last in connection.execute(
        "SELECT run_seq, model, preset, stars, count(*), max(job_seq) FROM image"  # noqa: S608
        f" WHERE {condition} GROUP BY 1, 2, 3, 4",
        values,
    ):
        add("all", "", stars, many, last)
        add("pack", names[run], stars, many, last)
        if model:
            add("model", model, stars, many, last)
        if preset:
            add("preset", preset, stars, many, last)
    for tags, stars, many, last in connection.execute(
        "SELECT rating.tags, image.stars, count(*), max(image.job_seq) FROM image CROSS JOIN rating"  # noqa: S608
        " ON rating.image_sha256 = image.pixel_sha256"
        f" WHERE image.stars > 0 AND rating.tags <> '[]' AND {condition} GROUP BY 1, 2",
        values,
    ):
        for tag in dict.fromkeys(json.loads(tags)):
            add("tag", tag, stars, many, last)
    found |= {f"{stage}.{name}": {} for stage, name in settings}
    if settings:
        # Images with one setup are counted first: thousands share a few of them.
        for kind, value, stars, many, last in connection.execute(
            "SELECT stage || '.' || name, value, stars, sum(many), max(last) FROM setting CROSS JOIN"  # noqa: S608
            " (SELECT setup_id, stars, count(*) AS many, max(job_seq) AS last FROM image"
            f" WHERE {condition} GROUP BY 1, 2) AS counted ON counted.setup_id = setting.setup_id"
            f" WHERE (name, stage) IN (VALUES {', '.join(['(?, ?)'] * len(settings))}) GROUP BY 1, 2, 3",
            [*values, *(part for stage, name in settings for part in (name, stage))],
        ):
            add(kind, value, stars, many, last)
    return found


def specs(connection: sqlite3.Connection, job_seqs: Iterable[int]) -> dict[int, bytes]:
    """Canonical JSON of the JobSpecs of these jobs."""
    wanted = sorted(set(job_seqs))
    found: dict[int, bytes] = {}
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        marks = _marks([""] * len(some))
        found.update(
            connection.execute(f"SELECT job_seq, spec FROM job_spec WHERE job_seq IN ({marks})", some)  # noqa: S608
        )
    return found
