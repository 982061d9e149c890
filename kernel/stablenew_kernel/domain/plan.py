"""From a pack and settings to jobs: everything random or user-dependent is decided here, once.

The dry run, the count, the preview and the queue all read the same :class:`Plan`, so they cannot differ. A
plan does not hold its jobs: job *n* is worked out when somebody asks for it, from the row and the image it
belongs to, so a plan of any length takes the memory of its pack.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import overload

from pydantic import ValidationError

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, JsonValue, Needs, StageSpec, canonical_json
from stablenew_api.randomizer import Randomizer
from stablenew_api.shuffle import key_of, permute
from stablenew_api.stage import Phase, Stage
from stablenew_kernel.domain.packs import Pack, Problem, Row, located
from stablenew_kernel.domain.pipeline import Pipeline, PlannedStage, near, resolve_pipeline
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.domain.randomizer.settings import parse_randomization
from stablenew_kernel.domain.randomizer.space import SpaceError
from stablenew_kernel.domain.randomizer.variants import RowVariants, Variants
from stablenew_kernel.domain.rows import parse_rows
from stablenew_kernel.domain.summary import Factor, Shape, count, what_part, what_varies
from stablenew_kernel.domain.tokens import resolve

MAX_JOBS = 1_000_000
"""Longest plan. The queue was measured up to here; more is almost always a slip of the keyboard."""

PLAN_SEED_BITS = 53
"""A plan seed fits a double, so that any JSON reader keeps it exactly."""

FilterJobs = Callable[[Sequence[JobSpec]], Sequence[JobSpec]]
"""What the ``stablenew_filter_jobs`` hooks do together."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a person asks to be run."""

    pack: Pack
    preset: Mapping[str, JsonValue] | None = None
    """Sections, as :func:`~stablenew_kernel.domain.presets.parse_settings` returns them; None: no preset."""
    preset_name: str = ""
    """For error texts, and recorded with each image; e.g. ``full.json``."""
    sidecar: Mapping[str, JsonValue] | None = None
    """As ``preset``; None: the pack has no sidecar."""
    sidecar_name: str = ""
    rows: str = ""
    """``1-3,7``; empty: all."""
    sets: Sequence[str] = ()
    """``txt2img.steps=30``, the last one wins."""
    count: int | None = None
    """Images a row, 1 or more; None: what preset and sidecar say, 1 by default."""
    seed: int | None = None
    """-1 draws one; None: what preset and sidecar say, -1 by default."""
    run_timeout: float = 600.0
    """Seconds that a worker may spend on one image."""
    limit: int = 0
    """Only the first so many images; 0: all."""
    sample: int = 0
    """So many images drawn from the whole plan, none twice; 0: all."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One image of a plan."""

    index: int
    """Place in the plan, from 0."""
    row: int
    """Row of the pack, from 1; 0 when it comes from none."""
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, exactly."""

    name: str
    """For the run's folder and for people, e.g. ``demo``."""
    jobs: Sequence[PlannedJob]
    """In queue order. ``len``, indexing and iteration are cheap and may be repeated; each gives equal jobs."""
    line: str
    """What varies, in plain words: ``3 rows x 2 seeds = 6 images``."""
    warnings: tuple[str, ...]
    plan_seed: int
    """All drawn seeds follow from it; 0 when nothing was drawn (a fixed seed, a replay)."""
    filename_pattern: str = ""
    """As the settings say; empty: they don't."""

    @property
    def count(self) -> int:
        """How many jobs, exactly: ``len(jobs)`` cannot say it beyond ``sys.maxsize``."""
        return self.jobs.total if isinstance(self.jobs, _Jobs | _Chosen) else len(self.jobs)


def plan_run(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    filter_jobs: FilterJobs | None = None,
) -> Plan:
    """Plan a run. Depends on its arguments alone; ``rng`` gives one number, the plan seed.

    With ``filter_jobs`` the jobs are made at once and handed over; without, they are made when asked for.
    Raises UserError for anything in the request that is wrong, PluginError when a stage plugin or a filter
    breaks its contract.
    """
    pack = request.pack
    layers = [
        Layer(f"{kind} {name}".rstrip(), values)
        for kind, name, values in (
            ("preset", request.preset_name, request.preset),
            ("sidecar", request.sidecar_name, request.sidecar),
        )
        if values is not None
    ]
    pipeline = resolve_pipeline(layers, request.sets, stages)
    numbers = parse_rows(request.rows, len(pack.rows), pack.name)
    refuse_problems(pack, numbers)
    images = pipeline.images_per_row if request.count is None else request.count
    if images < 1:
        raise UserError(f"--count {images}: must be 1 or more")
    seed = pipeline.seed if request.seed is None else request.seed
    if not -1 <= seed < 2**64:
        raise UserError(f"--seed {seed}: must be -1 (draw one) or 0 to {2**64 - 1}")
    plan_seed = rng.getrandbits(PLAN_SEED_BITS) if seed < 0 else 0
    # With a fixed seed the picks follow from it, too: the same command gives the same images.
    picks_seed = plan_seed or max(seed, 0)
    randomization = parse_randomization(pipeline.randomization, pipeline.randomization_source)
    variants = Variants(randomization, randomizers or {}, picks_seed, pipeline.randomization_source)
    source = _Source(request, pipeline, images, seed, plan_seed, variants)
    all_jobs = _Jobs(source, tuple(pack.rows[number - 1] for number in numbers))
    total = min(request.limit or all_jobs.total, all_jobs.total)
    limit = total if total < all_jobs.total else 0
    places: Sequence[int] | None = range(total) if limit else None
    sample = request.sample if request.sample < total else 0
    if sample:
        refuse_too_many(sample)
        key = key_of("sample", picks_seed)
        places = sorted(permute(index, total, key) for index in range(sample))
        total = sample
    jobs: Sequence[PlannedJob] = all_jobs if places is None else _Chosen(all_jobs, places, total)
    line = all_jobs.line() + what_part(limit, sample)
    if filter_jobs is not None:
        refuse_too_many(total)  # a filter gets all of them at once
        jobs = _filtered(jobs, filter_jobs)
        if len(jobs) != total:
            line += f"; plugins made it {count(len(jobs), 'image')}"
    return Plan(pack.title, jobs, line, pipeline.warnings, plan_seed, pipeline.filename_pattern)


def replay_plan(
    spec_json: bytes, name: str, stages: Mapping[str, type[Stage]], *, filename_pattern: str = ""
) -> Plan:
    """The one job that ``spec_json`` (see :func:`stored_spec` of infotext) describes, unchanged.

    ``name`` is the image's file name. Raises UserError if it is no job, or names a stage that no plugin
    provides or whose settings that plugin doesn't take.
    """
    try:
        spec = JobSpec.from_json(json.loads(spec_json))
        complete = bool(spec.stages) and _has_right_types(spec) and bool(spec.canonical())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{name}: the job stored in it cannot be read ({error}); it was changed or cut"
        ) from error
    if not complete:
        raise UserError(f"{name}: the job stored in it is not complete; it was changed or cut")
    warnings = []
    for stage in spec.stages:
        plugin = stages.get(stage.name)
        if plugin is None:
            raise UserError(
                f"{name}: made with stage {stage.name!r}, which no plugin provides; {near(stage.name, stages)}"
            )
        try:
            plugin.Config.model_validate(stage.config)
        except ValidationError as error:
            raise UserError(
                f"{name}: stage {stage.name} {plugin.version} does not take the settings it was made with "
                f"(by version {stage.version}): {error.errors()[0]['msg']}"
            ) from error
        if plugin.version != stage.version:
            warnings.append(
                f"{name}: made with {stage.name} {stage.version}, this is {plugin.version}; pixels may differ"
            )
    if spec.canonical() != canonical_json(json.loads(spec_json)):
        raise UserError(f"{name}: the job stored in it has parts that are not known here; update StableNew")
    title = name.rpartition(".")[0] or name
    job = PlannedJob(0, _row_of(spec), spec)
    return Plan(title, (job,), "1 image, as it was made", tuple(warnings), 0, filename_pattern)


def replay_batch(specs: Sequence[tuple[str, bytes]], name: str, stages: Mapping[str, type[Stage]]) -> Plan:
    """The jobs of several images, unchanged and in their order. ``specs``: name and spec of each image.

    Raises UserError, as :func:`replay_plan`, for the first image whose job cannot be made again.
    """
    jobs: list[PlannedJob] = []
    warnings: dict[str, list[str]] = {}
    for image, spec_json in specs:
        plan = replay_plan(spec_json, image, stages)
        jobs += [replace(job, index=len(jobs)) for job in plan.jobs]
        for warning in plan.warnings:
            warnings.setdefault(warning.removeprefix(f"{image}: "), []).append(image)
    told = (
        f"{images[0]}{f' and {len(images) - 1:,} more' if len(images) > 1 else ''}: {warning}"
        for warning, images in warnings.items()
    )
    line = f"{count(len(jobs), 'image')}, as {'it was' if len(jobs) == 1 else 'they were'} made"
    return Plan(name, tuple(jobs), line, tuple(told), 0)


def draw_seed(plan_seed: int, row: int) -> int:
    """Base seed of a row, 0 to 2**32 - 1: a pure function of its arguments, so that a row that is added or left
    out changes no other row's images. 32 bits, because that is what every backend takes."""
    digest = hashlib.sha256(f"stablenew seed {plan_seed} row {row}".encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big")


def advance_seed(base: int, image: int) -> int:
    """Seed of image ``image`` (from 0) of a batch: base + image, as in A1111, inside the base's own range:
    a 32-bit base goes on at 0 after 2**32 - 1, a larger one after 2**64 - 1."""
    return (base + image) % (2**32 if base < 2**32 else 2**64)


def too_many(jobs: int) -> str:
    """Why a plan of so many jobs cannot be queued; empty: it can."""
    if jobs <= MAX_JOBS:
        return ""
    return (
        f"{count(jobs, 'image')} are more than the {MAX_JOBS:,} jobs a run may have; run fewer rows or images, "
        "or have some of them drawn, for example --sample 500"
    )


def refuse_too_many(jobs: int) -> None:
    """Raise UserError if a plan of so many jobs cannot be queued."""
    if why := too_many(jobs):
        raise UserError(why)


def refuse_problems(pack: Pack, rows: Sequence[int]) -> None:
    """Raise UserError if one of ``rows`` (numbers from 1) cannot be run; the text names row and line."""
    wanted = set(rows)
    found: list[Problem] = [problem for problem in pack.problems if not problem.row or problem.row in wanted]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"pack {pack.name}, {found[0]}{more}")


@dataclass(frozen=True, slots=True)
class _StagePlan:
    """What of a stage is the same for every job of the plan."""

    planned: PlannedStage
    config: Mapping[str, JsonValue]
    has_seed: bool

    def prompts(self, positive: str, negative: str) -> tuple[str, str]:
        stage = self.planned.stage
        try:
            resolved = stage.resolve_prompts(self.planned.config, positive, negative)
        except Exception as error:
            raise PluginError(
                f"stage {stage.name} {stage.version}: resolve_prompts failed: {error!r}"
            ) from error
        return resolved

    def spec(self, prompts: tuple[str, str], image_seed: int, image: int) -> StageSpec:
        planned = self.planned
        seed = image_seed if planned.seed < 0 else advance_seed(planned.seed, image)
        config = dict(self.config)  # a copy a job: a filter plugin that changes one must not change them all
        if self.has_seed:
            config["seed"] = seed
        return StageSpec(planned.stage.name, planned.stage.version, *prompts, seed, config)


def _stage_plan(planned: PlannedStage) -> _StagePlan:
    stage = planned.stage
    config = planned.config.model_dump(mode="json", by_alias=False)
    for field in ("batch_size", "batch_count"):
        if stage.phase is Phase.GENERATE and field in config:
            config[field] = 1  # a batch was made into jobs of one image
    try:
        canonical_json(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"stage {stage.name}: a setting that JSON cannot hold ({error})") from error
    return _StagePlan(planned, config, "seed" in config)


class _Source:
    """Makes any job of the plan from its row and image number."""

    def __init__(
        self,
        request: PlanRequest,
        pipeline: Pipeline,
        images: int,
        seed: int,
        plan_seed: int,
        variants: Variants,
    ) -> None:
        self.images = images
        """Of each combination."""
        self._pack = request.pack
        self._seed = seed
        self._plan_seed = plan_seed
        self._variants = variants
        self._run_timeout = request.run_timeout
        self._stages = tuple(_stage_plan(planned) for planned in pipeline.stages)
        self._needs = Needs()
        for planned in pipeline.stages:
            try:
                self._needs |= planned.stage.needs(planned.config)
            except Exception as error:
                raise PluginError(f"stage {planned.stage.name}: needs failed: {error!r}") from error
        self._provenance: Mapping[str, JsonValue] = {
            "pack": request.pack.name,
            "pack_sha256": request.pack.sha256,
            "preset": request.preset_name,
            "sidecar": request.sidecar_name,
            "images": images,
            "plan_seed": plan_seed,
        }

    def varied(self, row: Row) -> tuple[list[tuple[str, str]], RowVariants | None]:
        """The prompts of the row's stages; and what varies in them, if anything does.

        Raises UserError, with row, line and column, for what cannot be resolved."""
        texts = self._variants.prepare(row.positive, row.negative)
        prompts = [stage.prompts(*texts) for stage in self._stages]
        if not any(sign in text for pair in prompts for text in pair for sign in ("{", "__", "[[")):
            return [(resolve(positive), resolve(negative)) for positive, negative in prompts], None
        try:
            return prompts, self._variants.row(row.number, prompts)
        except SpaceError as error:
            raise UserError(f"pack {self._pack.name}, {self._where(row, prompts, error)}") from error

    def _where(self, row: Row, prompts: Sequence[tuple[str, str]], error: SpaceError) -> str:
        """What is wrong, with its place in the file, or else with the stage whose prompt it is."""
        at, which = divmod(error.text, 2)
        finding, text = error.finding, prompts[at][which]
        own = (row.positive, row.negative)[which]
        if text.startswith(own) and finding.at < len(own):
            return str(located(row.number, finding, row.places[which]))
        name = self._stages[at].planned.stage.name
        return (
            f"row {row.number}, line {row.line}, prompt of {name}, character {finding.at + 1}: "
            f"{finding.reason}; {finding.fix}"
        )

    def jobs(self, row: Row, places: range | None = None) -> Iterator[JobSpec]:
        """The jobs of ``row``, or those of its images at ``places``."""
        prompts, varied = self.varied(row)
        base = draw_seed(self._plan_seed, row.number) if self._seed < 0 else self._seed
        combinations = varied.combinations if varied is not None else 1
        for image in range(combinations * self.images) if places is None else places:
            choices: Sequence[Mapping[str, JsonValue]] = ()
            if varied is not None:
                variant = varied.variant(image, self.images)
                prompts = list(zip(variant.texts[::2], variant.texts[1::2], strict=True))
                choices = variant.choices
            seed = advance_seed(base, image)
            yield JobSpec(
                tuple(
                    stage.spec(texts, seed, image) for stage, texts in zip(self._stages, prompts, strict=True)
                ),
                self._needs,
                (),
                self._run_timeout,
                {
                    **self._provenance,
                    "row": row.number,
                    "line": row.line,
                    "template": row.template,
                    "choices": [dict(choice) for choice in choices],
                    "image": image,
                    "base_seed": base,
                },
            )


class _Jobs(Sequence[PlannedJob]):
    """All jobs of a plan, row by row, made when asked for. ``total`` is exact, ``len`` fails when too large."""

    def __init__(self, source: _Source, rows: tuple[Row, ...]) -> None:
        self._source = source
        self._rows = rows
        self._shapes: dict[tuple[tuple[Factor, ...], int], int] = {}
        """Rows by what multiplies them, and by how many combinations that makes."""
        self._drawn: dict[str, None] = {}
        counts = []
        for row in rows:
            _, varied = source.varied(row)
            combinations = varied.combinations if varied is not None else 1
            counts.append(source.images * combinations)
            shape = varied.fanned if varied is not None else (), combinations
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
            self._drawn.update(dict.fromkeys(varied.drawn if varied is not None else ()))
        self._ends = list(accumulate(counts))
        self.total = self._ends[-1] if counts else 0

    def line(self) -> str:
        """What varies, in plain words."""
        shapes = [Shape(rows, factors, size) for (factors, size), rows in self._shapes.items()]
        fans = {factor.name for shape in shapes for factor in shape.factors}
        drawn = [slot for slot in self._drawn if slot not in fans]
        return what_varies(shapes, self._source.images, drawn)

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            return tuple(self.at(range(*index.indices(self.total))))
        place = index + self.total if index < 0 else index
        if not 0 <= place < self.total:
            raise IndexError(index)
        return next(iter(self.at([place])))

    def __iter__(self) -> Iterator[PlannedJob]:
        index = 0
        for row in self._rows:
            for spec in self._source.jobs(row):
                yield PlannedJob(index, row.number, spec)
                index += 1

    def at(self, places: Iterable[int]) -> Iterator[PlannedJob]:
        """The jobs at ``places``; those of one row that follow each other by one are made together."""
        start, following = 0, 0
        for place in places:
            if following and place != start + following:
                yield from self._run(start, following)
                following = 0
            if not following:
                start = place
            following += 1
        if following:
            yield from self._run(start, following)

    def _run(self, start: int, count: int) -> Iterator[PlannedJob]:
        while count:
            at = bisect_right(self._ends, start)
            first = self._ends[at - 1] if at else 0
            here = min(count, self._ends[at] - start)
            specs = self._source.jobs(self._rows[at], range(start - first, start - first + here))
            for place, spec in enumerate(specs, start):
                yield PlannedJob(place, self._rows[at].number, spec)
            start, count = start + here, count - here


class _Chosen(Sequence[PlannedJob]):
    """Some jobs of a plan, numbered anew."""

    def __init__(self, jobs: _Jobs, places: Sequence[int], total: int) -> None:
        """``total``: how many ``places``, which may be a range too long for ``len``."""
        self._jobs, self._places, self.total = jobs, places, total

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            numbers = range(*index.indices(self.total))
            found = self._jobs.at(self._places[number] for number in numbers)
            return tuple(replace(job, index=number) for number, job in zip(numbers, found, strict=True))
        number = range(self.total)[index]
        return replace(self._jobs[self._places[number]], index=number)

    def __iter__(self) -> Iterator[PlannedJob]:
        for number, job in enumerate(self._jobs.at(self._places)):
            yield replace(job, index=number)


def _filtered(jobs: Sequence[PlannedJob], filter_jobs: FilterJobs) -> Sequence[PlannedJob]:
    specs = filter_jobs([job.spec for job in jobs])
    if not isinstance(specs, Sequence) or not all(isinstance(spec, JobSpec) for spec in specs):
        raise PluginError("a filter_jobs plugin returned something else than jobs; see stablenew plugins")
    if not specs:
        raise UserError("plugins that filter jobs left none of them; see stablenew plugins")
    return tuple(PlannedJob(index, _row_of(spec), spec) for index, spec in enumerate(specs))


def _row_of(spec: JobSpec) -> int:
    row = spec.provenance.get("row", 0)
    return row if type(row) is int and row > 0 else 0


def _has_right_types(spec: JobSpec) -> bool:
    return (
        all(
            isinstance(stage.config, Mapping)
            and type(stage.seed) is int
            and 0 <= stage.seed < 2**64
            and all(
                isinstance(text, str)
                for text in (stage.name, stage.version, stage.prompt, stage.negative_prompt)
            )
            for stage in spec.stages
        )
        and isinstance(spec.needs.model, str)
        and type(spec.needs.vram_bytes) is int
        and all(isinstance(feature, str) for feature in spec.needs.features)
        and type(spec.run_timeout) in (int, float)
        and spec.run_timeout > 0
    )
